"""`ternary-vae atlas`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ternary_vae.cli.output import say
from ternary_vae.errors import UserError


def atlas(
    model: Annotated[
        str | None,
        typer.Option(
            help="Pretrained model to show: a name, a directory, or owner/name on the Hugging Face hub.",
            show_default="resolution",
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Checkpoint to show instead: .safetensors or v5.5 .pt.", show_default=False)
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="HTML file to write.")] = Path("atlas.html"),
) -> None:
    """Write the atlas: one page for any browser, with every gate where a model has put it."""
    if model is not None and checkpoint is not None:
        raise UserError("--model and --checkpoint name a model each; give one of them")

    from ternary_vae.atlas.page import require_room, require_two_input_ternary, write_atlas
    from ternary_vae.formats import counted
    from ternary_vae.model import DualVAE
    from ternary_vae.pretrained.files import DEFAULT
    from ternary_vae.reports.latent_map import latent_map, latent_map_of_checkpoint
    from ternary_vae.storage.checkpoints import load_model

    require_room(output)
    if checkpoint is not None:
        shown, read = load_model(checkpoint)
        require_two_input_ternary(shown.space)
        source = f"{checkpoint.name}: recipe {read.recipe.name}, after {counted(read.epochs_completed, 'epoch')}"
        places = latent_map_of_checkpoint(shown, read)
    else:
        name = DEFAULT if model is None else model
        shown = DualVAE.from_pretrained(name)
        require_two_input_ternary(shown.space)
        origin = shown.origin
        source = f"pretrained model {name}"
        if origin is not None:
            source += f": recipe {origin.recipe}, seed {origin.seed}, after {counted(origin.epochs, 'epoch')}"
        places = latent_map(shown)
    write_atlas(shown, places, source, output)
    say(f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB)\nopen the page: {output.resolve().as_uri()}")
