"""What the page's script draws, as plain JSON: columns of metrics, milestones, curves, events and the packed map."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from ternary_vae.formats import UNIFORM_MODEL
from ternary_vae.gates.names import HEPTAVINTIMAL, gate_names, named_forms, names_of_gates
from ternary_vae.limits import coverage_limit
from ternary_vae.model.statenet import CORRECTIONS
from ternary_vae.reports.latent_map import LatentMap, SideMap
from ternary_vae.reports.measurements import Measurements
from ternary_vae.reports.networks import in_shorts, packed, packed_homes
from ternary_vae.reports.structure_data import structure_data
from ternary_vae.resolution.criteria import LEVELS
from ternary_vae.resolution.figures import CRITERIA, MEASURES, PLAN_EPOCHS, registered
from ternary_vae.resolution.records import CoveragePoint, IsolatedRecord, ResolutionCurve
from ternary_vae.resolution.structure.ideal import ideal_exact_match, ideal_half_sigma
from ternary_vae.space import TWO_INPUT_TERNARY, Space

_COLUMNS = (
    "epoch", "exact_match_a", "exact_match_b", "exact_match_best_of_two", "exact_match_coupled_a",
    "exact_match_coupled_b", "coverage", "complementarity", "share_a", "rho", "gate_open",
    "temperature_a", "temperature_b", "beta_a", "beta_b", "lambda1", "lambda2", "lambda3", "balance",
)  # fmt: skip


def page_data(
    measured: Measurements, latent_map: LatentMap | None, networks: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Everything the script needs; the map or the networks, see `networks_data`, are None where the run has no
    checkpoint or the page shows the other. Figures are whole: one rounded here and again on the page might look other
    than in the reports."""
    space = measured.recipe.space.as_space()
    coverage, share = MEASURES["coverage_rho_07"].expected[PLAN_EPOCHS], MEASURES["share_a"].throughout
    assert share is not None
    metrics = {
        name: _finite(measured.column(name)) for name in (*_COLUMNS, *(f"terms.{term}" for term in measured.terms))
    }
    metrics |= {f"statenet.{name}": _finite(measured.column(f"statenet.corrections.{name}")) for name in CORRECTIONS}
    metrics |= {
        measure.key: [measure.read(row) for row in measured.metrics]
        for measure in registered()
        if measure.source == "metrics"
    }
    band = MEASURES["exact_match_a"].expected_band(measured.recipe.schedule_epochs)
    return {
        "epochs": measured.epochs,
        "phases": [span._asdict() for span in measured.phases],
        "metrics": metrics,
        "terms": measured.terms,
        "milestones": _milestones(measured),
        "expected": {
            "band": [point for point in band if point[0] <= measured.epochs],
            "coverage": coverage.low,
            "share": [share.low, share.high],
            "complementarity": {level: CRITERIA[level]["complementarity_score"] for level in LEVELS},
        },
        "curves": [_curves(epoch, record) for epoch, record in sorted(measured.isolated.items())],
        "ideal_axes": _ideal_axes(measured),
        "draws": _draws(measured),
        "structure": structure_data(measured.structure),
        "uniform_model": UNIFORM_MODEL,
        "events": [event_row(event) for event in measured.events],
        **gates_data(space),
        "map": None if latent_map is None else _packed(latent_map, space),
        "networks": networks,
    }


def gates_data(space: Space) -> dict[str, Any]:
    """A space, and how its gates are called. Indices and how many operations there are may need more bits than a
    script's numbers have, so they are text."""
    return {
        "space": {
            "values": space.values,
            "inputs": space.inputs,
            "entries": space.entries,
            "lowest": space.lowest,
            "operations": str(space.operations),
        },
        "alphabet": HEPTAVINTIMAL,
        "names": {str(index): names for index, names in names_of_gates(space).items()},
        "forms": {
            form: {str(index): name for index, name in meant.items()} for form, meant in named_forms(space).items()
        },
    }


def event_row(event: dict[str, Any]) -> dict[str, Any]:
    """Epoch, kind and one line of text of an event."""
    actions = ", ".join(event.get("actions") or [])
    parts = [str(event.get("message") or event.get("name") or ""), f"done: {actions}" if actions else ""]
    return {
        "epoch": event.get("epoch"),
        "kind": str(event.get("kind", "event")),
        "text": "; ".join(filter(None, parts)),
    }


def script_safe_json(content: Any) -> str:
    """JSON that may stand inside a script element: no `<`, `>`, `&` or line separator in it.

    Raises:
        ValueError: NaN or infinity in the content.
    """
    text = json.dumps(content, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text


def _milestones(measured: Measurements) -> dict[str, Any]:
    """Every measure of the table at every milestone, by its key; coverage with its intervals."""
    epochs = measured.milestones
    columns: dict[str, Any] = {"epoch": epochs}
    for key, measure in MEASURES.items():
        if measure.isolated or measure.coupled:
            columns[key] = [measured.value(key, epoch) for epoch in epochs]
    for key in ("coverage_rho_07", "coverage_rho_07_prior_preserving"):
        parts = [measured.part(key, epoch) for epoch in epochs]
        columns[f"{key}_low"] = [part and part.interval.low for part in parts]
        columns[f"{key}_high"] = [part and part.interval.high for part in parts]
        columns["coverage_limit"] = next((part.coverage_limit for part in reversed(parts) if part), None)
    return columns


def _ideal_axes(measured: Measurements) -> dict[str, Any]:
    """Exact match of ideal axes at every σ at which a curve has points, and the σ at which half is exact."""
    curves = (vae.resolution_curve for record in measured.isolated.values() for vae in (record.vae_a, record.vae_b))
    sigmas = sorted({point.sigma for curve in curves for point in curve.points})
    space = measured.recipe.space.as_space()
    rates = [ideal_exact_match(space, sigma) for sigma in sigmas]
    return {"sigma": sigmas, "rate": rates, "half": ideal_half_sigma(space)}


def _curves(epoch: int, record: IsolatedRecord) -> dict[str, Any]:
    def side(curve: ResolutionCurve) -> dict[str, Any]:
        return {
            "sigma": [point.sigma for point in curve.points],
            "rate": [point.exact_match_rate for point in curve.points],
            "half": curve.half_sigma,
        }

    return {
        "epoch": epoch,
        "a": side(record.vae_a.resolution_curve),
        "b": side(record.vae_b.resolution_curve),
    }


def _draws(measured: Measurements) -> dict[str, Any]:
    """Coverage against draws at the last milestones measured, and what a uniform model meets, on a fine grid."""

    def series(points: list[CoveragePoint]) -> dict[str, list[float]]:
        return {
            "draws": [point.draws for point in points],
            "rate": [point.coverage_rate for point in points],
            "limit": [point.coverage_limit for point in points],
        }

    isolated = measured.isolated[max(measured.isolated)] if measured.isolated else None
    alone = [vae.sampling_coverage for vae in (isolated.vae_a, isolated.vae_b)] if isolated else [None, None]
    both = MEASURES["coverage_rho_07"].part(measured.coupled[max(measured.coupled)]) if measured.coupled else None
    operations = measured.recipe.space.as_space().operations
    curves = {
        "a": series(alone[0].by_draws if alone[0] else []),
        "b": series(alone[1].by_draws if alone[1] else []),
        "both": series(both.by_draws if both else []),
    }
    every = [draws for one in curves.values() for draws in one["draws"]] or [1_000, 100_000]
    grid = np.unique(np.geomspace(min(every), max(every), 80).round().astype(int)).tolist()
    limit = {"draws": grid, "rate": [round(coverage_limit(draws, operations), 6) for draws in grid]}
    return {**curves, "limit": limit, "reach": max(every)}


def _packed(latent_map: LatentMap, space: Space) -> dict[str, Any]:
    names = {index: names[0] for index, names in names_of_gates(space).items()}
    return {
        "home": packed_homes(latent_map.home),
        "a": _packed_side(latent_map.a),
        "b": _packed_side(latent_map.b),
        "gates": gate_names() if space == TWO_INPUT_TERNARY else names,
    }


def _packed_side(side: SideMap) -> dict[str, Any]:
    """Positions as 16-bit integers times a scale: far finer than a pixel, and a third of the size of decimals."""
    steps, scales = in_shorts(side.positions)
    return {
        "positions": [packed(column, "<i2") for column in steps.T],
        "scales": scales,
        "variance": side.variance.tolist(),
        "errors": packed(side.errors, "u1"),
        "neighbour": packed(side.neighbour_distance, "u1"),
    }


def _finite(column: list[Any]) -> list[Any]:
    return [None if isinstance(value, float) and not math.isfinite(value) else value for value in column]
