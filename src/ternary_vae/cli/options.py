"""Options and exit codes that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ternary_vae.devices import require_device_name
from ternary_vae.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ternary_vae.recipe import Recipe

NOT_AS_REQUIRED = 1
INTERRUPTED = 130


class Level(StrEnum):
    """Levels of the success criteria that a command may require."""

    minimum = "minimum"
    target = "target"
    stretch = "stretch"
    own = "own"


DeviceOption = Annotated[
    str,
    typer.Option("--device", help="Where to compute: auto, cpu, cuda or cuda:N.", callback=require_device_name),
]
Checkpoints = Annotated[list[Path], typer.Argument(help="Checkpoints: .safetensors or v5.5 .pt.")]
BenchmarkSeed = Annotated[int, typer.Option("--seed", help="Seed of the benchmark's own random numbers.")]
CacheDirectory = Annotated[
    Path | None,
    typer.Option(
        "--cache-dir",
        help="Directory of the tensor cache; else $TERNARY_VAE_CACHE_DIR.",
        show_default="models/cached_tensors",
    ),
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", "-s", metavar="SECTION.KEY=VALUE", help="Change a setting; repeatable.")
]
RequiredLevel = Annotated[
    Level | None, typer.Option("--require", help="Exit with code 1 unless this level of the success criteria is met.")
]


def require_different_epochs(epochs: Sequence[int]) -> None:
    """Records of checkpoints measured together are named after epochs.

    Raises:
        UserError: two are the same.
    """
    if len(set(epochs)) < len(epochs):
        raise UserError(
            f"two of the checkpoints are of the same epoch ({', '.join(map(str, epochs))}) and would share a "
            "record; measure them with different --output"
        )


def chosen_recipe(
    config: str,
    overrides: list[str] | None,
    *,
    seed: int | None = None,
    epochs: int | None = None,
    scale_phases: bool = False,
) -> Recipe:
    """The recipe that a command line names.

    Raises:
        UserError: as `load_recipe`, and for `--scale-phases` without `--epochs`.
    """
    from ternary_vae.recipe import load_recipe, parse_override

    if scale_phases and epochs is None:
        raise UserError("--scale-phases: needs --epochs, the length to scale the phases to")
    changes = dict(map(parse_override, overrides or []))
    return load_recipe(config, overrides=changes, seed=seed, epochs=epochs, scale_phases=scale_phases)
