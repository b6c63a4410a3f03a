"""The training loop: runs from their first epoch to their last, new or resumed, alone or several together.

What happens in an epoch is in `epoch`, from its plan to its checkpoint; what happens between epochs is in `run`; how
fast it happens is up to `acceleration`, whose `Fleet` is called here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from ternary_vae.acceleration.allocator import keep_freed_memory, stop_keeping_freed_memory
from ternary_vae.acceleration.fleet import Fleet
from ternary_vae.acceleration.memory import memory_of_the_device, release_memory
from ternary_vae.acceleration.parallel import InTurn
from ternary_vae.devices import choose_device, device_to_go_on_with
from ternary_vae.errors import UserError
from ternary_vae.formats import counted
from ternary_vae.recipe import Recipe
from ternary_vae.storage.checkpoints import Checkpoint, load_checkpoint, model_of, require_readable, save_checkpoint
from ternary_vae.storage.files import require_utf_8, write_bytes
from ternary_vae.storage.runs import RunDirectory, environment
from ternary_vae.training.epoch import PendingUpdate, Trainer
from ternary_vae.training.interruption import interruptions
from ternary_vae.training.precision import matrix_products, pytorch_defaults
from ternary_vae.training.progress import Progress, Silent, watcher
from ternary_vae.training.run import Outcome, Run, Start, now

_FINISHERS_BESIDE_AN_ACCELERATOR = 3


@memory_of_the_device()
@pytorch_defaults()
def train(
    recipe: Recipe,
    directory: RunDirectory | str | Path,
    *,
    device: torch.device | str = "auto",
    start: Checkpoint | None = None,
    progress: Progress | bool | None = None,
    benchmark_milestones: bool = True,
) -> Outcome:
    """Trains a recipe in a new run directory.

    Args:
        device: "auto", "cpu", "cuda" or "cuda:N", or such a device of PyTorch's.
        start: a checkpoint to go on from, such as a v5.5 file; training continues at its next epoch.
        progress: who watches; nobody by default. True shows a live panel in a terminal and lines elsewhere, as in a
            notebook.

    Raises:
        UserError: the directory holds another run or another process trains in it, no such device, the disk is full,
            the GPU's memory is, or training diverged.
    """
    with _new_run(recipe, _directory(directory), choose_device(device), start) as new:
        return _alone(new, progress, benchmark_milestones)


@memory_of_the_device()
@pytorch_defaults()
def resume(
    directory: RunDirectory | str | Path,
    *,
    device: torch.device | str = "auto",
    epochs: int | None = None,
    progress: Progress | bool | None = None,
    benchmark_milestones: bool = True,
) -> Outcome:
    """Goes on with a run from its last epoch written, to the same bits as if it had never stopped.

    Args:
        device: "auto" is the run's own where there is one, else as in `train`. On another device the run goes on, but
            not to the same bits.
        epochs: a new end; the schedules stay as they were. The old end was measured, and what is measured moves the
            balance of the VAEs: where `evaluation.every` would not have measured it, later bits are others.

    Raises:
        UserError: no run there, a damaged checkpoint, an end that has passed, or as `train`.
    """
    with _resumed_run(_directory(directory), device, epochs) as resumed:
        return _alone(resumed, progress, benchmark_milestones)


@memory_of_the_device()
@pytorch_defaults()
def train_together(
    recipes: Sequence[Recipe],
    directories: Sequence[RunDirectory | str | Path],
    *,
    device: torch.device | str = "auto",
    progress: Sequence[Progress] | None = None,
    benchmark_milestones: bool = True,
) -> list[Outcome]:
    """Trains several runs at once, those of one shape as one batched program where that pays, each in a directory
    of its own. A directory that already holds a run of the recipe is gone on with; both this function
    and `resume` go on with what either began. Results agree with those of `train` up to the rounding of sums.

    Args:
        recipes, directories, progress: one each a run.
        device: as in `train`.

    Returns:
        how each run ended. One that fails does not disturb the others: its outcome says why.

    Raises:
        UserError: no such device, a GPU without memory for all of them, or recipes that differ in the precision of
            matrix products, of which a process has one.
        ValueError: not as many directories, or watchers, as recipes.
    """
    watchers = [Silent() for _ in recipes] if progress is None else list(progress)
    if not len(recipes) == len(directories) == len(watchers):
        raise ValueError(f"{len(recipes)} recipes, {len(directories)} directories, {len(watchers)} watchers")
    chosen = choose_device(device)
    precisions = {recipe.optimizer.matrix_products for recipe in recipes}
    if len(precisions) > 1:
        raise UserError(f"runs at once: one precision of matrix products, not {' and '.join(sorted(precisions))}")
    outcomes: dict[int, Outcome] = {}
    starts: dict[int, Start] = {}
    with ExitStack() as held:
        for place, (recipe, directory) in enumerate(zip(recipes, map(_directory, directories))):
            try:
                if directory.exists:
                    directory.require_run_of(recipe)
                    starts[place] = held.enter_context(_resumed_run(directory, device))
                else:
                    starts[place] = held.enter_context(_new_run(recipe, directory, chosen))
            except UserError as failure:
                outcomes[place] = Outcome(directory, "failed", 0, 0.0, failure)
        if starts:
            own_watchers = [watchers[place] for place in starts]
            outcomes |= zip(starts, _train_all(list(starts.values()), own_watchers, benchmark_milestones))
    return [outcomes[place] for place in range(len(recipes))]


# -------------------------------------------------------------------- from the first epoch to the last


def _alone(start: Start, progress: Progress | bool | None, benchmark_milestones: bool) -> Outcome:
    (outcome,) = _train_all([start], [watcher(progress)], benchmark_milestones)
    if outcome.failure is not None:
        raise outcome.failure
    return outcome


def _train_all(starts: Sequence[Start], watchers: Sequence[Progress], benchmark_milestones: bool) -> list[Outcome]:
    """Trains runs to their ends, or until somebody asks to stop. While an epoch of theirs is trained here, the one
    before is finished in other threads. All have the same precision of matrix products."""
    keep_freed_memory()
    precision = starts[0].trainer.recipe.optimizer.matrix_products
    try:
        with (
            interruptions() as interruption,
            finishers(len(starts), starts[0].trainer.device) as worker,
            matrix_products(precision),
            ExitStack() as open_runs,
        ):
            runs = [
                open_runs.enter_context(Run(start, watcher, benchmark_milestones, interruption, worker, len(starts)))
                for start, watcher in zip(starts, watchers)
            ]
            for run in runs:
                _do(run, run.open)
            fleet = Fleet([run.trainer for run in runs])
            while not interruption.asked and (places := [place for place, run in enumerate(runs) if run.goes_on]):
                clock = time.monotonic()
                rows = fleet.train_epoch(places)
                seconds = (time.monotonic() - clock) / len(places)
                for place, row in zip(places, rows):
                    _do(runs[place], runs[place].take, row | {"seconds_training": seconds})
                if benchmark_milestones and any(runs[place].is_at_milestone for place in places):
                    for run in runs:
                        _do(run, run.settle)  # all of them: benchmarks change the precision of matrix products
                    for place in places:
                        _do(runs[place], runs[place].benchmark_milestones)
                for run in (run for run in runs if not run.goes_on):
                    _do(run, run.end)
            for run in runs:
                _do(run, run.end)
        return [run.outcome() for run in runs]
    finally:
        stop_keeping_freed_memory()
        release_memory()


def _do(run: Run, what: Callable[..., None], *given: Any) -> None:
    """Does something for a run that has not failed. What it cannot recover from ends this run and no other."""
    if run.failure is not None:
        return
    try:
        with memory_of_the_device():
            what(*given)
    except UserError as failure:
        run.fail(failure)


def finishers(runs: int, device: torch.device) -> Executor:
    """Threads that finish epochs: one a run, but no more than the cores that training leaves; on a single core the
    thread that trains. Beside an accelerator three at most: more would only wait for Python's lock."""
    if device.type == "cpu" and torch.get_num_threads() == 1:
        return InTurn()
    most = torch.get_num_threads() - 1 if device.type == "cpu" else _FINISHERS_BESIDE_AN_ACCELERATOR
    count = max(1, min(runs, most))
    # PyTorch keeps the number of threads for each thread; another core trains.
    return ThreadPoolExecutor(count, "epoch", initializer=torch.set_num_threads, initargs=(1,))


# -------------------------------------------------------------------- where runs start from


@contextmanager
def _new_run(recipe: Recipe, directory: RunDirectory, device: str, start: Checkpoint | None = None) -> Iterator[Start]:
    """A new run, its directory held until the block ends."""
    require_utf_8(directory.tensorboard, "TensorBoard")
    if start is not None:
        model_of(start)  # refuse weights that do not fit before anything is written
        if start.epochs_completed >= recipe.epochs:
            raise UserError(
                f"{start.path}: has done {counted(start.epochs_completed, 'epoch')} "
                f"and the recipe has {recipe.epochs}; give more --epochs"
            )
    trainer = Trainer(recipe, device)
    if start is not None:
        trainer.restore(start)
    pending = PendingUpdate.of(start) if start is not None else None
    require_readable(trainer.checkpoint_values)
    with directory.held():
        with _whole_or_absent(directory):
            directory.create(
                recipe,
                {
                    "device": device,
                    "environment": environment(device),
                    "started_at": now(),
                    "started_from": str(start.path.resolve()) if start and start.path else None,
                    "status": "running",
                },
            )
            _save_start(trainer, directory, pending)
        yield Start(trainer, directory, None, pending)


@contextmanager
def _resumed_run(directory: RunDirectory, device: torch.device | str, epochs: int | None = None) -> Iterator[Start]:
    """A run that is there already, its directory held until the block ends."""
    require_utf_8(directory.tensorboard, "TensorBoard")
    recipe = directory.recipe()
    if epochs is not None:
        recipe = recipe.of_length(epochs)
        epochs = recipe.epochs
    before = directory.facts().get("device")
    chosen = device_to_go_on_with(device, before)
    trainer = Trainer(recipe, chosen)
    with directory.held():
        best, pending = _restore_last(trainer, directory)
        lacks_rows = _lacks_rows(directory, trainer.epochs_completed)
        directory.events()  # a damaged log is told before the run is described anew
        if epochs is not None:
            if epochs < trainer.epochs_completed:
                raise UserError(f"--epochs {epochs}: {trainer.epochs_completed} epochs are done; give more")
            if epochs == trainer.epochs_completed and not directory.checkpoint(epochs).exists():
                write_bytes(directory.checkpoint(epochs), directory.checkpoint("latest").read_bytes())
            more = {"status": "interrupted"} if epochs > trainer.epochs_completed else {}
            directory.update({"epochs": epochs, **more}, recipe)
        directory.clear_leftovers()
        how = "training goes on" if before in (None, chosen) else f"training goes on, on {chosen} instead of {before}"
        if lacks_rows:
            how += (
                f"; {directory.metrics_file.name} ends before epoch {trainer.epochs_completed}: reports will lack that"
            )
        directory.update({"device": chosen, "environment": environment(chosen)})
        yield Start(trainer, directory, best, pending, how)


def _lacks_rows(directory: RunDirectory, epochs_completed: int) -> bool:
    """Whether the log ends before the last checkpoint. One that begins there has no rows yet."""
    rows = directory.metrics()
    if not rows:
        return epochs_completed > 0 and directory.facts().get("started_from") is None
    return rows[-1]["epoch"] < epochs_completed


def _directory(directory: RunDirectory | str | Path) -> RunDirectory:
    return directory if isinstance(directory, RunDirectory) else RunDirectory(directory)


def _restore_last(trainer: Trainer, directory: RunDirectory) -> tuple[list[float | None] | None, PendingUpdate | None]:
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
            pending = PendingUpdate.of(start)
        _save_start(trainer, directory, pending)
        return None, pending
    checkpoint = load_checkpoint(latest)
    before, now = checkpoint.recipe, trainer.recipe
    if (before.fingerprint(), before.seed) != (now.fingerprint(), now.seed):
        raise UserError(f"{directory.recipe_file}: differs from the recipe in {checkpoint.path}; restore it to resume")
    trainer.restore(checkpoint)
    return checkpoint.state.get("best"), PendingUpdate.of(checkpoint)


def _save_start(trainer: Trainer, directory: RunDirectory, pending: PendingUpdate | None) -> None:
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
