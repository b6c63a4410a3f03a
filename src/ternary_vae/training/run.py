"""A run, from its start to its end: two epochs at a time. While one is trained, the one before is measured, watched,
logged and saved in a second thread.

What the measurement of epoch N changes (the balance of the VAEs, what guards do) is taken in after epoch N + 1 is
trained and is in force from epoch N + 2 on: always, on any number of cores and on any device, so that no bit depends on
which thread was faster. Until then it is pending, and part of epoch N's checkpoint.
"""

from __future__ import annotations

import copy
import math
import time
from concurrent.futures import Executor, Future, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, Self

from ternary_vae.acceleration.allocator import return_freed_memory
from ternary_vae.acceleration.parallel import SharedTasks, on_one_core
from ternary_vae.errors import UserError
from ternary_vae.formats import counted
from ternary_vae.resolution.measure import measure_both
from ternary_vae.resolution.records import write_record
from ternary_vae.storage.checkpoints import TENSORS, Checkpoint, load_checkpoint
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.storage.tensor_cache import TensorCache, cache_directory
from ternary_vae.storage.transfer import copied
from ternary_vae.training.epoch import EpochFinisher, PendingUpdate, Trainer
from ternary_vae.training.evaluation import evaluated_keys
from ternary_vae.training.interruption import Interruption
from ternary_vae.training.log import RunLog
from ternary_vae.training.precision import matrix_products
from ternary_vae.training.progress import Progress

_SECONDS_BETWEEN_OFFERS = 0.005


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `failure` says why one of several failed; one alone raises it."""

    directory: RunDirectory
    status: Literal["completed", "interrupted", "failed"]
    epochs_completed: int
    seconds: float
    failure: UserError | None = None


@dataclass(frozen=True)
class Start:
    """Where a run starts or goes on from.

    Attributes:
        best: score of its best checkpoint so far.
        pending: what its last epoch is yet to change.
        resumed: for the log, how it goes on; empty for a new run.
    """

    trainer: Trainer
    directory: RunDirectory
    best: list[float | None] | None = None
    pending: PendingUpdate | None = None
    resumed: str = ""


class Run:
    """A run from its start to its end. A context manager: at its end the run's description says how it ended.

    Args:
        progress: told of every epoch and event, one at a time.
        benchmarks: whether milestones, and the run's end, are benchmarked.
        interruption: asked between two benchmarks.
        worker: where epochs are measured, logged and saved.
        together: how many runs are trained at once; its time is its share of theirs.

    Attributes:
        pending: what the last epoch measured is yet to change.
    """

    def __init__(
        self,
        start: Start,
        progress: Progress,
        benchmarks: bool,
        interruption: Interruption,
        worker: Executor,
        together: int = 1,
    ) -> None:
        self.start, self.trainer, self.directory = start, start.trainer, start.directory
        self.recipe = start.trainer.recipe
        self.progress, self.interruption = progress, interruption
        self.benchmarks = benchmarks
        self.worker = worker
        self.together = together
        self.pending = start.pending
        self.failure: UserError | None = None
        self.status: Literal["completed", "interrupted", "failed"] = "failed"
        self.seconds = 0.0
        self._is_open = self._lacks_benchmarks = False
        self._measuring = SharedTasks()
        self._finishing: Future[PendingUpdate] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self.status = "interrupted"
        self.close()

    @property
    def goes_on(self) -> bool:
        """Whether there is another epoch to train."""
        return self.failure is None and self.trainer.epochs_completed < self.recipe.epochs

    @property
    def is_at_milestone(self) -> bool:
        """Whether the epoch just trained is one."""
        return self.trainer.epochs_completed in self.recipe.benchmarked

    def open(self) -> None:
        """Opens the log and benchmarks milestones that lack it.

        Raises:
            UserError: the run's directory cannot be written to.
        """
        self.started = time.monotonic()
        epochs, directory = self.trainer.epochs_completed, self.directory
        self.log = RunLog(directory, epochs)
        self.cache = self._new_cache() if self.recipe.cache.enabled else None
        directory.update({"status": "running"})
        self.finisher = EpochFinisher(
            copy.deepcopy(self.trainer.model), directory, self.log, self.progress, self._measuring.run,
            self.cache, self.start.best,
        )  # fmt: skip
        missing = directory.benchmarks_missing(self.recipe) if self.benchmarks else []
        to_come = [epoch for epoch in missing if epoch > epochs or directory.checkpoint(epoch).exists()]
        self.progress.start(self.recipe, epochs, str(directory.path), to_come)
        self._is_open = True
        if self.start.resumed and self.goes_on:
            self._event("resumed", "resumed", self.start.resumed)
        self.benchmark_milestones()

    # ---------------------------------------------------------------- an epoch that the trainer has just done

    def take(self, row: dict[str, Any]) -> None:
        """Hands it over to the second thread. One whose loss or weights are not finite is undone at once.

        Args:
            row: what training says of the epoch, with `seconds_training`.

        Raises:
            UserError: training diverged, or what the second thread met while it finished the epoch before.
        """
        self.settle()
        if row["terms"]["loss"] is None or not math.isfinite(row["terms"]["loss"]):
            self._go_back(row)
            return
        if self.pending is not None:
            if self.pending.row is not None:
                self.trainer.take_measurement(self.pending.row)
            self.trainer.interventions = self.pending.interventions
            self.pending = None
        self._finishing = self.worker.submit(self.finisher.finish_epoch, row, _copied(self.trainer.checkpoint()))

    def settle(self) -> None:
        """Waits until every epoch trained is measured, logged and saved, and helps with the measuring meanwhile.

        Raises:
            UserError: what the second thread met.
        """
        if self._finishing is None:
            return
        with on_one_core(self.trainer.device):
            while not self._finishing.done():
                self._measuring.join_in()
                wait([self._finishing], timeout=_SECONDS_BETWEEN_OFFERS)
        finished, self._finishing = self._finishing, None
        self.pending = finished.result()

    def _go_back(self, row: dict[str, Any]) -> None:
        """Back to the last epoch written, with all that the guards have changed in force at once: the same epoch with
        the same settings would fail again."""
        failed = row["epoch"]
        interventions = copy.deepcopy((self.pending or self.trainer).interventions)
        events = self.finisher.watch(self.recipe, interventions, row | dict.fromkeys(evaluated_keys()))
        if not any("restore" in event["actions"] for event in events):
            best = self.directory.checkpoint("best")  # is there once an epoch was measured
            instead = f", or measure {best}" if best.exists() else ""
            raise UserError(
                f"training diverged in epoch {failed} (the loss is not finite); the run is saved up to epoch "
                f"{failed - 1}: start again with a lower learning rate{instead}"
            )
        self.trainer.restore(load_checkpoint(self.directory.checkpoint("latest")))
        self.trainer.interventions = interventions
        if self.pending is not None:
            self.pending = replace(self.pending, interventions=interventions)

    # ---------------------------------------------------------------- milestones and the end

    def benchmark_milestones(self) -> None:
        """Benchmarks every milestone, and the run's end, that has a checkpoint and lacks a record, unless asked to
        stop. Every run of the process must have settled."""
        if not self.benchmarks:
            return
        directory = self.directory
        for epoch in directory.benchmarks_missing(self.recipe):
            path = directory.checkpoint(epoch)
            if epoch > self.trainer.epochs_completed or not path.exists():
                continue
            if self.interruption.asked:
                self._lacks_benchmarks = True
                return
            self.progress.benchmarking(epoch)
            clock = time.monotonic()
            checkpoint, how = load_checkpoint(path), {"device": str(self.trainer.device), "cache": self.cache}
            return_freed_memory()  # training and measuring take blocks of other sizes
            with matrix_products("highest"):
                isolated, coupled = measure_both(checkpoint, **how)
            return_freed_memory()
            directory.require_held()
            write_record(directory.isolated_record(epoch), isolated)
            write_record(directory.coupled_record(epoch), coupled)
            self._event("milestone", f"epoch_{epoch}", f"epoch {epoch} benchmarked in {time.monotonic() - clock:.1f} s")

    def end(self) -> None:
        """Training is over, at the run's end or because somebody asked. Does nothing the second time."""
        if not self._is_open:
            return
        self.settle()
        self.status = "interrupted" if self.goes_on or self._lacks_benchmarks else "completed"
        if self.status == "interrupted":
            epochs = self.trainer.epochs_completed
            what = "all of them are saved" if self.goes_on else "only benchmarks are missing"
            self.log.event(epochs, "interrupted", "interrupted", f"stopped after {counted(epochs, 'epoch')}; {what}")
        self.close()

    def fail(self, failure: UserError) -> None:
        """The run cannot go on."""
        self.failure, self.status = failure, "failed"
        with suppress(UserError):  # on a full disk this cannot be written down either
            self.close()

    def close(self) -> None:
        """Writes how the run ended. Does nothing the second time."""
        if not self._is_open:
            return
        self._is_open = False
        if self._finishing is not None:
            wait([self._finishing])
        self.seconds = (time.monotonic() - self.started) / self.together
        self.progress.stop()
        spent = (self.directory.facts().get("seconds") or 0.0) + self.seconds
        self.directory.update({"status": self.status, "finished_at": now(), "seconds": spent})
        self.log.close()

    def outcome(self) -> Outcome:
        """How it ended."""
        return Outcome(self.directory, self.status, self.trainer.epochs_completed, self.seconds, self.failure)

    def _event(self, kind: str, name: str, message: str) -> None:
        self.progress.event(self.log.event(self.trainer.epochs_completed, kind, name, message))

    def _new_cache(self) -> TensorCache:
        """The run's tensor cache. What is wrong with it becomes a warning of the run, which goes on without it."""

        def warn(message: str) -> None:
            self.progress.event(self.log.event(self.log.epochs_completed, "warning", "tensor cache", message))

        settings = self.recipe.cache
        directory = cache_directory(configured=settings.directory)
        return TensorCache(directory, limit_megabytes=settings.limit_megabytes, report=warn)


def now() -> str:
    """The time, as run descriptions have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _copied(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with tensors of its own, which training does not go on to change."""
    tensors = {attribute: copied(getattr(checkpoint, attribute)) for attribute in TENSORS.values()}
    return replace(checkpoint, **tensors)
