"""Figures of an experiment, looked at as matplotlib objects."""

from __future__ import annotations

from dataclasses import replace

import pytest
from synthetic_experiments import made_up

from ternary_vae.experiments.figures import _looks, curves_figure, effects_figure, seeds_figure
from ternary_vae.experiments.results import gather
from ternary_vae.experiments.wording import brief


@pytest.fixture(scope="module")
def results(small, tmp_path_factory):
    """Two arms with two seeds, of which some are at 100% in everything that is reconstructed."""
    experiment = small(epochs=400, milestones=[200, 400], benchmarks=[200, 400])
    return gather(experiment, made_up(experiment, tmp_path_factory.mktemp("made") / "up", {}))


@pytest.mark.parametrize(("draw", "along"), [(curves_figure, "y"), (seeds_figure, "x")])
def test_no_axis_of_shares_goes_beyond_what_a_share_can_be(results, draw, along):
    figure = draw(results)
    figure.draw_without_rendering()
    for axis, measure in zip(figure.axes, results.primary):
        assert measure.bounded
        whole = measure.factor if along == "x" else 1
        low, high = axis.get_xlim() if along == "x" else axis.get_ylim()
        ticks = [tick for tick in (axis.get_xticks() if along == "x" else axis.get_yticks()) if low <= tick <= high]
        assert len(ticks) >= 2, measure.title
        assert all(-1e-9 <= tick <= whole * (1 + 1e-9) for tick in ticks), measure.title
        assert low >= -0.04 * whole
        assert high <= 1.04 * whole


def test_differences_are_no_shares(results):
    figure = effects_figure(results)
    assert all(axis.get_xlim()[0] < 0 < axis.get_xlim()[1] for axis in figure.axes[: len(results.primary)])


def test_two_dozen_arms_are_told_apart(results):
    many = replace(results, arms=results.arms[:1] * 24)
    assert len({(colour, dash) for _, colour, dash, _ in _looks(many)}) == 24


def test_long_names_have_room(results):
    assert brief(f"{'long' * 20} – other") == "longlonglonglongl … nglonglong –\nother"
    named = replace(results, experiment=results.experiment.model_copy(update={"name": "n" * 100}))
    figure = seeds_figure(named)
    figure.draw_without_rendering()
    title = figure.get_suptitle()
    assert title.replace("\n", "").startswith("n" * 100)
    assert all(text.get_window_extent().x1 <= figure.bbox.x1 for text in figure.texts)
