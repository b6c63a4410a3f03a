"""Many processes on one entry of the tensor cache at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fault_injection.outcome import Outcome
from fault_injection.processes import all_at_once


def shared_cache(rounds: int, processes: int, place: Path) -> Outcome:
    """Processes ask for an entry that is not there, make it, keep it, and read it back, all at the same moment."""
    from ternary_vae.storage.tensor_cache import TensorCache

    outcome = Outcome.of(f"{processes} processes on one cache entry", "processes failed", "files not whole")
    for number in range(rounds):
        directory = place / f"cache{number}"
        if failed := all_at_once(processes, _use, directory):
            outcome.record("processes failed", f"round {number}: {failed} of {processes}", failed)
        store = TensorCache(directory)
        whole, wrong = store.verify()
        for problem in wrong.values():
            outcome.record("files not whole", problem)
        left = [path.name for path in directory.iterdir() if path.name.startswith(".")]
        if len(whole) != 1 or left:
            outcome.record("files not whole", f"round {number}: {len(whole)} entries, left behind: {left}")
        outcome.trials += processes
    return outcome


def _use(number: int, directory: Path) -> None:
    import torch

    from ternary_vae.storage.tensor_cache import TensorCache

    said: list[str] = []
    store = TensorCache(directory, report=said.append)
    found = store.recall("entry", made_from="the same")
    if found is None:
        found = _made(torch)
        store.keep({"entry": (found, {"purpose": "a test"})}, made_from="the same")
    again = store.recall("entry", made_from="the same")
    if said or again is None or not torch.equal(found, _made(torch)) or not torch.equal(again, found):
        raise SystemExit(f"process {number}: {said}, read back: {again is not None}")  # and exit code 1


def _made(torch: Any) -> Any:
    return torch.arange(200_000, dtype=torch.float64)
