"""Runs beside each other, milestone by milestone: a Markdown table and one figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ternary_vae.errors import UserError
from ternary_vae.formats import NOTHING, listed, shown
from ternary_vae.reports.figures import comparison_figure, write_figure
from ternary_vae.reports.markdown import markdown
from ternary_vae.reports.measurements import Measurements, measurements_of_run
from ternary_vae.reports.verdict import verdict_of
from ternary_vae.storage.files import require_absent, require_own, require_writable, write_text
from ternary_vae.storage.runs import RunDirectory

_HEADING = "# Runs compared\n"
_COMPARED = (
    "exact_match_a", "exact_match_b", "exact_match_best_of_two", "coverage_rho_07", "complementarity_score",
    "latent_correlation", "half_sigma_a", "half_sigma_b",
)  # fmt: skip


def write_comparison(runs: Sequence[RunDirectory], output: str | Path) -> list[Path]:
    """Writes a comparison of runs at the milestones they share, and a figure of the same name beside it.

    Args:
        output: the Markdown file.

    Returns:
        the files written.

    Raises:
        UserError: fewer than two runs, one run twice, no common milestone, a damaged record, an unwritable output, or
            one that is there and is no comparison.
    """
    output = Path(output)
    require_writable(output)
    if output.suffix == ".png":
        raise UserError(f"{output}: would be the figure's name; name the text's, such as {output.with_suffix('.md')}")
    require_own(output, _HEADING, "comparison")
    picture = output.with_suffix(".png")
    if not output.exists():  # else the figure is that of the earlier comparison
        require_absent(picture, instead="file with --output")
    if len(runs) < 2:
        raise UserError("compare: needs at least two run directories")
    if len({run.path.resolve() for run in runs}) < len(runs):
        raise UserError(f"compare: a run is given twice among {listed(run.path for run in runs)}; name each once")
    labelled = list(zip(_labels(measured := [measurements_of_run(run) for run in runs]), measured))
    milestones = sorted(set.intersection(*(set(one.complete_milestones) for one in measured)))
    if not milestones:
        epochs = "; ".join(
            f"{one.directory} has {', '.join(map(str, one.complete_milestones)) or 'none'}" for one in measured
        )
        raise UserError(
            f"compare: no milestone has both records in all runs ({epochs}); benchmark the same epochs of each"
        )
    figure = comparison_figure(labelled, milestones)
    write_text(output, comparison_markdown(labelled, milestones, output))
    write_figure(figure, picture)
    return [output, picture]


def comparison_markdown(labelled: Sequence[tuple[str, Measurements]], milestones: Sequence[int], output: Path) -> str:
    """The comparison's text; `output` is where it will be written, for the figure beside it and the command."""
    parts = [one.part("coverage_rho_07", milestones[-1]) for _, one in labelled]
    # A uniform model covers as much as it does in one space, and in one that cannot be listed nothing is covered.
    one_space = len({one.recipe.space.as_space() for _, one in labelled}) == 1
    sampled = [part for part in parts if part is not None and one_space]
    return markdown(
        "comparison",
        runs=[(label, one, verdict_of(one)) for label, one in labelled],
        picture=output.with_suffix(".png").name,
        output=output,
        milestones=milestones,
        compared=_COMPARED,
        left_out=sorted({epoch for _, one in labelled for epoch in one.milestones} - set(milestones)),
        sampled=sampled,
        spread=max((one.interval.standard_deviation for one in sampled), default=0.0),
    )


def _labels(measured: Sequence[Measurements]) -> list[str]:
    """Recipe and seed; where that is not unique, the directory too."""
    titles = [one.title for one in measured]
    return [
        title if titles.count(title) == 1 else f"{title} ({shown(one.directory.name) or NOTHING})"
        for title, one in zip(titles, measured)
    ]
