"""What is measured after every epoch, over the whole space, without touching training's random numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int, Int8
from torch import Tensor

from ternary_vae.limits import coverage_limit
from ternary_vae.model import STRATEGIES, DualVAE, Posteriors, combine, logits_to_tables
from ternary_vae.operations import OPERATION_COUNT, all_operations
from ternary_vae.recipe import Recipe
from ternary_vae.resolution.coverage import covered_table, decoded_indices, in_chunks
from ternary_vae.training.objective import entry_cross_entropy

_LARGE_PRIME = 1_000_003
_ANSWERS = tuple(f"exact_match_{name}" for name in ("a", "b", "coupled_a", "coupled_b", *STRATEGIES))


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


@torch.no_grad()
def evaluate(model: DualVAE, recipe: Recipe, epoch: int) -> Evaluation:
    """Exact match alone, coupled and as an ensemble; homes under noise; decoded coverage.

    Args:
        epoch: epochs completed; with the recipe's seed it fixes the evaluation's own random numbers.
    """
    model.eval()
    device = model.encoder_A.fc_mu.weight.device
    generator = torch.Generator(device).manual_seed((recipe.seed * _LARGE_PRIME + epoch) % 2**63)
    settings = recipe.evaluation
    answers, leads, advantages = [], [], []
    for tables in in_chunks(all_operations(device)):
        posteriors = model.encode(tables)
        answers.append(_exact(model, tables, posteriors))
        lead, advantage = _lead_of_a(model, tables, posteriors, settings.noise, settings.noise_draws, generator)
        leads.append(torch.stack([(lead > 0).sum(), (lead < 0).sum()]))
        advantages.append(advantage)
    totals = (torch.stack(answers).sum(dim=0), torch.stack(leads).sum(dim=0), _covered(model, recipe, generator))
    counts = torch.cat(totals).tolist()

    row: dict[str, Any] = {name: count / OPERATION_COUNT for name, count in zip(_ANSWERS, counts)}
    n_a, n_b, union, single_a, single_b, full_a, full_b = counts[len(_ANSWERS) :]
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
        "covered_all_a": full_a == OPERATION_COUNT if complete else None,
        "covered_all_b": full_b == OPERATION_COUNT if complete else None,
    }
    return Evaluation(row, torch.cat(advantages))


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


def _covered(model: DualVAE, recipe: Recipe, generator: torch.Generator) -> Int[Tensor, "5"]:
    """Operations met by both VAEs together in `coverage_draws` decoded draws (half each), by each alone in its half,
    and by each in `full_coverage_draws`."""
    half = recipe.evaluation.coverage_draws // 2
    more = max(0, (recipe.evaluation.full_coverage_draws or 0) - half)
    alone = [covered_table(decoded_indices(model, vae, half, generator)) for vae in ("A", "B")]
    complete = [
        table | covered_table(decoded_indices(model, vae, more, generator)) if more else table
        for vae, table in zip(("A", "B"), alone)
    ]
    return torch.stack([table.sum() for table in (alone[0] | alone[1], *alone, *complete)])
