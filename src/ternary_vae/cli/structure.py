"""`ternary-vae structure`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ternary_vae.cli.options import BenchmarkSeed, Checkpoints, DeviceOption, require_different_epochs
from ternary_vae.cli.output import print_table, say


def structure(
    checkpoints: Checkpoints,
    output: Annotated[Path, typer.Option("--output", "-o", help="Directory of the records and the report.")] = Path(
        "reports/benchmarks"
    ),
    seed: BenchmarkSeed = 0,
    device: DeviceOption = "auto",
) -> None:
    """Measure what the codes of checkpoints know: distances, algebra, arithmetic, axes, paths, noise."""
    from ternary_vae.devices import choose_device
    from ternary_vae.reports.structure import by_recipe, judged, write_structure_report
    from ternary_vae.resolution.records import write_record
    from ternary_vae.resolution.structure.measure import measure_structure
    from ternary_vae.storage.checkpoints import load_checkpoint
    from ternary_vae.terminal import quoted

    device = choose_device(device)
    loaded = [load_checkpoint(path) for path in checkpoints]
    require_different_epochs([checkpoint.epoch for checkpoint in loaded])
    records = []
    for checkpoint in loaded:
        records.append(measure_structure(checkpoint, seed=seed, device=device))
        path = output / f"structure_{checkpoint.epoch}.json"
        write_record(path, records[-1])
        say(f"{checkpoint.path}: {path}")
    groups = by_recipe(records)
    found = judged(groups)
    rows = [(row.claim.text, row.claim.required_text(), row.figures, f"{row.holds} of {row.of}") for row in found]
    print_table(
        ("", "required", "measured", "holds in"),
        rows,
        right=(3,),
        title="What the codes know",
    )
    command = f"ternary-vae structure {' '.join(map(quoted, checkpoints))}"
    for path in write_structure_report(groups, output / "STRUCTURE.md", command):
        say(f"wrote {path}")
