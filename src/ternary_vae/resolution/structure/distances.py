"""Does distance in a code follow distances between operations?

Rank correlations are Spearman's, with mean ranks for ties. What a first distance explains is taken out of two others by
taking from the ranks of both their means over the pairs at each value of the first: a partial rank correlation that
holds whatever the shape of the relation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float64, Int8, Int64, Shaped
from torch import Tensor

from ternary_vae.operations import as_classes, hamming_distance, random_operations
from ternary_vae.resolution.structure.codes import Code
from ternary_vae.resolution.structure.records import DistanceAtHamming, Distances, Spread
from ternary_vae.space import Space

PAIRS = 200_000
PAIRS_AT_A_DISTANCE = 2_000
NUMBERINGS = 20
_ROUNDING = 1e-6
_DIGITS = 9  # of distances relative to their mean; what differs by less is equally far

Tables = Int8[Tensor, "n entries"]
Numbers = Float64[Tensor, " n"]


def class_distance(first: Tables, second: Tables) -> Numbers:
    """Sum over the entries of how far the two values are apart, in steps from value to value."""
    return (first.double() - second.double()).abs().sum(dim=-1)


def adic_distance(first: Tables, second: Tables, values: int, order: Sequence[int] | None = None) -> Numbers:
    """q^(−v(i − j)) of two operations' indices i and j, v being the exponent of the highest power of q = `values` that
    divides i − j, and 0 for the same operation. An entry is a digit of the index, so v is the number of the first entry
    in which the two tables differ.

    Args:
        order: the entries in the order of digits, the lowest first; their own order unless given.
    """
    differ = (first != second) if order is None else (first != second)[:, list(order)]
    place = differ.to(torch.uint8).argmax(dim=-1).double()
    return torch.where(differ.any(dim=-1), values**-place, torch.zeros_like(place))


def ranks(numbers: Shaped[Tensor, " n"]) -> Numbers:
    """Rank of each number, from 1; equal ones have the mean of theirs."""
    _, place, counts = torch.unique(numbers, return_inverse=True, return_counts=True)
    counts = counts.double()
    return (counts.cumsum(0) - (counts - 1) / 2)[place]


def correlation(first: Numbers, second: Numbers) -> float:
    """Pearson's, of ranks or what is left of them; 0 where either does not vary but by rounding."""
    first, second = first - first.mean(), second - second.mean()
    if min(float(first.abs().max()), float(second.abs().max())) < _ROUNDING:
        return 0.0
    return float((first @ second / (first.norm() * second.norm())).clamp(-1, 1))


def without_group_means(numbers: Numbers, group: Int64[Tensor, " n"]) -> Numbers:
    """Numbers less the mean of their group."""
    count = torch.bincount(group).clamp(min=1)
    return numbers - (torch.bincount(group, weights=numbers) / count)[group]


def rank_correlations(
    first: Shaped[Tensor, " n"], others: Iterable[Shaped[Tensor, " n"]], given: Int64[Tensor, " n"]
) -> list[tuple[float, float]]:
    """Spearman's rank correlation of a quantity with each of several others, and what is left of it among pairs with
    the same value of a third, see above."""
    ranked = ranks(first)
    left = without_group_means(ranked, given)
    return [
        (correlation(ranked, other), correlation(left, without_group_means(other, given)))
        for other in map(ranks, others)
    ]


def distances(
    code: Code,
    tables: Tables,
    points: Float64[Tensor, "n dimensions"],
    generator: torch.Generator,
    pairs: int = PAIRS,
    numberings: int = NUMBERINGS,
) -> Distances:
    """Euclidean distance in a code against distances between operations, over random pairs of different ones. The
    standard error of a correlation of 0 is 1/√pairs, 0.002.

    Args:
        tables, points: the operations to take pairs from, and their code.
        numberings: random numberings to compare the q-adic distance (of q values) with: of the same kind, entries being
            digits in another order, of two entries always the one there is; and of any kind, operations being numbered
            at random.
    """
    space, count = code.space, len(tables)
    first = torch.randint(count, (pairs,), generator=generator)
    second = (first + torch.randint(1, count, (pairs,), generator=generator)) % count
    # In squares: their ranks are the same. Of a sample, two may be one operation.
    latent = (points[first] - points[second]).square().sum(dim=1)
    latent = (latent / latent.mean().clamp(min=torch.finfo(latent.dtype).tiny)).round(decimals=_DIGITS)
    one, other = tables[first], tables[second]
    hamming = hamming_distance(one, other)
    orders = [other_order(space.entries, generator) for _ in range(numberings)]
    shuffles = [tables[torch.randperm(count, generator=generator)] for _ in range(numberings)]
    known = [hamming, class_distance(one, other), adic_distance(one, other, space.values)]
    reordered = (adic_distance(one, other, space.values, order) for order in orders)
    shuffled = (adic_distance(shuffle[first], shuffle[second], space.values) for shuffle in shuffles)
    found = rank_correlations(latent, (*known, *reordered, *shuffled), hamming)
    (by_entries, _), by_steps, by_adic = found[:3]
    whole, left = zip(*found[3:])
    return Distances(
        pairs=pairs,
        hamming=by_entries,
        class_steps=by_steps[0],
        class_steps_given_hamming=by_steps[1],
        adic=by_adic[0],
        adic_given_hamming=by_adic[1],
        adic_other_digit_orders=spread(whole[:numberings]),
        adic_given_hamming_other_digit_orders=spread(left[:numberings]),
        adic_random_numbering=spread(whole[numberings:]),
        adic_given_hamming_random_numbering=spread(left[numberings:]),
        by_hamming=by_hamming(code, generator),
    )


def other_order(entries: int, generator: torch.Generator) -> list[int]:
    """Entries in a random order that is not their own. Of few entries the own one is often drawn, and with it no
    numbering would do better than all others."""
    while (order := torch.randperm(entries, generator=generator).tolist()) == sorted(order):
        pass
    return order


def by_hamming(code: Code, generator: torch.Generator, pairs: int = PAIRS_AT_A_DISTANCE) -> list[DistanceAtHamming]:
    """Distance in a code of random operations that differ in one entry, in two, and so on to all."""
    space, curve = code.space, []
    for differing in range(1, space.entries + 1):
        tables = random_operations(pairs, space, generator)
        latent = (code.encode(tables) - code.encode(changed(tables, differing, space, generator))).norm(dim=1)
        low, high = latent.quantile(torch.tensor([0.05, 0.95], dtype=torch.float64)).tolist()
        curve.append(
            DistanceAtHamming(
                hamming=differing,
                pairs=pairs,
                mean=float(latent.mean()),
                standard_deviation=float(latent.std()),
                low=low,
                high=high,
            )
        )
    return curve


def changed(tables: Tables, differing: int, space: Space, generator: torch.Generator) -> Tables:
    """Tables with so many entries, chosen at random, changed to another value."""
    chosen = torch.rand(tables.shape, generator=generator).argsort(dim=1) < differing
    step = torch.randint(1, space.values, tables.shape, generator=generator) * chosen
    return ((as_classes(tables, space) + step) % space.values + space.lowest).to(torch.int8)


def spread(numbers: Sequence[float]) -> Spread:
    """Mean and spread of repeats."""
    found = torch.tensor(numbers, dtype=torch.float64)
    return Spread(
        mean=float(found.mean()),
        standard_deviation=float(found.std()) if len(found) > 1 else 0.0,
        least=float(found.min()),
        most=float(found.max()),
        repeats=len(found),
    )
