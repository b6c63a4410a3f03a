"""`ternary-vae train` and `ternary-vae resume`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ternary_vae.cli.options import INTERRUPTED, DeviceOption, Overrides, RequiredLevel, chosen_recipe
from ternary_vae.cli.output import say
from ternary_vae.cli.reporting import report_and_require
from ternary_vae.errors import UserError
from ternary_vae.formats import counted
from ternary_vae.terminal import notify_without_reader, quoted

if TYPE_CHECKING:
    from ternary_vae.storage.runs import RunDirectory

Epochs = Annotated[int | None, typer.Option(help="Length of the run; the recipe's own unless given.")]


def train(
    config: Annotated[
        str, typer.Option("--config", "-c", help="Recipe: a name (see `info`) or a YAML file.")
    ] = "resolution",
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=2**32 - 1, help="Seed of everything random; the recipe's own unless given."),
    ] = None,
    epochs: Epochs = None,
    scale_phases: Annotated[
        bool, typer.Option("--scale-phases", help="Scale phases, schedules and milestones to --epochs.")
    ] = False,
    device: DeviceOption = "auto",
    run_dir: Annotated[
        Path | None,
        typer.Option("--run-dir", help="Directory of the run.", show_default="runs/RECIPE-seedSEED, numbered if taken"),
    ] = None,
    overrides: Overrides = None,
    require: RequiredLevel = None,
) -> None:
    """Train a recipe through its four phases, benchmark it, write its reports and print the verdict.

    Ctrl-C, SIGTERM or closing the terminal stop it after the epoch under way, a second time at once; `resume` goes on.
    In a background job that ignores Ctrl-C, or under nohup, only SIGTERM does.
    """
    recipe = chosen_recipe(config, overrides, seed=seed, epochs=epochs, scale_phases=scale_phases)
    from ternary_vae.storage.runs import RunDirectory
    from ternary_vae.training import loop  # imports torch, for which a fault of the recipe need not wait

    directory = RunDirectory(run_dir or _unused(f"{recipe.name}-seed{recipe.seed}"))
    with _saying_how_to_resume(directory):
        _conclude(loop.train(recipe, directory, device=device, progress=True), require)


def resume(
    target: Annotated[
        Path, typer.Argument(help="A run directory, or a checkpoint to train on from (.safetensors, v5.5 .pt).")
    ],
    config: Annotated[
        str | None, typer.Option("--config", "-c", help="Recipe for a checkpoint; its own unless given.")
    ] = None,
    epochs: Epochs = None,
    device: DeviceOption = "auto",
    run_dir: Annotated[
        Path | None,
        typer.Option(
            "--run-dir",
            help="Directory of a new run.",
            show_default="runs/RECIPE-from-CHECKPOINT, numbered if taken",
        ),
    ] = None,
    overrides: Overrides = None,
    require: RequiredLevel = None,
) -> None:
    """Go on with a run from its last epoch, or start a new run from a checkpoint."""
    from ternary_vae.storage.checkpoints import load_checkpoint
    from ternary_vae.storage.runs import RunDirectory
    from ternary_vae.training import loop

    if target.is_dir():
        if config or overrides or run_dir:
            raise UserError(
                "--config, --set and --run-dir: a run goes on with its own recipe in its own directory; "
                "name one of its checkpoints to start a new run from it"
            )
        directory = RunDirectory(target)
        with _saying_how_to_resume(directory):
            _conclude(loop.resume(directory, device=device, epochs=epochs, progress=True), require)
        return
    if not target.exists():
        raise UserError(f"{target}: not found; expected a run directory, or a checkpoint (.safetensors, v5.5 .pt)")
    start = load_checkpoint(target)
    if config:
        recipe = chosen_recipe(config, overrides, epochs=epochs)
    elif overrides:
        raise UserError("--set: name the recipe to change with --config")
    else:
        recipe = start.recipe if epochs is None else start.recipe.of_length(epochs)
    directory = RunDirectory(run_dir or _unused(f"{recipe.name}-from-{target.stem}"))
    with _saying_how_to_resume(directory):
        _conclude(loop.train(recipe, directory, device=device, start=start, progress=True), require)


def _unused(name: str) -> Path:
    """A directory for a new run under `runs/`: the name, or the name and the first free number."""
    candidates = (Path("runs") / (name if number == 1 else f"{name}-{number}") for number in itertools.count(1))
    return next(path for path in candidates if not path.exists())


def _conclude(outcome: Any, require: RequiredLevel) -> None:
    """Reports on a run that is complete, or says what to do with one that was stopped."""
    if outcome.status == "interrupted":
        if any(outcome.directory.benchmarks.glob("*.json")):
            say(f"see what there is: ternary-vae report {quoted(outcome.directory.path)}", always=True)
        resuming = _how_to_resume(outcome.directory)
        say(f"stopped after {counted(outcome.epochs_completed, 'epoch')}, all saved; {resuming}", always=True)
        raise SystemExit(INTERRUPTED)
    report_and_require(outcome.directory, require)


@contextmanager
def _saying_how_to_resume(directory: RunDirectory) -> Iterator[None]:
    """What a second signal to stop, one outside the epochs, or a disk that is full ends with."""
    notify_without_reader(f"the run in {directory.path}")
    try:
        yield
    except KeyboardInterrupt:
        if directory.exists:
            stopped = "stopped at once; every epoch completed before is saved"
            say(f"{stopped}; {_how_to_resume(directory)}", always=True)
        else:
            say("stopped before the first epoch; nothing was written", always=True)
        raise SystemExit(INTERRUPTED) from None
    except (UserError, OSError) as failure:
        cause = failure if isinstance(failure, OSError) else failure.__cause__
        if isinstance(cause, OSError) and directory.exists:
            raise UserError(f"{failure}; every epoch saved is kept; {_how_to_resume(directory)}") from failure
        raise


def _how_to_resume(directory: RunDirectory) -> str:
    return f"go on with: ternary-vae resume {quoted(directory.path)}"
