"""The training loop: a run from its first epoch to its last, begun or gone on with, and its milestones' benchmarks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import torch

from ternary_vae.errors import UserError
from ternary_vae.recipe import Recipe
from ternary_vae.resolution.measure import measure_coupled, measure_isolated
from ternary_vae.resolution.records import write_record
from ternary_vae.storage.checkpoints import Checkpoint, load_checkpoint, model_of, save_checkpoint
from ternary_vae.storage.runs import RunDirectory, environment
from ternary_vae.storage.tensor_cache import TensorCache, cache_directory
from ternary_vae.training.interruption import Interruption, interruptions
from ternary_vae.training.log import RunLog
from ternary_vae.training.memory import keep_freed_memory, release_memory
from ternary_vae.training.pipeline import Findings, Pipeline
from ternary_vae.training.precision import matrix_products
from ternary_vae.training.progress import Progress, Silent
from ternary_vae.training.trainer import Trainer


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
        UserError: the directory holds another run or another process trains in it, no such device, the disk is full,
            or training diverged.
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
    if start is not None:
        trainer.restore(start)
    pending = Findings.pending_in(start, trainer.device) if start is not None else None
    with directory.held():
        with _whole_or_absent(directory):
            directory.create(
                recipe,
                {
                    "device": chosen,
                    "environment": environment(chosen),
                    "started_at": _now(),
                    "started_from": str(start.path.resolve()) if start and start.path else None,
                    "status": "running",
                },
            )
            _save_start(trainer, directory, pending)
        return _run(trainer, directory, None, pending, progress or Silent(), benchmark_milestones)


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
        device: "auto" is the run's own where there is one, else as in `train`. On another device the run goes on, but
            not to the same bits.
        epochs: a new end; the schedules stay as they were.

    Raises:
        UserError: no run there, a damaged checkpoint, an end that has passed, or as `train`.
    """
    directory = directory if isinstance(directory, RunDirectory) else RunDirectory(directory)
    recipe = directory.recipe()
    if epochs is not None:
        recipe = recipe.model_copy(update={"epochs": epochs})
    before = directory.facts().get("device")
    chosen = choose_device("cpu" if device == "auto" and before == "cpu" else device)
    trainer = Trainer(recipe, chosen)
    with directory.held():
        best, pending = _restore_last(trainer, directory)
        if epochs is not None:
            if epochs < trainer.epochs_completed:
                raise UserError(f"--epochs {epochs}: {trainer.epochs_completed} epochs are done; give more")
            directory.update({"epochs": epochs}, recipe)
        for leftover in directory.path.rglob(".*.tmp"):  # what a killed process was writing
            leftover.unlink(missing_ok=True)
        how = "training goes on" if chosen == before else f"training goes on, on {chosen} instead of {before}"
        directory.update({"device": chosen, "environment": environment(chosen)})
        return _run(trainer, directory, best, pending, progress or Silent(), benchmark_milestones, resumed=how)


def _restore_last(trainer: Trainer, directory: RunDirectory) -> tuple[list[float] | None, Findings | None]:
    """Puts the trainer where the run was last written, and returns the score of its best checkpoint and what the last
    epoch's measurement is yet to change."""
    latest = directory.checkpoint("latest")
    if not latest.exists() and not directory.metrics():
        # Killed between its description and its first checkpoint: the run begins.
        started_from = directory.facts().get("started_from")
        pending = None
        if started_from:
            start = load_checkpoint(started_from)
            trainer.restore(start)
            pending = Findings.pending_in(start, trainer.device)
        _save_start(trainer, directory, pending)
        return None, pending
    checkpoint = load_checkpoint(latest)
    before, now = checkpoint.recipe, trainer.recipe
    if (before.fingerprint(), before.seed) != (now.fingerprint(), now.seed):
        raise UserError(f"{directory.recipe_file}: differs from the recipe in {checkpoint.path}; restore it to resume")
    trainer.restore(checkpoint)
    return checkpoint.state.get("best"), Findings.pending_in(checkpoint, trainer.device)


def _save_start(trainer: Trainer, directory: RunDirectory, pending: Findings | None) -> None:
    checkpoint = trainer.checkpoint({"best": None})
    if pending is not None:
        checkpoint = pending.added_to(checkpoint)
    numbered = directory.checkpoint(trainer.epochs_completed)
    save_checkpoint(directory.checkpoint("latest"), checkpoint, also=[numbered])


@contextmanager
def _whole_or_absent(directory: RunDirectory) -> Iterator[None]:
    """Empties a new run directory again when its first files cannot be written."""
    empty = not directory.entries()
    try:
        yield
    except BaseException:
        if empty:
            directory.clear()
        raise


def _run(
    trainer: Trainer,
    directory: RunDirectory,
    best: list[float] | None,
    pending: Findings | None,
    progress: Progress,
    benchmark_milestones: bool,
    resumed: str = "",
) -> Outcome:
    keep_freed_memory()
    recipe, started = trainer.recipe, time.monotonic()
    log = RunLog(directory, trainer.epochs_completed)
    cache = _cache(recipe, log, progress) if recipe.cache.enabled else None
    directory.update({"status": "running"})
    progress.start(recipe, trainer.epochs_completed, str(directory.path))
    status: Literal["completed", "interrupted", "failed"] = "failed"
    try:
        if resumed and trainer.epochs_completed < recipe.epochs:
            progress.event(log.event(trainer.epochs_completed, "resumed", "resumed", resumed))
        with (
            interruptions() as interruption,
            matrix_products(recipe.optimizer.matrix_products),
            Pipeline(trainer, directory, log, progress, cache, best, pending) as pipeline,
        ):
            if benchmark_milestones:
                _benchmark_missing(trainer, directory, log, progress, interruption, cache)
            while trainer.epochs_completed < recipe.epochs and not interruption.asked:
                pipeline.train_epoch()
                if benchmark_milestones and _is_milestone(recipe, trainer.epochs_completed):
                    pipeline.drain()
                    _benchmark_missing(trainer, directory, log, progress, interruption, cache)
            pipeline.drain()
        status = "completed" if trainer.epochs_completed >= recipe.epochs else "interrupted"
        seconds = time.monotonic() - started
        if status == "interrupted":
            message = f"stopped after {trainer.epochs_completed} epochs; all of them are saved"
            log.event(trainer.epochs_completed, "interrupted", "interrupted", message)
        return Outcome(directory, status, trainer.epochs_completed, seconds)
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    finally:
        try:
            progress.stop()
            spent = directory.facts().get("seconds", 0.0) + time.monotonic() - started
            directory.update({"status": status, "finished_at": _now(), "seconds": spent})
            log.close()
        finally:
            release_memory()


def _cache(recipe: Recipe, log: RunLog, progress: Progress) -> TensorCache:
    """The run's tensor cache. What is wrong with it becomes a warning of the run, which goes on without it."""

    def warn(message: str) -> None:
        progress.event(log.event(log.epochs_completed, "warning", "tensor cache", message))

    settings = recipe.cache
    directory = cache_directory(configured=settings.directory)
    return TensorCache(directory, limit_megabytes=settings.limit_megabytes, report=warn)


def _benchmark_missing(
    trainer: Trainer,
    directory: RunDirectory,
    log: RunLog,
    progress: Progress,
    interruption: Interruption,
    cache: TensorCache | None,
) -> None:
    """Benchmarks every milestone, and the run's end, that has a checkpoint and lacks a record, unless asked to stop."""
    for epoch in range(trainer.epochs_completed + 1):
        path = directory.checkpoint(epoch)
        if not _is_milestone(trainer.recipe, epoch) or not path.exists():
            continue
        if interruption.asked:
            return
        if directory.isolated_record(epoch).exists() and directory.coupled_record(epoch).exists():
            continue
        clock = time.monotonic()
        checkpoint = load_checkpoint(path)
        device = str(trainer.device)
        with matrix_products("highest"):
            write_record(directory.isolated_record(epoch), measure_isolated(checkpoint, device=device, cache=cache))
            write_record(directory.coupled_record(epoch), measure_coupled(checkpoint, device=device, cache=cache))
        message = f"epoch {epoch} benchmarked in {time.monotonic() - clock:.1f} s"
        progress.event(log.event(trainer.epochs_completed, "milestone", f"epoch_{epoch}", message))


def _is_milestone(recipe: Recipe, epoch: int) -> bool:
    return epoch in recipe.evaluation.milestones or epoch == recipe.epochs


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


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
