"""`resolution_evolution.png` and the figure that compares runs: printed at 300 dpi, in the Okabe–Ito palette, every
series also told apart by its line and marker, so that it reads in grey and by the colour-blind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ternary_vae.reports.expectations import (
    AT_MILESTONE,
    PHASE_NAMES,
    PLAN_EPOCHS,
    THROUGHOUT,
    expected_band,
)
from ternary_vae.reports.formats import percent
from ternary_vae.reports.measurements import Measurements
from ternary_vae.storage.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 300
VERMILION, BLUE, GREEN, PURPLE, SKY, ORANGE = "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
INK, QUIET = "#1b1f24", "#5c6370"
_PHASE_SHADES = ("#ffffff", "#f1f2f4", "#ffffff", "#e9ebee")
_STYLE: dict[str, Any] = {
    "font.size": 9,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 17,
    "axes.labelcolor": QUIET,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "legend.fontsize": 8,
    "legend.frameon": True,
    "legend.framealpha": 0.9,
    "legend.edgecolor": "none",
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "hatch.linewidth": 0.5,
}


def evolution_figure(measurements: Measurements) -> Figure:
    """Six panels over completed epochs: reconstruction, coverage, complementarity, share of each VAE, permeability,
    and the noise a code bears. Panels whose data a run does not have say so."""
    with _canvas(3, 2, size=(11, 11.6)) as (figure, axes):
        panels: tuple[Callable[[Axes, Measurements], None], ...] = (
            _reconstruction,
            _coverage,
            _complementarity,
            _share,
            _permeability,
            _half_sigma,
        )
        for axis, panel in zip(axes.flat, panels, strict=True):
            panel(axis, measurements)
            _time_axis(axis, measurements)
        names = "   ".join(f"phase {span.number} {PHASE_NAMES[span.number - 1]}" for span in measurements.phases)
        figure.suptitle(f"Resolution evolution of {measurements.title}", fontsize=13, x=0.012, ha="left", weight="bold")
        figure.supxlabel(f"completed epochs\n{names}", fontsize=8.5, color=QUIET)
    return figure


def comparison_figure(runs: Sequence[tuple[str, Measurements]], milestones: Sequence[int]) -> Figure:
    """Four panels, one line a run: the lower VAE's and the ensemble's exact match, coverage, complementarity."""

    def lower_vae(run: Measurements, epoch: int) -> float:
        record = run.isolated[epoch]
        return min(record.vae_a.reconstruction.exact_match_rate, record.vae_b.reconstruction.exact_match_rate)

    def ensemble(run: Measurements, epoch: int) -> float:
        return run.coupled[epoch].ensemble_reconstruction.best_of_two.exact_match_rate

    def coverage(run: Measurements, epoch: int) -> float:
        return run.coupled[epoch].cross_injected_sampling_rho_07.coverage_rate

    def complementarity(run: Measurements, epoch: int) -> float:
        return run.coupled[epoch].complementary_coverage.complementarity_score

    panels: tuple[tuple[str, Callable[[Measurements, int], float], bool], ...] = (
        ("Exact match of the weaker VAE", lower_vae, True),
        ("Exact match of the ensemble, best of two", ensemble, True),
        ("Decoded coverage, ρ = 0.7", coverage, True),
        ("Complementarity", complementarity, False),
    )
    colours = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
    dashes = ("-", "--", "-.", ":")
    markers = "os^Dvp"
    same_phases = len({tuple(measured.phases) for _, measured in runs}) == 1
    with _canvas(2, 2, size=(11, 8)) as (figure, axes):
        for axis, (title, value, is_share) in zip(axes.flat, panels, strict=True):
            for number, (label, measured) in enumerate(runs):
                axis.plot(
                    milestones,
                    [value(measured, epoch) for epoch in milestones],
                    label=label,
                    color=colours[number % len(colours)],
                    linestyle=dashes[number % len(dashes)],
                    marker=markers[number % len(markers)],
                )
            axis.set_title(title)
            if is_share:
                _percent_axis(axis)
            if title.startswith("Decoded"):
                limit = runs[0][1].coupled[milestones[0]].cross_injected_sampling_rho_07.coverage_limit
                _limit(axis, limit, f"limit {percent(limit)}")
                axis.set_ylim(top=1.0 + 0.06 * (1.02 - axis.get_ylim()[0]))
            else:
                axis.set_ylim(-0.03, 1.05)
            if same_phases:
                _time_axis(axis, runs[0][1])
            else:
                axis.set_xlim(0, max(milestones) * 1.02)
        figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside upper right", ncols=min(3, len(runs)))
        note = "" if same_phases else "; phases differ between these runs and are not shaded"
        figure.suptitle("Runs compared", fontsize=13, x=0.012, ha="left", weight="bold")
        figure.supxlabel(f"completed epochs{note}", fontsize=8.5, color=QUIET)
    return figure


def write_figure(figure: Figure, output: str | Path) -> Path:
    """Writes a figure as PNG, 300 dpi, atomically. The same measurements give the same bytes.

    Raises:
        UserError: if the place cannot be written.
    """
    from PIL import Image

    drawn, packed = BytesIO(), BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    # 256 colours are enough for flat areas and their edges, and make a file a third of the size.
    picture = Image.open(drawn).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    picture.save(packed, format="png", dpi=(DPI, DPI), optimize=True)
    write_bytes(Path(output), packed.getvalue())
    return Path(output)


def _reconstruction(axis: Axes, measured: Measurements) -> None:
    axis.set_title("Exact reconstruction, all 19,683 operations")
    band = [point for point in expected_band(measured.recipe.schedule_epochs) if point[0] <= measured.epochs]
    if len(band) > 1:
        epochs, low, high = zip(*band)
        axis.fill_between(
            epochs,
            low,
            high,
            facecolor=VERMILION,
            alpha=0.13,
            hatch="////",
            edgecolor=VERMILION,
            linewidth=0,
            label="plan's expectation of A",
        )
    epochs = measured.complete_milestones
    series = (
        (
            "ensemble, best of two",
            GREEN,
            "-",
            "D",
            3.6,
            0.45,
            [measured.coupled[e].ensemble_reconstruction.best_of_two.exact_match_rate for e in epochs],
        ),
        (
            "VAE-B",
            BLUE,
            "-",
            "s",
            1.4,
            1.0,
            [measured.isolated[e].vae_b.reconstruction.exact_match_rate for e in epochs],
        ),
        (
            "VAE-A",
            VERMILION,
            "--",
            "o",
            1.4,
            1.0,
            [measured.isolated[e].vae_a.reconstruction.exact_match_rate for e in epochs],
        ),
    )
    per_epoch = {
        "VAE-A": "exact_match_a",
        "VAE-B": "exact_match_b",
        "ensemble, best of two": "exact_match_best_of_two",
    }
    for label, colour, dash, marker, width, alpha, values in series:
        every = _every_epoch(measured, per_epoch[label])
        if every:
            axis.plot(*zip(*every), color=colour, linestyle=dash, linewidth=width, alpha=alpha)
        axis.plot(
            epochs,
            values,
            color=colour,
            linestyle="none" if every else dash,
            marker=marker,
            alpha=max(alpha, 0.7),
            markerfacecolor="white",
            markeredgewidth=1.2,
        )
        axis.plot(
            [],
            [],
            color=colour,
            linestyle=dash,
            linewidth=width,
            alpha=alpha,
            marker=marker,
            markerfacecolor="white",
            markeredgewidth=1.2,
            label=label,
        )
    _percent_axis(axis)
    axis.set_ylim(-0.03, 1.05)
    _legend(axis)


def _coverage(axis: Axes, measured: Measurements) -> None:
    axis.set_title("Decoded coverage, both VAEs together")
    records = [(e, measured.coupled[e].cross_injected_sampling_rho_07) for e in sorted(measured.coupled)]
    every = _every_epoch(measured, "coverage")
    if every:
        axis.plot(*zip(*every), color=GREEN, linestyle="-", linewidth=1, label="each epoch, not mixed")
    for label, colour, dash, marker, pick in (
        ("mixed, ρ = 0.7, the plan's sum", BLUE, "--", "o", lambda record: record),
        ("mixed, ρ = 0.7, prior preserved", VERMILION, ":", "^", lambda record: record.prior_preserving),
    ):
        epochs = [epoch for epoch, _ in records]
        picked = [pick(record) for _, record in records]
        axis.fill_between(
            epochs,
            [p.interval.low for p in picked],
            [p.interval.high for p in picked],
            color=colour,
            alpha=0.2,
            linewidth=0,
        )
        axis.plot(
            epochs,
            [p.coverage_rate for p in picked],
            color=colour,
            linestyle=dash,
            marker=marker,
            markerfacecolor="white",
            markeredgewidth=1.2,
            label=f"{label} (band: 95%)",
        )
    if records:
        first = records[0][1]
        _limit(axis, first.coverage_limit, f"limit of {first.draws:,} draws: {percent(first.coverage_limit)}")
    target = AT_MILESTONE[PLAN_EPOCHS]["coverage"].low
    axis.axhline(target, color=INK, linewidth=0.8, linestyle=(0, (1, 2)))
    axis.annotate(
        "plan: 90% by the end",
        (0.985, target),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        fontsize=7.5,
        color=INK,
    )
    _percent_axis(axis)
    # The first epochs would squeeze the rest into a line: they may run out below, benchmarked values may not.
    usual = sorted(value for _, value in every)[len(every) // 10 :][:1]
    lowest = min([record.coverage_rate for _, record in records] + usual + [0.88])
    axis.set_ylim(max(-0.02, lowest - 0.02), 1.0 + 0.06 * (1.02 - lowest))
    _legend(axis)


def _complementarity(axis: Axes, measured: Measurements) -> None:
    axis.set_title("Complementarity, smaller home over larger")
    epochs = sorted(measured.coupled)
    records = [measured.coupled[epoch].complementary_coverage for epoch in epochs]
    axis.plot(
        epochs,
        [r.complementarity_score for r in records],
        color=PURPLE,
        marker="o",
        label="score under equal noise",
    )
    strict = [
        (e, r.complementarity_score_by_errors)
        for e, r in zip(epochs, records)
        if r.complementarity_score_by_errors is not None
    ]
    if strict:
        axis.plot(*zip(*strict), color=QUIET, linestyle=":", marker="x", label="by errors alone, where defined")
    for level, text in ((0.40, "minimum 0.40"), (0.60, "plan, by the end 0.60"), (0.70, "stretch 0.70")):
        axis.axhline(level, color=INK, linewidth=0.8, linestyle=(0, (1, 2)))
        axis.annotate(
            text,
            (0.985, level),
            xycoords=("axes fraction", "data"),
            xytext=(0, 2.5),
            textcoords="offset points",
            ha="right",
            fontsize=7.5,
            color=INK,
        )
    axis.set_ylim(-0.03, 1.05)
    _legend(axis)


def _share(axis: Axes, measured: Measurements) -> None:
    axis.set_title("Where operations are at home")
    epochs = sorted(measured.coupled)
    if not epochs:
        return
    records = [measured.coupled[epoch].complementary_coverage for epoch in epochs]
    totals = [r.home_a + r.home_b + r.home_neither for r in records]
    a = [r.home_a / total for r, total in zip(records, totals)]
    a_and_b = [(r.home_a + r.home_b) / total for r, total in zip(records, totals)]
    for low, high, colour, hatch, text in (
        ([0.0] * len(a), a, VERMILION, "////", "VAE-A"),
        (a, a_and_b, BLUE, "....", "VAE-B"),
        (a_and_b, [1.0] * len(a), QUIET, "", "neither"),
    ):
        axis.fill_between(
            epochs, low, high, facecolor=colour, alpha=0.28, hatch=hatch, edgecolor=colour, linewidth=0, label=text
        )
    axis.plot(epochs, a, color=VERMILION, marker="o", linewidth=1)
    band = THROUGHOUT["share_a"]
    for level in (band.low, band.high or 1):
        axis.axhline(level, color=INK, linewidth=0.8, linestyle=(0, (1, 2)))
    axis.annotate(
        "plan: 40:60 to 60:40",
        (0.985, band.high or 1),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        fontsize=7.5,
        color=INK,
    )
    _percent_axis(axis)
    axis.set_ylim(0, 1.0)
    _legend(axis)


def _permeability(axis: Axes, measured: Measurements) -> None:
    axis.set_title("Permeability ρ, and guards that fired")
    every = _every_epoch(measured, "rho")
    if every:
        axis.step(*zip(*every), where="pre", color=GREEN, label="ρ in training")
    else:
        spans = list(measured.recipe.phases)
        axis.plot(
            [epoch for phase in spans for epoch in phase.epochs],
            [rho for phase in spans for rho in (phase.start_rho, phase.end_rho)],
            color=GREEN,
            linestyle="--",
            label="ρ as the recipe's phases have it",
        )
    correlations = [
        (epoch, measured.coupled[epoch].latent_coupling.mean_absolute_correlation) for epoch in sorted(measured.coupled)
    ]
    axis.plot(
        *zip(*correlations),
        color=PURPLE,
        linestyle=":",
        marker="^",
        markerfacecolor="white",
        label="correlation of the two codes, absolute",
    )
    guards = [event for event in measured.events if event.get("kind") == "guard"]
    for number, event in enumerate(guards):
        axis.axvline(
            event["epoch"], color=VERMILION, linewidth=1, linestyle="-.", label="guard fired" if number == 0 else None
        )
    axis.set_ylim(-0.03, 1.05)
    _legend(axis)


def _half_sigma(axis: Axes, measured: Measurements) -> None:
    axis.set_title("Latent noise σ at which exact match falls to one half")
    for label, colour, dash, marker, side in (
        ("VAE-A", VERMILION, "--", "o", "vae_a"),
        ("VAE-B", BLUE, "-", "s", "vae_b"),
    ):
        found = [
            (epoch, getattr(record, side).resolution_curve.half_sigma)
            for epoch, record in sorted(measured.isolated.items())
        ]
        found = [(epoch, sigma) for epoch, sigma in found if sigma is not None]
        if found:
            axis.plot(
                *zip(*found),
                color=colour,
                linestyle=dash,
                marker=marker,
                markerfacecolor="white",
                markeredgewidth=1.2,
                label=label,
            )
    if not axis.lines:
        axis.text(
            0.5,
            0.5,
            "neither VAE is exact for half of the operations",
            transform=axis.transAxes,
            ha="center",
            color=QUIET,
        )
    axis.set_ylim(0, max(0.5, axis.get_ylim()[1]) * 1.05)
    _legend(axis)


def _time_axis(axis: Axes, measured: Measurements) -> None:
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


def _every_epoch(measured: Measurements, name: str) -> list[tuple[int, float]]:
    pairs = zip(measured.column("epoch"), measured.column(name))
    return [(epoch, value) for epoch, value in pairs if value is not None]


def _limit(axis: Axes, value: float, text: str) -> None:
    axis.axhline(value, color=INK, linewidth=1.1)
    axis.annotate(
        text,
        (0.985, value),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        fontsize=7.5,
        color=INK,
    )


def _legend(axis: Axes) -> None:
    if axis.get_legend_handles_labels()[0]:
        axis.legend(loc="best")


def _percent_axis(axis: Axes) -> None:
    from matplotlib.ticker import PercentFormatter

    axis.yaxis.set_major_formatter(PercentFormatter(1.0))


@contextmanager
def _canvas(rows: int, columns: int, size: tuple[float, float]) -> Iterator[tuple[Figure, Any]]:
    """A figure without global state, drawn in the house style."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**matplotlib.rcParamsDefault, "backend": "agg", **_STYLE}):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, figure.subplots(rows, columns, squeeze=False)
