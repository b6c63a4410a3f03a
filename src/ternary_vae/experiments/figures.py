"""Figures of an experiment: differences with their intervals, curves over epochs, every seed. In the style of the
reports of runs: printed at 300 dpi, in the Okabe–Ito palette, told apart by line and marker too."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from statistics import fmean
from typing import TYPE_CHECKING

from ternary_vae.experiments.results import Comparison, Results
from ternary_vae.experiments.wording import brief
from ternary_vae.formats import counted
from ternary_vae.reports.figures import canvas, figure_title
from ternary_vae.reports.panels import BLUE, GREEN, ORANGE, PURPLE, QUIET, SKY, VERMILION, percent_axis, share_axis
from ternary_vae.resolution.figures import Measure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
_COLUMNS = 2


def effects_figure(results: Results) -> Figure:
    """One panel a deciding measure: differences with 95% intervals, every seed a small dot, and the zone in which the
    experiment could not have seen a difference. A filled mark is a difference that stands after correction."""
    labels = list(dict.fromkeys(map(results.label, results.deciding)))
    with _panels(results.primary, height=1.3 + 0.34 * len(labels)) as (figure, panels):
        for axis, measure in panels:
            axis.axvline(0, color=QUIET, linewidth=0.8)
            for one in results.deciding:
                if one.measure == measure:
                    _effect(axis, labels.index(results.label(one)), one, results)
            axis.set_yticks(range(len(labels)), map(brief, labels))
            axis.set_ylim(len(labels) - 0.4, -0.6)
            axis.set_xlabel("points" if measure.unit == "share" else measure.unit, fontsize=8)
        against = results.experiment.reference
        figure_title(figure, f"Differences from {against}" if against else "Differences")
        figure.supxlabel(_EFFECTS_NOTE.format(counted(results.last, "epoch")), fontsize=8, color=QUIET)
    return figure


def curves_figure(results: Results) -> Figure:
    """One panel a deciding measure: the mean over seeds by epoch, in a band that holds all seeds."""
    with _panels(results.primary, height=3.6) as (figure, panels):
        for axis, measure in panels:
            for arm, colour, dash, marker in _looks(results):
                curve = sorted(results.curve(arm, measure).items())
                if not curve:
                    continue
                epochs = [epoch for epoch, _ in curve]
                few = len(epochs) <= 20
                means = [fmean(values) for _, values in curve]
                axis.plot(
                    epochs, means, label=arm, color=colour, linestyle=dash, marker=marker if few else None, alpha=0.9
                )
                lows, highs = [min(values) for _, values in curve], [max(values) for _, values in curve]
                axis.fill_between(epochs, lows, highs, color=colour, alpha=0.13, linewidth=0)
            _value_axis(axis, measure)
        # An arm may lack a measure of the first panel.
        drawn = {label: handle for axis, _ in panels for handle, label in zip(*axis.get_legend_handles_labels())}
        figure.legend(drawn.values(), map(brief, drawn), loc="outside lower left", ncols=3)
        figure_title(figure, f"{results.experiment.name}: mean over seeds by epoch")
    return figure


def seeds_figure(results: Results) -> Figure:
    """One panel a deciding measure: every seed of every arm after the last common milestone, and the mean."""
    with _panels(results.primary, height=1.3 + 0.34 * len(results.arms)) as (figure, panels):
        for axis, measure in panels:
            for place, (arm, colour, _, marker) in enumerate(_looks(results)):
                values = list(results.of(arm, results.last, measure.key).values())
                if not values:
                    continue
                scaled = [measure.factor * value for value in values]
                axis.plot(scaled, _spread_out(place, len(values)), marker, color=colour, alpha=0.65, markersize=3.5)
                axis.plot([measure.factor * fmean(values)] * 2, (place - 0.3, place + 0.3), color=colour)
            axis.set_yticks(range(len(results.arms)), [brief(arm.name) for arm in results.arms])
            axis.set_ylim(len(results.arms) - 0.4, -0.6)
            axis.set_xlabel("%" if measure.unit == "share" else measure.unit, fontsize=8)
            if measure.bounded:
                share_axis(axis, along="x", whole=measure.factor)
        figure_title(figure, f"{results.experiment.name}: every seed after {counted(results.last, 'epoch')}")
        figure.supxlabel("dots: seeds; line: their mean", fontsize=8, color=QUIET)
    return figure


_EFFECTS_NOTE = (
    "after {}; dots: seeds; bars: 95% intervals; filled: stands after correction; "
    "grey: too small to be seen with this spread"
)


def _effect(axis: Axes, place: int, one: Comparison, results: Results) -> None:
    factor, summary = one.measure.factor, one.paired.summary
    colour = _COLOURS[[arm.name for arm in results.arms].index(one.arm) % len(_COLOURS)]
    if one.detectable_corrected:
        reach = factor * one.detectable_corrected
        axis.fill_betweenx((place - 0.36, place + 0.36), -reach, reach, color=QUIET, alpha=0.12, linewidth=0)
    if summary.low is not None and summary.high is not None:
        axis.plot((factor * summary.low, factor * summary.high), (place, place), color=colour, linewidth=1.6)
    differences = results.differences(one)
    axis.plot(differences, _spread_out(place, len(differences)), ".", color=colour, alpha=0.5, markersize=3)
    face = colour if one.certain else "white"
    axis.plot(factor * summary.mean, place, "o", color=colour, markerfacecolor=face, markersize=6)


def _spread_out(place: int, count: int) -> list[float]:
    """Heights of `count` dots around a line, so that equal ones are all seen."""
    return [place + 0.44 * ((at + 0.5) / count - 0.5) for at in range(count)]


def _looks(results: Results) -> Iterator[tuple[str, str, str, str]]:
    """Name, colour, dash and marker of each arm. The first 24 differ in colour or dash."""
    dashes = ("-", "--", "-.", ":")
    together = math.lcm(len(_COLOURS), len(dashes))
    for place, (arm, colour, marker) in enumerate(zip(results.arms, cycle(_COLOURS), cycle("os^DvpX"))):
        yield arm.name, colour, dashes[(place + place // together) % len(dashes)], marker


def _value_axis(axis: Axes, measure: Measure) -> None:
    if measure.unit == "share":
        percent_axis(axis)
    if measure.bounded:
        share_axis(axis)
    axis.set_xlim(left=0)
    axis.set_xlabel("completed epochs", fontsize=8)


@contextmanager
def _panels(measures: Sequence[Measure], height: float) -> Iterator[tuple[Figure, list[tuple[Axes, Measure]]]]:
    rows = math.ceil(len(measures) / _COLUMNS)
    with canvas(rows, _COLUMNS, size=(11, 0.9 + height * rows)) as (figure, axes):
        for unused in axes.flat[len(measures) :]:
            unused.set_axis_off()
        panels = list(zip(axes.flat, measures))
        for axis, measure in panels:
            axis.set_title(measure.title)
        yield figure, panels
