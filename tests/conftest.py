"""Tests use one core each way: small tensors gain nothing from more, and threads that wait for each other lose much when
the machine is busy. Set before PyTorch starts; a test that is about threads sets their number itself."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
