"""Signals that ask a program to stop: Ctrl-C (SIGINT), SIGTERM, and SIGHUP, which a terminal sends when it is closed.

SIGINT and SIGHUP count only where they are not ignored already: a script starts a background job with Ctrl-C ignored,
since that is meant for what is in the foreground, and `nohup` has a program outlast its terminal. SIGTERM always
counts. A handler that was not installed from Python, as of a program that Python is embedded in, is left alone.
"""

from __future__ import annotations

import signal


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
