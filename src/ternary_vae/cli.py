"""The front door: parses, calls, prints. Everything heavy is imported when a command runs, so `--help`
answers at once."""

from __future__ import annotations

# ruff: noqa: E402
import os
import re
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from ternary_vae.output import outlast_readers
from ternary_vae.terminal import forget_impossible_sizes, replace_what_cannot_be_shown

forget_impossible_sizes()  # before typer is imported

import typer

from ternary_vae.cache_cli import CacheDirectory, cache_app
from ternary_vae.errors import UserError
from ternary_vae.experiment_cli import experiment
from ternary_vae.gate_cli import gate, gates
from ternary_vae.options import BAD_INPUT, INTERRUPTED, DeviceOption
from ternary_vae.training.interruption import signals_to_stop

_UsageError: Any = typer.BadParameter.__bases__[0]  # of whichever click comes with typer

app = typer.Typer(
    name="ternary-vae",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Two variational autoencoders that learn all 19,683 ternary operations as one continuous manifold.",
)
app.add_typer(cache_app, name="cache")


class Level(StrEnum):
    minimum = "minimum"
    target = "target"
    stretch = "stretch"
    own = "own"


Config = Annotated[str, typer.Option("--config", "-c", help="Recipe: a name (see `info`) or a YAML file.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", "-s", metavar="SECTION.KEY=VALUE", help="Change a setting; repeatable.")
]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random; the recipe's own unless given.")]
Epochs = Annotated[int | None, typer.Option(help="Length of the run; the recipe's own unless given.")]
ScalePhases = Annotated[
    bool, typer.Option("--scale-phases", help="Scale phases, schedules and milestones to --epochs.")
]
RunDirectoryOption = Annotated[
    Path | None,
    typer.Option("--run-dir", help="Directory of the run.", show_default="runs/RECIPE-seedSEED, numbered if taken"),
]
Require = Annotated[
    Level | None, typer.Option(help="Exit with code 1 unless this level of the success criteria is met.")
]


@app.command()
def train(
    config: Config = "resolution",
    seed: Seed = None,
    epochs: Epochs = None,
    scale_phases: ScalePhases = False,
    device: DeviceOption = "auto",
    run_dir: RunDirectoryOption = None,
    overrides: Overrides = None,
    require: Require = None,
) -> None:
    """Train a recipe through its four phases, benchmark it, write its reports and print the verdict.

    Ctrl-C, SIGTERM or closing the terminal stop it after the epoch under way, a second time at once; `resume` goes on.
    In a background job that ignores Ctrl-C, or under nohup, only SIGTERM does.
    """
    from ternary_vae import commands

    recipe = commands.chosen_recipe(config, overrides or [], seed=seed, epochs=epochs, scale_phases=scale_phases)
    commands.train(recipe, run_dir, device=device, require=require and require.value)


@app.command()
def resume(
    target: Annotated[
        Path, typer.Argument(help="A run directory, or a checkpoint to train on from (.safetensors, v5.5 .pt).")
    ],
    config: Annotated[
        str | None, typer.Option("--config", "-c", help="Recipe for a checkpoint; its own unless given.")
    ] = None,
    epochs: Epochs = None,
    device: DeviceOption = "auto",
    run_dir: RunDirectoryOption = None,
    overrides: Overrides = None,
    require: Require = None,
) -> None:
    """Go on with a run from its last epoch, or start a new run from a checkpoint."""
    from ternary_vae import commands

    commands.resume(
        target, config=config, overrides=overrides or [], epochs=epochs, device=device, run_dir=run_dir,
        require=require and require.value,
    )  # fmt: skip


@app.command()
def info(
    target: Annotated[
        str | None, typer.Argument(help="A recipe name or file, a run directory or a checkpoint.")
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Show recipes, a recipe in full, a run, or what a checkpoint holds."""
    from ternary_vae import commands

    commands.info(target, overrides or [])


@app.command()
def benchmark(
    checkpoints: Annotated[list[Path], typer.Argument(help="Checkpoints: .safetensors or v5.5 .pt.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Directory of the records.", show_default="reports/benchmarks")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the benchmark's own random numbers.")] = 0,
    device: DeviceOption = "auto",
    cache: Annotated[bool, typer.Option(help="Keep in the tensor cache what would be computed again.")] = True,
    cache_dir: CacheDirectory = None,
) -> None:
    """Measure checkpoints, each VAE alone and both together, and write the records."""
    from ternary_vae import commands

    commands.benchmark(checkpoints, output, seed=seed, device=device, cache=cache, cache_dir=cache_dir)


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run directories.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Markdown file to write.")] = Path("COMPARISON.md"),
) -> None:
    """Compare runs milestone by milestone: a table and a figure."""
    from ternary_vae import commands

    commands.compare(runs, output)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Run directory.")],
    plan_run: Annotated[
        Path | None,
        typer.Option("--plan-run", help="Run of the plan's recipe, for FINAL_RESOLUTION_REPORT.md beside this one."),
    ] = None,
    require: Require = None,
) -> None:
    """Write a run's evolution report, figure, page and verdict."""
    from ternary_vae import commands

    commands.report(run, plan_run, require=require and require.value)


app.command()(experiment)
# A truth table may begin with a minus sign.
app.command(context_settings={"ignore_unknown_options": True})(gate)
app.command()(gates)


def main() -> None:
    """Entry point: bad input is one line on standard error and exit code 2. SIGTERM and the end of the terminal are as
    Ctrl-C, exit code 130; see `training.interruption` for what is ignored. Output that nobody reads is dropped."""
    replace_what_cannot_be_shown(sys.stdout, sys.stderr)
    outlast_readers()
    for number in signals_to_stop():
        signal.signal(number, signal.default_int_handler)
    # Threads that spin while they wait make a busy machine many times slower; read when PyTorch starts.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        _require_no_empty_arguments(sys.argv[1:])
        code = app(standalone_mode=False, prog_name="ternary-vae")
        if sys.stdout is not None:
            sys.stdout.flush()  # a full disk is told here, not on the way out
    except _UsageError as error:
        # Without a command the help is out already, and there is nothing else to say.
        if told := " ".join(error.format_message().split()):
            where = error.ctx.command_path if error.ctx else "ternary-vae"
            told = told.replace("Value error, ", "").rstrip(".")
            print(f"ternary-vae: {told}; see {where} --help", file=sys.stderr)
        sys.exit(BAD_INPUT)
    except typer.Abort:  # what earlier versions of typer make of Ctrl-C
        sys.exit(INTERRUPTED)
    except (UserError, OSError) as error:
        # Libraries ask for such a directory when they are imported, and say no more than this.
        hint = "; set TMPDIR to one that can be written" if "usable temporary directory" in str(error) else ""
        print(f"ternary-vae: {error}{hint}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    sys.exit(code if isinstance(code, int) else 0)


def _require_no_empty_arguments(arguments: list[str]) -> None:
    """No name or value is an empty text, but an unset variable in a shell is, and an empty path is the directory that
    a command is started in.

    Raises:
        UserError: one is empty.
    """
    before = "ternary-vae"
    for argument in arguments:
        if argument == "":
            raise UserError(f"the argument after {before!r} is empty; give a value, or leave it out")
        if re.fullmatch("--[a-z-]+=", argument):
            raise UserError(f"{argument!r} has no value; give one, or leave it out")
        before = argument


if __name__ == "__main__":
    main()
