"""How long an experiment still takes, wherever its runs are done and however far they were before."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heapify, heapreplace
from statistics import fmean

from ternary_vae.training.time_left import EPOCHS_A_BENCHMARK, TimeLeft


class ExperimentTimeLeft:
    """Estimates how long it takes until all runs have ended. What is left of each is known by its own pace or that of
    the others; all of it takes as long as as much has taken so far, and longer where the last runs leave workers idle.
    It reads no clock: whoever watches says when.

    Args:
        runs: by name, those that are to be done or gone on with, as far as they are.
    """

    def __init__(self, runs: Mapping[str, TimeLeft]) -> None:
        self._runs = dict(runs)
        self._ended: set[str] = set()
        self._going: set[str] = set()
        self._at_once = 1
        self._since: float | None = None  # when the first epoch of any run was seen
        self._to_do: dict[str, tuple[int, int]] = {}  # epochs and benchmarks of each run, then

    def epoch(self, name: str, number: int, at: float) -> None:
        """So many epochs of a run are completed."""
        if number <= self._runs[name].done:
            return
        self._runs[name].epoch(number, at)
        self._going.add(name)
        self._at_once = max(self._at_once, len(self._going))
        if self._since is None:
            self._since = at
            self._to_do = {each: (run.epochs - run.done, len(run.benchmarks)) for each, run in self._runs.items()}

    def ended(self, name: str, at: float, *, completed: bool) -> None:
        """A run has ended and is waited for no longer."""
        self._ended.add(name)
        self._going.discard(name)
        if completed:
            self._runs[name].end(at)

    def left(self, at: float) -> float | None:
        """Seconds until all runs have ended; None if nothing says yet."""
        runs = self._runs.values()
        if self._ended >= self._runs.keys():
            return 0.0
        paces = [run.pace for run in runs if run.pace is not None]
        costs = [run.cost for run in runs if run.cost is not None]
        if self._since is None or not paces:
            return None
        usual = fmean(paces)
        usual_cost = fmean(costs) if costs else EPOCHS_A_BENCHMARK * usual
        done, open_work = 0.0, {}
        for name, run in self._runs.items():
            pace = usual if run.pace is None else run.pace
            cost = usual_cost if run.cost is None else run.cost
            left = run.left_by(pace, cost, None if name in self._ended else at)
            epochs, benchmarks = self._to_do[name]
            done += epochs * pace + benchmarks * cost - left
            if name not in self._ended:
                open_work[name] = left
        in_turn = self._in_turn(open_work)
        return max(in_turn, sum(open_work.values()) * (at - self._since) / done) if done > 0 else in_turn

    def _in_turn(self, open_work: Mapping[str, float]) -> float:
        """Seconds until the last run has ended if each that waits takes the place of the first to end."""
        places = [work for name, work in open_work.items() if name in self._going]
        places += [0.0] * (self._at_once - len(places))
        heapify(places)
        for name, work in open_work.items():
            if name not in self._going:
                heapreplace(places, places[0] + work)
        return max(places)
