"""What is measured after every epoch, over the whole space, without touching training's random numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ternary_vae.limits import coverage_limit
from ternary_vae.model import LATENT_DIMENSIONS, STRATEGIES, DualVAE, combine, logits_to_tables
from ternary_vae.operations import OPERATION_COUNT, all_operations, as_input
from ternary_vae.recipe import Recipe
from ternary_vae.resolution.coverage import decoded_indices
from ternary_vae.training.objective import entry_cross_entropy

_LARGE_PRIME = 1_000_003


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
    tables = all_operations(device)
    posteriors = model.encode(tables)
    logits = [model.decode(posteriors.mu_a, "A"), model.decode(posteriors.mu_b, "B")]
    coupled = model.decode_coupled(posteriors.mu_a, posteriors.mu_b)
    matches = {
        "exact_match_a": logits_to_tables(logits[0]),
        "exact_match_b": logits_to_tables(logits[1]),
        "exact_match_coupled_a": logits_to_tables(coupled[0]),
        "exact_match_coupled_b": logits_to_tables(coupled[1]),
        **{f"exact_match_{name}": combine(tables, *logits, name, coupled) for name in STRATEGIES},
    }
    shares = torch.stack([(answer == tables).all(dim=1).sum() for answer in matches.values()])
    home_a, home_b, advantage = _homes(model, recipe, generator)
    covered = _covered(model, recipe, generator)
    counts = torch.cat([shares, torch.stack([home_a, home_b]), *covered.values()]).tolist()

    row: dict[str, Any] = {name: count / OPERATION_COUNT for name, count in zip(matches, counts)}
    n_a, n_b = counts[len(matches) : len(matches) + 2]
    row["share_a"] = n_a / (n_a + n_b) if n_a + n_b else None
    row["complementarity"] = min(n_a, n_b) / max(n_a, n_b) if n_a + n_b else None
    union, single_a, single_b, full_a, full_b = counts[len(matches) + 2 :]
    draws = recipe.evaluation.coverage_draws
    row |= {
        "coverage": union / OPERATION_COUNT,
        "coverage_draws": draws,
        "coverage_limit": coverage_limit(draws),
        "coverage_a": single_a / OPERATION_COUNT,
        "coverage_b": single_b / OPERATION_COUNT,
        "coverage_single_limit": coverage_limit(draws // 2),
        "covered_all_a": full_a == OPERATION_COUNT if recipe.evaluation.full_coverage_draws else None,
        "covered_all_b": full_b == OPERATION_COUNT if recipe.evaluation.full_coverage_draws else None,
    }
    return Evaluation(row, advantage)


def _homes(model: DualVAE, recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, Tensor, Float[Tensor, "19683"]]:
    """Operations decoded exactly more often by A and by B under the same latent noise, and A's mean
    advantage in nats."""
    device = model.encoder_A.fc_mu.weight.device
    tables = all_operations(device)
    classes = tables.long() + 1
    posteriors = model.encode(as_input(tables))
    lead = torch.zeros(OPERATION_COUNT, dtype=torch.long, device=device)
    advantage = torch.zeros(OPERATION_COUNT, device=device)
    for _ in range(recipe.evaluation.noise_draws):
        epsilon = torch.randn(OPERATION_COUNT, LATENT_DIMENSIONS, generator=generator, device=device)
        logits_a = model.decode(posteriors.mu_a + recipe.evaluation.noise * epsilon, "A")
        logits_b = model.decode(posteriors.mu_b + recipe.evaluation.noise * epsilon, "B")
        lead += (logits_to_tables(logits_a) == tables).all(dim=1).long()
        lead -= (logits_to_tables(logits_b) == tables).all(dim=1).long()
        advantage += entry_cross_entropy(logits_b, classes) - entry_cross_entropy(logits_a, classes)
    return (lead > 0).sum(), (lead < 0).sum(), advantage / recipe.evaluation.noise_draws


def _covered(model: DualVAE, recipe: Recipe, generator: torch.Generator) -> dict[str, Tensor]:
    """Operations met by both VAEs together in `coverage_draws` decoded draws (half each), by each alone in
    its half, and by each in `full_coverage_draws`."""
    device = model.encoder_A.fc_mu.weight.device
    half = recipe.evaluation.coverage_draws // 2
    full = max(half, recipe.evaluation.full_coverage_draws or 0)
    seen: list[Bool[Tensor, "19683"]] = []
    complete: list[Bool[Tensor, "19683"]] = []
    for vae in ("A", "B"):
        table = torch.zeros(OPERATION_COUNT, dtype=torch.bool, device=device)
        table[decoded_indices(model, vae, half, generator)] = True
        seen.append(table)
        table = table.clone()
        if full > half:
            table[decoded_indices(model, vae, full - half, generator)] = True
        complete.append(table)
    return {
        "both": (seen[0] | seen[1]).sum()[None],
        "alone": torch.stack([table.sum() for table in seen]),
        "complete": torch.stack([table.sum() for table in complete]),
    }
