"""How well a checkpoint resolves the space: measures, the records they are written in, and success criteria.

`measure.measure_isolated` and `measure.measure_coupled` measure a checkpoint, `measure.measure_both` does both at once;
`records` is the schema on disk, `criteria.judge` holds the figures against the plan's levels and this project's own.
"""
