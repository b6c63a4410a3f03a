"""Starts a Ray cluster of two nodes on this machine, runs a small experiment on it, kills a worker in the middle of a
run, and checks that the experiment completes and what the kill has cost.

    pip install 'ternary-vae[cluster]'
    python scripts/experiments/two_node_cluster.py
    python scripts/experiments/two_node_cluster.py --together 2    # the worker that is killed does two runs at once

Takes about two minutes on two cores. Exit code 1 if anything is missing at the end.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from ternary_vae.errors import UserError, not_installed
from ternary_vae.storage.lease import holder
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.terminal import exit_code

EPOCHS, KILLED_AFTER = 12, 3
DESCRIPTION = {
    "name": "two_nodes",
    "recipes": ["resolution"],
    "arms": {"plain": {"set": {"model.injection": "plain"}}},
    "seeds": [1, 2],
    "epochs": EPOCHS,
    "milestones": [EPOCHS],
    "reference": "resolution",
    "benchmarks": "none",
    "set": {"data.train_share": 0.1, "evaluation.coverage_draws": 2000, "evaluation.full_coverage_draws": None},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--directory", type=Path, help="keep the experiment here; a temporary directory by default")
    parser.add_argument("--together", type=int, default=1, help="runs that a worker does at once (default: 1)")
    arguments = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing is sent anywhere
    try:
        from ray.cluster_utils import Cluster
    except ImportError:
        raise not_installed("a cluster", "Ray", "cluster") from None
    node = {"num_cpus": 1, "object_store_memory": 80_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        cluster.add_node(**node)
        print(f"a Ray cluster of two nodes at {cluster.address}")
        with TemporaryDirectory() as temporary:
            place = arguments.directory or Path(temporary) / "two_nodes"
            return demonstrate(cluster.address, place, arguments.together)
    finally:
        cluster.shutdown()


def demonstrate(address: str, place: Path, together: int) -> int:
    """Runs the experiment, kills a worker, and says what became of it."""
    description = place.with_suffix(".yaml")
    description.parent.mkdir(parents=True, exist_ok=True)
    description.write_text(yaml.safe_dump(DESCRIPTION), encoding="utf-8")
    command = [sys.executable, "-m", "ternary_vae.cli", "experiment", str(description), "--directory", str(place)]
    options = ["--backend", "ray", "--address", address, "--together", str(together)]
    experiment = subprocess.Popen([*command, *options])
    try:
        victim = wait_for_a_run(place, experiment)
        written = len(victim.metrics())
        process = int(holder(victim.lock_file).split()[1])
        os.kill(process, signal.SIGKILL)
        print(f"killed the worker of {victim.path.name}, process {process}, after {written} epochs")
        code = experiment.wait()
    finally:
        experiment.kill()
    resumed = [event["epoch"] for event in victim.events() if event["kind"] == "resumed"]
    lost = written - resumed[0] if resumed else None
    runs = [RunDirectory(path) for path in sorted((place / "runs").iterdir())]
    complete = [run.path.name for run in runs if is_whole(run)]
    print(f"the run went on after epoch {resumed}; epochs written and lost: {lost}")
    print(f"complete: {len(complete)} of 4 runs; exit code of the experiment: {code}")
    return int(code != 0 or len(complete) != 4 or lost is None or lost > 1)


def wait_for_a_run(place: Path, experiment: subprocess.Popen[Any]) -> RunDirectory:
    """The first run that is well under way."""
    while experiment.poll() is None:
        for path in place.glob("runs/*"):
            run = RunDirectory(path)
            if KILLED_AFTER <= len(run.metrics()) < EPOCHS - 2 and holder(run.lock_file):
                return run
        time.sleep(0.05)
    raise UserError(f"the experiment ended with code {experiment.returncode} before a run was under way")


def is_whole(run: RunDirectory) -> bool:
    """Whether a run is complete, with every epoch once."""
    epochs = [row["epoch"] for row in run.metrics()]
    return run.facts()["status"] == "completed" and epochs == list(range(1, EPOCHS + 1))


if __name__ == "__main__":
    sys.exit(exit_code("two_node_cluster", main))
