"""Can a linear probe read properties of operations from a code?

A balanced accuracy of one over the number of values is chance. Less is nothing too: where operations with a property
have the same mean code as those without, what is left out of fitting lies on the other side of what is fitted.

A probe is the closed form of a ridge classifier: least squares on 0 and 1 for each value of the property, with every
value weighing the same however rare it is. It has one solution, so that the same seed gives the same figures, and takes
seconds for all properties; scikit-learn's `RidgeClassifier(class_weight="balanced")` is the same classifier.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float64, Int64, Shaped
from torch import Tensor

from ternary_vae.resolution.structure.distances import spread
from ternary_vae.resolution.structure.records import Probe, Spread

FOLDS = 5
RIDGE = 1e-3
"""Penalty of the weights, features having variance 1 and the weights of all operations adding up to 1."""


def folds_of(labels: Int64[Tensor, " n"], folds: int, generator: torch.Generator) -> Int64[Tensor, " n"]:
    """A fold for each operation, at random, each label spread evenly over the folds."""
    shuffled = torch.randperm(len(labels), generator=generator)
    order = shuffled[labels[shuffled].argsort(stable=True)]
    fold = torch.empty_like(labels)
    fold[order] = torch.arange(len(labels)) % folds
    return fold


def balanced_accuracies(
    features: Float64[Tensor, "n features"],
    labels: Int64[Tensor, " n"],
    fold: Int64[Tensor, " n"],
    ridge: float = RIDGE,
) -> Float64[Tensor, " folds"]:
    """Balanced accuracy on each fold (mean over the labels of the share that is recognised) of a probe that is fitted
    on the others.

    Args:
        labels: 0, 1, … ; each is in every fold.
    """
    kinds, folds = int(labels.max()) + 1, int(fold.max()) + 1
    scaled = (features - features.mean(dim=0)) / features.std(dim=0).clamp(min=1e-12)
    inputs = torch.nn.functional.pad(scaled, (0, 1), value=1.0)
    # Sums over the operations of each fold and label are all that fitting needs.
    members = [[inputs[(fold == part) & (labels == kind)] for kind in range(kinds)] for part in range(folds)]
    squares = torch.stack([torch.stack([rows.T @ rows for rows in parts]) for parts in members])
    sums = torch.stack([torch.stack([rows.sum(dim=0) for rows in parts]) for parts in members])
    counts = torch.tensor([[len(rows) for rows in parts] for parts in members], dtype=torch.float64)
    penalty = ridge * torch.eye(inputs.shape[1], dtype=torch.float64)
    penalty[-1, -1] = 0  # the constant
    accuracies = []
    for part in range(folds):
        others = torch.arange(folds) != part
        weight = 1 / (kinds * counts[others].sum(dim=0))
        matrix = (squares[others].sum(dim=0) * weight[:, None, None]).sum(dim=0) + penalty
        solution = torch.linalg.solve(matrix, (sums[others].sum(dim=0) * weight[:, None]).T)
        found = [(rows @ solution).argmax(dim=1) == kind for kind, rows in enumerate(members[part])]
        accuracies.append(torch.stack([share.double().mean() for share in found]).mean())
    return torch.stack(accuracies)


def probe(
    values: Shaped[np.ndarray, " n"],
    features: Mapping[str, list[Float64[Tensor, "n _"]]],
    generator: torch.Generator,
    folds: int = FOLDS,
) -> Probe:
    """How well a property is read from each of several codes, on the same folds.

    Args:
        values: of the property: true or false, or a whole number. Values that fewer operations have than there are
            folds are left out.
        features: by name, one code or several of a kind (random ones), whose accuracies are averaged.
    """
    whole, counts = np.unique(values.astype(np.int64), return_counts=True)
    shares = {int(value): count / len(values) for value, count in zip(whole, counts)}
    kept = whole[counts >= folds]
    left_out = int(counts[counts < folds].sum())
    accuracies: dict[str, Spread] = {}
    if len(kept) > 1:
        chosen = torch.from_numpy(np.flatnonzero(np.isin(values.astype(np.int64), kept)))
        labels = torch.from_numpy(np.searchsorted(kept, values.astype(np.int64)))[chosen]
        fold = folds_of(labels, folds, generator)
        for name, codes in features.items():
            over_codes = [balanced_accuracies(code[chosen], labels, fold) for code in codes]
            accuracies[name] = spread(torch.stack(over_codes).mean(dim=0).tolist())
    return Probe(shares=shares, left_out=left_out, chance=1 / max(1, len(kept)), balanced_accuracy=accuracies)
