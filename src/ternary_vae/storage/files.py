"""Files that are whole or absent: written to a temporary name in the same directory, synced, renamed."""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ternary_vae.errors import UserError


@contextmanager
def reported(action: str, path: Path) -> Iterator[None]:
    """Turns an operating-system error into one clear line that says what could not be done, where and why."""
    try:
        yield
    except OSError as failure:
        reasons = {
            errno.ENOSPC: "no space left on the disk; free some and run the same command again",
            errno.EDQUOT: "the disk quota is used up; free some and run the same command again",
            errno.EACCES: "no permission; choose another place or change its permissions",
            errno.EROFS: "the file system is read-only; choose another place",
            errno.EISDIR: "it is a directory; name a file",
            errno.ENOTDIR: "a part of the path is a file, not a directory",
        }
        reason = reasons.get(failure.errno or 0, failure.strerror or str(failure))
        raise UserError(f"cannot {action} {path}: {reason}") from failure


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Calls `write` with a temporary file beside `path`, syncs it and renames it to `path`. A reader sees the old
    file or the new one, never a part; on failure nothing changes.

    Raises:
        UserError: if the place cannot be written or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    with reported("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "xb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_directory(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes bytes atomically."""
    write_atomically(path, lambda file: file.write(content))


def write_text(path: Path, content: str) -> None:
    """Writes UTF-8 text atomically."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Writes indented JSON atomically. NaN and infinity are errors: JSON has neither."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: Path, what: str = "a JSON file") -> Any:
    """Reads JSON.

    Raises:
        UserError: if the file is missing, unreadable or not JSON; `what` says what was expected.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: not found; expected {what}")
    try:
        with reported("read", path):
            return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise UserError(f"{path}: not valid JSON; expected {what}") from None


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Reads a `.jsonl` file. A last line that a killed process left unfinished is ignored."""
    path = Path(path)
    if not path.exists():
        return []
    with reported("read", path):
        lines = path.read_text(encoding="utf-8").split("\n")
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            if number < len(lines):
                raise UserError(f"{path}: line {number} is not valid JSON; restore or remove the file") from None
    return rows


def append_json_line(path: Path, row: dict[str, Any]) -> None:
    """Appends one line to a `.jsonl` file with a single write."""
    line = json.dumps(row, allow_nan=False, ensure_ascii=False) + "\n"
    with reported("write", Path(path)), open(path, "a", encoding="utf-8") as file:
        file.write(line)


def _sync_directory(directory: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
