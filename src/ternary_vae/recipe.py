"""One validated description of a run: YAML in, typed object out.

A recipe is data. Every variant of the system is a recipe; there is no second trainer. Recipes inherit from
one parent with `extends:` and state only what differs. Epochs are counted from 0 while training ("epoch 120"
is the 121st); a milestone or checkpoint N is the state after N epochs.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from numbers import Integral
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic.fields import FieldInfo

from ternary_vae.descriptions import (
    Number,
    Section,
    Switch,
    Whole,
    find_description,
    parse_yaml,
    read_yaml,
    to_yaml,
    validated,
)
from ternary_vae.errors import UserError, nearest, shown
from ternary_vae.space import Space

DEFAULT_RECIPE = "resolution"
MOST_EPOCHS = 1_000_000
FULL_COVERAGE_DRAWS = 195_000
"""With which a perfectly uniform pair of VAEs meets all 19,683 operations in about one of seven times."""
PHASE_NAMES = ("isolation", "consolidation", "resonant coupling", "ultra-exploration")
"""Of the four phases, as the plan calls them."""
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"


@dataclass(frozen=True)
class Scaled:
    """Marks a setting that is in epochs of the schedule: `by` says what it is in a schedule `ratio` times as long."""

    by: Callable[[Any, float], Any]


def _moment(epoch: int, ratio: float) -> int:
    return round(epoch * ratio)


def _span(epochs: int, ratio: float) -> int:
    return max(1, round(epochs * ratio))


def _milestones(epochs: Iterable[int], ratio: float) -> tuple[int, ...]:
    """The start stays the start, and nothing else becomes it."""
    return tuple(sorted({max(1, _moment(epoch, ratio)) if epoch else 0 for epoch in epochs}))


# Every number has bounds, wide enough for whatever somebody could mean: beyond them lie slips of the pen, and what no
# machine holds.
Name = Annotated[str, Field(pattern=NAME, max_length=200)]  # of files, with a seed and an ending beside it
Share = Annotated[Number, Field(ge=0, le=1)]
Positive = Annotated[Number, Field(gt=0, le=1e6)]
Weight = Annotated[Number, Field(ge=-1e6, le=1e6)]
NonNegative = Annotated[Number, Field(ge=0, le=1e6)]
Width = Annotated[Number, Field(gt=0, le=1000)]  # of noise or of a kernel, where the prior has 1
Epoch = Annotated[Whole, Field(ge=0, le=MOST_EPOCHS)]
Epochs = Annotated[Whole, Field(ge=1, le=MOST_EPOCHS)]
Moment = Annotated[Epoch, Scaled(_moment)]  # of the schedule
Span = Annotated[Epochs, Scaled(_span)]
Seed = Annotated[Whole, Field(ge=0, lt=2**32)]  # of more bits a generator on a CPU reads the lower 32
Operations = Annotated[Whole, Field(ge=1, le=1_000_000)]
# Its 5,000,000 a VAE take 1 GB while they are decoded.
CoverageDraws = Annotated[Whole, Field(ge=2, le=10_000_000)]


_REMOVED = {
    "permeability": ("max_step",),
    "gradient_balance": ("close_interval",),
    "objective": (
        "entropy_alignment_differentiable", "decorrelation", "widened_share", "balancing_bound", "balancing_homes_from",
        "balancing_homes_step", "specialisation", "uniformity", "hard_examples", "dimensions",
    ),
    "statenet": ("learning", "learning_rate", "correction_penalty", "validation_batch"),
}  # fmt: skip
_LAST_WITH_REMOVED = "41dfed3"
"""The last commit that knows the settings above."""


_ADDED: dict[str, Any] = {
    "space": {"values": 3, "inputs": 2},
    "data.epoch_operations": None,
    "data.skewed_share": 0.0,
    "data.skewed_delay_epochs": 0,
    "beta.delay_epochs": 0,
    "beta.waiting_share": 0.0,
    "model.latent_dimensions": None,
    "model.width": None,
    "model.decoder_a_width": 1.0,
    "objective.extra": {},
    "objective.translation_error": 0.0,
    "objective.prior_information.moment_weight": 0.0,
    "objective.prior_information.moment_delay_epochs": 0,
    "evaluation.sample": None,
}
"""Settings that came after recipes had fingerprints, and what they are where they are not used."""


def increasing(epochs: Any) -> Any:
    """A validator's step: epochs as a list of each one once, from low to high; a word is left as it is."""
    if not isinstance(epochs, str) and any(later <= earlier for earlier, later in itertools.pairwise(epochs)):
        raise ValueError("give each epoch once, from low to high")
    return epochs


def _key_of_json(key: Any) -> Any:
    """JSON has no keys but text."""
    return int(key) if isinstance(key, str) and re.fullmatch("[0-9]{1,9}", key) else key


def _low_to_high(interval: tuple[float, float]) -> tuple[float, float]:
    if interval[0] > interval[1]:
        raise ValueError("an interval goes from low to high")
    return interval


Interval = Annotated[tuple[NonNegative, NonNegative], AfterValidator(_low_to_high)]
Momentum = Annotated[Number, Field(ge=0, lt=1)]


def _scaled(value: Any, ratio: float, field: FieldInfo | None = None) -> Any:
    if isinstance(value, Section):
        return {name: _scaled(getattr(value, name), ratio, field) for name, field in type(value).model_fields.items()}
    marks = [mark for mark in field.metadata if isinstance(mark, Scaled)] if field else []
    if marks and value is not None:
        return marks[0].by(value, ratio)
    return {key: _scaled(item, ratio) for key, item in value.items()} if isinstance(value, dict) else value


class TruthTables(Section):
    """The space of the operations: all functions of `inputs` inputs over `values` values. Tensors hold an operation's
    index in 64 bits, one of them for the sign, so that there are at most 2^63: of 2 values up to 5 inputs, of 3 up to
    3, of 5 up to 2, of 15 one."""

    values: Annotated[Whole, Field(ge=2, le=36)] = 3
    inputs: Annotated[Whole, Field(ge=1, le=36)] = 2  # more than five are refused below, in words

    @model_validator(mode="after")
    def _indexed(self) -> TruthTables:
        if self.values**self.inputs > 63 or not self.as_space().is_indexed_in_64_bits:
            inputs = f"{self.inputs} input{'s' if self.inputs > 1 else ''}"
            raise ValueError(
                f"{self.values} values and {inputs} have more operations than the 2^63 that an index of 64 bits tells "
                "apart; the largest spaces are 2 values of 5 inputs, 3 of 3, 5 of 2 and 15 of 1"
            )
        return self

    def as_space(self) -> Space:
        """The space itself."""
        return Space(self.values, self.inputs)


class Data(Section):
    """How the operations are split, and how many an epoch has. What is not trained on is held out: of a space that can
    be listed exactly those shares of a permutation, of a larger one whatever a hash of the index says. An epoch trains
    on `epoch_operations`: the first of a permutation, or several permutations, or drawn at random where none can be
    listed. Unless given it has every operation trained on once; where they cannot be listed, as many as there are of
    two ternary inputs. There, from epoch `skewed_delay_epochs` on, `skewed_share` of them are not drawn uniformly but
    as `skewed_operations` says."""

    train_share: Annotated[Number, Field(gt=0, le=1)] = 1.0
    validation_share: Share = 0.0
    epoch_operations: Operations | None = None
    skewed_share: Share = 0.0
    skewed_delay_epochs: Moment = 0

    @model_validator(mode="after")
    def _shares(self) -> Data:
        if self.train_share + self.validation_share > 1 + 1e-9:
            raise ValueError("train_share + validation_share must not exceed 1")
        return self


class Model(Section):
    """The networks. Latent dimensions and the width of layers, 1 being the plan's, follow from the space unless they
    are given; the hidden layers of VAE-A's decoder, which is narrow, are `decoder_a_width` times as wide beside that.
    The injection is a choice, with hidden units in each translation or none, and so is the value that VAE-B puts in the
    middle of its axes, where VAE-A has 0 (of other values than three: by how many places they are rotated)."""

    injection: Literal["plain", "translated"] = "plain"
    translation_units: Annotated[Whole, Field(ge=0, le=1024)] = 0
    middle_value_b: Literal[-1, 0, 1] = 0
    latent_dimensions: Annotated[Whole, Field(ge=2, le=1024)] | None = None
    width: Annotated[Number, Field(gt=0, le=16)] | None = None
    decoder_a_width: Annotated[Number, Field(gt=0, le=16)] = 1.0


class LearningRate(Section):
    """`steps`: epoch → rate, held until the next. `cosine`: linear warm-up, then half a cosine to the floor. What
    StateNet and guards make of either is cut to `bounds`, and so is a rate outside them."""

    kind: Literal["steps", "cosine"] = "steps"
    steps: Annotated[
        dict[Annotated[Epoch, BeforeValidator(_key_of_json)], Positive],
        Scaled(lambda steps, ratio: {_moment(epoch, ratio): rate for epoch, rate in steps.items()}),
    ] = {0: 1e-3}
    peak: Positive = 1e-3
    floor: NonNegative = 1e-5
    warmup_epochs: Moment = 0
    bounds: Interval = (1e-6, 0.01)

    @model_validator(mode="after")
    def _from_zero(self) -> LearningRate:
        if self.kind == "steps" and 0 not in self.steps:
            raise ValueError("steps must name the rate at epoch 0")
        return self


class FirstBatches(Section):
    """Smaller batches in the first epochs: more steps while there is most to learn. Not scaled with the phases, since
    what a beginning needs does not depend on how long the run is."""

    epochs: Epoch = 0
    size: Operations = 64


class Optimizer(Section):
    """AdamW. With `averaging_epochs` the run's model is an exponential moving average of the weights over that many
    epochs; it is what is measured, kept and deployed, while training goes on from the weights themselves.
    `matrix_products`: precision of float32 matrix products inside; "medium" allows bfloat16 factors where the
    processor multiplies them faster, see torch.set_float32_matmul_precision, and there keeps hidden activations as
    bfloat16."""

    batch_size: Operations = 64
    first_batches: FirstBatches = FirstBatches()
    averaging_epochs: Annotated[Number, Field(ge=0, le=MOST_EPOCHS), Scaled(operator.mul)] = 0.0
    matrix_products: Literal["highest", "high", "medium"] = "highest"
    weight_decay: NonNegative = 1e-4
    betas: tuple[Momentum, Momentum] = (0.9, 0.999)
    gradient_clip: Annotated[Number, Field(gt=0, le=1e12)] = 1.0
    learning_rate: LearningRate = LearningRate()


class Phase(Section):
    """One of the four phases: epochs [first, end), and ρ held or ramped linearly inside it. With
    `gradient_balance_gate`, ρ moves from rho_start to rho_end only while the gate is open and is rho_start
    while it is closed."""

    epochs: Annotated[tuple[Epoch, Epoch], Scaled(lambda ends, ratio: tuple(_moment(end, ratio) for end in ends))]
    rho: Share | None = None
    rho_start: Share | None = None
    rho_end: Share | None = None
    ramp_epochs: Annotated[Epochs | None, Scaled(_span)] = None
    gradient_balance_gate: Switch = False
    temperature_boost: Switch = False

    @model_validator(mode="after")
    def _one_way(self) -> Phase:
        given = (self.rho is not None, self.rho_start is not None, self.rho_end is not None)
        if given not in ((True, False, False), (False, True, True)):
            raise ValueError("give either rho, or rho_start and rho_end")
        if self.epochs[0] >= self.epochs[1]:
            raise ValueError(f"epochs {list(self.epochs)} must go forward")
        return self

    @property
    def start_rho(self) -> float:
        return self.rho if self.rho is not None else self.rho_start  # type: ignore[return-value]

    @property
    def end_rho(self) -> float:
        return self.rho if self.rho is not None else self.rho_end  # type: ignore[return-value]


class Phases(Section):
    phase_1: Phase = Phase(epochs=(0, 40), rho=0.1)
    phase_2: Phase = Phase(epochs=(40, 120), rho_start=0.1, rho_end=0.3)
    phase_3: Phase = Phase(epochs=(120, 250), rho_start=0.3, rho_end=0.7, ramp_epochs=80, gradient_balance_gate=True)
    phase_4: Phase = Phase(epochs=(250, 400), rho=0.7, temperature_boost=True)

    def __iter__(self) -> Iterator[Phase]:  # type: ignore[override]
        return iter((self.phase_1, self.phase_2, self.phase_3, self.phase_4))

    @model_validator(mode="after")
    def _in_order(self) -> Phases:
        before = 0
        for number, phase in enumerate(self, start=1):
            if phase.epochs[0] != before:
                raise ValueError(f"phases out of order: phase_{number} starts at {phase.epochs[0]}, not at {before}")
            before = phase.epochs[1]
        return self


class Permeability(Section):
    """What bounds ρ beside the phases. `isolated_share` of each batch is decoded from unmixed latents, so that decoders
    serve both."""

    max: Share = 0.9
    isolated_share: Share = 0.0
    adaptive: Switch = False
    adaptive_bound: Share = 0.05


class GradientBalance(Section):
    """Scales each VAE's loss by the ratio of the other's gradient-norm average to its own. The gate is open while the
    ratio B/A is inside `open_interval`."""

    enabled: Switch = True
    scale_bounds: Interval = (0.5, 2.0)
    open_interval: Interval = (0.8, 1.2)
    momentum_balanced: Share = 0.95
    momentum_unbalanced: Share = 0.5


class Lambdas(Section):
    """Weights of VAE-A (λ1), VAE-B (λ2) and entropy alignment (λ3 = middle + amplitude·cos(2π·e/period + phase)), each
    cut to its bounds."""

    initial: Positive = 0.7
    step: NonNegative = 0.02
    bounds: Interval = (0.5, 0.95)
    lambda3_middle: NonNegative = 0.3
    lambda3_amplitude: NonNegative = 0.15
    lambda3_period: Span = 30
    lambda3_phase: Annotated[Number, Field(ge=-1e6, le=1e6)] = 1.5707963267948966
    lambda3_bounds: Interval = (0.15, 0.75)


class Temperature(Section):
    """Scale of the posterior noise, z = μ + T·σ·ε. Linear from `start` to `end` over the run, delayed by
    `lag_epochs`, plus a cycle whose amplitude is relative to the base until phase 4's boost makes it
    `boost_amplitude`."""

    a_start: Width = 1.0
    a_end: Width = 0.3
    a_cycle_relative_amplitude: Annotated[Number, Field(ge=0, le=1000)] = 0.1
    a_boost_amplitude: Annotated[Number, Field(ge=0, le=1000)] = 0.5
    b_start: Width = 0.9
    b_end: Width = 0.2
    b_lag_epochs: Moment = 30
    b_boosted: Width | None = 0.3
    cycle_epochs: Span = 30
    minimum: Width = 0.1


class Beta(Section):
    """Weight of the KL divergence: A waits at `waiting_share` of `warm` for `delay_epochs`, linear 0 → `warm` over the
    next `warmup_epochs`, but no less than while it waited, then → `end`; B zero for `b_delay_epochs`, then `b_ratio` of
    A's. Where it waits at 0 nothing holds the posteriors' variances: they go to nothing, and recognition of prior draws
    grows until its gradient overflows. A thousandth is enough."""

    delay_epochs: Moment = 0
    waiting_share: Share = 0.0
    warmup_epochs: Span = 50
    warm: NonNegative = 0.3
    end: NonNegative = 0.8
    b_delay_epochs: Moment = 50
    b_ratio: NonNegative = 0.7068251811053659  # |sin 0.785|
    free_bits: NonNegative = 0.5


_LEAST_SHARE_DRAWN = 0.01
_MOST_CELLS = 2**16  # 4^8: a joint distribution of more says nothing in the draws that there are
_MOST_DRAWS_OF_SUBSETS = 2**18  # with subsets of eight entries a step takes some 3 GB beside the draws' own


class PriorInformation(Section):
    """What is rewarded of random subsets of entries decoded from fresh prior draws: with `weight` the mutual
    information between draw and entries, with `entropy_weight` the entropy of the entries' joint distribution, which is
    largest where all values of a subset are met equally often; and with `moment_weight`, after the first
    `moment_delay_epochs`, that means and covariances of all entries are a uniform model's (those of a decoder that
    answers nothing are too). `widened_share` of the draws are as wide as the plan's sum of two at ρ = 0.7. Prior draws
    are due every `every_steps` steps of the whole `optimizer.batch_size`; where the first batches are smaller, every as
    many operations: codes that mostly spread out are learned far more slowly."""

    weight: NonNegative = 0.0
    entropy_weight: NonNegative = 0.0
    moment_weight: NonNegative = 0.0
    moment_delay_epochs: Moment = 0
    widened_share: Share = 0.0
    draws: Annotated[Whole, Field(ge=2, le=65_536)] = 1024
    subset_entries: Annotated[Whole, Field(ge=1, le=8)] = 5
    subsets: Annotated[Whole, Field(ge=1, le=126)] = 1  # there are no more of four or five entries
    every_steps: Annotated[Whole, Field(ge=1, le=1_000_000)] = 2

    @model_validator(mode="after")
    def _in_memory(self) -> PriorInformation:
        if self.draws * self.subsets > _MOST_DRAWS_OF_SUBSETS:
            raise ValueError(f"draws × subsets must not exceed {_MOST_DRAWS_OF_SUBSETS:,}")
        return self


class Objective(Section):
    """Weights of the terms; 0 leaves a term out of the computation.

    `mean_share` of each batch is decoded from posterior means instead of draws, a third of it cross-injected, under
    noise of width `mean_noise`, drawn for each VAE (under the same noise the two codes learn opposite axes, since these
    fail at different operations). `best_of_two` weighs the loss of the ensemble on the other two thirds: that neither
    VAE is exact. These are isolated as far as `isolated_share` reaches.

    `recognition` weighs what each encoder cannot tell of the prior draws from what was decoded from them, drawn as
    `prior_information` says. `subspace_overlap` weighs, as a share of β, how much the two codes lie in the same
    directions; `translation_error`, as a share of β too, how far a translated code is from the one that it is
    translated into; `alignment` the two codes' squared distance (plan, appendix B.1). `balancing` is the gain of the
    controller that moves a log-weight between the two reconstruction losses until both VAEs are exact equally often
    under noise, so that as many operations are at home in either. `extra` weighs terms that another package has
    registered, by name."""

    output_entropy_b: NonNegative = 0.05
    repulsion_b: NonNegative = 0.01
    repulsion_width: Width = 0.25
    entropy_alignment: NonNegative = 1.0
    entropy_bins: Annotated[Whole, Field(ge=2, le=100_000)] = 50
    alignment: NonNegative = 0.0
    mean_share: Share = 0.0
    mean_noise: Annotated[Number, Field(ge=0, le=1000)] = 0.0
    best_of_two: NonNegative = 0.0
    balancing: Annotated[Number, Field(ge=0, le=10)] = 0.0
    subspace_overlap: NonNegative = 0.0
    translation_error: NonNegative = 0.0
    recognition: NonNegative = 0.0
    prior_information: PriorInformation = PriorInformation()
    extra: Annotated[dict[Name, Weight], Field(max_length=100)] = {}


class StateNet(Section):
    """The controller. It does not learn: the plan's takes its corrections out of the graph, so it has no gradient."""

    enabled: Switch = True
    learning_rate_scale: NonNegative = 0.05
    lambda_scale: NonNegative = 0.01


QUANTITIES = (
    "exact_match_a", "exact_match_b", "exact_match_ensemble", "larger_share", "coverage", "coverage_plateau", "loss",
)  # fmt: skip
ACTIONS = (
    "raise_temperature_a", "raise_lambda1", "raise_learning_rate_a", "raise_repulsion", "raise_rho",
    "raise_temperature_boost", "restore", "report",
)  # fmt: skip
EXTRA = "extra."
"""Begins the names of what other packages add to guards."""


def _known_or_extra(known: Sequence[str]) -> AfterValidator:
    def check(name: str) -> str:
        if name not in known and not name.startswith(EXTRA):
            raise ValueError(f"{nearest(name, known)}; what another package has registered is written {EXTRA}NAME")
        return name

    return AfterValidator(check)


Threshold = Annotated[Number, Field(ge=-1e12, le=1e12)]


class Guard(Section):
    """A rule: from `from_epoch` on (checked every `every` completed epochs), when `quantity` is `below`,
    `above` or not `finite`, take `actions`, at most `limit` times, in force from the epoch after the next.
    `coverage_plateau` is how far coverage is below a uniform model's, once it has gained less than `gain` over
    `window` epochs. `restore` halves the learning rate and, where a loss is not finite, goes back to the last epoch
    before; with another condition it only halves. Another package may register quantities and actions; their names
    begin with "extra."."""

    quantity: Annotated[str, _known_or_extra(QUANTITIES)]
    below: Threshold | None = None
    above: Threshold | None = None
    not_finite: Switch = False
    from_epoch: Moment = 0
    until_epoch: Annotated[Epoch | None, Scaled(_moment)] = None
    every: Span = 1
    window: Span = 30
    gain: Share = 0.002
    actions: tuple[Annotated[str, _known_or_extra(ACTIONS)], ...] = ("report",)
    amount: Positive = 1.2
    limit: Epochs = 1
    says: str = ""

    @model_validator(mode="after")
    def _one_condition(self) -> Guard:
        if (self.below is not None) + (self.above is not None) + self.not_finite != 1:
            raise ValueError("a guard needs exactly one of below, above, not_finite")
        return self


class Evaluation(Section):
    """What is measured after every `every` epochs, and which milestones are benchmarked and kept. Under noise each
    evaluation measures one operation in `noise_cycle`, so that as many evaluations measure them all; where operations
    are listed, in the next lower number that has no factor in common with the number of values, or entries would be the
    same in all that are measured. Spaces that cannot be listed are measured on `sample` operations, 20,000 unless
    given, drawn afresh for every epoch; benchmarks on 100,000, always the same."""

    every: Epochs = 1
    coverage_draws: CoverageDraws = 100_000
    full_coverage_draws: CoverageDraws | None = FULL_COVERAGE_DRAWS
    noise: Annotated[Number, Field(ge=0, le=1000)] = 0.3
    noise_draws: Annotated[Whole, Field(ge=1, le=4096)] = 64
    noise_cycle: Operations = 16
    sample: Operations | None = None
    milestones: Annotated[tuple[Epoch, ...], AfterValidator(increasing), Scaled(_milestones)] = (
        3, 100, 120, 150, 200, 250, 300, 350, 400,
    )  # fmt: skip
    checkpoint_every: Epochs = 10


class Cache(Section):
    """The tensor cache that a run's benchmarks use. `directory` yields to the environment's TERNARY_VAE_CACHE_DIR and
    is models/cached_tensors unless given; past `limit_megabytes` a run warns once. No figure depends on any of them."""

    enabled: Switch = True
    directory: Annotated[str, Field(pattern=r"^[^\x00]+$")] | None = None
    limit_megabytes: Annotated[Number, Field(gt=0, le=1e9)] = 500.0


class Recipe(Section):
    """A whole run."""

    name: Name
    description: str = ""
    epochs: Epochs = 400
    seed: Seed = 42
    space: TruthTables = TruthTables()
    data: Data = Data()
    model: Model = Model()
    optimizer: Optimizer = Optimizer()
    phases: Phases = Phases()
    permeability: Permeability = Permeability()
    gradient_balance: GradientBalance = GradientBalance()
    lambdas: Lambdas = Lambdas()
    temperature: Temperature = Temperature()
    beta: Beta = Beta()
    objective: Objective = Objective()
    statenet: StateNet = StateNet()
    guards: Annotated[dict[str, Guard], Field(max_length=1000)] = {}
    evaluation: Evaluation = Evaluation()
    cache: Cache = Cache()
    schedule_epochs: Epochs = 400
    """Length the schedules are written for; a run may stop earlier."""

    @model_validator(mode="after")
    def _subsets_in_memory(self) -> Recipe:
        space, information = self.space.as_space(), self.objective.prior_information
        chosen = min(information.subset_entries, space.entries)
        if (cells := space.values**chosen) > _MOST_CELLS:
            raise ValueError(
                f"objective.prior_information.subset_entries: {chosen} entries of {space.values} values are {cells:,} "
                f"cells, and at most {_MOST_CELLS:,} are counted; give fewer"
            )
        return self

    @model_validator(mode="after")
    def _something_to_translate(self) -> Recipe:
        if self.objective.translation_error and self.model.injection != "translated":
            raise ValueError(
                "objective.translation_error: weighs the error of a translation, and model.injection is "
                f"{self.model.injection!r}; set that to 'translated', or this to 0"
            )
        return self

    @model_validator(mode="after")
    def _drawn_in_time(self) -> Recipe:
        if not self.space.as_space().is_enumerable() and self.data.train_share < _LEAST_SHARE_DRAWN:
            raise ValueError(
                f"data.train_share: at least {_LEAST_SHARE_DRAWN} of a space that cannot be listed; operations are "
                "drawn, and those held out are passed over"
            )
        return self

    @model_validator(mode="after")
    def _skewed_where_drawn(self) -> Recipe:
        if self.data.skewed_share and self.space.as_space().is_enumerable():
            raise ValueError(
                "data.skewed_share: an epoch goes through every operation of a space that can be listed, and draws "
                "none; set it to 0"
            )
        return self

    def of_length(self, epochs: int) -> Recipe:
        """The same recipe for a run of so many epochs, schedules as they are. numpy's whole numbers will do.

        Raises:
            UserError: no run has so many, or it is no whole number.
        """
        if isinstance(epochs, bool) or not isinstance(epochs, Integral) or not 1 <= epochs <= MOST_EPOCHS:
            raise UserError(f"--epochs {shown(epochs)}: expected a whole number from 1 to {MOST_EPOCHS:,}")
        return self.model_copy(update={"epochs": int(epochs)})  # which checks nothing

    def scaled_by(self, ratio: float) -> dict[str, Any]:
        """Its settings as plain data, for a schedule `ratio` times as long: those marked `Scaled` change."""
        return _scaled(self, ratio)

    def scaled_to(self, epochs: int) -> Recipe:
        """The same recipe with every phase, schedule, guard and milestone scaled to a run of `epochs`.

        Raises:
            UserError: if the run is too short for four phases, or so long that a setting leaves its bounds.
        """
        data = self.scaled_by(epochs / self.schedule_epochs)
        if not _has_four_phases(data):
            longer = range(epochs + 1, self.schedule_epochs + 1)
            enough = next(each for each in longer if _has_four_phases(self.scaled_by(each / self.schedule_epochs)))
            raise UserError(f"epochs: {epochs} are too few for four phases; give {enough}")
        # Prior draws are few while the first batches are small: a β already at its height would cost VAE-A entries.
        if first := self.optimizer.first_batches.epochs:
            least = min(self.beta.warmup_epochs, first + 1)
            data["beta"]["warmup_epochs"] = max(data["beta"]["warmup_epochs"], least)
        content = {**data, "epochs": epochs, "schedule_epochs": epochs}
        return validate_recipe(content, f"{self.name}, scaled to {epochs} epochs")

    def phase_at(self, epoch: int) -> int:
        """Number (1 … 4) of the phase that training epoch `epoch` lies in; past the end, the last."""
        for number, phase in enumerate(self.phases, start=1):
            if epoch < phase.epochs[1]:
                return number
        return 4

    @property
    def benchmarked(self) -> list[int]:
        """Epochs after which a run is kept and benchmarked, its milestones and its end."""
        return sorted({*(epoch for epoch in self.evaluation.milestones if epoch < self.epochs), self.epochs})

    def is_evaluated(self, epoch: int) -> bool:
        """Whether the model is evaluated after so many epochs: every so often, and where it is benchmarked."""
        return epoch % self.evaluation.every == 0 or epoch in self.benchmarked

    def fingerprint(self) -> str:
        """Content hash of the recipe, 16 hexadecimal digits. Seed, description, length and the cache do not count:
        a run may be continued past its end, and elsewhere."""
        content = self.model_dump(mode="json", exclude={"seed", "description", "epochs", "cache"})
        for path, unused in _ADDED.items():  # nor does a setting that is not used and that older runs lack
            *sections, name = path.split(".")
            section = reduce(operator.getitem, sections, content)
            if section[name] == unused:
                del section[name]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def to_yaml(self) -> str:
        """The whole recipe, every default spelled out."""
        return to_yaml(self.model_dump(mode="json"))


def _has_four_phases(data: dict[str, Any]) -> bool:
    return all(first < end for first, end in (phase["epochs"] for phase in data["phases"].values()))


def recipe_directory() -> Path:
    """Where the named recipes live: inside an installed package, or `configs/` of a checkout."""
    installed = Path(__file__).parent / "configs"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "configs"


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(path.stem for path in recipe_directory().glob("*.yaml"))


def load_recipe(
    name_or_path: str | Path = DEFAULT_RECIPE,
    *,
    overrides: Mapping[str, Any] | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    scale_phases: bool = False,
) -> Recipe:
    """Reads a recipe by name or from a YAML file, applies `extends:`, then dotted `overrides`.

    Args:
        overrides: dotted key → value, e.g. {"optimizer.batch_size": 256}. A section is laid over the one that is there,
            as by `extends:`; an empty one clears it.
        epochs: length of the run; with `scale_phases` all schedules are scaled to it.

    Raises:
        UserError: unknown recipe or key (the nearest is named), value out of range, phases out of order, a setting that
            needs a list of operations where there is none.
    """
    data, source = _read_with_parents(name_or_path, seen=())
    for key, value in (overrides or {}).items():
        set_dotted(data, key, copy.deepcopy(value))  # a later key may change what is inside
    if seed is not None:
        data["seed"] = seed
    if overrides:
        source += " with overrides"  # what is wrong need not be in the file
    recipe = validate_recipe(data, source)
    _require_a_list(recipe, source)
    if epochs is None:
        return recipe
    recipe = recipe.of_length(epochs)
    return recipe.scaled_to(recipe.epochs) if scale_phases else recipe


def _require_a_list(recipe: Recipe, source: str) -> None:
    """Refuses what a person asks of a space that cannot be listed. The default is in recipes that were written out."""
    space = recipe.space.as_space()
    if recipe.evaluation.full_coverage_draws not in (None, FULL_COVERAGE_DRAWS) and not space.is_enumerable():
        raise UserError(
            f"{source}: evaluation.full_coverage_draws: whether draws meet every operation is asked where operations "
            f"are listed; {space} have {space.operations:,}, leave it null"
        )


def validate_recipe(data: Any, source: str) -> Recipe:
    """Checks a recipe given as plain data; `source` names it in the error.

    Raises:
        UserError: the first thing wrong, in one line.
    """
    for section, removed in _REMOVED.items():
        given = data.get(section) if isinstance(data, dict) else None
        for name in removed if isinstance(given, dict) else ():
            if name in given:
                instead = f"leave it out, or use commit {_LAST_WITH_REMOVED}"
                raise UserError(f"{source}: {section}.{name} is no setting any more; {instead}")
    sections = _known_keys(())
    for key in data if isinstance(data, dict) else ():
        if key in sections:
            continue
        homes = [f"{section}.{key}" for section in sections if key in _known_keys((section,))]
        if homes:  # such as batch_size without its section
            raise UserError(f"{source}: unknown key {shown(key)}; {nearest(key, homes)}")
    return validated(Recipe, data, source, "a recipe", _known_keys)


def parse_override(text: str) -> tuple[str, Any]:
    """Splits `section.key=value`; the value is read as YAML.

    Raises:
        UserError: if there is no `=`, no key, or the value is not YAML.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set {shown(text)}: expected section.key=value, such as optimizer.batch_size=256")
    try:
        return key.strip(), parse_yaml(value)
    except ValueError as failure:
        raise UserError(f"--set {shown(text)}: the value: {failure}") from None


def _read_with_parents(name_or_path: str | Path, seen: tuple[Path, ...]) -> tuple[dict[str, Any], str]:
    path = find_description("recipe", name_or_path, recipe_directory(), beside=seen[-1].parent if seen else None)
    if path in seen:
        raise UserError(f"{path}: extends itself through {' → '.join(p.name for p in seen)}")
    data = read_yaml(path, "a recipe")
    if not isinstance(data, dict):
        raise UserError(f"{path}: expected a mapping of recipe sections, found {type(data).__name__}")
    parent = data.pop("extends", None)
    if parent is None:
        return data, str(path)
    inherited, _ = _read_with_parents(str(parent), (*seen, path))
    return _merged(inherited, data), str(path)


def _merged(base: dict[str, Any], change: dict[Any, Any]) -> dict[str, Any]:
    """`change` laid over `base`. A phase or a table of learning-rate steps is replaced whole: half of two
    would be neither."""
    result = dict(base)
    for key, value in change.items():
        whole = str(key).startswith("phase_") or key == "steps"
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = _merged(result[key], value) if both and not whole else value
    return result


def set_dotted(data: dict[str, Any], key: str, value: Any) -> None:
    """Sets what a dotted key names in nested sections, which are made where they are missing.

    Raises:
        UserError: one of them is a value.
    """
    *parents, last = key.split(".")
    for parent in parents:
        data = data.setdefault(parent, {})
        if not isinstance(data, dict):
            raise UserError(f"--set {key}: {parent!r} is a value, not a section")
    if isinstance(value, dict) and value:
        data |= _merged(data, {last: value})
    else:  # an empty section clears the one that is there
        data[last] = value


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    """Keys allowed at a place in the recipe."""
    section: Any = Recipe
    for part in location:
        field = getattr(section, "model_fields", {}).get(part)
        section = field.annotation if field else Guard
    return list(getattr(section, "model_fields", {}))
