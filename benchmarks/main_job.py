"""The main job, from the first epoch to the reports, with the code of two checkouts in turn.

    git worktree add ../before aa6bfbb
    python benchmarks/main_job.py ../before .

Counted are seconds of the wall and of all processors, the benchmarks of milestones among them, the largest resident
memory, and what the same run's reports take when they are written once more. A turn takes seven minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from checkouts import print_comparison, taken_by
from ternary_vae.terminal import exit_code

KINDS = {
    "wall": ("wall, s", ".0f"),
    "processor": ("all processors, s", ".0f"),
    "milestones": ("milestones, s", ".0f"),
    "peak": ("peak memory, MiB", ".0f"),
    "report": ("report, s", ".1f"),
}


def main() -> int:
    """Measures and prints a table; ratios are of the second checkout to the first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first", type=Path, help="a checkout")
    parser.add_argument("second", type=Path, help="another one")
    parser.add_argument("--turns", type=int, default=1, help="how often each is run, in turn (default: 1)")
    parser.add_argument("--epochs", type=int, help="fewer than the recipe has, phases scaled")
    options = parser.parse_args()
    shorter = [] if options.epochs is None else ["--epochs", str(options.epochs), "--scale-phases"]
    checkouts = (options.first, options.second)
    print_comparison(checkouts, [[_run(each, shorter) for each in checkouts] for _ in range(options.turns)], KINDS)
    return 0


def _run(checkout: Path, shorter: list[str]) -> dict[str, float]:
    with TemporaryDirectory() as place:
        run = Path(place) / "run"
        cold = ["--set", f"cache.directory={json.dumps(str(Path(place) / 'cache'))}"]
        command = ["-m", "ternary_vae.cli", "train", "--run-dir", str(run), "--device", "cpu", *cold, *shorter]
        taken = taken_by(checkout, *command)
        events = map(json.loads, (run / "events.jsonl").read_text(encoding="utf-8").splitlines())
        milestones = sum(
            float(seconds[1])
            for event in events
            if event["kind"] == "milestone" and (seconds := re.search(r" in ([\d.]+) s", event["message"]))
        )
        report = taken_by(checkout, "-m", "ternary_vae.cli", "report", str(run))["wall"]
        return {**taken, "milestones": milestones, "report": report}


if __name__ == "__main__":
    sys.exit(exit_code("main_job", main))
