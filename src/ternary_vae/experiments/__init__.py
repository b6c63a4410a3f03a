"""Experiments: recipes × settings × seeds as ordinary runs, compared with paired statistics.

`description.load_experiment` reads one, `execution.run_experiment` does what is missing of it, here or on a cluster,
and `report.write_experiment_report` says what follows.
"""
