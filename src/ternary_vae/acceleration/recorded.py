"""Steps recorded and replayed, on a CUDA device.

Networks as small as these keep a GPU busy for an eighth of the time that calling their operations one by one takes. So
an epoch's first step of a kind is taken as it is, the second is recorded as a graph of kernels (PyTorch calls it a CUDA
graph), and from then on all are replayed at a call each, on what has been copied into the recorded step's own tensors.
Numbers that schedules set for the epoch are part of the record, which lasts as long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import fields
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from ternary_vae.objective import Noise
from ternary_vae.training.epoch import Steps

WORTH_RECORDING = 6
"""Steps of a kind in an epoch from which on recording one takes less than is gained by replaying it."""


def take_steps(steps: Steps) -> dict[str, Any]:
    """As `Steps.take`, recorded where that pays."""
    return steps.take(Replay(steps) if pays_recorded(steps.device) else None)


def pays_recorded(device: torch.device) -> bool:
    """Whether steps are recorded: a CPU computes for longer than it calls."""
    return device.type == "cuda"


class Replay:
    """As `Steps.add_step`: the first of a kind as it is, the others as recorded. Steps of a kind are given tensors of
    the same shapes."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        kinds = Counter((batch.shape, due) for batch, due in zip(steps.plan.batches, steps.plan.with_prior))
        self._worthy = {kind for kind, times in kinds.items() if times >= WORTH_RECORDING}
        self._taken: set[Hashable] = set()
        self._recorded: dict[Hashable, tuple[dict[str, Tensor], Callable[[], None]]] = {}

    def __call__(self, batch: Int[Tensor, "*runs n"], noise: Noise) -> None:
        kind = (batch.shape, noise.prior_draws is not None)
        if kind not in self._worthy or kind not in self._taken:
            # Libraries load and set up what they need at its first use, which must not be in a record.
            self._taken.add(kind)
            self._steps.add_step(batch, noise)
            return
        given = {"batch": batch, **{field.name: getattr(noise, field.name) for field in fields(Noise)}}
        given = {name: tensor for name, tensor in given.items() if tensor is not None}
        if kind not in self._recorded:
            self._recorded[kind] = self._record_step(given)
        inputs, repeat = self._recorded[kind]
        for name, tensor in given.items():
            inputs[name].copy_(tensor)
        repeat()

    def _record_step(self, given: dict[str, Tensor]) -> tuple[dict[str, Tensor], Callable[[], None]]:
        inputs = {name: tensor.clone() for name, tensor in given.items()}
        batch = inputs["batch"]
        noise = Noise(**{name: tensor for name, tensor in inputs.items() if name != "batch"})
        return inputs, recorded(lambda: self._steps.add_step(batch, noise), batch.device)


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
