"""What arms are compared by: every measure with its unit, its direction and where it is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal

from ternary_vae.errors import UserError, nearest
from ternary_vae.formats import NOTHING, number, percent
from ternary_vae.resolution.records import (
    CoupledRecord,
    IsolatedRecord,
    read_coupled_record,
    read_isolated_record,
)
from ternary_vae.storage.runs import RunDirectory

Unit = Literal["share", "score", "sigma", "number", "bits", "nats"]
Direction = Literal[-1, 0, 1]
Source = Literal["metrics", "isolated", "coupled"]
_DIGITS = {"share": 2, "score": 3, "sigma": 3, "number": 2, "bits": 3, "nats": 3}


@dataclass(frozen=True)
class Measure:
    """One figure of a run at one epoch.

    Attributes:
        better: 1 if more is better, -1 if less is, 0 if neither.
        source: a row of metrics.jsonl, or one of the two benchmark records.
        limit: what it can reach at most, where that is known.
        more, less: how a sentence says that one arm has so much more or less than another.
    """

    key: str
    title: str
    unit: Unit
    better: Direction
    source: Source
    read: Callable[[Any], float | None]
    limit: float | None = None
    more: str = "is {} above"
    less: str = "is {} below"

    @property
    def factor(self) -> int:
        """What figures are multiplied with for people: shares are percentages, and differences of them points."""
        return 100 if self.unit == "share" else 1

    @property
    def unit_word(self) -> str:
        """The unit of a difference, with a space before it."""
        return {"share": " points", "bits": " bits", "nats": " nats"}.get(self.unit, "")

    @property
    def bounded(self) -> bool:
        """Whether it lies between 0 and 1."""
        return self.unit in ("share", "score") and self.limit is not None

    def room(self, mean: float) -> float:
        """The most by which another value can differ from this one."""
        return max(mean, 1 - mean) if self.bounded else math.inf

    def value(self, amount: float | None) -> str:
        """A value as people read it."""
        return percent(amount) if self.unit == "share" else number(amount, _DIGITS[self.unit])

    def interval(self, low: float | None, high: float | None) -> str:
        """An interval of values, cut at 0 and 1 where values are; a dash where there is none."""
        if low is None or high is None:
            return NOTHING
        if self.bounded:
            low, high = (min(1.0, max(0.0, end)) for end in (low, high))
        return f"{self.value(low)} to {self.value(high)}"

    def difference(self, amount: float, digits: int | None = None) -> str:
        """A signed difference with its unit: `+0.31 points`."""
        return number(self.factor * amount, digits or _DIGITS[self.unit], signed=True) + self.unit_word

    def size(self, amount: float, digits: int | None = None) -> str:
        """A difference without its sign: `0.31 points`."""
        return number(self.factor * abs(amount), digits or _DIGITS[self.unit]) + self.unit_word

    def span(self, low: float, high: float, digits: int | None = None) -> str:
        """An interval of differences: `−0.10 to +0.25 points`."""
        digits = digits or _DIGITS[self.unit]
        first = number(self.factor * low, digits, signed=True)
        return f"{first} to {number(self.factor * high, digits, signed=True)}{self.unit_word}"

    def digits_for(self, width: float | None) -> int:
        """Decimals that show two figures of an interval's half width, and at least the usual ones."""
        usual = _DIGITS[self.unit]
        if not width:
            return usual
        return max(usual, min(6, 1 - math.floor(math.log10(self.factor * width))))


def _row(key: str) -> Callable[[dict[str, Any]], float | None]:
    def read(row: dict[str, Any]) -> float | None:
        value: Any = row
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{key} is {value!r}, not a number")
        return float(value)

    return read


_EXACT = ("reconstructs {} more than", "reconstructs {} less than")
_COVERS = ("covers {} more than", "covers {} less than")


def _of_metrics() -> Iterator[Measure]:
    names = {
        "a": "VAE-A", "b": "VAE-B", "best_of_two": "the ensemble (best of two)", "coupled_a": "VAE-A, coupled",
        "coupled_b": "VAE-B, coupled",
    }  # fmt: skip
    for key, name in names.items():
        column = f"exact_match_{key}"
        yield Measure(column, f"Exact match of {name}", "share", 1, "metrics", _row(column), 1.0, *_EXACT)
    for key, title in {
        "coverage": "Coverage, both VAEs, not mixed",
        "coverage_a": "Coverage of VAE-A",
        "coverage_b": "Coverage of VAE-B",
    }.items():
        yield Measure(key, title, "share", 1, "metrics", _row(key), 1.0, *_COVERS)
    yield Measure("complementarity", "Complementarity, few draws", "score", 1, "metrics", _row("complementarity"), 1.0)
    for side in "ab":
        title = f"KL divergence of VAE-{side.upper()}"
        yield Measure(f"kl_{side}", title, "nats", 0, "metrics", _row(f"terms.kl_{side}"))


_COUPLED: tuple[tuple[str, str, Unit, Direction, str], ...] = (
    ("complementarity_score", "Complementarity", "score", 1, "complementary_coverage.complementarity_score"),
    ("coverage_rho_07", "Coverage, mixed, ρ = 0.7", "share", 1, "cross_injected_sampling_rho_07.coverage_rate"),
    (
        "coverage_rho_07_prior_preserving", "Coverage, mixed, ρ = 0.7, prior preserved", "share", 1,
        "cross_injected_sampling_rho_07.prior_preserving.coverage_rate",
    ),
    ("coverage_rho_05", "Coverage, mixed, ρ = 0.5", "share", 1, "cross_injected_sampling_rho_05.coverage_rate"),
    ("ensemble_gain", "Gain of the ensemble under noise", "share", 1, "complementary_coverage.ensemble_gain"),
    (
        "exact_under_noise_a", "Exact match of VAE-A under noise", "share", 1,
        "complementary_coverage.exact_under_noise_a",
    ),
    (
        "exact_under_noise_b", "Exact match of VAE-B under noise", "share", 1,
        "complementary_coverage.exact_under_noise_b",
    ),
    (
        "exact_under_noise_ensemble", "Exact match of the ensemble under noise", "share", 1,
        "complementary_coverage.exact_under_noise_ensemble",
    ),
    (
        "latent_correlation", "Correlation of the two codes (mean of |r|)", "score", 0,
        "latent_coupling.mean_absolute_correlation",
    ),
)  # fmt: skip
_ISOLATED: tuple[tuple[str, str, Unit, Direction, str], ...] = (
    ("decoded_coverage", "Coverage of VAE-{}, repeats", "share", 1, "sampling_coverage.decoded.coverage_rate"),
    (
        "held_out_exact_match", "Exact match of VAE-{} on operations never seen", "share", 1,
        "held_out.test_exact_match_rate",
    ),
    (
        "nearest_neighbours_at_1", "Nearest neighbours of VAE-{} one entry away", "share", 1,
        "nearest_neighbor.hamming_1_rate",
    ),
    ("effective_dimensions", "Effective dimensions of VAE-{}", "number", 0, "dimensionality.participation_ratio"),
    ("half_sigma", "Noise that VAE-{} bears (half σ)", "sigma", 1, "resolution_curve.half_sigma"),
    ("between", "Interpolations of VAE-{} between their ends", "share", 1, "interpolation.between_rate"),
    ("information", "Information of VAE-{}", "bits", 1, "information.mutual_information_bits"),
)  # fmt: skip


def _of_records() -> Iterator[Measure]:
    for key, title, unit, better, place in _COUPLED:
        yield Measure(key, title, unit, better, "coupled", attrgetter(place), _limit(unit), *_verbs(title))
    for key, title, unit, better, place in _ISOLATED:
        for side in "ab":
            told, read = title.format(side.upper()), attrgetter(f"vae_{side}.{place}")
            yield Measure(f"{key}_{side}", told, unit, better, "isolated", read, _limit(unit), *_verbs(told))


def _limit(unit: Unit) -> float | None:
    return 1.0 if unit in ("share", "score") else None


def _verbs(title: str) -> tuple[str, ...]:
    return _COVERS if title.startswith("Coverage") else _EXACT if title.startswith("Exact match") else ()


MEASURES: dict[str, Measure] = {measure.key: measure for measure in (*_of_metrics(), *_of_records())}
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
    found: dict[int, dict[str, float]] = {}
    for epoch in epochs:
        sources: dict[str, dict[str, Any] | IsolatedRecord | CoupledRecord | None] = {"metrics": by_epoch.get(epoch)}
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
