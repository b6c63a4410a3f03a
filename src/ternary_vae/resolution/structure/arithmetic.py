"""Can one calculate in a code? Sums and negation of its points, and symmetries of operations as affine maps of it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Int8
from torch import Tensor

from ternary_vae.operations import random_operations
from ternary_vae.resolution.structure.codes import Code, right
from ternary_vae.resolution.structure.records import AffineMap, Arithmetic
from ternary_vae.space import Space

PAIRS = 20_000

Tables = Int8[Tensor, "n entries"]


def negated(tables: Tables, space: Space) -> Tables:
    """The highest value for the lowest and so on: negation where values are balanced."""
    return (space.values - 1 + 2 * space.lowest - tables).to(torch.int8)


def sum_modulo(first: Tables, second: Tables, space: Space) -> Tables:
    """Entrywise sum modulo the number of values, as the value that it leaves."""
    return ((first.long() + second - space.lowest) % space.values + space.lowest).to(torch.int8)


def sum_cut(first: Tables, second: Tables, space: Space) -> Tables:
    """Entrywise sum, cut at the lowest and the highest value."""
    return (first.long() + second).clamp(space.lowest, space.highest).to(torch.int8)


def pairs_in_range(space: Space, count: int, generator: torch.Generator) -> tuple[Tables, Tables]:
    """Pairs drawn uniformly from those whose entrywise sum needs no wrap-around."""
    classes = torch.arange(space.values) + space.lowest
    both = torch.cartesian_prod(classes, classes)
    total = both.sum(dim=1)
    allowed = both[(total >= space.lowest) & (total <= space.highest)].to(torch.int8)
    drawn = allowed[torch.randint(len(allowed), (count, space.entries), generator=generator)]
    return drawn[..., 0], drawn[..., 1]


def symmetries(space: Space) -> dict[str, Callable[[Tables], Tables]]:
    """What may be done to every operation, by name: to its inputs, which moves entries, and to its answer."""
    arguments = torch.from_numpy(space.arguments()).long() - space.lowest
    places = space.values ** torch.arange(space.inputs - 1, -1, -1)

    def entries_moved(inputs: Tensor) -> Callable[[Tables], Tables]:
        source = inputs @ places
        return lambda tables: tables[:, source]

    raised = arguments.clone()
    raised[:, 0] = (raised[:, 0] + 1) % space.values
    known = {
        "inputs_negated": entries_moved(space.values - 1 - arguments),
        "first_input_raised": entries_moved(raised),
        "answer_negated": lambda tables: negated(tables, space),
        "answer_raised": lambda tables: sum_modulo(tables, torch.ones_like(tables), space),
    }
    if space.inputs > 1:
        exchanged = torch.cat([arguments[:, :2].flip(1), arguments[:, 2:]], dim=1)
        known = {"inputs_exchanged": entries_moved(exchanged), **known}
    return known


def affine_map(code: Code, tables: Tables, change: Callable[[Tables], Tables]) -> AffineMap:
    """The affine map of a code that best sends every operation to what a change makes of it, fitted by least squares
    on the first half of `tables`, judged on the rest."""
    start, wanted = code.encode(tables), change(tables)
    end = code.encode(wanted)
    fitted = round(len(tables) / 2)
    augmented = torch.nn.functional.pad(start, (0, 1), value=1.0)
    # Dimensions that do not vary leave the solution open; this one takes the smallest.
    weights = torch.linalg.lstsq(augmented[:fitted], end[:fitted], driver="gelsd").solution
    answers, truth = augmented[fitted:] @ weights, end[fitted:]
    total = (truth - truth.mean(dim=0)).square().sum()
    missing = (truth - answers).square().sum()
    return AffineMap(
        fitted_on=fitted,
        judged_on=len(tables) - fitted,
        explained=float(1 - missing / total) if total > 0 else 0.0,
        **dict(right(code.decode(answers), wanted[fitted:])),
    )


def arithmetic(code: Code, generator: torch.Generator, pairs: int = PAIRS) -> Arithmetic:
    """Sums and negations of points, decoded, against those of the tables; and symmetries as affine maps."""
    space = code.space
    nothing = code.encode(torch.zeros(1, space.entries, dtype=torch.int8))

    def added(first: Tables, second: Tables) -> Tables:
        return code.decode(code.encode(first) + code.encode(second) - nothing)

    first, second = (random_operations(pairs, space, generator) for _ in range(2))
    answers = added(first, second)
    one, other = pairs_in_range(space, pairs, generator)
    return Arithmetic(
        pairs=pairs,
        sum_in_range=right(added(one, other), sum_cut(one, other, space)),
        sum_modulo=right(answers, sum_modulo(first, second, space)),
        sum_cut=right(answers, sum_cut(first, second, space)),
        negation=right(code.decode(-code.encode(first)), negated(first, space)),
        affine_maps={name: affine_map(code, first, change) for name, change in symmetries(space).items()},
    )
