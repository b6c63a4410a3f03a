"""`ternary-vae export …`: a model's directory, its codes, ONNX, TensorBoard's projector."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ternary_vae.cli.output import say
from ternary_vae.terminal import quoted

export_app = typer.Typer(
    no_args_is_help=True, help="Take a trained model away: its codes, ONNX, TensorBoard's projector, or itself."
)
ModelOption = Annotated[
    str, typer.Option("--model", help="A model's name, a directory, or owner/name on the Hugging Face hub.")
]
Directory = Annotated[Path, typer.Argument(help="Directory to write into.")]


@export_app.command()
def model(
    source: Annotated[Path, typer.Argument(help="A completed run's directory, or a checkpoint.")],
    directory: Directory,
) -> None:
    """Make a model's directory, as `DualVAE.from_pretrained` reads it: configuration, weights and card. The card of a
    run shows its records and its verdict; of a checkpoint nothing is known but its weights. A model that is there
    already is replaced."""
    from ternary_vae.reports.origin import model_of_run
    from ternary_vae.storage.checkpoints import load_model
    from ternary_vae.storage.runs import RunDirectory

    made = model_of_run(RunDirectory(source)) if source.is_dir() else load_model(source)[0]
    made.save_pretrained(directory)
    say(f"{directory}: config.json, model.safetensors, README.md")


@export_app.command()
def embeddings(
    output: Annotated[Path, typer.Argument(help="File to write: .parquet, .npz or .csv.")],
    model: ModelOption = "resolution",
) -> None:
    """Write means and variances of all gates in both VAEs, with their names, properties and classes."""
    from ternary_vae.exports.embeddings import write_embeddings
    from ternary_vae.pretrained import Networks, find_model

    write_embeddings(Networks(find_model(model)), output)
    say(str(output))


@export_app.command()
def projector(directory: Directory, model: ModelOption = "resolution") -> None:
    """Write the codes of all gates for `tensorboard --logdir DIRECTORY` or projector.tensorflow.org."""
    from ternary_vae.exports.projector import write_projector
    from ternary_vae.pretrained import Networks, find_model

    write_projector(Networks(find_model(model)), directory)
    say(f"{directory}: tensorboard --logdir {quoted(directory)}")


@export_app.command()
def onnx(directory: Directory, model: ModelOption = "resolution") -> None:
    """Write encoders, decoders and ensembles as ONNX, for any number of gates at once."""
    from ternary_vae.exports.onnx import write_onnx
    from ternary_vae.model import DualVAE

    for path in write_onnx(DualVAE.from_pretrained(model), directory):
        say(str(path))
