"""How the cores of a CPU are used: a core a task. Small layers gain next to nothing from a second core, and two threads
that wait for each other lose a great deal when anything else runs on the machine."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch

Tasks = dict[Hashable, Callable[[], Any]]


def side_by_side(tasks: Tasks, device: torch.device) -> dict[Hashable, Any]:
    """Runs independent tasks, on a CPU as many at once as PyTorch may use cores and each on one: they then never wait
    for each other, and no sum depends on the number of cores."""
    cores = torch.get_num_threads()
    if device.type != "cpu" or cores == 1:
        return {name: task() for name, task in tasks.items()}
    with (
        on_one_core(device),
        # PyTorch keeps the number of threads for each thread.
        ThreadPoolExecutor(cores, initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        running = {name: pool.submit(task) for name, task in tasks.items()}
        try:
            return {name: future.result() for name, future in running.items()}
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def on_one_core(device: torch.device) -> Iterator[None]:
    """On a CPU, lets PyTorch use one core inside the block."""
    cores = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(cores)
