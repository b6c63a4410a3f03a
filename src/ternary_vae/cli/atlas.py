"""`ternary-vae atlas`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ternary_vae.cli.output import say


def atlas(
    checkpoint: Annotated[Path, typer.Option(help="Checkpoint of the model to show: .safetensors or v5.5 .pt.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="HTML file to write.")] = Path("atlas.html"),
) -> None:
    """Write the atlas: one page for any browser, with every gate where a model has put it."""
    from ternary_vae.atlas.page import require_room, write_atlas
    from ternary_vae.reports.latent_map import latent_map_of_checkpoint
    from ternary_vae.storage.checkpoints import load_model

    require_room(output)
    model, read = load_model(checkpoint)
    source = f"{checkpoint.name}: recipe {read.recipe.name}, after {read.epochs_completed} epochs"
    write_atlas(model, latent_map_of_checkpoint(model, read), source, output)
    say(f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB)\nopen the page: {output.resolve().as_uri()}")
