"""What is measured after every epoch, over the whole space, without touching training's random numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, Int8
from torch import Tensor

from ternary_vae.limits import completion_odds, coverage_limit
from ternary_vae.model import STRATEGIES, DualVAE, Posteriors, combine, logits_to_tables
from ternary_vae.model.dual_vae import Side
from ternary_vae.operations import OPERATION_COUNT, all_operations
from ternary_vae.recipe import Recipe
from ternary_vae.resolution.coverage import decoded_indices, in_chunks
from ternary_vae.resolution.parallel import side_by_side
from ternary_vae.training.objective import entry_cross_entropy

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
        advantage_a: how much more surely A than B decodes each operation under the evaluation's noise, in
            nats.
    """

    row: dict[str, Any]
    advantage_a: Float[Tensor, "19683"]

    def tensors(self) -> dict[str, Tensor]:
        """Everything but the row, by name, for a checkpoint."""
        return {"advantage_a": self.advantage_a}

    @classmethod
    def of(cls, row: dict[str, Any], tensors: dict[str, Tensor]) -> Evaluation:
        """The inverse of `row` and `tensors`.

        Raises:
            KeyError: if a tensor is missing.
        """
        return cls(row, tensors["advantage_a"])


@torch.no_grad()
def evaluate(model: DualVAE, recipe: Recipe, epoch: int) -> Evaluation:
    """Exact match alone, coupled and as an ensemble; homes under noise; decoded coverage.

    Args:
        epoch: epochs completed; with the recipe's seed it fixes the evaluation's own random numbers.
    """
    model.eval()
    device = model.encoder_A.fc_mu.weight.device
    settings = recipe.evaluation

    def generator_for(task: int) -> torch.Generator:
        return torch.Generator(device).manual_seed(((recipe.seed * _LARGE_PRIME + epoch) * 8 + task) % 2**63)

    results = side_by_side(
        {
            "B": lambda: _covered(model, "B", recipe, generator_for(0)),
            "tables": lambda: _reconstructed(model, recipe, generator_for(1)),
            "A": lambda: _covered(model, "A", recipe, generator_for(2)),
        },
        device,
    )
    exact, homes, advantage_a = results["tables"]
    (half_a, full_a), (half_b, full_b) = results["A"], results["B"]
    covered = torch.stack([table.sum() for table in (half_a | half_b, half_a, half_b, full_a, full_b)])
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
    return Evaluation(row, advantage_a)


@torch.no_grad()
def _reconstructed(
    model: DualVAE, recipe: Recipe, generator: torch.Generator
) -> tuple[Int[Tensor, "8"], Int[Tensor, "2"], Float[Tensor, "19683"]]:
    """Exact reconstructions in the order of `_ANSWERS`, homes in A and in B, and A's advantage."""
    settings = recipe.evaluation
    answers, leads, advantages = [], [], []
    for tables in in_chunks(all_operations(generator.device)):
        posteriors = model.encode(tables)
        answers.append(_exact(model, tables, posteriors))
        lead, advantage = _lead_of_a(model, tables, posteriors, settings.noise, settings.noise_draws, generator)
        leads.append(torch.stack([(lead > 0).sum(), (lead < 0).sum()]))
        advantages.append(advantage)
    return torch.stack(answers).sum(dim=0), torch.stack(leads).sum(dim=0), torch.cat(advantages)


def _exact(model: DualVAE, tables: Int8[Tensor, "n 9"], posteriors: Posteriors) -> Int[Tensor, "8"]:
    """How many operations are reconstructed exactly, in the order of `_ANSWERS`."""
    logits = model.decode(posteriors.mu_a, "A"), model.decode(posteriors.mu_b, "B")
    coupled = model.decode_coupled(posteriors.mu_a, posteriors.mu_b)
    answers = [logits_to_tables(each) for each in (*logits, *coupled)]
    answers += [combine(tables, *logits, strategy, coupled) for strategy in STRATEGIES]
    return (torch.stack(answers) == tables).all(dim=-1).sum(dim=-1)


def _lead_of_a(
    model: DualVAE,
    tables: Int8[Tensor, "n 9"],
    posteriors: Posteriors,
    noise: float,
    draws: int,
    generator: torch.Generator,
) -> tuple[Int[Tensor, " n"], Float[Tensor, " n"]]:
    """How much more often A than B decodes each operation exactly under the same latent noise, and how much more
    surely, as mean difference of cross-entropies in nats."""
    classes = tables.long() + 1
    lead = torch.zeros(len(tables), dtype=torch.long, device=tables.device)
    advantage = torch.zeros(len(tables), device=tables.device)
    for _ in range(draws):
        epsilon = noise * torch.randn(posteriors.mu_a.shape, generator=generator, device=tables.device)
        logits_a = model.decode(posteriors.mu_a + epsilon, "A")
        logits_b = model.decode(posteriors.mu_b + epsilon, "B")
        lead += (logits_to_tables(logits_a) == tables).all(dim=1).long()
        lead -= (logits_to_tables(logits_b) == tables).all(dim=1).long()
        advantage += entry_cross_entropy(logits_b, classes) - entry_cross_entropy(logits_a, classes)
    return lead, advantage / draws


def _covered(
    model: DualVAE, vae: Side, recipe: Recipe, generator: torch.Generator
) -> tuple[Bool[Tensor, "19683"], Bool[Tensor, "19683"]]:
    """Operations that one VAE meets in its half of `coverage_draws` decoded draws, and in `full_coverage_draws`. The
    second count ends early once the odds of meeting everything have fallen below one in 10,000."""
    half = recipe.evaluation.coverage_draws // 2
    full = max(half, recipe.evaluation.full_coverage_draws or 0)
    met = torch.bincount(decoded_indices(model, vae, half, generator), minlength=OPERATION_COUNT)
    in_half = met > 0
    drawn = half
    while drawn < full and _could_meet_all(met, drawn, full):
        more = min(half, full - drawn)
        met = met + torch.bincount(decoded_indices(model, vae, more, generator), minlength=OPERATION_COUNT)
        drawn += more
    return in_half, met > 0


def _could_meet_all(met: Int[Tensor, "19683"], drawn: int, full: int) -> bool:
    """Whether the operations not met yet may all be met by `full` draws. Their probability is estimated by Good and
    Turing's rule (the share of draws that were the only one of their operation) plus four standard deviations."""
    missing, once, twice = torch.stack([(met == times).sum() for times in (0, 1, 2)]).tolist()
    mass = min(1.0, (once + 4 * (once + 2 * twice + 1) ** 0.5) / drawn)
    return completion_odds(missing, mass, full - drawn) > _NEGLIGIBLE_ODDS
