"""Decoders whose behaviour is known in closed form, with the interface of the model."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ternary_vae.model import Sizes
from ternary_vae.operations import Operations, all_operations, operation_index

ALL = Operations(all_operations(), operation_index(all_operations()))
THIRD = 0.4307272992954576  # the standard normal exceeds it with probability 1/3


def normal_below(x: float) -> float:
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))


class ThresholdDecoder:
    """Entry j reads one latent coordinate: below −threshold it is −1, above +threshold it is 1, between them 0. With
    the threshold THIRD every operation is equally likely under the prior. B reads the last nine of 16 coordinates,
    A the first nine. With `sign` −1 each entry is negated."""

    sizes = Sizes()

    def __init__(self, threshold: float = THIRD, sign: int | Tensor = 1) -> None:
        self.threshold = threshold
        self.sign = sign

    def decode(self, z: Tensor, vae: str) -> Tensor:
        read = self.sign * (z[:, :9] if vae == "A" else z[:, 7:])
        classes = 1 + (read > self.threshold).long() - (read < -self.threshold).long()
        return 100.0 * torch.nn.functional.one_hot(classes, 3)

    def means(self, vae: str, centre: float | Tensor = 1.0) -> Tensor:
        """Posterior means of all operations that decode to them: entry · centre on the coordinates that are read."""
        mu = torch.zeros(19_683, 16)
        mu[:, slice(0, 9) if vae == "A" else slice(7, 16)] = self.sign * all_operations().float() * centre
        return mu

    def exact_rate(self, sigma: float, centre: float = 1.0) -> float:
        """Closed form of the exact-match rate of means + σ·ε, averaged over all operations."""
        if sigma == 0:
            return 1.0
        middle = 2 * normal_below(self.threshold / sigma) - 1
        end = normal_below((centre - self.threshold) / sigma)
        return ((middle + 2 * end) / 3) ** 9

    def prior_probabilities(self, widening: float = 1.0) -> Tensor:
        """Probability of every operation under z ~ N(0, widening²)."""
        middle = 2 * normal_below(self.threshold / widening) - 1
        zeros = (all_operations() == 0).sum(dim=1).double()
        return middle**zeros * ((1 - middle) / 2) ** (9 - zeros)


class IgnoringDecoder:
    """Answers every latent with equal logits: a perfect density model that has learnt nothing."""

    sizes = Sizes()

    def decode(self, z: Tensor, vae: str) -> Tensor:
        return torch.zeros(len(z), 9, 3)


def expected_coverage(probabilities: Tensor, draws: int) -> float:
    """Σ 1 − (1 − p)^N over operations, as a share."""
    return float((-torch.expm1(draws * torch.log1p(-probabilities))).mean())
