"""Runs beside each other, milestone by milestone: a Markdown table and one figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ternary_vae.errors import UserError
from ternary_vae.formats import NOTHING, cell, code, duration, listed, number, percent, shown, table
from ternary_vae.reports.figures import comparison_figure, write_figure
from ternary_vae.reports.measurements import Measurements, measurements_of_run
from ternary_vae.reports.verdict import verdict_of
from ternary_vae.resolution.records import CoupledRecord, IsolatedRecord
from ternary_vae.storage.files import write_text
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.terminal import quoted

Pick = Callable[[IsolatedRecord, CoupledRecord], str]
_QUANTITIES: tuple[tuple[str, Pick], ...] = (
    ("VAE-A exact", lambda isolated, _: percent(isolated.vae_a.reconstruction.exact_match_rate)),
    ("VAE-B exact", lambda isolated, _: percent(isolated.vae_b.reconstruction.exact_match_rate)),
    ("Ensemble", lambda _, coupled: percent(coupled.ensemble_reconstruction.best_of_two.exact_match_rate)),
    ("Coverage, ρ = 0.7", lambda _, coupled: percent(coupled.cross_injected_sampling_rho_07.coverage_rate)),
    ("Complementarity", lambda _, coupled: number(coupled.complementary_coverage.complementarity_score, 3)),
    ("Correlation", lambda _, coupled: number(coupled.latent_coupling.mean_absolute_correlation)),
    (
        "Half σ, A / B",
        lambda isolated, _: " / ".join(
            number(side.resolution_curve.half_sigma) for side in (isolated.vae_a, isolated.vae_b)
        ),
    ),
)


def write_comparison(runs: Sequence[RunDirectory], output: str | Path) -> list[Path]:
    """Writes a comparison of runs at the milestones they share, and a figure of the same name beside it.

    Args:
        output: the Markdown file.

    Returns:
        the files written.

    Raises:
        UserError: fewer than two runs, one run twice, no common milestone, a damaged record, or an unwritable output.
    """
    output = Path(output)
    if len(runs) < 2:
        raise UserError("compare: needs at least two run directories")
    if len({run.path.resolve() for run in runs}) < len(runs):
        raise UserError(f"compare: a run is given twice among {listed(run.path for run in runs)}; name each once")
    labelled = list(zip(_labels(measured := [measurements_of_run(run) for run in runs]), measured))
    milestones = sorted(set.intersection(*(set(one.complete_milestones) for one in measured)))
    if not milestones:
        told = "; ".join(
            f"{one.directory} has {', '.join(map(str, one.complete_milestones)) or 'none'}" for one in measured
        )
        raise UserError(
            f"compare: no milestone has both records in all runs ({told}); benchmark the same epochs of each"
        )
    picture = output.with_suffix(".png")
    figure = comparison_figure(labelled, milestones)
    write_text(output, comparison_markdown(labelled, milestones, picture.name))
    write_figure(figure, picture)
    return [output, picture]


def comparison_markdown(labelled: Sequence[tuple[str, Measurements]], milestones: Sequence[int], picture: str) -> str:
    """The comparison's text."""
    rows = [
        [
            str(epoch) if at == 0 else "",
            cell(label),
            *(pick(one.isolated[epoch], one.coupled[epoch]) for _, pick in _QUANTITIES),
        ]
        for epoch in milestones
        for at, (label, one) in enumerate(labelled)
    ]  # fmt: skip
    left_out = sorted({epoch for _, one in labelled for epoch in one.milestones} - set(milestones))
    runs = [
        [cell(label), code(one.directory), one.recipe.fingerprint(), str(one.epochs),
         duration(one.facts.get("seconds")), cell(verdict_of(one).headline)]
        for label, one in labelled
    ]  # fmt: skip
    command = " ".join(quoted(one.directory) for _, one in labelled)
    sections = [
        "# Runs compared",
        table(["Run", "Directory", "Recipe", "Epochs", "Time", "Verdict"], runs, right_from=9),
        f"![Exact match, coverage and complementarity by epoch]({picture})",
        "## By milestone",
        table(["Epoch", "Run", *(name for name, _ in _QUANTITIES)], rows, right_from=2),
        f"Milestones that not all runs have, left out: {listed(left_out)}." if left_out else "",
        _spread(labelled, milestones[-1]),
        f"Repeat with:\n\n```\nternary-vae compare {command}\n```",
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def _spread(labelled: Sequence[tuple[str, Measurements]], epoch: int) -> str:
    sampled = [one.coupled[epoch].cross_injected_sampling_rho_07 for _, one in labelled]
    spread = max(one.interval.standard_deviation for one in sampled)
    return (
        f"With {sampled[0].draws:,} draws a uniform model covers {percent(sampled[0].coverage_limit)} on average; a "
        f"single measurement spreads by {100 * spread:.2f} points, so smaller differences say nothing."
    )


def _labels(measured: Sequence[Measurements]) -> list[str]:
    """Recipe and seed; where that is not unique, the directory too."""
    titles = [one.title for one in measured]
    return [
        title if titles.count(title) == 1 else f"{title} ({shown(one.directory.name) or NOTHING})"
        for title, one in zip(titles, measured)
    ]
