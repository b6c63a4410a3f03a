"""Learned fusion of the two decoders (plan, appendix B.2), held against the fixed strategies.

    python scripts/analysis/learned_fusion.py runs/resolution-seed42/checkpoints/epoch_400.safetensors

A small network reads both decoders' logits and weighs them, entry by entry. It is trained on half of the operations
and judged on the other half, both decoded under latent noise of 0.3, since without noise there is nothing to gain.
`best_of_two` is given the right answer and so is the limit of choosing one decoder for a whole operation.
"""

from __future__ import annotations

import argparse
import sys

import torch
from jaxtyping import Float, Int8
from torch import Tensor, nn

from ternary_vae.errors import UserError
from ternary_vae.model import STRATEGIES, DualVAE, combine, logits_to_tables
from ternary_vae.operations import all_operations
from ternary_vae.resolution.complementarity import NOISE_SIGMA
from ternary_vae.space import TWO_INPUT_TERNARY
from ternary_vae.storage.checkpoints import load_model
from ternary_vae.terminal import exit_code

STEPS = 2000
BATCH = 1024
TEST_DRAWS = 8


class Fusion(nn.Module):
    """Both decoders' log-probabilities → log-odds of A for each entry: 54 → 64, ReLU → 9."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(54, 64), nn.ReLU(), nn.Linear(64, 9))

    def forward(self, log_a: Float[Tensor, "n 9 3"], log_b: Float[Tensor, "n 9 3"]) -> Float[Tensor, "n 9 3"]:
        """Log-probabilities of the mixture."""
        odds = self.layers(torch.cat([log_a, log_b], dim=-1).flatten(1))[..., None]
        return torch.logaddexp(nn.functional.logsigmoid(odds) + log_a, nn.functional.logsigmoid(-odds) + log_b)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    model, checkpoint = load_model(arguments.checkpoint)
    if model.space != TWO_INPUT_TERNARY:
        raise UserError(f"{arguments.checkpoint}: is of {model.space}, and this of {TWO_INPUT_TERNARY}; name another")
    torch.manual_seed(arguments.seed)
    tables = all_operations()[torch.randperm(19_683)]
    train, test = tables[:9_842], tables[9_842:]
    fusion = trained(model, train)
    rates = judged(model, fusion, test)
    print(
        f"{checkpoint.recipe.name}, epoch {checkpoint.epoch}: exact under noise {NOISE_SIGMA}, operations not fused on"
    )
    for name, rate in sorted(rates.items(), key=lambda item: item[1]):
        print(f"  {name:<22}{rate:.2%}")


def trained(model: DualVAE, tables: Int8[Tensor, "n 9"]) -> Fusion:
    fusion = Fusion()
    optimizer = torch.optim.Adam(fusion.parameters(), lr=2e-3)
    for _ in range(STEPS):
        batch = tables[torch.randint(len(tables), (BATCH,))]
        log_a, log_b = (logits.log_softmax(dim=-1) for logits in decoded(model, batch))
        loss = nn.functional.nll_loss(fusion(log_a, log_b).flatten(0, 1), batch.long().flatten() + 1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return fusion


@torch.no_grad()
def decoded(model: DualVAE, tables: Int8[Tensor, "n 9"]) -> tuple[Float[Tensor, "n 9 3"], Float[Tensor, "n 9 3"]]:
    """Logits of both decoders under the same latent noise."""
    posteriors = model.encode(tables)
    noise = NOISE_SIGMA * torch.randn_like(posteriors.mu_a)
    return model.decode(posteriors.mu_a + noise, "A"), model.decode(posteriors.mu_b + noise, "B")


@torch.no_grad()
def judged(model: DualVAE, fusion: Fusion, tables: Int8[Tensor, "n 9"]) -> dict[str, float]:
    """Share of decodings that are exact, by way of answering."""
    exact: dict[str, float] = {}
    for _ in range(TEST_DRAWS):
        logits_a, logits_b = decoded(model, tables)
        log_a, log_b = logits_a.log_softmax(dim=-1), logits_b.log_softmax(dim=-1)
        answers = {
            "VAE-A alone": logits_to_tables(logits_a),
            "VAE-B alone": logits_to_tables(logits_b),
            "mean of probabilities": logits_to_tables(log_a.exp() + log_b.exp()),
            "learned fusion": logits_to_tables(fusion(log_a, log_b)),
            **{
                f"{name} (told)" if "target" in strategy.needs else name: combine(tables, logits_a, logits_b, strategy)
                for name, strategy in STRATEGIES.items()
                if "coupled" not in strategy.needs
            },
        }
        for name, answer in answers.items():
            exact[name] = exact.get(name, 0.0) + (answer == tables).all(dim=1).float().mean().item() / TEST_DRAWS
    return exact


if __name__ == "__main__":
    sys.exit(exit_code("learned_fusion", main))
