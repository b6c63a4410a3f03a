"""`ternary-vae report` and `ternary-vae compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ternary_vae.cli.options import NOT_AS_REQUIRED, RequiredLevel
from ternary_vae.cli.output import print_table, say

if TYPE_CHECKING:
    from ternary_vae.resolution.criteria import Verdict
    from ternary_vae.storage.runs import RunDirectory


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run directories.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Markdown file to write.")] = Path("COMPARISON.md"),
) -> None:
    """Compare runs milestone by milestone: a table and a figure."""
    from ternary_vae.reports.comparison import write_comparison
    from ternary_vae.storage.runs import RunDirectory

    for path in write_comparison([RunDirectory(run) for run in runs], output):
        say(f"wrote {path}")


def report(
    run: Annotated[Path, typer.Argument(help="Run directory.")],
    plan_run: Annotated[
        Path | None,
        typer.Option("--plan-run", help="Run of the plan's recipe, for FINAL_RESOLUTION_REPORT.md beside this one."),
    ] = None,
    require: RequiredLevel = None,
) -> None:
    """Write a run's evolution report, figure, page and verdict."""
    from ternary_vae.storage.runs import RunDirectory

    report_and_require(RunDirectory(run), require, plan_run=None if plan_run is None else RunDirectory(plan_run))


def report_and_require(directory: RunDirectory, require: RequiredLevel, plan_run: RunDirectory | None = None) -> None:
    """Writes the reports of a run, prints its verdict and what to do next; exit code 1 unless the level is met.

    Args:
        plan_run: a run of the plan's recipe, for a final report on both.
    """
    from ternary_vae.resolution.criteria import LEVELS

    verdict = _write_reports(directory)
    if plan_run is not None:
        from ternary_vae.reports.final import write_final_report

        output = directory.reports / "FINAL_RESOLUTION_REPORT.md"
        write_final_report(plan_run, directory, output)
        say(f"wrote {output}")
    best, latest = directory.checkpoint("best"), directory.checkpoint("latest")
    model = best if best.exists() else latest
    say(f"open the page: {directory.page.resolve().as_uri()}", always=True)
    say(f"use the model: model, _ = ternary_vae.load_model({str(model)!r})", always=True)
    if require is None:
        return
    level = require.value
    if not (verdict.own_met if level == "own" else verdict.level in LEVELS[LEVELS.index(level) :]):
        say(f"level {level!r} is not met", error=True)
        raise SystemExit(NOT_AS_REQUIRED)


def _write_reports(directory: RunDirectory) -> Verdict:
    """Writes the reports of a run, prints its verdict and where the files are."""
    from rich.text import Text

    from ternary_vae.formats import counted, duration
    from ternary_vae.reports import write_reports
    from ternary_vae.resolution.criteria import Verdict

    written = write_reports(directory)
    verdict = Verdict.model_validate_json((directory.reports / "verdict.json").read_text(encoding="utf-8"))
    met, missed = Text("met", style="green"), Text("missed", style="bold red")
    print_table(
        ("level", "criterion", "required", "measured", ""),
        [(line.level, line.name, line.required, line.shown, met if line.met else missed) for line in verdict.lines],
        right=(3,),
        title=f"{verdict.recipe}, seed {verdict.seed}, after {counted(verdict.epoch, 'epoch')}",
    )
    seconds = directory.facts().get("seconds")
    if seconds:
        guards = "" if verdict.guard_events is None else f"; guards fired {counted(verdict.guard_events, 'time')}"
        say(f"trained, measured and watched for {duration(seconds)}{guards}")
    say("\n".join(["files:", f"  {directory.path}", *(f"  {path}" for path in written)]), always=True)
    return verdict
