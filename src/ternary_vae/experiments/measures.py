"""What an experiment reads of its runs: every measure of the table of figures that arms are compared by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ternary_vae.errors import UserError, nearest
from ternary_vae.resolution.figures import MEASURES, Measure
from ternary_vae.resolution.records import (
    CoupledRecord,
    IsolatedRecord,
    read_coupled_record,
    read_isolated_record,
)
from ternary_vae.storage.runs import RunDirectory

__all__ = ["MEASURES", "PRIMARY_BENCHMARKED", "PRIMARY_UNBENCHMARKED", "Measure", "measured_values", "measures_named"]

PRIMARY_BENCHMARKED = ("exact_match_a", "exact_match_b", "coverage_rho_07", "complementarity_score")
PRIMARY_UNBENCHMARKED = ("exact_match_a", "exact_match_b", "coverage", "complementarity")


def measures_named(keys: tuple[str, ...]) -> list[Measure]:
    """Measures by key.

    Raises:
        UserError: an unknown key (the nearest is named).
    """
    known = [key for key, measure in MEASURES.items() if measure.compared]
    for key in keys:
        if key not in known:
            raise UserError(f"primary: unknown measure {key!r}; {nearest(key, known)}")
    return [MEASURES[key] for key in keys]


def measured_values(
    run: RunDirectory, rows: Sequence[dict[str, Any]], epochs: Sequence[int]
) -> dict[int, dict[str, float]]:
    """Every measure that a run has, by epoch; what was not measured is absent.

    Args:
        rows: of the run's metrics.

    Raises:
        UserError: a damaged record.
        ValueError: a row in which something measured is no number.
    """
    by_epoch = {row["epoch"]: row for row in rows}
    measured: dict[int, dict[str, float]] = {}
    for epoch in epochs:
        sources: dict[str, dict[str, Any] | IsolatedRecord | CoupledRecord | None] = {"metrics": by_epoch.get(epoch)}
        isolated, coupled = run.isolated_record(epoch), run.coupled_record(epoch)
        sources["isolated"] = read_isolated_record(isolated) if isolated.exists() else None
        sources["coupled"] = read_coupled_record(coupled) if coupled.exists() else None
        values = {
            key: measure.read(sources[measure.source])
            for key, measure in MEASURES.items()
            if measure.compared and sources[measure.source] is not None
        }
        measured[epoch] = {key: value for key, value in values.items() if value is not None}
    return measured
