"""What a process holds of freed memory, in a process of its own: what is asked of the C library holds for all of it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

A_THREAD_FREES = """
import os, threading
from ternary_vae.acceleration.allocator import *

def resident():
    with open("/proc/self/statm") as pages:
        return int(pages.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20

before = resident()
def held():
    return resident() - before

def take_and_free(size):
    block = b"1" * (size << 20)
    del block

def take_and_free_pieces(size):
    pieces = [b"1" * 50_000 for _ in range((size << 20) // 50_000)]
    del pieces

steps = {steps}
def thread():
    for step in steps:
        eval(step)
        print(held())

worker = threading.Thread(target=thread)
worker.start()
worker.join()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks glibc")
@pytest.mark.parametrize(
    ("steps", "held"),
    [
        (["keep_freed_memory()", "take_and_free(24)", "return_freed_memory()", "return_end_of_heap()"], [0, 24, 24, 0]),
        # A program that asked for nothing is left as it is.
        (["return_end_of_heap()", "stop_keeping_freed_memory()", "take_and_free_pieces(24)"], [0, 0, 0]),
        (["keep_freed_memory()", "stop_keeping_freed_memory()", "take_and_free(40)"], [0, 0, 0]),
    ],
)
def test_freed_memory_is_kept_until_it_is_given_back(steps: list[str], held: list[int]) -> None:
    """Megabytes that are resident beyond those at the start, within 4."""
    without_limits = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    script = [sys.executable, "-c", A_THREAD_FREES.format(steps=steps)]
    done = subprocess.run(script, env=without_limits, capture_output=True, text=True, check=True)
    assert list(map(int, done.stdout.split())) == pytest.approx(held, abs=4)
