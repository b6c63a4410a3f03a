"""Files that are whole or absent: written to a temporary name in the same directory, synced, renamed."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from ternary_vae.errors import UserError
from ternary_vae.reading import as_text, file_bytes, parse_json

_MOST_BYTES_OF_JSON = 64 * 2**20


@contextmanager
def reported(action: str, path: Path) -> Iterator[None]:
    """Turns an operating-system error into one clear line that says what could not be done, where and why."""
    try:
        yield
    except OSError as failure:
        reasons = {
            errno.ENOSPC: "no space left on the disk; make room for it",
            errno.EDQUOT: "the disk quota is used up; make room for it",
            errno.EACCES: "no permission; choose another place or change its permissions",
            errno.EPERM: "no permission; choose another place or change its permissions",
            errno.EROFS: "the file system is read-only; choose another place",
            errno.EISDIR: "it is a directory; name a file",
            errno.ENOTDIR: "a part of the path is a file, not a directory",
            errno.EEXIST: "a part of the path is a file, not a directory",
        }
        reason = reasons.get(failure.errno or 0, failure.strerror or str(failure))
        raise UserError(f"cannot {action} {path}: {reason}") from failure


def require_utf_8(path: Path, library: str) -> None:
    """Checks that a library which opens files by UTF-8 names alone can open what lies at a path.

    Raises:
        UserError: a name in it is not UTF-8.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise UserError(f"{path}: is not UTF-8, and {library} opens nothing else; name another place") from None


def require_writable(path: Path) -> None:
    """Says before something long is computed, not after it, that its file could not be written.

    Raises:
        UserError: a directory, a pipe or a device of that name, a file among its parents, or no permission.
    """
    _require_room_for_file(path)
    parent = next(parent for parent in path.absolute().parents if parent.exists())
    if not parent.is_dir():
        raise UserError(f"cannot write {path}: {parent} is a file, not a directory; choose another place")
    if not os.access(parent, os.W_OK):
        raise UserError(f"cannot write {path}: no permission in {parent}; choose another place")


def require_own(path: Path, sign: str, kind: str, instead: str = "file") -> None:
    """Refuses to overwrite a file that is not one of a kind.

    Args:
        sign: what stands within the first 1,000 bytes of every file of that kind.
        kind: what such a file is called.
        instead: what `--output` names.

    Raises:
        UserError: a file is there that does not have it, or cannot be read.
    """
    if path.exists():
        with reported("read", path), open(path, "rb") as file:
            beginning = file.read(1000)
        if sign.encode() not in beginning:
            raise UserError(f"{path}: exists and is no {kind}; name another {instead} with --output")


def require_absent(*paths: Path, instead: str = "directory") -> None:
    """Refuses to overwrite a file, or a link, whatever it leads to.

    Raises:
        UserError: one of the paths is there already.
    """
    for path in paths:
        if os.path.lexists(path):
            raise UserError(f"{path}: is there already and is not overwritten; name another {instead}")


def write_atomically(
    path: Path, write: Callable[[BinaryIO], object], also: Sequence[Path] = (), new: bool = False
) -> None:
    """Calls `write` with a temporary file beside `path`, syncs it and renames it to `path`. A reader sees the
    old file or the new one, never a part; on failure nothing changes.

    Args:
        also: further names in the same directory for the same content, replaced one by one before `path` itself; hard
            links where the file system has them.
        new: whether a file that is there by then is an error, and not overwritten.

    Raises:
        UserError: if the place cannot be written or the disk is full.
    """
    path = Path(path)
    with reported("write", path), _whole(path, write) as temporary:
        for name in also:
            _replace_by_link(temporary, name)
        _rename(temporary, path, new)
    _sync_directory(path.parent)


def write_together(contents: Mapping[Path, str | bytes], new: bool = False) -> None:
    """Writes files of one directory that belong together, text as UTF-8: all to temporary names, each synced, and only
    then renamed, in the order given. Should a rename fail, those renamed to names that were free are removed. `new` as
    in `write_atomically`.

    Raises:
        UserError: if the place cannot be written or the disk is full.
    """
    with ExitStack() as stack:
        temporaries = {}
        for path, content in contents.items():
            data = content if isinstance(content, bytes) else _utf_8(content)
            with reported("write", path):
                temporaries[path] = stack.enter_context(_whole(path, lambda file, data=data: file.write(data)))
        for path, temporary in temporaries.items():
            free = not os.path.lexists(path)
            with reported("write", path):
                _rename(temporary, path, new)
            if free:
                stack.enter_context(_removed_on_failure(path))
    for directory in {path.parent for path in contents}:
        _sync_directory(directory)


def write_bytes(path: Path, content: bytes, also: Sequence[Path] = ()) -> None:
    """Writes bytes atomically; `also` as in `write_atomically`."""
    write_atomically(path, lambda file: file.write(content), also)


def write_text(path: Path, content: str) -> None:
    """Writes UTF-8 text atomically. A file's name in it that is no text has its bytes as `\\udcNN`, which JSON reads as
    that name again."""
    write_bytes(path, _utf_8(content))


def write_json(path: Path, content: Any) -> None:
    """Writes indented JSON atomically. NaN and infinity are errors: JSON has neither."""
    write_text(path, json_text(content))


def json_text(content: Any) -> str:
    """What `write_json` writes."""
    return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def read_json(path: Path, what: str = "a JSON file") -> Any:
    """Reads JSON.

    Raises:
        UserError: if the file is missing, unreadable or not JSON; `what` says what was expected.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: not found; expected {what}")
    with reported("read", path):
        content = file_bytes(path, _MOST_BYTES_OF_JSON)
    try:
        return parse_json(as_text(content))
    except ValueError as failure:
        reason = "" if isinstance(failure, json.JSONDecodeError | UnicodeDecodeError) else f": {failure}"
        raise UserError(f"{path}: not valid JSON{reason}; expected {what}") from None


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Reads a `.jsonl` file. A last line that a killed process left unfinished is ignored.

    Raises:
        UserError: if the file cannot be read or any other line is not a JSON object.
    """
    path = Path(path)
    if not path.exists():
        return []
    with reported("read", path):
        lines = file_bytes(path).split(b"\n")
    rows = []
    for number, line in enumerate(lines, start=1):
        row = row_of(line)
        if row is not None:
            rows.append(row)
        elif line.strip() and number < len(lines):
            raise UserError(f"{path}: line {number} is not a JSON object; restore or remove the file")
    return rows


def append_json_line(path: Path, row: dict[str, Any]) -> None:
    """Appends one line to a `.jsonl` file with a single write, in place of a last line that a killed process
    left unfinished. One process writes to a file at a time.

    Raises:
        UserError: if the place cannot be written or the disk is full.
    """
    line = _utf_8(json.dumps(row, allow_nan=False, ensure_ascii=False) + "\n")
    with reported("write", Path(path)), open(path, "a+b", buffering=0) as file:
        unfinished = _last_line(file)
        if unfinished and row_of(unfinished) is not None:
            line = b"\n" + line
        elif unfinished:
            file.truncate(file.seek(0, os.SEEK_END) - len(unfinished))
        if file.write(line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Waits for the operating system's lock on a directory, and holds it. Where there are no such locks, or none that
    other machines see, everybody gets one: it spares work, and keeps nothing whole. See `storage.lease` for what does.

    Raises:
        UserError: the directory cannot be opened.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with reported("lock", directory):
        descriptor = os.open(directory, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _utf_8(text: str) -> bytes:
    return text.encode("utf-8", errors="backslashreplace")


def row_of(line: bytes) -> dict[str, Any] | None:
    """The object that a line holds, or None if it holds no whole one."""
    try:
        row = parse_json(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _last_line(file: BinaryIO) -> bytes:
    """What follows the last line end of a file."""
    tail = b""
    end = file.seek(0, os.SEEK_END)
    while end and b"\n" not in tail:
        start = max(0, end - 4096)
        file.seek(start)
        tail = file.read(end - start) + tail
        end = start
    return tail.rpartition(b"\n")[2]


def _require_room_for_file(path: Path) -> None:
    if path.is_dir():
        raise UserError(f"cannot write {path}: it is a directory; name a file")
    # What is written is renamed into place, so that it would be gone; standard output lies in /dev, whatever it is.
    if (path.exists() and not path.is_file()) or path.absolute().parent == Path("/dev"):
        raise UserError(f"cannot write {path}: it is a pipe or a device; name a file")


_TEMPORARY = re.compile(r"\..+\.\d+\.[0-9a-f]{8}\.tmp")


def is_leftover(path: Path) -> bool:
    """Whether it has the name under which a process writes a file until it is whole."""
    return _TEMPORARY.fullmatch(path.name) is not None


def leftovers(directory: Path) -> list[Path]:
    """What killed processes were writing into a directory."""
    return [path for path in directory.glob(".*.tmp") if is_leftover(path)]


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")


@contextmanager
def _whole(path: Path, write: Callable[[BinaryIO], object]) -> Iterator[Path]:
    """A temporary file beside `path` that `write` has written, synced; removed on failure."""
    _require_room_for_file(path)
    temporary = _temporary(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _removed_on_failure(temporary):
        with open(temporary, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        yield temporary


@contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError):  # what went wrong first is what is reported
            path.unlink(missing_ok=True)
        raise


def _rename(temporary: Path, path: Path, new: bool) -> None:
    """Renames a temporary file; to a name that must be free, by a link, which overwrites nothing."""
    if new:
        try:
            os.link(temporary, path)
        except (OSError, AttributeError):  # the name is taken, or no hard links here
            require_absent(path, instead="place")
        else:
            return temporary.unlink()
    os.replace(temporary, path)


def _replace_by_link(existing: Path, path: Path) -> None:
    """Gives `path` the content of `existing`, atomically."""
    temporary = _temporary(path)
    with _removed_on_failure(temporary):
        try:
            os.link(existing, temporary)
        except (OSError, AttributeError):  # no hard links here, or no more of them
            write_bytes(path, existing.read_bytes())
        else:
            os.replace(temporary, path)


def _sync_directory(directory: Path) -> None:
    """Makes a rename outlast a loss of power. Some file systems cannot; the file is whole in any case."""
    if os.name != "posix":
        return
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
