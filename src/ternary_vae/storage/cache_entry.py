"""One entry of the tensor cache as a file: safetensors, with a header that says what the tensor is, what it was
computed from and the SHA-256 of its bytes."""

from __future__ import annotations

import hashlib
import json
import stat
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxtyping import Shaped
from safetensors import SafetensorError, safe_open

from ternary_vae.errors import UserError
from ternary_vae.reading import parse_json
from ternary_vae.storage.files import reported

if TYPE_CHECKING:  # headers are read without torch
    from torch import Tensor

FORMAT = "ternary-vae cached tensor 1"
_ALIGNMENT = 64
"""Bytes. Where PyTorch puts its own tensors; sums of a mapped tensor are then those of a computed one to the bit."""


class Damaged(Exception):
    """A file that is not a whole entry: torn, changed, foreign, or a link."""


@dataclass(frozen=True)
class Entry:
    """What the header of an entry says.

    Attributes:
        made_from: what the tensor was computed from.
        created: ISO 8601, by the clock of the machine that wrote it. Nothing is decided by it.
        size: of the file, in bytes.
        sha256: of the tensor's bytes.
    """

    key: str
    made_from: dict[str, Any]
    metadata: dict[str, Any]
    created: str
    shape: tuple[int, ...]
    dtype: str
    sha256: str
    size: int = 0

    @property
    def from_the_future(self) -> bool:
        """Whether a clock was wrong: here, or where the entry was written."""
        try:
            return datetime.fromisoformat(self.created) > datetime.now(UTC)
        except (TypeError, ValueError):
            return False


def entry_bytes(
    key: str, tensor: Shaped[Tensor, "..."], made_from: Mapping[str, Any], metadata: Mapping[str, Any]
) -> bytes:
    """An entry as the bytes of its file.

    Raises:
        UserError: a tensor that safetensors cannot hold, or descriptions that JSON cannot.
    """
    from safetensors.torch import save as safetensors_bytes

    try:
        content = tensor.detach().to("cpu").contiguous()
        entry = Entry(
            key=key,
            made_from=dict(made_from),
            metadata=dict(metadata),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            shape=tuple(content.shape),
            dtype=str(content.dtype).removeprefix("torch."),
            sha256=_digest(content),
        )
        description = {**asdict(entry), "format": FORMAT}
        del description["size"]
        text = json.dumps(description, allow_nan=False, sort_keys=True)
        parse_json(text)  # as it is read again
        header = {"entry": text}
        return _aligned(safetensors_bytes({"tensor": content}, metadata=header))
    except (SafetensorError, RuntimeError, TypeError, ValueError, KeyError, NotImplementedError) as failure:
        raise UserError(f"cache entry {key!r}: cannot be stored: {failure}") from None


def read_entry(path: Path) -> tuple[Entry, Tensor]:
    """Maps the file into memory and checks every byte of its tensor against the header.

    Raises:
        Damaged: the file is not a whole entry.
        UserError: it cannot be read.
    """
    before = _identity(path)
    try:
        entry, tensor = _opened(path, with_tensor=True)
        assert tensor is not None
        if tuple(tensor.shape) != entry.shape or str(tensor.dtype).removeprefix("torch.") != entry.dtype:
            raise Damaged("its tensor is not the one that its header describes")
        if _digest(tensor) != entry.sha256:
            raise Damaged("its content has changed since it was written")
    except Damaged:
        if _identity(path) == before:
            raise
        # Replaced by another process between two looks at it: safetensors opens a file by name more than once.
        return read_entry(path)
    return entry, tensor


def _identity(path: Path) -> tuple[int, int, int]:
    """What changes when a file is replaced by another of the same name."""
    with reported("read", path):
        status = path.lstat()
    return status.st_ino, status.st_mtime_ns, status.st_size


def read_description(path: Path) -> Entry:
    """The header alone; the tensor's bytes are not looked at. Raises as `read_entry`."""
    return _opened(path, with_tensor=False)[0]


def _opened(path: Path, with_tensor: bool) -> tuple[Entry, Tensor | None]:
    with reported("read", path):
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise Damaged("it is a link" if stat.S_ISLNK(status.st_mode) else "it is not a file")
        with open(path, "rb"):  # says why it cannot be read; what is wrong inside is said below
            pass
        try:
            with safe_open(path, framework="pt" if with_tensor else "np") as file:
                description = parse_json(file.metadata()["entry"])
                tensor = file.get_tensor("tensor") if with_tensor else None
            if description.pop("format") != FORMAT:
                raise Damaged("it was written by another program or version")
            entry = Entry(**{**description, "shape": tuple(description["shape"]), "size": status.st_size})
            _require_types(entry)
        except (SafetensorError, KeyError, TypeError, ValueError, AttributeError, RuntimeError) as failure:
            raise Damaged(f"it is torn or of another program ({failure})") from None
    if f"{entry.key}.safetensors" != path.name:
        raise Damaged(f"it is the entry {entry.key!r} under another name")
    return entry, tensor


def _require_types(entry: Entry) -> None:
    """Raises TypeError: a value of another type than the program writes."""
    types = {"key": str, "made_from": dict, "metadata": dict, "created": str, "dtype": str, "sha256": str}
    for name, expected in types.items():
        if not isinstance(getattr(entry, name), expected):
            raise TypeError(f"{name} is {getattr(entry, name)!r}")
    if not all(isinstance(size, int) for size in entry.shape):
        raise TypeError(f"shape is {entry.shape}")


def _digest(tensor: Tensor) -> str:
    import torch

    return hashlib.sha256(memoryview(tensor.reshape(-1).view(torch.uint8).numpy())).hexdigest()


def _aligned(content: bytes) -> bytes:
    """Widens the header with blanks until the tensor's bytes start at a multiple of the alignment."""
    (length,) = struct.unpack_from("<Q", content)
    blanks = -(8 + length) % _ALIGNMENT
    return struct.pack("<Q", length + blanks) + content[8 : 8 + length] + b" " * blanks + content[8 + length :]
