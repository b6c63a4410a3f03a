"""Small statistics that several measures share: intervals over repeats, entropy of counts, named generators."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int
from scipy import special
from torch import Tensor

from ternary_vae.resolution.records import Interval

ENTROPY_ESTIMATOR = "Chao, Wang and Jost 2013"


def named_generator(seed: int, name: str, device: torch.device | str) -> torch.Generator:
    """A generator that depends on the seed and the name of a measure alone, so that no measure changes when
    another draws more or less."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def repeat_interval(shares: Sequence[float]) -> Interval:
    """Mean of independent repeats of a share with its 95% interval (Student's t), cut at 0 and 1.

    Raises:
        ValueError: with fewer than two repeats, which have no spread.
    """
    if len(shares) < 2:
        raise ValueError(f"an interval needs at least two repeats, got {len(shares)}")
    mean = math.fsum(shares) / len(shares)
    deviation = math.sqrt(math.fsum((share - mean) ** 2 for share in shares) / (len(shares) - 1))
    half = float(special.stdtrit(len(shares) - 1, 0.975)) * deviation / math.sqrt(len(shares))
    return Interval(
        mean=mean,
        low=max(0.0, mean - half),
        high=min(1.0, mean + half),
        standard_deviation=deviation,
        repeats=len(shares),
    )


def entropy_bits(counts: Int[Tensor, " cells"]) -> float:
    """Entropy, in bits, of the distribution that drew `counts`, nearly without bias even where cells are still
    unseen (A. Chao, Y. T. Wang, L. Jost, Methods in Ecology and Evolution 4, 2013, 1091–1100):

    sum over seen cells of (n/N)·(ψ(N) − ψ(n)), plus the unseen cells' share (f₁/N)·sum over j ≥ 1 of
    (1 − A)^j / (N + j − 1), where f₁ and f₂ cells were seen once and twice and A = 2f₂ / ((N − 1)f₁ + 2f₂). The
    sum is replaced by its integral e^x·E₁(x), x = A·N, which differs by one part in N.

    Raises:
        ValueError: if nothing was counted.
    """
    seen = counts[counts > 0].cpu().numpy().astype(np.float64)
    total = float(seen.sum())
    if total == 0:
        raise ValueError("the entropy of no draws is undefined")
    nats = float((seen / total * (special.digamma(total) - special.digamma(seen))).sum())
    once, twice = int((seen == 1).sum()), int((seen == 2).sum())
    if once > 0 and total > 1:
        missing = 2 * twice / ((total - 1) * once + 2 * twice) if twice else 2 / ((total - 1) * (once - 1) + 2)
        x = missing * total
        tail = math.exp(x) * float(special.exp1(x)) if x < 500 else 1 / (x + 1)
        nats += once / total * tail
    return max(0.0, nats / math.log(2))
