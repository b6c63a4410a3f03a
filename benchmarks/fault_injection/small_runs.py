"""Runs whose epochs take a fraction of a second, begun or gone on with as a user would, and compared to the bit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ternary_vae.recipe import Recipe, load_recipe
from ternary_vae.resolution.records import comparable, read_coupled_record, read_isolated_record
from ternary_vae.storage.checkpoints import checkpoint_bytes, load_checkpoint
from ternary_vae.storage.runs import RunDirectory

QUICK = {
    "data.train_share": 0.1,
    "data.validation_share": 0.1,
    "optimizer.batch_size": 512,
    "optimizer.first_batches.epochs": 0,
    "objective.prior_information.draws": 128,
    "evaluation.coverage_draws": 2000,
    "evaluation.full_coverage_draws": None,
    "evaluation.noise_draws": 1,
    "evaluation.checkpoint_every": 2,
}
_TIMES = ("seconds_training", "seconds_evaluation")


def quick_recipe(epochs: int, seed: int = 0, name: str = "resolution", **changes: Any) -> Recipe:
    """A recipe with a tenth of the operations and few draws; `section__key=value` changes it."""
    dotted = {key.replace("__", "."): value for key, value in changes.items()}
    return load_recipe(name, overrides=QUICK | {"evaluation.milestones": []} | dotted, epochs=epochs, seed=seed)


def train_or_resume(
    report: Callable[[int], object], recipe: Recipe, place: Path, threads: int, benchmarks: bool = False
) -> None:
    """Begins a run, or goes on with it; each epoch is reported once a person would see it."""
    import torch

    from ternary_vae.training.loop import resume, train
    from ternary_vae.training.progress import Silent

    class Reporting(Silent):
        def epoch(self, row: dict[str, Any]) -> None:
            report(row["epoch"])

    torch.set_num_threads(threads)
    how: dict[str, Any] = {"device": "cpu", "progress": Reporting(), "benchmark_milestones": benchmarks}
    if RunDirectory(place).exists:
        resume(place, **how)
    else:
        shutil.rmtree(place, ignore_errors=True)  # killed before there was a run
        train(recipe, place, **how)


def write_page(report: Callable[[int], object], place: Path) -> None:
    """Writes the reports of a run."""
    from ternary_vae.reports import write_reports

    write_reports(RunDirectory(place))


def unreadable(place: Path) -> list[str]:
    """What lies in a directory of a run, or below it, and cannot be read as a whole. Files that a killed process was
    writing have names of their own, which nobody reads."""
    from ternary_vae.errors import UserError
    from ternary_vae.storage.files import read_json, read_json_lines

    readers: dict[str, Callable[[Path], object]] = {
        ".safetensors": load_checkpoint, ".json": read_json, ".jsonl": read_json_lines,
    }  # fmt: skip
    wrong = []
    for path in sorted(place.rglob("*")):
        read = readers.get(path.suffix)
        if read is None or path.name.startswith("."):
            continue
        try:
            read(path)
        except UserError as problem:
            wrong.append(str(problem))
    return wrong


def epochs_saved(place: Path) -> int:
    """How many epochs a run can go on from."""

    latest = RunDirectory(place).checkpoint("latest")
    return load_checkpoint(latest).epochs_completed if latest.exists() else 0


def differences(first: Path, second: Path) -> list[str]:
    """In what two runs of one recipe differ, times aside: rows of metrics, bytes of checkpoints, records."""
    found = []
    if _rows(first) != _rows(second):
        found.append("metrics")
    for kind in ("checkpoints/*.safetensors", "benchmarks/*.json"):
        names = {place: sorted(path.name for path in place.glob(kind)) for place in (first, second)}
        if names[first] != names[second]:
            found.append(f"{kind}: {names[first]} and {names[second]}")
            continue
        folder = kind.partition("/")[0]
        found += [name for name in names[first] if _content(first / folder / name) != _content(second / folder / name)]
    return found


def _rows(place: Path) -> list[str]:
    rows = RunDirectory(place).metrics()
    return [json.dumps({key: value for key, value in row.items() if key not in _TIMES}) for row in rows]


def _content(path: Path) -> Any:
    """What a file holds, leaving out which code wrote it: a checkout may change meanwhile."""
    if path.suffix == ".safetensors":
        return checkpoint_bytes(replace(load_checkpoint(path), code_version=""))
    read = read_coupled_record if path.name.startswith("coupled") else read_isolated_record
    content = comparable(read(path))
    content["header"] |= {"code_version": "", "checkpoint_hash": ""}
    return content
