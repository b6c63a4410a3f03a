"""What each `ternary-vae cache` command does. Imported when a command runs."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ternary_vae.devices import choose_device
from ternary_vae.errors import UserError, nearest
from ternary_vae.storage.audit import audit_caches
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.storage.tensor_cache import MEGABYTE, TensorCache

NOT_WHOLE = 1


def list_entries(directory: Path | None, *, as_json: bool) -> None:
    """Prints every entry."""
    store = TensorCache(directory)
    entries = store.list_cache()
    if as_json:
        _print_json([asdict(entry) for entry in entries])
        return
    rows = [
        (entry.key, _size(entry.size), "×".join(map(str, entry.shape)), entry.dtype,
         entry.created + (" (in the future: a clock is wrong)" if entry.from_the_future else ""),
         str(entry.metadata.get("purpose", "")))
        for entry in entries
    ]  # fmt: skip
    if rows:
        _print_table(("key", "size", "shape", "type", "created", "purpose"), rows, right=(1,))
    _say(f"{store.directory}: {len(entries)} entries, {_size(store.size())} of {store.limit_megabytes:g} MB")


def show(key: str, directory: Path | None) -> None:
    """Prints one entry in full."""
    store = TensorCache(directory)
    chosen = _chosen(store, key)
    entry = next(each for each in store.list_cache() if each.key == chosen)
    _say(str(store.path(entry.key)))
    _print_json(asdict(entry))


def build(checkpoints: Sequence[Path], directory: Path | None, *, operations: bool, device: str) -> None:
    """Keeps what the benchmarks read of checkpoints, and the table of all operations."""
    from ternary_vae.resolution.kept import PURPOSES, keep_operations
    from ternary_vae.storage.checkpoints import load_checkpoint

    if not checkpoints and not operations:
        raise UserError("cache build: name checkpoints, or --operations for the table of all operations")
    store = TensorCache(directory)
    loaded = [load_checkpoint(path) for path in checkpoints]
    if operations:
        _say(f"wrote {keep_operations(store)}")
    for checkpoint in loaded:
        keep_of(store, checkpoint, list(PURPOSES), device)


def encode_all(
    sides: Sequence[Any], epoch: int | None, *, run: Path | None, checkpoint: Path | None, device: str,
    directory: Path | None,
) -> None:  # fmt: skip
    """Keeps the encodings of one checkpoint: the one named, or that of an epoch of a run, by default the newest run.

    Raises:
        UserError: no such checkpoint, or one of another epoch than that asked for.
    """
    from ternary_vae.resolution.kept import ENCODINGS
    from ternary_vae.storage.checkpoints import load_checkpoint

    loaded = load_checkpoint(checkpoint or _checkpoint_of(run, epoch))
    if epoch is not None and loaded.epoch != epoch:
        raise UserError(f"{loaded.path}: of epoch {loaded.epoch}, not {epoch}; leave --epoch out or name another")
    keep_of(TensorCache(directory), loaded, [ENCODINGS[side] for side in sides], device)


def _checkpoint_of(run: Path | None, epoch: int | None) -> Path:
    name = "latest" if epoch is None else epoch
    if run is not None:
        return RunDirectory(run).checkpoint(name)
    found = [path for path in (RunDirectory(each).checkpoint(name) for each in Path("runs").glob("*")) if path.exists()]
    if not found:
        wanted = "a checkpoint" if epoch is None else f"a checkpoint of epoch {epoch}"
        raise UserError(f"no run in runs/ has {wanted}; name one with --checkpoint or a run with --run")
    return max(found, key=lambda path: path.stat().st_mtime)


def keep_of(store: TensorCache, checkpoint: Any, names: Sequence[str], device: str) -> None:
    """Computes what is named of a checkpoint and keeps it.

    Raises:
        UserError: a checkpoint that cannot be encoded, or a cache that cannot be written.
    """
    import torch

    from ternary_vae.resolution.kept import Kept, save_kept
    from ternary_vae.resolution.measure import encoded, keepable_tensors
    from ternary_vae.resolution.parallel import side_by_side

    chosen = torch.device(choose_device(device))
    keepable = keepable_tensors(*encoded(Kept(checkpoint, chosen)))
    for name, tensor in side_by_side({name: keepable[name] for name in names}, chosen).items():
        _say(f"wrote {save_kept(store, checkpoint, chosen, str(name), tensor)}")


def verify(directory: Path | None) -> None:
    """Checks every entry; exit code 1 if a file is not whole."""
    store = TensorCache(directory)
    whole, wrong = store.verify()
    for name, problem in wrong.items():
        path = str(store.directory / name)
        _say(problem if path in problem else f"{path}: {problem}", error=True)
    _say(f"{store.directory}: {len(whole)} entries whole, {len(wrong)} files that are not")
    if wrong:
        raise SystemExit(NOT_WHOLE)


def clear(keys: Sequence[str], directory: Path | None) -> None:
    """Removes the entries named, or all and what was set aside."""
    store = TensorCache(directory)
    chosen = [_chosen(store, key) for key in keys]
    if keys:
        freed = sum(map(store.remove, chosen))
    else:
        chosen = [entry.key for entry in store.list_cache()]
        freed = sum(map(store.remove, chosen)) + store.remove_leftovers()
    _say(f"{store.directory}: removed {len(chosen)} entries, freed {_size(freed)}")


def audit(project: Path, directory: Path | None, *, as_json: bool) -> None:
    """Prints every place where caches lie."""
    places = audit_caches(project, directory)
    if as_json:
        _print_json([place.row() for place in places])
        return
    rows = [
        (place.name, str(place.path), *((_size(place.bytes), str(place.files)) if place.there else ("", "")),
         "known" if place.known else "unknown", "yes" if place.safe else "no",
         f"{place.purpose} ({place.problem})" if place.problem else place.purpose)
        for place in places
    ]  # fmt: skip
    _print_table(("cache", "place", "size", "files", "", "safe to clean", "purpose"), rows, right=(2, 3))
    safe = sum(place.bytes for place in places if place.safe)
    total = _size(sum(place.bytes for place in places))
    _say(f"{total} in all, {_size(safe)} of it safe to clean: ternary-vae cache clean")


def clean(project: Path, directory: Path | None, *, act: bool) -> None:
    """Shows what would be removed, and with `act` removes it."""
    from ternary_vae.storage.clean import clean_caches, cleanable

    plan = cleanable(project, directory)
    if not any(item.files for item in plan):
        _say("nothing to clean")
    else:
        rows = [
            (item.place.name, str(item.place.path), _size(item.bytes), str(len(item.files)))
            for item in plan
            if item.files
        ]
        _print_table(("cache", "place", "size", "files"), rows, right=(2, 3))
    for item in plan:
        if item.refused:
            _say(f"{item.place.path}: left alone, {item.refused}")
    if not act:
        _say(f"would free {_size(sum(item.bytes for item in plan))}; nothing removed: `--yes` removes it")
        return
    freed, files, problems = clean_caches(plan)
    for problem in problems:
        _say(problem, error=True)
    _say(f"removed {files} files, freed {_size(freed)}")


def _chosen(store: TensorCache, key: str) -> str:
    """The one key of the cache that is `key` or begins with it.

    Raises:
        UserError: none does, or several do.
    """
    keys = [entry.key for entry in store.list_cache()]
    found = [key] if key in keys else [each for each in keys if each.startswith(key)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"cache key {key!r}: {len(found)} entries begin so: {', '.join(found)}")
    hint = nearest(key, keys) if keys else "the cache is empty"
    raise UserError(f"cache key {key!r}: no such entry in {store.directory}; {hint}")


def _print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> None:
    console = Console()
    if not console.is_terminal:  # whole lines for a file or another program
        console = Console(width=max(shutil.get_terminal_size().columns, 400))
    table = Table(box=None, pad_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell.replace("[", r"\[") for cell in row))
    console.print(table)


def _print_json(content: Any) -> None:
    print(json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False))


def _size(count: int) -> str:
    return f"{count / MEGABYTE:.1f} MB" if count >= MEGABYTE / 10 else f"{count / 1000:.1f} kB"


def _say(text: str, error: bool = False) -> None:
    print(text, file=sys.stderr if error else sys.stdout)
