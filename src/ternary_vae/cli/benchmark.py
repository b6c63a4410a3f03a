"""`ternary-vae benchmark`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ternary_vae.cli.options import BenchmarkSeed, CacheDirectory, Checkpoints, DeviceOption, require_different_epochs
from ternary_vae.cli.output import say


def benchmark(
    checkpoints: Checkpoints,
    output: Annotated[Path, typer.Option("--output", "-o", help="Directory of the records.")] = Path(
        "reports/benchmarks"
    ),
    seed: BenchmarkSeed = 0,
    device: DeviceOption = "auto",
    cache: Annotated[bool, typer.Option(help="Keep in the tensor cache what would be computed again.")] = True,
    cache_dir: CacheDirectory = None,
) -> None:
    """Measure checkpoints, each VAE alone and both together, and write the records."""
    from ternary_vae.acceleration.allocator import keep_freed_memory
    from ternary_vae.devices import choose_device
    from ternary_vae.resolution.figures import summary
    from ternary_vae.resolution.measure import measure_both
    from ternary_vae.resolution.records import CoupledRecord, IsolatedRecord, require_place_of_record, write_record
    from ternary_vae.storage.checkpoints import load_checkpoint
    from ternary_vae.storage.tensor_cache import TensorCache

    device = choose_device(device)
    loaded = [load_checkpoint(path) for path in checkpoints]
    require_different_epochs([checkpoint.epoch for checkpoint in loaded])
    places = [
        [output / f"{kind}_resolution_{checkpoint.epoch}.json" for kind in ("manifold", "coupled")]
        for checkpoint in loaded
    ]
    for checkpoint, paths in zip(loaded, places):
        for path, record in zip(paths, (IsolatedRecord, CoupledRecord)):
            require_place_of_record(path, checkpoint.recipe, record)
    # A checkpoint's own recipe does not say where the cache lies.
    store = TensorCache(cache_dir) if cache else None
    keep_freed_memory()
    for checkpoint, (isolated_path, coupled_path) in zip(loaded, places):
        isolated, coupled = measure_both(checkpoint, seed=seed, device=device, cache=store)
        write_record(isolated_path, isolated)
        write_record(coupled_path, coupled)
        say(f"{checkpoint.path}: epoch {checkpoint.epoch}  {summary(isolated, coupled)}")
    say(f"records in {output}")
