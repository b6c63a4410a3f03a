"""One record of a checkpoint with random weights, measured once, on few pairs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ternary_vae.resolution.structure import distances, measure, probes
from ternary_vae.resolution.structure.records import StructureRecord
from ternary_vae.storage.checkpoints import load_checkpoint


def _take_few(patch: pytest.MonkeyPatch) -> None:
    for function, changes in (
        (measure.distances, {"pairs": 20_000, "numberings": 5}),
        (measure.arithmetic, {"pairs": 2000}),
        (measure.paths, {"pairs": 200}),
        (measure.noise, {"sigmas": (0.0, 0.2, 0.4, 1.0)}),
    ):
        patch.setattr(measure, function.__name__, partial(function, **changes))
    patch.setattr(distances, "by_hamming", partial(distances.by_hamming, pairs=100))
    patch.setattr(measure, "RANDOM_CODES", 1)
    patch.setattr(probes, "_STEPS", 3)
    patch.setattr(probes, "balanced_accuracies", partial(_accuracies_of_few, probes.balanced_accuracies))


def _accuracies_of_few(
    balanced_accuracies: Callable[..., Tensor], features: Tensor, labels: Tensor, fold: Tensor
) -> Tensor:
    """Of 100 operations at most of each label and fold."""
    group, order = (labels * (int(fold.max()) + 1) + fold).sort(stable=True)
    few = order[torch.arange(len(group)) - torch.searchsorted(group, group) < 100]
    return balanced_accuracies(features[few], labels[few], fold[few])


@pytest.fixture
def few_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Structure is measured on a tenth of the pairs, and probes are fitted roughly: for tests of anything but the
    precision of figures."""
    _take_few(monkeypatch)


@pytest.fixture(scope="session")
def record(checkpoint_file: Path) -> StructureRecord:
    with pytest.MonkeyPatch.context() as patch:
        _take_few(patch)
        return measure.measure_structure(load_checkpoint(checkpoint_file))
