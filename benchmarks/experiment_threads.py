"""How local processes share the cores: as many runs as cores at once, against one run alone.

    python benchmarks/experiment_threads.py --output benchmarks/experiment_threads.json

Three ways take turns, each in fresh processes:

- alone: one run with all cores to itself, its threads as torch chooses them;
- shared: one run a core at once, as `ternary-vae experiment` does them (joblib, one thread each);
- naive: one run a core at once, each a plain process with torch's own choice of threads.

What is compared is seconds an epoch as runs time themselves, start-up left out. Shared over alone is what sharing
costs a run; cores divided by it is how many runs' worth of work gets done in the time of one. The naive way may take
many times as long and is cut off after --patience times the shared one; its figure is then a lower bound.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ternary_vae.devices import granted_cores
from ternary_vae.storage.files import require_writable
from ternary_vae.terminal import exit_code

AIM = 2.0  # a run alone trains on one core and measures on another: with two runs at once each has one
NAIVE = """
import sys
from ternary_vae import load_recipe, train
recipe = load_recipe(sys.argv[1], seed=int(sys.argv[2])).model_copy(update={"epochs": int(sys.argv[3])})
train(recipe, sys.argv[4], device="cpu", benchmark_milestones=False)
"""
THREADS = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TORCH_NUM_THREADS")


def main() -> int:
    """Measures, prints a table, writes JSON. Exit code 1 if `--check` is given and the aim is missed."""
    options = _options()
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    turns = [_turn(options) for _ in range(options.repeats)]
    report = _report(options, turns) | {"load_average_before": busy}
    for line in _table(report):
        print(line)
    if options.output:
        from ternary_vae.storage.files import write_json

        write_json(options.output, report)
        print(f"\nwritten: {options.output}")
    return int(options.check and not report["met"])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="resolution", help="recipe by name or path")
    parser.add_argument("--epochs", type=int, default=10, help="length of every run")
    parser.add_argument("--runs", type=int, default=granted_cores(), help="runs at once; one a core unless given")
    parser.add_argument("--repeats", type=int, default=3, help="turns")
    parser.add_argument("--patience", type=float, default=10.0, help="times the shared way that the naive one may take")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--check", action="store_true", help="exit with 1 if the aim is missed")
    options = parser.parse_args()
    if options.output:
        require_writable(options.output)
    return options


def _turn(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds an epoch of each way; of the naive one also whether it was cut off."""
    with TemporaryDirectory() as place:
        alone = _experiment(options, Path(place) / "alone", runs=1, backend="inprocess")
        started = time.monotonic()
        shared = _experiment(options, Path(place) / "shared", runs=options.runs, backend="joblib")
        patience = options.patience * (time.monotonic() - started)
        naive, cut_off = _naive(options, Path(place) / "naive", patience)
    return {"alone": alone, "shared": shared, "naive": naive, "naive_cut_off": cut_off}


def _experiment(options: argparse.Namespace, place: Path, runs: int, backend: str) -> float:
    """Seconds an epoch, mean of the runs of one experiment in a process of its own."""
    import yaml

    place.mkdir()
    description = {
        "name": place.name, "recipes": [options.recipe], "seeds": list(range(runs)), "epochs": options.epochs,
        "milestones": [options.epochs], "benchmarks": "none",
    }  # fmt: skip
    file = place / "description.yaml"
    file.write_text(yaml.safe_dump(description), encoding="utf-8")
    command = [sys.executable, "-m", "ternary_vae.cli", "experiment", str(file), "--backend", backend]
    command += ["--directory", str(place / "runs"), "--device", "cpu"]
    command += ["--workers", str(runs)] if backend == "joblib" else []
    subprocess.run(command, check=True, env=_environment(), stdout=subprocess.DEVNULL)
    return statistics.mean(_seconds_an_epoch(path) for path in (place / "runs" / "runs").iterdir())


def _naive(options: argparse.Namespace, place: Path, patience: float) -> tuple[float, bool]:
    """Seconds an epoch of plain processes, and whether they were cut off."""
    place.mkdir()
    paths = [place / f"seed{seed}" for seed in range(options.runs)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", NAIVE, options.recipe, str(seed), str(options.epochs), str(path)], env=_environment()
        )
        for seed, path in enumerate(paths)
    ]
    started = time.monotonic()
    try:
        for process in processes:
            process.wait(timeout=max(0.1, patience - (time.monotonic() - started)))
        return statistics.mean(map(_seconds_an_epoch, paths)), False
    except subprocess.TimeoutExpired:
        elapsed = time.monotonic() - started
        return elapsed / max(1, max(map(_epochs_done, paths))), True
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _environment() -> dict[str, str]:
    """This environment without anybody's choice of threads."""
    return {name: value for name, value in os.environ.items() if name not in THREADS}


def _seconds_an_epoch(path: Path) -> float:
    from ternary_vae.storage.runs import RunDirectory

    return RunDirectory(path).facts()["seconds"] / _epochs_done(path)


def _epochs_done(path: Path) -> int:
    from ternary_vae.storage.runs import RunDirectory

    return len(RunDirectory(path).metrics())


def _report(options: argparse.Namespace, turns: list[dict[str, Any]]) -> dict[str, Any]:
    from ternary_vae.storage.runs import code_version, environment

    shared = [turn["shared"] / turn["alone"] for turn in turns]
    naive = [turn["naive"] / turn["alone"] for turn in turns]
    cost = statistics.median(shared)
    return {
        "recipe": options.recipe,
        "epochs": options.epochs,
        "runs_at_once": options.runs,
        "code_version": code_version(),
        "environment": environment("cpu"),
        "turns": turns,
        "median_seconds_an_epoch": {
            way: statistics.median(turn[way] for turn in turns) for way in ("alone", "shared", "naive")
        },
        "shared_over_alone": {"median": cost, "lowest": min(shared), "highest": max(shared)},
        "naive_over_alone": {"median": statistics.median(naive), "lowest": min(naive), "highest": max(naive)},
        "naive_is_a_lower_bound": any(turn["naive_cut_off"] for turn in turns),
        "work_gained": options.runs / cost,
        "aim": AIM,
        "met": cost <= AIM,
    }


def _table(report: dict[str, Any]) -> list[str]:
    """Ways, seconds an epoch and ratios, as text."""
    bound = "at least " if report["naive_is_a_lower_bound"] else ""
    seconds = report["median_seconds_an_epoch"]
    ratio = {way: report[f"{way}_over_alone"] for way in ("shared", "naive")}
    runs = report["runs_at_once"]
    load = report["load_average_before"]
    lines = [
        f"{report['recipe']}, {report['epochs']} epochs, {runs} runs at once, load before {load}",
        f"one run alone                    {seconds['alone']:.3f} s an epoch",
        f"{runs} runs, one thread each          {seconds['shared']:.3f} s an epoch",
        f"{runs} runs, threads as torch chooses {bound}{seconds['naive']:.3f} s an epoch",
    ]
    for way, before in (("shared", ""), ("naive", bound)):
        spread = ratio[way]
        lines.append(
            f"{way} over alone: {before}{spread['median']:.2f} ({spread['lowest']:.2f} to {spread['highest']:.2f})"
        )
    verdict = "met" if report["met"] else "missed"
    lines.append(
        f"sharing costs a run at most {report['aim']:.1f} times: {verdict}; work gained {report['work_gained']:.2f}"
    )
    return lines


if __name__ == "__main__":
    sys.exit(exit_code("experiment_threads", main))
