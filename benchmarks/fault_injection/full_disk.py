"""A disk that is full, in each place that writes: one clear line, everything written before is whole, and with room
again the same command does the rest."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fault_injection.outcome import Outcome
from fault_injection.processes import Victim, undisturbed
from fault_injection.small_runs import QUICK, differences, quick_recipe, train_or_resume, unreadable, write_page

TRACEBACKS, UNREADABLE, AFTERWARDS = "tracebacks", "unreadable files", "not done with room again"
_MEGABYTES = 64
_LINE = 2
"""Exit code of a process whose answer is one line."""


@dataclass(frozen=True)
class Writing:
    """Something that is written.

    Attributes:
        do: writes; called in a process of its own with `report`, the place and what is `given`.
        before: directory whose copy lies at the place before.
        wrong: what is wrong or missing when it is done.
        damaged: what lies there and is not whole, whenever somebody looks.
    """

    do: Callable[..., object]
    given: tuple[Any, ...] = ()
    before: Path | None = None
    wrong: Callable[[Path], list[str]] = lambda where: []
    damaged: Callable[[Path], list[str]] = unreadable


def full_disk(trials: int, place: Path, chance: random.Random, only: Sequence[str] = ()) -> Iterator[Outcome]:
    """Fills a small file system of its own up to a random rest, and writes there.

    Args:
        trials: how often in each place that writes.
        only: names of places; all unless given.
    """
    recipe = quick_recipe(2, evaluation__checkpoint_every=1)
    straight = place / "straight"
    undisturbed(train_or_resume, recipe, straight, 1)
    benchmarked = place / "benchmarked"
    shutil.copytree(straight, benchmarked)
    if not only or set(only) - {"a run", "the tensor cache", "an experiment"}:
        undisturbed(train_or_resume, recipe, benchmarked, 1, True)
    beside = place / "beside"
    if not only or "a comparison" in only:
        undisturbed(train_or_resume, quick_recipe(2, seed=1), beside, 1, True)

    places = {
        "a run": Writing(_run, (recipe, False), wrong=lambda where: differences(straight, where)),
        "benchmark records": Writing(
            _run, (recipe, True), before=straight, wrong=lambda where: differences(benchmarked, where)
        ),
        "benchmark records, the cache elsewhere": Writing(
            _run, (recipe, True, False), before=straight, wrong=lambda where: differences(benchmarked, where)
        ),
        "reports of a run": Writing(
            write_page, before=benchmarked,
            wrong=_missing("reports/index.html", "reports/verdict.json", "reports/resolution_evolution.png"),
        ),
        "a comparison": comparison(benchmarked, beside),
        "the tensor cache": Writing(_cache, damaged=_damaged_entries),
        "an experiment": Writing(
            _experiment, wrong=_missing("report.md", "index.html", "results.csv", "comparisons.csv")
        ),
    }  # fmt: skip
    for name in only or places:
        yield in_one_place(name, places[name], trials, place, chance)


def in_one_place(name: str, writing: Writing, trials: int, place: Path, chance: random.Random) -> Outcome:
    """As `full_disk`, for one thing that is written."""
    outcome = Outcome.of(f"a full disk: {name}", TRACEBACKS, UNREADABLE, AFTERWARDS)
    for number in range(trials):
        disk = place / f"disk {name} {number}"
        try:
            mount(disk)
        except OSError as refusal:
            outcome.left_out = f"no file system of its own can be mounted here: {refusal}"
            break
        try:
            _try(outcome, disk, chance, writing)
        finally:
            subprocess.run(["umount", "--lazy", disk], check=True)
    return outcome


def comparison(*runs: Path, dots: int | None = None) -> Writing:
    """A comparison of runs that have benchmark records; `dots` an inch of its figure, by default those of a print."""
    return Writing(_comparison, (dots, *runs), wrong=_missing("COMPARISON.md", "COMPARISON.png"))


def mount(place: Path) -> None:
    """Makes a file system in memory, of a few megabytes.

    Raises:
        OSError: it cannot be mounted, which takes Linux and root.
    """
    place.mkdir(parents=True)
    options = f"size={_MEGABYTES}m"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True, text=True)
    if done.returncode:
        raise OSError(done.stderr.strip() or "mount failed")


def _try(outcome: Outcome, disk: Path, chance: random.Random, writing: Writing) -> None:
    where, ballast = disk / "work", disk / "ballast"
    needed = _needed(disk, where, outcome, writing)
    _prepare(where, writing)
    _fill(ballast, disk, leaving=chance.randrange(needed))
    victim = Victim(_in_one_line, writing.do, where, *writing.given)
    if not victim.finish():
        if victim.exit_code == _LINE:
            outcome.line()
        else:
            outcome.record(TRACEBACKS, f"exit code {victim.exit_code}")
    outcome.trials += 1
    for problem in writing.damaged(where):
        outcome.record(UNREADABLE, problem)
    ballast.unlink()
    if not Victim(writing.do, where, *writing.given).finish():
        outcome.record(AFTERWARDS, "it fails")
    for problem in writing.wrong(where):
        outcome.record(AFTERWARDS, problem)


_known: dict[str, int] = {}


def _needed(disk: Path, where: Path, outcome: Outcome, writing: Writing) -> int:
    """Bytes that the work takes, measured once by doing it."""
    if outcome.check not in _known:
        _prepare(where, writing)
        before = _free(disk)
        undisturbed(writing.do, where, *writing.given)
        _known[outcome.check] = max(4096, before - _free(disk))
        for entry in disk.iterdir():
            shutil.rmtree(entry)
    return _known[outcome.check]


def _prepare(where: Path, writing: Writing) -> None:
    if writing.before is not None:
        shutil.copytree(writing.before, where)


def _missing(*names: str) -> Callable[[Path], list[str]]:
    return lambda where: [f"no {name}" for name in names if not (where / name).is_file()]


def _damaged_entries(where: Path) -> list[str]:
    from ternary_vae.storage.tensor_cache import TensorCache

    return list(TensorCache(where / "cache").verify()[1].values())


def _free(disk: Path) -> int:
    state = os.statvfs(disk)
    return state.f_bavail * state.f_frsize


def _fill(ballast: Path, disk: Path, leaving: int) -> None:
    left = _free(disk) - leaving
    with open(ballast, "wb") as file:
        while left > 0:
            left -= file.write(bytes(min(left, 1 << 20)))


# ---------------------------------------------------------------- what is written


def _in_one_line(report: Callable[[int], object], do: Callable[..., object], *given: Any) -> None:
    from ternary_vae.errors import UserError

    try:
        do(report, *given)
    except UserError as line:
        raise SystemExit(_LINE if "\n" not in str(line) else 3) from None


def _run(report: Callable[[int], object], where: Path, recipe: Any, benchmarks: bool, cache: bool = True) -> None:
    if cache:  # on the same disk, where it takes hundreds of times the room of the records
        os.environ["TERNARY_VAE_CACHE_DIR"] = str(where.parent / "cache")
    train_or_resume(report, recipe, where, 1, benchmarks)


def _comparison(report: Callable[[int], object], where: Path, dots: int | None, *runs: Path) -> None:
    from ternary_vae.reports import figures
    from ternary_vae.reports.comparison import write_comparison
    from ternary_vae.storage.runs import RunDirectory

    figures.DPI = dots or figures.DPI
    write_comparison([RunDirectory(run) for run in runs], where / "COMPARISON.md")


def _cache(report: Callable[[int], object], where: Path) -> None:
    import torch

    from ternary_vae.storage.tensor_cache import TensorCache

    store = TensorCache(where / "cache")
    for number in range(20):
        store.save(f"entry_{number}", torch.full((20_000,), float(number)), {"purpose": "a test"})
    whole, wrong = store.verify()
    if len(whole) != 20 or wrong:
        raise SystemExit(4)


def _experiment(report: Callable[[int], object], where: Path) -> None:
    from ternary_vae.experiments.backends import InProcess
    from ternary_vae.experiments.description import Experiment
    from ternary_vae.experiments.execution import run_experiment
    from ternary_vae.experiments.report import write_experiment_report
    from ternary_vae.experiments.results import gather

    described = Experiment.model_validate(
        {
            "name": "full", "recipes": ["resolution"], "arms": {"plain": {"set": {"model.injection": "plain"}}},
            "seeds": [0, 1], "epochs": 1, "milestones": [1], "benchmarks": "none",
            "set": QUICK,
        }
    )  # fmt: skip
    done = run_experiment(described, where, backend=InProcess())
    if done.failed:
        raise SystemExit(_LINE if all("no space left" in line for line in done.failed.values()) else 5)
    write_experiment_report(gather(described, done))
