"""Runs on an existing Ray cluster. Ray schedules, restarts what was lost, and is installed only where it is wanted:
`pip install ternary-vae[cluster]`. All nodes must see the experiment's directory under the same path, since a run that
moves to another node goes on from what it wrote."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ternary_vae.errors import UserError
from ternary_vae.experiments.task import Ending, Task, perform_in_worker

_RETRIES = 3


class RayCluster:
    """A Ray cluster that is there already.

    Args:
        address: `HOST:PORT`, `ray://HOST:PORT`, or None for the one on this machine.
    """

    stops_by_itself = False

    def __init__(self, address: str | None = None) -> None:
        try:
            import ray
        except ImportError:
            raise UserError("--backend ray: Ray is not installed; pip install 'ternary-vae[cluster]'") from None
        self.address = address or "auto"
        try:
            ray.init(address=self.address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError, ValueError) as failure:
            reason = " ".join(str(failure).split())[:200]
            raise UserError(f"--address {self.address}: no Ray cluster answers there ({reason})") from None
        nodes = sum(node["Alive"] for node in ray.nodes())
        cores = int(ray.cluster_resources().get("CPU", 0))
        self.told = f"a Ray cluster of {nodes} node{'s' if nodes != 1 else ''} and {cores} cores"

    def endings(self, tasks: Sequence[Task]) -> Iterator[Ending]:
        import ray

        remote: Any = ray.remote(num_cpus=1, max_retries=_RETRIES)(perform_in_worker)
        running = {remote.remote(replace(task, threads=1)): task.name for task in tasks}
        while running:
            ready, _ = ray.wait(list(running), num_returns=1)
            for reference in ready:
                name = running.pop(reference)
                try:
                    yield ray.get(reference)
                except ray.exceptions.WorkerCrashedError:
                    yield Ending(name, "failed", f"its worker was killed {_RETRIES + 1} times; too little memory?")
