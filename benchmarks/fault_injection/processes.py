"""Processes to be killed: forked from a server that has torch imported already, so that a start takes no seconds."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.sharedctypes import RawValue
from typing import Any

# All share one context: a process has one fork server, and whoever starts it decides what it has imported.
_FORKED = "forkserver" in multiprocessing.get_all_start_methods()
CONTEXT = multiprocessing.get_context("forkserver" if _FORKED else "spawn")
if _FORKED:
    CONTEXT.set_forkserver_preload(
        ["torch.utils.tensorboard", "matplotlib.figure", "ternary_vae.training.loop", "ternary_vae.reports.page"]
    )


class Victim:
    """A process that does something until it has done it or is killed.

    Args:
        do: called there with `report` and what is given. `report(n)` says that n things are done and must not be lost.
    """

    def __init__(self, do: Callable[..., object], *given: Any) -> None:
        self._done = CONTEXT.RawValue("q", -1)
        self._process = CONTEXT.Process(target=_do, args=(self._done, do, given))
        self._process.start()

    @property
    def done(self) -> int:
        """How many things it has said are done; -1 until it has begun."""
        return self._done.value

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    @property
    def lives(self) -> bool:
        return self._process.exitcode is None

    @property
    def exit_code(self) -> int | None:
        return self._process.exitcode

    def kill_after(self, seconds: float) -> bool:
        """Kills it after so long; whether it was still at work."""
        self._process.join(seconds)
        worked = self.lives
        self._process.kill()
        self._process.join()
        return worked and self._process.exitcode == -9

    def finish(self) -> bool:
        """Waits for its end; whether it went well."""
        self._process.join()
        return self._process.exitcode == 0


def undisturbed(do: Callable[..., object], *given: Any) -> None:
    """Does something in a process of its own that nobody disturbs."""
    if not Victim(do, *given).finish():
        raise SystemExit(f"reliability: {do.__name__} fails even when nothing disturbs it")


def all_at_once(count: int, do: Callable[..., object], *given: Any) -> int:
    """Does something in `count` processes that begin at the same moment, and returns how many of them failed."""
    gate = CONTEXT.Barrier(count)
    processes = [CONTEXT.Process(target=_begin_together, args=(gate, do, number, given)) for number in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return sum(process.exitcode != 0 for process in processes)


def _do(done: RawValue, do: Callable[..., object], given: tuple[Any, ...]) -> None:
    def report(number: int) -> None:
        done.value = number

    report(0)
    do(report, *given)


def _begin_together(gate: Any, do: Callable[..., object], number: int, given: tuple[Any, ...]) -> None:
    gate.wait()
    do(number, *given)
