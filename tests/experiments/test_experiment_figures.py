"""Figures of an experiment, looked at as matplotlib objects."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean

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


@pytest.fixture(scope="module")
def figures(results):
    """Of the differences that of the first measure stands after correction, and no other does."""
    one, *others = results.deciding
    marked = replace(results, comparisons=[replace(one, p_corrected=0.01, detectable_corrected=0.02), *others])
    return {draw: draw(marked) for draw in (curves_figure, seeds_figure, effects_figure)}


def panels(figures, draw, results):
    """Each measure, the figure's lines of it, and its areas as (least, most) of what they hold along x and y."""
    for axis, measure in zip(figures[draw].axes, results.primary):
        areas = [area.get_paths()[0].vertices for area in axis.collections]
        yield measure, axis.lines, [(area.min(axis=0), area.max(axis=0)) for area in areas]


def test_curves_are_of_the_means_in_a_band_that_holds_all_seeds(results, figures):
    for measure, lines, bands in panels(figures, curves_figure, results):
        for arm, line, (low, high) in zip(results.arms, lines, bands, strict=True):
            curve = results.curve(arm.name, measure)
            assert (line.get_label(), line.get_xdata().tolist()) == (arm.name, sorted(curve))
            assert line.get_ydata() == pytest.approx([fmean(curve[epoch]) for epoch in sorted(curve)])
            assert (low[1], high[1]) == (min(map(min, curve.values())), max(map(max, curve.values())))


def test_every_seed_is_a_dot_beside_the_mean(results, figures):
    for measure, lines, _ in panels(figures, seeds_figure, results):
        for place, arm in enumerate(results.arms):
            values = [measure.factor * value for value in results.of(arm.name, 400, measure.key).values()]
            dots, mean = lines[2 * place : 2 * place + 2]
            assert dots.get_xdata() == pytest.approx(values)
            assert dots.get_ydata().round().tolist() == [place, place]
            assert mean.get_xdata() == pytest.approx([fmean(values)] * 2)


def test_differences_are_drawn_with_what_is_known_of_them(results, figures):
    for one, (measure, lines, zones) in zip(results.deciding, panels(figures, effects_figure, results), strict=True):
        _, *interval, dots, mean = lines
        summary, factor = one.paired.summary, measure.factor
        assert mean.get_xdata() == pytest.approx([factor * summary.mean])
        assert (mean.get_markerfacecolor() != "white") == (one is results.deciding[0])
        assert sorted(dots.get_xdata()) == pytest.approx(sorted(results.differences(one)))
        assert [line.get_xdata().tolist() for line in interval] == (
            [] if summary.low is None else [[factor * summary.low, factor * summary.high]]
        )
        if one is results.deciding[0]:
            assert (zones[0][0][0], zones[0][1][0]) == pytest.approx((-0.02 * factor, 0.02 * factor))


@pytest.mark.parametrize(("draw", "along"), [(curves_figure, "y"), (seeds_figure, "x")])
def test_no_axis_of_shares_goes_beyond_what_a_share_can_be(results, figures, draw, along):
    figure = figures[draw]
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


def test_differences_are_no_shares(results, figures):
    axes = figures[effects_figure].axes[: len(results.primary)]
    assert all(axis.get_xlim()[0] < 0 < axis.get_xlim()[1] for axis in axes)


def test_two_dozen_arms_are_told_apart(results):
    many = replace(results, arms=results.arms[:1] * 24)
    assert len({(colour, dash) for _, colour, dash, _ in _looks(many)}) == 24


def test_long_names_have_room(results):
    # Arms of a grid differ in the middle of their names.
    assert brief("plain-batch_size-256-injection-translated – other") == (
        "plain-\nbatch_size-256-injection-\ntranslated –\nother"
    )
    assert brief("long" * 20).replace("\n", "") == "long" * 20
    named = replace(results, experiment=results.experiment.model_copy(update={"name": "n" * 100}), last=1)
    figure = seeds_figure(named)
    figure.draw_without_rendering()
    title = figure.get_suptitle()
    assert title.replace("\n", "").startswith("n" * 100)
    assert title.endswith("after 1 epoch")
    assert all(text.get_window_extent().x1 <= figure.bbox.x1 for text in figure.texts)
