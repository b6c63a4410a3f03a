"""`ternary-vae experiment`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ternary_vae.cli.options import INTERRUPTED, NOT_AS_REQUIRED, DeviceOption
from ternary_vae.cli.output import say
from ternary_vae.errors import UserError
from ternary_vae.terminal import notify_without_reader, quoted

if TYPE_CHECKING:
    from ternary_vae.experiments.arms import Arm
    from ternary_vae.experiments.description import Experiment
    from ternary_vae.experiments.directory import ExperimentDirectory
    from ternary_vae.experiments.execution import Execution


def experiment(
    target: Annotated[
        str | None, typer.Argument(help="An experiment by name, or a YAML file; without one, what there is.")
    ] = None,
    directory: Annotated[
        Path | None,
        typer.Option("--directory", "-d", help="Directory of the experiment.", show_default="experiments/NAME"),
    ] = None,
    backend: Annotated[
        str, typer.Option("--backend", "-b", help="Where runs are done: joblib (local processes), inprocess or ray.")
    ] = "joblib",
    workers: Annotated[
        int | None,
        typer.Option(help="Local processes, one thread each.", show_default="one a core, on a GPU four at most"),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            help="Ray cluster, such as 10.0.0.1:6379.", show_default="that of RAY_ADDRESS, or the one on this machine"
        ),
    ] = None,
    together: Annotated[
        int | None,
        typer.Option(
            help="Runs of one shape that a process trains at once, as one batched program.",
            show_default="1, on a GPU up to 50",
        ),
    ] = None,
    device: DeviceOption = "auto",
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be done.")] = False,
    report: Annotated[bool, typer.Option("--report", help="Run nothing; report on what there is.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the report elsewhere, without links to runs: to publish it."),
    ] = None,
) -> None:
    """Run recipes with many seeds, compare them pair by pair, and write a report and a page.

    What is complete is not run again, what broke off goes on. Exit code 1 if a run failed.
    """
    from ternary_vae.experiments.arms import arms_of
    from ternary_vae.experiments.backends import backend_named, require_options
    from ternary_vae.experiments.description import load_experiment
    from ternary_vae.experiments.directory import ExperimentDirectory
    from ternary_vae.experiments.execution import run_experiment, state_of
    from ternary_vae.experiments.results import primary_measures

    if plan and report:
        raise UserError("experiment: --plan and --report were both given; one says what would be done, one what was")
    options = {
        "--directory": directory, "--backend": backend if backend != "joblib" else None, "--workers": workers,
        "--address": address, "--together": together,
        "--device": device if device != "auto" else None, "--output": output,
    }  # fmt: skip
    given = [word for name, value in options.items() if value is not None for word in (name, quoted(value))]
    if target is None:
        if plan or report or given:
            raise UserError("experiment: options were given, but no experiment; name one, or a YAML file")
        _describe_experiments()
        return
    require_options(backend, workers, address, together, device)
    described, source = load_experiment(target)
    place = ExperimentDirectory(directory or Path("experiments") / described.name)
    arms = arms_of(described, source)
    primary_measures(described, arms, source)
    if plan:
        _print_plan(described, arms, place, source)
        return
    if output is not None:
        from ternary_vae.experiments.report import require_place_for_report

        require_place_for_report(output, described)
    if report:
        execution = state_of(described, place, source=source)
    else:
        from rich.console import Console

        from ternary_vae.devices import choose_device

        # A cluster's nodes may have what this machine lacks.
        accelerated = backend != "ray" and choose_device(device) != "cpu"
        where = backend_named(backend, workers=workers, address=address, together=together, accelerated=accelerated)
        notify_without_reader(f"the experiment in {place.path}")
        execution = run_experiment(described, place, source=source, backend=where, device=device, console=Console())
    if not execution.taken:  # its directory is another's now
        _report(described, execution, output)
    _conclude(" ".join(["ternary-vae", "experiment", quoted(target), *given]), execution)


def _describe_experiments() -> None:
    from ternary_vae.experiments.description import experiment_directory, experiment_names, load_experiment

    say(f"experiments in {experiment_directory()}:")
    for name in experiment_names():
        described, _ = load_experiment(name)
        say(f"  {name}: {described.description}")
    say("\nternary-vae experiment NAME runs one; --plan only says what it would do.")


def _print_plan(described: Experiment, arms: list[Arm], place: ExperimentDirectory, source: Path) -> None:
    from ternary_vae.experiments.arms import planned_runs
    from ternary_vae.experiments.execution import state_of
    from ternary_vae.formats import counted, listed

    runs = planned_runs(described, arms)
    missing = runs
    if place.experiment_file.exists() and place.has_runs():
        complete = state_of(described, place, source=source).complete
        missing = [run for run in runs if run.name not in complete]
    size = f"{counted(len(arms), 'arm')} × {counted(len(described.seeds), 'seed')} = {counted(len(runs), 'run')}"
    say(f"{described.name}: {size}, in {place.path}")
    for arm in arms:
        say(f"  {arm.name}: {counted(arm.recipe.epochs, 'epoch')}, compared after {listed(arm.milestones)}")
    say(f"{counted(sum(run.recipe.epochs for run in runs), 'epoch')} in all")
    if len(missing) < len(runs):
        say(f"{counted(len(runs) - len(missing), 'run')} complete, {len(missing)} to do or to go on with")


def _report(described: Experiment, execution: Execution, output: Path | None) -> None:
    from ternary_vae.experiments.report import write_experiment_report
    from ternary_vae.experiments.results import gather
    from ternary_vae.experiments.wording import headlines

    results = gather(described, execution)
    written = write_experiment_report(results, output)
    for line in headlines(results):
        say(f"  {line}")
    say("\n".join(["files:", *(f"  {path}" for path in written)]), always=True)
    page = next(path for path in written if path.suffix == ".html")
    say(f"open the page: {page.resolve().as_uri()}", always=True)


def _conclude(command: str, execution: Execution) -> None:
    """The exit code of what did not complete, after a line on how to go on."""
    from ternary_vae.formats import counted

    all_runs = counted(len(execution.runs), "run")
    kept = f"{len(execution.complete)} of {all_runs} complete and kept"
    if execution.broken:
        is_moved = not execution.directory.experiment_file.exists()
        first = "once it is where it was, or --directory names its new place, " if is_moved else ""
        raise UserError(f"{execution.broken}; {kept}; {first}the same command goes on")
    if execution.interrupted:
        say(f"stopped; {kept}; go on with: {command}", always=True)
        raise SystemExit(INTERRUPTED)
    if execution.failed:
        say(f"{len(execution.failed)} of {all_runs} failed; why is in {execution.directory.failures}", always=True)
        raise SystemExit(NOT_AS_REQUIRED)
