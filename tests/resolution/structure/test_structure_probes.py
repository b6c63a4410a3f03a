"""Linear probes: against scikit-learn, properties that are linear or certainly not, and labels that mean nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ternary_vae.gates import all_properties
from ternary_vae.operations import one_hot
from ternary_vae.resolution.structure.probes import FOLDS, balanced_accuracies, folds_of, logistic_regression, probe
from ternary_vae.space import Space

SPACE = Space()
ALL = torch.from_numpy(SPACE.table(np.arange(SPACE.operations)))
ONE_HOT = one_hot(ALL, SPACE).double()


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("kinds", [2, 3])
def test_probes_are_scikit_learns(kinds: int) -> None:
    """Its rows weigh as many as there are together, ours 1. Labels are rare and noisy, so that accuracies are far from
    1."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    multiclass = pytest.importorskip("sklearn.multiclass")
    metrics = pytest.importorskip("sklearn.metrics")
    drawn = np.random.default_rng(0)
    features = drawn.normal(size=(900, 5))
    score = features[:, 0] + drawn.normal(size=900)
    labels = np.digitize(score, [1.5, 2.2][: kinds - 1])
    fold = folds_of(torch.from_numpy(labels), FOLDS, generator())
    found = balanced_accuracies(torch.from_numpy(features), torch.from_numpy(labels), fold, ridge=0.01)
    scaled = (features - features.mean(axis=0)) / features.std(axis=0, ddof=1)
    for part in range(FOLDS):
        inside = (fold != part).numpy()
        regression = linear_model.LogisticRegression(
            C=1 / (0.01 * inside.sum()), class_weight="balanced", solver="newton-cholesky", tol=1e-9
        )
        classifier = regression if kinds == 2 else multiclass.OneVsRestClassifier(regression)
        answers = classifier.fit(scaled[inside], labels[inside]).predict(scaled[~inside])
        expected = metrics.balanced_accuracy_score(labels[~inside], answers)
        assert 0.4 < expected < 0.95
        assert float(found[part]) == pytest.approx(expected, abs=1e-12)


def test_weights_that_are_learnt_make_the_gradient_vanish() -> None:
    """By automatic differentiation of the loss as PyTorch has it."""
    drawn = generator()
    inputs = torch.nn.functional.pad(torch.randn(300, 4, generator=drawn, dtype=torch.float64), (0, 1), value=1.0)
    has = torch.rand(300, generator=drawn) < torch.sigmoid(2 * inputs[:, 1] - 2)
    weights = logistic_regression(inputs, has, ridge=0.01).requires_grad_()
    losses = torch.nn.functional.binary_cross_entropy_with_logits(inputs @ weights, has.double(), reduction="none")
    (0.5 * (losses[has].mean() + losses[~has].mean()) + 0.005 * weights[:-1].square().sum()).backward()
    assert weights.grad is not None
    assert float(weights.grad.abs().max()) < 1e-3
    assert float(weights.detach().abs().max()) > 0.5


def test_a_conjunction_is_read_from_the_table() -> None:
    """Idempotent: three entries have a value each, which a threshold on their number tells exactly."""
    found = probe(all_properties(SPACE)["idempotent"], {"one_hot": [ONE_HOT]}, generator())
    assert found.balanced_accuracy["one_hot"].least == 1


def test_folds_hold_every_label_equally_often() -> None:
    labels = torch.tensor([0] * 23 + [1] * 7 + [2] * 5)
    fold = folds_of(labels[torch.randperm(35, generator=generator())], FOLDS, generator())
    assert torch.bincount(fold).tolist() == [7] * 5
    shuffled = labels[torch.randperm(35, generator=generator())]
    fold = folds_of(shuffled, FOLDS, generator())
    for label in range(3):
        counts = torch.bincount(fold[shuffled == label], minlength=FOLDS)
        assert int(counts.max() - counts.min()) <= 1


def test_what_one_entry_says_is_read_from_the_table_and_equality_is_not() -> None:
    """That the answer to (0, 0) is 0 is one of the one-hot inputs, but on a line of values 0 lies in the middle. That a
    gate is commutative needs products of inputs: all its linear shadows are those of any gate."""
    properties = all_properties(SPACE)
    features = {"one_hot": [ONE_HOT], "values": [ALL.double()]}
    zero = probe(properties["keeps_zero"], features, generator()).balanced_accuracy
    assert zero["one_hot"].mean == 1
    assert zero["values"].mean < 0.55
    commutative = probe(properties["commutative"], features, generator())
    assert commutative.shares[1] == 3**6 / 3**9
    assert commutative.balanced_accuracy["one_hot"].mean < 0.55
    assert commutative.chance == 0.5


def test_labels_that_mean_nothing_are_read_by_chance() -> None:
    """A coin for each operation: the standard error of a balanced accuracy is at most 1/√(4n)·√… < 0.004."""
    coins = np.random.default_rng(0).integers(2, size=SPACE.operations).astype(bool)
    found = probe(coins, {"one_hot": [ONE_HOT]}, generator()).balanced_accuracy["one_hot"]
    assert found.mean == pytest.approx(0.5, abs=0.02)
    assert found.repeats == FOLDS


def test_values_that_too_few_have_are_left_out() -> None:
    """Three constants among 19,683: fewer than there are folds."""
    found = probe(all_properties(SPACE)["constant"], {"one_hot": [ONE_HOT]}, generator())
    assert (found.left_out, found.balanced_accuracy) == (3, {})
    taken = probe(all_properties(SPACE)["values_taken"], {"one_hot": [ONE_HOT]}, generator())
    assert (taken.left_out, taken.chance, set(taken.shares)) == (3, 0.5, {1, 2, 3})


def test_of_several_codes_of_a_kind_the_mean_is_reported() -> None:
    labels = all_properties(SPACE)["keeps_plus"]
    blind = torch.zeros(SPACE.operations, 1, dtype=torch.float64)
    both = probe(labels, {"mean": [ONE_HOT, blind], "blind": [blind]}, generator()).balanced_accuracy
    assert both["mean"].mean == pytest.approx((1 + both["blind"].mean) / 2)
