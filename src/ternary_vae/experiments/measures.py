"""What arms are compared by: every measure with its unit, its direction and where it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from ternary_vae.errors import UserError, nearest
from ternary_vae.formats import number, percent, points
from ternary_vae.resolution.records import (
    CoupledRecord,
    IsolatedRecord,
    VaeResolution,
    read_coupled_record,
    read_isolated_record,
)
from ternary_vae.storage.runs import RunDirectory

Unit = Literal["share", "score", "number", "bits", "nats"]
Source = Literal["metrics", "isolated", "coupled"]
_DIGITS = {"share": 2, "score": 3, "number": 2, "bits": 3, "nats": 3}


@dataclass(frozen=True)
class Measure:
    """One figure of a run at one epoch.

    Attributes:
        better: 1 if more is better, -1 if less is, 0 if neither.
        source: a row of metrics.jsonl, or one of the two benchmark records.
        limit: what it can reach at most, where that is known.
    """

    key: str
    title: str
    unit: Unit
    better: Literal[-1, 0, 1]
    source: Source
    read: Callable[[Any], float | None]
    limit: float | None = None

    def value(self, amount: float | None) -> str:
        """A value as people read it."""
        return percent(amount) if self.unit == "share" else number(amount, _DIGITS[self.unit])

    def difference(self, amount: float | None) -> str:
        """A difference, signed: points for shares."""
        if self.unit == "share":
            return points(amount)
        return number(amount, _DIGITS[self.unit], signed=True)

    def size(self, amount: float | None) -> str:
        """A difference without its sign and without `points`."""
        factor = 100 if self.unit == "share" else 1
        return number(None if amount is None else factor * abs(amount), _DIGITS[self.unit])

    @property
    def unit_word(self) -> str:
        return {"share": "points", "bits": "bits", "nats": "nats"}.get(self.unit, "")


def _row(key: str) -> Callable[[dict[str, Any]], float | None]:
    def read(row: dict[str, Any]) -> float | None:
        value: Any = row
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return None if value is None else float(value)

    return read


def _of_metrics() -> Iterator[Measure]:
    names = {
        "a": "VAE-A", "b": "VAE-B", "best_of_two": "the ensemble (best of two)", "coupled_a": "VAE-A, coupled",
        "coupled_b": "VAE-B, coupled",
    }  # fmt: skip
    for key, name in names.items():
        column = f"exact_match_{key}"
        yield Measure(column, f"Exact match of {name}", "share", 1, "metrics", _row(column), 1.0)
    for key, title in {
        "coverage": "Coverage, both VAEs, not mixed",
        "coverage_a": "Coverage of VAE-A",
        "coverage_b": "Coverage of VAE-B",
    }.items():
        yield Measure(key, title, "share", 1, "metrics", _row(key))
    yield Measure("complementarity", "Complementarity, few draws", "score", 1, "metrics", _row("complementarity"), 1.0)
    for side in "ab":
        title = f"KL divergence of VAE-{side.upper()}"
        yield Measure(f"kl_{side}", title, "nats", 0, "metrics", _row(f"terms.kl_{side}"))


def _of_coupled_record() -> Iterator[Measure]:
    def measure(
        key: str, title: str, unit: Unit, better: Any, read: Callable[[CoupledRecord], float | None]
    ) -> Measure:
        return Measure(key, title, unit, better, "coupled", read)

    yield measure(
        "complementarity_score", "Complementarity", "score", 1,
        lambda record: record.complementary_coverage.complementarity_score,
    )  # fmt: skip
    yield measure(
        "ensemble_gain", "Gain of the ensemble under noise", "share", 1,
        lambda record: record.complementary_coverage.ensemble_gain,
    )  # fmt: skip
    for side in ("a", "b", "ensemble"):
        name = "the ensemble" if side == "ensemble" else f"VAE-{side.upper()}"
        yield measure(
            f"exact_under_noise_{side}", f"Exact match of {name} under noise", "share", 1,
            lambda record, side=side: getattr(record.complementary_coverage, f"exact_under_noise_{side}"),
        )  # fmt: skip
    for rho in ("05", "07"):
        told, section = f"ρ = 0.{rho[1]}", f"cross_injected_sampling_rho_{rho}"
        yield measure(
            f"coverage_rho_{rho}", f"Coverage, mixed, {told}", "share", 1,
            lambda record, section=section: getattr(record, section).coverage_rate,
        )  # fmt: skip
        yield measure(
            f"coverage_rho_{rho}_prior_preserving", f"Coverage, mixed, {told}, prior preserved", "share", 1,
            lambda record, section=section: getattr(record, section).prior_preserving.coverage_rate,
        )  # fmt: skip
    yield measure(
        "latent_correlation", "Correlation of the two codes (mean of |r|)", "score", 0,
        lambda record: record.latent_coupling.mean_absolute_correlation,
    )  # fmt: skip


def _of_isolated_record() -> Iterator[Measure]:
    parts: tuple[tuple[str, str, Unit, Any, Callable[[VaeResolution], float | None]], ...] = (
        ("decoded_coverage", "Coverage of VAE-{}, repeats", "share", 1,
         lambda vae: vae.sampling_coverage.decoded.coverage_rate),
        ("held_out_exact_match", "Exact match of VAE-{} on operations never seen", "share", 1,
         lambda vae: vae.held_out.test_exact_match_rate),
        ("nearest_neighbours_at_1", "Nearest neighbours of VAE-{} one entry away", "share", 1,
         lambda vae: vae.nearest_neighbor.hamming_1_rate),
        ("effective_dimensions", "Effective dimensions of VAE-{}", "number", 0,
         lambda vae: vae.dimensionality.participation_ratio),
        ("half_sigma", "Noise that VAE-{} bears (half σ)", "score", 1,
         lambda vae: vae.resolution_curve.half_sigma),
        ("between", "Interpolations of VAE-{} between their ends", "share", 1,
         lambda vae: vae.interpolation.between_rate),
        ("information", "Information of VAE-{}", "bits", 1,
         lambda vae: vae.information.mutual_information_bits),
    )  # fmt: skip
    for key, title, unit, better, read in parts:
        for side in "ab":
            yield Measure(
                f"{key}_{side}", title.format(side.upper()), unit, better, "isolated",
                lambda record, side=side, read=read: read(getattr(record, f"vae_{side}")),
            )  # fmt: skip


MEASURES: dict[str, Measure] = {
    measure.key: measure for measure in (*_of_metrics(), *_of_coupled_record(), *_of_isolated_record())
}
PRIMARY_BENCHMARKED = ("exact_match_a", "exact_match_b", "coverage_rho_07", "complementarity_score")
PRIMARY_UNBENCHMARKED = ("exact_match_a", "exact_match_b", "coverage", "complementarity")


def measures_named(keys: tuple[str, ...]) -> list[Measure]:
    """Measures by key.

    Raises:
        UserError: an unknown key (the nearest is named).
    """
    for key in keys:
        if key not in MEASURES:
            raise UserError(f"primary: unknown measure {key!r}; {nearest(key, MEASURES)}")
    return [MEASURES[key] for key in keys]


def measured_values(run: RunDirectory, epochs: tuple[int, ...]) -> dict[int, dict[str, float]]:
    """Every measure that a run has, by epoch; what was not measured is absent.

    Raises:
        UserError: a damaged file.
    """
    rows = {row["epoch"]: row for row in run.metrics() if row["epoch"] in epochs}
    found: dict[int, dict[str, float]] = {}
    for epoch in epochs:
        sources: dict[str, dict[str, Any] | IsolatedRecord | CoupledRecord | None] = {"metrics": rows.get(epoch)}
        isolated, coupled = run.isolated_record(epoch), run.coupled_record(epoch)
        sources["isolated"] = read_isolated_record(isolated) if isolated.exists() else None
        sources["coupled"] = read_coupled_record(coupled) if coupled.exists() else None
        values = {
            key: measure.read(sources[measure.source])
            for key, measure in MEASURES.items()
            if sources[measure.source] is not None
        }
        found[epoch] = {key: value for key, value in values.items() if value is not None}
    return found
