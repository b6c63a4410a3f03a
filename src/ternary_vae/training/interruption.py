"""Signals that ask a run to stop: Ctrl-C (SIGINT), SIGTERM, and SIGHUP, which a terminal sends when it is closed.

SIGINT and SIGHUP count only where they are not ignored already: a script starts a background job with Ctrl-C ignored,
since that is meant for what is in the foreground, and `nohup` has a program outlast its terminal. SIGTERM always
counts. A handler that was not installed from Python, as of a program that Python is embedded in, is left alone.
"""

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


def signals_to_stop() -> list[signal.Signals]:
    """The signals that count in this process."""
    found = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP"):  # not on Windows
        found.append(signal.SIGHUP)
    return [
        number
        for number in found
        if signal.getsignal(number) is not None
        and (number == signal.SIGTERM or signal.getsignal(number) != signal.SIG_IGN)
    ]
