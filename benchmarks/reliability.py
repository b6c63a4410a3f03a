"""What happens when things go wrong, on this machine: processes killed at random moments, damaged files, odd settings,
a full disk, a crowd at one cache entry.

    python benchmarks/reliability.py --output reports/reliability.md

Nothing is simulated: processes are killed with SIGKILL, files are changed on disk, the full disk is a small file system
of its own (Linux, as root; left out elsewhere). `--seed` chooses the random moments, damages
and settings; what a kill interrupts depends on the machine. Exit code 1 if anything happened that must not.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# Before torch starts, here and in every process: one thread unless a run sets its own, which wait as in a command.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from fault_injection import kills
from fault_injection.damaged_files import damaged_files
from fault_injection.full_disk import full_disk
from fault_injection.odd_recipes import odd_recipes
from fault_injection.outcome import Outcome
from fault_injection.shared_cache import shared_cache
from ternary_vae.terminal import exit_code

KILLS = {"training": 0.30, "saving": 0.20, "benchmarking": 0.08, "reporting": 0.12, "caching": 0.15, "workers": 0.10}
"""Share of the kills by what is disturbed; an experiment's own process gets the rest."""
PARTS = ("cache", "damages", "recipes", "disk", "kills")
STOPPED = "stopped before its end"


def main() -> int:
    """Runs what is asked for, prints each row when it is known, and writes the table."""
    options = _options()
    started = time.monotonic()
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="reliability-") as place:
        os.environ["TERNARY_VAE_CACHE_DIR"] = str(Path(place) / "cached_tensors")
        for outcome in _outcomes(options, Path(place)):
            outcomes.append(outcome)
            print(" · ".join(_row(outcome)), flush=True)
            for problem in outcome.problems:
                print(f"    {problem}", flush=True)
    if options.output:
        from ternary_vae.storage.files import write_text

        write_text(options.output, _markdown(outcomes, options, time.monotonic() - started))
        print(f"written: {options.output}")
    return int(not all(outcome.holds for outcome in outcomes))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--kills", type=int, default=200, help="SIGKILLs, over everything that is disturbed")
    parser.add_argument("--damages", type=int, default=2000, help="damaged files, over every kind")
    parser.add_argument("--recipes", type=int, default=500, help="odd but valid recipes, two epochs each")
    parser.add_argument("--disk-trials", type=int, default=4, help="full disks, for each place that writes")
    parser.add_argument("--processes", type=int, default=16, help="processes on one cache entry")
    parser.add_argument("--rounds", type=int, default=10, help="how often they meet there")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments, damages and settings")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts; all unless given")
    parser.add_argument("--output", type=Path, help="Markdown file to write")
    return parser.parse_args()


def _outcomes(options: argparse.Namespace, place: Path) -> Iterator[Outcome]:
    def directory(name: str) -> Path:
        (place / name).mkdir()
        return place / name

    def chance() -> random.Random:
        return random.Random(options.seed)  # for each part, so that it does not depend on which others are run

    def cache() -> Iterator[Outcome]:
        yield shared_cache(options.rounds, options.processes, directory("shared_cache"))

    def recipes() -> Iterator[Outcome]:
        yield odd_recipes(options.recipes, directory("recipes"), chance())

    parts: dict[str, Callable[[], Iterator[Outcome]]] = {
        "cache": cache,
        "damages": lambda: damaged_files(options.damages, directory("damages"), chance()),
        "recipes": recipes,
        "disk": lambda: full_disk(options.disk_trials, directory("disk"), chance()),
        "kills": lambda: _kills(options.kills, chance(), directory),
    }
    if list(options.only) == ["kills"]:
        yield from _to_its_end("kills", parts["kills"])
        return
    with ThreadPoolExecutor(1) as beside:  # kills mostly wait for processes
        killed = None
        if "kills" in options.only:
            killed = beside.submit(lambda: list(_to_its_end("kills", parts["kills"])))
        for name in PARTS:
            if name in options.only and name != "kills":
                yield from _to_its_end(name, parts[name])
        if killed is not None:
            yield from killed.result()


def _to_its_end(name: str, part: Callable[[], Iterator[Outcome]]) -> Iterator[Outcome]:
    """The outcomes of a part; one that stops is something that must not happen, and ends no other part."""
    try:
        yield from part()
    except (Exception, SystemExit) as stopped:
        outcome = Outcome.of(f"the part {name}", STOPPED)
        outcome.trials = 1
        outcome.record(STOPPED, f"{type(stopped).__name__}: {stopped}")
        yield outcome


def _kills(kills_in_all: int, chance: random.Random, directory: Callable[[str], Path]) -> Iterator[Outcome]:
    count = {name: round(kills_in_all * share) for name, share in KILLS.items()}
    yield kills.training(count["training"], directory("training"), chance)
    yield kills.saving(count["saving"], directory("saving"), chance)
    yield kills.caching(count["caching"], directory("caching"), chance)
    benchmarked = directory("benchmarking")
    yield kills.benchmarking(count["benchmarking"], benchmarked, chance)
    yield kills.reporting(count["reporting"], directory("reporting"), chance, benchmarked / "straight")
    yield kills.experiment(count["workers"], directory("workers"), chance, whole_experiment=False)
    rest = kills_in_all - sum(count.values())
    yield kills.experiment(rest, directory("experiments"), chance, whole_experiment=True)


def _row(outcome: Outcome) -> tuple[str, str, str, str]:
    if outcome.left_out and not outcome.trials:
        return outcome.check, "0", "", f"left out: {outcome.left_out}"
    answers = f"{outcome.refused:,}" if outcome.refused is not None else ""
    return outcome.check, f"{outcome.trials:,}", answers, ", ".join(f"{n} {w}" for w, n in outcome.counts.items())


def _markdown(outcomes: Sequence[Outcome], options: argparse.Namespace, seconds: float) -> str:
    import torch

    from ternary_vae.formats import cell, duration, table
    from ternary_vae.storage.runs import code_version

    killed = sum(outcome.trials for outcome in outcomes if outcome.check.startswith("SIGKILL"))
    damaged = sum(outcome.trials for outcome in outcomes if outcome.check.startswith("damaged"))
    odd = sum(outcome.trials for outcome in outcomes if outcome.check.startswith("odd"))
    rows = [tuple(map(cell, _row(outcome))) for outcome in outcomes]
    happened = [f"- {cell(problem)}" for outcome in outcomes for problem in outcome.problems]
    where = f"{os.cpu_count()} cores of a {platform.system()} {platform.machine()} machine"
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, ternary-vae {code_version()}"
    return "\n".join(
        [
            "# Reliability",
            "",
            f"{killed:,} SIGKILLs, {damaged:,} damaged files, {odd:,} odd recipes; "
            + ("nothing happened that must not." if not happened else f"{len(happened)} things that must not happen."),
            "",
            "    " + shlex.join(["python", "benchmarks/reliability.py", *sys.argv[1:]]),
            "",
            table(("what is disturbed", "times", "answered in one line", "what must not happen, and how often it did"),
                  rows),
            "",
            *happened,
            *([""] if happened else []),
            "Killed processes are started again until they finish; other bits are counted against every checkpoint, "
            "row of metrics and record of a run that nobody disturbed. A lost epoch is one that was reported and could "
            "not be gone on from. Damaged files are cut, flipped, filled, doubled, replaced, or changed in single "
            "values; what was not answered in one line was read all the same, since what was changed said something "
            "valid. A full disk is a file system of its own, filled up to a random rest.",
            "",
            f"{duration(seconds)} on {where}; {versions}; seed {options.seed}.",
            "",
        ]
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(exit_code("reliability", main))
