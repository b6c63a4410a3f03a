"""Success criteria: the plan's three levels (section 6) and this project's own lines, each met or missed with its
figure. Nothing is rounded before it is compared."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any, Literal

from ternary_vae.descriptions import Section
from ternary_vae.errors import UserError
from ternary_vae.formats import Unit, of_a_sample
from ternary_vae.resolution.figures import MEASURES, Expected, LevelName, Measure, criteria_of, epochs_with
from ternary_vae.resolution.records import CoupledRecord, IsolatedRecord, Sampled

LEVELS: tuple[LevelName, ...] = ("minimum", "target", "stretch")


class Line(Section):
    """One criterion: `measured` must be at least `threshold`. `measured` is null, and the line missed, where there
    is nothing to judge by (a checkpoint without its run's metrics), or where complementarity is 0/0."""

    key: str
    name: str
    level: Literal["minimum", "target", "stretch", "own"]
    required: str
    threshold: float
    measured: float | None
    unit: Unit
    met: bool
    sampled: Sampled | None = None

    @property
    def state(self) -> Literal["met", "missed", "unknown"]:
        """Whether it is met; unknown where nothing was measured."""
        return "met" if self.met else "unknown" if self.measured is None and not self._no_homes else "missed"

    @property
    def shown(self) -> str:
        """The figure as people read it, never looking like what it misses."""
        if self.measured is None:
            return "no operation is at home in either VAE" if self._no_homes else "not measured"
        if self.sampled is not None:
            return of_a_sample(self.measured, self.sampled.operations, self.sampled.low)
        return MEASURES[self.key].value(self.measured, beside=Expected(self.threshold))

    @property
    def _no_homes(self) -> bool:
        """Every coupled record has measured homes; without any the score is 0/0."""
        return self.measured is None and self.key == "complementarity_score"


class Level(Section):
    """One of the plan's levels: met when all its lines are."""

    met: bool
    lines: list[Line]


class Verdict(Section):
    """The judgement of one measured epoch of one run.

    Attributes:
        level: the highest of the plan's levels that is met together with all below it, or "none".
        levels: each of the plan's levels by itself.
        own, own_met: this project's own lines, and whether all are met.
        sustained_reconstruction_epochs: evaluated epochs at which both VAEs were exact on all operations.
        full_coverage_epochs: evaluated epochs at which 195,000 draws of each VAE alone met every operation. Even a
            perfectly uniform pair of models manages that in about one epoch of seven.
        guard_events: how often a guard fired during the run; null if unknown.
    """

    recipe: str
    seed: int
    epoch: int
    level: LevelName | Literal["none"]
    levels: dict[LevelName, Level]
    own: list[Line]
    own_met: bool
    sustained_reconstruction_epochs: int | None
    full_coverage_epochs: int | None
    guard_events: int | None

    @property
    def lines(self) -> list[Line]:
        """Every line, the plan's levels first, then this project's own."""
        return [line for level in LEVELS for line in self.levels[level].lines] + self.own


def judge(
    isolated: IsolatedRecord,
    coupled: CoupledRecord,
    metrics: Sequence[dict[str, Any]] = (),
) -> Verdict:
    """Holds a checkpoint's two records, and the epochs of its run, against the criteria.

    Args:
        metrics: the run's rows, one an epoch; rows past the records' epoch are left out.

    Raises:
        UserError: if the two records are of different checkpoints.
    """
    header = isolated.header
    if header.checkpoint_hash != coupled.header.checkpoint_hash:
        raise UserError(
            f"the isolated record (epoch {header.epoch}) and the coupled record (epoch {coupled.header.epoch}) are of "
            "different checkpoints; judge two records of one"
        )
    rows = [row for row in metrics if row["epoch"] <= header.epoch]
    lines = {
        level: [_line(MEASURES[key], level, threshold, isolated, coupled, rows) for key, threshold in least.items()]
        for level, least in criteria_of(isolated.space).items()
    }
    own = lines.pop("own")
    levels = {level: Level(met=all(line.met for line in lines[level]), lines=lines[level]) for level in LEVELS}
    return Verdict(
        recipe=header.recipe,
        seed=header.training_seed,
        epoch=header.epoch,
        level=_highest(levels),
        levels=levels,
        own=own,
        own_met=all(line.met for line in own),
        sustained_reconstruction_epochs=epochs_with(rows, "epochs_both_exact"),
        full_coverage_epochs=epochs_with(rows, "epochs_covering_all"),
        guard_events=rows[-1].get("guard_events") if rows else None,
    )


def _highest(levels: dict[LevelName, Level]) -> LevelName | Literal["none"]:
    return ("none", *takewhile(lambda level: levels[level].met, LEVELS))[-1]


def _line(
    measure: Measure,
    level: LevelName | Literal["own"],
    threshold: float,
    isolated: IsolatedRecord,
    coupled: CoupledRecord,
    rows: Sequence[dict[str, Any]],
) -> Line:
    measured = measure.of_milestone(isolated, coupled) if measure.unit != "epochs" else epochs_with(rows, measure.key)
    least = Expected(threshold)
    return Line(
        key=measure.key,
        name=measure.name,
        level=level,
        required=least.text(measure.unit),
        threshold=threshold,
        measured=measured,
        unit=measure.unit,
        met=least.met(measured),
        sampled=next(filter(None, (measure.sampled(record) for record in (isolated, coupled))), None),
    )
