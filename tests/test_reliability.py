"""The checks of `benchmarks/reliability.py`, a few of each kind. The benchmark itself makes hundreds."""

from __future__ import annotations

import os
import random

import pytest

from fault_injection import kills
from fault_injection.damaged_files import damaged_files
from fault_injection.full_disk import full_disk
from fault_injection.odd_recipes import odd_recipes
from fault_injection.outcome import Outcome
from fault_injection.shared_cache import shared_cache
from fault_injection.small_runs import QUICK
from few_draws import SMALL_SPACE
from reliability import STOPPED, _to_its_end

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked from one that has torch")


@pytest.fixture
def chance():
    return random.Random(1)


@pytest.fixture
def small_space(monkeypatch):
    for key, value in SMALL_SPACE.items():
        monkeypatch.setitem(QUICK, key, value)


def nothing_happened(*outcomes):
    assert [problem for outcome in outcomes for problem in outcome.problems] == []
    assert all(outcome.trials for outcome in outcomes if not outcome.left_out)


def test_an_outcome_holds_until_something_is_found():
    outcome = Outcome.of("a check", "bad things")
    assert outcome.holds
    outcome.record("bad things", "one")
    assert not outcome.holds
    assert outcome.counts["bad things"] == 1


@pytest.mark.parametrize("reason", [SystemExit("it fails"), RuntimeError("it fails")])
def test_a_part_that_stops_is_something_found(reason):
    def part():
        yield Outcome.of("a check", "bad things")
        raise reason

    first, last = _to_its_end("kills", part)
    assert first.holds
    assert last.counts == {STOPPED: 1}
    assert "it fails" in last.problems[0]


@pytest.mark.usefixtures("small_space")
def test_a_run_is_killed(tmp_path, chance):
    nothing_happened(kills.training(2, tmp_path, chance, epochs=2, threads=1))


@pytest.mark.usefixtures("small_space")
def test_saving_is_killed(tmp_path, chance):
    nothing_happened(kills.saving(3, tmp_path, chance))


def test_caching_is_killed(tmp_path, chance):
    nothing_happened(kills.caching(3, tmp_path, chance))


@pytest.mark.usefixtures("small_space", "unchecked")  # some files are written of recipes that no class would accept
def test_files_are_damaged(tmp_path, chance):
    nothing_happened(*damaged_files(140, tmp_path, chance, records=False))


def test_recipes_are_odd(tmp_path):
    """One that is trained and one that is told why it cannot be, both small: others take ten seconds an epoch."""
    nothing_happened(odd_recipes(2, tmp_path, random.Random(7), processes=1))


def test_a_disk_is_full(tmp_path, chance):
    outcomes = full_disk(1, tmp_path, chance, only=("a run", "the tensor cache"))
    nothing_happened(*outcomes)
    if left_out := [outcome.left_out for outcome in outcomes if outcome.left_out]:
        pytest.skip(left_out[0])


def test_a_crowd_at_one_cache_entry(tmp_path):
    nothing_happened(shared_cache(1, 16, tmp_path))
