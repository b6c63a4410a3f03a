"""How commands print."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ternary_vae.terminal import has_reader

if TYPE_CHECKING:
    from rich.text import Text

_WIDEST = 400
"""Columns of a table in a file or a pipe, where no line should be folded."""


def say(text: str, *, error: bool = False, always: bool = False) -> None:
    """Prints text.

    Args:
        error: on standard error.
        always: on standard error too where nobody reads standard output.
    """
    print(text, file=sys.stderr if error else sys.stdout, flush=always)
    if always and not has_reader(sys.stdout):
        print(text, file=sys.stderr)


def print_json(content: Any) -> None:
    """Prints JSON values, in as many lines as they have parts."""
    encoding = getattr(sys.stdout, "encoding", None) or ""
    readable = encoding.lower().replace("-", "") == "utf8"  # what another lacks would be lost
    say(json.dumps(content, indent=2, allow_nan=False, ensure_ascii=not readable))


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
