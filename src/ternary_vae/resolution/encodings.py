"""What the benchmarks would compute again for the same checkpoint: the posteriors of all operations, kept in the tensor
cache when one is given."""

from __future__ import annotations

import hashlib
import platform
import shlex
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch

from ternary_vae import __version__
from ternary_vae.model import Posteriors
from ternary_vae.model.dual_vae import Side
from ternary_vae.operations import all_operations
from ternary_vae.storage.checkpoints import Checkpoint, checkpoint_bytes
from ternary_vae.storage.tensor_cache import TensorCache

OPERATIONS_KEY = "all_ternary_operations"
SIDES: tuple[Side, ...] = ("A", "B")


def cached_posteriors(
    checkpoint: Checkpoint, device: torch.device, store: TensorCache | None, encode: Callable[[], Posteriors]
) -> Posteriors:
    """The posteriors that `encode` answers for all operations, read instead where they are kept and kept where not."""
    if store is None:
        return encode()
    made_from = encodings_made_from(checkpoint, device)
    found = [store.recall(encodings_key(side, checkpoint), device, **made_from) for side in SIDES]
    if all(each is not None for each in found):
        return Posteriors(*(part for each in found if each is not None for part in each))
    posteriors = encode()
    for side, each in zip(SIDES, found):
        if each is None:
            pair = torch.stack(posteriors[:2] if side == "A" else posteriors[2:])
            store.keep(encodings_key(side, checkpoint), pair, _described(side, checkpoint), **made_from)
    return posteriors


def save_encodings(
    store: TensorCache, checkpoint: Checkpoint, device: torch.device, side: Side, posteriors: Posteriors
) -> Path:
    """Keeps one VAE's means and log-variances, one tensor of shape (2, 19683, 16); returns and raises as
    `TensorCache.save`."""
    key, made_from = encodings_key(side, checkpoint), encodings_made_from(checkpoint, device)
    pair = torch.stack(posteriors[:2] if side == "A" else posteriors[2:])
    return store.save(key, pair, _described(side, checkpoint), made_from=made_from)


def encodings_key(side: Side, checkpoint: Checkpoint) -> str:
    """Name of one VAE's encodings, as in the plan."""
    return f"latent_encodings_{side}_epoch{checkpoint.epoch}"


def encodings_made_from(checkpoint: Checkpoint, device: torch.device) -> dict[str, Any]:
    """All that the encodings of a checkpoint follow from, to the last bit."""
    return {
        "checkpoint": checkpoint_hash(checkpoint),
        "recipe": checkpoint.recipe.fingerprint(),
        "code": code_fingerprint(),
        "torch": torch.__version__,
        "machine": machine(device),
    }


def keep_operations(store: TensorCache) -> Path:
    """Keeps the table of all operations; raises as `TensorCache.save`. The package itself enumerates them, which is as
    quick."""
    metadata = {
        "purpose": "truth tables of all operations, row i that of index i",
        "remake": "python scripts/cache/regenerate_ops.py",
    }
    return store.save(OPERATIONS_KEY, all_operations(), metadata, made_from={"code": code_fingerprint()})


def checkpoint_hash(checkpoint: Checkpoint) -> str:
    """SHA-256 of the checkpoint's file. One that was never a file is hashed as the file it would be."""
    return checkpoint.content_hash or hashlib.sha256(checkpoint_bytes(checkpoint)).hexdigest()


@cache
def code_fingerprint() -> str:
    """Package version and a digest of the code that operations and encodings come from. A commit would not do: it says
    nothing about a working tree with changes."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in (package / "operations.py", *sorted((package / "model").glob("*.py")), Path(__file__)):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{__version__}+{digest.hexdigest()[:12]}"


@cache
def machine(device: torch.device) -> str:
    """What decides how a device rounds: kind and model."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            described = file.read(4096)
        name = next(line.partition(":")[2].strip() for line in described.splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor()
    return f"{device.type} {platform.machine()} {torch.backends.cpu.get_cpu_capability()} {name}".strip()


def _described(side: Side, checkpoint: Checkpoint) -> dict[str, str]:
    remake = f"python scripts/cache/encode_all.py --vae {side} --epoch {checkpoint.epoch}"
    if checkpoint.path is not None:
        remake += f" --checkpoint {shlex.quote(str(checkpoint.path))}"
    purpose = f"means and log-variances of VAE-{side} for all operations, epoch {checkpoint.epoch}"
    return {"purpose": purpose, "remake": remake}
