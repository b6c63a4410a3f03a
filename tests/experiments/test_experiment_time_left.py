"""An experiment's time left is steady, however many workers there are and however far its runs were before."""

from __future__ import annotations

import pytest

from ternary_vae.training.time_left import TimeLeft, TimeLeftOfRuns

LOOKS = 0.5  # seconds from one look at the runs to the next


def estimates(workers, runs, epochs, milestones, pace=0.5, cost=15.0, page=3.0, done=(), failing=()):
    """What is estimated at every refresh of a made-up experiment, and what was true: (time, estimate, truth).

    Args:
        page: seconds that a run takes after its last benchmark.
        done: epochs that the first runs had completed before, each with the benchmarks of these.
        failing: runs that end after half of their epochs.
    """
    before = [*done, *[0] * (runs - len(done))]
    free, happened = [8.0] * workers, []
    for run in range(runs):
        worker = min(range(workers), key=free.__getitem__)
        now = free[worker] + 0.3
        for epoch in range(before[run] + 1, (epochs // 2 if run in failing else epochs) + 1):
            now += pace
            happened.append((now, run, epoch))
            now += cost if epoch in milestones else 0.0
        free[worker] = now = now + page
        happened.append((now, run, None))
    happened.sort(key=lambda one: one[0])
    clock = TimeLeftOfRuns(
        {
            str(run): TimeLeft(before[run], epochs, [epoch for epoch in milestones if epoch > before[run]])
            for run in range(runs)
        }
    )
    said, now = [], 0.0
    while now < max(free):
        while happened and happened[0][0] <= now:
            _, run, epoch = happened.pop(0)
            if epoch is None:
                clock.ended(str(run), now, completed=run not in failing)
            else:
                clock.epoch(str(run), epoch, now)
        said.append((now, clock.left(now), max(free) - now))
        now += LOOKS
    return said


@pytest.mark.parametrize(
    "experiment",
    [
        {"workers": 1, "runs": 3, "epochs": 400, "milestones": (3, 100, 200, 300, 400)},
        {"workers": 2, "runs": 6, "epochs": 200, "milestones": (100, 200)},
        {"workers": 2, "runs": 13, "epochs": 200, "milestones": (100, 200), "done": (120, 199, 40)},
        {"workers": 2, "runs": 6, "epochs": 200, "milestones": (100, 200), "failing": (2,)},
        {"workers": 4, "runs": 20, "epochs": 100, "milestones": (100,), "cost": 12.0},
        {"workers": 5, "runs": 5, "epochs": 100, "milestones": (), "page": 0.0},
    ],
)
def test_it_is_steady(experiment):
    before = None
    for at, left, truth in estimates(**experiment):
        if at < 18:  # the workers start at 8
            continue
        tolerance = max(6.0, 0.15 * truth)
        if not experiment.get("failing"):  # which nobody can foresee
            assert left == pytest.approx(truth, abs=tolerance), at
        if before is not None:
            assert left == pytest.approx(before - LOOKS, abs=tolerance), at
        before = left


def test_nothing_is_said_before_anything_is_known_and_nothing_is_left_at_the_end():
    clock = TimeLeftOfRuns({"one": TimeLeft(0, 2), "two": TimeLeft(5, 9, [3, 9])})
    assert clock.left(0.0) is None
    clock.epoch("one", 1, 3.0)
    assert clock.left(3.0) is None
    clock.epoch("one", 2, 4.0)
    assert clock.left(4.0) > 0
    clock.ended("one", 4.0, completed=True)
    assert clock.left(4.0) > 4
    clock.ended("two", 5.0, completed=False)
    assert clock.left(5.0) == 0
