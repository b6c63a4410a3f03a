"""Runs on an existing Ray cluster. Ray schedules and restarts what was lost; it is installed only where it is wanted:
`pip install 'ternary-vae[cluster]'`. All nodes must have this package and see the experiment's directory under the same
path, since a run that moves to another node goes on from what it wrote.

Ray ends a program whose cluster has died, so a process of its own drives it and reports to this one. When that
process is gone, so is the cluster; what runs had written is kept.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ternary_vae.errors import UserError, not_installed
from ternary_vae.experiments.backends import PROCESSES_ON_AN_ACCELERATOR, RUNS_AT_ONCE_ON_AN_ACCELERATOR, bundles
from ternary_vae.experiments.task import Ending, Task, perform_together_in_worker
from ternary_vae.formats import counted

_RETRIES = 3
_SECONDS_TO_CONNECT = 60
_SECONDS_TO_ANSWER = 5


class RayCluster:
    """A Ray cluster that is there already.

    Args:
        address: `HOST:PORT`, `ray://HOST:PORT`, or None for $RAY_ADDRESS or the cluster on this machine.
        together: how many runs of one shape a worker does at once; one unless given, on GPUs up to fifty.

    Raises:
        UserError: Ray is not installed, or no cluster answers.
    """

    def __init__(self, address: str | None = None, together: int | None = None) -> None:
        if importlib.util.find_spec("ray") is None:
            raise not_installed("--backend ray", "Ray", "cluster")
        self.together = together
        self.address = address or os.environ.get("RAY_ADDRESS") or "auto"
        _require_reachable(self.address, "--address" if address else "RAY_ADDRESS")
        here, there = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=_drive, args=(there, self.address, os.getpid()), daemon=True)
        self._process.start()
        there.close()
        self._connection = here
        connected = self._connection.poll(_SECONDS_TO_CONNECT)
        kind, content = self._receive() if connected else ("error", f"no answer within {_SECONDS_TO_CONNECT} s")
        if kind == "error":
            self._process.kill()
            raise UserError(f"--address {self.address}: no Ray cluster can be reached there: {content}")
        self.description = f"a Ray cluster of {content}"
        if together and together > 1:
            self.description += f", up to {together} runs at once in each task"

    def endings(self, tasks: Sequence[Task], log: Path) -> Iterator[Ending]:
        with suppress(OSError):  # gone already, which is reported below
            self._connection.send((list(tasks), self.together, str(log)))
        left = len(tasks)
        while left:
            kind, content = self._receive()
            if kind == "error":
                raise UserError(f"the Ray cluster at {self.address} is gone: {content}")
            left -= 1
            yield content

    def _receive(self) -> tuple[str, Any]:
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            return "error", "it no longer answers"


def _require_reachable(address: str, given: str) -> None:
    """Ray itself would go on asking for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto":
        return
    if not colon or not port.isdecimal() or int(port) > 65_535:
        raise UserError(f"{given} {address}: expected HOST:PORT or ray://HOST:PORT, such as 10.0.0.1:6379")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS_TO_ANSWER).close()
    except TimeoutError:
        raise UserError(f"{given} {address}: no answer within {_SECONDS_TO_ANSWER} s") from None
    except (OSError, UnicodeError) as failure:
        reason = getattr(failure, "strerror", None) or "no such machine"
        raise UserError(f"{given} {address}: no Ray cluster can be reached there: {reason}") from None


def _drive(connection: Any, address: str, parent: int) -> None:
    """The process that drives Ray: reports the cluster's size, takes the tasks, and reports how each ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # runs stop when the experiment says so
    _write_to(os.devnull)
    try:
        import ray

        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        nodes = sum(node["Alive"] for node in ray.nodes())
        cores, gpus = (int(ray.cluster_resources().get(kind, 0)) for kind in ("CPU", "GPU"))
        resources = counted(cores, "core") + (f" and {counted(gpus, 'GPU')}" if gpus else "")
        connection.send(("connected", f"{counted(nodes, 'node')} and {resources}"))
        tasks, together, log = connection.recv()
        _write_to(log)
        remote: Any = ray.remote(num_cpus=1, max_retries=_RETRIES)(perform_together_in_worker)
        running: dict[Any, list[str]] = {}
        on_gpus = tasks[0].device.startswith("cuda") or (tasks[0].device == "auto" and gpus > 0)
        if on_gpus and not gpus:
            connection.send(("error", "it has no GPU; use --device cpu or auto"))
            return
        together = together or (RUNS_AT_ONCE_ON_AN_ACCELERATOR if on_gpus else 1)
        control = ray.get_runtime_context().gcs_address
        workers = min(cores, PROCESSES_ON_AN_ACCELERATOR * gpus) if on_gpus else cores
        for bundle in bundles(tasks, together, max(1, workers)):
            # Ray hides the accelerators of a node from tasks that ask for none.
            options = remote.options(num_gpus=1 / PROCESSES_ON_AN_ACCELERATOR if on_gpus else 0)
            running[options.remote([replace(task, threads=1) for task in bundle])] = [task.name for task in bundle]
        while running:
            ready, _ = ray.wait(list(running), num_returns=1, timeout=1.0)
            if os.getppid() != parent:
                return
            for reference in ready:
                for ending in _endings(ray, reference, running.pop(reference), control):
                    connection.send(("ended", ending))
    except EOFError:
        return
    except BaseException as failure:
        connection.send(("error", _first_line(failure)))


def _endings(ray: Any, reference: Any, names: Sequence[str], control: str) -> list[Ending]:
    """How runs ended.

    Raises:
        RayError: not they but the whole cluster did.
    """
    try:
        return ray.get(reference)
    except ray.exceptions.WorkerCrashedError:
        why = f"its worker was killed {_RETRIES + 1} times; too little memory?"
    except ray.exceptions.RayError as failure:
        if _is_down(control):
            raise
        why = _first_line(failure)
    return [Ending(name, "failed", why) for name in names]


def _is_down(address: str) -> bool:
    """Whether a cluster's head no longer answers, or stops to within some seconds: its nodes may end before it."""
    host, _, port = address.rpartition(":")
    until = time.monotonic() + _SECONDS_TO_ANSWER
    while time.monotonic() < until:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS_TO_ANSWER).close()
        except OSError:
            return True
        time.sleep(0.5)
    return False


def _first_line(failure: BaseException) -> str:
    lines = [line.strip() for line in str(failure).splitlines() if line.strip()]
    return (lines[0] if lines else type(failure).__name__)[:300]


def _write_to(path: str) -> None:
    """What Ray prints is for a log, not for the person who watches the experiment."""
    sys.stdout.flush()
    sys.stderr.flush()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.close(descriptor)
