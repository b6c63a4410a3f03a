"""What benchmarks would compute again for the same checkpoint, kept in the tensor cache when one is given: what does
not depend on a benchmark's seed and takes longer to compute than to write and read."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor

from ternary_vae import __version__
from ternary_vae.model import Posteriors
from ternary_vae.operations import Operations, all_operations, measured_operations
from ternary_vae.pretrained.networks import SIDES, Side
from ternary_vae.resolution.statistics import named_generator
from ternary_vae.space import MOST_MEASURED
from ternary_vae.storage.checkpoints import Checkpoint, checkpoint_bytes
from ternary_vae.storage.tensor_cache import TensorCache
from ternary_vae.terminal import quoted

SAMPLE = MOST_MEASURED
"""Operations on which a larger space is measured; all of 100,000 exact are at least 99.997% (95%)."""
OPERATIONS_KEY = "all_ternary_operations"
ENCODINGS = {side: f"latent_encodings_{side}" for side in SIDES}
DISTANCES = {side: f"latent_distances_{side}" for side in SIDES}
WRONG_ENTRIES = "wrong_entries"
UNDER_NOISE = "exact_under_noise"
PURPOSES = {
    **{name: f"means and log-variances of VAE-{side} for all operations" for side, name in ENCODINGS.items()},
    WRONG_ENTRIES: "wrong entries of every operation, its mean decoded by VAE-A alone and by VAE-B alone",
    **{
        name: f"nearest other mean of VAE-{side} to every operation's, and the sum of distances to all others"
        for side, name in DISTANCES.items()
    },
    UNDER_NOISE: "how often VAE-A alone, VAE-B alone, both and neither decoded every operation exactly under noise",
}
"""What is kept of a checkpoint, by name: both benchmarks read encodings and wrong entries, and every isolated benchmark
of the checkpoint, whatever its seed, reads distances. Noise is that of a benchmark's seed 0."""


class Kept:
    """Tensors of one checkpoint on one device, by the names of `PURPOSES`. Without a store nothing is kept, and
    everything is computed; so it is for a space that cannot be listed. Writing is left to the thread that calls
    `keep_computed`."""

    def __init__(self, checkpoint: Checkpoint, device: torch.device, store: TensorCache | None = None) -> None:
        self.checkpoint = checkpoint
        self.device = device
        self._store = store if checkpoint.recipe.space.as_space().is_enumerable() else None
        self._made_from = kept_made_from(checkpoint, device) if self._store is not None else {}
        self._computed: dict[str, Tensor] = {}

    @cached_property
    def operations(self) -> Operations:
        """What benchmarks measure: all operations, or `SAMPLE` drawn at random where there are too many, the same for
        every checkpoint, benchmark seed and device."""
        space = self.checkpoint.recipe.space.as_space()
        operations = measured_operations(space, SAMPLE, named_generator(0, "operations", "cpu"))
        return Operations(*(part.to(self.device) for part in operations))

    def recall(self, name: str) -> Shaped[Tensor, "..."] | None:
        """What is kept under a name, on the device, or None."""
        if self._store is None:
            return None
        return self._store.recall(kept_key(name, self.checkpoint), self.device, **self._made_from)

    def task(self, name: str, compute: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """A task, for any thread, that answers what is kept under a name, or computes it."""
        found = self.recall(name)
        if found is not None:
            return lambda: found

        def computed() -> Tensor:
            self._computed[name] = compute()
            return self._computed[name]

        return computed

    def posteriors(self, encode: Callable[[], Posteriors]) -> Posteriors:
        """The posteriors of all operations: read where those of both VAEs are kept, else what `encode` answers."""
        found = {name: self.recall(name) for name in ENCODINGS.values()}
        pairs = [pair for pair in found.values() if pair is not None]
        if len(pairs) == len(found):
            return Posteriors(*(part for pair in pairs for part in pair))
        posteriors = encode()
        for side, name in ENCODINGS.items():
            if found[name] is None:
                self._computed[name] = encodings_of(side, posteriors)
        return posteriors

    def keep_computed(self) -> None:
        """Keeps what had to be computed since the last call. A cache that cannot be used stops nothing."""
        if self._store is not None:
            entries = {
                kept_key(name, self.checkpoint): (tensor, described_entry(name, self.checkpoint))
                for name, tensor in self._computed.items()
            }
            self._store.keep(entries, **self._made_from)
        self._computed.clear()


def save_kept(
    store: TensorCache, checkpoint: Checkpoint, device: torch.device, name: str, tensor: Shaped[Tensor, "..."]
) -> Path:
    """Keeps one tensor of a checkpoint; returns and raises as `TensorCache.save`."""
    made_from = kept_made_from(checkpoint, device)
    return store.save(kept_key(name, checkpoint), tensor, described_entry(name, checkpoint), made_from=made_from)


def encodings_of(side: Side, posteriors: Posteriors) -> Shaped[Tensor, "2 n latent"]:
    """One VAE's means and log-variances."""
    return torch.stack(posteriors.of(side))


def kept_key(name: str, checkpoint: Checkpoint) -> str:
    """Key of an entry, its epoch in it as in the plan."""
    return f"{name}_epoch{checkpoint.epoch}"


def kept_made_from(checkpoint: Checkpoint, device: torch.device) -> dict[str, Any]:
    """All that the entries of a checkpoint follow from, to the last bit."""
    return {
        "checkpoint": checkpoint_hash(checkpoint),
        "recipe": checkpoint.recipe.fingerprint(),
        "code": code_fingerprint(),
        "torch": torch.__version__,
        "matrix_products": torch.get_float32_matmul_precision(),
        "machine": machine(device),
    }


def described_entry(name: str, checkpoint: Checkpoint) -> dict[str, str]:
    """What an entry of a checkpoint is for and how to make it again."""
    described = {"purpose": f"{PURPOSES[name]}, epoch {checkpoint.epoch}"}
    place = None if checkpoint.path is None else quoted(checkpoint.path)
    side = next((side for side, encodings in ENCODINGS.items() if encodings == name), None)
    if side is not None:
        remake = f"python scripts/cache/encode_all.py --vae {side} --epoch {checkpoint.epoch}"
        described["remake"] = remake if place is None else f"{remake} --checkpoint {place}"
    elif place is not None:
        described["remake"] = f"ternary-vae cache build {place}"
    return described


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
    """Package version and a digest of the code that kept tensors come from, reading a checkpoint included. A commit
    would not do: it says nothing about a working tree with changes."""
    package = Path(__file__).parents[1]
    names = ("space.py", "operations.py", "pretrained/codes.py", "storage/checkpoints.py")
    sources = [package / name for name in names]
    sources += sorted([*(package / "model").glob("*.py"), *(package / "resolution").glob("*.py")])
    digest = hashlib.sha256()
    for path in sources:
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
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
