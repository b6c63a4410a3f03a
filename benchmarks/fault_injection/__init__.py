"""Faults made on purpose, and what must hold all the same. `reliability.py` runs them all."""
