"""Which operations a recipe trains on, and which it never sees."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from ternary_vae.operations import OPERATION_COUNT
from ternary_vae.recipe import Recipe


class Split(NamedTuple):
    """Indices of operations, in three parts that share none and together are all 19,683."""

    train: Int[Tensor, " train"]
    validation: Int[Tensor, " validation"]
    test: Int[Tensor, " test"]


def training_split(recipe: Recipe) -> Split:
    """The recipe's split, on the CPU: a permutation drawn from its seed, cut at the rounded shares. What is
    neither trained on nor validated with is the test part; a part may be empty. The same recipe always gives the
    same split.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    order = torch.randperm(OPERATION_COUNT, generator=generator)
    train = max(1, round(recipe.data.train_share * OPERATION_COUNT))
    validation = min(round(recipe.data.validation_share * OPERATION_COUNT), OPERATION_COUNT - train)
    return Split(*order.split([train, validation, OPERATION_COUNT - train - validation]))
