"""`resolution_evolution.png` and the figure that compares runs: printed at 300 dpi, in the Okabe–Ito palette, every
series also told apart by its line and marker, so that it reads in grey and by the colour-blind."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from io import BytesIO
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ternary_vae.formats import in_lines, uniform_level
from ternary_vae.reports import panels
from ternary_vae.reports.measurements import Measurements
from ternary_vae.reports.panels import BLUE, GREEN, INK, ORANGE, PURPLE, QUIET, SKY, VERMILION
from ternary_vae.resolution.figures import MEASURES
from ternary_vae.storage.files import require_writable, write_bytes

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from PIL import Image

DPI = 300
_ROWS_AT_ONCE, _COLOURS_AT_ONCE = 64, 4096
_MOST_DOTS, _MOST_DOTS_OF_A_SIDE = 80e6, 65_000  # that are drawn, and that Pillow opens without a warning
_PANELS = (
    panels.reconstruction,
    panels.coverage,
    panels.complementarity,
    panels.homes,
    panels.permeability,
    panels.half_sigma,
)
_STYLE: dict[str, Any] = {
    "font.size": 9,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 17,
    "axes.formatter.useoffset": False,
    "axes.labelcolor": QUIET,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "text.parse_math": False,
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
    """Panels over completed epochs: reconstruction, coverage, complementarity, homes, permeability, the noise a code
    bears, and below them the objective's terms where there is a log."""
    drawn = [*_PANELS, *([panels.terms] if measurements.terms else [])]
    with canvas(4 if measurements.terms else 3, 2, size=(11, 15.4 if measurements.terms else 11.6)) as (figure, axes):
        if measurements.terms:
            wide = axes[-1, 0].get_gridspec()[-1, :]
            for axis in axes[-1]:
                axis.remove()
            figure.add_subplot(wide)
        for axis, panel in zip(figure.axes, drawn, strict=True):
            panel(axis, measurements)
            panels.time_axis(axis, measurements)
        spans = measurements.phases
        names = "   ".join(f"phase {span.number} {span.name}" for span in spans)
        figure_title(figure, f"Resolution evolution: {measurements.title}")
        figure.supxlabel(f"completed epochs\n{names}", fontsize=8.5, color=QUIET)
    return figure


def comparison_figure(runs: Sequence[tuple[str, Measurements]], milestones: Sequence[int]) -> Figure:
    """Four panels, one line a run: the weaker VAE's and the ensemble's exact match, coverage, complementarity."""
    same_phases = len({tuple(measured.phases) for _, measured in runs}) == 1
    parts = [run.part("coverage_rho_07", milestones[0]) for _, run in runs]
    compared = {
        "Exact match of the weaker VAE": ("exact_match_a", "exact_match_b"),
        "Exact match of the ensemble, best of two": ("exact_match_best_of_two",),
        # Of spaces that cannot be listed nothing is covered.
        **({} if not any(parts) else {"Decoded coverage, ρ = 0.7": ("coverage_rho_07",)}),
        "Complementarity": ("complementarity_score",),
    }

    def lowest(run: Measurements, keys: Sequence[str], epoch: int) -> float:
        return min((value for key in keys if (value := run.value(key, epoch)) is not None), default=math.nan)

    with canvas(2, 2, size=(11, 8)) as (figure, axes):
        for axis in axes.flat[len(compared) :]:
            axis.remove()
        for axis, (title, keys) in zip(axes.flat, compared.items()):
            axis.set_title(title)
            styles = zip(
                cycle((BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)), cycle(("-", "--", "-.", ":")), cycle("os^DvpX")
            )
            for (label, measured), (colour, dash, marker) in zip(runs, styles):
                values = [lowest(measured, keys, epoch) for epoch in milestones]
                axis.plot(milestones, values, label=label, color=colour, linestyle=dash, marker=marker)
            if keys == ("coverage_rho_07",):
                limits = sorted({part.coverage_limit for part in parts if part is not None})
                for limit in limits:
                    panels.level_line(axis, limit, uniform_level(limit), bold=True)
                rates = [lowest(run, keys, epoch) for _, run in runs for epoch in milestones]
                panels.coverage_axis(axis, limits + [rate for rate in rates if not math.isnan(rate)])
            else:
                panels.share_axis(axis, 0, 1)
            if MEASURES[keys[0]].unit == "share" and keys != ("coverage_rho_07",):
                panels.percent_axis(axis)
            if same_phases:
                panels.time_axis(axis, runs[0][1])
            else:
                axis.set_xlim(0, max(milestones) * 1.02)
        handles, labels = axes.flat[0].get_legend_handles_labels()
        named = [in_lines(label, 40) for label in labels]
        figure.legend(handles, named, loc="outside upper right", ncols=min(3, len(runs)))
        note = "" if same_phases else "; phases differ between these runs and are not shaded"
        figure_title(figure, "Runs compared")
        figure.supxlabel(f"completed epochs{note}", fontsize=8.5, color=QUIET)
    return figure


def write_figure(figure: Figure, output: str | Path) -> Path:
    """Writes `png_of` a figure atomically.

    Raises:
        UserError: if the place cannot be written.
    """
    require_writable(Path(output))
    write_bytes(Path(output), png_of(figure))
    return Path(output)


def png_of(figure: Figure) -> bytes:
    """A figure as a PNG file's bytes, 300 dpi or, where it is huge, as many as others open. The same measurements give
    the same bytes."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    packed = BytesIO()
    width, height = figure.get_size_inches()
    dots = min(DPI, (_MOST_DOTS / (width * height)) ** 0.5, _MOST_DOTS_OF_A_SIDE / max(width, height))
    canvas, own_dots = FigureCanvasAgg(figure), figure.dpi
    with _house_style():
        figure.set_dpi(dots)
        canvas.draw()
        picture = _in_few_colours(np.asarray(canvas.buffer_rgba()))
        figure.set_dpi(own_dots)
        figure.draw_without_rendering()  # else its texts keep the 60 MB of the canvas they were last measured on
    picture.save(packed, format="png", dpi=(dots, dots), optimize=True)
    return packed.getvalue()


def _in_few_colours(dots: np.ndarray) -> Image.Image:
    """Dots (height, width, 4) in 256 colours: enough for flat areas and their edges, in a file of a third of the size.
    The colours are chosen by a ninth of the dots, and each dot has the nearest of them; of all dots Pillow would choose
    no better, in five times the time and 120 MB."""
    import numpy as np
    from PIL import Image

    thinned = np.ascontiguousarray(dots[::3, ::3, :3])
    chosen = Image.fromarray(thinned).quantize(256, dither=Image.Dither.NONE).getpalette()
    palette = np.asarray(chosen, dtype=np.float32).reshape(-1, 3)
    codes = dots.view("<u4")[..., 0]  # of a colour, below its opacity: red, green and blue, eight bits each
    pieces = [slice(top, top + _ROWS_AT_ONCE) for top in range(0, len(codes), _ROWS_AT_ONCE)]
    nearest = np.zeros(1 << 24, dtype=np.uint8)  # of each colour its place in the palette
    for rows in pieces:
        nearest[codes[rows] & 0xFFFFFF] = 1
    there = np.flatnonzero(nearest)
    for some in np.split(there, range(_COLOURS_AT_ONCE, len(there), _COLOURS_AT_ONCE)):
        colours = np.stack([some & 255, some >> 8 & 255, some >> 16], axis=1).astype(np.float32)
        nearest[some] = ((palette**2).sum(axis=1) - 2 * colours @ palette.T).argmin(axis=1)
    places = np.empty(codes.shape, dtype=np.uint8)
    for rows in pieces:
        places[rows] = nearest[codes[rows] & 0xFFFFFF]
    picture = Image.fromarray(places)
    picture.putpalette(chosen)
    return picture


def figure_title(figure: Figure, text: str) -> None:
    """A title at the left, over all panels, in as many lines as a long name needs."""
    figure.suptitle(in_lines(text, 75), fontsize=13, x=0.012, ha="left", weight="bold")


@contextmanager
def canvas(rows: int, columns: int, size: tuple[float, float]) -> Iterator[tuple[Figure, Any]]:
    """A figure without global state, drawn in the house style."""
    style = _house_style()  # before anything else of matplotlib is imported
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from ternary_vae.reports.shown_figure import ShownFigure

    with style:
        figure = ShownFigure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, figure.subplots(rows, columns, squeeze=False)


def _house_style() -> AbstractContextManager[None]:
    """The house style, whatever a matplotlibrc or a program that draws figures of its own has set. A figure needs no
    display: what MPLBACKEND names is not loaded, and is what the rest of the program draws with later."""
    new, named = "matplotlib" not in sys.modules, os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib  # not with a variable that names nothing
    finally:
        if named is not None:
            os.environ["MPLBACKEND"] = named
    if new and named:
        with suppress(ValueError):
            matplotlib.rcParams["backend"] = named
    defaults = {name: value for name, value in matplotlib.rcParamsDefault.items() if name != "backend"}
    return matplotlib.rc_context({**defaults, **_STYLE})
