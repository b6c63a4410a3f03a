"""How commands print.

Readers may leave before the program is done, as in `train | head`, or when a terminal is closed. What is written after
that is dropped, and work goes on.
"""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.text import Text

_NO_READER = {errno.EPIPE, errno.EIO} | ({errno.EINVAL} if os.name == "nt" else set())
_WIDEST = 400
"""Columns of a table in a file or a pipe, where no line should be folded."""
_notice = ""


def say(text: str, *, error: bool = False, always: bool = False) -> None:
    """Prints text.

    Args:
        error: on standard error.
        always: on standard error too where nobody reads standard output.
    """
    print(text, file=sys.stderr if error else sys.stdout, flush=always)
    if always and not getattr(_raw(sys.stdout), "has_reader", True):
        print(text, file=sys.stderr)


def print_json(content: Any) -> None:
    """Prints JSON values, in as many lines as they have parts."""
    say(json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False))


def print_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    *,
    right: Collection[int] = (),
    title: str | None = None,
) -> None:
    """Prints a table, its width that of the terminal.

    Args:
        right: numbers of the columns that are set flush right.
        title: what it shows; a table with a title has rules around it.
    """
    from rich.box import HEAVY_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console = Console(width=max(shutil.get_terminal_size().columns, _WIDEST))
    table = Table(title=title, title_justify="left", box=HEAVY_HEAD if title else None, pad_edge=title is not None)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    console.print(table)


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
