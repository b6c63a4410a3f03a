"""Runs that a process trains at once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from ternary_vae.experiments.task import Task

# The most that `benchmarks/batched_seeds.py` has found to pay.
PROCESSES_ON_AN_ACCELERATOR, RUNS_AT_ONCE_ON_AN_ACCELERATOR = 4, 50


def bundles(tasks: Sequence[Task], together: int, workers: int = 1) -> list[tuple[Task, ...]]:
    """Tasks that are done at once: of one shape, at most `together`, and no more than leaves every worker its part."""
    if together == 1:
        return [(task,) for task in tasks]
    from ternary_vae.acceleration.fleet import recipe_shape

    alike: dict[Hashable, list[Task]] = {}
    for task in tasks:
        alike.setdefault((task.own_device, task.benchmarks, *recipe_shape(task.recipe)), []).append(task)
    most = min(together, -(-len(tasks) // workers))
    parts = []
    for group in alike.values():
        pieces = -(-len(group) // most)
        parts += [tuple(group[number::pieces]) for number in range(pieces)]
    return parts
