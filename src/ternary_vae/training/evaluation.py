"""What is measured after every epoch, over the whole space, without touching training's random numbers."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, Int8
from torch import Tensor
from torch.nn.functional import one_hot

from ternary_vae.limits import completion_odds, coverage_limit
from ternary_vae.model import STRATEGIES, DualVAE, Posteriors, combine, logits_to_tables
from ternary_vae.model.dual_vae import Side
from ternary_vae.model.linear import rounded_once
from ternary_vae.operations import OPERATION_COUNT, all_operations
from ternary_vae.recipe import Recipe
from ternary_vae.resolution.complementarity import NoiseOutcome, decode_under_noise, home_under_noise
from ternary_vae.resolution.coverage import decoded_indices, in_chunks, indices_of_latents, prior_draws
from ternary_vae.resolution.parallel import Tasks, side_by_side
from ternary_vae.training.objective import WIDENING

_LARGE_PRIME = 1_000_003
_NEGLIGIBLE_ODDS = 1e-4
_ANSWERS = tuple(f"exact_match_{name}" for name in ("a", "b", "coupled_a", "coupled_b", *STRATEGIES))

NOT_EVALUATED = (
    "exact_match_a", "exact_match_b", "exact_match_coupled_a", "exact_match_coupled_b", "exact_match_best_of_two",
    "exact_match_voting", "exact_match_confidence_weighted", "exact_match_majority", "share_a", "complementarity",
    "coverage", "coverage_draws", "coverage_limit", "coverage_a", "coverage_b", "coverage_single_limit",
    "covered_all_a", "covered_all_b",
)  # fmt: skip
"""Keys of a row that are null in an epoch without evaluation."""


@dataclass(frozen=True)
class Evaluation:
    """One epoch's measurement.

    Attributes:
        row: figures for the log, by name.
        operations: indices of the operations that were decoded under noise.
        outcome: how often each of them was exact.
        usage: how often A and B answered each operation when fed prior draws, 1 being its fair share; where the
            recipe's uniformity says so, in part how often both together did when fed draws as wide as the plan's sum.
        hard: which operations A and B did not decode exactly from posterior means, alone or coupled, or not by the lead
            that the recipe's hard examples ask for.
    """

    row: dict[str, Any]
    operations: Int[Tensor, " n"]
    outcome: NoiseOutcome
    usage: Float[Tensor, "2 19683"]
    hard: Bool[Tensor, "2 19683"]

    def tensors(self) -> dict[str, Tensor]:
        """Everything but the row, by name, for a checkpoint."""
        counts = {name: count for name, count in self.outcome._asdict().items() if isinstance(count, Tensor)}
        return {"operations": self.operations, "usage": self.usage, "hard": self.hard, **counts}

    @classmethod
    def of(cls, row: dict[str, Any], tensors: dict[str, Tensor], draws: int) -> Evaluation:
        """The inverse of `row` and `tensors`, measured with so many draws an operation.

        Raises:
            KeyError: if a tensor is missing.
        """
        outcome = NoiseOutcome(tensors["only_a"], tensors["only_b"], tensors["both"], draws)
        return cls(row, tensors["operations"], outcome, tensors["usage"], tensors["hard"])


@torch.no_grad()
def evaluate(
    model: DualVAE,
    recipe: Recipe,
    epoch: int,
    run_all: Callable[[Tasks, torch.device], dict[Hashable, Any]] = side_by_side,
) -> Evaluation:
    """Exact match alone, coupled and as an ensemble; homes under noise; decoded coverage.

    Args:
        epoch: epochs completed; with the recipe's seed it fixes the evaluation's own random numbers.
        run_all: runs its independent parts, the longest first.
    """
    model.eval()
    device = model.encoder_A.fc_mu.weight.device
    settings = recipe.evaluation

    def generator_for(task: int) -> torch.Generator:
        return torch.Generator(device).manual_seed(((recipe.seed * _LARGE_PRIME + epoch) * 8 + task) % 2**63)

    with rounded_once(model):
        results = run_all(
            {
                "B": lambda: _covered(model, "B", recipe, generator_for(0)),
                "exact": lambda: _reconstructed(model, recipe.objective.hard_examples.lead),
                "noise": lambda: _under_noise(model, recipe, epoch, generator_for(1)),
                "A": lambda: _covered(model, "A", recipe, generator_for(2)),
            },
            device,
        )
    operations, outcome = results["noise"]
    exact, hard = results["exact"]
    home = home_under_noise(outcome)
    (half_a, full_a, *usage_a), (half_b, full_b, *usage_b) = results["A"], results["B"]
    covered = torch.stack([table.sum() for table in (half_a | half_b, half_a, half_b, full_a, full_b)])
    homes = torch.stack([(home > 0).sum(), (home < 0).sum()])
    counts = torch.cat([exact, homes, covered]).tolist()

    row: dict[str, Any] = {name: count / OPERATION_COUNT for name, count in zip(_ANSWERS, counts)}
    n_a, n_b, union, single_a, single_b, all_a, all_b = counts[len(_ANSWERS) :]
    complete = settings.full_coverage_draws is not None
    row |= {
        "share_a": n_a / (n_a + n_b) if n_a + n_b else None,
        "complementarity": min(n_a, n_b) / max(n_a, n_b) if n_a + n_b else None,
        "coverage": union / OPERATION_COUNT,
        "coverage_draws": settings.coverage_draws,
        "coverage_limit": coverage_limit(settings.coverage_draws),
        "coverage_a": single_a / OPERATION_COUNT,
        "coverage_b": single_b / OPERATION_COUNT,
        "coverage_single_limit": coverage_limit(settings.coverage_draws // 2),
        "covered_all_a": all_a == OPERATION_COUNT if complete else None,
        "covered_all_b": all_b == OPERATION_COUNT if complete else None,
    }
    usage, widened_usage = (torch.stack(pair) for pair in zip(usage_a, usage_b))
    if widened := recipe.objective.uniformity.widened_share:
        usage = torch.lerp(usage, widened_usage.mean(dim=0, keepdim=True), widened)
    return Evaluation(row, operations, outcome, usage, hard)


@torch.no_grad()
def _reconstructed(model: DualVAE, lead: float) -> tuple[Int[Tensor, "8"], Bool[Tensor, "2 19683"]]:
    """How many operations are reconstructed exactly, in the order of `_ANSWERS`; and which are hard for A and B."""
    tables = all_operations(model.encoder_A.fc_mu.weight.device)
    counts, hard = zip(*(_exact(model, chunk, model.encode(chunk), lead) for chunk in in_chunks(tables)))
    return torch.stack(counts).sum(dim=0), torch.cat(hard, dim=1)


@torch.no_grad()
def _under_noise(
    model: DualVAE, recipe: Recipe, epoch: int, generator: torch.Generator
) -> tuple[Int[Tensor, " n"], NoiseOutcome]:
    """This epoch's operations and how often each was exact. They are spread over the whole space by index."""
    settings = recipe.evaluation
    first = epoch % settings.noise_cycle
    operations = torch.arange(first, OPERATION_COUNT, settings.noise_cycle, device=generator.device)
    posteriors = model.encode(all_operations(generator.device)[operations])
    return operations, decode_under_noise(
        model, posteriors, generator, settings.noise, settings.noise_draws, operations
    )


def _exact(
    model: DualVAE, tables: Int8[Tensor, "n 9"], posteriors: Posteriors, lead: float
) -> tuple[Int[Tensor, "8"], Bool[Tensor, "2 n"]]:
    """How many operations are reconstructed exactly, in the order of `_ANSWERS`; and which A and B do not
    reconstruct with right logits ahead of all others by `lead`, alone or coupled."""
    logits = model.decode(posteriors.mu_a, "A"), model.decode(posteriors.mu_b, "B")
    coupled = model.decode_coupled(posteriors.mu_a, posteriors.mu_b)
    voters = (*logits, *coupled)
    answers = torch.stack([logits_to_tables(each) for each in voters])
    exact = (answers == tables).all(dim=-1)
    sure = exact
    if lead:
        handicap = lead * one_hot(tables.long() + 1, 3)
        sure = torch.stack([(logits_to_tables(each - handicap) == tables).all(dim=-1) for each in voters])
    # Where all four voters agree, so does every ensemble of them; soon that is nearly everywhere.
    disputed = (answers != answers[0]).any(dim=-1).any(dim=0)
    agreed = (exact[0] & ~disputed).sum()
    rows = disputed.nonzero()[:, 0]
    tables, (logits_a, logits_b, *coupled) = tables[rows], (each[rows] for each in voters)
    combined = [combine(tables, logits_a, logits_b, strategy, tuple(coupled)) for strategy in STRATEGIES]
    by_ensembles = agreed + (torch.stack(combined) == tables).all(dim=-1).sum(dim=-1)
    return torch.cat([exact.sum(dim=-1), by_ensembles]), ~(sure[:2] & sure[2:])


def _covered(
    model: DualVAE, vae: Side, recipe: Recipe, generator: torch.Generator
) -> tuple[Bool[Tensor, "19683"], Bool[Tensor, "19683"], Float[Tensor, "19683"], Float[Tensor, "19683"]]:
    """Operations that one VAE meets in its half of `coverage_draws` decoded draws, and in `full_coverage_draws`; and
    how often it met each in all draws made, 1 being a fair share. The second count ends early once the odds of meeting
    everything have fallen below one in 10,000. The fourth table is the third for draws as wide as those of the plan's
    benchmark, half as many as `coverage_draws` asks of one VAE, where the recipe wants them."""
    half = recipe.evaluation.coverage_draws // 2
    full = max(half, recipe.evaluation.full_coverage_draws or 0)
    met = torch.bincount(decoded_indices(model, vae, half, generator), minlength=OPERATION_COUNT)
    in_half = met > 0
    drawn = half
    while drawn < full and _could_meet_all(met, drawn, full):
        more = min(half, full - drawn)
        met = met + torch.bincount(decoded_indices(model, vae, more, generator), minlength=OPERATION_COUNT)
        drawn += more
    usage = widened_usage = met * (OPERATION_COUNT / drawn)
    if recipe.objective.uniformity.widened_share:
        count = max(1, half // 2)
        latents = WIDENING * prior_draws(count, generator)
        met_widened = torch.bincount(indices_of_latents(model, vae, latents), minlength=OPERATION_COUNT)
        widened_usage = met_widened * (OPERATION_COUNT / count)
    return in_half, met > 0, usage, widened_usage


def _could_meet_all(met: Int[Tensor, "19683"], drawn: int, full: int) -> bool:
    """Whether the operations not met yet may all be met by `full` draws. Their probability is estimated by Good and
    Turing's rule (the share of draws that were the only one of their operation) plus four standard deviations."""
    missing, once, twice = torch.stack([(met == times).sum() for times in (0, 1, 2)]).tolist()
    mass = min(1.0, (once + 4 * (once + 2 * twice + 1) ** 0.5) / drawn)
    return completion_odds(missing, mass, full - drawn) > _NEGLIGIBLE_ODDS
