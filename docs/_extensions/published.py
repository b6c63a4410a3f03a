"""Published figures by name, for `{{ resolution.coverage_rho_07 }}` in a page: read from `reports/`, never pasted."""

from __future__ import annotations

import json
from pathlib import Path

from ternary_vae.resolution.figures import MEASURES
from ternary_vae.resolution.records import CoupledRecord, IsolatedRecord

REPORTS = Path(__file__).resolve().parents[2] / "reports"
PLACES = {"resolution": "benchmarks", "ternary_v5_5": "ternary_v5_5"}


def published_figures() -> dict[str, dict[str, str]]:
    """Recipe → figure → text, at the end of the published run."""
    return {recipe: _figures(REPORTS / place) for recipe, place in PLACES.items()}


def _figures(place: Path) -> dict[str, str]:
    verdict = json.loads((place / "verdict.json").read_text(encoding="utf-8"))
    epoch = verdict["epoch"]

    def record(kind: str) -> str:
        return (place / f"{kind}_resolution_{epoch}.json").read_text(encoding="utf-8")

    records = (
        IsolatedRecord.model_validate_json(record("manifold")),
        CoupledRecord.model_validate_json(record("coupled")),
    )
    found = {"seed": str(verdict["seed"]), "epoch": str(epoch)}
    for key, measure in MEASURES.items():
        if (value := measure.of_milestone(*records)) is not None:
            found[key] = measure.value(value)
    for level in verdict["levels"].values():
        for line in level["lines"]:
            found.setdefault(line["key"], MEASURES[line["key"]].value(line["measured"]))
    return found
