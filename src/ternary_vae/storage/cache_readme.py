"""The README of the tensor cache's directory, written anew with every change."""

from __future__ import annotations

from collections.abc import Sequence

from ternary_vae.formats import code
from ternary_vae.storage.cache_entry import Entry

README = "README.md"
SIGN = "Written by ternary-vae, anew with every change in this directory."
"""What stands within the first 1,000 bytes of every such README, and of no other."""

_TEXT = f"""# Cached tensors

{SIGN} Everything here can be computed again, so anything may
be removed at any time: `ternary-vae cache clear`.

## Files

| File | Size | Shape | Purpose | Made from | Regenerate |
|------|-----:|-------|---------|-----------|------------|
{{rows}}

## How it works

- A file's name ends in a digest of what it was made from: checkpoint content, recipe, code, PyTorch and machine. When
  any of these changes, so does the name, and what was made before is not found.
- Each file is written whole under another name and then renamed; its header holds a SHA-256 that is checked on loading.
  What does not pass is renamed to `*.damaged`, reported and computed again.
- Tensors are stored for the CPU and loaded onto any device.
- Look: `ternary-vae cache list`, `ternary-vae cache show KEY`. Check: `ternary-vae cache verify`.
- Kept by default are encodings (means and log-variances), wrong entries, latent distances, and how often each operation
  was exact under the noise of seed 0: reading them takes from a tenth to a thousandth of the time of computing them.
  Both benchmarks of a checkpoint read the first two; every later measurement and the page's map read all of them, with
  whatever seed but for the noise.
- Not kept unless asked for, and not read by the program itself: the table of all 19,683 operations. A process
  enumerates it once, in 1 to 4 ms; reading it takes about 1 ms and writing it 10. Never kept: what takes a few
  milliseconds to compute from encodings, such as dimensionality and latent coupling. Importing the libraries takes a
  second in any case. `benchmarks/cache_speed.py` measures all of this.
"""


def readme(entries: Sequence[Entry]) -> str:
    """What each file is and how to make it again."""
    rows = [
        f"| {entry.key}.safetensors | {entry.size / 1_000_000:.2f} MB "
        f"| {'×'.join(map(str, entry.shape))} {entry.dtype} "
        f"| {_cell(entry.metadata.get('purpose', ''))} | {_cell(made_from_text(entry))} "
        f"| {code(remake) if (remake := entry.metadata.get('remake')) else ''} |"
        for entry in entries
    ]
    return _TEXT.format(rows="\n".join(rows) or "| none yet | | | | | |")


def made_from_text(entry: Entry) -> str:
    """What an entry was made from in a few words, long hashes cut short."""
    return ", ".join(
        f"{name} {value[:12] if isinstance(value, str) and len(value) == 64 else value}"
        for name, value in entry.made_from.items()
    )


def _cell(text: object) -> str:
    return code(text)[1:-1]
