"""Where runs are done: in this process, in processes of this machine, or on a cluster. One interface, and no scheduler
of our own."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ternary_vae.devices import granted_cores
from ternary_vae.errors import UserError, nearest
from ternary_vae.experiments.task import (
    Ending,
    Task,
    perform_together,
    perform_together_in_worker,
    prepare_worker,
)
from ternary_vae.storage.runs import RunDirectory

BACKENDS = ("joblib", "inprocess", "ray")
# The most that `benchmarks/batched_seeds.py` has found to pay.
PROCESSES_ON_AN_ACCELERATOR, RUNS_AT_ONCE_ON_AN_ACCELERATOR = 4, 50
_LOST_IN_A_ROW = 3
_IDLE_SECONDS = 300  # a worker waits so long for its next run
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_KILLED = "its worker was killed {} times without an epoch in between; too little memory?"


@runtime_checkable
class Backend(Protocol):
    """Does tasks.

    Attributes:
        description: where and how, for people: `2 local processes`.
    """

    description: str

    def endings(self, tasks: Sequence[Task], log: Path) -> Iterator[Ending]:
        """Does the tasks and says how each ended, in the order in which they end.

        Args:
            log: file for what the place where they are done has to say for itself.

        Raises:
            UserError: if the place where they are done is gone; what was done is kept.
        """


class InProcess:
    """One run after another, here, with all of torch's threads; or up to `together` runs of one shape at once."""

    def __init__(self, together: int = 1) -> None:
        self.together = together
        self.description = "this process" + (f", up to {together} runs at once" if together > 1 else "")

    def endings(self, tasks: Sequence[Task], log: Path) -> Iterator[Ending]:
        for bundle in bundles(tasks, self.together):
            endings = perform_together(bundle)
            yield from endings
            if any(ending.status == "interrupted" for ending in endings):
                return


class LocalProcesses:
    """Processes of this machine (joblib, loky), one thread each: a second OpenMP thread gains next to nothing for
    layers as small as these, and threads of several processes that wait for each other lose a great deal.

    Args:
        workers: processes; one a core unless given.
        together: how many runs of one shape a process does at once.
        most: processes, unless they are given.
    """

    def __init__(self, workers: int | None = None, together: int = 1, most: int | None = None) -> None:
        cores = granted_cores()
        self.workers = workers or min(cores, most or cores)
        self.together = together
        self.description = f"{self.workers} local process{'es' if self.workers > 1 else ''} of one thread"
        if together > 1:
            self.description += f", up to {together} runs at once in each"

    def endings(self, tasks: Sequence[Task], log: Path) -> Iterator[Ending]:
        left = {task.name: replace(task, threads=1) for task in tasks}
        losses: dict[str, int] = {}
        before = {name: _epochs(task) for name, task in left.items()}
        while left:
            # Whose worker may be what gets killed waits until the others are done.
            waiting = sorted(left.values(), key=lambda task: losses.get(task.name, 0))
            parts = bundles(waiting, self.together, self.workers)
            for bundle, endings in _in_workers(parts, min(self.workers, len(parts))):
                if endings is not None:
                    for ending in endings:
                        del left[ending.name]
                        yield ending
                    continue
                # A worker was killed, and the pool with it. Runs go on from their last epoch.
                for task in bundle:
                    epochs = _epochs(task)
                    losses[task.name] = 1 if epochs > before[task.name] else losses.get(task.name, 0) + 1
                    before[task.name] = epochs
                    if losses[task.name] == _LOST_IN_A_ROW:
                        del left[task.name]
                        yield Ending(task.name, "failed", _KILLED.format(_LOST_IN_A_ROW))


def _in_workers(
    parts: Sequence[Sequence[Task]], workers: int
) -> Iterator[tuple[Sequence[Task], Sequence[Ending] | None]]:
    """Bundles of tasks as they end, each with its endings, or with None if it was running when a worker was killed;
    what had not been started by then is left out. A worker is given one bundle at a time, so that it is known which
    were running; joblib.Parallel would also drop the endings that nobody has looked at when a worker is killed."""
    from joblib.externals.loky import get_reusable_executor
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    # In the environment before a worker imports torch.
    pool = get_reusable_executor(
        workers, timeout=_IDLE_SECONDS, env=dict.fromkeys(_THREADS, "1"),
        initializer=prepare_worker, initargs=(os.getpid(),),
    )  # fmt: skip
    waiting, running, alive = deque(parts), dict[Future[Any], Sequence[Task]](), True
    try:
        while running or (alive and waiting):
            while alive and waiting and len(running) < workers:
                try:
                    running[pool.submit(perform_together_in_worker, waiting[0])] = waiting[0]
                    waiting.popleft()
                except TerminatedWorkerError:  # killed with nothing to do
                    alive = False
            # With a timeout, since Windows hears Ctrl-C only between two waits.
            for future in wait(running, timeout=1.0, return_when=FIRST_COMPLETED).done:
                bundle = running.pop(future)
                try:
                    endings = future.result()
                except TerminatedWorkerError:
                    alive, endings = False, None
                yield bundle, endings
    except BaseException:
        pool.shutdown(kill_workers=True)
        raise


def bundles(tasks: Sequence[Task], together: int, workers: int = 1) -> list[tuple[Task, ...]]:
    """Tasks that are done at once: of one shape, at most `together`, and no more than leaves every worker its part."""
    if together == 1:
        return [(task,) for task in tasks]
    from ternary_vae.acceleration.fleet import recipe_shape

    alike: dict[Hashable, list[Task]] = {}
    for task in tasks:
        alike.setdefault((task.own_device, task.benchmarks, *recipe_shape(task.recipe)), []).append(task)
    most = min(together, -(-len(tasks) // workers))
    parts = []
    for group in alike.values():
        pieces = -(-len(group) // most)
        parts += [tuple(group[number::pieces]) for number in range(pieces)]
    return parts


def _epochs(task: Task) -> int:
    """How many epochs of a run are written."""
    with suppress(UserError):
        return len(RunDirectory(task.directory).metrics())
    return 0


def require_options(
    name: str, workers: int | None, address: str | None, together: int | None, device: str = "auto"
) -> None:
    """Refuses options that no backend or not this one has.

    Raises:
        UserError: so it is.
    """
    if name not in BACKENDS:
        raise UserError(f"--backend {name!r}: unknown; {nearest(name, BACKENDS)}")
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers}: expected a whole number of at least 1")
    if address is not None and name != "ray":
        raise UserError(f"--address: is the address of a cluster, for --backend ray, not {name}")
    if workers is not None and name != "joblib":
        raise UserError(f"--workers: counts local processes, for --backend joblib, not {name}")
    if name == "ray" and device.startswith("cuda:") and device != "cuda:0":  # what a run is given is its first
        raise UserError(f"--device {device}: a cluster chooses the GPU of each run itself; use cuda")
    if together is not None and together < 1:
        raise UserError(f"--together {together}: expected a whole number of at least 1")


def backend_named(
    name: str,
    *,
    workers: int | None = None,
    address: str | None = None,
    together: int | None = None,
    accelerated: bool = False,
) -> Backend:
    """The backend of a name.

    Args:
        workers: local processes; one a core unless given, on an accelerator no more than four.
        together: how many runs of one shape a process does at once; one unless given, on an accelerator up to fifty.
        accelerated: whether runs are done on an accelerator, which processes share.

    Raises:
        UserError: unknown name, what it needs is not installed, or a cluster that cannot be reached.
    """
    require_options(name, workers, address, together)
    if name == "ray":
        from ternary_vae.experiments.cluster import RayCluster

        return RayCluster(address, together)
    if together is None:
        together = RUNS_AT_ONCE_ON_AN_ACCELERATOR if accelerated else 1
    if name == "inprocess":
        return InProcess(together)
    return LocalProcesses(workers, together, PROCESSES_ON_AN_ACCELERATOR if accelerated else None)
