"""Doing what is missing of an experiment: nothing that is complete is done again, what was interrupted is resumed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from ternary_vae.errors import UserError
from ternary_vae.experiments.arms import Arm, PlannedRun, arms_of, planned_runs
from ternary_vae.experiments.backends import Backend, InProcess
from ternary_vae.experiments.description import Experiment
from ternary_vae.experiments.directory import ExperimentDirectory
from ternary_vae.experiments.monitoring import MonitoredRun, Overview
from ternary_vae.experiments.task import Ending, Task, is_complete
from ternary_vae.formats import counted
from ternary_vae.reading import file_bytes
from ternary_vae.storage.files import reported, require_utf_8, write_text
from ternary_vae.storage.lease import Lease
from ternary_vae.training.interruption import interruptions
from ternary_vae.training.progress import print_line


@dataclass
class Execution:
    """What has become of an experiment's runs.

    Attributes:
        runs: every run of it, done or not.
        source: the file that the experiment was read from.
        failed: why, by name of the run.
        broken: why the place where runs are done is gone; empty otherwise.
        taken: whether the directory is another process's by now, or gone.
    """

    directory: ExperimentDirectory
    arms: list[Arm]
    runs: list[PlannedRun]
    source: Path
    complete: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False
    broken: str = ""
    taken: bool = False


def run_experiment(
    experiment: Experiment,
    directory: ExperimentDirectory | str | Path,
    *,
    source: Path | str = "experiment",
    backend: Backend | None = None,
    device: str = "auto",
    console: Console | None = None,
) -> Execution:
    """Does every run that is not complete, in the experiment's directory.

    Args:
        source: the file that the experiment was read from.
        backend: where; this process by default.
        console: where progress is shown; nowhere by default.

    Raises:
        UserError: an unknown recipe or setting, a description that has changed since runs began, another process at
            work in the directory. Runs that fail, and a cluster that dies, are in the result instead.
    """
    directory = directory if isinstance(directory, ExperimentDirectory) else ExperimentDirectory(directory)
    backend = backend or InProcess()
    console = console or Console(quiet=True)
    arms = arms_of(experiment, source)
    runs = planned_runs(experiment, arms)
    require_utf_8(directory.path.resolve(), "TensorBoard")
    with directory.held() as lease:
        directory.freeze(experiment, arms, Path(source))
        directory.stop_file.unlink(missing_ok=True)
        execution = _state(experiment, directory, arms, runs, Path(source))
        benchmarks = experiment.benchmarks != "none"
        monitored = [
            MonitoredRun(
                run.name,
                directory.run(run),
                run.recipe.epochs,
                status="complete" if run.name in execution.complete else "waiting",
                benchmarks=directory.run(run).benchmarks_missing(run.recipe) if benchmarks else (),
                unusual=run.recipe.optimizer.first_batches.epochs,
            )
            for run in runs
        ]
        tasks = [
            Task(
                name=run.name,
                recipe=run.recipe,
                directory=str(directory.run(run).path.resolve()),
                stop_file=str(directory.stop_file.resolve()),
                failure_file=str(directory.failure_file(run).resolve()),
                device=device,
                benchmarks=benchmarks,
                pages=experiment.pages,
            )
            for run in runs
            if run.name not in execution.complete
        ]
        if tasks:
            _do(tasks, execution, backend, monitored, console, experiment.name, lease)
    return execution


def state_of(
    experiment: Experiment, directory: ExperimentDirectory | str | Path, *, source: Path | str = "experiment"
) -> Execution:
    """What there is of an experiment, without doing anything.

    Raises:
        UserError: as `run_experiment`, or nothing has been run.
    """
    directory = directory if isinstance(directory, ExperimentDirectory) else ExperimentDirectory(directory)
    arms = arms_of(experiment, source)
    directory.require_same(experiment, arms, Path(source))
    return _state(experiment, directory, arms, planned_runs(experiment, arms), Path(source))


def _state(
    experiment: Experiment, directory: ExperimentDirectory, arms: list[Arm], runs: list[PlannedRun], source: Path
) -> Execution:
    execution = Execution(directory, arms, runs, source)
    for run in runs:
        if is_complete(directory.run(run), run.recipe, experiment.benchmarks != "none", experiment.pages):
            execution.complete.add(run.name)
        elif directory.failure_file(run).exists():
            with reported("read", directory.failure_file(run)):
                text = file_bytes(directory.failure_file(run)).decode(errors="replace")
            execution.failed[run.name] = text.partition("\n")[0]
    return execution


def _do(
    tasks: Sequence[Task], execution: Execution, backend: Backend, monitored: list[MonitoredRun], console: Console,
    title: str, lease: Lease,
) -> None:  # fmt: skip
    """Runs tasks and keeps account. What failed before is tried again. The first signal that asks to stop
    (`training.interruption`) asks all runs to stop after the epoch under way."""
    stop_file = execution.directory.stop_file
    execution.failed.clear()
    for task in tasks:  # of an earlier try
        Path(task.failure_file).unlink(missing_ok=True)
    done = len(execution.complete)
    to_do = f"{len(tasks)} to do in {backend.description}"
    print_line(console, f"{title}: {counted(len(monitored), 'run')}, {done} complete, {to_do}")
    with interruptions() as interruption:

        def pass_on() -> None:
            if interruption.asked and not stop_file.exists():
                with suppress(OSError):  # a second signal stops all the same
                    stop_file.touch()

        try:
            with Overview(console, title, monitored, pass_on) as overview:
                for ending in backend.endings(tasks, execution.directory.log_file):
                    try:
                        lease.require()
                    except UserError:
                        execution.taken = True
                        raise
                    _account(ending, execution)
                    overview.ended(ending)
        except UserError as failure:
            execution.broken = str(failure)
        except KeyboardInterrupt:  # a second one
            execution.interrupted = True
        finally:
            execution.interrupted |= interruption.asked
            stop_file.unlink(missing_ok=True)


def _account(ending: Ending, execution: Execution) -> None:
    if ending.status == "completed":
        execution.complete.add(ending.name)
    elif ending.status == "failed":
        execution.failed[ending.name] = ending.message
        file = execution.directory.failures / f"{ending.name}.txt"
        if not file.exists():  # its worker is gone, or was never there
            with suppress(UserError):
                write_text(file, f"{ending.message}\n")
    else:
        execution.interrupted = True
