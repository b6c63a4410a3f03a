"""Standard output and standard error whose readers may leave before the program is done, as in `train | head`, or when
a terminal is closed. What is written after that is dropped, and work goes on."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any

_NO_READER = {errno.EPIPE, errno.EIO} | ({errno.EINVAL} if os.name == "nt" else set())
_notice = ""


class _Output(io.FileIO):
    """Where bytes go, as long as somebody reads them."""

    has_reader = True

    def write(self, data: Any) -> int:
        if self.has_reader:
            try:
                return super().write(data)
            except OSError as failure:
                if failure.errno not in _NO_READER:
                    self.has_reader = False  # what is buffered would fail again at the program's end
                    name = "standard output" if self.fileno() == 1 else "standard error"
                    raise OSError(failure.errno, failure.strerror, name) from None
            self.has_reader = False
            if _notice and self.fileno() == 1:
                print(_notice, file=sys.stderr)
        return len(memoryview(data).cast("B"))


def outlast_readers() -> None:
    """Has this process go on when nobody reads its output any more. What other programs put in place of the standard
    streams, as notebooks do, stays."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and type(_raw(stream)) is io.FileIO:
            stream.flush()
            raw: Any = _Output(stream.fileno(), "w", closefd=False)
            text = io.TextIOWrapper(
                raw if _raw(stream) is stream.buffer else io.BufferedWriter(raw), stream.encoding, stream.errors,
                line_buffering=stream.line_buffering, write_through=stream.write_through,
            )  # fmt: skip
            setattr(sys, name, text)


def goes_on(what: str) -> None:
    """Has it said on standard error, once the readers of standard output are gone, that `what` goes on."""
    global _notice
    _notice = f"ternary-vae: nobody reads the output any more; {what} goes on without it"


def say(text: str) -> None:
    """Prints what must be said: on standard error where nobody reads standard output."""
    print(text, flush=True)
    if not getattr(_raw(sys.stdout), "has_reader", True):
        print(text, file=sys.stderr)


def _raw(stream: Any) -> Any:
    """What a text stream writes to in the end; Python has no buffer in between where PYTHONUNBUFFERED asks for none."""
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)
