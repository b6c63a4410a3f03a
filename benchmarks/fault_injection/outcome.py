"""What a check has found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Outcome:
    """One row of the table.

    Attributes:
        check: what was done to what.
        trials: how often a fault was made; what ended before it could be disturbed does not count.
        counts: how often each thing happened that must not, zeros included.
        refused: in how many of the trials one clear line was the answer; in the others the work was done all the same.
        problems: one line for each time, for a person to look into.
        left_out: why nothing was tried; empty otherwise.
    """

    check: str
    trials: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    refused: int | None = None
    problems: list[str] = field(default_factory=list)
    left_out: str = ""

    @classmethod
    def of(cls, check: str, *forbidden: str) -> Outcome:
        """An empty one, with what must not happen."""
        return cls(check, counts=Counter(dict.fromkeys(forbidden, 0)))

    def record(self, what: str, problem: str, times: int = 1) -> None:
        """Something has happened that must not."""
        self.counts[what] += times
        self.problems.append(f"{self.check}: {what}: {problem}")

    def line(self) -> None:
        """One clear line was the answer."""
        self.refused = (self.refused or 0) + 1

    @property
    def holds(self) -> bool:
        """Whether nothing of it has happened."""
        return not any(self.counts.values())
