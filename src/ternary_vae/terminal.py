"""What people read: text in any encoding, a terminal of any width, and commands that can be copied.

Readers may leave before the program is done, as in `train | head`, or when a terminal is closed. What is written after
that is dropped, and work goes on.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable
from typing import Any

from ternary_vae.errors import BAD_INPUT, UserError

_HANDLER = "ternary-vae-replace"
_FILE_NAME_BYTES = range(0xDC80, 0xDD00)
"""Code points that Python puts for the bytes of a file's name that are no text, see PEP 383."""
_SIZES = ("COLUMNS", "LINES", "TERMINAL_WIDTH")
_NO_READER = {errno.EPIPE, errno.EIO} | ({errno.EINVAL} if os.name == "nt" else set())
_notice = ""


def _replaced(failure: UnicodeError) -> tuple[bytes, int]:
    if not isinstance(failure, UnicodeEncodeError):
        raise failure
    points = map(ord, failure.object[failure.start : failure.end])
    shown = (bytes([point & 0xFF]) if point in _FILE_NAME_BYTES else b"?" for point in points)
    return b"".join(shown), failure.end


codecs.register_error(_HANDLER, _replaced)


def open_closed_streams() -> None:
    """Puts the null device where a standard stream is closed: libraries write to it, and the next file would be it."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)  # stays open when another stream takes its place
            os.set_inheritable(descriptor, True)
            setattr(sys, name, open(descriptor, mode, closefd=False))  # noqa: SIM115


def replace_what_cannot_be_shown(*streams: Any) -> None:
    """From now on a stream shows what its encoding has. A file's name that is no text goes out as its own bytes, as
    `ls` shows it; any other character that is missing becomes a question mark, and nothing fails."""
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def forget_impossible_sizes() -> None:
    """Takes sizes of the terminal that are none out of the environment: typer and rich read them as numbers, some when
    they are imported."""
    for name in _SIZES:
        if not re.fullmatch("[1-9][0-9]{0,3}", os.environ.get(name, "1")):
            del os.environ[name]


def quoted(path: object) -> str:
    """A path as a shell's word, which no command takes for an option."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def exit_code(program: str, work: Callable[[], int | None]) -> int:
    """Does a script's work, whoever still reads what it prints.

    Returns:
        what the work returns, 0 for None; 2 after a `UserError` or what the system refuses, which is one line on
        standard error; 130 after Ctrl-C.
    """
    outlast_readers()
    try:
        return work() or 0
    except (UserError, OSError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


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


def notify_without_reader(work: str) -> None:
    """Once the readers of standard output are gone, one line on standard error says that `work` goes on."""
    global _notice
    _notice = f"ternary-vae: nobody reads the output any more; {work} goes on without it"


def has_reader(stream: Any) -> bool:
    """Whether somebody still reads a stream, as far as is known."""
    return getattr(_raw(stream), "has_reader", True)


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


def _raw(stream: Any) -> Any:
    """What a text stream writes to in the end; Python has no buffer in between where PYTHONUNBUFFERED asks for none."""
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)
