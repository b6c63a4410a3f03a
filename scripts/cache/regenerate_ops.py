"""Writes the table of all 19,683 operations into the tensor cache."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ternary_vae.terminal import exit_code


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache-dir", type=Path, help="of the tensor cache (default: models/cached_tensors)")
    options = parser.parse_args()

    from ternary_vae.cli import cache

    cache.build(operations=True, device="cpu", cache_dir=options.cache_dir)


if __name__ == "__main__":
    sys.exit(exit_code("regenerate_ops", main))
