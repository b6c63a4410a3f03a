"""What a code of truth tables knows about operations: distances, algebra, arithmetic, paths, what its axes carry.

`measure.measure_structure` measures a checkpoint, `records` is the schema on disk. Every measure takes tables and the
code of them, so that it works for all operations of a space or for a sample, and for codes of known structure
(`codes`) beside which a trained one counts.
"""
