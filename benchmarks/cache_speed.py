"""The tensor cache, cold beside warm: what it saves where a benchmark starts, and where computing does as well.

Each figure is the median of fresh processes, so that nothing is left over from the one before: `start-up` is everything
from the first import to the moment at which the first measure of a benchmark begins; `encoding` is the encodings of a
checkpoint alone; `all operations` their table alone. Warm means that the cache holds the entries, and that the system
has their files in memory, as after a run. The plan expects -50% and -80%.

    python benchmarks/cache_speed.py [CHECKPOINT]
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

_ONE = """
import json, sys, time
started = time.perf_counter()
from pathlib import Path
import torch
torch.set_num_threads(1)
from ternary_vae.operations import all_operations
from ternary_vae.resolution import encodings, measure
from ternary_vae.storage.checkpoints import load_checkpoint
from ternary_vae.storage.tensor_cache import TensorCache
from safetensors.torch import load
imported = time.perf_counter()
checkpoint = load_checkpoint(sys.argv[1])
store = TensorCache(sys.argv[2]) if sys.argv[2] else None
clock = time.perf_counter()
if store is None:
    all_operations()
else:
    made_from = {"code": encodings.code_fingerprint()}
    kept = store.load(encodings.OPERATIONS_KEY, made_from=made_from)
    if kept is None:
        all_operations()
        encodings.keep_operations(store)
operations = time.perf_counter() - clock
all_operations()
model, cpu = measure.model_of(checkpoint), torch.device("cpu")
model.requires_grad_(False)
clock = time.perf_counter()
encode = lambda: measure.side_by_side({"": lambda: model.encode(all_operations())}, cpu)[""]
encodings.cached_posteriors(checkpoint, cpu, store, encode)
ended = time.perf_counter()
print(json.dumps({"all operations": operations, "encoding": ended - clock,
                  "start-up without imports": ended - imported, "start-up": ended - started}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", nargs="?", type=Path, help="default: an untrained model")
    parser.add_argument("--repeats", type=int, default=7, help="fresh processes for each figure (default: 7)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        checkpoint = options.checkpoint or _untrained(Path(place) / "epoch_0.safetensors")
        cache = Path(place) / "cache"
        without, filling, warm = [], [], []
        _measured(checkpoint, None)  # brings the libraries' files into memory
        for number in range(options.repeats):  # in turn: what else the machine does meets all alike
            without.append(_measured(checkpoint, None))
            filling.append(_measured(checkpoint, cache / str(number)))
            warm.append(_measured(checkpoint, cache / str(number)))
    print(f"{'milliseconds':>26} {'no cache':>9} {'filling':>9} {'warm':>9} {'saved':>7}   plan")
    plan = {"encoding": "-80%", "start-up": "-50%"}
    for name in warm[0]:
        none, cold, kept = (1000 * statistics.median(row[name] for row in rows) for rows in (without, filling, warm))
        print(f"{name:>26} {none:9.2f} {cold:9.2f} {kept:9.2f} {kept / none - 1:+7.0%}   {plan.get(name, '')}")
    _conclude(without, filling, warm)


def _conclude(*rows: list[dict[str, float]]) -> None:
    """What follows from the figures, by the rule that the defaults were chosen by."""
    for name in ("all operations", "encoding"):
        none, cold, kept = (1000 * statistics.median(row[name] for row in each) for each in rows)
        gain, cost = none - kept, cold - none
        if gain <= 0:
            print(f"{name}: computing is faster than loading; not worth keeping")
            continue
        pays = max(1, math.ceil(cost / gain))
        print(f"{name}: loading saves {gain:.1f} ms, keeping costs {cost:.1f} ms; pays from reading number {pays} on")
    print("kept by default: encodings, which every milestone reads once more; not all operations, read once a process")


def _measured(checkpoint: Path, cache: Path | None) -> dict[str, float]:
    command = [sys.executable, "-c", _ONE, str(checkpoint), str(cache or "")]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _untrained(path: Path) -> Path:
    from ternary_vae.model import DualVAE
    from ternary_vae.recipe import load_recipe
    from ternary_vae.storage.checkpoints import Checkpoint, save_checkpoint

    recipe = load_recipe()
    model = DualVAE(recipe.model.injection, recipe.permeability.adaptive)
    save_checkpoint(path, Checkpoint(0, 0, recipe, model.state_dict()))
    return path


if __name__ == "__main__":
    main()
