"""What an experiment's report and page both show."""

from __future__ import annotations

from typing import Any

from ternary_vae.experiments.results import Results
from ternary_vae.experiments.tables import MARKS, arms_table, deciding_table, runs_table, seeds_table, wins_table
from ternary_vae.experiments.wording import METHOD, beyond, headlines, sentence, state
from ternary_vae.formats import counted

_SENTENCES_SHOWN = 60


def shown_content(results: Results) -> dict[str, Any]:
    """Texts and tables by the name that the templates know them by. Nothing in them is escaped."""
    experiment = results.experiment
    standing = beyond(results)
    return {
        "title": experiment.name,
        "description": experiment.description,
        "reference": experiment.reference,
        "state": state(results),
        "failures": sorted(results.execution.failed.items()),
        "headlines": headlines(results),
        "last": counted(results.last, "epoch"),
        "marks": MARKS.format(experiment.reference) if experiment.reference else "",
        "wins": wins_table(results),
        "deciding": deciding_table(results),
        "sentences": [sentence(one) for one in results.deciding],
        "seeds": seeds_table(results, results.primary),
        "every": arms_table(results),
        "beyond": [sentence(one) for one in standing[:_SENTENCES_SHOWN]],
        "beyond_count": len(standing),
        "others": sum(not one.decides for one in results.comparisons),
        "runs": runs_table(results),
        "method": METHOD if results.deciding else METHOD[:1],
    }
