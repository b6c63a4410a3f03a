"""Files that somebody else may have written, read without trusting them: whole, of a size that they may have, and as
the values that JSON has."""

from __future__ import annotations

import codecs
import errno
import json
import math
import os
import stat
from pathlib import Path
from typing import Any, NoReturn

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def file_bytes(path: Path, most: int | None = None) -> bytes:
    """What a regular file holds. A pipe or a device is not waited for.

    Args:
        most: bytes that it may hold.

    Raises:
        OSError: it cannot be read, is no regular file, or holds more.
    """
    found = require_regular(path)
    if most is not None and found.st_size > most:
        raise OSError(errno.EFBIG, f"it has {found.st_size:,} bytes; at most {most:,} are read", str(path))
    return path.read_bytes()


def require_regular(path: Path) -> os.stat_result:
    """What the system says of a regular file.

    Raises:
        OSError: there is none, or it is a directory, a pipe or a device, of which the last two may block.
    """
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise OSError(errno.EISDIR, "it is a directory; name a file", str(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return found


def as_text(content: bytes) -> str:
    """UTF-8, or UTF-16 that begins with its mark, as some editors and shells write it; without the mark.

    Raises:
        UnicodeDecodeError: it is neither.
    """
    return content.decode("utf-16" if content.startswith(_UTF_16) else "utf-8-sig")


def parse_json(text: str | bytes) -> Any:
    """What JSON says. A key given twice, NaN, infinity, and numbers that no float holds are errors; so is what is
    nested too deeply.

    Raises:
        ValueError: it is not JSON, or one of these; in the words of the error.
    """
    try:
        return json.loads(
            text,
            object_pairs_hook=_with_each_key_once,
            parse_constant=_not_a_number,
            parse_float=_finite,
            parse_int=_whole,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _with_each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice")
    return found


def _not_a_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _whole(text: str) -> int:
    _finite(text)  # whoever reads the number may make a float of it
    return int(text)
