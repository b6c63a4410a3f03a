"""How long people wait for an answer about gates, and for the pretrained model.

    python benchmarks/gate_speed.py

The fastest of some repeats, and the processor time of it: on a busy machine the clock says what others do.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable

from ternary_vae.gates import all_properties
from ternary_vae.space import Space
from ternary_vae.terminal import exit_code

REPEATS = 5


def fastest(work: Callable[[], object], who: int = resource.RUSAGE_SELF) -> tuple[float, float]:
    """Seconds by the clock, and of processor time, of the fastest repeat."""
    measured = []
    for _ in range(REPEATS):
        before, started = resource.getrusage(who), time.perf_counter()
        work()
        seconds, after = time.perf_counter() - started, resource.getrusage(who)
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        measured.append((seconds, processor))
    return min(measured)


def gate_command() -> None:
    """A whole process, from the start of Python on."""
    subprocess.run([sys.executable, "-m", "ternary_vae.cli", "gate", "PC0"], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    rows = {
        "ternary-vae gate PC0": (1.0, fastest(gate_command, resource.RUSAGE_CHILDREN)),
        "all properties of all 19,683 gates": (1.0, fastest(lambda: dict(all_properties(Space())))),
    }
    from ternary_vae.model import DualVAE  # torch, which is not counted

    rows["DualVAE.from_pretrained()"] = 0.3, fastest(DualVAE.from_pretrained)
    for name, (aim, (seconds, processor)) in rows.items():
        met = "met" if seconds < aim else "missed"
        print(f"{name:36}  {seconds:.3f} s, processor {processor:.3f} s  (aim {aim:g} s, {met})")


if __name__ == "__main__":
    sys.exit(exit_code("gate_speed", main))
