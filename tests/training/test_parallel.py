"""Tasks side by side, each on one core; tasks that two threads share: each is done once, by either."""

from __future__ import annotations

import threading

import pytest
import torch

from ternary_vae.acceleration import parallel
from ternary_vae.acceleration.parallel import InTurn, SharedTasks, on_one_core, side_by_side

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_side_by_side_are_as_many_as_there_are_cores_each_on_one():
    """Either task waits for the other. On an accelerator they are done in turn, here, and cores are left alone."""
    torch.set_num_threads(2)  # `_one_core` sets it back
    both = threading.Barrier(2)

    def task():
        both.wait(60)
        return torch.get_num_threads()

    assert side_by_side({"first": task, "second": task}, CPU) == {"first": 1, "second": 1}
    here = dict.fromkeys("ba", threading.current_thread())
    assert side_by_side(dict.fromkeys(here, threading.current_thread), CUDA) == here
    for device, cores in ((CPU, 1), (CUDA, 2)):
        with on_one_core(device):
            assert torch.get_num_threads() == cores
        assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    assert side_by_side(dict.fromkeys(here, threading.current_thread), CPU) == here


def test_after_one_that_fails_side_by_side_no_other_is_begun(monkeypatch):
    torch.set_num_threads(2)
    begun, told = [], threading.Event()

    class Pool(parallel.ThreadPoolExecutor):
        def shutdown(self, wait=True, **how):
            super().shutdown(wait=False, **how)
            told.set()
            super().shutdown(wait=wait)

    def fail():
        raise ValueError("no")

    monkeypatch.setattr(parallel, "ThreadPoolExecutor", Pool)
    others = {number: lambda number=number: begun.append(number) or told.wait() for number in range(4)}
    with pytest.raises(ValueError, match="no"):
        side_by_side({"bad": fail, **others}, CPU)
    assert len(begun) <= 2


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("gradients", [True, False])
def test_side_by_side_a_task_has_a_core_and_gradients_as_its_caller(cores, gradients):
    torch.set_num_threads(cores)
    with torch.set_grad_enabled(gradients):
        found = side_by_side({"cores": torch.get_num_threads, "gradients": torch.is_grad_enabled}, CPU)
    assert found == {"cores": 1, "gradients": gradients}
    assert torch.get_num_threads() == cores


def test_one_thread_alone_does_all_in_order():
    order = []
    tasks = {name: lambda name=name: order.append(name) or name.upper() for name in "cab"}
    assert SharedTasks().run(tasks, CPU) == {"a": "A", "b": "B", "c": "C"}
    assert order == ["c", "a", "b"]


def test_another_joins_in():
    """The first task ends only when the second is done, which only another thread can do."""
    shared, begun, done = SharedTasks(), threading.Event(), threading.Event()
    by = {}

    def first():
        begun.set()
        by["first"] = threading.current_thread()
        assert done.wait()

    def second():
        by["second"] = threading.current_thread()
        done.set()
        return 2

    found = []
    thread = threading.Thread(target=lambda: found.append(shared.run({"first": first, "second": second}, CPU)))
    thread.start()
    assert begun.wait()
    shared.join_in()
    thread.join()
    assert found == [{"first": None, "second": 2}]
    assert by == {"first": thread, "second": threading.current_thread()}
    shared.join_in()  # nothing is left to do


@pytest.mark.parametrize("failure", [ValueError, MemoryError, KeyboardInterrupt])
def test_what_fails_in_either_thread_is_told_who_asked(failure):
    """When all is done. Only what interrupts the program is told at once."""
    done = []

    def fail():
        raise failure("no")

    with pytest.raises(failure, match="no"):
        SharedTasks().run({"bad": fail, "good": lambda: done.append(1)}, CPU)
    assert len(done) == (failure is not KeyboardInterrupt)


def test_in_turn_does_things_at_once_and_here():
    order = []
    with InTurn() as worker:
        first = worker.submit(lambda: order.append(threading.current_thread()))
        assert first.done()
        assert order == [threading.current_thread()]
        assert worker.submit(divmod, 7, 3).result() == (2, 1)
        failed = worker.submit(divmod, 7, 0)
        with pytest.raises(ZeroDivisionError):
            failed.result()


def test_in_turn_is_interrupted_like_any_call():
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), InTurn() as worker:
        worker.submit(interrupt)
