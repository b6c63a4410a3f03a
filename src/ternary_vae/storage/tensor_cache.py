"""The tensor cache: tensors that take longer to compute than to read, in one known directory, each under a key that
holds a digest of what it was computed from (plan, appendix A.3)."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxtyping import Shaped

from ternary_vae.errors import UserError
from ternary_vae.reading import file_bytes
from ternary_vae.storage.cache_entry import Damaged, Entry, entry_bytes, read_description, read_entry
from ternary_vae.storage.cache_readme import README, SIGN, readme
from ternary_vae.storage.files import is_leftover, locked, reported, require_utf_8, write_bytes, write_text
from ternary_vae.terminal import quoted

if TYPE_CHECKING:  # looking at files needs no torch
    import torch
    from torch import Tensor

DEFAULT_DIRECTORY = Path("models/cached_tensors")
ENVIRONMENT_VARIABLE = "TERNARY_VAE_CACHE_DIR"
LIMIT_MEGABYTES = 500.0
MEGABYTE = 1_000_000
DAMAGED_SUFFIX = ".damaged"
_SET_ASIDE = ".safetensors" + DAMAGED_SUFFIX
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,150}")
_ABANDONED_SECONDS = 3600


def cache_directory(chosen: str | Path | None = None, configured: str | Path | None = None) -> Path:
    """Where the cache lies: as `chosen` on the command line, else the environment's TERNARY_VAE_CACHE_DIR, else as
    `configured` in a recipe, else models/cached_tensors."""
    return Path(chosen or os.environ.get(ENVIRONMENT_VARIABLE) or configured or DEFAULT_DIRECTORY)


class TensorCache:
    """Tensors by key in one directory. Creating the object touches nothing.

    Writers put whole files in place, so any number of processes may read and write at once. An entry that is not
    whole, or was made from something else, is never returned.

    Args:
        directory: see `cache_directory` for the default.
        limit_megabytes: size (10⁶ bytes) above which a warning is reported, once.
        report: receives one line for each thing wrong; standard error by default.
    """

    def __init__(
        self,
        directory: str | Path | None = None,
        *,
        limit_megabytes: float = LIMIT_MEGABYTES,
        report: Callable[[str], object] | None = None,
    ) -> None:
        self.directory = cache_directory(directory)
        self.limit_megabytes = limit_megabytes
        self.report = report or _to_standard_error
        self._readable = self._writable = True
        self._warned = self._readme_reported = False

    def save(
        self,
        key: str,
        tensor: Shaped[Tensor, "..."],
        metadata: Mapping[str, Any] | None = None,
        *,
        made_from: Mapping[str, Any] | None = None,
    ) -> Path:
        """Stores a tensor of any device, in place of an entry of the same key made from the same.

        Args:
            metadata: JSON values. `purpose` and `remake` (a command) are shown in the directory's README.
            made_from: JSON values that the tensor follows from; a digest of them becomes part of the file's name.

        Returns:
            the file.

        Raises:
            UserError: not a key, the directory cannot be written, or the disk is full.
        """
        path = self._write(key, tensor, metadata, made_from)
        self._describe()
        self.watch_budget()
        return path

    def load(
        self, key: str, device: torch.device | str = "cpu", *, made_from: Mapping[str, Any] | None = None
    ) -> tuple[Tensor, dict[str, Any]] | None:
        """The tensor and its metadata, or None if there is no whole entry. On the CPU the tensor is a private map of
        the file. A damaged entry is reported and set aside. Without `made_from`, `key` is that of `list_cache`.

        Raises:
            UserError: not a key, the directory cannot be read, or the device is not there or has no room.
        """
        path = self.path(key, made_from)
        self._require_directory()
        try:
            entry, tensor = read_entry(path)
            if made_from is not None and entry.made_from != _plain(made_from):
                raise Damaged("it was made from something else")
        except Damaged as damage:
            self._set_aside(path, damage)
            return None
        except UserError as failure:
            # Not looked for again: another process may have written it since.
            if isinstance(failure.__cause__, FileNotFoundError):
                return None
            raise
        return _moved(tensor, device, path), entry.metadata

    def exists(self, key: str, *, made_from: Mapping[str, Any] | None = None) -> bool:
        """Whether there is an entry whose header is whole; `load` also checks its content."""
        path = self.path(key, made_from)
        self._require_directory()
        try:
            entry = read_description(path)
        except (Damaged, UserError):
            return False
        return made_from is None or entry.made_from == _plain(made_from)

    def list_cache(self) -> list[Entry]:
        """Every entry whose header is whole, by key."""
        entries = []
        for path in self._files():
            with suppress(Damaged, UserError):
                if path.suffix == ".safetensors":
                    entries.append(read_description(path))
        return entries

    def remove(self, key: str, *, made_from: Mapping[str, Any] | None = None) -> int:
        """Removes an entry, a link never followed.

        Returns:
            bytes freed; 0 if there was none.

        Raises:
            UserError: not a key, or no permission.
        """
        path = self.path(key, made_from)
        if not self._require_directory():
            return 0
        freed = _remove(path)
        if freed:
            self._describe()
        return freed

    def verify(self) -> tuple[list[Entry], dict[str, str]]:
        """Checks every byte of every entry.

        Returns:
            whole entries, and what is wrong with each other file, by its name. Nothing is moved.
        """
        whole, wrong = [], {}
        for path in self._files():
            if path.name == README or path.name.startswith("."):
                continue
            try:
                whole.append(read_entry(path)[0])
            except (Damaged, UserError) as problem:
                wrong[path.name] = "set aside as damaged" if path.name.endswith(_SET_ASIDE) else str(problem)
        return whole, wrong

    def remove_leftovers(self) -> int:
        """Removes entries set aside and files that a killed process was writing; returns the bytes freed."""
        return sum(map(_remove, self.leftovers()))

    def leftovers(self) -> list[Path]:
        """Entries set aside, and files that nobody has written to for an hour and that never became entries."""
        return [path for path in self._files() if path.name.endswith(_SET_ASIDE) or _is_abandoned(path)]

    def recall(self, key: str, device: torch.device | str = "cpu", **made_from: Any) -> Tensor | None:
        """As `load`, for work that goes on without the cache: what is wrong is reported once, never raised."""
        loaded = None
        try:
            loaded = self.load(key, device, made_from=made_from) if self._readable else None
        except (UserError, OSError) as problem:
            path = self.path(key, made_from)
            if isinstance(problem.__cause__, PermissionError) and os.path.lexists(path):
                shared = f"{_owner(path)} lets nobody else read it and could share it with chmod g+r"
                self.report(f"{path}: not used, {shared}; computed again")
            else:
                self._readable = self._writable = False
                self.report(f"{problem}; going on without the tensor cache")
        return None if loaded is None else loaded[0]

    def keep(self, entries: Mapping[str, tuple[Tensor, Mapping[str, Any]]], **made_from: Any) -> None:
        """As `save`, for work that goes on without the cache: tensors and metadata by key, all made from the same."""
        if not self._writable or not entries:
            return
        try:
            for key, (tensor, metadata) in entries.items():
                self._write(key, tensor, metadata, made_from)
            self._describe()
            self.watch_budget()
        except (UserError, OSError) as problem:
            self._writable = False
            self.report(f"{problem}; going on without writing to the tensor cache")

    def size(self) -> int:
        """Bytes of all files in the directory, entries or not."""
        return sum(size for size, _ in self._sizes())

    def watch_budget(self) -> None:
        """Reports, once, that the directory has grown past its limit, and what is largest."""
        if self._warned or os.path.islink(self.directory):  # which is said where the cache is used
            return
        sizes = sorted(self._sizes(), reverse=True)
        total = sum(size for size, _ in sizes)
        if total > self.limit_megabytes * MEGABYTE:
            self._warned = True
            largest = ", ".join(f"{name} ({size / MEGABYTE:.1f} MB)" for size, name in sizes[:3])
            self.report(
                f"{self.directory}: {total / MEGABYTE:.1f} MB, more than the limit of {self.limit_megabytes:g} MB; "
                f"largest: {largest}; `ternary-vae cache clear --cache-dir {quoted(self.directory)}` makes room"
            )

    def path(self, key: str, made_from: Mapping[str, Any] | None = None) -> Path:
        """File of an entry, always directly in the directory.

        Raises:
            UserError: not a key.
        """
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise UserError(
                f"cache key {key!r}: expected letters, digits, '_', '-', '+' and '.', at most 151 and the first a "
                "letter or a digit"
            )
        return self.directory / f"{key}{_digest(made_from) if made_from else ''}.safetensors"

    def _write(
        self,
        key: str,
        tensor: Shaped[Tensor, "..."],
        metadata: Mapping[str, Any] | None,
        made_from: Mapping[str, Any] | None,
    ) -> Path:
        path = self.path(key, made_from)
        content = entry_bytes(path.stem, tensor, made_from or {}, metadata or {})
        self._require_directory()
        write_bytes(path, content)
        return path

    def _require_directory(self) -> bool:
        """Whether the directory is there.

        Raises:
            UserError: it is a link or a file, or not UTF-8.
        """
        require_utf_8(self.directory, "safetensors")
        with reported("use the tensor cache", self.directory):
            try:
                mode = self.directory.lstat().st_mode
            except FileNotFoundError:
                return False
        if stat.S_ISLNK(mode):
            raise UserError(f"{self.directory}: is a link; name the directory that the tensor cache is to lie in")
        if not stat.S_ISDIR(mode):
            raise UserError(f"{self.directory}: is a file; name a directory for the tensor cache")
        return True

    def _files(self) -> list[Path]:
        if not self._require_directory():
            return []
        with reported("read", self.directory):
            return sorted(path for path in self.directory.iterdir() if not path.is_dir() or path.is_symlink())

    def _sizes(self) -> Iterator[tuple[int, str]]:
        with suppress(OSError), os.scandir(self.directory) as files:
            for file in files:
                with suppress(OSError):
                    if file.is_file(follow_symlinks=False):
                        yield file.stat(follow_symlinks=False).st_size, file.name

    def _set_aside(self, path: Path, damage: Damaged) -> None:
        aside = path.with_name(path.name + DAMAGED_SUFFIX)
        try:
            os.replace(path, aside)
        except OSError as failure:
            self.report(f"{path}: not used, {damage}; cannot be set aside: {failure.strerror}; computed again")
            return
        self.report(f"{path}: not used, {damage}; set aside as {aside.name} and computed again")
        with suppress(UserError, OSError):  # the next save writes it
            self._describe()

    def _describe(self) -> None:
        """Writes the README for what is there now, one process at a time. In a directory where everybody may replace
        only what is theirs, that of another user stays as it is; and so does, anywhere, a README that is none of a
        cache's."""
        path = self.directory / README
        with locked(self.directory):
            text = readme(self.list_cache())
            if os.path.lexists(path):
                try:
                    there = file_bytes(path)
                except OSError:
                    return
                if SIGN.encode() not in there[:1000] or there == text.encode(errors="backslashreplace"):
                    return
            try:
                write_text(path, text)
            except UserError as problem:
                if not isinstance(problem.__cause__, PermissionError) or not path.exists():
                    raise
                if not self._readme_reported:
                    self._readme_reported = True
                    self.report(f"{path}: out of date, {_owner(path)} lets nobody else replace it")


def _plain(made_from: Mapping[str, Any] | None) -> Any:
    """As JSON gives it back.

    Raises:
        UserError: values that JSON cannot hold.
    """
    try:
        return json.loads(json.dumps(dict(made_from or {}), allow_nan=False))
    except (TypeError, ValueError) as failure:
        raise UserError(f"made_from of a cache entry: {failure}; expected JSON values") from None


def _moved(tensor: Shaped[Tensor, "..."], device: torch.device | str, path: Path) -> Shaped[Tensor, "..."]:
    try:
        return tensor.to(device)
    except (RuntimeError, AssertionError, NotImplementedError) as failure:  # how torch says so differs by device
        reason = str(failure).partition("\n")[0]
        raise UserError(f"{path}: cannot be loaded onto device {str(device)!r}: {reason}") from None


def _digest(made_from: Mapping[str, Any]) -> str:
    text = json.dumps(_plain(made_from), sort_keys=True, ensure_ascii=False)
    return "-" + hashlib.sha256(text.encode()).hexdigest()[:16]


def _owner(path: Path) -> str:
    """Whose a file is, for people."""
    with suppress(KeyError, OSError, NotImplementedError):  # an account of another machine; no accounts
        return path.owner()
    with suppress(OSError):
        return f"user {path.lstat().st_uid}"
    return "its owner"


def _is_abandoned(path: Path) -> bool:
    with suppress(OSError):
        return is_leftover(path) and abs(time.time() - path.lstat().st_mtime) > _ABANDONED_SECONDS
    return False


def _remove(path: Path) -> int:
    with reported("remove", path):
        try:
            size = path.lstat().st_size
            path.unlink()
        except FileNotFoundError:
            return 0
        return size


def _to_standard_error(message: str) -> None:
    print(f"tensor cache: {message}", file=sys.stderr)
