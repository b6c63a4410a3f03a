"""Removes what the audit calls safe, file by file, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ternary_vae.formats import counted
from ternary_vae.storage.audit import Place, audit_caches, cache_roots

_RESULTS = (".pt", ".pth", ".ckpt", ".safetensors")
_RESULT_NAMES = ("run.json", "metrics.jsonl", "recipe.yaml")


@dataclass(frozen=True)
class Cleanable:
    """A safe place and the files of it that would go. `refused` says why none does."""

    place: Place
    files: tuple[tuple[Path, int], ...]
    refused: str = ""

    @property
    def bytes(self) -> int:
        return sum(size for _, size in self.files)


def cleanable(
    project: str | Path = ".",
    cache_directory: str | Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> list[Cleanable]:
    """What `clean_caches` would remove; arguments as of `audit_caches`. A place is refused where an environment
    variable has moved it onto something that is not a cache."""
    places = audit_caches(project, cache_directory, environment)
    roots = cache_roots(os.environ if environment is None else environment)
    kept = [place.path for place in places if not place.safe and place.known]
    around = [Path("/"), Path.cwd(), Path(project), *roots.values(), *kept]
    plan = []
    for place in places:
        if place.safe and place.exists:
            refused = _refusal(place, around, kept)
            plan.append(Cleanable(place, () if refused else place.entries, refused))
    return plan


def clean_caches(plan: Sequence[Cleanable]) -> tuple[int, int, list[str]]:
    """Removes the files of a plan, and directories that are empty then. A link is removed itself, never what it points
    to.

    Returns:
        bytes freed, files removed, and a line for each place where something could not be removed.
    """
    freed = removed = 0
    problems = []
    for item in plan:
        failures: list[OSError] = []
        for path, _ in item.files:
            try:
                if path.parent.resolve(strict=True) != item.place.path.resolve() / path.parent.relative_to(
                    item.place.path
                ):
                    continue  # a directory has become a link since it was looked at
                status = path.lstat()
                path.unlink()
            except FileNotFoundError:
                continue
            except OSError as failure:
                failures.append(failure)
                continue
            removed += 1
            freed += status.st_size if status.st_nlink == 1 else 0  # the rest when its last name goes
        _remove_empty(item)
        if failures:
            problems.append(f"{item.place.path}: {counted(len(failures), 'file')} left: {failures[0].strerror}")
    return freed, removed, problems


def _refusal(place: Place, around: Sequence[Path], kept: Sequence[Path]) -> str:
    if os.path.islink(place.path):
        return "it is a link"
    if os.path.isfile(place.path):
        return "it is a file"
    if place.name in ("__pycache__", "tensor cache, set aside"):
        return ""  # chosen file by file
    path = place.path.resolve()
    for other in around:
        if path == other.resolve() or path in other.resolve().parents:
            return f"it holds {other}"
    for other in kept:
        if other.resolve() in path.parents:
            return f"it lies in {other}"
    if any(file.suffix in _RESULTS or file.name in _RESULT_NAMES for file, _ in place.entries):
        return "it holds what look like checkpoints or runs"
    return ""


def _remove_empty(item: Cleanable) -> None:
    """Removes directories, deepest first, that held files of the plan and hold nothing now."""
    top = item.place.path
    directories = {parent for path, _ in item.files for parent in path.parents if top in parent.parents}
    for directory in sorted(directories, key=lambda path: len(path.parts), reverse=True):
        if item.place.name != "__pycache__" or directory.name == "__pycache__":
            with suppress(OSError):
                directory.rmdir()
