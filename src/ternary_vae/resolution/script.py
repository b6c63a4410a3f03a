"""The plan's benchmark scripts (section 4), which differ in what they measure only."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ternary_vae.terminal import exit_code


def benchmark_script(
    name: Literal["manifold_resolution", "coupled_resolution"],
    description: str | None,
    arguments: Sequence[str] | None = None,
) -> int:
    """Measures one checkpoint and writes its record.

    Returns:
        exit code: 0, or 2 after one line on standard error that says what is wrong; then nothing has been written.
    """
    parser = argparse.ArgumentParser(prog=f"measure_{name}", description=description)
    parser.add_argument("--checkpoint", type=Path, required=True, help="a .safetensors checkpoint or a v5.5 .pt file")
    parser.add_argument(
        "--output", type=Path, help=f"the record (default: reports/benchmarks/{name}_N.json, N being the epoch)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the benchmark's own random draws (default: 0)")
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda or cuda:N (default: cpu)")
    parser.add_argument("--cache-dir", type=Path, help="of the tensor cache (default: models/cached_tensors)")
    parser.add_argument("--no-cache", action="store_true", help="compute everything and keep nothing")
    options = parser.parse_args(arguments)

    from ternary_vae.acceleration.allocator import keep_freed_memory
    from ternary_vae.resolution.measure import measure_coupled, measure_isolated
    from ternary_vae.resolution.records import CoupledRecord, IsolatedRecord, require_place_of_record, write_record
    from ternary_vae.storage.checkpoints import load_checkpoint
    from ternary_vae.storage.tensor_cache import TensorCache

    alone = name == "manifold_resolution"
    record, measure = (IsolatedRecord, measure_isolated) if alone else (CoupledRecord, measure_coupled)

    def write() -> None:
        checkpoint = load_checkpoint(options.checkpoint)
        output = options.output or Path("reports/benchmarks") / f"{name}_{checkpoint.epoch}.json"
        require_place_of_record(output, checkpoint.recipe, record)
        cache = None if options.no_cache else TensorCache(options.cache_dir)
        keep_freed_memory()
        write_record(output, measure(checkpoint, seed=options.seed, device=options.device, cache=cache))
        print(output)

    return exit_code(f"measure_{name}", write)
