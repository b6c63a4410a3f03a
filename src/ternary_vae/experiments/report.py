"""`report.md` and the tables beside it: what was compared, what follows, and how sure that is."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

from ternary_vae.descriptions import read_yaml
from ternary_vae.errors import UserError
from ternary_vae.experiments.content import shown_content
from ternary_vae.experiments.description import Experiment, load_experiment, validate_experiment
from ternary_vae.experiments.directory import ExperimentDirectory
from ternary_vae.experiments.figures import curves_figure, effects_figure, seeds_figure
from ternary_vae.experiments.page import experiment_page
from ternary_vae.experiments.results import Results, comparisons_csv, figures_csv
from ternary_vae.experiments.tables import differences_table, milestones_table
from ternary_vae.experiments.wording import sentence
from ternary_vae.reports.figures import write_figure
from ternary_vae.reports.markdown import markdown
from ternary_vae.storage.files import reported, write_text

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
    if results.deciding:
        figures["effects.png"] = effects_figure(results)
    described = place / "experiment.yaml"
    texts: dict[Path, str] = {}
    if output is not None and described.resolve() != results.execution.source.resolve():
        texts[described] = results.experiment.to_yaml()  # first: by it a report that was interrupted is known
    texts |= {
        place / "results.csv": figures_csv(results.figures),
        place / "comparisons.csv": comparisons_csv(results.comparisons, sentence),
        place / "report.md": report_markdown(results),
        place / "index.html": experiment_page(results, linked=output is None),
    }
    for path, text in texts.items():
        write_text(path, text)
    if output is not None:
        with suppress(UserError):  # so that what is added from now on is noted as added after a report
            write_text(results.execution.directory.comparisons_file, texts[place / "comparisons.csv"])
    return [*texts, *(write_figure(figure, place / name) for name, figure in sorted(figures.items()))]


def require_place_for_report(output: Path, experiment: Experiment) -> None:
    """Checks that a report of the experiment may be written in a directory, and makes it.

    Raises:
        UserError: not a directory, not writable, or what lies there is not an earlier report of this experiment.
    """
    described = output / "experiment.yaml"
    if described.exists():
        if (place := ExperimentDirectory(output)).has_runs() and place.arms.is_dir():
            raise UserError(f"{output}: holds an experiment's runs; leave --output out, or name another")
        name = validate_experiment(read_yaml(described, "an experiment"), str(described)).name
        if name != experiment.name:
            raise UserError(f"{output}: holds a report of experiment {name!r}; name another --output")
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
    execution = results.execution
    # Rather the source than the directory's copy of it: a recipe's file may lie beside the source.
    written = execution.source if execution.source.is_file() else execution.directory.experiment_file
    written = written.resolve()
    if written.is_relative_to(Path.cwd()):  # the command is given here, and may be elsewhere on another machine
        written = written.relative_to(Path.cwd())
    return markdown(
        "report",
        package="ternary_vae.experiments",
        milestones=[
            (measure, milestones_table(results, measure), differences_table(results, measure))
            for measure in results.primary
        ],
        several_arms=len(results.arms) > 1,
        target=results.experiment.name if _is_known(results.experiment) else written,
        **shown_content(results),
    )


def _is_known(experiment: Experiment) -> bool:
    """Whether its name alone means this very experiment, wherever it was done."""
    try:
        return load_experiment(experiment.name)[0] == experiment
    except UserError:
        return False
