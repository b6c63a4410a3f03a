"""Success criteria: the plan's three levels (section 6) and this project's own lines, each met or missed with its
figure. Nothing is rounded before it is compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from ternary_vae.errors import UserError
from ternary_vae.resolution.records import CoupledRecord, IsolatedRecord

LevelName = Literal["minimum", "target", "stretch"]
LEVELS: tuple[LevelName, ...] = ("minimum", "target", "stretch")
Unit = Literal["share", "score", "epochs"]


class Part(BaseModel):
    """Part of a verdict: immutable, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Line(Part):
    """One criterion: `measured` must be at least `threshold`. `measured` is null, and the line missed, where there
    is nothing to judge by (a checkpoint without its run's metrics)."""

    name: str
    level: Literal["minimum", "target", "stretch", "own"]
    required: str
    threshold: float
    measured: float | None
    unit: Unit
    met: bool


class Level(Part):
    """One of the plan's levels: met when all its lines are."""

    met: bool
    lines: list[Line]


class Verdict(Part):
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
    level: Literal["none", "minimum", "target", "stretch"]
    levels: dict[LevelName, Level]
    own: list[Line]
    own_met: bool
    sustained_reconstruction_epochs: int | None
    full_coverage_epochs: int | None
    guard_events: int | None


class VerdictRow(NamedTuple):
    """A verdict's line as a table shows it."""

    level: str
    criterion: str
    required: str
    measured: str
    met: bool


_ENSEMBLE = "Ensemble exact match"
_VAE_A = "VAE-A exact match"
_VAE_B = "VAE-B exact match"
_COVERAGE = "Coverage (ρ = 0.7, decoded, 100,000 draws)"
_COMPLEMENTARITY = "Complementarity"
_SUSTAINED = "Epochs with both VAEs at 100%"

_PLAN: dict[LevelName, tuple[tuple[str, float], ...]] = {
    "minimum": ((_ENSEMBLE, 0.999), (_VAE_A, 0.80), (_COVERAGE, 0.88), (_COMPLEMENTARITY, 0.40)),
    "target": ((_ENSEMBLE, 1.0), (_VAE_A, 0.90), (_COVERAGE, 0.90), (_COMPLEMENTARITY, 0.60)),
    "stretch": ((_VAE_A, 0.95), (_COVERAGE, 0.92), (_COMPLEMENTARITY, 0.70), (_SUSTAINED, 20)),
}
_OWN = ((_VAE_A, 1.0), (_VAE_B, 1.0), (_ENSEMBLE, 1.0), (_COVERAGE, 0.985))
_UNITS: dict[str, Unit] = {_COMPLEMENTARITY: "score", _SUSTAINED: "epochs"}


def judge(
    isolated: IsolatedRecord,
    coupled: CoupledRecord,
    metrics: Sequence[dict[str, Any]] = (),
    guard_events: int | None = None,
) -> Verdict:
    """Holds a checkpoint's two records, and the epochs of its run, against the criteria.

    Args:
        metrics: the run's rows, one an epoch; rows past the records' epoch are left out.
        guard_events: how often a guard fired; by default what the last row says.

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
    sustained = _count(rows, lambda row: row.get("exact_match_a") == row.get("exact_match_b") == 1)
    covering = _count(rows, lambda row: bool(row.get("covered_all_a") and row.get("covered_all_b")))
    measured: dict[str, float | None] = {
        _ENSEMBLE: coupled.ensemble_reconstruction.best_of_two.exact_match_rate,
        _VAE_A: isolated.vae_a.reconstruction.exact_match_rate,
        _VAE_B: isolated.vae_b.reconstruction.exact_match_rate,
        _COVERAGE: coupled.cross_injected_sampling_rho_07.coverage_rate,
        _COMPLEMENTARITY: coupled.complementary_coverage.complementarity_score,
        _SUSTAINED: sustained,
    }
    levels = {}
    for level in LEVELS:
        lines = [_line(name, level, threshold, measured[name]) for name, threshold in _PLAN[level]]
        levels[level] = Level(met=all(line.met for line in lines), lines=lines)
    own = [_line(name, "own", threshold, measured[name]) for name, threshold in _OWN]
    if guard_events is None and rows:
        guard_events = rows[-1].get("guard_events")
    return Verdict(
        recipe=header.recipe,
        seed=header.training_seed,
        epoch=header.epoch,
        level=_highest(levels),
        levels=levels,
        own=own,
        own_met=all(line.met for line in own),
        sustained_reconstruction_epochs=sustained,
        full_coverage_epochs=covering,
        guard_events=guard_events,
    )


def verdict_rows(verdict: Verdict) -> list[VerdictRow]:
    """Every line of a verdict for a table, the plan's levels first, then this project's own."""
    lines = [line for level in LEVELS for line in verdict.levels[level].lines] + verdict.own
    return [
        VerdictRow(line.level, line.name, line.required, _shown(line.measured, line.unit), line.met) for line in lines
    ]


def _count(rows: Sequence[dict[str, Any]], holds: Any) -> int | None:
    return sum(bool(holds(row)) for row in rows) if rows else None


def _highest(levels: dict[LevelName, Level]) -> Literal["none", "minimum", "target", "stretch"]:
    highest: Literal["none", "minimum", "target", "stretch"] = "none"
    for level in LEVELS:
        if not levels[level].met:
            break
        highest = level
    return highest


def _line(
    name: str, level: Literal["minimum", "target", "stretch", "own"], threshold: float, measured: float | None
) -> Line:
    unit = _UNITS.get(name, "share")
    required = {
        "share": "100%" if threshold == 1 else f"≥ {threshold * 100:g}%",
        "score": f"≥ {threshold:.2f}",
        "epochs": f"≥ {threshold:g}",
    }[unit]
    return Line(
        name=name,
        level=level,
        required=required,
        threshold=threshold,
        measured=measured,
        unit=unit,
        met=measured is not None and measured >= threshold,
    )


def _shown(value: float | None, unit: Unit) -> str:
    """A figure with two decimals, cut and not rounded: 99.999% must not look like 100%."""
    if value is None:
        return "not measured"
    if unit == "epochs":
        return f"{value:g}"
    scaled = value * 100 if unit == "share" else value
    if unit == "share" and value == 1:
        return "100%"
    # The nudge keeps 0.29 · 100 = 28.999999999999996 at 29.00.
    cut = int(scaled * 100 + 1e-9) / 100
    return f"{cut:.2f}%" if unit == "share" else f"{cut:.2f}"
