"""A run while it is trained: its log, its cache, the second half of its epochs, its milestones' benchmarks, and how it
ends."""

from __future__ import annotations

import time
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, Self

from ternary_vae.errors import UserError
from ternary_vae.resolution.measure import measure_coupled, measure_isolated
from ternary_vae.resolution.records import write_record
from ternary_vae.storage.checkpoints import load_checkpoint
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.storage.tensor_cache import TensorCache, cache_directory
from ternary_vae.training.interruption import Interruption
from ternary_vae.training.log import RunLog
from ternary_vae.training.pipeline import Findings, Pipeline
from ternary_vae.training.precision import matrix_products
from ternary_vae.training.progress import Progress
from ternary_vae.training.trainer import Trainer


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
    """Where a run begins or goes on from.

    Attributes:
        best: score of its best checkpoint so far.
        pending: findings of its last epoch.
        resumed: for the log, how it goes on; empty where it begins.
    """

    trainer: Trainer
    directory: RunDirectory
    best: list[float] | None = None
    pending: Findings | None = None
    resumed: str = ""


class RunUnderWay:
    """A run from its start to its end. A context manager: at its end the run's description says how it ended.

    Args:
        progress: told of every epoch and event.
        benchmarks: whether milestones, and the run's end, are benchmarked.
        interruption: asked between two benchmarks.
        worker: where epochs are measured, logged and saved.
        together: how many runs are trained at once; its time is its share of theirs.
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
        self.failure: UserError | None = None
        self.status: Literal["completed", "interrupted", "failed"] = "failed"
        self.seconds = 0.0
        self._begun = self._is_open = self._lacks_benchmarks = False

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
    def has_ended(self) -> bool:
        """Whether all has been said about how it ended."""
        return self._begun and not self._is_open

    def begin(self) -> None:
        """Opens the log and benchmarks milestones that lack it.

        Raises:
            UserError: the run's directory cannot be written to.
        """
        self.started = time.monotonic()
        self.log = RunLog(self.directory, self.trainer.epochs_completed)
        self.cache = self._new_cache() if self.recipe.cache.enabled else None
        self.directory.update({"status": "running"})
        self.pipeline = Pipeline(
            self.trainer, self.directory, self.log, self.progress, self.cache,
            self.start.best, self.start.pending, self.worker,
        )  # fmt: skip
        self.progress.start(
            self.recipe, self.trainer.epochs_completed, str(self.directory.path), self._benchmarks_to_come()
        )
        self._begun = self._is_open = True
        if self.start.resumed and self.goes_on:
            self.progress.event(self.log.event(self.trainer.epochs_completed, "resumed", "resumed", self.start.resumed))
        self.benchmark_milestones()

    def take(self, row: dict[str, Any]) -> None:
        """An epoch has been trained.

        Raises:
            UserError: as `Pipeline.take`.
        """
        self.pipeline.take(row)

    @property
    def is_at_milestone(self) -> bool:
        """Whether the epoch just trained is one."""
        return self._is_milestone(self.trainer.epochs_completed)

    def settle(self) -> None:
        """Waits until every epoch trained is measured, logged and saved.

        Raises:
            UserError: as `Pipeline.drain`.
        """
        self.pipeline.drain()

    def benchmark_milestones(self) -> None:
        """Benchmarks every milestone, and the run's end, that has a checkpoint and lacks a record, unless asked to
        stop. Every run of the process must have settled."""
        if not self.benchmarks:
            return
        directory, done = self.directory, self.trainer.epochs_completed
        self._lacks_benchmarks = False
        for epoch in directory.benchmarks_missing(self.recipe):
            path = directory.checkpoint(epoch)
            if epoch > done or not path.exists():
                continue
            if self.interruption.asked:
                self._lacks_benchmarks = True
                return
            self.progress.benchmarking(epoch)
            clock = time.monotonic()
            checkpoint, how = load_checkpoint(path), {"device": str(self.trainer.device), "cache": self.cache}
            with matrix_products("highest"):
                isolated, coupled = measure_isolated(checkpoint, **how), measure_coupled(checkpoint, **how)
            directory.require_held()
            write_record(directory.isolated_record(epoch), isolated)
            write_record(directory.coupled_record(epoch), coupled)
            message = f"epoch {epoch} benchmarked in {time.monotonic() - clock:.1f} s"
            self.progress.event(self.log.event(done, "milestone", f"epoch_{epoch}", message))

    def end(self) -> None:
        """Training is over, at the run's end or because somebody asked."""
        self.pipeline.drain()
        self.status = "interrupted" if self.goes_on or self._lacks_benchmarks else "completed"
        if self.status == "interrupted":
            epochs = self.trainer.epochs_completed
            what = "all of them are saved" if self.goes_on else "only benchmarks are missing"
            self.log.event(epochs, "interrupted", "interrupted", f"stopped after {epochs} epochs; {what}")
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
        self.pipeline.wait()
        self.seconds = (time.monotonic() - self.started) / self.together
        self.progress.stop()
        spent = self.directory.facts().get("seconds", 0.0) + self.seconds
        self.directory.update({"status": self.status, "finished_at": now(), "seconds": spent})
        self.log.close()

    def outcome(self) -> Outcome:
        """How it ended."""
        return Outcome(self.directory, self.status, self.trainer.epochs_completed, self.seconds, self.failure)

    def _new_cache(self) -> TensorCache:
        """The run's tensor cache. What is wrong with it becomes a warning of the run, which goes on without it."""

        def warn(message: str) -> None:
            self.progress.event(self.log.event(self.log.epochs_completed, "warning", "tensor cache", message))

        settings = self.recipe.cache
        directory = cache_directory(configured=settings.directory)
        return TensorCache(directory, limit_megabytes=settings.limit_megabytes, report=warn)

    def _benchmarks_to_come(self) -> list[int]:
        done = self.trainer.epochs_completed
        missing = self.directory.benchmarks_missing(self.recipe) if self.benchmarks else []
        return [epoch for epoch in missing if epoch > done or self.directory.checkpoint(epoch).exists()]

    def _is_milestone(self, epoch: int) -> bool:
        return epoch in self.recipe.evaluation.milestones or epoch == self.recipe.epochs


def now() -> str:
    """The time, as run descriptions have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
