"""`report.md` and the tables beside it: what was compared, what follows, and how sure that is."""

from __future__ import annotations

from pathlib import Path

from ternary_vae.experiments.results import Results, comparisons_csv, figures_csv
from ternary_vae.experiments.wording import sentence
from ternary_vae.formats import NOTHING, cell, listed, table
from ternary_vae.storage.files import write_text


def write_experiment_report(results: Results) -> list[Path]:
    """Writes results.csv, comparisons.csv and report.md into the experiment's directory.

    Returns:
        the files written.

    Raises:
        UserError: an unwritable directory.
    """
    directory = results.execution.directory
    texts = {
        directory.results_file: figures_csv(results.figures),
        directory.comparisons_file: comparisons_csv(results.comparisons),
        directory.report_file: report_markdown(results),
    }
    for path, text in texts.items():
        write_text(path, text)
    return list(texts)


def report_markdown(results: Results) -> str:
    """The report's text."""
    experiment = results.experiment
    sections = [
        f"# Experiment {cell(experiment.name)}",
        experiment.description,
        _state(results),
        "## What decides",
        *(f"- {sentence(one)}" for one in results.comparisons if one.decides),
        "## Every arm",
        _spread_table(results),
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def _state(results: Results) -> str:
    execution = results.execution
    told = (
        f"{len(results.arms)} arms, seeds {listed(results.experiment.seeds)}: {len(execution.complete)} of "
        f"{len(execution.runs)} runs complete."
    )
    failures = [f"- {cell(name)} failed: {cell(why)}" for name, why in sorted(execution.failed.items())]
    return "\n".join([told, *([""] if failures else []), *failures])


def _spread_table(results: Results) -> str:
    rows = []
    for measure in results.measures_at(results.last):
        for arm in results.arms:
            values = results.of(arm.name, results.last, measure.key)
            summary = results.summary(arm.name, results.last, measure.key)
            if summary is None:
                continue
            low, high = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
            interval = (
                NOTHING if summary.low is None else f"{measure.value(summary.low)} to {measure.value(summary.high)}"
            )
            rows.append(
                [cell(measure.title), cell(arm.name), str(summary.count), measure.value(summary.mean), interval,
                 f"{measure.value(values[low])} (seed {low})", f"{measure.value(values[high])} (seed {high})"]
            )  # fmt: skip
    return table(["Measure", "Arm", "Seeds", "Mean", "95% interval", "Lowest", "Highest"], rows, right_from=2)
