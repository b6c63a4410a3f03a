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

    from ternary_vae.cli.cache import keep
    from ternary_vae.errors import UserError
    from ternary_vae.resolution.kept import ENCODINGS
    from ternary_vae.storage.checkpoints import load_checkpoint
    from ternary_vae.storage.tensor_cache import TensorCache

    epoch = options.epoch
    loaded = load_checkpoint(options.checkpoint or checkpoint_of(options.run, epoch))
    if epoch is not None and loaded.epoch != epoch:
        raise UserError(f"{loaded.path}: of epoch {loaded.epoch}, not {epoch}; leave --epoch out or name another")
    names = [ENCODINGS[side] for side in options.vae or ENCODINGS]
    keep(TensorCache(options.cache_dir), loaded, names, options.device)


def checkpoint_of(run: Path | None, epoch: int | None) -> Path:
    """A checkpoint's file: of a run, or of the newest run that has it.

    Raises:
        UserError: no run has it.
    """
    from ternary_vae.errors import UserError
    from ternary_vae.storage.runs import RunDirectory

    name = "latest" if epoch is None else epoch
    if run is not None:
        return RunDirectory(run).checkpoint(name)
    paths = [path for path in (RunDirectory(each).checkpoint(name) for each in Path("runs").glob("*")) if path.exists()]
    if not paths:
        wanted = "a checkpoint" if epoch is None else f"a checkpoint of epoch {epoch}"
        raise UserError(f"no run in runs/ has {wanted}; name one with --checkpoint or a run with --run")
    return max(paths, key=lambda path: path.stat().st_mtime)


if __name__ == "__main__":
    sys.exit(exit_code("encode_all", main))
