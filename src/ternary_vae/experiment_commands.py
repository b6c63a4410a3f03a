"""What `ternary-vae experiment` does. Imported when it runs."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from ternary_vae.devices import choose_device
from ternary_vae.errors import UserError
from ternary_vae.experiments.arms import Arm, arms_of, planned_runs
from ternary_vae.experiments.backends import backend_named, require_options
from ternary_vae.experiments.description import Experiment, experiment_directory, experiment_names, load_experiment
from ternary_vae.experiments.directory import ExperimentDirectory
from ternary_vae.experiments.execution import Execution, run_experiment, state_of
from ternary_vae.formats import listed
from ternary_vae.options import INTERRUPTED
from ternary_vae.output import goes_on, say
from ternary_vae.terminal import quoted

FAILED = 1


def overview() -> None:
    """Lists the experiments that come with the package."""
    print(f"experiments in {experiment_directory()}:")
    for name in experiment_names():
        described, _ = load_experiment(name)
        print(f"  {name}: {described.description}")
    print("\nternary-vae experiment NAME runs one; --plan only says what it would do.")


def experiment(
    target: str, directory: Path | None, *, backend: str, workers: int | None, address: str | None,
    together: int | None, device: str, plan: bool, report: bool, output: Path | None,
) -> None:  # fmt: skip
    """Runs an experiment and reports on it.

    Raises:
        UserError: bad input, see `run_experiment`.
    """
    from ternary_vae.experiments.results import primary_measures

    require_options(backend, workers, address, together)
    described, source = load_experiment(target)
    place = ExperimentDirectory(directory or Path("experiments") / described.name)
    arms = arms_of(described, source)
    primary_measures(described, arms, source)
    if plan:
        _plan(described, arms, place, source)
        return
    if output is not None:
        from ternary_vae.experiments.report import require_place_for_report

        require_place_for_report(output, described)
    if report:
        execution = state_of(described, place, source=source)
    else:
        # A cluster's nodes may have what this machine lacks.
        accelerated = backend != "ray" and choose_device(device) != "cpu"
        where = backend_named(backend, workers=workers, address=address, together=together, accelerated=accelerated)
        goes_on(f"the experiment in {place.path}")
        execution = run_experiment(described, place, source=source, backend=where, device=device, console=Console())
    _report(described, execution, output)
    options = {
        "--directory": directory, "--backend": backend if backend != "joblib" else None, "--workers": workers,
        "--address": address, "--together": together,
        "--device": device if device != "auto" else None, "--output": output,
    }  # fmt: skip
    given = [word for name, value in options.items() if value is not None for word in (name, quoted(value))]
    _finish(" ".join(["ternary-vae", "experiment", quoted(target), *given]), execution)


def _plan(described: Experiment, arms: list[Arm], place: ExperimentDirectory, source: Path) -> None:
    runs = planned_runs(described, arms)
    missing = runs
    if place.experiment_file.exists() and place.has_begun():
        complete = state_of(described, place, source=source).complete
        missing = [run for run in runs if run.name not in complete]
    print(f"{described.name}: {len(arms)} arms × {len(described.seeds)} seeds = {len(runs)} runs, in {place.path}")
    for arm in arms:
        print(f"  {arm.name}: {arm.recipe.epochs} epochs, compared after {listed(arm.milestones)}")
    print(f"{sum(run.recipe.epochs for run in runs):,} epochs in all")
    if len(missing) < len(runs):
        print(f"{len(runs) - len(missing)} runs are complete, {len(missing)} to do or to go on with")


def _report(described: Experiment, execution: Execution, output: Path | None) -> None:
    from ternary_vae.experiments.report import write_experiment_report
    from ternary_vae.experiments.results import gather
    from ternary_vae.experiments.wording import headlines

    results = gather(described, execution)
    written = write_experiment_report(results, output)
    for line in headlines(results):
        print(f"  {line}")
    say("\n".join(["files:", *(f"  {path}" for path in written)]))
    page = next(path for path in written if path.suffix == ".html")
    say(f"open the page: {page.resolve().as_uri()}")


def _finish(command: str, execution: Execution) -> None:
    done, all_runs = len(execution.complete), len(execution.runs)
    kept = f"{done} of {all_runs} runs are complete and kept"
    if execution.broken:
        raise UserError(f"{execution.broken}; {kept}, the same command goes on")
    if execution.interrupted:
        say(f"stopped; {kept}; go on with: {command}")
        raise SystemExit(INTERRUPTED)
    if execution.failed:
        say(f"{len(execution.failed)} of {all_runs} runs failed; why is in {execution.directory.failures}")
        raise SystemExit(FAILED)
