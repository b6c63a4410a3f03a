"""The schema of structure records."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ternary_vae.descriptions import Section
from ternary_vae.recipe import TruthTables
from ternary_vae.resolution.records import Draws, Header, ResolutionCurve, Share, read_record


class Spread(Section):
    """Mean and spread of repeats."""

    mean: float
    standard_deviation: float
    least: float
    most: float
    repeats: int


class DistanceAtHamming(Section):
    """Distance in the code of random pairs that differ in so many entries; `low` and `high` are its 5% and 95%
    quantiles."""

    hamming: int
    pairs: Draws
    mean: float
    standard_deviation: float
    low: float
    high: float


class Distances(Section):
    """Rank correlations (Spearman) of distance in the code with distances between operations, over random pairs."""

    pairs: Draws
    hamming: float
    """With the number of entries that differ."""
    class_steps: float
    """With the sum over entries of how many values lie between the two."""
    class_steps_given_hamming: float
    """Among pairs of equal Hamming distance."""
    adic: float
    """With the q-adic distance q^(−v(i − j)) of the indices."""
    adic_given_hamming: float
    adic_other_digit_orders: Spread
    """The same where entries are digits in random other orders."""
    adic_given_hamming_other_digit_orders: Spread
    adic_random_numbering: Spread
    """The same where operations are numbered at random."""
    adic_given_hamming_random_numbering: Spread
    by_hamming: list[DistanceAtHamming]


class EntryLevels(Section):
    """Where the values of one entry lie in the code, on average over all else."""

    dimension: int
    """In which they differ most."""
    aligned_share: Share
    """Of their variance, in that dimension."""
    line_share: Share
    """Of their variance, on the straight line that comes nearest."""
    order: list[int]
    """The values in their order on that line."""
    levels: list[float]
    """Their places on it, ascending."""


class Axes(Section):
    """What each dimension carries."""

    active_threshold: float
    active_units: int
    """Dimensions whose means vary by more than the threshold (Burda et al. 2016)."""
    variances: list[float]
    """Of each dimension's means."""
    carried: list[list[float]]
    """For each dimension, the share of its variance that each entry alone explains."""
    one_entry_share: float
    """The share that the entry of each active dimension explains, on average."""
    additive_share: Share
    """Of the whole variance, what entries explain one by one; the rest needs several together."""
    variance_an_entry: float
    """The whole variance over the number of entries. 0.79 for ideal axes of three levels."""
    largest_cosine: float
    """Between the lines of two entries; 0 where all are at right angles."""
    entries: list[EntryLevels]


class Accuracy(Section):
    """Share of entries, and of whole tables, that are right."""

    entry_rate: Share
    exact_rate: Share


class AffineMap(Section):
    """A symmetry of the operations as an affine map of the code, fitted on one part, judged on the rest."""

    fitted_on: int
    judged_on: int
    explained: float
    """Share of the code's variance (R²)."""
    entry_rate: Share
    exact_rate: Share


class Arithmetic(Section):
    """Decoded points against tables."""

    pairs: Draws
    sum_in_range: Accuracy
    """z(f) + z(g) − z(0) against f + g, of pairs that need no wrap-around."""
    sum_modulo: Accuracy
    """Of any pairs, against the sum modulo the number of values."""
    sum_cut: Accuracy
    """Of any pairs, against the sum cut at the lowest and the highest value."""
    negation: Accuracy
    """−z(f) against −f."""
    affine_maps: dict[str, AffineMap]


class Paths(Section):
    """Straight lines between random pairs."""

    pairs: Draws
    steps: int
    between_rate: Share
    """Share of inner points every entry of which lies between the two ends'."""
    operations_between: float
    """Different operations met on the way, other than the ends."""
    mean_hamming: float
    """Between the ends. A line that changes one entry after the other meets one operation fewer, or more where it
    passes through values between."""
    single_entry_rate: Share
    """Share of the changes on the way that alter one entry only."""
    unevenness: float
    """Mean distance between the share of the line travelled and the share of the Hamming distance."""


class Noise(Section):
    """Exact match of points + σ·ε against σ."""

    measured: ResolutionCurve
    ideal_axes: ResolutionCurve
    """The limit of an axis an entry, spread as the prior, in closed form."""


class CodeStructure(Section):
    """All measures of one code."""

    exact_match_rate: Share
    distances: Distances
    axes: Axes
    arithmetic: Arithmetic
    paths: Paths
    noise: Noise


class Probe(Section):
    """A property, read by linear probes from codes, by name of the code."""

    shares: dict[int, Share]
    """Of the operations, by the property's value; 1 is true."""
    left_out: int
    """Operations whose value too few others have."""
    chance: Share
    balanced_accuracy: dict[str, Spread]
    """Mean and spread over the folds. Nothing where only one value is common enough."""


class StructureRecord(Section):
    """`structure_{N}.json`: what the code of each VAE knows about operations, beside codes that are known."""

    kind: Literal["structure"] = "structure"
    header: Header
    space: TruthTables = TruthTables()
    operations: int
    """How many were looked at."""
    all_operations: bool
    """Whether these are all of the space; else a uniform sample."""
    codes: dict[str, CodeStructure]
    """`vae_a` and `vae_b`; `ideal_axes_a` and `ideal_axes_b`, axes of equally likely levels in the order in which the
    VAE's lie; `random_orthogonal`, of as many dimensions."""
    probes: dict[str, Probe]
    """By property; none where probes were left out."""


def read_structure_record(path: str | Path) -> StructureRecord:
    """Reads `structure_{N}.json`; errors as `read_isolated_record`."""
    return read_record(Path(path), StructureRecord)
