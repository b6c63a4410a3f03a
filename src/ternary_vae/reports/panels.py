"""The panels of the evolution figure, one function each, and what every panel on a time axis shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ternary_vae.formats import fixed, percent, uniform_level
from ternary_vae.reports.measurements import Measurements
from ternary_vae.resolution.figures import CRITERIA, MEASURES, PLAN_EPOCHS
from ternary_vae.resolution.structure.ideal import ideal_half_sigma

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VERMILION, BLUE, GREEN = "#D55E00", "#0072B2", "#009E73"
PURPLE, SKY, ORANGE = "#CC79A7", "#56B4E9", "#E69F00"
INK, QUIET = "#1b1f24", "#5c6370"
_PHASE_SHADES = ("#ffffff", "#f1f2f4", "#ffffff", "#e9ebee")
_COVERAGE_TICKS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)
_SHARE_MARGIN = 0.03  # ticks are a ninth of the axis apart, or more
_DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 3)), (0, (7, 2, 1, 2)))
_HOLLOW: dict[str, Any] = {"markerfacecolor": "white", "markeredgewidth": 1.2}


def reconstruction(axis: Axes, measured: Measurements) -> None:
    """Exact match of A, B and the ensemble, beside the band in which the plan expects A."""
    space = measured.recipe.space.as_space()
    measured_on = f"all {space.operations:,} operations" if space.is_enumerable() else "operations drawn at random"
    axis.set_title(f"Exact reconstruction, {measured_on}")
    points = MEASURES["exact_match_a"].expected_band(measured.recipe.schedule_epochs)
    band = [point for point in points if point[0] <= measured.epochs]
    if len(band) > 1:
        style = {"facecolor": VERMILION, "edgecolor": VERMILION, "alpha": 0.13, "hatch": "////", "linewidth": 0}
        axis.fill_between(*zip(*band), label="plan's expectation of A", **style)
    epochs = measured.complete_milestones
    # All three often lie on 100%: the first drawn is wide and pale, the last dashed, so that each is seen.
    series = (
        ("ensemble, best of two", "exact_match_best_of_two",
         {"color": GREEN, "marker": "D", "linewidth": 3.6, "alpha": 0.5}),
        ("VAE-B", "exact_match_b", {"color": BLUE, "marker": "s"}),
        ("VAE-A", "exact_match_a", {"color": VERMILION, "marker": "o", "linestyle": "--"}),
    )  # fmt: skip
    for label, key, style in series:
        shares = [measured.value(key, epoch) for epoch in epochs]
        if every := every_epoch(measured, key):  # a line through them, with hollow marks at the milestones
            axis.plot(*zip(*every), **{**style, "marker": ""})
            axis.plot(epochs, shares, **{**style, "linestyle": "none"}, **_HOLLOW)
            axis.plot([], [], label=label, **style, **_HOLLOW)
        else:
            axis.plot(epochs, shares, label=label, **style, **_HOLLOW)
    percent_axis(axis)
    share_axis(axis, 0, 1)
    legend(axis)


def coverage(axis: Axes, measured: Measurements) -> None:
    """Decoded coverage with its 95% intervals and what a uniform model meets. The axis is logarithmic in what is
    missing to 100%, so that an untrained start and the last tenth of a point are both seen."""
    axis.set_title("Decoded coverage, both VAEs together")
    every = every_epoch(measured, "coverage")
    if every:
        axis.plot(*zip(*every), color=GREEN, linewidth=1, label="each epoch, not mixed")
    parts = {epoch: measured.part("coverage_rho_07", epoch) for epoch in sorted(measured.coupled)}
    epochs, sampled = [epoch for epoch, part in parts.items() if part], list(filter(None, parts.values()))
    if not every and not sampled:
        reason = "coverage needs a list of all operations"
        axis.text(0.5, 0.5, reason, ha="center", color=QUIET, transform=axis.transAxes)
        axis.set_yticks([])
        return
    series = (
        ("the plan's sum", sampled, {"color": BLUE, "linestyle": "--", "marker": "o"}),
        (
            "prior preserved",
            [one.prior_preserving for one in sampled],
            {"color": VERMILION, "linestyle": ":", "marker": "^"},
        ),
    )
    for name, records, style in series:
        low, high = [one.interval.low for one in records], [one.interval.high for one in records]
        axis.fill_between(epochs, low, high, color=style["color"], alpha=0.2, linewidth=0)
        rates = [one.coverage_rate for one in records]
        axis.plot(epochs, rates, label=f"mixed, ρ = 0.7, {name} (band: 95%)", **style, **_HOLLOW)
    if sampled:
        limit, draws = sampled[0].coverage_limit, sampled[0].draws
        level_line(axis, limit, f"{draws:,} draws of {uniform_level(limit)}", bold=True, side="left")
    level_line(axis, MEASURES["coverage_rho_07"].expected[PLAN_EPOCHS].low or 0.0, "plan: 90% by the end")
    coverage_axis(axis, [0.8, *(share for one in sampled for share in (one.coverage_rate, one.coverage_limit))])
    legend(axis)


def complementarity(axis: Axes, measured: Measurements) -> None:
    """The score under equal noise, and by errors alone where that is not 0/0, beside the plan's levels."""
    axis.set_title("Complementarity, smaller home over larger")
    axis.plot(*milestones(measured, "complementarity_score"), color=PURPLE, marker="o", label="score under equal noise")
    if (by_errors := milestones(measured, "complementarity_by_errors"))[0]:
        style = {"color": QUIET, "linestyle": ":", "marker": "x"}
        axis.plot(*by_errors, label="by errors alone, where defined", **style)
    for level, text in (("minimum", "minimum"), ("target", "plan, by the end"), ("stretch", "stretch")):
        least = CRITERIA[level]["complementarity_score"]
        level_line(axis, least, f"{text} {least:.2f}", side="left")
    share_axis(axis, 0, 1)
    legend(axis)


def homes(axis: Axes, measured: Measurements) -> None:
    """Which share of all operations is at home in A, in B, in neither."""
    axis.set_title("Where operations are at home")
    epochs = sorted(measured.coupled)
    records = [measured.coupled[epoch].complementary_coverage for epoch in epochs]
    totals = np.array([one.home_a + one.home_b + one.home_neither for one in records])
    a = np.array([one.home_a for one in records]) / totals
    both = a + np.array([one.home_b for one in records]) / totals
    for low, high, colour, hatch, text in (
        (np.zeros_like(a), a, VERMILION, "////", "VAE-A"),
        (a, both, BLUE, "....", "VAE-B"),
        (both, np.ones_like(a), QUIET, "", "neither"),
    ):
        style = {"facecolor": colour, "edgecolor": colour, "alpha": 0.28, "hatch": hatch, "linewidth": 0}
        axis.fill_between(epochs, low, high, label=text, **style)
    if (shares := milestones(measured, "share_a"))[0]:
        style = {"color": INK, "linestyle": "--", "marker": "D", "linewidth": 1.1}
        axis.plot(*shares, label="A of A and B", **style, **_HOLLOW)
    band = MEASURES["share_a"].throughout
    assert band is not None
    level_line(axis, band.low or 0.0, "")
    level_line(axis, band.high or 1.0, "plan, A of A and B: 40% to 60%")
    percent_axis(axis)
    axis.set_ylim(0, 1)
    legend(axis)


def permeability(axis: Axes, measured: Measurements) -> None:
    """ρ as trained, or as the recipe's phases have it; what it does to the codes; and when guards fired."""
    axis.set_title("Permeability ρ, and guards that fired")
    every = every_epoch(measured, "rho")
    if every:
        axis.step(*zip(*every), where="pre", color=GREEN, label="ρ in training")
    else:
        ends = [
            pair for phase in measured.recipe.phases for pair in zip(phase.epochs, (phase.start_rho, phase.end_rho))
        ]
        axis.plot(*zip(*ends), color=GREEN, linestyle="--", label="ρ as the recipe's phases have it")
    if (correlations := milestones(measured, "latent_correlation"))[0]:
        style = {"color": PURPLE, "linestyle": ":", "marker": "^"}
        axis.plot(*correlations, label="correlation of the two codes, absolute", **style, **_HOLLOW)
    guards = [event["epoch"] for event in measured.events if event.get("kind") == "guard"]
    for number, epoch in enumerate(guards):
        label = "guard fired" if number == 0 else None
        axis.axvline(epoch, color=VERMILION, linewidth=1, linestyle="-.", label=label)
    share_axis(axis, 0, 1)
    legend(axis)


def half_sigma(axis: Axes, measured: Measurements) -> None:
    """The noise at which exact match falls to one half, where it does, beside that of ideal axes."""
    axis.set_title("Latent noise σ at which exact match falls to one half")
    styles = (
        ("VAE-A", "half_sigma_a", {"color": VERMILION, "linestyle": "--", "marker": "o"}),
        ("VAE-B", "half_sigma_b", {"color": BLUE, "linestyle": "-", "marker": "s"}),
    )
    for label, key, style in styles:
        if (points := milestones(measured, key))[0]:
            axis.plot(*points, label=label, **style, **_HOLLOW)
    if not axis.lines:
        note = "neither VAE is exact for half of the operations"
        axis.text(0.5, 0.5, note, transform=axis.transAxes, ha="center", color=QUIET)
    limit = ideal_half_sigma(measured.recipe.space.as_space())
    level_line(axis, limit, "ideal axes, one an entry, spread as the prior")
    axis.set_ylim(0, max(0.5, axis.get_ylim()[1]) * 1.05)
    legend(axis)


def terms(axis: Axes, measured: Measurements) -> None:
    """Every term of the objective that the run computed, as the log has them: those of A in one colour, those of B in
    another, of one kind in one dash. What is far above all later values in the first fiftieth of a run leaves the
    panel at its top."""
    axis.set_title("The objective's terms, mean over each epoch's steps")
    kinds = list(dict.fromkeys(_kind(term) for term in measured.terms))
    for term in measured.terms:
        at = kinds.index(_kind(term))
        colour = {"_a": VERMILION, "_b": BLUE}.get(term[-2:], (INK, GREEN, PURPLE, ORANGE, SKY, QUIET)[at % 6])
        label = f"{_kind(term)}{ {'_a': ' A', '_b': ' B'}.get(term[-2:], '') }"
        style = {"color": colour, "linestyle": _DASHES[at % len(_DASHES)], "linewidth": 1.8 if at == 0 else 1}
        axis.plot(*zip(*every_epoch(measured, f"terms.{term}")), label=label, **style)
    axis.set_yscale("symlog", linthresh=0.1)
    drawn = [value for ys in (line.get_ydata() for line in axis.lines) for value in ys[len(ys) // 50 :]]
    low, high = min(0.0, 1.3 * min(drawn)), 1.3 * max(drawn)
    powers = [10**power for power in range(9)]
    ticks = [tick for tick in (*(-each for each in powers), 0, *powers) if low <= tick <= high]
    axis.set_yticks(ticks, [f"{tick:,}".replace("-", "−") for tick in ticks])
    axis.set_yticks([], minor=True)
    axis.set_ylim(low, high)
    axis.set_ylabel("nats, linear below 0.1", fontsize=7.5)
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=6, fontsize=7)


def _kind(term: str) -> str:
    return (term[:-2] if term.endswith(("_a", "_b")) else term).replace("_", " ")


def time_axis(axis: Axes, measured: Measurements) -> None:
    """Phases shaded, and labelled above the panel, where no legend covers them; the whole run in view."""
    for span in measured.phases:
        axis.axvspan(span.first, span.last, facecolor=_PHASE_SHADES[span.number - 1], zorder=-10, linewidth=0)
        if span.first:
            axis.axvline(span.first, color="#c6cad1", linewidth=0.7, zorder=-9)
        narrow = (span.last - span.first) < 0.08 * measured.epochs
        axis.annotate(
            f"{span.number}" if narrow else f"phase {span.number}",
            ((span.first + span.last) / 2, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=7,
            color=QUIET,
        )
    axis.set_xlim(0, measured.epochs * 1.012)


def milestones(measured: Measurements, key: str) -> tuple[list[int], list[float]]:
    """Milestones at which a measure was measured, and its values there."""
    known = [(epoch, value) for epoch in measured.milestones if (value := measured.value(key, epoch)) is not None]
    return [epoch for epoch, _ in known], [value for _, value in known]


def every_epoch(measured: Measurements, name: str) -> list[tuple[int, float]]:
    """(epoch, value) of one column of the metrics, where it was measured."""
    pairs = zip(measured.column("epoch"), measured.column(name))
    return [(epoch, value) for epoch, value in pairs if value is not None]


def level_line(
    axis: Axes, value: float, text: str, *, bold: bool = False, side: Literal["left", "right"] = "right"
) -> None:
    """A horizontal line with its name on it: solid for what a uniform model meets, dotted for what is required."""
    axis.axhline(value, color=INK, linewidth=1.1 if bold else 0.8, linestyle="-" if bold else (0, (1, 2)))
    axis.annotate(
        text,
        (0.985 if side == "right" else 0.015, value),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha=side,
        fontsize=7.5,
        color=INK,
    )


def coverage_axis(axis: Axes, drawn: Sequence[float]) -> None:
    """Percentages of coverage from the lowest of the shares and levels drawn up to beyond a uniform model of 19,683
    operations, or to 100% where one of them is higher; logarithmic in what is missing to 100%."""
    lowest, top = min(drawn), 0.9962 if max(drawn) < 0.9962 else 1.0
    axis.set_yscale("function", functions=(nines, lambda height: 1 - 10.0**-height))
    ticks = [tick for tick in _COVERAGE_TICKS if lowest - 0.06 <= tick <= top]
    axis.set_yticks(ticks, [percent(tick, 1).replace(".0%", "%") for tick in ticks])
    axis.set_yticks([], minor=True)
    axis.set_ylim(max(0.0, 1 - 1.25 * (1 - min(lowest, 0.996))), top)
    axis.set_ylabel("logarithmic in what is missing", fontsize=7.5)


def nines(share: Any) -> Any:
    """−log10(1 − share), the height of a share on a coverage axis; shares beyond 99.9999% stay on the axis."""
    return -np.log10(np.clip(1 - np.asarray(share, dtype=float), 1e-6, None))


def share_axis(
    axis: Axes, low: float | None = None, high: float | None = None, *, along: Literal["x", "y"] = "y", whole: float = 1
) -> None:
    """An axis of shares or scores ends where they do: at 0 and at the whole, with a margin too small for a tick, so
    that a line that lies there is seen.

    Args:
        low, high: where the axis ends; by default where the drawn ends it, if that is not beyond.
        whole: what a share of one is drawn as.
    """
    drawn = axis.get_ylim() if along == "y" else axis.get_xlim()
    low = max(0.0, drawn[0] if low is None else low)
    high = min(whole, drawn[1] if high is None else high)
    margin = _SHARE_MARGIN * (high - low)
    ends = low - margin if low == 0 else low, high + margin if high == whole else high
    (axis.set_ylim if along == "y" else axis.set_xlim)(*ends)


def percent_axis(axis: Axes) -> None:
    """Shares as percentages, with no more decimals than each needs, as on a page."""
    axis.yaxis.set_major_formatter(lambda share, _: f"{fixed(100 * share, 6).rstrip('0').rstrip('.')}%")


def legend(axis: Axes) -> None:
    """A legend where there is something to name."""
    if axis.get_legend_handles_labels()[0]:
        axis.legend(loc="best")
