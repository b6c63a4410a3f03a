"""Figures, looked at as matplotlib objects: what is drawn, not only that something is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from synthetic_runs import COUNT

from ternary_vae.errors import UserError
from ternary_vae.limits import coverage_limit
from ternary_vae.reports import figures
from ternary_vae.reports.comparison import write_comparison
from ternary_vae.reports.figures import canvas, comparison_figure, evolution_figure, figure_title, write_figure
from ternary_vae.reports.measurements import measurements_of_records, measurements_of_run
from ternary_vae.reports.panels import BLUE, VERMILION, coverage_axis, percent_axis, share_axis
from ternary_vae.storage.runs import RunDirectory

PHASES = [(0, 40), (40, 120), (120, 250), (250, 400)]


def panel(figure: Figure, title: str) -> Axes:
    return next(axis for axis in figure.axes if title in axis.get_title(loc="left"))


def texts(axis: Axes) -> list[str]:
    return [text.get_text() for text in axis.texts]


def levels(axis: Axes) -> list[float]:
    """Heights of lines that go across the whole panel."""
    return [line.get_ydata()[0] for line in axis.lines if list(line.get_xdata()) == [0, 1]]


def shades(axis: Axes) -> Iterator[tuple[float, float]]:
    for patch in axis.patches:
        if isinstance(patch, Rectangle) and patch.get_zorder() < 0:
            yield patch.get_x(), patch.get_x() + patch.get_width()


@pytest.fixture(scope="module")
def figure(failing_run: RunDirectory) -> Figure:
    return evolution_figure(measurements_of_run(failing_run))


def test_phases_are_shaded_and_labelled_on_every_panel(figure: Figure) -> None:
    assert len(figure.axes) == 7
    for axis in figure.axes:
        assert list(shades(axis)) == PHASES
        assert texts(axis)[-4:] == ["phase 1", "phase 2", "phase 3", "phase 4"]
        assert axis.get_xlim()[1] >= 400
    assert "phase 3 resonant coupling" in figure.get_supxlabel()


def test_reconstruction_shows_the_records_and_the_plans_band(figure: Figure, failing_run: RunDirectory) -> None:
    axis = panel(figure, "reconstruction")
    labels = axis.get_legend_handles_labels()[1]
    assert labels == ["plan's expectation of A", "ensemble, best of two", "VAE-B", "VAE-A"]
    measured = measurements_of_run(failing_run)
    wanted = [measured.isolated[epoch].vae_a.reconstruction.exact_match_rate for epoch in measured.milestones]
    marked = [line for line in axis.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert [list(line.get_xdata()) for line in marked] == [measured.milestones]
    np.testing.assert_array_equal(marked[0].get_ydata(), wanted)
    band = next(c for c in axis.collections if isinstance(c, PolyCollection)).get_paths()[0].vertices
    assert {(250, 0.75), (250, 0.85), (100, 0.2), (100, 0.3)} <= {(x, round(y, 4)) for x, y in band}
    assert {line.get_linestyle() for line in axis.lines} >= {"-", "--"}


def test_coverage_shows_a_uniform_model_and_intervals(figure: Figure, failing_run: RunDirectory) -> None:
    axis = panel(figure, "coverage")
    measured = measurements_of_run(failing_run)
    sampled = [measured.part("coverage_rho_07", epoch) for epoch in measured.milestones]
    for name, records in (("plan's sum", sampled), ("prior preserved", [one.prior_preserving for one in sampled])):
        [line] = [line for line in axis.lines if name in str(line.get_label())]
        assert list(line.get_ydata()) == [one.coverage_rate for one in records]
    assert pytest.approx(coverage_limit(100_000)) in levels(axis)
    assert 0.90 in levels(axis)
    assert any("100,000 draws of a uniform model, on average: 99.38%" in text for text in texts(axis))
    assert len([c for c in axis.collections if isinstance(c, PolyCollection)]) == 2
    assert axis.get_ylim()[1] > coverage_limit(100_000)


def seen_ticks(axis: Axes, along: str = "y") -> list[float]:
    """Ticks inside the view of a figure that has been drawn."""
    low, high = axis.get_ylim() if along == "y" else axis.get_xlim()
    ticks = axis.get_yticks() if along == "y" else axis.get_xticks()
    return [round(tick, 9) for tick in ticks if low <= tick <= high]


def test_no_axis_of_shares_goes_beyond_what_a_share_can_be(figure: Figure, good_run: RunDirectory) -> None:
    compared = comparison_figure([("good", measurements_of_run(good_run))], [100, 400])
    others = ("noise", "terms")
    shares = [axis for axis in figure.axes if not any(word in axis.get_title(loc="left") for word in others)]
    shares += list(compared.axes)
    assert len(shares) == 9
    for each in (figure, compared):
        each.draw_without_rendering()
    for axis in shares:
        ticks = seen_ticks(axis)
        assert len(ticks) >= 2, axis.get_title(loc="left")
        assert all(0 <= tick <= 1 for tick in ticks), axis.get_title(loc="left")
        assert axis.get_ylim()[0] >= -0.04
        assert axis.get_ylim()[1] <= 1.04


def test_what_is_covered_wholly_lies_on_its_axis() -> None:
    with canvas(1, 2, size=(8, 4)) as (_, axes):
        small, plans = axes.flat
        coverage_axis(small, [0.8, 1.0])
        coverage_axis(plans, [0.8, coverage_limit(100_000)])
        assert small.get_ylim()[1] == 1
        assert 1.0 in small.get_yticks()
        assert coverage_limit(100_000) < plans.get_ylim()[1] < 1


@pytest.mark.parametrize("whole", [1, 100])
@pytest.mark.parametrize("along", ["x", "y"])
@pytest.mark.parametrize("drawn", [(1, 1), (0, 0), (0, 1), (0.97, 1), (0.9991, 0.9994), (0.2, 0.4), (0, 0.003)])
def test_an_axis_of_shares_ends_where_shares_do(drawn: tuple[float, float], along: str, whole: int) -> None:
    with canvas(1, 1, size=(6, 4)) as (_, axes):
        axis, values = axes.flat[0], [whole * value for value in drawn]
        axis.plot(values, [0, 1], "o") if along == "x" else axis.plot([0, 1], values, "o")
        share_axis(axis, along=along, whole=whole)
        percent_axis(axis)
        axis.figure.draw_without_rendering()
        low, high = axis.get_ylim() if along == "y" else axis.get_xlim()
        assert low < min(values) <= max(values) < high  # what lies at an end is seen
        assert all(0 <= tick <= whole for tick in seen_ticks(axis, along))
        for label, tick in zip(axis.get_yticklabels(), axis.get_yticks(), strict=True):
            assert re.fullmatch(r"−?\d+(\.\d*[1-9])?%", label.get_text())
            assert float(label.get_text().replace("−", "-").rstrip("%")) == pytest.approx(100 * tick)
        assert axis.xaxis.get_offset_text().get_text() == ""


def test_noise_stands_beside_the_limit_of_nine_ideal_axes(figure: Figure) -> None:
    axis = panel(figure, "atent noise σ")
    level = next(line for line in axis.lines if len(set(line.get_ydata())) == 1)
    assert level.get_ydata()[0] == pytest.approx(0.3225, abs=1e-4)
    assert any("ideal axes, one an entry" in text for text in texts(axis))


def test_panels_show_what_was_measured(figure: Figure, failing_run: RunDirectory) -> None:
    measured = measurements_of_run(failing_run)
    for title, label, key in (
        ("reconstruction", "VAE-B", "exact_match_b"),
        ("Complementarity", "score under equal noise", "complementarity_score"),
        ("Complementarity", "by errors alone, where defined", "complementarity_by_errors"),
        ("Where operations", "A of A and B", "share_a"),
        ("Permeability", "correlation of the two codes, absolute", "latent_correlation"),
        ("atent noise", "VAE-A", "half_sigma_a"),
        ("atent noise", "VAE-B", "half_sigma_b"),
    ):
        axis = panel(figure, title)
        named = next(line for line in axis.get_legend_handles_labels()[0] if line.get_label() == label)
        drawn = {
            (x, y)
            for line in axis.lines
            if (line.get_color(), line.get_marker()) == (named.get_color(), named.get_marker())
            for x, y in zip(line.get_xdata(), line.get_ydata())
        }
        known = {(epoch, measured.value(key, epoch)) for epoch in measured.milestones}
        assert drawn == {(epoch, value) for epoch, value in known if value is not None}, label
        assert drawn
    rho = next(line for line in panel(figure, "Permeability").lines if line.get_label() == "ρ in training")
    assert list(rho.get_ydata()) == measured.column("rho")
    assert "neither VAE is exact for half of the operations" not in texts(panel(figure, "atent noise"))
    assert levels(panel(figure, "Where operations")) == [0.4, 0.6]
    scores = levels(panel(figure, "Complementarity"))
    assert [text.split()[-1] for text in texts(panel(figure, "Complementarity"))[:3]] == [
        f"{one:.2f}" for one in scores
    ]
    assert len(set(scores)) == 3
    homes = [measured.coupled[epoch].complementary_coverage for epoch in measured.milestones]
    at_home = panel(figure, "Where operations").collections[0].get_paths()[0].vertices
    assert {(epoch, one.home_a / COUNT) for epoch, one in zip(measured.milestones, homes)} <= set(map(tuple, at_home))
    terms = panel(figure, "terms").lines
    colours = {line.get_label()[-2:]: line.get_color() for line in terms}
    assert (colours[" A"], colours[" B"]) == (VERMILION, BLUE)
    low, high = panel(figure, "terms").get_ylim()
    settled = [value for line in terms for value in line.get_ydata()[50:]]
    assert low <= min(settled) <= max(settled) <= high


def test_guards_are_marked(figure: Figure, good_run: RunDirectory) -> None:
    labels = panel(figure, "Permeability").get_legend_handles_labels()[1]
    assert "guard fired" in labels
    calm = evolution_figure(measurements_of_run(good_run))
    assert "guard fired" not in panel(calm, "Permeability").get_legend_handles_labels()[1]


def test_a_huge_figure_is_drawn_with_fewer_dots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one of an experiment of hundreds of arms, which no program would open."""
    monkeypatch.setattr(figures, "_MOST_DOTS", 40_000)
    monkeypatch.setattr(figures, "_MOST_DOTS_OF_A_SIDE", 300)
    for size in ((4.0, 4.0), (1.0, 6.0)):
        with canvas(1, 1, size=size) as (figure, _):
            path = write_figure(figure, tmp_path / "huge.png")
        with Image.open(path) as picture:
            assert picture.width * picture.height <= 40_400
            assert max(picture.size) <= 300
            assert picture.height / picture.width == pytest.approx(size[1] / size[0], rel=0.03)


def test_bare_records_and_a_single_milestone_can_be_drawn(failing_run: RunDirectory, tmp_path: Path) -> None:
    measured = measurements_of_records(failing_run.benchmarks, (3,))
    figure = evolution_figure(measured)
    assert "as the recipe's phases have it" in str(panel(figure, "Permeability").get_legend_handles_labels()[1])
    phases, planned = failing_run.recipe().phases, panel(figure, "Permeability").lines[0]
    assert list(planned.get_ydata()) == [rho for phase in phases for rho in (phase.start_rho, phase.end_rho)]
    assert write_figure(figure, tmp_path / "one.png").stat().st_size > 10_000


def test_a_log_that_begins_late_can_be_drawn(good_run: RunDirectory, tmp_path: Path) -> None:
    """As that of a run which went on from another's checkpoint."""
    late = RunDirectory(shutil.copytree(good_run.path, tmp_path / "late"))
    rows = late.metrics_file.read_text().splitlines(keepends=True)
    late.metrics_file.write_text("".join(rows[-5:]))
    terms = panel(evolution_figure(measurements_of_run(late)), "The objective's terms")
    assert len(terms.lines[0].get_ydata()) == 5


@pytest.mark.parametrize("kind", ["manifold", "coupled"])
def test_one_kind_of_record_alone_can_be_drawn(failing_run: RunDirectory, tmp_path: Path, kind: str) -> None:
    for path in failing_run.benchmarks.glob(f"{kind}_resolution_*.json"):
        shutil.copy(path, tmp_path)
    figure = evolution_figure(measurements_of_records(tmp_path, (100, 200, 400)))
    named = panel(figure, "Latent noise").get_legend_handles_labels()[1]
    assert named == (["VAE-A", "VAE-B"] if kind == "manifold" else [])
    assert write_figure(figure, tmp_path / "half.png").exists()


def test_the_file_is_a_print_quality_png_below_a_megabyte(
    figure: Figure, tmp_path: Path, coarse_figures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "DPI", coarse_figures)
    path = write_figure(figure, tmp_path / "figure.png")
    assert path.stat().st_size < 1_000_000
    with Image.open(path) as picture:
        assert round(picture.info["dpi"][0]) == 300
        assert picture.size == (3300, 4620)


def test_a_figure_is_the_same_bytes_again(failing_run: RunDirectory, tmp_path: Path) -> None:
    measured = measurements_of_run(failing_run)
    first, again = (write_figure(evolution_figure(measured), tmp_path / f"{name}.png") for name in ("first", "again"))
    assert first.read_bytes() == again.read_bytes()


@pytest.mark.parametrize("several", [256, 4000])
def test_every_dot_has_the_nearest_of_the_colours_chosen(several: int) -> None:
    """Squares of three dots a side: up to 256 colours stay as they are."""
    random = np.random.default_rng(several)
    colours = random.choice(1 << 24, several, replace=False)
    squares = np.stack([colours >> 16, colours >> 8 & 255, colours & 255, np.full(several, 255)], axis=1)
    dots = squares.astype(np.uint8).reshape(-1, 16, 4).repeat(3, axis=0).repeat(3, axis=1)
    picture = figures._in_few_colours(dots)
    drawn, wanted = np.asarray(picture.convert("RGB"), dtype=int), dots[..., :3].astype(int)
    palette = np.asarray(picture.getpalette()).reshape(-1, 3)
    assert len(palette) == 256
    nearest = np.square(wanted[::3, ::3, None] - palette).sum(axis=-1).min(axis=-1)
    assert (np.square(drawn - wanted).sum(axis=-1) == nearest.repeat(3, axis=0).repeat(3, axis=1)).all()
    if several == 256:
        assert (drawn == wanted).all()


def test_every_term_that_was_computed_is_drawn(figure: Figure, failing_run: RunDirectory) -> None:
    terms = measurements_of_run(failing_run).metrics[0]["terms"]
    computed = {
        name.removesuffix("_a").removesuffix("_b").replace("_", " ") for name, v in terms.items() if v is not None
    }
    labels = panel(figure, "terms").get_legend_handles_labels()[1]
    assert {label.removesuffix(" A").removesuffix(" B") for label in labels} == computed
    assert len(labels) == sum(value is not None for value in terms.values())


def test_series_differ_in_grey(figure: Figure) -> None:
    """Lines of one panel never share both line style and marker."""
    for axis in figure.axes:
        if "terms" in axis.get_title(loc="left"):  # A and B of a kind share a dash
            continue
        handles = [h for h in axis.get_legend_handles_labels()[0] if hasattr(h, "get_marker")]
        looks = [(h.get_linestyle(), h.get_marker(), round(h.get_linewidth(), 1)) for h in handles]
        assert len(set(looks)) == len(looks), axis.get_title(loc="left")


def test_an_unwritable_place_is_one_clear_line(figure: Figure, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        write_figure(figure, tmp_path / "file" / "figure.png")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_comparison_has_a_line_a_run_and_no_phases_where_they_differ(
    good_run: RunDirectory, failing_run: RunDirectory, make_run: Callable[..., RunDirectory]
) -> None:
    good, bad = measurements_of_run(good_run), measurements_of_run(failing_run)
    figure = comparison_figure([("good", good), ("bad", bad)], [100, 400])
    for axis in figure.axes:
        drawn = [line for line in axis.lines if list(line.get_xdata()) == [100, 400]]
        assert [line.get_label() for line in drawn] == ["good", "bad"]
        assert list(shades(axis)) == PHASES
    ensemble = panel(figure, "ensemble").lines
    assert list(ensemble[0].get_ydata()) == [1, 1]
    short = good.recipe.scaled_to(200)
    other = measurements_of_run(make_run(short, epochs=200, milestones=(100,)))
    mixed = comparison_figure([("good", good), ("short", other)], [100])
    assert all(not list(shades(axis)) for axis in mixed.axes)
    assert "not shaded" in mixed.get_supxlabel()


def small_figure(output: Path) -> bytes:
    with canvas(1, 1, (2, 1)) as (drawn, _):
        figure_title(drawn, "a title")
    return write_figure(drawn, output).read_bytes()


@pytest.mark.parametrize("backend", ["module://no_such_package.backend", "nonsense"])
def test_figures_are_drawn_whatever_names_a_display(backend: str, tmp_path: Path) -> None:
    """And what a notebook has chosen is what it goes on with."""
    program = (
        "import os, sys\nfrom ternary_vae.reports.figures import canvas, write_figure\n"
        "with canvas(1, 1, (2, 1)) as (figure, _):\n    pass\n"
        "write_figure(figure, sys.argv[1])\n"
        "import matplotlib\nprint(matplotlib.rcParams._get('backend') == os.environ['MPLBACKEND'])"
    )
    environment = {**os.environ, "MPLBACKEND": backend, "MPLCONFIGDIR": os.devnull}
    output = tmp_path / "figure.png"
    done = subprocess.run([sys.executable, "-c", program, str(output)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert output.exists()
    assert done.stdout.strip() == str(backend.startswith("module://"))


def test_settings_of_whoever_draws_change_nothing_and_are_left_alone(tmp_path: Path) -> None:
    plain = small_figure(tmp_path / "plain.png")
    own = {"savefig.bbox": "tight", "savefig.transparent": True, "figure.dpi": 20, "font.sans-serif": ["monospace"]}
    before = matplotlib.rcParams["backend"]
    try:
        with matplotlib.rc_context(own):
            matplotlib.rcParams["backend"] = "svg"
            assert small_figure(tmp_path / "own.png") == plain
            assert matplotlib.rcParams["backend"] == "svg"
    finally:
        matplotlib.rcParams["backend"] = before


@pytest.mark.parametrize("name", ["caf\udce9 $x_$", "a\nb"])
def test_runs_of_any_name_can_be_compared(name: str, good_run: RunDirectory, tmp_path: Path) -> None:
    try:
        shutil.copytree(good_run.path, tmp_path / name)
    except (OSError, UnicodeEncodeError):
        pytest.skip("no such names here")
    shutil.copytree(good_run.path, tmp_path / "other")
    text, figure = write_comparison(
        [RunDirectory(tmp_path / name), RunDirectory(tmp_path / "other")], tmp_path / "c.md"
    )
    assert figure.exists()
    assert all(row.endswith("|") for row in text.read_text(encoding="utf-8").splitlines() if row.startswith("|"))
