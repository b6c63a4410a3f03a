"""`ternary-vae info` and `ternary-vae recipe`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ternary_vae.cli.options import Overrides, chosen_recipe
from ternary_vae.cli.output import say
from ternary_vae.errors import UserError
from ternary_vae.terminal import quoted


def info(
    target: Annotated[
        str | None, typer.Argument(help="A recipe name or file, a run directory or a checkpoint.")
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Show recipes, a recipe in full, a run, or what a checkpoint holds."""
    run = target is not None and Path(target).is_dir() and not _names_a_recipe(target)
    checkpoint = target is not None and Path(target).suffix in (".safetensors", ".pt", ".pth")
    if target is not None and not run and not checkpoint:
        say(chosen_recipe(target, overrides).to_yaml())
        return
    if overrides:
        raise UserError("info --set: changes a recipe that is named; name one")
    if target is None:
        _describe_recipes()
    else:
        (_describe_run if run else _describe_checkpoint)(Path(target))


def recipe(
    values: Annotated[int, typer.Argument(help="Values of an input and of the answer, from 2 on.")],
    inputs: Annotated[int, typer.Argument(help="Inputs of a truth table; 2^63 operations at most.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A new file; printed unless given.")] = None,
) -> None:
    """The default recipe for another space, as a file that `train --config` takes."""
    from ternary_vae.space_recipe import recipe_file_for_space

    content = recipe_file_for_space(values, inputs)
    if output is None:
        say(content.rstrip("\n"))
        return
    from ternary_vae.storage.files import require_absent, write_together

    require_absent(output, instead="file")
    write_together({output: content}, new=True)
    say(f"wrote {output}; train it with: ternary-vae train --config {quoted(output.absolute())}")


def _names_a_recipe(target: str) -> bool:
    """Rather than a directory that is called the same and holds no run."""
    from ternary_vae.recipe import recipe_names

    return target in recipe_names() and not (Path(target) / "run.json").exists()


def _describe_recipes() -> None:
    from ternary_vae.recipe import DEFAULT_RECIPE, load_recipe, recipe_directory, recipe_names

    say(f"recipes in {recipe_directory()}:")
    for name in recipe_names():
        default = " (default)" if name == DEFAULT_RECIPE else ""
        say(f"  {name}{default}: {load_recipe(name).description}")
    say("\nternary-vae info NAME prints one in full; a run directory or a checkpoint is described.")


def _describe_run(path: Path) -> None:
    from ternary_vae.storage.runs import RunDirectory

    directory = RunDirectory(path)
    facts, rows = directory.facts(), directory.metrics()
    for key, value in facts.items():
        if value is not None:
            say(f"{key.replace('_', ' ')}: {_fact(value)}")
    say(f"epochs completed: {rows[-1]['epoch'] if rows else 0}\n")
    say(directory.recipe().to_yaml())


def _fact(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def _describe_checkpoint(path: Path) -> None:
    from ternary_vae.formats import counted
    from ternary_vae.storage.checkpoints import load_model

    model, checkpoint = load_model(path)
    count = sum(parameter.numel() for parameter in model.parameters())
    say(
        f"{path}: {checkpoint.source} checkpoint, epoch {checkpoint.epoch}, "
        f"{counted(checkpoint.epochs_completed, 'epoch')} completed, ρ {checkpoint.rho:.3f}, {count:,} parameters, "
        f"written by {checkpoint.code_version}, SHA-256 {checkpoint.content_hash}\n"
    )
    say(checkpoint.recipe.to_yaml())
