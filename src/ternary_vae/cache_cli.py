"""`ternary-vae cache …`: parses and calls. Everything heavy is imported when a command runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ternary_vae.options import DeviceOption

cache_app = typer.Typer(
    no_args_is_help=True,
    help="The tensor cache, and every other cache on this machine: what is there, why, and how to be rid of it.",
)

CacheDirectory = Annotated[
    Path | None,
    typer.Option(
        "--cache-dir",
        help="Directory of the tensor cache; else $TERNARY_VAE_CACHE_DIR.",
        show_default="models/cached_tensors",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Project = Annotated[Path, typer.Option("--project", help="Directory of the project.")]


@cache_app.command("list")
def list_entries(cache_dir: CacheDirectory = None, as_json: Json = False) -> None:
    """List what is in the tensor cache."""
    from ternary_vae import cache_commands

    cache_commands.list_entries(cache_dir, as_json=as_json)


@cache_app.command()
def show(
    key: Annotated[str, typer.Argument(help="Key as in `list`, or its beginning.")], cache_dir: CacheDirectory = None
) -> None:
    """Show what an entry is, what it was made from and how to make it again."""
    from ternary_vae import cache_commands

    cache_commands.show(key, cache_dir)


@cache_app.command()
def build(
    checkpoints: Annotated[
        list[Path] | None, typer.Argument(help="Checkpoints to compute for: .safetensors or v5.5 .pt.")
    ] = None,
    operations: Annotated[bool, typer.Option("--operations", help="Keep the table of all operations too.")] = False,
    device: DeviceOption = "auto",
    cache_dir: CacheDirectory = None,
) -> None:
    """Compute what the benchmarks read of checkpoints, or the table of all operations, and keep it."""
    from ternary_vae import cache_commands

    cache_commands.build(checkpoints or [], cache_dir, operations=operations, device=device)


@cache_app.command()
def verify(cache_dir: CacheDirectory = None) -> None:
    """Check every byte of every entry; exit with code 1 if a file is not a whole entry."""
    from ternary_vae import cache_commands

    cache_commands.verify(cache_dir)


@cache_app.command()
def clear(
    keys: Annotated[list[str] | None, typer.Argument(help="Keys as in `list`; everything unless given.")] = None,
    cache_dir: CacheDirectory = None,
) -> None:
    """Remove entries of the tensor cache. Files of others in its directory stay."""
    from ternary_vae import cache_commands

    cache_commands.clear(keys or [], cache_dir)


@cache_app.command()
def audit(project: Project = Path("."), cache_dir: CacheDirectory = None, as_json: Json = False) -> None:
    """List every cache on this machine: place, size, files, purpose, known or not, safe to clean or not."""
    from ternary_vae import cache_commands

    cache_commands.audit(project, cache_dir, as_json=as_json)


@cache_app.command()
def clean(
    project: Project = Path("."),
    yes: Annotated[
        bool, typer.Option("--yes/--dry-run", help="Remove, instead of only showing what would go.")
    ] = False,
    cache_dir: CacheDirectory = None,
) -> None:
    """Remove what `audit` calls safe. Never follows links; never touches runs, checkpoints or results."""
    from ternary_vae import cache_commands

    cache_commands.clean(project, cache_dir, act=yes)
