"""What runs of any space reached, seed by seed: exactness, of all operations or of some drawn at random, named gates,
and how much of the space decoded prior draws are spread over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ternary_vae.formats import NOTHING, fixed, number, of_a_sample
from ternary_vae.gates.names import Gate, named_forms
from ternary_vae.model import STRATEGIES, DualVAE
from ternary_vae.operations import Operations, as_classes, class_index, skewed_operations
from ternary_vae.reports.goals import worst_and_met
from ternary_vae.reports.markdown import markdown
from ternary_vae.reports.measurements import Measurements
from ternary_vae.resolution.coupled import reconstructions
from ternary_vae.resolution.figures import DEMANDS, EXACT, MEASURES, Demands, Expected, Measure
from ternary_vae.resolution.intervals import poisson_interval
from ternary_vae.resolution.isolated import reconstruction, wrong_entries
from ternary_vae.resolution.records import ExactMatch, Uniformity
from ternary_vae.resolution.statistics import named_generator
from ternary_vae.resolution.uniformity import draws_for_pairs, uniformity
from ternary_vae.space import Space
from ternary_vae.storage.checkpoints import load_model
from ternary_vae.storage.files import write_text
from ternary_vae.storage.runs import RunDirectory

COVERAGES = ("coverage", "coverage_a", "coverage_b", "coverage_rho_07")
FEWEST_DRAWS, MOST_DRAWS = 1_000_000, 80_000_000
SKEWED = 100_000
"""Operations that mostly answer the same, drawn for a report."""
PAIRS = 3_200
"""Coincident pairs to expect of a uniform model, as far as `MOST_DRAWS` allow: they tell a share to some 3.5%."""


_BELOW = Measure("coverage_below", "Coverage of both VAEs, how far below a uniform model's", "points", -1)
_SHARE = Measure("effective_share", "Effective share, the lower of both VAEs [95%]", "score", 1)
_TIME = Measure("time", "Training, over that of `{}`", "number", -1)


@dataclass(frozen=True)
class SeedOfSpace:
    """What one run reached at its end.

    Attributes:
        run: its measurements.
        uniformity: of VAE-A and of VAE-B, on more draws than a milestone's benchmark has.
        first_exact: the first epoch from which on both VAEs were exact on all operations drawn; None if there is none.
        seconds: of training, without measuring.
        missed: names of gates that VAE-A, VAE-B or an ensemble does not reconstruct.
        skewed: exact match of `EXACT` on operations that mostly answer the same; empty where all are measured.
    """

    run: Measurements
    uniformity: tuple[Uniformity, Uniformity]
    first_exact: int | None
    seconds: float
    missed: list[str]
    skewed: dict[str, ExactMatch]

    def exact(self, key: str) -> str:
        """An exact match at the end, with what it is at least."""
        return self.run.in_context(key, self.run.epochs)

    def exact_skewed(self, key: str) -> str:
        """An exact match on operations that mostly answer the same, with what it is at least."""
        match = self.skewed[key]
        assert match.sampled is not None
        return of_a_sample(match.exact_match_rate, match.sampled.operations, match.sampled.low)

    def covered(self, key: str) -> str:
        """A coverage at the end beside a uniform model's: of the log where it has it, which takes the recipe's number
        of draws, or else of the last benchmark."""
        measure, row = MEASURES[key], self.run.metrics[-1]
        return self.run.in_context(key, self.run.epochs) if measure.read(row) is None else measure.in_context(row)

    @property
    def coverage_below(self) -> float | None:
        """How far the coverage of both VAEs at the end lies below a uniform model's."""
        measure, row = MEASURES["coverage"], self.run.metrics[-1]
        coverage, uniform = measure.read(row), measure.read_uniform(row)
        return None if coverage is None or uniform is None else uniform - coverage

    @property
    def less_even(self) -> Uniformity:
        """Of the two VAEs the one whose draws agree more often."""
        return min(self.uniformity, key=lambda vae: vae.effective_share or vae.low)


@dataclass(frozen=True)
class GoalOfSpace:
    """A goal that every seed of a space must meet: what is read of a seed, and how that is written."""

    name: str
    required: str
    bounds: Expected
    read: Callable[[SeedOfSpace], float | None]
    show: Callable[[SeedOfSpace], str]

    def row(self, seeds: Sequence[SeedOfSpace]) -> tuple[str, str, str, str]:
        """Name, what is required, the worst seed, and how many seeds meet it."""
        values, figures = [self.read(seed) for seed in seeds], [self.show(seed) for seed in seeds]
        return self.name, self.required, *worst_and_met(self.bounds, values, figures, [one.run.seed for one in seeds])


def goals_of_space(run: Measurements, beside: Measurements | None = None) -> Iterator[GoalOfSpace]:
    """The goals of the space that a run is of.

    Args:
        beside: a run of the default recipe on the same machine; without one, time is no goal.
    """
    space, sample = run.recipe.space.as_space(), run.part("exact_match_a", run.epochs).sampled
    every = "100%" if sample is None else f"all of {sample.operations:,}"
    for key in EXACT:
        yield GoalOfSpace(
            MEASURES[key].title, every, Expected(1.0),
            lambda seed, key=key: seed.run.value(key, seed.run.epochs), lambda seed, key=key: seed.exact(key),
        )  # fmt: skip
    if judged_gates(space):
        judged = "Named gates" if sample is None else "Named gates and constants"
        yield GoalOfSpace(
            f"{judged}, by either VAE and every ensemble", "all", Expected(None, 0.0),
            lambda seed: len(seed.missed), lambda seed: f"missed: {', '.join(seed.missed)}" if seed.missed else "all",
        )  # fmt: skip
    demands = DEMANDS.get((space.values, space.inputs), Demands())
    if demands.coverage_below is not None:
        below = Expected(None, demands.coverage_below)
        yield GoalOfSpace(
            _BELOW.title, below.text(_BELOW.unit), below, lambda seed: seed.coverage_below,
            lambda seed: _BELOW.value(seed.coverage_below, beside=below),
        )  # fmt: skip
    if demands.effective_share is not None:
        share = Expected(demands.effective_share)

        def with_interval(seed: SeedOfSpace) -> str:
            low, high = (NOTHING if end is None else number(end) for end in (seed.less_even.low, seed.less_even.high))
            return f"{_SHARE.value(seed.less_even.effective_share, beside=share)} [{low}, {high}]"

        yield GoalOfSpace(
            _SHARE.title, share.text(_SHARE.unit), share, lambda seed: seed.less_even.effective_share, with_interval
        )
    if beside is not None and demands.time is not None:
        seconds, most = seconds_of_training(beside), Expected(None, demands.time)
        yield GoalOfSpace(
            _TIME.title.format(beside.recipe.name), most.text(_TIME.unit), most, lambda seed: seed.seconds / seconds,
            lambda seed: _TIME.value(seed.seconds / seconds, beside=most),
        )  # fmt: skip


def seed_of_space(directory: RunDirectory, measured: Measurements, draws: int | None = None) -> SeedOfSpace:
    """Measures a completed run.

    Args:
        draws: prior draws; by default `usual_draws`.

    Raises:
        UserError: no checkpoint, or a damaged one.
    """
    model, _ = load_model(directory.checkpoint("latest"))
    model.eval().requires_grad_(False)
    draws = draws or usual_draws(model.space)
    even = tuple(uniformity(model, vae, named_generator(1, f"space {vae}", "cpu"), draws) for vae in ("A", "B"))
    return SeedOfSpace(
        measured,
        even,  # type: ignore[arg-type]
        first_exact(measured.metrics),
        seconds_of_training(measured),
        missed_gates(model),
        {} if model.space.is_enumerable() else skewed_matches(model),
    )


def usual_draws(space: Space) -> int:
    """Prior draws that make `PAIRS` pairs coincide in a uniform model, within `FEWEST_DRAWS` and `MOST_DRAWS`."""
    return min(MOST_DRAWS, max(FEWEST_DRAWS, draws_for_pairs(space, PAIRS)))


def judged_gates(space: Space) -> dict[str, Gate]:
    """Gates that every answer must reconstruct, by name: those that have one, and the constants where operations are
    only sampled, as no sample has any."""
    named = {name: Gate(space, index) for form in named_forms(space).values() for index, name in form.items()}
    gates = dict(sorted(named.items()))
    if not space.is_enumerable():
        tables = np.arange(space.values)[:, None].repeat(space.entries, axis=1) + space.lowest
        gates |= {f"constant {fixed(int(table[0]), 0)}": Gate(space, int(space.index(table))) for table in tables}
    return gates


@torch.no_grad()
def missed_gates(model: DualVAE) -> list[str]:
    """Names of the `judged_gates` of a model's space that VAE-A, VAE-B or any ensemble does not reconstruct."""
    gates = judged_gates(model.space)
    if not gates:
        return []
    tables = torch.stack([torch.from_numpy(gate.table) for gate in gates.values()])
    answers = [model.reconstruct(tables, None, vae) for vae in ("A", "B")]
    answers += [model.reconstruct(tables, strategy) for strategy in STRATEGIES]
    exact = torch.stack([(answer == tables).all(dim=1) for answer in answers]).all(dim=0)
    return [name for name, met in zip(gates, exact.tolist()) if not met]


@torch.no_grad()
def skewed_matches(model: DualVAE) -> dict[str, ExactMatch]:
    """Exact match of `EXACT` on `SKEWED` operations that mostly answer the same, the same ones for every model."""
    space = model.space
    tables = skewed_operations(SKEWED, space, named_generator(1, "space skewed", "cpu"))
    operations = Operations(tables, class_index(as_classes(tables, space), space.values))
    posteriors = model.encode(tables)
    a, b = (
        reconstruction(wrong_entries(model, vae, mu, operations), space)
        for vae, mu in (("A", posteriors.mu_a), ("B", posteriors.mu_b))
    )
    ensemble, coupled = reconstructions(model, posteriors, operations)
    return dict(zip(EXACT, (
        ExactMatch(exact_match_rate=a.exact_match_rate, sampled=a.sampled),
        ExactMatch(exact_match_rate=b.exact_match_rate, sampled=b.sampled),
        ensemble.best_of_two,
        ExactMatch(exact_match_rate=coupled.exact_match_rate_a, sampled=coupled.sampled_a),
        ExactMatch(exact_match_rate=coupled.exact_match_rate_b, sampled=coupled.sampled_b),
    )))  # fmt: skip


def write_spaces(seeds: Sequence[SeedOfSpace], output: Path, beside: Measurements | None = None) -> Path:
    """Writes the report of runs of one recipe.

    Args:
        beside: a run of the same epochs on the same machine, as a multiple of which time is told.

    Raises:
        UserError: it cannot be written.
    """
    seeds = sorted(seeds, key=lambda seed: seed.run.seed)
    first = seeds[0].run
    space, draws = first.recipe.space.as_space(), seeds[0].uniformity[0].draws
    text = markdown(
        "spaces",
        seeds=seeds,
        goals=[goal.row(seeds) for goal in goals_of_space(first, beside)],
        recipe=first.recipe,
        space=space,
        keys=EXACT,
        skewed=SKEWED,
        coverages=COVERAGES,
        beside=beside,
        other_draws=None if draws == usual_draws(space) else draws,
        seconds_beside=None if beside is None else seconds_of_training(beside),
        heads={key: MEASURES[key].title.removeprefix("Exact match of ") for key in EXACT}
        | {key: MEASURES[key].title for key in COVERAGES},
        pooled=pooled([vae for seed in seeds for vae in seed.uniformity]),
        named=list(judged_gates(space)),
        where=first.facts.get("environment", {}),
    )
    write_text(output, text)
    return output


def seconds_of_training(measured: Measurements) -> float:
    """Of a whole run, without measuring."""
    return sum(filter(None, measured.column("seconds_training")))


def pooled(found: Sequence[Uniformity]) -> tuple[float | None, float, float | None]:
    """The effective share that several VAEs of one space have in the mean (the harmonic one), and its interval: their
    pairs are counted together. None where no pair coincides."""
    expected, pairs = sum(vae.expected_pairs for vae in found), sum(vae.coincident_pairs for vae in found)
    dispersion = sum(vae.coincident_pairs * vae.dispersion for vae in found) / pairs if pairs else 1.0
    fewest, most = poisson_interval(pairs, dispersion)
    return expected / pairs if pairs else None, expected / most, expected / fewest if pairs else None


def first_exact(metrics: Sequence[dict[str, Any]]) -> int | None:
    """The first measured epoch from which on both VAEs were exact whenever they were measured; None if there is
    none."""
    measured = [row for row in metrics if row.get("exact_match_a") is not None]
    exact = list(takewhile(MEASURES["epochs_both_exact"].read, reversed(measured)))
    return exact[-1]["epoch"] if exact else None
