"""Two epochs at a time: while one is trained, the one before is measured, watched, logged and saved in a second thread.

What the measurement of epoch N changes (the homes of operations, what guards do) is taken in after epoch N + 1 is
trained and is in force from epoch N + 2 on: always, on any number of cores and on any device, so that no bit depends on
which thread was faster. Until then it is pending, and part of epoch N's checkpoint.
"""

from __future__ import annotations

import copy
import math
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any

import torch

from ternary_vae.errors import UserError
from ternary_vae.resolution.parallel import SharedTasks, on_one_core
from ternary_vae.storage.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.storage.tensor_cache import TensorCache
from ternary_vae.storage.transfer import copied
from ternary_vae.training.evaluation import evaluate, evaluated_keys
from ternary_vae.training.guards import Interventions, watch
from ternary_vae.training.log import RunLog, finite
from ternary_vae.training.progress import Progress
from ternary_vae.training.trainer import Trainer

_PENDING = "pending"
_SECONDS_BETWEEN_OFFERS = 0.005


@dataclass(frozen=True)
class Findings:
    """What measuring an epoch changes about the epoch after the next.

    Attributes:
        row: what was measured; None where the epoch was not evaluated.
        interventions: all that guards have changed so far.
    """

    row: dict[str, Any] | None
    interventions: Interventions

    def added_to(self, checkpoint: Checkpoint) -> Checkpoint:
        """The checkpoint with these findings pending."""
        row = None if self.row is None else finite(self.row)
        pending = {"row": row, "interventions": self.interventions.as_json()}
        return replace(checkpoint, state={**checkpoint.state, _PENDING: pending})

    @classmethod
    def pending_in(cls, checkpoint: Checkpoint) -> Findings | None:
        """What is pending in a checkpoint; None where nothing is, as in one written before there were pending findings.

        Raises:
            UserError: if what is pending is not whole.
        """
        pending = checkpoint.state.get(_PENDING)
        if pending is None:
            return None
        try:
            row = pending["row"]
            # Versions before this one evaluated fewer strategies; this is the one that anything is decided by.
            if row is not None and not dict(row).keys() >= {*evaluated_keys(["best_of_two"])}:
                raise KeyError("a figure is missing")
            return cls(row, Interventions.from_json(pending["interventions"]))
        except (AttributeError, LookupError, TypeError, ValueError) as failure:
            raise UserError(
                f"{checkpoint.path}: cannot be trained on: its pending measurement is damaged ({failure!r}); "
                "use another checkpoint of the run"
            ) from None


class Pipeline:
    """Trains epochs in the caller's thread and finishes each in a thread of its own. A context manager: at its end an
    epoch that is being finished is waited for.

    Args:
        trainer: where the run stands.
        log, progress: told of every epoch and event, one at a time, from the second thread.
        cache: whose budget is watched.
        best: score of the run's best checkpoint so far, see `checkpoint_score`.
        pending: findings of the last epoch, if the run goes on from one.
        worker: a thread, or several, shared with other runs; the pipeline's own unless given.
    """

    def __init__(
        self,
        trainer: Trainer,
        directory: RunDirectory,
        log: RunLog,
        progress: Progress,
        cache: TensorCache | None = None,
        best: list[float] | None = None,
        pending: Findings | None = None,
        worker: Executor | None = None,
    ) -> None:
        self.trainer = trainer
        self.directory = directory
        self.log = log
        self.progress = progress
        self.cache = cache
        self.best = best
        self.pending = pending
        self._model = copy.deepcopy(trainer.model)  # the second thread's own, for the weights of the epoch it measures
        self._measuring = SharedTasks()
        self._own = None
        if worker is None:
            # PyTorch keeps the number of threads for each thread; the other core trains.
            self._own = ThreadPoolExecutor(1, "epoch", initializer=torch.set_num_threads, initargs=(1,))
        self._worker: Executor = worker or self._own  # type: ignore[assignment]
        self._running: Future[Findings] | None = None
        self._last: Future[Findings] | None = None

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()
        if self._own is not None:
            self._own.shutdown()

    def train_epoch(self) -> None:
        """Trains an epoch and hands it over.

        Raises:
            UserError: as `take`.
        """
        started = time.monotonic()
        row = self.trainer.train_epoch()
        self.take(row | {"seconds_training": time.monotonic() - started})

    def take(self, row: dict[str, Any]) -> None:
        """Hands over an epoch that the trainer has just done. One whose loss or weights are not finite is undone at
        once.

        Args:
            row: what training says of the epoch, with `seconds_training`.

        Raises:
            UserError: training diverged, or what the second thread met while it finished the epoch before.
        """
        self.drain()
        if row["terms"]["loss"] is None or not math.isfinite(row["terms"]["loss"]):
            self._restore(row)
            return
        self._take_pending()
        self._running = self._last = self._worker.submit(self._finish, row, _copied(self.trainer.checkpoint()))

    def drain(self) -> None:
        """Waits until every epoch trained is measured, logged and saved, and helps with the measuring meanwhile.

        Raises:
            UserError: what the second thread met.
        """
        if self._running is not None:
            running, self._running = self._running, None
            with on_one_core(self.trainer.device):
                while not running.done():
                    self._measuring.join_in()
                    wait([running], timeout=_SECONDS_BETWEEN_OFFERS)
            self.pending = running.result()

    def wait(self) -> None:
        """Waits for an epoch that is being finished, whatever becomes of it."""
        if self._last is not None:
            wait([self._last])

    def _take_pending(self) -> None:
        if self.pending is None:
            return
        if self.pending.row is not None:
            self.trainer.take_measurement(self.pending.row)
        self.trainer.interventions = self.pending.interventions
        self.pending = None

    def _restore(self, row: dict[str, Any]) -> None:
        """Back to the last epoch written, with all that the guards have changed in force at once: the same epoch with
        the same settings would fail again."""
        failed = row["epoch"]
        interventions = copy.deepcopy((self.pending or self.trainer).interventions)
        events = self._watch(interventions, row | dict.fromkeys(evaluated_keys()))
        if not any("restore" in event["actions"] for event in events):
            raise UserError(
                f"training diverged in epoch {failed} (the loss is not finite); the run is saved up to epoch "
                f"{failed - 1}: start again with a lower learning rate, or measure {self.directory.checkpoint('best')}"
            )
        self.trainer.restore(load_checkpoint(self.directory.checkpoint("latest")))
        self.trainer.interventions = interventions
        if self.pending is not None:
            self.pending = replace(self.pending, interventions=interventions)

    # ---------------------------------------------------------------- in the second thread

    def _finish(self, row: dict[str, Any], checkpoint: Checkpoint) -> Findings:
        """Measures, watches, logs and saves the epoch that left this checkpoint."""
        recipe, started = checkpoint.recipe, time.monotonic()
        measured = None
        if recipe.is_evaluated(row["epoch"]):
            self._model.load_state_dict(checkpoint.model)
            self._model.permeability = checkpoint.rho
            measured = evaluate(self._model, recipe, row["epoch"], self._measuring.run)
        row |= dict.fromkeys(evaluated_keys()) if measured is None else measured
        row["seconds_evaluation"] = time.monotonic() - started
        interventions = Interventions.from_json(checkpoint.state["interventions"])
        self._watch(interventions, row)
        row["guard_events"] = interventions.fired_count
        row = finite(row)
        self.log.epoch(row)
        findings = Findings(measured, interventions)
        self._save(row, findings.added_to(checkpoint))
        self.progress.epoch(row)
        if self.cache is not None:
            self.cache.watch_budget()
        return findings

    def _watch(self, interventions: Interventions, row: dict[str, Any]) -> list[dict[str, Any]]:
        events = watch(self.trainer.recipe, interventions, row, self.log.rows)
        for event in events:
            self.progress.event(self.log.event(**finite(event)))
        return events

    def _save(self, row: dict[str, Any], checkpoint: Checkpoint) -> None:
        """Writes the checkpoints that an epoch calls for; `latest` last, since resuming starts there."""
        settings, epoch = checkpoint.recipe.evaluation, row["epoch"]
        score = checkpoint_score(row)
        also: list[int | str] = []
        if epoch % settings.checkpoint_every == 0 or epoch in settings.milestones or epoch == checkpoint.recipe.epochs:
            also.append(epoch)
        if score is not None and (self.best is None or score > self.best):
            self.best = score
            also.append("best")
        checkpoint = replace(checkpoint, state={**checkpoint.state, "best": self.best})
        paths = [self.directory.checkpoint(name) for name in also]
        self.directory.require_held()
        save_checkpoint(self.directory.checkpoint("latest"), checkpoint, also=paths)


def checkpoint_score(row: dict[str, Any]) -> list[float] | None:
    """What `best` is chosen by, compared in order: ensemble exact match, the lower of the two VAEs',
    decoded coverage."""
    if row["exact_match_best_of_two"] is None:
        return None
    return [row["exact_match_best_of_two"], min(row["exact_match_a"], row["exact_match_b"]), row["coverage"]]


def _copied(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with tensors of its own, which training does not go on to change."""
    return replace(
        checkpoint,
        model=copied(checkpoint.model),
        optimizer=copied(checkpoint.optimizer),
        generators=copied(checkpoint.generators),
        training=copied(checkpoint.training),
    )
