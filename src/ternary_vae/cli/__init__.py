"""The command line: one function a command, in one module for each group of commands.

Everything heavy is imported inside the functions, so that `--help` answers at once and no command waits for what it
does not use. Options that commands share are in `options`, and all printing is in `output`.
"""

from __future__ import annotations

# ruff: noqa: E402
import os
import re
import signal
import sys
from typing import Annotated, Any

from ternary_vae.terminal import (
    forget_impossible_sizes,
    open_closed_streams,
    outlast_readers,
    replace_what_cannot_be_shown,
)

forget_impossible_sizes()  # before typer is imported

import typer

from ternary_vae import __version__
from ternary_vae.cli import atlas, benchmark, cache, experiment, export, gates, info, reporting, structure, training
from ternary_vae.cli.options import INTERRUPTED
from ternary_vae.cli.output import say
from ternary_vae.errors import BAD_INPUT, UserError
from ternary_vae.extensions import load_extensions
from ternary_vae.signals import signals_to_stop

_UsageError: Any = typer.BadParameter.__bases__[0]  # of whichever click comes with typer

app = typer.Typer(
    name="ternary-vae",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Two variational autoencoders that learn all operations of multi-valued logic as one continuous manifold.",
)


def _show_version(asked: bool) -> bool:
    if asked:
        say(f"ternary-vae {__version__}")
        raise typer.Exit
    return asked


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version, and stop.")
    ] = False,
) -> None:
    """What `ternary-vae` takes without a command."""


for _command in (
    training.train, training.resume, info.info, info.recipe, benchmark.benchmark, structure.structure,
    reporting.compare, reporting.report, experiment.experiment, atlas.atlas,
):  # fmt: skip
    app.command()(_command)
# A truth table may begin with a minus sign, so what looks like an option is taken in, and said to be none there.
app.command(context_settings={"ignore_unknown_options": True})(gates.gate)
app.command()(gates.gates)
app.add_typer(cache.cache_app, name="cache")
app.add_typer(export.export_app, name="export")


def main() -> None:
    """Entry point: bad input is one line on standard error and exit code 2. SIGTERM and the end of the terminal are as
    Ctrl-C, exit code 130; see `ternary_vae.signals` for what is ignored. Output that nobody reads is dropped."""
    open_closed_streams()
    replace_what_cannot_be_shown(sys.stdout, sys.stderr)
    outlast_readers()
    for number in signals_to_stop():
        signal.signal(number, signal.default_int_handler)
    # Threads that spin while they wait make a busy machine many times slower; read when PyTorch starts.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        _require_no_empty_arguments(sys.argv[1:])
        load_extensions()
        code = app(standalone_mode=False, prog_name="ternary-vae")
        if sys.stdout is not None:
            sys.stdout.flush()  # a full disk is reported here, not on the way out
    except _UsageError as error:
        # Without a command the help is out already, and there is nothing else to say.
        if message := " ".join(error.format_message().split()):
            where = error.ctx.command_path if error.ctx else "ternary-vae"
            message = message.replace("Value error, ", "").rstrip(".")
            print(f"ternary-vae: {message}; see {where} --help", file=sys.stderr)
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
