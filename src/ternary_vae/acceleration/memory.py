"""Memory between steps: freed blocks are kept for the next step, and given back at the end of a run. And what is said
when an accelerator has none left."""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch

from ternary_vae.acceleration.recorded import release_records
from ternary_vae.errors import UserError
from ternary_vae.operations import release_operations

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_KEPT_BYTES = 1 << 30
_GROWTH_BYTES = 64 << 20


def keep_freed_memory() -> bool:
    """Asks glibc to keep freed blocks, up to 1 GiB, in the process instead of returning each to the system. A training
    step frees and takes the same few hundred kilobytes many times over, and every return costs page faults: about a
    third of an epoch's time. Does nothing on another C library.

    Returns:
        whether the C library took the request.
    """
    library = _gnu_c_library()
    if library is None:
        return False
    requests = ((_M_MMAP_THRESHOLD, _KEPT_BYTES), (_M_TRIM_THRESHOLD, _KEPT_BYTES), (_M_TOP_PAD, _GROWTH_BYTES))
    return all(library.mallopt(option, value) == 1 for option, value in requests)


def release_memory() -> None:
    """Drops the tables of operations and the recorded steps that the process shares, on every device, and gives freed
    memory of the CPU and of CUDA devices back to the system. What is needed again is made again."""
    release_operations()
    release_records()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    library = _gnu_c_library()
    if library is not None:
        library.malloc_trim(0)


@contextmanager
def memory_of_the_device() -> Iterator[None]:
    """Inside the block an accelerator without memory left is told in one line, and what the block held is given back.

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
        raise UserError(
            "the GPU's memory is used up; what was trained is saved up to its last epoch: go on with fewer runs at "
            "once, when others have left the GPU, or with --device cpu"
        ) from None


def _is_out_of_memory(failure: RuntimeError) -> bool:
    """PyTorch's allocator has an exception of its own, the driver and the libraries have only words."""
    told = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(failure, torch.OutOfMemoryError) or any(words in str(failure) for words in told)


@cache
def _gnu_c_library() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        library = ctypes.CDLL(ctypes.util.find_library("c") or "libc.so.6")
    except OSError:  # another C library, or no place for the temporary files of a search
        return None
    needed = ("mallopt", "malloc_trim", "gnu_get_libc_version")
    return library if all(hasattr(library, name) for name in needed) else None
