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


def keep_freed_memory() -> bool:
    """Asks glibc to keep freed blocks, up to 1 GiB, in the process instead of returning each to the system. A training
    step and a benchmark free and take the same memory many times over, and every return costs page faults: about a
    third of an epoch's time, a sixth of a benchmark's. Does nothing on another C library.

    Returns:
        whether the C library took the request.
    """
    library = _gnu_c_library()
    if library is None:
        return False
    # Earlier versions refuse a threshold above half a heap; the other two are worth asking for all the same.
    threshold = any(library.mallopt(_M_MMAP_THRESHOLD, most) == 1 for most in (_KEPT_BYTES, _HALF_A_HEAP))
    others = ((_M_TRIM_THRESHOLD, _KEPT_BYTES), (_M_TOP_PAD, _GROWTH_BYTES))
    return all([threshold, *(library.mallopt(*request) == 1 for request in others)])


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
