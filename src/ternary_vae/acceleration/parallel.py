"""How the cores of a CPU are used: a core a task. Small layers gain next to nothing from a second core, and two threads
that wait for each other lose a great deal when anything else runs on the machine."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch

from ternary_vae.acceleration.allocator import return_end_of_heap

Tasks = dict[Hashable, Callable[[], Any]]


def side_by_side(tasks: Tasks, device: torch.device) -> dict[Hashable, Any]:
    """Runs independent tasks, on a CPU as many at once as PyTorch may use cores and each on one: they then never wait
    for each other, and no sum depends on the number of cores. Gradients are asked for where the caller does."""
    cores = torch.get_num_threads()
    if device.type != "cpu" or cores == 1:
        return {name: task() for name, task in tasks.items()}
    with_gradients = torch.is_grad_enabled()

    def begin() -> None:  # PyTorch keeps both for each thread
        torch.set_num_threads(1)
        torch.set_grad_enabled(with_gradients)

    def run(task: Callable[[], Any]) -> Any:
        try:
            return task()
        finally:
            return_end_of_heap()

    with on_one_core(device), ThreadPoolExecutor(cores, initializer=begin) as pool:
        running = {name: pool.submit(run, task) for name, task in tasks.items()}
        try:
            return {name: future.result() for name, future in running.items()}
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


class SharedTasks:
    """Independent tasks that one thread works through and another may join in. Who does which is chance; results do not
    depend on it. Each task runs on one core, if its threads see to that."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Callable[[], Any], Future[Any]]] = deque()

    def run(self, tasks: Tasks, device: torch.device) -> dict[Hashable, Any]:
        """Works through tasks, in their order, until all are done, here or by whoever joins in. As `side_by_side`."""
        results: dict[Hashable, Future[Any]] = {name: Future() for name in tasks}
        self._waiting.extend(zip(tasks.values(), results.values()))
        self.join_in()
        return {name: result.result() for name, result in results.items()}

    def join_in(self) -> None:
        """Does what nobody has begun."""
        while self._waiting:
            try:
                task, result = self._waiting.popleft()
            except IndexError:  # the other thread was faster
                return
            try:
                result.set_result(task())
            except BaseException as failure:
                result.set_exception(failure)
                if not isinstance(failure, Exception):
                    raise


class InTurn(Executor):
    """Does what is submitted at once, in the caller's thread: for one core, on which a second thread only takes turns
    with the first and each finds its data gone from the cache."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as failure:
            done.set_exception(failure)
        return done


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
