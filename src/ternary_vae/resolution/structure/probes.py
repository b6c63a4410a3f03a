"""Can a linear probe read properties of operations from a code?

A balanced accuracy of one over the number of values is chance. Less is nothing too: where operations with a property
have the same mean code as those without, what is left out of fitting lies on the other side of what is fitted.

A probe is logistic regression with a small ridge penalty, one value against the rest, in which those that have the
value weigh as much as those that have not, however few they are. It is fitted by Newton's method: a convex problem of a
few dozen weights, solved to the same bits every time in tenths of a second, needs no other library. scikit-learn's
`LogisticRegression(class_weight="balanced")` answers the same.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64, Shaped
from torch import Tensor
from torch.nn.functional import softplus

from ternary_vae.resolution.structure.distances import spread
from ternary_vae.resolution.structure.records import Probe, Spread

FOLDS = 5
RIDGE = 1e-4
"""Penalty of half the squared weights, features having variance 1 and the weights of all operations adding up to 1."""
_STEPS = 50
_DECREMENT = 1e-6  # of the objective, at the end of which Newton's method stops


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
    kinds = int(labels.max()) + 1
    scaled = (features - features.mean(dim=0)) / features.std(dim=0).clamp(min=1e-12)
    inputs = torch.nn.functional.pad(scaled, (0, 1), value=1.0)
    accuracies = []
    for part in range(int(fold.max()) + 1):
        others, held_out = fold != part, fold == part
        # Of two labels one is enough: the other's probe is its negative.
        fitted = [
            logistic_regression(inputs[others], labels[others] == kind, ridge) for kind in range(kinds == 2, kinds)
        ]
        scores = inputs[held_out] @ torch.stack(fitted, dim=1)
        answers = scores.argmax(dim=1) if kinds > 2 else (scores[:, 0] > 0).long()
        right = answers == labels[held_out]
        found = [right[labels[held_out] == kind].double().mean() for kind in range(kinds)]
        accuracies.append(torch.stack(found).mean())
    return torch.stack(accuracies)


def logistic_regression(
    inputs: Float64[Tensor, "n weights"], has: Bool[Tensor, " n"], ridge: float = RIDGE
) -> Float64[Tensor, " weights"]:
    """Weights of a linear score that is positive for rows that have something. Both kinds of row weigh the same.

    Args:
        inputs: the last is a constant, whose weight is not penalised.
    """
    target = has.double()
    share = 0.5 * torch.where(has, 1 / target.sum(), 1 / (1 - target).sum())
    penalty = torch.full((inputs.shape[1],), ridge, dtype=torch.float64)
    penalty[-1] = 0

    def objective(weights: Tensor) -> float:
        score = inputs @ weights
        return float(share @ (softplus(score) - target * score) + 0.5 * (penalty * weights.square()).sum())

    weights = torch.zeros_like(penalty)
    best = objective(weights)
    for _ in range(_STEPS):
        chance = torch.sigmoid(inputs @ weights)
        gradient = inputs.T @ (share * (chance - target)) + penalty * weights
        curvature = (inputs * (share * chance * (1 - chance))[:, None]).T @ inputs + torch.diag(penalty)
        step = torch.linalg.solve(curvature, gradient)
        if float(gradient @ step) < _DECREMENT:
            break
        while (after := objective(weights - step)) > best:  # too far
            step = step / 2
        weights, best = weights - step, after
    return weights


def probe(
    values: Shaped[np.ndarray, " n"],
    features: Mapping[str, list[Float64[Tensor, "n _"]]],
    generator: torch.Generator,
) -> Probe:
    """How well a property is read from each of several codes, on the same folds.

    Args:
        values: of the property: true or false, or a whole number. Values that fewer operations have than there are
            folds are left out.
        features: by name, one code or several of a kind (random ones), whose accuracies are averaged.
    """
    whole, counts = np.unique(values.astype(np.int64), return_counts=True)
    shares = {int(value): count / len(values) for value, count in zip(whole, counts)}
    kept = whole[counts >= FOLDS]
    left_out = int(counts[counts < FOLDS].sum())
    accuracies: dict[str, Spread] = {}
    if len(kept) > 1:
        chosen = torch.from_numpy(np.flatnonzero(np.isin(values.astype(np.int64), kept)))
        labels = torch.from_numpy(np.searchsorted(kept, values.astype(np.int64)))[chosen]
        fold = folds_of(labels, FOLDS, generator)
        for name, codes in features.items():
            over_codes = [balanced_accuracies(code[chosen], labels, fold) for code in codes]
            accuracies[name] = spread(torch.stack(over_codes).mean(dim=0).tolist())
    return Probe(shares=shares, left_out=left_out, chance=1 / max(1, len(kept)), balanced_accuracy=accuracies)
