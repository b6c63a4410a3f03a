"""`ternary-vae structure`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ternary_vae.cli.options import BenchmarkSeed, DeviceOption, require_different_epochs
from ternary_vae.cli.output import print_table, say

if TYPE_CHECKING:
    from ternary_vae.storage.checkpoints import Checkpoint

_OUTPUT = Path("reports/benchmarks")


def structure(
    checkpoints: Annotated[
        list[Path],
        typer.Argument(
            help="Checkpoints (.safetensors or v5.5 .pt), or the directory of a run: its milestones, for its page."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Directory of the report, and of the records of checkpoints.",
            show_default=f"{_OUTPUT}, or the run's reports",
        ),
    ] = None,
    seed: BenchmarkSeed = 0,
    device: DeviceOption = "auto",
) -> None:
    """Measure what the codes of checkpoints know: distances, algebra, arithmetic, axes, paths, noise."""
    from ternary_vae.devices import choose_device
    from ternary_vae.reports.structure import (
        by_recipe,
        followed,
        judged,
        last_of_each_seed,
        require_own_report,
        write_structure_report,
    )
    from ternary_vae.resolution.records import require_place_of_record, write_record
    from ternary_vae.resolution.structure.measure import measure_structure
    from ternary_vae.resolution.structure.records import StructureRecord
    from ternary_vae.terminal import quoted

    device = choose_device(device)
    loaded, records_in, reports_in = _chosen(checkpoints, output)
    places = [records_in / f"structure_{checkpoint.epoch}.json" for checkpoint in loaded]
    for checkpoint, path in zip(loaded, places):
        require_place_of_record(path, checkpoint.recipe, StructureRecord)
    report = reports_in / "STRUCTURE.md"
    require_own_report(report)
    records = []
    for checkpoint, path in zip(loaded, places):
        # Of a run's milestones only the last is probed, which takes most of the time and is not followed over epochs.
        probed = records_in == reports_in or checkpoint is loaded[-1]
        records.append(measure_structure(checkpoint, seed=seed, device=device, probed=probed))
        write_record(path, records[-1])
        say(f"{checkpoint.path}: {path}")
    recipes = by_recipe(records)
    groups = [last_of_each_seed(group) for group in recipes]
    rows = [
        (row.claim.text, row.claim.required_text(), row.figures, f"{row.holds} of {row.of}") for row in judged(groups)
    ]
    print_table(("", "required", "measured", "holds in"), rows, right=(3,), title="What the codes know")
    command = f"ternary-vae structure {' '.join(map(quoted, checkpoints))}"
    command += "" if output is None else f" --output {quoted(output)}"
    command += f" --seed {seed}" if seed else ""
    for written in write_structure_report(groups, report, command, followed(recipes)):
        say(f"wrote {written}")
    if records_in != reports_in:
        say(f"its page shows it after `ternary-vae report {quoted(checkpoints[0])}`")


def _chosen(paths: list[Path], output: Path | None) -> tuple[list[Checkpoint], Path, Path]:
    """The checkpoints to measure, by epoch where they are a run's, and where records and report belong.

    Raises:
        UserError: a run beside other things, a run without checkpoints of milestones, two checkpoints of one epoch or
            of different spaces, or a file that is no checkpoint.
    """
    from ternary_vae.errors import UserError
    from ternary_vae.formats import listed
    from ternary_vae.storage.checkpoints import load_checkpoint
    from ternary_vae.storage.runs import RunDirectory

    runs = [path for path in paths if path.is_dir()]
    if runs and len(paths) > 1:
        raise UserError(f"{runs[0]}: a run is measured by itself; name it alone, or name checkpoints")
    if runs:
        run = RunDirectory(runs[0])
        epochs = run.recipe().benchmarked
        kept = [path for path in map(run.checkpoint, epochs) if path.exists()]
        if not kept:
            raise UserError(f"{run.path}: holds no checkpoint of a milestone ({listed(epochs)}); name a checkpoint")
        return [load_checkpoint(path) for path in kept], run.benchmarks, output or run.reports
    loaded = [load_checkpoint(path) for path in paths]
    require_different_epochs([checkpoint.epoch for checkpoint in loaded])
    if len({checkpoint.recipe.space for checkpoint in loaded}) > 1:
        raise UserError("these checkpoints are of different spaces; measure those of one space at a time")
    return loaded, output or _OUTPUT, output or _OUTPUT
