"""What the page's script draws, as plain JSON: columns of metrics, milestones, curves, events and the packed map."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ternary_vae.formats import UNIFORM_MODEL
from ternary_vae.gates.names import gate_names
from ternary_vae.limits import coverage_limit
from ternary_vae.reports.expectations import AT_MILESTONE, PHASE_NAMES, PLAN_EPOCHS, THROUGHOUT, expected_band
from ternary_vae.reports.latent_map import LatentMap, SideMap
from ternary_vae.reports.measurements import Measurements
from ternary_vae.resolution.records import CoupledRecord, CoveragePoint, IsolatedRecord, ResolutionCurve

_TERMS_FIRST = ("loss", "reconstruction_a", "reconstruction_b", "kl_a", "kl_b")  # what every run is trained for
_METRICS = (
    "epoch", "exact_match_a", "exact_match_b", "exact_match_best_of_two", "exact_match_coupled_a",
    "exact_match_coupled_b", "coverage", "complementarity", "share_a", "rho", "gate_open",
    "temperature_a", "temperature_b", "beta_a", "beta_b", "lambda1", "lambda2", "lambda3", "balance",
)  # fmt: skip
_CORRECTIONS = ("learning_rate", "lambda1", "lambda2", "lambda3", "rho")
_SHORT = 32_767


def page_data(measured: Measurements, latent_map: LatentMap | None) -> dict[str, Any]:
    """Everything the script needs; the map is None where the run has no checkpoint."""
    terms = terms_logged(measured)
    metrics = {name: measured.column(name) for name in (*_METRICS, *(f"terms.{term}" for term in terms))}
    for name in _CORRECTIONS:
        metrics[f"statenet.{name}"] = measured.column(f"statenet.corrections.{name}")
    return {
        "epochs": measured.epochs,
        "phases": [{**span._asdict(), "name": PHASE_NAMES[span.number - 1]} for span in measured.phases],
        "metrics": {name: [_short(value) for value in column] for name, column in metrics.items()},
        "terms": terms,
        "milestones": _milestones(measured),
        "expected": {
            "band": [p for p in expected_band(measured.recipe.schedule_epochs) if p[0] <= measured.epochs],
            "coverage": AT_MILESTONE[PLAN_EPOCHS]["coverage"].low,
            "share": [THROUGHOUT["share_a"].low, THROUGHOUT["share_a"].high],
        },
        "curves": [_curves(epoch, record) for epoch, record in sorted(measured.isolated.items())],
        "draws": _draws(measured),
        "uniform_model": UNIFORM_MODEL,
        "events": [event_row(event) for event in measured.events],
        "map": None if latent_map is None else _packed(latent_map),
    }


def terms_logged(measured: Measurements) -> list[str]:
    """The terms of the objective that a run's log has, whoever has defined them; those of every run first."""
    logged = dict.fromkeys(name for row in measured.metrics for name in row.get("terms") or {})
    return [*(name for name in _TERMS_FIRST if name in logged), *(n for n in logged if n not in _TERMS_FIRST)]


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
    epochs = measured.milestones

    def isolated(pick: Callable[[IsolatedRecord], float | None]) -> list[float | None]:
        return [pick(measured.isolated[epoch]) if epoch in measured.isolated else None for epoch in epochs]

    def coupled(pick: Callable[[CoupledRecord], float | None]) -> list[float | None]:
        return [pick(measured.coupled[epoch]) if epoch in measured.coupled else None for epoch in epochs]

    limits = [record.cross_injected_sampling_rho_07.coverage_limit for record in measured.coupled.values()]
    return {
        "epoch": epochs,
        "vae_a": isolated(lambda r: r.vae_a.reconstruction.exact_match_rate),
        "vae_b": isolated(lambda r: r.vae_b.reconstruction.exact_match_rate),
        "half_sigma_a": isolated(lambda r: r.vae_a.resolution_curve.half_sigma),
        "half_sigma_b": isolated(lambda r: r.vae_b.resolution_curve.half_sigma),
        "ensemble": coupled(lambda r: r.ensemble_reconstruction.best_of_two.exact_match_rate),
        "coverage": coupled(lambda r: r.cross_injected_sampling_rho_07.coverage_rate),
        "coverage_low": coupled(lambda r: r.cross_injected_sampling_rho_07.interval.low),
        "coverage_high": coupled(lambda r: r.cross_injected_sampling_rho_07.interval.high),
        "preserved": coupled(lambda r: r.cross_injected_sampling_rho_07.prior_preserving.coverage_rate),
        "preserved_low": coupled(lambda r: r.cross_injected_sampling_rho_07.prior_preserving.interval.low),
        "preserved_high": coupled(lambda r: r.cross_injected_sampling_rho_07.prior_preserving.interval.high),
        "coverage_limit": limits[-1] if limits else None,
        "complementarity": coupled(lambda r: r.complementary_coverage.complementarity_score),
        "by_errors": coupled(lambda r: r.complementary_coverage.complementarity_score_by_errors),
        "share_a": coupled(lambda r: r.complementary_coverage.share_a),
        "correlation": coupled(lambda r: r.latent_coupling.mean_absolute_correlation),
    }


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
    coupled = measured.coupled[max(measured.coupled)] if measured.coupled else None
    found = {
        "a": series(isolated.vae_a.sampling_coverage.by_draws if isolated else []),
        "b": series(isolated.vae_b.sampling_coverage.by_draws if isolated else []),
        "both": series(coupled.cross_injected_sampling_rho_07.by_draws if coupled else []),
    }
    every = [draws for one in found.values() for draws in one["draws"]] or [1_000, 100_000]
    grid = np.unique(np.geomspace(min(every), max(every), 80).round().astype(int)).tolist()
    limit = {"draws": grid, "rate": [round(coverage_limit(draws), 6) for draws in grid]}
    return {**found, "limit": limit, "reach": max(every)}


def _packed(latent_map: LatentMap) -> dict[str, Any]:
    return {
        "epoch": latent_map.epoch,
        "home": _base64(np.array([2, 0, 1])[latent_map.home], np.uint8),  # A, B, neither: 1, −1 and 0 as indices
        "a": _packed_side(latent_map.a),
        "b": _packed_side(latent_map.b),
        "gates": gate_names(),
    }


def _packed_side(side: SideMap) -> dict[str, Any]:
    """Positions as 16-bit integers times a scale: far finer than a pixel, and a third of the size of decimals."""
    reach = np.maximum(np.abs(side.positions).max(axis=0), 1e-12)
    steps = np.rint(side.positions / reach * _SHORT)
    return {
        "positions": [_base64(steps[:, axis], np.dtype("<i2")) for axis in range(steps.shape[1])],
        "scales": [float(f"{value / _SHORT:.9g}") for value in reach],
        "variance": [round(float(share), 4) for share in side.variance],
        "errors": _base64(side.errors, np.uint8),
        "neighbour": _base64(side.neighbour_distance, np.uint8),
    }


def _base64(values: np.ndarray, kind: Any) -> str:
    return base64.b64encode(values.astype(kind).tobytes()).decode()


def _short(value: Any) -> Any:
    """Six significant digits: 400 epochs of full doubles would weigh more than the map. Exactly 1 stays 1, and
    nothing else becomes it."""
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    rounded = float(f"{value:.6g}")
    return value if rounded == 1 != value else rounded
