"""Ensemble strategies: how one operation is made of what both decoders answer.

A strategy is one object. Whatever lists strategies, as evaluation and benchmarks do, lists `STRATEGIES`, to which
`register_strategy` adds; so a strategy of another package is evaluated, logged and recorded as ours are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import torch
from jaxtyping import Float, Int, Real, Shaped
from torch import Tensor

from ternary_vae.errors import nearest
from ternary_vae.space import Space

Logits = Float[Tensor, "n entries values"]
Need = Literal["target", "coupled"]


@dataclass(frozen=True)
class EnsembleStrategy:
    """A way of combining two decoders.

    Attributes:
        name: its key in logs and records, an identifier.
        title: what people read.
        combine: (logits_a, logits_b) of shape (n, entries, values) → tables (n, entries) as int8. What it `needs` comes
            by keyword: `target`, the tables (n, entries) that are wanted; `coupled`, a tuple with the logits of both
            decoders from cross-injected latents.
        needs: which of these.
        unanimous: whether it always answers as decoded alone and coupled by both VAEs, where these four agree on a
            whole table. Evaluation then asks it only about the others.
    """

    name: str
    title: str
    combine: Callable[..., Int[Tensor, "n entries"]]
    needs: tuple[Need, ...] = ()
    unanimous: bool = False


VOTERS = ("a", "b", "coupled_a", "coupled_b")
"""Each decoder alone, and coupled, as logs name them beside strategies."""
STRATEGIES: dict[str, EnsembleStrategy] = {}
"""Every strategy there is, by name."""


def register_strategy(strategy: EnsembleStrategy) -> EnsembleStrategy:
    """Adds a strategy to `STRATEGIES`; returns it.

    Raises:
        ValueError: the name is taken, or no identifier.
    """
    if strategy.name in (*VOTERS, *STRATEGIES) or not strategy.name.isidentifier():
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
    target: Shaped[Tensor, "n entries"],
    logits_a: Logits,
    logits_b: Logits,
    strategy: str | EnsembleStrategy,
    coupled: tuple[Logits, ...] = (),
) -> Int[Tensor, "n entries"]:
    """A strategy's answer to given logits.

    Raises:
        ValueError: unknown strategy.
    """
    chosen = strategy_named(strategy) if isinstance(strategy, str) else strategy
    offered = {"target": target, "coupled": coupled}
    return chosen.combine(logits_a, logits_b, **{need: offered[need] for need in chosen.needs})


def logits_to_tables(logits: Real[Tensor, "*entries values"]) -> Int[Tensor, "*entries"]:
    """The most likely value of each entry, as `Space` has them; of equally likely values the lowest. What grows with
    the probability will do in place of logits, such as votes. For three values, comparing them one after the other is
    several times faster than `argmax`. In int8, or in int32 in a graph that is exported: few runtimes add int8."""
    lowest, *classes = logits.unbind(dim=-1)
    lowest_value = Space(len(classes) + 1, 1).lowest
    largest, answer = lowest, None
    for place, own in enumerate(classes, start=1):
        larger, value = own > largest, place + lowest_value
        answer = larger.to(_table_type()) + lowest_value if answer is None else torch.where(larger, value, answer)
        largest = torch.maximum(largest, own) if place < len(classes) else largest
    assert answer is not None
    return answer


def _table_type() -> torch.dtype:
    return torch.int32 if torch.compiler.is_compiling() else torch.int8


def best_of_two(
    logits_a: Logits,
    logits_b: Logits,
    target: Shaped[Tensor, "n entries"],
) -> Int[Tensor, "n entries"]:
    """The reconstruction with fewer wrong entries; ties to A."""
    tables_a, tables_b = logits_to_tables(logits_a), logits_to_tables(logits_b)
    a_is_better = (tables_a != target).sum(dim=1) <= (tables_b != target).sum(dim=1)
    return torch.where(a_is_better[:, None], tables_a, tables_b)


def voting(logits_a: Logits, logits_b: Logits) -> Int[Tensor, "n entries"]:
    """Entry by entry, ties to B. With two voters that is always B's answer; kept because the plan names it."""
    return logits_to_tables(logits_b)


def confidence_weighted(logits_a: Logits, logits_b: Logits) -> Int[Tensor, "n entries"]:
    """Entry by entry, the VAE whose softmax is surer; ties to B."""
    return torch.where(_doubt(logits_a) < _doubt(logits_b), logits_to_tables(logits_a), logits_to_tables(logits_b))


def majority(
    logits_a: Logits,
    logits_b: Logits,
    coupled: tuple[Logits, ...],
) -> Int[Tensor, "n entries"]:
    """Entry by entry, four voters: A and B decoded alone and coupled at the model's ρ. A tie goes to the value with the
    larger summed probability, and of equal ones to the lowest."""
    voters = (logits_a, logits_b, *coupled)
    answers = [logits_to_tables(logits) for logits in voters]
    values = logits_a.shape[-1]
    lowest = Space(values, 1).lowest
    votes = [sum((answer == lowest + place).to(_table_type()) for answer in answers) for place in range(values)]
    most = reduce(torch.maximum, votes)
    winners = [count == most for count in votes]
    answer = logits_to_tables(torch.stack(votes, dim=-1))
    # Ties are few, so probabilities are computed for these alone, but not in a graph that is exported, whose shapes
    # cannot depend on values. An entry without a tie has one winner, and keeps it.
    tied = sum(won.to(_table_type()) for won in winners) > 1
    chosen = (...,) if torch.compiler.is_compiling() else tied.nonzero(as_tuple=True)
    probability = sum(logits[chosen].softmax(dim=-1) for logits in voters)
    lost = torch.stack([~won[chosen] for won in winners], dim=-1)
    answer[chosen] = logits_to_tables(probability.masked_fill(lost, -1.0))
    return answer


def product_of_experts(logits_a: Logits, logits_b: Logits) -> Int[Tensor, "n entries"]:
    """Entry by entry, the value whose two probabilities have the largest product (Hinton 2002, "Training products of
    experts by minimizing contrastive divergence"). Not one of the plan's. Of the default recipe, under latent noise, a
    little more often exact than `majority`, with half of its decodings."""
    # Of each VAE's probabilities the logits are the logarithms, up to what those of an entry have in common.
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


def _doubt(logits: Logits) -> Float[Tensor, "n entries"]:
    """Reciprocal of the largest probability: the sum of exp(logit − largest logit) over the classes."""
    classes = logits.unbind(dim=-1)
    largest = reduce(torch.maximum, classes)
    return reduce(torch.add, [(own - largest).exp() for own in classes])
