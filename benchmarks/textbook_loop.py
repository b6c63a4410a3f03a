"""The plan's trainer as it is commonly written: the system to compare with.

Nothing here is slow on purpose. Each habit is in many published training loops: a DataLoader over a data set
that fits in 200 kB, batches of 64, `.item()` on every quantity of every step, gradient norms summed in a
Python loop, and coverage counted by putting tuples into a Python set. Loss and schedule are the plan's
recipe in its first phase; networks are the package's own, their linear layers PyTorch's.
"""

from __future__ import annotations

from collections import defaultdict

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from ternary_vae.model import DualVAE
from ternary_vae.operations import TWO_INPUT_TERNARY, all_operations

BATCH_SIZE = 64
COVERAGE_DRAWS = 195_000
"""Draws a VAE after every epoch."""
DRAWS_AT_ONCE = 1000


class TextbookTrainer:
    """Trains the dual VAE on a share of all operations.

    Args:
        operations: how many operations to train on.
        seed: of weights, order and noise.
    """

    def __init__(self, operations: int = TWO_INPUT_TERNARY.operations, seed: int = 42) -> None:
        torch.manual_seed(seed)
        self.model = DualVAE("plain")
        for module in self.model.modules():
            if isinstance(module, torch.nn.Linear):
                module.__class__ = torch.nn.Linear  # PyTorch's own, not the package's
        chosen = torch.randperm(TWO_INPUT_TERNARY.operations)[:operations]
        self.loader = DataLoader(TensorDataset(all_operations().float()[chosen]), batch_size=BATCH_SIZE, shuffle=True)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, weight_decay=1e-4)
        self.norm_a = self.norm_b = 1.0
        self.rho, self.beta_a, self.beta_b = 0.1, 0.1, 0.07
        self.lambda1 = self.lambda2 = 0.7

    def train_epoch(self) -> dict[str, float]:
        """One pass over the data; the mean of every quantity."""
        self.model.train()
        sums: dict[str, float] = defaultdict(float)
        for (x,) in self.loader:
            outputs = self.model(x, rho=self.rho)
            scale_a = min(max(self.norm_b / (self.norm_a + 1e-8), 0.5), 2.0)
            scale_b = min(max(self.norm_a / (self.norm_b + 1e-8), 0.5), 2.0)
            loss, terms = self._loss(x, outputs, scale_a, scale_b)
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self._average_gradient_norms()
            self.optimizer.step()
            for name, value in terms.items():
                sums[name] += value.item()
        return {name: total / len(self.loader) for name, total in sums.items()}

    @torch.no_grad()
    def coverage(self) -> tuple[int, int]:
        """Number of different operations in `COVERAGE_DRAWS` samples of each VAE."""
        self.model.eval()
        counts = []
        for vae in ("A", "B"):
            seen: set[tuple[int, ...]] = set()
            for _ in range(COVERAGE_DRAWS // DRAWS_AT_ONCE):
                z = torch.randn(DRAWS_AT_ONCE, self.model.sizes.latent_dimensions)
                logits = self.model.decode(z, vae)
                drawn = torch.distributions.Categorical(logits=logits).sample() - 1
                for operation in drawn:
                    seen.add(tuple(operation.tolist()))
            counts.append(len(seen))
        return counts[0], counts[1]

    def _loss(
        self, x: Tensor, outputs: dict[str, Tensor], scale_a: float, scale_b: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        classes = (x + 1).long()
        terms = {
            "cross_entropy_a": _cross_entropy(outputs["logits_A"], classes),
            "cross_entropy_b": _cross_entropy(outputs["logits_B"], classes),
            "kl_a": _kl(outputs["mu_A"], outputs["logvar_A"]),
            "kl_b": _kl(outputs["mu_B"], outputs["logvar_B"]),
            "output_entropy_b": _output_entropy(outputs["logits_B"]),
            "repulsion_b": _repulsion(outputs["z_B"]),
            "entropy_a": _histogram_entropy(outputs["z_A"]),
            "entropy_b": _histogram_entropy(outputs["z_B"]),
        }
        loss_a = terms["cross_entropy_a"] + self.beta_a * terms["kl_a"]
        loss_b = terms["cross_entropy_b"] + self.beta_b * terms["kl_b"]
        loss_b = loss_b - 0.05 * terms["output_entropy_b"] + 0.01 * terms["repulsion_b"]
        alignment = (terms["entropy_a"] - terms["entropy_b"]).abs()
        loss = self.lambda1 * scale_a * loss_a + self.lambda2 * scale_b * loss_b + 0.3 * alignment
        return loss, terms | {"loss": loss}

    def _average_gradient_norms(self) -> None:
        norms = {"A": 0.0, "B": 0.0}
        for name, parameter in self.model.named_parameters():
            side = name.partition(".")[0][-1]
            if parameter.grad is not None and side in norms:
                norms[side] += parameter.grad.norm().item() ** 2
        self.norm_a = 0.95 * self.norm_a + 0.05 * norms["A"] ** 0.5
        self.norm_b = 0.95 * self.norm_b + 0.05 * norms["B"] ** 0.5


def _cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    return F.cross_entropy(logits.reshape(-1, 3), classes.reshape(-1), reduction="sum") / len(logits)


def _kl(mu: Tensor, logvar: Tensor) -> Tensor:
    kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp())
    return kl.clamp(min=0.5).sum(dim=1).mean()


def _output_entropy(logits: Tensor) -> Tensor:
    mean = F.softmax(logits, dim=-1).mean(dim=0)
    return -(mean * (mean + 1e-10).log()).sum(dim=-1).mean()


def _repulsion(z: Tensor) -> Tensor:
    squares = torch.cdist(z, z).pow(2)
    return torch.exp(-squares / 0.25).mean()


@torch.no_grad()
def _histogram_entropy(z: Tensor) -> Tensor:
    entropies = []
    for dimension in range(z.shape[1]):
        counts = torch.histc(z[:, dimension], bins=50, min=-3, max=3)
        share = counts / (counts.sum() + 1e-10)
        entropies.append(-(share * (share + 1e-10).log()).sum())
    return torch.stack(entropies).mean()
