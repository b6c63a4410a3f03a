"""The table of figures: what is measured, its name and unit, where it is read, what the plan expects of it, and what
is demanded. README's table, verdicts, reports, pages, experiments and TensorBoard read it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from types import UnionType
from typing import Any, Literal, NamedTuple, get_args

from ternary_vae.descriptions import Section
from ternary_vae.errors import nearest
from ternary_vae.formats import DIGITS, NOTHING, Unit, beside_uniform, in_unit, number, of_a_sample
from ternary_vae.recipe import FULL_COVERAGE_DRAWS, TruthTables
from ternary_vae.resolution.intervals import Bounds, smaller_over_larger
from ternary_vae.resolution.records import CoupledRecord, IsolatedRecord, Sampled, Uniformity

Direction = Literal[-1, 0, 1]
Source = Literal["metrics", "isolated", "coupled"]
LevelName = Literal["minimum", "target", "stretch"]
Place = str | Callable[[Any], "float | None"]
"""Where a figure is read, a dotted path or a function of what it is read from."""

PLAN_EPOCHS = 400
"""The length of run that the plan's milestones are written for."""
SUSTAINED_EPOCHS = 20
"""Epochs with both VAEs at 100% that the plan's stretch goals ask for."""


@dataclass(frozen=True)
class Expected:
    """What is expected of a figure, or demanded: a value or a band, ends included.

    Attributes:
        low, high: bounds; None where there is none.
        section: of the plan.
    """

    low: float | None
    high: float | None = None
    section: str = ""

    def text(self, unit: Unit = "share") -> str:
        """As a reader sees it: `≥ 95%`, `60–75%`, `0.26`, `≤ 0.26`."""
        if self.low is None or self.high is None:
            sign, end = ("≤", self.high) if self.low is None else ("≥", self.low)
            perfect = unit == "share" and end == self.low == 1
            return "100%" if perfect else f"{sign} {_bare(end or 0.0, unit)}"
        low, high = _bare(self.low, unit), _bare(self.high, unit)
        return low if low == high else f"{low.removesuffix('%')}–{high}"

    def standing(self, measured: float) -> Literal["below", "within", "above"]:
        """Where a measurement lies. A single expected value counts as reached to the digits the plan gives it with, but
        100% is all."""
        slack = 5e-5 if self.low == self.high != 1 else 0.0
        if self.low is not None and measured < self.low - slack:
            return "below"
        return "within" if self.high is None or measured <= self.high + slack else "above"

    def met(self, measured: float | None) -> bool:
        """Whether a measurement lies within; what was not measured does not."""
        return measured is not None and self.standing(measured) == "within"

    def margin(self, measured: float | None) -> float:
        """How far inside a measurement lies; negative outside, and least where nothing was measured."""
        if measured is None:
            return -math.inf
        below = math.inf if self.low is None else measured - self.low
        return min(below, math.inf if self.high is None else self.high - measured)


def _bare(bound: float, unit: Unit) -> str:
    if unit in ("share", "points"):
        return f"{100 * bound:.10g}{'%' if unit == 'share' else ' points'}"
    return f"{bound:.2f}" if unit == "score" else f"{bound:g}"


@dataclass(frozen=True)
class Measure:
    """One figure of a run at one epoch.

    Attributes:
        key: its name in files.
        title: its name for people.
        better: 1 if more is better, -1 if less is, 0 if neither.
        row, isolated, coupled: where it is read in a row of metrics.jsonl, in `manifold_resolution_{N}.json` and in
            `coupled_resolution_{N}.json`, as far as it is there.
        heading: its name at the head of a column; the title unless given.
        detail: how it is measured, where there is room to say so.
        limit: what it can reach at most, where that is known.
        uniform: where it is read what a perfectly uniform model reaches on average, in the same place as the figure.
        drawn: its 95% interval by counts in a record, where operations were drawn at random.
        expected: what the plan expects, by epoch of a run of 400.
        throughout: what the plan expects all the way.
        compared: whether experiments compare arms by it. Each further measure widens the family that they correct for.
        more, less: how a sentence says that one arm has so much more or less than another.
    """

    key: str
    title: str
    unit: Unit
    better: Direction
    row: Place | None = None
    isolated: Place | None = None
    coupled: Place | None = None
    heading: str = ""
    detail: str = ""
    limit: float | None = None
    uniform: Place | None = None
    drawn: Callable[[CoupledRecord], Bounds | None] | None = None
    expected: Mapping[int, Expected] = field(default_factory=dict)
    throughout: Expected | None = None
    compared: bool = True
    more: str = "is {} above"
    less: str = "is {} below"

    @property
    def name(self) -> str:
        """The title, with how it is measured."""
        return f"{self.title} ({self.detail})" if self.detail else self.title

    @property
    def head(self) -> str:
        """Its name at the head of a column."""
        return self.heading or self.title

    @property
    def source(self) -> Source:
        """Where an experiment reads it, the log of every epoch if it is there."""
        return "metrics" if self.row is not None else "isolated" if self.isolated is not None else "coupled"

    def read(self, found: dict[str, Any] | IsolatedRecord | CoupledRecord | None) -> float | None:
        """The figure as a row or a record has it; None where it is not there.

        Raises:
            ValueError: if a row holds something else than a number.
        """
        return _read(self._place(found), found, self.key)

    def read_uniform(self, found: dict[str, Any] | IsolatedRecord | CoupledRecord | None) -> float | None:
        """What a perfectly uniform model reaches on average, beside the figure as a row or a record has it."""
        return None if self._place(found) is None else _read(self.uniform, found, self.key)

    def of_milestone(self, isolated: IsolatedRecord | None, coupled: CoupledRecord | None) -> float | None:
        """The figure as a milestone's records have it."""
        found = self.read(isolated)
        return self.read(coupled) if found is None else found

    def sampled(self, record: IsolatedRecord | CoupledRecord) -> Sampled | None:
        """On how many operations drawn at random a record's figure was measured, and its interval; None where it was
        measured on all, or is nothing of that kind."""
        place = self._place(record)
        if not isinstance(place, str) or "exact_match_rate" not in place:
            return None
        # It stands beside the rate, under the same suffix.
        return getattr(self.part(record), place.rpartition(".")[2].replace("exact_match_rate", "sampled"), None)

    def bounds(self, record: IsolatedRecord | CoupledRecord) -> Bounds | None:
        """Where a figure's 95% interval lies; None where it has none."""
        if not isinstance(self._place(record), str):
            return None
        if self.drawn is not None and isinstance(record, CoupledRecord):
            return self.drawn(record)
        part = self.part(record)
        # Of draws that agree it stands beside their share, which is the one figure of that part.
        found = self.sampled(record) or (part if isinstance(part, Uniformity) else getattr(part, "interval", None))
        return None if found is None else Bounds(found.low, found.high)

    def in_context(self, found: dict[str, Any] | IsolatedRecord | CoupledRecord | None) -> str:
        """The figure as people read it, beside what a uniform model reaches on average where that is known, or, where
        only some operations were measured, with their number and what the share of all is at least."""
        value, uniform = self.read(found), self.read_uniform(found)
        if uniform is not None:
            return beside_uniform(value, uniform)
        sampled = None if found is None or isinstance(found, dict) else self.sampled(found)
        if value is None or sampled is None:
            return self.value(value)
        return of_a_sample(value, sampled.operations, sampled.low)

    def part(self, record: IsolatedRecord | CoupledRecord) -> Any:
        """The part of a record in which the figure lies, with its interval and whatever else was measured with it."""
        place = self._place(record)
        assert isinstance(place, str)
        return reduce(_part, place.split(".")[:-1], record)

    def _place(self, found: Any) -> Place | None:
        if found is None or isinstance(found, dict):
            return self.row
        return self.isolated if isinstance(found, IsolatedRecord) else self.coupled

    def expected_at(self, epoch: int, schedule_epochs: int = PLAN_EPOCHS) -> Expected | None:
        """What the plan expects at a milestone, or None where it says nothing.

        Args:
            schedule_epochs: length the recipe's schedules are scaled to; the plan's milestones scale with them.
        """
        return next((one for at, one in self._expected_of(schedule_epochs) if at == epoch), None)

    def expected_band(self, schedule_epochs: int = PLAN_EPOCHS) -> list[tuple[int, float, float]]:
        """(epoch, low, high) of what the plan expects, as a band to draw; "or more" reaches up to 1."""
        return [
            (epoch, one.low or 0.0, 1.0 if one.high is None else one.high)
            for epoch, one in self._expected_of(schedule_epochs)
        ]

    def _expected_of(self, schedule_epochs: int) -> list[tuple[int, Expected]]:
        ratio = schedule_epochs / PLAN_EPOCHS
        return [(max(1, round(epoch * ratio)), one) for epoch, one in self.expected.items()]

    # ------------------------------------------------------------ for people

    @property
    def factor(self) -> int:
        """What figures are multiplied with for people; shares are percentages, and differences of them points."""
        return 100 if self.unit in ("share", "points") else 1

    @property
    def unit_word(self) -> str:
        """The unit of a difference, with a space before it."""
        return {"share": " points", "points": " points", "bits": " bits", "nats": " nats"}.get(self.unit, "")

    @property
    def bounded(self) -> bool:
        """Whether it lies between 0 and 1."""
        return self.unit in ("share", "points", "score") and self.limit is not None

    def room(self, mean: float) -> float:
        """The most by which another value can differ from this one."""
        return max(mean, 1 - mean) if self.bounded else math.inf

    def value(self, amount: float | None, beside: Expected | None = None) -> str:
        """A value as people read it.

        Args:
            beside: what it is held against. Decimals are added until the value is seen to lie on the side of each
                bound on which it lies: 0.6999 beside at least 0.70.
        """
        if amount is None:
            return NOTHING
        usual = DIGITS[self.unit]
        texts = (in_unit(amount, self.unit, digits) for digits in range(usual, 17))
        return next((text for text in texts if beside is None or self._agrees(text, amount, beside)), repr(amount))

    def _agrees(self, text: str, amount: float, bounds: Expected) -> bool:
        shown = float(re.sub(r"[^\d.−]", "", text).replace("−", "-"))
        low, high = (None if end is None else round(self.factor * end, 10) for end in (bounds.low, bounds.high))
        return (low is None or (shown >= low) == (amount >= bounds.low)) and (
            high is None or (shown <= high) == (amount <= bounds.high)
        )

    def interval(self, low: float | None, high: float | None) -> str:
        """An interval of values, cut at 0 and 1 where values are; a dash where there is none."""
        if low is None or high is None:
            return NOTHING
        if self.bounded:
            low, high = (min(1.0, max(0.0, end)) for end in (low, high))
        return f"{self.value(low)} to {self.value(high)}"

    def difference(self, amount: float, digits: int | None = None) -> str:
        """A signed difference with its unit: `+0.31 points`."""
        return number(self.factor * amount, digits or DIGITS[self.unit], signed=True) + self.unit_word

    def size(self, amount: float, digits: int | None = None) -> str:
        """A difference without its sign: `0.31 points`."""
        return number(self.factor * abs(amount), digits or DIGITS[self.unit]) + self.unit_word

    def span(self, low: float, high: float, digits: int) -> str:
        """An interval of differences: `−0.10 to +0.25 points`."""
        first = number(self.factor * low, digits, signed=True)
        return f"{first} to {number(self.factor * high, digits, signed=True)}{self.unit_word}"

    def digits_for(self, width: float | None) -> int:
        """Decimals that show two figures of an interval's half width, and at least the usual ones."""
        usual = DIGITS[self.unit]
        if not width:
            return usual
        return max(usual, min(6, 1 - math.floor(math.log10(self.factor * width))))


def _read(place: Place | None, found: Any, key: str) -> float | None:
    if place is None or found is None:
        return None
    if callable(place):
        value = place(found)
    elif isinstance(found, dict):
        value = looked_up(found, place)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError(f"{key} is {value!r}, not a number")
    else:
        value = reduce(_part, place.split("."), found)
    return None if value is None else float(value)


def looked_up(row: Any, place: str) -> Any:
    """What lies at a dotted place of a row; None where nothing does. A name there may have dots itself, as those of
    registered terms."""
    if not isinstance(row, dict):
        return None
    name, _, rest = place.partition(".")
    return row[place] if place in row else looked_up(row.get(name), rest) if rest else None


def _part(section: Any, name: str) -> Any:
    """A part of a record; None where the record is of an earlier version and lacks it."""
    if section is None or (section.model_extra is not None and name not in type(section).model_fields):
        return section and section.model_extra.get(name)
    return getattr(section, name)


_share = partial(Measure, unit="share", better=1, limit=1.0)
_score = partial(Measure, unit="score", limit=1.0)
_exact = partial(_share, more="reconstructs {} more than", less="reconstructs {} less than")
_covers = partial(_share, more="covers {} more than", less="covers {} less than")
_MIXED, _PRESERVED = "cross_injected_sampling_rho_07", "cross_injected_sampling_rho_07.prior_preserving"
_HOMES = "complementary_coverage"
_STRATEGIES = ("best_of_two", "voting", "confidence_weighted", "majority", "product_of_experts")
_EXPECTED_OF_A = {
    3: Expected(0.1487, 0.1487, "2"),
    100: Expected(0.20, 0.30, "2"),
    120: Expected(0.30, 0.50, "2"),
    150: Expected(0.50, 0.60, "2"),
    200: Expected(0.60, 0.75, "2"),
    250: Expected(0.75, 0.85, "2"),
    300: Expected(0.85, 0.90, "2"),
    350: Expected(0.90, 0.95, "2"),
    400: Expected(0.95, None, "2, 6"),
}
_PERFECT = {section: dict.fromkeys(_EXPECTED_OF_A, Expected(1.0, 1.0, section)) for section in ("1, 2, 6", "4")}


def _of_every_epoch() -> Iterator[Measure]:
    for side, expected in (("a", _EXPECTED_OF_A), ("b", _PERFECT["4"])):
        vae = f"VAE-{side.upper()}"
        yield _exact(
            f"exact_match_{side}", f"Exact match of {vae}", row=f"exact_match_{side}",
            isolated=f"vae_{side}.reconstruction.exact_match_rate", heading=f"{vae} exact", expected=expected,
        )  # fmt: skip
    for key in _STRATEGIES:
        headline, words = key == "best_of_two", key.replace("_", " ")
        yield _exact(
            f"exact_match_{key}", f"Exact match of the ensemble ({words})", row=f"exact_match_{key}", compared=headline,
            coupled=f"ensemble_reconstruction.{key}.exact_match_rate",
            heading="Ensemble exact" if headline else words.capitalize(),
            expected=_PERFECT["1, 2, 6"] if headline else {},
            throughout=Expected(0.999, None, "2") if headline else None,
        )  # fmt: skip
    for side in "ab":
        yield _exact(
            f"exact_match_coupled_{side}", f"Exact match of VAE-{side.upper()}, coupled",
            row=f"exact_match_coupled_{side}", coupled=f"coupled_reconstruction.exact_match_rate_{side}",
        )  # fmt: skip
    yield _covers("coverage", "Coverage, both VAEs, not mixed", row="coverage", uniform="coverage_limit")
    for side in "ab":
        title = f"Coverage of VAE-{side.upper()}"
        yield _covers(f"coverage_{side}", title, row=f"coverage_{side}", uniform="coverage_single_limit")
    yield _score("complementarity", "Complementarity, few draws", better=1, row="complementarity")
    for side in "ab":
        yield Measure(f"kl_{side}", f"KL divergence of VAE-{side.upper()}", "nats", 0, row=f"terms.kl_{side}")
    yield Measure("rho", "Permeability ρ", "number", 0, row="rho", heading="ρ", compared=False)
    yield Measure(
        "epochs_both_exact", "Epochs with both VAEs at 100%", "epochs", 1, compared=False,
        row=lambda row: row.get("exact_match_a") == row.get("exact_match_b") == 1,
    )  # fmt: skip
    yield Measure(
        "epochs_covering_all", "Epochs in which each VAE alone met every operation", "epochs", 1, compared=False,
        detail=f"{FULL_COVERAGE_DRAWS:,} decoded draws",
        row=lambda row: row.get("covered_all_a") and row.get("covered_all_b"),
    )  # fmt: skip


def _of_both_vaes() -> Iterator[Measure]:
    yield _score(
        "complementarity_score", "Complementarity", better=1, coupled=f"{_HOMES}.complementarity_score",
        drawn=_of_drawn_homes,
        expected={3: Expected(0.0, 0.0, "4"), 400: Expected(0.60, None, "4, 6")},
    )  # fmt: skip
    yield _covers(
        "coverage_rho_07", "Coverage, mixed, ρ = 0.7", coupled=f"{_MIXED}.coverage_rate",
        uniform=f"{_MIXED}.coverage_limit", heading="Coverage, ρ = 0.7", detail="decoded, 100,000 draws",
        expected={3: Expected(0.8480, 0.8480, "3"), 400: Expected(0.90, None, "2, 6")},
    )  # fmt: skip
    yield _covers(
        "coverage_rho_07_prior_preserving", "Coverage, mixed, ρ = 0.7, prior preserved",
        coupled=f"{_PRESERVED}.coverage_rate", uniform=f"{_PRESERVED}.coverage_limit", heading="Prior preserved",
    )  # fmt: skip
    place = "cross_injected_sampling_rho_05.coverage"
    yield _covers("coverage_rho_05", "Coverage, mixed, ρ = 0.5", coupled=f"{place}_rate", uniform=f"{place}_limit")
    yield Measure(
        "ensemble_gain", "Gain of the ensemble under noise", "points", 1, coupled=f"{_HOMES}.ensemble_gain", limit=1.0
    )
    for key, name in {"a": "VAE-A", "b": "VAE-B", "ensemble": "the ensemble"}.items():
        place = f"exact_under_noise_{key}"
        yield _exact(place, f"Exact match of {name} under noise", coupled=f"{_HOMES}.{place}")
    for key in _STRATEGIES[1:]:  # the first is the ensemble above
        yield _exact(
            f"exact_under_noise_{key}", f"Exact match of the ensemble ({key.replace('_', ' ')}) under noise",
            coupled=f"ensemble_under_noise.{key}.exact_match_rate", compared=False,
        )  # fmt: skip
    yield _score(
        "latent_correlation", "Correlation of the two codes (mean of |r|)", better=0, heading="Latent correlation",
        coupled="latent_coupling.mean_absolute_correlation", throughout=Expected(0.26, 0.26, "4"),
    )  # fmt: skip
    yield Measure(
        "mean_correlation", "Mean latent correlation, without its sign", "score", 0, compared=False,
        coupled=lambda record: abs(record.latent_coupling.mean_correlation),
    )  # fmt: skip
    yield _score(
        "complementarity_by_errors", "Complementarity by errors alone", better=1, heading="By errors alone",
        coupled=f"{_HOMES}.complementarity_score_by_errors", compared=False,
    )  # fmt: skip
    yield _share(
        "share_a", "Share of VAE-A in the homes of both", better=0, coupled=f"{_HOMES}.share_a", compared=False,
        heading="Homes A : B", throughout=Expected(0.40, 0.60, "2"),
    )  # fmt: skip
    yield Measure(
        "gain_above_shuffled", "Ensemble's gain under noise, less that of the same VAEs were it chance what is hard "
        "for each", "points", 1, coupled=_gain_above("ensemble_gain_if_shuffled"), compared=False,
    )  # fmt: skip
    yield Measure(
        "gain_above_chance", "Ensemble's gain under noise, less that of two VAEs that fail independently", "points", 1,
        coupled=_gain_above("ensemble_gain_by_chance"), compared=False,
    )  # fmt: skip
    yield Measure(
        "time_overhead", "Ensemble's cost in time", "share", -1, coupled="inference_overhead.time_overhead",
        throughout=Expected(None, 0.05, "1"), compared=False,
    )  # fmt: skip


def _of_drawn_homes(record: CoupledRecord) -> Bounds | None:
    """The interval of how many operations are at home in A for each in B; of a space that can be listed all were
    measured."""
    homes = record.complementary_coverage
    if record.space.as_space().is_enumerable() or not homes.home_a + homes.home_b:
        return None
    return smaller_over_larger(homes.home_a, homes.home_b)


def _gain_above(reference: str) -> Callable[[CoupledRecord], float | None]:
    def read(record: CoupledRecord) -> float | None:
        other = getattr(record.complementary_coverage, reference)
        return None if other is None else record.complementary_coverage.ensemble_gain - other

    return read


_OF_EACH_VAE = (
    _covers(
        "decoded_coverage", "Coverage of VAE-{}, repeats", isolated="sampling_coverage.decoded.coverage_rate",
        uniform="sampling_coverage.decoded.coverage_limit",
    ),
    _exact(
        "held_out_exact_match", "Exact match of VAE-{} on operations never seen",
        isolated="held_out.test_exact_match_rate", heading="Held out",
    ),
    _share(
        "nearest_neighbours_at_1", "Nearest neighbours of VAE-{} one entry away",
        isolated="nearest_neighbor.hamming_1_rate", heading="Nearest neighbours one entry apart",
        throughout=Expected(1.0, 1.0, "4"),
    ),
    Measure(
        "effective_dimensions", "Effective dimensions of VAE-{}", "number", 0,
        isolated="dimensionality.participation_ratio", heading="Effective dimensions",
    ),
    Measure(
        "half_sigma", "Noise that VAE-{} bears (half σ)", "sigma", 1, isolated="resolution_curve.half_sigma",
        heading="Half σ",
    ),
    _share("between", "Interpolations of VAE-{} between their ends", isolated="interpolation.between_rate"),
    Measure(
        "information", "Information of VAE-{}", "bits", 1, isolated="information.mutual_information_bits",
        heading="Information", uniform="information.limit_bits",
    ),
    Measure(
        "effective_share", "Effective share of the space, VAE-{}", "score", 1, isolated="uniformity.effective_share",
        heading="Effective share of the space", detail="by coincidences of decoded prior draws", compared=False,
    ),
    Measure(
        "one_entry_step", "Step of one entry in VAE-{}, over the mean distance", "score", 0,
        isolated="one_entry_step.share_of_mean_distance", heading="Step of one entry, of the mean distance",
        compared=False,
    ),
    _share(
        "dimensionality_efficiency", "Dimensions of VAE-{} in effect, of all", better=0,
        isolated="dimensionality.efficiency", heading="Dimensions in effect, of all", compared=False,
        throughout=Expected(0.50, 0.50, "4"),
    ),
)  # fmt: skip


def _of_each_vae() -> Iterator[Measure]:
    for one in _OF_EACH_VAE:
        for side in "ab":
            places = {
                name: f"vae_{side}.{place}"
                for name in ("isolated", "uniform")
                if (place := getattr(one, name)) is not None
            }
            heading = f"{one.heading}, {side.upper()}" if one.heading else ""
            yield replace(one, key=f"{one.key}_{side}", title=one.title.format(side.upper()), heading=heading, **places)


MEASURES: dict[str, Measure] = {one.key: one for one in (*_of_every_epoch(), *_of_both_vaes(), *_of_each_vae())}

_OWN = frozenset(MEASURES)


def register(measure: Measure) -> Measure:
    """Adds a measure to the table, and with it to every list of all measures: an experiment's tables and comparisons,
    a page's data and table of milestones, TensorBoard. Call it before reports are written, e.g. where your package is
    imported. What a record or a row does not hold by itself is computed from it by a function:

        register(Measure("errors", "Operations that one VAE has fewer errors in", "number", 0,
                         coupled=lambda record: record.complementary_coverage.errors_a_fewer))

    Returns:
        the measure.

    Raises:
        ValueError: a key that is taken, a unit or a direction that there is not, or a measure that is read nowhere, or
            where no record has a number.
    """
    if measure.key in MEASURES:
        raise ValueError(f"measure {measure.key!r} is there already; choose another key")
    for name, given, known in (("unit", measure.unit, tuple(DIGITS)), ("better", measure.better, get_args(Direction))):
        if given not in known:
            expected = ", ".join(map(repr, known))
            raise ValueError(f"measure {measure.key!r}: {name}: {given!r}; expected one of {expected}")
    if measure.row is measure.isolated is measure.coupled is None:
        raise ValueError(f"measure {measure.key!r} is read nowhere; give it row, isolated or coupled")
    for name, record in (("isolated", IsolatedRecord), ("coupled", CoupledRecord)):
        for place in (getattr(measure, name), measure.uniform):
            if getattr(measure, name) is not None and isinstance(place, str):
                _require_in_schema(place, record, measure.key)
    MEASURES[measure.key] = measure
    return measure


def _require_in_schema(place: str, record: type[Section], key: str) -> None:
    part: Any = record
    for name in place.split("."):
        fields = getattr(part, "model_fields", {})
        if name not in fields:
            if getattr(part, "model_config", {}).get("extra") == "allow":
                return  # what others have registered, such as a strategy of the ensemble
            hint = nearest(name, fields) if fields else "a number or a list has no parts"
            raise ValueError(f"measure {key!r}: {record.__name__} has no {place!r}; {hint}")
        annotation = fields[name].annotation
        kinds = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
        part = next((kind for kind in kinds if hasattr(kind, "model_fields")), None)
    if part is not None:
        raise ValueError(f"measure {key!r}: {place!r} of {record.__name__} is no number; name one in it")


def registered() -> list[Measure]:
    """The measures that were added to the table from outside."""
    return [measure for key, measure in MEASURES.items() if key not in _OWN]


def summary(isolated: IsolatedRecord, coupled: CoupledRecord) -> str:
    """A milestone in one line."""
    figures = (
        ("A", "exact_match_a", isolated),
        ("B", "exact_match_b", isolated),
        ("ensemble", "exact_match_best_of_two", coupled),
        ("coverage", "coverage_rho_07", coupled),
        ("complementarity", "complementarity_score", coupled),
    )
    return "  ".join(f"{word} {MEASURES[key].in_context(record)}" for word, key, record in figures)


def epochs_with(rows: Sequence[dict[str, Any]], key: str) -> int | None:
    """In how many rows a measure counted in epochs holds; None without rows."""
    return sum(bool(MEASURES[key].read(row)) for row in rows) if rows else None


# ---------------------------------------------------------------- what is demanded

CRITERIA: dict[LevelName | Literal["own"], dict[str, float]] = {
    "minimum": {
        "exact_match_best_of_two": 0.999, "exact_match_a": 0.80, "coverage_rho_07": 0.88, "complementarity_score": 0.40,
    },
    "target": {
        "exact_match_best_of_two": 1.0, "exact_match_a": 0.90, "coverage_rho_07": 0.90, "complementarity_score": 0.60,
    },
    "stretch": {
        "exact_match_a": 0.95, "coverage_rho_07": 0.92, "complementarity_score": 0.70,
        "epochs_both_exact": SUSTAINED_EPOCHS,
    },
    "own": {
        "exact_match_a": 1.0, "exact_match_b": 1.0, "exact_match_best_of_two": 1.0, "coverage_rho_07": 0.985,
    },
}  # fmt: skip
"""The least of each measure, for the plan's three levels (section 6) and for this project's own."""

_PLANS_SPACE = TruthTables()
EXACT = ("exact_match_a", "exact_match_b", "exact_match_best_of_two", "exact_match_coupled_a", "exact_match_coupled_b")
"""What has to be exact in every space."""


def criteria_of(space: TruthTables) -> dict[LevelName | Literal["own"], dict[str, float]]:
    """What is demanded of a space. The plan's coverage is of its own space, whose draws meet nearly everything; of
    others the levels say the rest, and coupled decoding has to be exact."""
    if space == _PLANS_SPACE:
        return CRITERIA
    without_coverage = {
        level: {key: least for key, least in lines.items() if key != "coverage_rho_07"}
        for level, lines in CRITERIA.items()
    }
    return without_coverage | {"own": dict.fromkeys(EXACT, 1.0)}


@dataclass(frozen=True)
class Goal:
    """A goal of a run of 400 epochs, beyond the plan's stretch goals; every seed must meet it.

    Attributes:
        keys: measures; the worst of them counts.
        low, high: where the figure must lie.
        over: "end" is the last epoch, of the log as far as it is there; "epochs" the worst of all in the log and
            "milestones" of all that are benchmarked, from `first` on; "count" the number of epochs.
    """

    name: str
    keys: tuple[str, ...]
    low: float | None = None
    high: float | None = None
    over: Literal["end", "epochs", "milestones", "count"] = "end"
    first: int = 1

    @property
    def bounds(self) -> Expected:
        return Expected(self.low, self.high)

    @property
    def measure(self) -> Measure:
        return MEASURES[self.keys[0]]

    def worst(self, values: Sequence[float]) -> float | None:
        """The lowest value, or the largest where only an upper bound is set; None without values."""
        return (max if self.low is None else min)(values, default=None)

    @property
    def required(self) -> str:
        """What is demanded, in words."""
        return self.bounds.text(self.measure.unit).replace("–", " to ")


_ENSEMBLES = ("exact_match_best_of_two", "exact_match_majority")
_OTHER_ENSEMBLES = ("exact_match_voting", "exact_match_confidence_weighted")
_COVERAGES = ("coverage_rho_07", "coverage_rho_07_prior_preserving")
_NEIGHBOURS = ("nearest_neighbours_at_1_a", "nearest_neighbours_at_1_b")
GOALS = (
    Goal("Best of two and majority, lowest of any epoch from 10 on", _ENSEMBLES, 1.0, over="epochs", first=10),
    Goal(
        "Voting and confidence weighted, lowest of any milestone from 100 on", _OTHER_ENSEMBLES, 1.0,
        over="milestones", first=100,
    ),
    Goal("VAE-A alone, exact match at the end", ("exact_match_a",), 1.0),
    Goal("VAE-B alone, exact match at the end", ("exact_match_b",), 1.0),
    Goal("Epochs with both VAEs at 100%", ("epochs_both_exact",), 300, over="count"),
    Goal("Coverage, ρ = 0.7, at the end", _COVERAGES[:1], 0.992),
    Goal("Coverage, ρ = 0.7, prior-preserving, at the end", _COVERAGES[1:], 0.992),
    Goal("Coverage of both, lowest of any epoch after 60", ("coverage",), 0.98, over="epochs", first=61),
    Goal("Coverage of VAE-A alone, 50,000 draws, at the end", ("decoded_coverage_a",), 0.915),
    Goal("Coverage of VAE-B alone, 50,000 draws, at the end", ("decoded_coverage_b",), 0.915),
    Goal("Complementarity at the end", ("complementarity_score",), 0.9),
    Goal(
        "Complementarity, lowest of any milestone from 250 on", ("complementarity_score",), 0.7, over="milestones",
        first=250,
    ),
    Goal(MEASURES["gain_above_shuffled"].title, ("gain_above_shuffled",), 0.0),
    Goal(MEASURES["gain_above_chance"].title, ("gain_above_chance",), 0.0),
    Goal(
        "Mean latent correlation, largest of any milestone, without its sign", ("mean_correlation",), high=0.26,
        over="milestones",
    ),
    Goal("Nearest neighbours at distance 1, lowest of any milestone", _NEIGHBOURS, 1.0, over="milestones"),
    Goal("Effective dimensions of VAE-A at the end", ("effective_dimensions_a",), 8.0, 9.5),
    Goal("Effective dimensions of VAE-B at the end", ("effective_dimensions_b",), 8.0, 9.5),
    Goal("ρ at the end", ("rho",), 0.7),
    Goal(
        "Coupled decoding at the end, lower of the two", ("exact_match_coupled_a", "exact_match_coupled_b"), 1.0,
        over="milestones", first=PLAN_EPOCHS,
    ),
)  # fmt: skip
"""This project's goals for the default recipe."""


class Demands(NamedTuple):
    """What every seed of another space must reach beside exactness; None where nothing is demanded.

    Attributes:
        time: of training, at most so many times that of the default recipe on the same machine.
        coverage_below: how far that of both VAEs may lie below a uniform model's.
        effective_share: of either VAE, at least.
    """

    time: float | None = None
    coverage_below: float | None = None
    effective_share: float | None = None


DEMANDS = {
    (3, 1): Demands(0.3, coverage_below=0.0),
    (2, 2): Demands(0.3, coverage_below=0.0),
    (2, 3): Demands(0.3, coverage_below=0.0),
    (2, 4): Demands(1.5, coverage_below=0.003),
    (4, 2): Demands(2.0, effective_share=0.9),
    (3, 3): Demands(3.0, effective_share=0.75),
    (5, 2): Demands(4.0),
    (2, 5): Demands(4.0),
}
"""By values and inputs. Of spaces that cannot be listed, evenness is demanded where enough draws agree to tell it."""
