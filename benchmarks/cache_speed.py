"""The tensor cache, cold beside warm: what it saves where a benchmark starts, and where computing does as well.

Each figure is the median of fresh processes on one core, so that nothing is left over from the one before: `start-up`
is everything from the first import to the moment at which the first measure of a benchmark begins; `all operations`,
`encodings`, `wrong entries` and `distances` are each alone. Warm means that the cache holds the entries, and that the
system has their files in memory, as after a run. The plan expects -50% of start-up and -80% of encoding. What every
benchmark of a checkpoint computes from the encodings and nobody keeps is timed beside them.

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
from collections.abc import Sequence
from pathlib import Path

from ternary_vae.terminal import exit_code

_ONE = """
import json, sys, time
started = time.perf_counter()
from pathlib import Path
import torch
torch.set_num_threads(1)
from ternary_vae.operations import all_operations
from ternary_vae.resolution import coupled, isolated, kept, measure
from ternary_vae.storage.checkpoints import load_checkpoint
from ternary_vae.storage.tensor_cache import TensorCache
from safetensors.torch import load
imported = time.perf_counter()
checkpoint = load_checkpoint(sys.argv[1])
store = TensorCache(sys.argv[2]) if sys.argv[2] else None
seconds = {}
def timed(name, call):
    clock = time.perf_counter()
    answer = call()
    seconds[name] = time.perf_counter() - clock
    return answer
def operations():
    if store is None or store.load(kept.OPERATIONS_KEY, made_from={"code": kept.code_fingerprint()}) is None:
        all_operations()
        if store is not None:
            kept.keep_operations(store)
timed("all operations", operations)
all_operations()
cpu = torch.device("cpu")
model = timed("model", lambda: measure.model_of(checkpoint).requires_grad_(False))
encode = lambda: measure.side_by_side({"": lambda: model.encode(all_operations())}, cpu)[""]
def encoded():
    mine = kept.Kept(checkpoint, cpu, store)
    posteriors = mine.posteriors(encode)
    mine.keep_computed()
    return mine, posteriors
mine, posteriors = timed("encodings", encoded)
seconds["start-up without imports"] = time.perf_counter() - imported
seconds["start-up"] = time.perf_counter() - started
keepable = measure.keepable_tensors(model, posteriors, mine.operations)
def by_task(*names):
    for name in names:
        mine.task(name, keepable[name])()
    mine.keep_computed()
with torch.no_grad():
    timed("wrong entries of both", lambda: by_task(kept.WRONG_ENTRIES))
    timed("distances of both", lambda: by_task(*kept.DISTANCES.values()))
    timed("dimensionality of both", lambda: [isolated.dimensionality(mu) for mu in posteriors[::2]])
    timed("latent coupling", lambda: coupled.latent_coupling(*posteriors[::2]))
print(json.dumps(seconds))
"""
_PLAN = {"encodings": "-80%", "start-up": "-50%"}
_NEVER_KEPT = ("model", "dimensionality of both", "latent coupling")
_READERS = {
    "all operations": "nobody: each process enumerates them once",
    "encodings": "the other benchmark, and every later one",
    "wrong entries of both": "the other benchmark, and every later one",
    "distances of both": "every later isolated benchmark",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", nargs="?", type=Path, help="default: an untrained model")
    parser.add_argument("--repeats", type=int, default=7, help="fresh processes for each figure (default: 7)")
    options = parser.parse_args()
    if options.checkpoint:
        from ternary_vae.space import TWO_INPUT_TERNARY
        from ternary_vae.storage.checkpoints import load_checkpoint

        if (space := load_checkpoint(options.checkpoint).recipe.space.as_space()) != TWO_INPUT_TERNARY:
            parser.error(f"{options.checkpoint}: is of {space}, and this of {TWO_INPUT_TERNARY}; name another")
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
    for name in warm[0]:
        none, cold, kept = _medians(name, without, filling, warm)
        if name in _NEVER_KEPT:
            print(f"{name:>26} {none:9.2f} {'':>9} {'':>9} {'':>7}   never kept")
        else:
            print(f"{name:>26} {none:9.2f} {cold:9.2f} {kept:9.2f} {kept / none - 1:+7.0%}   {_PLAN.get(name, '')}")
    for name, readers in _READERS.items():
        print(_conclusion(name, readers, *_medians(name, without, filling, warm)))


def _medians(name: str, *runs: Sequence[dict[str, float]]) -> list[float]:
    """Milliseconds without the cache, filling it, and reading from it."""
    return [1000 * statistics.median(row[name] for row in rows) for rows in runs]


def _conclusion(name: str, readers: str, none: float, cold: float, kept: float) -> str:
    """What follows from the figures, by the rule that the defaults were chosen by."""
    gain, cost = none - kept, cold - none
    if gain <= 0:
        return f"{name}: computing is faster than loading; not worth keeping"
    pays = max(1, math.ceil(cost / gain))
    return (
        f"{name}: loading saves {gain:.1f} ms, keeping costs {cost:.1f} ms; pays from reading number {pays} on; "
        f"read by {readers}"
    )


def _measured(checkpoint: Path, cache: Path | None) -> dict[str, float]:
    command = [sys.executable, "-c", _ONE, str(checkpoint), str(cache or "")]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _untrained(path: Path) -> Path:
    from ternary_vae.model import DualVAE
    from ternary_vae.recipe import load_recipe
    from ternary_vae.storage.checkpoints import Checkpoint, save_checkpoint

    recipe = load_recipe()
    model = DualVAE.of(recipe)
    save_checkpoint(path, Checkpoint(0, 0, recipe, model.state_dict()))
    return path


if __name__ == "__main__":
    sys.exit(exit_code("cache_speed", main))
