"""What a run writes down: metrics.jsonl, events.jsonl and TensorBoard."""

from __future__ import annotations

import json
import math
from contextlib import AbstractContextManager
from typing import Any

from ternary_vae.resolution.figures import registered
from ternary_vae.storage.files import append_json_line, reported, write_text
from ternary_vae.storage.runs import RunDirectory


class RunLog:
    """Appends one line an epoch and one line an event.

    Args:
        directory: the run.
        epochs_completed: lines of later epochs are removed: they belong to work that was lost and is about
            to be repeated.
    """

    def __init__(self, directory: RunDirectory, epochs_completed: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.directory = directory
        self.epochs_completed = epochs_completed
        self.rows = [row for row in directory.metrics() if row["epoch"] <= epochs_completed]
        _rewrite(directory.metrics_file, self.rows)
        _rewrite(directory.events_file, [event for event in directory.events() if event["epoch"] <= epochs_completed])
        with self._board_reported():
            self._board = SummaryWriter(str(directory.tensorboard), purge_step=epochs_completed + 1, max_queue=1000)

    def epoch(self, row: dict[str, Any]) -> None:
        """Logs an epoch.

        Raises:
            UserError: the place cannot be written, or is another process's by now.
        """
        self.directory.require_held()
        self.epochs_completed = row["epoch"]
        self.rows.append(row)
        append_json_line(self.directory.metrics_file, row)
        with self._board_reported():
            for name, value in _flat(row):
                self._board.add_scalar(name, value, row["epoch"])
            for measure in registered():
                if callable(measure.row) and (value := measure.read(row)) is not None:
                    self._board.add_scalar(f"measures/{measure.key}", value, row["epoch"])

    def event(self, epoch: int, kind: str, name: str, message: str, **details: Any) -> dict[str, Any]:
        """Logs an event and returns it.

        Raises:
            UserError: as `epoch`.
        """
        self.directory.require_held()
        event = {"epoch": epoch, "kind": kind, "name": name, "message": message, **details}
        append_json_line(self.directory.events_file, event)
        with self._board_reported():
            self._board.add_text(f"events/{kind}", f"{name}: {message}", epoch)
        return event

    def close(self) -> None:
        with self._board_reported():
            self._board.close()

    def _board_reported(self) -> AbstractContextManager[None]:
        """TensorBoard writes from a thread of its own; a full disk shows at a later call."""
        return reported("write", self.directory.tensorboard)


def finite(value: Any) -> Any:
    """The same data with NaN and infinity as null, which JSON can hold."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _rewrite(path: Any, rows: list[dict[str, Any]]) -> None:
    if path.exists():
        write_text(path, "".join(json.dumps(row, allow_nan=False, ensure_ascii=False) + "\n" for row in rows))


def _flat(row: dict[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    """Numbers of a row with their place as name: terms/kl_a, statenet/corrections/rho."""
    found: list[tuple[str, float]] = []
    for key, value in row.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{key}/")
        elif isinstance(value, bool | int | float) and key != "epoch":
            found.append((f"{prefix}{key}", float(value)))
    return found
