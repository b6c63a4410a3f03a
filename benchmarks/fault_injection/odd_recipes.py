"""Odd but valid recipes, trained for two epochs: each ends well or says in one line why it cannot."""

from __future__ import annotations

import random
import shutil
import traceback
from pathlib import Path
from typing import Any

from fault_injection.odd_settings import odd_settings
from fault_injection.outcome import Outcome
from fault_injection.processes import CONTEXT

CRASHES = "crashes"
_EPOCHS = 2


def odd_recipes(count: int, place: Path, chance: random.Random, processes: int = 2) -> Outcome:
    """Trains recipes whose every setting may be anything within its bounds, in processes of one thread."""
    outcome = Outcome.of("odd but valid recipes, two epochs each", CRASHES)
    todo = [(place / str(number), odd_settings(chance)) for number in range(count)]
    with CONTEXT.Pool(processes) as pool:
        for number, (answer, problem) in enumerate(pool.imap_unordered(_train, todo)):
            outcome.trials += 1
            if answer == "line":
                outcome.line()
            elif answer == "crash":
                outcome.record(CRASHES, f"after {number}: {problem}")
    return outcome


def _train(task: tuple[Path, dict[str, Any]]) -> tuple[str, str]:
    import torch

    from ternary_vae.errors import UserError
    from ternary_vae.recipe import load_recipe
    from ternary_vae.training.loop import train

    place, settings = task
    torch.set_num_threads(1)
    try:
        recipe = load_recipe("resolution", overrides=settings).of_length(_EPOCHS)
        train(recipe, place, device="cpu", benchmark_milestones=False)
    except UserError as line:
        return "line", str(line)
    except Exception as failure:
        where = traceback.extract_tb(failure.__traceback__)[-1]
        return "crash", f"{type(failure).__name__}: {failure} ({Path(where.filename).name}:{where.lineno})"
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return "done", ""
