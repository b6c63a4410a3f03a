"""What commands take with the code of two checkouts, in turn, and the table that compares them."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ternary_vae.errors import UserError
from ternary_vae.formats import counted

PEAK_UNIT = 2**20 if sys.platform == "darwin" else 2**10  # of MiB: macOS counts bytes, Linux KiB


def taken_by(checkout: Path, *command: str) -> dict[str, float]:
    """What Python takes for a command with a checkout's code: seconds of the wall, of all processors, and the largest
    resident memory in MiB.

    Raises:
        UserError: no checkout, or the command failed.
    """
    if not (checkout / "src" / "ternary_vae" / "__init__.py").exists():  # the installed package would be run
        raise UserError(f"{checkout}: no checkout; name a directory with src/ternary_vae")
    environment = os.environ | {"PYTHONPATH": str(checkout.resolve() / "src")}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        clock = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *command], env=environment, cwd=checkout, stdout=subprocess.DEVNULL, stderr=said
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - clock
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            told = said.read().strip()[-400:]
            raise UserError(f"{checkout}: python ended with exit code {process.returncode}: {told}")
    return {"wall": wall, "processor": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss / PEAK_UNIT}


def print_comparison(
    checkouts: Sequence[Path], turns: Sequence[Sequence[Mapping[str, float]]], kinds: Mapping[str, tuple[str, str]]
) -> None:
    """Prints medians over turns of each checkout, and ratios of the second to the first: their median, and the most.

    Args:
        turns: what each checkout took, by kind.
        kinds: title and format of each.
    """
    print(f"| | {' | '.join(title for title, _ in kinds.values())} |\n| --- |{' ---: |' * len(kinds)}")
    for number, checkout in enumerate(checkouts):
        medians = (
            format(statistics.median(turn[number][kind] for turn in turns), how) for kind, (_, how) in kinds.items()
        )
        print(f"| {_commit(checkout)} | {' | '.join(medians)} |")
    ratios = [[second[kind] / first[kind] for first, second in turns] for kind in kinds]
    print(f"| times | {' | '.join(f'{statistics.median(each):.2f}' for each in ratios)} |")
    print(f"| most of {counted(len(turns), 'turn')} | {' | '.join(f'{max(each):.2f}' for each in ratios)} |")


def _commit(checkout: Path) -> str:
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or str(checkout)
