"""`report.md` and the tables beside it: what was compared, what follows, and how sure that is."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ternary_vae.descriptions import read_yaml
from ternary_vae.errors import UserError
from ternary_vae.experiments.description import Experiment, load_experiment, validate_experiment
from ternary_vae.experiments.figures import curves_figure, effects_figure, seeds_figure
from ternary_vae.experiments.measures import Measure
from ternary_vae.experiments.page import experiment_page
from ternary_vae.experiments.results import Results, comparisons_csv, figures_csv
from ternary_vae.experiments.tables import (
    MARKS,
    arms_table,
    deciding_table,
    differences_table,
    milestones_table,
    runs_table,
    seeds_table,
    wins_table,
)
from ternary_vae.experiments.wording import METHOD, beyond, headlines, sentence, state
from ternary_vae.formats import cell, counted
from ternary_vae.reports.figures import write_figure
from ternary_vae.storage.files import reported, write_text
from ternary_vae.terminal import quoted

_SENTENCES_SHOWN = 40
_WRITTEN = ("report.md", "index.html", "results.csv", "comparisons.csv", "curves.png", "seeds.png", "effects.png")


def write_experiment_report(results: Results, output: Path | None = None) -> list[Path]:
    """Writes results.csv, comparisons.csv, report.md, its figures and index.html.

    Args:
        output: where; the experiment's own directory by default. Elsewhere nothing links to runs.

    Returns:
        the files written.

    Raises:
        UserError: an unwritable directory, or as `require_place_for_report`.
    """
    if output is not None:
        require_place_for_report(output, results.experiment)
    place = output or results.execution.directory.path
    figures = {"curves.png": curves_figure(results), "seeds.png": seeds_figure(results)}
    if any(one.decides for one in results.comparisons):
        figures["effects.png"] = effects_figure(results)
    pictures = [write_figure(figure, place / name) for name, figure in sorted(figures.items())]
    texts = {
        place / "results.csv": figures_csv(results.figures),
        place / "comparisons.csv": comparisons_csv(results.comparisons, sentence),
        place / "report.md": report_markdown(results),
        place / "index.html": experiment_page(results, linked=output is None),
    }
    described = place / "experiment.yaml"
    if output is not None and described.resolve() != results.execution.source.resolve():
        texts[described] = results.experiment.to_yaml()
    for path, text in texts.items():
        write_text(path, text)
    return [*texts, *pictures]


def require_place_for_report(output: Path, experiment: Experiment) -> None:
    """Checks that a report of the experiment may be written in a directory, and makes it.

    Raises:
        UserError: not a directory, not writable, or what lies there is not an earlier report of this experiment.
    """
    described = output / "experiment.yaml"
    if described.exists():
        found = validate_experiment(read_yaml(described, "an experiment"), str(described)).name
        if found != experiment.name:
            raise UserError(f"{output}: holds a report of experiment {found!r}; name another --output")
    else:
        taken = [name for name in _WRITTEN if (output / name).exists()]
        if taken:
            raise UserError(f"{output / taken[0]}: is not a report of this experiment's; name another --output")
    with reported("write", output):
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output):
            pass


def report_markdown(results: Results) -> str:
    """The report's text."""
    experiment, reference = results.experiment, results.experiment.reference
    deciding = [one for one in results.comparisons if one.decides]
    sections = [
        f"# Experiment {cell(experiment.name)}",
        cell(experiment.description),
        cell(state(results)),
        _failures(results),
    ]
    if deciding:
        sections += [
            "## What follows",
            "\n".join(f"- {cell(line)}" for line in headlines(results)),
            f"Means after {counted(results.last, 'epoch')}. {MARKS.format(reference) if reference else ''}",
            wins_table(results).markdown(),
            deciding_table(results).markdown(),
            "![Differences with 95% intervals, seed by seed](effects.png)",
            "In words:",
            "\n".join(f"- {cell(sentence(one))}" for one in deciding[:_SENTENCES_SHOWN]),
            _left_out(len(deciding) - _SENTENCES_SHOWN),
        ]
    sections += [
        "## Over epochs",
        "![Mean over seeds by epoch; bands hold all seeds](curves.png)",
        *(part for measure in results.primary for part in _milestones(results, measure)),
        "## The worst seed and the best",
        f"After {counted(results.last, 'epoch')}. The spread is the standard deviation over seeds.",
        "![Every seed of every arm](seeds.png)",
        seeds_table(results, results.primary).markdown(),
        "## Every measure",
        MARKS.format(reference) if reference else "",
        arms_table(results).markdown(),
    ]
    if len(results.arms) > 1:
        sections += ["## Beyond what decides", _beyond(results)]
    sections += ["## How this was computed", "\n\n".join(METHOD) if deciding else METHOD[0]]
    sections += ["## Runs", runs_table(results).markdown(), _commands(results)]
    return "\n\n".join(filter(None, sections)) + "\n"


def _failures(results: Results) -> str:
    failures = sorted(results.execution.failed.items())
    return "\n".join(f"- {cell(name)} failed: {cell(why)}" for name, why in failures)


def _beyond(results: Results) -> str:
    others = [one for one in results.comparisons if not one.decides]
    found = beyond(results)
    lead = (
        f"{counted(len(others), 'other comparison')} of all measures at all milestones, and of the other arms with one "
        f"another by what decides; {len(found)} of them stand after correction for their number. All are in "
        "comparisons.csv, each with its sentence."
    )
    lines = [f"- {cell(sentence(one))}" for one in found[:_SENTENCES_SHOWN]]
    return "\n\n".join(filter(None, [lead, "\n".join(lines), _left_out(len(found) - _SENTENCES_SHOWN)]))


def _milestones(results: Results, measure: Measure) -> list[str]:
    told = [f"**{cell(measure.title)}**, mean ± spread of seeds:", milestones_table(results, measure).markdown()]
    differences = differences_table(results, measure)
    if differences.rows:
        told += [f"Difference from {cell(results.experiment.reference)}, 95% interval:", differences.markdown()]
    return told


def _left_out(count: int) -> str:
    return f"… and {count:,} more, in comparisons.csv." if count > 0 else ""


def _commands(results: Results) -> str:
    execution = results.execution
    # Rather the source than the directory's copy of it: a recipe's file may lie beside the source.
    written = execution.source if execution.source.is_file() else execution.directory.experiment_file
    target = results.experiment.name if _is_known(results.experiment) else written
    return f"Repeat with:\n\n```\nternary-vae experiment {quoted(target)}\n```"


def _is_known(experiment: Experiment) -> bool:
    """Whether its name alone means this very experiment, wherever it was done."""
    try:
        return load_experiment(experiment.name)[0] == experiment
    except UserError:
        return False
