"""`ternary-vae cache …`. What only looks at files imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ternary_vae.cli.options import NOT_AS_REQUIRED, CacheDirectory, DeviceOption
from ternary_vae.cli.output import print_json, print_table, say
from ternary_vae.errors import UserError, nearest
from ternary_vae.formats import counted
from ternary_vae.terminal import quoted

if TYPE_CHECKING:
    from ternary_vae.storage.checkpoints import Checkpoint
    from ternary_vae.storage.tensor_cache import TensorCache

cache_app = typer.Typer(
    no_args_is_help=True,
    help="The tensor cache, and every other cache on this machine: what is there, why, and how to be rid of it.",
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Project = Annotated[Path, typer.Option("--project", help="Directory of the project.")]


@cache_app.command("list")
def list_entries(cache_dir: CacheDirectory = None, as_json: Json = False) -> None:
    """List what is in the tensor cache."""
    from ternary_vae.storage.tensor_cache import TensorCache

    store = TensorCache(cache_dir)
    entries = store.list_cache()
    if as_json:
        print_json([asdict(entry) for entry in entries])
        return
    rows = [
        (entry.key, _size(entry.size), "×".join(map(str, entry.shape)), entry.dtype,
         entry.created + (" (in the future: a clock is wrong)" if entry.from_the_future else ""),
         str(entry.metadata.get("purpose", "")))
        for entry in entries
    ]  # fmt: skip
    if rows:
        print_table(("key", "size", "shape", "type", "created", "purpose"), rows, right=(1,))
    say(f"{store.directory}: {counted(len(entries), 'entry')}, {_size(store.size())} of {store.limit_megabytes:g} MB")


@cache_app.command()
def show(
    key: Annotated[str, typer.Argument(help="Key as in `list`, or its beginning.")], cache_dir: CacheDirectory = None
) -> None:
    """Show what an entry is, what it was made from and how to make it again."""
    from ternary_vae.storage.tensor_cache import TensorCache

    store = TensorCache(cache_dir)
    full_key = _full_key(store, key)
    entry = next(entry for entry in store.list_cache() if entry.key == full_key)
    say(str(store.path(full_key)))
    print_json(asdict(entry))


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
    from ternary_vae.resolution.kept import PURPOSES, keep_operations
    from ternary_vae.storage.checkpoints import load_checkpoint
    from ternary_vae.storage.tensor_cache import TensorCache

    if not checkpoints and not operations:
        raise UserError("cache build: name checkpoints, or --operations for the table of all operations")
    store = TensorCache(cache_dir)
    loaded = [load_checkpoint(path) for path in checkpoints or []]
    if operations:
        say(f"wrote {keep_operations(store)}")
    for checkpoint in loaded:
        keep(store, checkpoint, list(PURPOSES), device)


@cache_app.command()
def verify(cache_dir: CacheDirectory = None) -> None:
    """Check every byte of every entry; exit with code 1 if a file is not a whole entry."""
    from ternary_vae.storage.tensor_cache import TensorCache

    store = TensorCache(cache_dir)
    whole, wrong = store.verify()
    for name, problem in wrong.items():
        path = str(store.directory / name)
        say(problem if path in problem else f"{path}: {problem}", error=True)
    say(f"{store.directory}: {counted(len(whole), 'entry')} whole, {counted(len(wrong), 'file')} not")
    if wrong:
        raise SystemExit(NOT_AS_REQUIRED)


@cache_app.command()
def clear(
    keys: Annotated[list[str] | None, typer.Argument(help="Keys as in `list`; everything unless given.")] = None,
    cache_dir: CacheDirectory = None,
) -> None:
    """Remove entries of the tensor cache. Files of others in its directory stay."""
    from ternary_vae.storage.tensor_cache import TensorCache

    store = TensorCache(cache_dir)
    chosen = {_full_key(store, key) for key in keys} if keys else {entry.key for entry in store.list_cache()}
    freed = sum(map(store.remove, chosen))
    if not keys:
        freed += store.remove_leftovers()
    say(f"{store.directory}: removed {counted(len(chosen), 'entry')}, freed {_size(freed)}")


@cache_app.command()
def audit(project: Project = Path("."), cache_dir: CacheDirectory = None, as_json: Json = False) -> None:
    """List every cache on this machine: place, size, files, purpose, known or not, safe to clean or not."""
    from ternary_vae.storage.audit import audit_caches

    places = audit_caches(project, cache_dir)
    if as_json:
        print_json([place.row() for place in places])
        return
    rows = [
        (place.name, str(place.path), *((_size(place.bytes), str(place.files)) if place.exists else ("", "")),
         "known" if place.known else "unknown", "yes" if place.safe else "no",
         f"{place.purpose} ({place.problem})" if place.problem else place.purpose)
        for place in places
    ]  # fmt: skip
    print_table(("cache", "place", "size", "files", "", "safe to clean", "purpose"), rows, right=(2, 3))
    safe = sum(place.bytes for place in places if place.safe)
    total = _size(sum(place.bytes for place in places))
    options = "" if project == Path(".") else f" --project {quoted(project)}"
    options += "" if cache_dir is None else f" --cache-dir {quoted(cache_dir)}"
    say(f"{total} in all, {_size(safe)} of it safe to clean: ternary-vae cache clean{options}")


@cache_app.command()
def clean(
    project: Project = Path("."),
    yes: Annotated[
        bool, typer.Option("--yes/--dry-run", help="Remove, instead of only showing what would go.")
    ] = False,
    cache_dir: CacheDirectory = None,
) -> None:
    """Remove what `audit` calls safe. Never follows links; never touches runs, checkpoints or results."""
    from ternary_vae.storage.clean import clean_caches, cleanable

    plan = cleanable(project, cache_dir)
    rows = [
        (item.place.name, str(item.place.path), _size(item.bytes), str(len(item.files)))
        for item in plan
        if item.files
    ]  # fmt: skip
    if rows:
        print_table(("cache", "place", "size", "files"), rows, right=(2, 3))
    else:
        say("nothing to clean")
    for item in plan:
        if item.refused:
            say(f"{item.place.path}: left alone, {item.refused}")
    if not yes:
        say(f"would free {_size(sum(item.bytes for item in plan))}; nothing removed: `--yes` removes it")
        return
    freed, files, problems = clean_caches(plan)
    for problem in problems:
        say(problem, error=True)
    say(f"removed {counted(files, 'file')}, freed {_size(freed)}")


def keep(store: TensorCache, checkpoint: Checkpoint, names: Sequence[str], device: str) -> None:
    """Computes what is named of a checkpoint and keeps it.

    Raises:
        UserError: a checkpoint that cannot be encoded, or a cache that cannot be written.
    """
    import torch

    from ternary_vae.devices import choose_device
    from ternary_vae.operations import require_enumerable
    from ternary_vae.resolution.kept import Kept, save_kept
    from ternary_vae.resolution.measure import answers, encoded, keepable_tensors

    chosen = torch.device(choose_device(device))
    kept = Kept(checkpoint, chosen)
    require_enumerable(checkpoint.recipe.space.as_space(), "keeping what is computed of all operations")
    model, posteriors = encoded(kept)
    keepable = keepable_tensors(model, posteriors, kept.operations)
    for name, tensor in answers(model, {name: keepable[name] for name in names}, chosen).items():
        say(f"wrote {save_kept(store, checkpoint, chosen, str(name), tensor)}")


def _full_key(store: TensorCache, key: str) -> str:
    """The one key of the cache that is `key` or begins with it.

    Raises:
        UserError: none does, or several do.
    """
    keys = [entry.key for entry in store.list_cache()]
    matching = [key] if key in keys else [each for each in keys if each.startswith(key)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise UserError(f"cache key {key!r}: {len(matching)} entries begin so: {', '.join(matching)}")
    hint = nearest(key, keys) if keys else "the cache is empty"
    raise UserError(f"cache key {key!r}: no such entry in {store.directory}; {hint}")


def _size(count: int) -> str:
    """Bytes for people; 1 MB is 10⁶ bytes, as everywhere in the tensor cache."""
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"
