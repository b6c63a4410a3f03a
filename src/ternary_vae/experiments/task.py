"""Runs as a worker does them, alone or several at once: started or resumed, and never an exception."""

from __future__ import annotations

import multiprocessing.connection
import os
import platform
import signal
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ternary_vae.errors import UserError
from ternary_vae.recipe import Recipe
from ternary_vae.storage.files import write_text
from ternary_vae.storage.lease import is_locked
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.training.progress import Silent

Result = Literal["completed", "interrupted", "failed"] | Exception
_PATIENCE, _PAUSE = 30.0, 0.2


@dataclass(frozen=True)
class Task:
    """A run to be done; plain data, so that it can travel.

    Attributes:
        directory: absolute path of the run directory; on a cluster, one that all nodes see.
        stop_file: in the experiment's directory; the run stops after the epoch under way once this file is there.
        failure_file: where it is written why the run failed.
        threads: threads of torch; None leaves them alone.
    """

    name: str
    recipe: Recipe
    directory: str
    stop_file: str
    failure_file: str
    device: str = "auto"
    benchmarks: bool = True
    pages: bool = True
    threads: int | None = None

    @property
    def own_device(self) -> str:
        """Where the run will be trained: one that was started elsewhere than where "auto" puts a new one stays there
        unless told otherwise."""
        if self.device != "auto":
            return self.device
        run = RunDirectory(self.directory)
        with suppress(UserError):  # which the run's own start says again
            before = run.facts().get("device") if run.exists else None
            if isinstance(before, str) and before != "cuda":
                return before
        return self.device


@dataclass(frozen=True)
class Ending:
    """How a run ended. `message` is one line, for a run that failed."""

    name: str
    status: Literal["completed", "interrupted", "failed"]
    message: str = ""
    seconds: float = 0.0


def is_complete(run: RunDirectory, recipe: Recipe, benchmarks: bool, pages: bool) -> bool:
    """Whether nothing of a run is missing: its epochs, its benchmark records and its page where they are wanted.

    Raises:
        UserError: a damaged run directory, or one that holds a run of another recipe, seed or length.
    """
    if not run.exists:
        return False
    run.require_run_of(recipe)
    if run.facts().get("status") != "completed":
        return False
    return not benchmarks or (not run.benchmarks_missing(recipe) and (run.page.exists() or not pages))


def perform_together(tasks: Sequence[Task]) -> list[Ending]:
    """Does runs, or what is missing of them, at once (`training.loop.train_together`) and says how each
    ended. They have one device, and one wish for benchmarks. What goes wrong with one of them is its own affair."""
    started = time.monotonic()
    try:
        results = _trained(tasks)
    except KeyboardInterrupt:
        results = ["interrupted"] * len(tasks)
    except Exception as failure:
        results = [failure] * len(tasks)
    results = [_with_page(task, result) for task, result in zip(tasks, results)]
    seconds = (time.monotonic() - started) / len(tasks)
    return [_ending(task, result, seconds) for task, result in zip(tasks, results)]


def prepare_worker(parent: int) -> None:
    """Readies a process of this machine for runs: it ends at once when its experiment's process has, whatever it is
    doing or waiting for. All that a run has written is whole, and its lease ends with the process."""
    _leave_signals_to_the_experiment()

    def follow() -> None:
        _wait_for_the_end_of(parent)
        os._exit(1)

    threading.Thread(target=follow, name="follow", daemon=True).start()


def perform_together_in_worker(tasks: Sequence[Task]) -> list[Ending]:
    """`perform_together` in a process of its own."""
    _leave_signals_to_the_experiment()
    return perform_together(tasks)


def _leave_signals_to_the_experiment() -> None:
    """Ctrl-C in a terminal, and its end, reach every process. The experiment's hears them and tells its runs to stop
    after the epoch under way."""
    if threading.current_thread() is threading.main_thread():
        for number in {signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGINT)}:
            signal.signal(number, signal.SIG_IGN)


def _wait_for_the_end_of(parent: int) -> None:
    """Returns once the process that started this one is gone."""
    if os.name == "nt":  # where an orphan keeps the number of its parent
        import _winapi

        with suppress(OSError):  # gone already
            multiprocessing.connection.wait([_winapi.OpenProcess(_winapi.SYNCHRONIZE, False, parent)])
        return
    while os.getppid() == parent:
        time.sleep(_PAUSE)


def _trained(tasks: Sequence[Task]) -> list[Result]:
    import torch

    from ternary_vae.training import loop

    first = tasks[0]
    if first.threads is not None:
        torch.set_num_threads(first.threads)
    watchers = [_StopFileWatcher(task) for task in tasks]
    runs = [RunDirectory(task.directory) for task in tasks]
    for run in runs:
        _wait_for_lock(run, watchers[0])
    if watchers[0].stop_requested() or _is_moved(first):
        return ["interrupted"] * len(tasks)
    for run in runs:
        with suppress(UserError):  # which the run's own start says again
            _clear_undescribed(run)
    outcomes = loop.train_together(
        [task.recipe for task in tasks], runs,
        device=first.device, progress=watchers, benchmark_milestones=first.benchmarks,
    )  # fmt: skip
    return [outcome.failure or outcome.status for outcome in outcomes]


def _with_page(task: Task, result: Result) -> Result:
    """The result after the run's page is written where it is wanted."""
    if result != "completed" or not task.pages or not task.benchmarks:
        return result
    from ternary_vae.reports import write_reports

    try:
        write_reports(RunDirectory(task.directory))
    except KeyboardInterrupt:
        return "interrupted"
    except Exception as failure:
        return failure
    return result


def _ending(task: Task, result: Result, seconds: float) -> Ending:
    """How a run ended; why it failed is written down. Where its experiment is not, nothing is: it was moved away, or a
    node of a cluster does not see it."""
    if _is_moved(task):
        place = os.path.dirname(task.stop_file)
        return Ending(task.name, "failed", f"{place}: is not there on {platform.node()}", seconds)
    failure_file = Path(task.failure_file)
    if not isinstance(result, Exception):
        if result == "completed":
            failure_file.unlink(missing_ok=True)
        return Ending(task.name, result, seconds=seconds)
    text = str(result) if isinstance(result, UserError | OSError) else f"{type(result).__name__}: {result}"
    message = " ".join(text.split())
    try:
        write_text(failure_file, f"{message}\n\n{''.join(traceback.format_exception(result))}")
    except UserError as unwritable:
        message = f"{message} ({unwritable})"
    return Ending(task.name, "failed", message, seconds)


def _is_moved(task: Task) -> bool:
    return not os.path.exists(os.path.dirname(task.stop_file))


def _wait_for_lock(run: RunDirectory, watcher: _StopFileWatcher) -> None:
    """Gives a worker that has lost its experiment the time to end."""
    until = time.monotonic() + _PATIENCE
    while is_locked(run.lock_file) and time.monotonic() < until and not watcher.stop_requested():
        time.sleep(_PAUSE)


def _clear_undescribed(run: RunDirectory) -> None:
    """Takes away what a process left that was killed before its run was described."""
    if not run.exists and all(
        path.is_file() and (path == run.recipe_file or path.suffix == ".tmp") for path in run.entries()
    ):
        run.clear()


class _StopFileWatcher(Silent):
    """Watches a run and stops it after an epoch when the experiment is to stop. What stops it is raised here, since a
    cluster's workers need not pass signals on; the epoch is saved by then."""

    def __init__(self, task: Task) -> None:
        self.stop_file = Path(task.stop_file)

    def stop_requested(self) -> bool:
        return self.stop_file.exists()

    def epoch(self, row: dict[str, Any]) -> None:
        if self.stop_requested():
            raise KeyboardInterrupt
