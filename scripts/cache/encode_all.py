"""Encodes all 19,683 operations with one VAE of a checkpoint, or both, and keeps the encodings in the tensor cache."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ternary_vae.terminal import exit_code


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vae", choices=("A", "B"), action="append", help="which VAE (default: both)")
    parser.add_argument("--epoch", type=int, help="whose checkpoint of the run (default: the run's latest)")
    parser.add_argument("--run", type=Path, help="run directory (default: the newest in runs/ with that checkpoint)")
    parser.add_argument(
        "--checkpoint", type=Path, help="a .safetensors checkpoint or a v5.5 .pt file, instead of a run"
    )
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda or cuda:N (default: cpu)")
    parser.add_argument("--cache-dir", type=Path, help="of the tensor cache (default: models/cached_tensors)")
    options = parser.parse_args()

    from ternary_vae.cli import cache

    cache.encode_all(
        options.vae or ["A", "B"],
        options.epoch,
        run=options.run,
        checkpoint=options.checkpoint,
        device=options.device,
        cache_dir=options.cache_dir,
    )


if __name__ == "__main__":
    sys.exit(exit_code("encode_all", main))
