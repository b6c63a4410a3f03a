"""SIGKILL at random moments: no file half written, no epoch lost that a person has seen, the same bits in the end."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fault_injection.outcome import Outcome
from fault_injection.processes import Victim, undisturbed
from fault_injection.small_runs import (
    QUICK,
    differences,
    epochs_saved,
    quick_recipe,
    train_or_resume,
    unreadable,
    write_page,
)

UNREADABLE, LOST, BITS = "unreadable files", "lost epochs", "other bits"
_KILLS_A_RUN = 3


def training(kills: int, place: Path, chance: random.Random, epochs: int = 6, threads: int = 2) -> Outcome:
    """A run is killed while it starts, trains, measures and saves; three times, then it may finish."""
    outcome = Outcome.of("SIGKILL: training a run", UNREADABLE, LOST, BITS)
    recipe = quick_recipe(epochs, evaluation__checkpoint_every=1)
    straight, seconds = _timed(train_or_resume, recipe, place / "straight", threads)
    for number in _until(outcome, kills):
        run = place / f"run{number}"
        for _ in range(min(_KILLS_A_RUN, kills - outcome.trials)):
            seen = _killed(outcome, chance.uniform(0, seconds), train_or_resume, recipe, run, threads)
            _look_at(outcome, run)
            if (saved := epochs_saved(run)) < seen:
                outcome.record(LOST, f"{run}: {seen} were reported, {saved} are saved", seen - saved)
        _finish_and_compare(outcome, straight, run, recipe, threads)
    return outcome


def benchmarking(kills: int, place: Path, chance: random.Random, threads: int = 2) -> Outcome:
    """A run is killed while its end is benchmarked."""
    outcome = Outcome.of("SIGKILL: benchmarking a run", UNREADABLE, LOST, BITS)
    recipe = quick_recipe(1)
    undisturbed(train_or_resume, recipe, place / "trained", threads)
    shutil.copytree(place / "trained", place / "straight")
    straight, seconds = _timed(train_or_resume, recipe, place / "straight", threads, True)
    for number in _until(outcome, kills):
        run = place / f"run{number}"
        shutil.copytree(place / "trained", run)
        for _ in range(min(_KILLS_A_RUN, kills - outcome.trials)):
            _killed(outcome, chance.uniform(0, seconds), train_or_resume, recipe, run, threads, True)
            _look_at(outcome, run)
        _finish_and_compare(outcome, straight, run, recipe, threads, True)
    return outcome


def saving(kills: int, place: Path, chance: random.Random) -> Outcome:
    """A process that does nothing but save a checkpoint under four names is killed."""
    from ternary_vae.storage.checkpoints import load_checkpoint

    outcome = Outcome.of("SIGKILL: saving checkpoints", UNREADABLE, LOST)
    recipe = quick_recipe(1)
    undisturbed(train_or_resume, recipe, place / "trained", 1)
    source = place / "trained" / "checkpoints" / "latest.safetensors"
    while outcome.trials < kills:
        seen = _killed(outcome, chance.uniform(0, 0.4), _save_for_ever, source, place / "saved")
        _look_at(outcome, place / "saved")
        latest = place / "saved" / "latest.safetensors"
        saved = load_checkpoint(latest).epochs_completed if latest.exists() else 0
        if saved < seen:
            outcome.record(LOST, f"{latest}: {seen} were saved, it holds {saved}", seen - saved)
    return outcome


def caching(kills: int, place: Path, chance: random.Random) -> Outcome:
    """A process that does nothing but fill a tensor cache is killed."""
    import torch

    from ternary_vae.storage.tensor_cache import TensorCache

    outcome = Outcome.of("SIGKILL: filling the tensor cache", UNREADABLE, "entries lost")
    store = TensorCache(place / "cache")
    while outcome.trials < kills:
        seen = _killed(outcome, chance.uniform(0, 0.4), _cache_for_ever, place / "cache")
        _, wrong = store.verify()
        for name, problem in wrong.items():
            outcome.record(UNREADABLE, f"{name}: {problem}")
        for number in range(max(0, seen - _ENTRIES + 1), seen):
            entry = store.load(f"entry_{number % _ENTRIES}", made_from={"number": number})
            if entry is None or not bool(torch.equal(entry[0], _cached(number))):
                outcome.record("entries lost", f"entry {number}")
    return outcome


def reporting(kills: int, place: Path, chance: random.Random, run: Path) -> Outcome:
    """A process that writes the reports of a run is killed.

    Args:
        run: directory of a run with benchmark records.
    """
    outcome = Outcome.of("SIGKILL: writing reports", "reports half written")
    again = place / "run"  # always the same, since reports name the directory
    shutil.copytree(run, again)
    shutil.rmtree(again / "reports", ignore_errors=True)
    _, seconds = _timed(write_page, again)
    whole = _files(again / "reports")
    while outcome.trials < kills:
        shutil.rmtree(again / "reports", ignore_errors=True)
        _killed(outcome, chance.uniform(0, seconds), write_page, again)
        for name, content in _files(again / "reports").items():
            if name in whole and content != whole[name]:
                outcome.record("reports half written", name)
    return outcome


def experiment(kills: int, place: Path, chance: random.Random, whole_experiment: bool) -> Outcome:
    """Workers of an experiment are killed one at a time, or the experiment itself, which is then started again.

    Args:
        whole_experiment: kill the experiment's own process. Its workers must end with the epoch under way.
    """
    what = "an experiment's own process" if whole_experiment else "an experiment's workers"
    outcome = Outcome.of(f"SIGKILL: {what}", UNREADABLE, BITS, "runs failed", "workers left behind")
    straight, seconds = _timed(_experiment, place / "straight")
    for number in _until(outcome, kills):
        directory = place / f"experiment{number}"
        if whole_experiment:
            for _ in range(min(_KILLS_A_RUN, kills - outcome.trials)):
                victim = Victim(_experiment, directory)
                _wait(victim, chance.uniform(0, seconds))
                workers = _descendants(victim.pid)
                outcome.trials += victim.kill_after(0)
                _require_gone(outcome, workers)
                _look_at(outcome, directory)
            ended_well = Victim(_experiment, directory).finish()
        else:
            victim = Victim(_experiment, directory)
            for _ in range(min(_KILLS_A_RUN, kills - outcome.trials)):
                _wait(victim, chance.uniform(0.2, 0.6) * seconds)
                workers = [pid for pid in _descendants(victim.pid) if _is_worker(pid)]
                if not victim.lives or not workers:
                    continue
                os.kill(chance.choice(workers), signal.SIGKILL)
                outcome.trials += 1
            ended_well = victim.finish()
            _look_at(outcome, directory)
        if not ended_well:
            outcome.record("runs failed", str(directory))
        for run in sorted((straight / "runs").iterdir()):
            for difference in differences(run, directory / "runs" / run.name):
                outcome.record(BITS, f"{directory / 'runs' / run.name}: {difference}")
    return outcome


# ---------------------------------------------------------------- what the victims do

_ENTRIES = 5


def _nothing(report: Callable[[int], object]) -> None: ...


def _save_for_ever(report: Callable[[int], object], source: Path, directory: Path) -> None:
    from dataclasses import replace

    from ternary_vae.storage.checkpoints import load_checkpoint, save_checkpoint

    checkpoint = load_checkpoint(source)
    latest = directory / "latest.safetensors"
    number = load_checkpoint(latest).epochs_completed if latest.exists() else 0
    while True:
        number += 1
        also = [directory / f"{name}.safetensors" for name in ("epoch_1", "epoch_2", "best")]
        save_checkpoint(latest, replace(checkpoint, epoch=number, epochs_completed=number), also)
        report(number)


def _cache_for_ever(report: Callable[[int], object], directory: Path) -> None:
    from ternary_vae.storage.tensor_cache import TensorCache

    store = TensorCache(directory)
    number = 0
    while True:
        key, made_from = f"entry_{number % _ENTRIES}", {"number": number}
        if number >= _ENTRIES:
            store.remove(key, made_from={"number": number - _ENTRIES})
        store.save(key, _cached(number), {"purpose": "a test"}, made_from=made_from)
        number += 1
        report(number)


def _cached(number: int) -> Any:
    import torch

    return torch.full((20_000,), float(number))


def _experiment(report: Callable[[int], object], directory: Path) -> None:
    from joblib.externals.loky import get_reusable_executor

    from ternary_vae.experiments.backends import LocalProcesses
    from ternary_vae.experiments.description import Experiment
    from ternary_vae.experiments.execution import run_experiment

    described = Experiment.model_validate(
        {
            "name": "killed", "recipes": ["resolution"], "seeds": list(range(4)), "epochs": 8, "benchmarks": "none",
            "milestones": [8],
            "set": QUICK,
        }
    )  # fmt: skip
    done = run_experiment(described, directory, backend=LocalProcesses(2))
    get_reusable_executor().shutdown()  # as at the end of a command; a forked process has no such end
    if len(done.complete) < len(done.runs):
        raise SystemExit(1)


# ---------------------------------------------------------------- killing and looking


def _until(outcome: Outcome, kills: int) -> Iterator[int]:
    number = 0
    while outcome.trials < kills:
        yield number
        number += 1


def _timed(do: Callable[..., object], *given: Any) -> tuple[Path, float]:
    """Does something undisturbed; the first path that it was given, and how long it took."""
    undisturbed(_nothing)  # the first process waits for all that the others find imported
    started = time.monotonic()
    undisturbed(do, *given)
    return next(one for one in given if isinstance(one, Path)), time.monotonic() - started


def _killed(outcome: Outcome, seconds: float, do: Callable[..., object], *given: Any) -> int:
    """Starts something and kills it after so long; how much it had said is done."""
    victim = Victim(do, *given)
    outcome.trials += victim.kill_after(seconds)
    return max(0, victim.done)


def _wait(victim: Victim, seconds: float) -> None:
    until = time.monotonic() + seconds
    while victim.lives and time.monotonic() < until:
        time.sleep(0.01)


def _look_at(outcome: Outcome, place: Path) -> None:
    for problem in unreadable(place):
        outcome.record(UNREADABLE, problem)


def _finish_and_compare(outcome: Outcome, straight: Path, run: Path, *given: Any) -> None:
    recipe, *how = given
    if not Victim(train_or_resume, recipe, run, *how).finish():
        outcome.record(BITS, f"{run}: cannot be gone on with")
        return
    for difference in differences(straight, run):
        outcome.record(BITS, f"{run}: {difference}")
    shutil.rmtree(run)


def _files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.glob("[!.]*")} if directory.exists() else {}


_SECONDS_TO_END = 120.0


def _require_gone(outcome: Outcome, workers: list[int]) -> None:
    """Waits until workers have ended, which takes them an epoch."""
    until = time.monotonic() + _SECONDS_TO_END
    while (left := [pid for pid in workers if _is_running(pid)]) and time.monotonic() < until:
        time.sleep(0.05)
    for pid in left:
        outcome.record("workers left behind", f"process {pid}")
        os.kill(pid, signal.SIGKILL)


def _descendants(pid: int) -> list[int]:
    """Processes started by a process, and by those, as /proc has them."""
    parents: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:  # gone meanwhile
            continue
        parents.setdefault(int(fields[1]), []).append(int(status.parent.name))
    children = parents.get(pid, [])
    found = []
    while children:
        found += children
        children = [child for parent in children for child in parents.get(parent, [])]
    return found


def _is_worker(pid: int) -> bool:
    """Whether a process is one that does runs, not the tracker of its resources."""
    try:
        return b"popen_loky" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
