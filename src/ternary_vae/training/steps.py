"""The steps of an epoch, of one run or of several together. On an accelerator they are recorded and replayed.

Networks as small as these keep a GPU busy for an eighth of the time that calling their operations one by one takes. So
an epoch's first step of a kind is taken as it is, the second is recorded as a graph of kernels (PyTorch calls it a CUDA
graph), and from then on all are replayed at a call each, on what has been copied into the recorded step's own tensors.
Numbers that schedules set for the epoch are part of the record, which lasts as long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ternary_vae.objective import LOSS, Controls, Noise, WeighedTerm

RUNNING = ("gradient_norms",)
"""What a step moves besides weights, moments and its count: attributes that it sets to new tensors."""
WORTH_RECORDING = 6
"""Steps of a kind in an epoch from which on recording one takes less than is gained by replaying it."""

Terms = dict[str, Float[Tensor, "*runs"]]


@dataclass(frozen=True)
class EpochPlan:
    """What one epoch of a run is trained with, known before its first step.

    Attributes:
        controls: what schedules, controller and guards say.
        terms: the terms of the objective that are computed, with their weights.
        row: what the log has of it already.
        batches: rows of the table of operations, a tensor a step.
        first_step: how many steps were taken before.
        with_prior: for every step, whether the terms on prior draws are due.
    """

    controls: Controls
    terms: tuple[WeighedTerm, ...]
    row: dict[str, Any]
    batches: tuple[Int[Tensor, " n"], ...]
    first_step: int
    with_prior: tuple[bool, ...]


class Steps(Protocol):
    """What an epoch needs of a run, or of several together ("*runs" is then their number)."""

    gradient_norms: Float[Tensor, "2 *runs"]

    def draw(self, batch: Int[Tensor, "*runs n"], with_prior: bool) -> Noise:
        """The random numbers of a step."""

    def step(self, batch: Int[Tensor, "*runs n"], noise: Noise) -> Terms:
        """One optimizer step."""

    def average(self, number: int) -> None:
        """Moves the averaged weights after the step of this number."""


def take_steps(of: Steps, plan: EpochPlan) -> dict[str, Any]:
    """Takes every step of an epoch.

    Args:
        plan: of one run, or of several with runs in front of its batches.

    Returns:
        sums over the steps, of one run or as a list of several: of the loss and of every term that was computed.
    """
    nothing = torch.zeros_like(of.gradient_norms[0])
    names = [LOSS, *(term.name for term, _ in plan.terms)]
    sums = nothing.new_zeros(len(names), *nothing.shape)
    computed: set[str] = set()

    def take(batch: Tensor, noise: Noise) -> None:
        terms = of.step(batch, noise)
        computed.update(terms)
        sums.add_(torch.stack([terms.get(name, nothing) for name in names]))

    replay = Replay(take, of)
    kinds = [(batch.shape, due) for batch, due in zip(plan.batches, plan.with_prior)]
    often = Counter(kinds)
    for number, (batch, kind) in enumerate(zip(plan.batches, kinds)):
        noise = of.draw(batch, plan.with_prior[number])
        if pays_recorded(nothing.device) and often[kind] >= WORTH_RECORDING:
            replay(kind, batch, noise)
        else:
            take(batch, noise)
        of.average(number)
    return {name: total for name, total in zip(names, sums.tolist()) if name in computed}


def pays_recorded(device: torch.device) -> bool:
    """Whether steps are recorded: a CPU computes for longer than it calls."""
    return device.type == "cuda"


class Replay:
    """Takes steps of an epoch: the first of a kind as it is, the others as recorded. Steps of a kind are given tensors
    of the same shapes.

    Args:
        take: takes a step. What it leaves on the device it leaves in place, in tensors that outlast the epoch's steps,
            or in the attributes `RUNNING` of `owner`, as new tensors.
    """

    def __init__(self, take: Callable[[Tensor, Noise], None], owner: Steps) -> None:
        self._take, self._owner = take, owner
        self._taken: set[Hashable] = set()
        self._recorded: dict[Hashable, tuple[dict[str, Tensor], Callable[[], None]]] = {}
        self._running: dict[str, Tensor] = {}

    def __call__(self, kind: Hashable, batch: Int[Tensor, "*runs n"], noise: Noise) -> None:
        given = {"batch": batch, **{f.name: getattr(noise, f.name) for f in fields(Noise)}}
        given = {name: tensor for name, tensor in given.items() if tensor is not None}
        if kind not in self._taken:
            # Libraries load and set up what they need at its first use, which must not be in a record.
            self._taken.add(kind)
            self._take(batch, noise)
            return
        self._take_over()
        if kind not in self._recorded:
            self._recorded[kind] = self._record_step(given)
        inputs, repeat = self._recorded[kind]
        for name, tensor in given.items():
            inputs[name].copy_(tensor)
        repeat()

    def _take_over(self) -> None:
        """Puts the running tensors where the record has them."""
        for name in RUNNING:
            now = getattr(self._owner, name)
            if name not in self._running:
                self._running[name] = torch.empty_like(now)
            own = self._running[name]
            if now is not own:
                own.copy_(now)
                setattr(self._owner, name, own)

    def _record_step(self, given: dict[str, Tensor]) -> tuple[dict[str, Tensor], Callable[[], None]]:
        inputs = {name: tensor.clone() for name, tensor in given.items()}
        batch = inputs["batch"]
        noise = Noise(**{name: tensor for name, tensor in inputs.items() if name != "batch"})

        def work() -> None:
            self._take(batch, noise)
            for name, own in self._running.items():
                own.copy_(getattr(self._owner, name))
                setattr(self._owner, name, own)

        return inputs, recorded(work, batch.device)


# By device. Libraries keep working memory for each stream they have seen, so it is one for good; the next record takes
# over the memory of the latest.
_streams: dict[int, torch.cuda.Stream] = {}
_latest: dict[int, torch.cuda.CUDAGraph] = {}


def recorded(work: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """Records what work launches on a CUDA device. Nothing of it is done meanwhile.

    Returns:
        a function that does it, in the order of the device's present stream.
    """
    with torch.cuda.device(device):
        return _recorded_here(work)


def _recorded_here(work: Callable[[], None]) -> Callable[[], None]:
    device, graph = torch.cuda.current_device(), torch.cuda.CUDAGraph()
    if device not in _streams:
        _streams[device] = torch.cuda.Stream()
    stream = _streams[device]
    memory = (_latest[device].pool(),) if device in _latest else ()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        # The thread that measures may go on meanwhile; not `torch.cuda.graph`, which empties the cache of memory first.
        graph.capture_begin(*memory, capture_error_mode="thread_local")
        try:
            work()
        except BaseException:
            with suppress(RuntimeError):
                graph.capture_end()
            raise
        graph.capture_end()
    _latest[device] = graph
    return graph.replay


def release_records() -> None:
    """Lets go of the memory of records."""
    _latest.clear()
