"""How long a run, or several, still takes: epochs by the pace of the recent ones, and the benchmarks to come by those
done."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from heapq import heapify, heapreplace
from statistics import fmean, median

EPOCHS_A_BENCHMARK = 30
"""How many epochs' time a benchmark is taken to need until one has been seen."""
_RECENT_EPOCHS = 20
_LONGEST = 2.0  # in usual epochs: one through which the machine slept is no pace


class TimeLeft:
    """Estimates how long a run takes to its end. It reads no clock: whoever watches says when, in seconds.

    Args:
        done: epochs that the run has completed.
        epochs: its length.
        benchmarks: completed epochs, past or to come, whose benchmark is yet to be done. Each comes at once after its
            epoch; those of the past come before the next epoch.
        unusual: so many first epochs take longer than the others and say nothing about them.
        at: when the run starts; unless given, the first epoch told of only starts the clock.
    """

    def __init__(
        self, done: int, epochs: int, benchmarks: Iterable[int] = (), unusual: int = 0, at: float | None = None
    ) -> None:
        self.done, self.epochs = done, epochs
        self.benchmarks = {epoch for epoch in benchmarks if epoch <= epochs}
        self.unusual = unusual if unusual < epochs else 0
        self.at = at
        self._paces: deque[float] = deque(maxlen=_RECENT_EPOCHS)
        self._stays: list[tuple[float, int, int]] = []  # seconds, epochs and benchmarks from one call to the next

    def epoch(self, number: int, at: float) -> None:
        """Epoch `number`, the next or a later one, has been completed."""
        before = {epoch for epoch in self.benchmarks if epoch < number}
        count = max(1, number - self.done)
        if self.at is not None and before:
            self._stays.append((at - self.at, count, len(before)))
        elif self.at is not None and self.done >= self.unusual:
            self._paces.extend([(at - self.at) / count] * min(count, _RECENT_EPOCHS))
        self.benchmarks -= before
        self.done, self.at = number, at

    def end(self, at: float) -> None:
        """The run has ended, after the benchmark of its last epoch if that was to be done."""
        if self.at is not None and self.benchmarks:
            self._stays.append((at - self.at, 0, len(self.benchmarks)))
        self.benchmarks, self.at = set(), at

    @property
    def pace(self) -> float | None:
        """Seconds that an epoch takes: the mean over the recent ones, without benchmarks; None before the first."""
        if not self._paces:
            return None
        longest = _LONGEST * median(self._paces)
        return fmean(min(pace, longest) for pace in self._paces)

    @property
    def cost(self) -> float | None:
        """Seconds that a benchmark takes: the median over those done; None before the first."""
        pace = self.pace
        if pace is None or not self._stays:
            return None
        return median(max(0.0, seconds - epochs * pace) / benchmarks for seconds, epochs, benchmarks in self._stays)

    def left(self, at: float) -> float | None:
        """Seconds to the run's end, by its own pace; None before that is known."""
        pace = self.pace
        if pace is None:
            return None if self.done < self.epochs or self.benchmarks else 0.0
        return self.left_by(pace, EPOCHS_A_BENCHMARK * pace if self.cost is None else self.cost, at)

    def left_by(self, pace: float, cost: float, at: float | None = None) -> float:
        """Seconds to the run's end if an epoch and a benchmark take so long; without `at`, when last told of."""
        whole = pace * (self.epochs - self.done) + cost * len(self.benchmarks)
        under_way = pace * (self.done < self.epochs) + cost * sum(epoch <= self.done for epoch in self.benchmarks)
        since = 0.0 if self.at is None or at is None else at - self.at
        return whole - min(since, under_way)


class TimeLeftOfRuns:
    """Estimates how long it takes until all runs have ended, wherever they are done and however far they were before.
    What is left of each is known by its own pace or that of the others; all of it takes as long as as much has taken so
    far, and longer where the last runs leave workers idle. It reads no clock: whoever watches says when.

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
