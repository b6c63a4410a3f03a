"""What people read: text in any encoding, a terminal of any width, and commands that can be copied."""

from __future__ import annotations

import codecs
import io
import os
import re
import shlex
from typing import Any

_HANDLER = "ternary-vae-replace"
_FILE_NAME_BYTES = range(0xDC80, 0xDD00)
"""Code points that Python puts for the bytes of a file's name that are no text, see PEP 383."""
_SIZES = ("COLUMNS", "LINES", "TERMINAL_WIDTH")


def _replaced(failure: UnicodeError) -> tuple[bytes, int]:
    if not isinstance(failure, UnicodeEncodeError):
        raise failure
    points = map(ord, failure.object[failure.start : failure.end])
    shown = (bytes([point & 0xFF]) if point in _FILE_NAME_BYTES else b"?" for point in points)
    return b"".join(shown), failure.end


codecs.register_error(_HANDLER, _replaced)


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
