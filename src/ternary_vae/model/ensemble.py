"""Ensemble strategies: how one operation is made of what both decoders answer.

A strategy is one object. Whatever lists strategies, as evaluation and benchmarks do, lists `STRATEGIES`, to which
`register_strategy` adds; so a strategy of another package is evaluated, logged and recorded as ours are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int8, Real, Shaped
from torch import Tensor

from ternary_vae.errors import nearest
from ternary_vae.operations import VALUES

Need = Literal["target", "coupled"]


@dataclass(frozen=True)
class EnsembleStrategy:
    """A way of combining two decoders.

    Attributes:
        name: its key in logs and records, an identifier.
        title: what people read.
        combine: (logits_a, logits_b) of shape (n, 9, 3) → tables of values −1, 0, 1 and shape (n, 9), as int8. What it
            `needs` comes by keyword: `target`, the tables (n, 9) that are wanted; `coupled`, a tuple with the logits of
            both decoders from cross-injected latents.
        needs: which of these.
        unanimous: whether it always answers as decoded alone and coupled by both VAEs, where these four agree on a
            whole table. Evaluation then asks it only about the others.
    """

    name: str
    title: str
    combine: Callable[..., Int8[Tensor, "n 9"]]
    needs: tuple[Need, ...] = ()
    unanimous: bool = False


STRATEGIES: dict[str, EnsembleStrategy] = {}
"""Every strategy there is, by name."""


def register_strategy(strategy: EnsembleStrategy) -> EnsembleStrategy:
    """Adds a strategy to `STRATEGIES`; returns it.

    Raises:
        ValueError: the name is taken, or no identifier.
    """
    if strategy.name in STRATEGIES or not strategy.name.isidentifier():
        raise ValueError(f"ensemble strategy {strategy.name!r}: expected a new name of letters, digits and _")
    STRATEGIES[strategy.name] = strategy
    return strategy


def strategy_named(name: str) -> EnsembleStrategy:
    """The strategy of a name.

    Raises:
        ValueError: there is none.
    """
    if name not in STRATEGIES:
        raise ValueError(f"unknown ensemble strategy {name!r}; {nearest(name, STRATEGIES)}")
    return STRATEGIES[name]


def combine(
    target: Shaped[Tensor, "n 9"],
    logits_a: Float[Tensor, "n 9 3"],
    logits_b: Float[Tensor, "n 9 3"],
    strategy: str | EnsembleStrategy,
    coupled: tuple[Float[Tensor, "n 9 3"], ...] = (),
) -> Int8[Tensor, "n 9"]:
    """A strategy's answer to given logits.

    Raises:
        ValueError: unknown strategy.
    """
    chosen = strategy_named(strategy) if isinstance(strategy, str) else strategy
    offered = {"target": target, "coupled": coupled}
    return chosen.combine(logits_a, logits_b, **{need: offered[need] for need in chosen.needs})


def logits_to_tables(logits: Real[Tensor, "*entries 3"]) -> Int8[Tensor, "*entries"]:
    """The most likely value of each entry, −1, 0 or 1; of equally likely values the lowest. What grows with the
    probability will do in place of logits, such as votes. Three comparisons are several times faster than `argmax` over
    a dimension of three."""
    minus, zero, plus = logits.unbind(dim=-1)
    return torch.where(plus > torch.maximum(minus, zero), 1, (zero > minus).to(torch.int8) - 1)


def best_of_two(
    logits_a: Float[Tensor, "n 9 3"], logits_b: Float[Tensor, "n 9 3"], target: Shaped[Tensor, "n 9"]
) -> Int8[Tensor, "n 9"]:
    """The reconstruction with fewer wrong entries; ties to A."""
    tables_a, tables_b = logits_to_tables(logits_a), logits_to_tables(logits_b)
    a_is_better = (tables_a != target).sum(dim=1) <= (tables_b != target).sum(dim=1)
    return torch.where(a_is_better[:, None], tables_a, tables_b)


def voting(logits_a: Float[Tensor, "n 9 3"], logits_b: Float[Tensor, "n 9 3"]) -> Int8[Tensor, "n 9"]:
    """Entry by entry, ties to B. With two voters that is always B's answer; kept because the plan names it."""
    return logits_to_tables(logits_b)


def confidence_weighted(logits_a: Float[Tensor, "n 9 3"], logits_b: Float[Tensor, "n 9 3"]) -> Int8[Tensor, "n 9"]:
    """Entry by entry, the VAE whose softmax is surer; ties to B."""
    return torch.where(_doubt(logits_a) < _doubt(logits_b), logits_to_tables(logits_a), logits_to_tables(logits_b))


def majority(
    logits_a: Float[Tensor, "n 9 3"], logits_b: Float[Tensor, "n 9 3"], coupled: tuple[Float[Tensor, "n 9 3"], ...]
) -> Int8[Tensor, "n 9"]:
    """Entry by entry, four voters: A and B decoded alone and coupled at the model's ρ. A tie goes to the value with the
    larger summed probability, and of equal ones to the lowest."""
    voters = (logits_a, logits_b, *coupled)
    answers = [logits_to_tables(logits) for logits in voters]
    votes = [sum((answer == value).to(torch.int8) for answer in answers) for value in VALUES]
    most = torch.maximum(torch.maximum(votes[0], votes[1]), votes[2])
    winners = [count == most for count in votes]
    answer = logits_to_tables(torch.stack(votes, dim=-1))
    # Ties are few, so probabilities are computed for these alone.
    tied = (sum(won.to(torch.int8) for won in winners) > 1).nonzero(as_tuple=True)
    probability = sum(logits[tied].softmax(dim=-1) for logits in voters)
    lost = torch.stack([~won[tied] for won in winners], dim=-1)
    answer[tied] = logits_to_tables(probability.masked_fill(lost, -1.0))
    return answer


def product_of_experts(logits_a: Float[Tensor, "n 9 3"], logits_b: Float[Tensor, "n 9 3"]) -> Int8[Tensor, "n 9"]:
    """Entry by entry, the value whose two probabilities have the largest product (Hinton 2002, "Training products of
    experts by minimizing contrastive divergence"). Not one of the plan's. Under latent noise nearly as often exact as
    `majority`, with half of its decodings."""
    # Of each VAE's three probabilities the logits are the logarithms, up to what the three have in common.
    return logits_to_tables(logits_a + logits_b)


for _strategy in (
    EnsembleStrategy("best_of_two", "best of two", best_of_two, needs=("target",), unanimous=True),
    EnsembleStrategy("voting", "voting", voting, unanimous=True),
    EnsembleStrategy("confidence_weighted", "confidence-weighted", confidence_weighted, unanimous=True),
    EnsembleStrategy("majority", "majority", majority, needs=("coupled",), unanimous=True),
    # Sums may round to a tie where both agree, so it need not follow them.
    EnsembleStrategy("product_of_experts", "product of experts", product_of_experts),
):
    register_strategy(_strategy)


def _doubt(logits: Float[Tensor, "n 9 3"]) -> Float[Tensor, "n 9"]:
    """Reciprocal of the largest probability: the sum of exp(logit − largest logit) over the three classes."""
    minus, zero, plus = logits.unbind(dim=-1)
    largest = torch.maximum(torch.maximum(minus, zero), plus)
    return (minus - largest).exp() + (zero - largest).exp() + (plus - largest).exp()
