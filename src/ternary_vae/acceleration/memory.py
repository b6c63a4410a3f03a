"""Memory between steps: freed blocks are kept for the next step, and given back at the end of a run. And what is said
when there is none left."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ternary_vae.acceleration.allocator import return_freed_memory
from ternary_vae.acceleration.recorded import release_records
from ternary_vae.errors import UserError
from ternary_vae.operations import release_operations

_OF_THE_CPU = "DefaultCPUAllocator: "  # and then in words that depend on the system


def release_memory() -> None:
    """Drops the tables of operations and the recorded steps that the process shares, on every device, and gives freed
    memory of the CPU and of CUDA devices back to the system. What is needed again is made again."""
    release_operations()
    release_records()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    return_freed_memory()


@contextmanager
def memory_of_the_device() -> Iterator[None]:
    """Inside the block a device without memory left is told in one line, and what the block held is given back.

    Raises:
        UserError: so it is.
    """
    try:
        yield
    except RuntimeError as failure:
        if not _is_out_of_memory(failure):
            raise
        traceback.clear_frames(failure.__traceback__)  # what they hold is on the device
        release_memory()
        where, instead = (
            ("memory", "or begin with smaller batches or narrower layers")
            if _OF_THE_CPU in str(failure)
            else ("the GPU's memory", "when others have left the GPU, or with --device cpu")
        )
        raise UserError(
            f"{where} is used up; what was trained is saved up to its last epoch: go on with fewer runs at once, "
            f"{instead}"
        ) from None


def _is_out_of_memory(failure: RuntimeError) -> bool:
    """PyTorch's allocator has an exception of its own, the driver and the libraries have only words."""
    told = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", _OF_THE_CPU)
    return isinstance(failure, torch.OutOfMemoryError) or any(words in str(failure) for words in told)
