"""Ctrl-C and SIGTERM: a request to stop between two epochs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Interruption:
    """Whether somebody has asked the loop to stop. No lock: a signal may come while another is being handled."""

    asked: bool = False


@contextmanager
def interruptions() -> Iterator[Interruption]:
    """Ctrl-C and SIGTERM ask the loop to stop after the epoch under way; a second one stops at once, without it. The
    epochs before are on disk in either case."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return

    def ask(number: int, frame: object) -> None:
        if interruption.asked:
            raise KeyboardInterrupt
        interruption.asked = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
