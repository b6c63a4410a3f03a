"""A run's time left is steady: benchmarks are no slow epochs, and those to come are part of it."""

from __future__ import annotations

import random

import pytest

from ternary_vae.training.time_left import EPOCHS_A_BENCHMARK, TimeLeft

MILESTONES = (3, 100, 120, 150, 200, 250, 300, 350, 400)


def estimates(epochs=400, milestones=MILESTONES, pace=0.5, cost=15.0, first=0, noise=0.0, done=0, known=True):
    """What is estimated after every epoch of a made-up run, and what was true: (epoch, time, estimate, truth).

    Args:
        first: so many first epochs take four times as long.
        noise: how much epochs and benchmarks differ from what they usually take.
        known: whether the estimator knows of the benchmarks.
    """
    chance, now, said = random.Random(1), 7.0, []

    def about(seconds):
        return seconds * (1 + noise * chance.uniform(-1, 1))

    missing = [epoch for epoch in milestones if epoch >= done]
    clock = TimeLeft(done, epochs, missing if known else (), first, now)
    if done in missing:
        now += about(cost)
    for epoch in range(done + 1, epochs + 1):
        now += about(pace) * (4 if epoch <= first else 1)
        clock.epoch(epoch, now)
        said.append((epoch, now, clock.left(now)))
        if epoch in milestones:
            now += about(cost)
    return [(epoch, at, left, now - at) for epoch, at, left in said]


def require_steady(said, after=20):
    """Every estimate after some epoch is within 15% of the truth, or 5 s, and none is further from the one before."""
    before = None
    for epoch, at, left, truth in said:
        if epoch <= after:
            continue
        tolerance = max(5.0, 0.15 * truth)
        assert left == pytest.approx(truth, abs=tolerance), epoch
        if before is not None:
            assert left == pytest.approx(before[1] - (at - before[0]), abs=tolerance), epoch
        before = at, left


@pytest.mark.parametrize(
    "run",
    [
        {},
        {"first": 3},
        {"noise": 0.2},
        {"cost": 4.0},
        {"cost": 60.0},
        {"milestones": (400,)},
        {"milestones": (), "cost": 0.0},
        {"milestones": (), "cost": 0.0, "noise": 0.2},
        {"done": 120},
        {"done": 130},
    ],
)
def test_it_is_steady(run):
    require_steady(estimates(**run), after=run.get("done", 0) + 20)


def test_one_that_takes_benchmarks_for_epochs_is_not():
    with pytest.raises(AssertionError):
        require_steady(estimates(known=False))


def test_the_first_epochs_say_nothing_about_the_others():
    said = estimates(first=3)
    assert [left for epoch, _, left, _ in said if epoch <= 4] == [None] * 4
    require_steady(said, after=4)
    said = estimates(first=3, milestones=())
    assert [left is None for _, _, left, _ in said[:5]] == [True, True, True, False, False]


def test_it_goes_on_while_a_benchmark_is_under_way_and_waits_for_one_that_takes_longer():
    clock = TimeLeft(0, 100, [10, 50, 60], at=0.0)
    for epoch in range(1, 11):
        clock.epoch(epoch, 1.0 * epoch)
    whole = 90 + 3 * EPOCHS_A_BENCHMARK
    assert clock.left(10) == pytest.approx(whole)
    assert clock.left(15) == pytest.approx(whole - 5)
    longest = EPOCHS_A_BENCHMARK + 1
    assert clock.left(10 + longest) == clock.left(500) == pytest.approx(whole - longest)


def test_an_epoch_that_the_machine_slept_through_is_no_pace():
    clock = TimeLeft(0, 100, at=0.0)
    for epoch in range(1, 31):
        clock.epoch(epoch, epoch + (3600.0 if epoch == 30 else 0.0))
    assert clock.left(3630) == pytest.approx(70, rel=0.1)


def test_several_epochs_seen_at_once():
    clock = TimeLeft(0, 100, [7, 100])
    for epoch, at in ((2, 0.0), (5, 3.0), (10, 18.0)):
        clock.epoch(epoch, at)
    assert (clock.pace, clock.cost) == (1.0, 10.0)
    clock.epoch(100, 108.0)
    clock.end(120.0)
    assert clock.cost == 11.0
    assert clock.left(500) == 0
