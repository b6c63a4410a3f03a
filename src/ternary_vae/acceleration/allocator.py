"""What the CPU's allocator does with freed memory."""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from functools import cache

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_KEPT_BYTES = 1 << 30
_GROWTH_BYTES = 64 << 20
_HALF_A_HEAP = 32 << 20
_KEPT_BY_ITSELF, _GROWTH_BY_ITSELF = 64 << 20, 128 << 10  # by glibc once blocks of half a heap have been freed
_LARGE_BLOCK = 1 << 20  # whose freeing makes glibc look at the end of the heap

_is_kept = False


def keep_freed_memory() -> None:
    """Asks glibc to keep freed blocks, up to 1 GiB, in the process instead of returning each to the system. A training
    step and a benchmark free and take the same memory many times over, and every return costs page faults: about a
    third of an epoch's time, a sixth of a benchmark's. Does nothing on another C library."""
    global _is_kept
    library = _gnu_c_library()
    if library is None:
        return
    _is_kept = True
    if library.mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES) != 1:  # earlier versions refuse more than half a heap
        library.mallopt(_M_MMAP_THRESHOLD, _HALF_A_HEAP)
    _keep_end_of_heap(library, _KEPT_BYTES, _GROWTH_BYTES)


def stop_keeping_freed_memory() -> None:
    """Ends `keep_freed_memory`. What is freed from now on goes back as it does in any process that has freed large
    blocks; what was freed before, by `return_freed_memory`."""
    global _is_kept
    library = _gnu_c_library()
    if library is None or not _is_kept:
        return
    _is_kept = False
    library.mallopt(_M_MMAP_THRESHOLD, _HALF_A_HEAP)
    _keep_end_of_heap(library, _KEPT_BY_ITSELF, _GROWTH_BY_ITSELF)


def return_freed_memory() -> None:
    """Gives freed blocks back to the system. Does nothing on another C library than glibc."""
    library = _gnu_c_library()
    if library is not None:
        library.malloc_trim(0)


def return_end_of_heap() -> None:
    """Gives back what is free at the end of the calling thread's heap, where freed memory is kept. Of the first thread
    alone `return_freed_memory` does that too; else up to 40 MB stay with each thread that is gone."""
    library = _gnu_c_library()
    if library is None or not _is_kept:
        return
    _keep_end_of_heap(library, 0, 0)
    library.free(library.malloc(_LARGE_BLOCK))
    _keep_end_of_heap(library, _KEPT_BYTES, _GROWTH_BYTES)


def _keep_end_of_heap(library: ctypes.CDLL, kept: int, growth: int) -> None:
    library.mallopt(_M_TRIM_THRESHOLD, kept)
    library.mallopt(_M_TOP_PAD, growth)


@cache
def _gnu_c_library() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        library = ctypes.CDLL(ctypes.util.find_library("c") or "libc.so.6")
    except OSError:  # another C library, or no place for the temporary files of a search
        return None
    needed = ("mallopt", "malloc_trim", "gnu_get_libc_version")
    if not all(hasattr(library, name) for name in needed):
        return None
    library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    library.free.argtypes = (ctypes.c_void_p,)
    return library
