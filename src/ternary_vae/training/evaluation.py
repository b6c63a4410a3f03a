"""What is measured after every epoch, over the whole space or a sample of it, without touching training's random
numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import torch
from jaxtyping import Bool, Int, Int8
from torch import Tensor

from ternary_vae.acceleration.parallel import Tasks, side_by_side
from ternary_vae.limits import completion_odds, coverage_limit
from ternary_vae.model import STRATEGIES, DualVAE, Posteriors, combine, logits_to_tables
from ternary_vae.model.dual_vae import Side
from ternary_vae.model.ensemble import VOTERS
from ternary_vae.model.linear import answering
from ternary_vae.operations import Operations, measured_operations
from ternary_vae.recipe import Recipe
from ternary_vae.resolution.complementarity import (
    SIGNIFICANCE,
    NoiseOutcome,
    decode_under_noise,
    home_under_noise,
    ratio_of_homes,
)
from ternary_vae.resolution.coverage import decoded_indices, in_chunks

_LARGE_PRIME = 1_000_003
_NEGLIGIBLE_ODDS = 1e-4
_SAMPLE = 20_000
_FEWEST_AT_ONCE = 1000  # draws; one by one, 195,000 take 20 s
_COVERAGE = (
    "coverage", "coverage_draws", "coverage_limit", "coverage_a", "coverage_b", "coverage_single_limit",
    "covered_all_a", "covered_all_b",
)  # fmt: skip


def evaluated_keys(strategies: Iterable[str] = STRATEGIES) -> tuple[str, ...]:
    """Keys of a row that are null in an epoch without evaluation, those of the given ensemble strategies among them."""
    return (
        *_exact_match_keys(strategies), "exact_under_noise_a", "exact_under_noise_b", "share_a", "complementarity",
        *_COVERAGE,
    )  # fmt: skip


def _exact_match_keys(strategies: Iterable[str] = STRATEGIES) -> tuple[str, ...]:
    return tuple(f"exact_match_{name}" for name in (*VOTERS, *strategies))


@torch.no_grad()
def evaluate(
    model: DualVAE,
    recipe: Recipe,
    epoch: int,
    run_all: Callable[[Tasks, torch.device], dict[Hashable, Any]] = side_by_side,
) -> dict[str, Any]:
    """Exact match alone, coupled and as an ensemble; homes under noise; decoded coverage where
    operations can be listed: figures for the log, by name.

    Args:
        epoch: epochs completed; with the recipe's seed it fixes the evaluation's own random numbers.
        run_all: runs its independent parts, the longest first.
    """
    model.eval()
    device = model.encoder_A.fc_mu.weight.device
    space = model.space

    def generator_for(task: int) -> torch.Generator:
        return torch.Generator(device).manual_seed(((recipe.seed * _LARGE_PRIME + epoch) * 8 + task) % 2**63)

    operations = measured_operations(space, recipe.evaluation.sample or _SAMPLE, generator_for(3))
    tasks: Tasks = {
        "exact": lambda: _reconstructed(model, operations),
        "noise": lambda: _under_noise(model, recipe, epoch, operations, generator_for(1)),
    }
    if space.is_enumerable():
        tasks = {
            "B": lambda: _covered(model, "B", recipe, generator_for(0)),
            **tasks,
            "A": lambda: _covered(model, "A", recipe, generator_for(2)),
        }
    with answering(model):
        results = run_all(tasks, device)
    noise = results["noise"]
    home, exact = home_under_noise(noise), noise.both.sum()
    counts = [
        results["exact"],
        torch.stack([(home > 0).sum(), (home < 0).sum(), exact + noise.only_a.sum(), exact + noise.only_b.sum()]),
    ]
    if space.is_enumerable():
        (half_a, full_a), (half_b, full_b) = results["A"], results["B"]
        counts.append(torch.stack([table.sum() for table in (half_a | half_b, half_a, half_b, full_a, full_b)]))
    numbers = torch.cat(counts).tolist()
    keys = _exact_match_keys()
    n_a, n_b, exact_a, exact_b, *covered = numbers[len(keys) :]
    decodings = len(home) * noise.draws
    # Where all are gone through in turn, the plan's guard judges by however few there are.
    by_chance = 0 if space.is_enumerable() else int(SIGNIFICANCE * len(home))
    return {
        **{name: count / len(operations.tables) for name, count in zip(keys, numbers)},
        "exact_under_noise_a": exact_a / decodings,
        "exact_under_noise_b": exact_b / decodings,
        **_homes(n_a, n_b, by_chance),
        **(_coverage(covered, space.operations, recipe) if covered else dict.fromkeys(_COVERAGE)),
    }


def _homes(n_a: int, n_b: int, by_chance: int) -> dict[str, float | None]:
    """How operations are divided, from how many are at home in either VAE; nothing where chance alone would give so
    many a home, as with truth tables so long that neither VAE is exact under noise often enough to tell."""
    if n_a + n_b <= by_chance:
        return {"share_a": None, "complementarity": None}
    return {"share_a": n_a / (n_a + n_b), "complementarity": ratio_of_homes(n_a, n_b)}


def _coverage(covered: list[int], operations: int, recipe: Recipe) -> dict[str, Any]:
    """The figures of `_COVERAGE`, from how many operations were met by both VAEs, by A, by B, and in full by either."""
    union, single_a, single_b, all_a, all_b = covered
    half, complete = recipe.evaluation.coverage_draws // 2, recipe.evaluation.full_coverage_draws is not None
    draws = 2 * half  # of an odd number one is not drawn
    return {
        "coverage": union / operations,
        "coverage_draws": draws,
        "coverage_limit": coverage_limit(draws, operations),
        "coverage_a": single_a / operations,
        "coverage_b": single_b / operations,
        "coverage_single_limit": coverage_limit(half, operations),
        "covered_all_a": all_a == operations if complete else None,
        "covered_all_b": all_b == operations if complete else None,
    }


@torch.no_grad()
def _reconstructed(model: DualVAE, operations: Operations) -> Int[Tensor, "answers"]:
    """How many operations are reconstructed exactly, in the order of `_exact_match_keys`."""
    chunks = in_chunks(operations.tables)
    return torch.stack([_exact(model, chunk, model.encode(chunk)) for chunk in chunks]).sum(dim=0)


@torch.no_grad()
def _under_noise(
    model: DualVAE, recipe: Recipe, epoch: int, operations: Operations, generator: torch.Generator
) -> NoiseOutcome:
    """How often each of this evaluation's operations was exact. They are spread over all that are measured."""
    settings = recipe.evaluation
    cycle = min(settings.noise_cycle, len(operations.tables))
    if model.space.is_enumerable():
        # In a list, every so many operations would have entries in common.
        cycle = next(c for c in range(cycle, 0, -1) if math.gcd(c, model.space.values) == 1)
    # Epochs that are evaluated go round by themselves, unless they are as far apart as a part of the cycle.
    turn = epoch if math.gcd(settings.every, cycle) == 1 else epoch // settings.every
    some = operations.rows(slice(turn % cycle, None, cycle))
    posteriors = model.encode(some.tables)
    return decode_under_noise(model, posteriors, some, generator, settings.noise, settings.noise_draws)


def _exact(model: DualVAE, tables: Int8[Tensor, "n entries"], posteriors: Posteriors) -> Int[Tensor, "answers"]:
    """How many operations are reconstructed exactly, in the order of `_exact_match_keys`."""
    logits = model.decode(posteriors.mu_a, "A"), model.decode(posteriors.mu_b, "B")
    coupled = model.decode_coupled(posteriors.mu_a, posteriors.mu_b)
    voters = (*logits, *coupled)
    answers = torch.stack([logits_to_tables(each) for each in voters])
    exact = (answers == tables).all(dim=-1)
    # Where all four voters agree, so does every unanimous ensemble of them; soon that is nearly everywhere.
    disputed = (answers != answers[0]).any(dim=-1).any(dim=0)
    agreed = (exact[0] & ~disputed).sum()
    rows = disputed.nonzero()[:, 0]
    some_tables, some_voters = tables[rows], [each[rows] for each in voters]
    by_ensembles = []
    for strategy in STRATEGIES.values():
        wanted, (logits_a, logits_b, *coupled) = (some_tables, some_voters) if strategy.unanimous else (tables, voters)
        answer = combine(wanted, logits_a, logits_b, strategy, tuple(coupled))
        by_ensembles.append((answer == wanted).all(dim=-1).sum() + (agreed if strategy.unanimous else 0))
    return torch.cat([exact.sum(dim=-1), torch.stack(by_ensembles)])


def _covered(
    model: DualVAE, vae: Side, recipe: Recipe, generator: torch.Generator
) -> tuple[Bool[Tensor, " operations"], Bool[Tensor, " operations"]]:
    """Operations that one VAE meets in its half of `coverage_draws` decoded draws, and in `full_coverage_draws`. The
    second count ends early once the odds of meeting everything have fallen below one in 10,000."""
    half, full = recipe.evaluation.coverage_draws // 2, recipe.evaluation.full_coverage_draws or 0
    indices = decoded_indices(model, vae, half, generator)
    met = torch.bincount(indices, minlength=model.space.operations)
    in_half = met > 0
    if full < half:
        return in_half, torch.bincount(indices[:full], minlength=model.space.operations) > 0
    drawn = half
    while drawn < full and _could_meet_all(met, drawn, full):
        more = min(max(half, _FEWEST_AT_ONCE), full - drawn)
        met = met + torch.bincount(decoded_indices(model, vae, more, generator), minlength=model.space.operations)
        drawn += more
    return in_half, met > 0


def _could_meet_all(met: Int[Tensor, " operations"], drawn: int, full: int) -> bool:
    """Whether the operations not met yet may all be met by `full` draws. Their probability is estimated by Good and
    Turing's rule (the share of draws that were the only one of their operation) plus four standard deviations."""
    missing, once, twice = torch.stack([(met == times).sum() for times in (0, 1, 2)]).tolist()
    mass = min(1.0, (once + 4 * (once + 2 * twice + 1) ** 0.5) / drawn)
    return completion_odds(missing, mass, full - drawn) > _NEGLIGIBLE_ODDS
