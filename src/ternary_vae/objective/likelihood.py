"""What is asked of the decoders' answers to operations that are known."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

SMALLEST_PROBABILITY = 1e-12


def entry_cross_entropy(
    logits: Float[Tensor, "*runs n entries values"], classes: Int[Tensor, "*runs n entries"]
) -> Float[Tensor, "*runs n"]:
    """Cross-entropy in nats, summed over the entries of each operation."""
    log_probability = class_log_probability(logits.reshape(-1, *logits.shape[-2:]))
    rows = classes.reshape(-1, classes.shape[-1])
    losses = F.nll_loss(log_probability[None], rows[None], reduction="none")[0].sum(dim=1)
    return losses.view(classes.shape[:-1])


def best_of_two_loss(
    logits_a: Float[Tensor, "*runs n entries values"],
    logits_b: Float[Tensor, "*runs n entries values"],
    classes: Int[Tensor, "*runs n entries"],
) -> Float[Tensor, "*runs"]:
    """−log P(VAE-A or VAE-B is exact) in nats, averaged over the batch: the likelihood of the ensemble that takes the
    better of two independent answers. Each VAE learns most where the other fails, as experts of a mixture do (Jacobs et
    al. 1991, "Adaptive mixtures of local experts"). Below a probability of 10^−12 it has no gradient: what neither VAE
    comes near is left to the VAEs' own losses."""
    exact_a, exact_b = ((-entry_cross_entropy(logits, classes)).exp() for logits in (logits_a, logits_b))
    return -(exact_a + exact_b - exact_a * exact_b).clamp(min=SMALLEST_PROBABILITY).log().mean(dim=-1)


def class_log_probability(logits: Float[Tensor, "*n entries values"]) -> Float[Tensor, "values *n entries"]:
    """Log-probabilities with the classes in front: a softmax over three neighbours in memory is several
    times slower than over three planes."""
    return logits.movedim(-1, 0).contiguous().log_softmax(dim=0)
