"""One run as a worker does it: begun, or gone on with, and never an exception."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ternary_vae.errors import UserError
from ternary_vae.recipe import Recipe
from ternary_vae.storage.files import locked, write_text
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.training.progress import Silent

_PATIENCE, _PAUSE = 120.0, 0.2


@dataclass(frozen=True)
class Task:
    """A run to be done; plain data, so that it can travel.

    Attributes:
        directory: absolute path of the run directory; on a cluster, one that all nodes see.
        stop_file: the run stops after the epoch under way once this file is there.
        failure_file: where it is written why the run failed.
        threads: threads of torch; None leaves them alone.
        follow: process id of whoever started the worker; the run stops when that process is gone.
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
    follow: int | None = None


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
        UserError: a damaged run directory.
    """
    if not run.exists or run.facts().get("status") != "completed":
        return False
    wanted = {*recipe.evaluation.milestones, recipe.epochs} if benchmarks else set()
    records = [path(epoch) for epoch in wanted for path in (run.isolated_record, run.coupled_record)]
    page = [run.reports / "index.html"] if benchmarks and pages else []
    return all(path.exists() for path in [*records, *page])


def perform(task: Task) -> Ending:
    """Does a run, or what is missing of it, and says how it ended. What goes wrong is the run's own affair."""
    started = time.monotonic()
    failure_file = Path(task.failure_file)
    try:
        status = _performed(task)
        failure_file.unlink(missing_ok=True)
        return Ending(task.name, status, seconds=time.monotonic() - started)
    except KeyboardInterrupt:
        return Ending(task.name, "interrupted", seconds=time.monotonic() - started)
    except Exception as failure:
        told = str(failure) if isinstance(failure, UserError | OSError) else f"{type(failure).__name__}: {failure}"
        message = " ".join(told.split())
        try:
            write_text(failure_file, f"{message}\n\n{traceback.format_exc()}")
        except UserError as unwritable:
            message = f"{message} ({unwritable})"
        return Ending(task.name, "failed", message, time.monotonic() - started)


def perform_in_worker(task: Task) -> Ending:
    """`perform` in a process of its own. Ctrl-C in a terminal reaches every process; here it counts only while the
    training loop listens, which then stops after the epoch under way."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    ending = perform(task)
    if task.follow is not None and os.getppid() != task.follow:
        os._exit(1)  # nobody is left to be told
    return ending


def _performed(task: Task) -> Literal["completed", "interrupted"]:
    import torch

    from ternary_vae.reports import write_reports
    from ternary_vae.training import loop

    if task.threads is not None:
        torch.set_num_threads(task.threads)
    stopping = _Stopping(task)
    if stopping.asked():
        return "interrupted"
    run, recipe = RunDirectory(task.directory), task.recipe
    how: dict[str, Any] = {"device": task.device, "progress": stopping, "benchmark_milestones": task.benchmarks}
    _wait_for_others(run)
    if not run.exists:
        _clear_unborn(run)
        outcome = loop.train(recipe, run, **how)
    else:
        _require_same(run, recipe)
        outcome = loop.resume(run, **how)
    if outcome.status == "completed" and task.pages and task.benchmarks:
        write_reports(run)
    return outcome.status


def _wait_for_others(run: RunDirectory) -> None:
    """Gives a worker that has lost its experiment the time to end its epoch or benchmark."""
    until = time.monotonic() + _PATIENCE
    while run.lock_file.exists() and time.monotonic() < until:
        with locked(run.lock_file, wait=False) as alone:
            if alone:
                return
        time.sleep(_PAUSE)


def _require_same(run: RunDirectory, recipe: Recipe) -> None:
    found = run.recipe()
    if (found.fingerprint(), found.seed, found.epochs) != (recipe.fingerprint(), recipe.seed, recipe.epochs):
        raise UserError(f"{run.path}: holds a run of another recipe, seed or length; move it away")


def _clear_unborn(run: RunDirectory) -> None:
    """Takes away what a process left that was killed before its run was described."""
    if all(path.is_file() and (path == run.recipe_file or path.suffix == ".tmp") for path in run.entries()):
        run.clear()


class _Stopping(Silent):
    """Watches a run and stops it after an epoch when the experiment is to stop or has lost its head. What stops it is
    raised here, since a cluster's workers need not pass signals on; the epoch is saved by then."""

    def __init__(self, task: Task) -> None:
        self.stop_file, self.follow = Path(task.stop_file), task.follow

    def asked(self) -> bool:
        return self.stop_file.exists() or (self.follow is not None and os.getppid() != self.follow)

    def epoch(self, row: dict[str, Any]) -> None:
        if self.asked():
            raise KeyboardInterrupt
