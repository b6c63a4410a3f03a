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


def keep_freed_memory() -> None:
    """Asks glibc to keep freed blocks, up to 1 GiB, in the process instead of returning each to the system. A training
    step and a benchmark free and take the same memory many times over, and every return costs page faults: about a
    third of an epoch's time, a sixth of a benchmark's. Does nothing on another C library."""
    library = _gnu_c_library()
    if library is None:
        return
    if library.mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES) != 1:  # earlier versions refuse more than half a heap
        library.mallopt(_M_MMAP_THRESHOLD, _HALF_A_HEAP)
    library.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
    library.mallopt(_M_TOP_PAD, _GROWTH_BYTES)


def return_freed_memory() -> None:
    """Gives freed blocks back to the system. Does nothing on another C library than glibc."""
    library = _gnu_c_library()
    if library is not None:
        library.malloc_trim(0)


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
