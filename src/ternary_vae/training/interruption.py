"""A run is stopped by a signal after the epoch under way; see `ternary_vae.signals` for which signals count."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ternary_vae.signals import signals_to_stop


@dataclass
class Interruption:
    """Whether somebody has asked the loop to stop. No lock: a signal may come while another is being handled."""

    asked: bool = False


@contextmanager
def interruptions() -> Iterator[Interruption]:
    """A signal asks the loop to stop after the epoch under way; a second one stops at once, without it. The epochs
    before are on disk in either case. In another thread than the main one, which gets all signals, nothing changes."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return

    def ask(number: int, frame: object) -> None:
        if interruption.asked:
            raise KeyboardInterrupt
        interruption.asked = True

    before = {number: signal.signal(number, ask) for number in signals_to_stop()}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
