"""Experiments of two or three epochs: a space of 3,125 operations, few draws, no benchmarks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fault_injection.small_runs import QUICK
from few_draws import SMALL_SPACE
from ternary_vae.experiments import report
from ternary_vae.experiments.description import Experiment, validate_experiment

SMALL = QUICK | SMALL_SPACE


@pytest.fixture(scope="session")
def small() -> Callable[..., Experiment]:
    """A function: keys of a description → a small experiment, by default `resolution` beside an arm `plain`."""

    def make(**changes: Any) -> Experiment:
        content = {
            "name": "small",
            "recipes": ["resolution"],
            "arms": {"plain": {"set": {"model.injection": "plain"}}},
            "seeds": [1, 2],
            "epochs": 2,
            "milestones": [1, 2],
            "reference": "resolution",
            "benchmarks": "none",
            "set": SMALL,
        }
        return validate_experiment({**content, **changes}, "small.yaml")

    return make


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports are written without their figures, which take most of a report's time."""
    for figure in ("curves_figure", "seeds_figure", "effects_figure"):
        monkeypatch.setattr(report, figure, lambda results: None)
    monkeypatch.setattr(report, "write_figure", lambda figure, path: path)


@pytest.fixture(scope="module", autouse=True)
def _coarse_figures(coarse_figures: int) -> None:
    """What is drawn here is looked at before it is a file, or not at all."""
