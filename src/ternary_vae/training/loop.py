"""The training loop: four phases from the first epoch to the last, and everything that happens between two
epochs."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import torch

from ternary_vae.errors import UserError
from ternary_vae.recipe import Recipe
from ternary_vae.resolution.measure import measure_coupled, measure_isolated
from ternary_vae.resolution.records import write_record
from ternary_vae.storage.checkpoints import Checkpoint, load_checkpoint, model_of, save_checkpoint
from ternary_vae.storage.runs import RunDirectory, environment
from ternary_vae.training.evaluation import evaluate
from ternary_vae.training.guards import watch
from ternary_vae.training.log import RunLog, finite
from ternary_vae.training.memory import keep_freed_memory
from ternary_vae.training.progress import Progress, Silent
from ternary_vae.training.trainer import Trainer

NOT_EVALUATED = (
    "exact_match_a", "exact_match_b", "exact_match_coupled_a", "exact_match_coupled_b", "exact_match_best_of_two",
    "exact_match_voting", "exact_match_confidence_weighted", "exact_match_majority", "share_a", "complementarity",
    "coverage", "coverage_draws", "coverage_limit", "coverage_a", "coverage_b", "coverage_single_limit",
    "covered_all_a", "covered_all_b",
)  # fmt: skip
"""Keys of a row that are null in an epoch without evaluation."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    directory: RunDirectory
    status: Literal["completed", "interrupted"]
    epochs_completed: int
    seconds: float


def train(
    recipe: Recipe,
    directory: RunDirectory | str | Path,
    *,
    device: str = "auto",
    start: Checkpoint | None = None,
    progress: Progress | None = None,
    benchmark_milestones: bool = True,
) -> Outcome:
    """Trains a recipe in a new run directory.

    Args:
        device: "auto", "cpu" or "cuda".
        start: a checkpoint to go on from, such as a v5.5 file; training continues at its next epoch.
        progress: who watches; nobody by default.

    Raises:
        UserError: the directory holds another run, no such device, the disk is full, or training diverged.
    """
    directory = directory if isinstance(directory, RunDirectory) else RunDirectory(directory)
    chosen = choose_device(device)
    if start is not None:
        model_of(start)  # refuse weights that do not fit before anything is written
        if start.epochs_completed >= recipe.epochs:
            raise UserError(
                f"{start.path}: {start.epochs_completed} epochs are done and the recipe has {recipe.epochs}; "
                "give more --epochs"
            )
    trainer = Trainer(recipe, chosen)
    directory.create(
        recipe,
        {
            "device": chosen,
            "environment": environment(chosen),
            "started_at": _now(),
            "started_from": str(start.path) if start else None,
            "status": "running",
        },
    )
    if start is not None:
        trainer.restore(start)
    save_checkpoint(directory.checkpoint(trainer.epochs_completed), trainer.checkpoint({"best": None}))
    save_checkpoint(directory.checkpoint("latest"), trainer.checkpoint({"best": None}))
    return _run(trainer, directory, None, progress or Silent(), benchmark_milestones, resumed=False)


def resume(
    directory: RunDirectory | str | Path,
    *,
    device: str = "auto",
    epochs: int | None = None,
    progress: Progress | None = None,
    benchmark_milestones: bool = True,
) -> Outcome:
    """Goes on with a run from its last epoch written, to the same bits as if it had never stopped.

    Args:
        epochs: a new end; the schedules stay as they were.

    Raises:
        UserError: no run there, a damaged checkpoint, or as `train`.
    """
    directory = directory if isinstance(directory, RunDirectory) else RunDirectory(directory)
    recipe = directory.recipe()
    if epochs is not None:
        recipe = recipe.model_copy(update={"epochs": epochs})
    chosen = choose_device(device)
    checkpoint = load_checkpoint(directory.checkpoint("latest"))
    if checkpoint.recipe.fingerprint() != recipe.fingerprint():
        raise UserError(f"{directory.recipe_file}: differs from the recipe in {checkpoint.path}; restore it to resume")
    trainer = Trainer(recipe, chosen)
    trainer.restore(checkpoint)
    if epochs is not None:
        directory.update({"epochs": epochs}, recipe)
    return _run(
        trainer,
        directory,
        checkpoint.state.get("best"),
        progress or Silent(),
        benchmark_milestones,
        resumed=True,
    )


def _run(
    trainer: Trainer,
    directory: RunDirectory,
    best: list[float] | None,
    progress: Progress,
    benchmark_milestones: bool,
    resumed: bool,
) -> Outcome:
    keep_freed_memory()
    recipe, started = trainer.recipe, time.monotonic()
    log = RunLog(directory, trainer.epochs_completed)
    directory.update({"status": "running"})
    progress.start(recipe, trainer.epochs_completed, str(directory.path))
    if resumed:
        progress.event(log.event(trainer.epochs_completed, "resumed", "resumed", "training goes on"))
    status: Literal["completed", "interrupted", "failed"] = "failed"
    try:
        with _interruptions() as interrupted:
            if benchmark_milestones:
                _benchmark_missing(trainer, directory, log, progress)
            while trainer.epochs_completed < recipe.epochs and not interrupted.is_set():
                row = _one_epoch(trainer, log, progress, directory)
                if row is None:
                    continue
                best = _keep(trainer, directory, row, best)
                progress.epoch(row)
                if benchmark_milestones and not interrupted.is_set():
                    _benchmark_missing(trainer, directory, log, progress)
        status = "completed" if trainer.epochs_completed >= recipe.epochs else "interrupted"
        seconds = time.monotonic() - started
        if status == "interrupted":
            message = f"stopped after {trainer.epochs_completed} epochs; all of them are saved"
            log.event(trainer.epochs_completed, "interrupted", "interrupted", message)
        return Outcome(directory, status, trainer.epochs_completed, seconds)
    finally:
        progress.stop()
        log.close()
        spent = directory.facts().get("seconds", 0.0) + time.monotonic() - started
        directory.update({"status": status, "finished_at": _now(), "seconds": spent})


def _one_epoch(trainer: Trainer, log: RunLog, progress: Progress, directory: RunDirectory) -> dict[str, Any] | None:
    """Trains, measures, watches and logs one epoch. None when the epoch was lost to a restoration."""
    recipe = trainer.recipe
    clock = time.monotonic()
    row = trainer.train_epoch()
    trained = time.monotonic()
    healthy = row["terms"]["loss"] is not None and math.isfinite(row["terms"]["loss"])
    due = row["epoch"] % recipe.evaluation.every == 0 or row["epoch"] == recipe.epochs
    if due and healthy:
        evaluation = evaluate(trainer.model, recipe, row["epoch"])
        trainer.specialisation.update(evaluation.advantage_a)
        row |= evaluation.row
    else:
        row |= dict.fromkeys(NOT_EVALUATED)
    row |= {"seconds_training": trained - clock, "seconds_evaluation": time.monotonic() - trained}
    events = watch(recipe, trainer.interventions, row, log.rows)
    for event in events:
        progress.event(log.event(**finite(event)))
    if not healthy:
        _restore(trainer, directory, [action for event in events for action in event["actions"]])
        return None
    row["guard_events"] = trainer.interventions.fired_count
    row = finite(row)
    log.epoch(row)
    return row


def _restore(trainer: Trainer, directory: RunDirectory, actions: list[str]) -> None:
    """After a loss that is not finite: back to the last epoch written, with what the guards have changed."""
    failed = trainer.epochs_completed
    if "restore" not in actions:
        raise UserError(
            f"training diverged in epoch {failed} (the loss is not finite); the run is saved up to epoch {failed - 1}: "
            f"start again with a lower learning rate, or measure {directory.checkpoint('best')}"
        )
    interventions = trainer.interventions
    trainer.restore(load_checkpoint(directory.checkpoint("latest")))
    trainer.interventions = interventions


def _keep(
    trainer: Trainer, directory: RunDirectory, row: dict[str, Any], best: list[float] | None
) -> list[float] | None:
    """Writes the checkpoints that this epoch calls for; `latest` last, since resuming starts there."""
    recipe, epoch = trainer.recipe, row["epoch"]
    score = checkpoint_score(row)
    is_best = score is not None and (best is None or score > best)
    best = score if is_best else best
    checkpoint = trainer.checkpoint({"best": best})
    if (
        epoch % recipe.evaluation.checkpoint_every == 0
        or epoch in recipe.evaluation.milestones
        or epoch == recipe.epochs
    ):
        save_checkpoint(directory.checkpoint(epoch), checkpoint)
    if is_best:
        save_checkpoint(directory.checkpoint("best"), checkpoint)
    save_checkpoint(directory.checkpoint("latest"), checkpoint)
    return best


def checkpoint_score(row: dict[str, Any]) -> list[float] | None:
    """What `best` is chosen by, compared in order: ensemble exact match, the lower of the two VAEs',
    decoded coverage."""
    if row["exact_match_best_of_two"] is None:
        return None
    return [row["exact_match_best_of_two"], min(row["exact_match_a"], row["exact_match_b"]), row["coverage"]]


def _benchmark_missing(trainer: Trainer, directory: RunDirectory, log: RunLog, progress: Progress) -> None:
    """Benchmarks every milestone that has a checkpoint and lacks a record."""
    for epoch in trainer.recipe.evaluation.milestones:
        path = directory.checkpoint(epoch)
        if epoch > trainer.epochs_completed or not path.exists():
            continue
        if directory.isolated_record(epoch).exists() and directory.coupled_record(epoch).exists():
            continue
        clock = time.monotonic()
        checkpoint = load_checkpoint(path)
        device = str(trainer.device)
        write_record(directory.isolated_record(epoch), measure_isolated(checkpoint, device=device))
        write_record(directory.coupled_record(epoch), measure_coupled(checkpoint, device=device))
        message = f"epoch {epoch} benchmarked in {time.monotonic() - clock:.1f} s"
        progress.event(log.event(trainer.epochs_completed, "milestone", f"epoch_{epoch}", message))


def choose_device(device: str) -> str:
    """ "cpu" or "cuda" for "auto", "cpu" or "cuda".

    Raises:
        UserError: unknown device, or no CUDA where it was asked for.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda"):
        raise UserError(f"--device {device!r}: expected auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: this machine or this build of torch has no CUDA; use --device cpu or auto")
    return device


@contextmanager
def _interruptions() -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM ask the loop to stop after the epoch under way; a second one stops at once. The
    last epoch is on disk in either case."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(number: int, frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
