"""Published figures, read from `reports/`: for README's table, and by name for the pages of the site."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ternary_vae.formats import NOTHING, duration, in_unit, number, table
from ternary_vae.limits import coverage_limit
from ternary_vae.resolution.figures import GOALS, MEASURES
from ternary_vae.resolution.records import CoupledRecord, IsolatedRecord
from ternary_vae.resolution.structure.ideal import ideal_exact_match
from ternary_vae.space import TWO_INPUT_TERNARY

ROOT = Path(__file__).resolve().parents[2]
REPORTS = ROOT / "reports"
PLACES = {"resolution": "benchmarks", "ternary_v5_5": "ternary_v5_5"}
OTHER = "VAE, cross-entropy"  # of pythae's the one that covers most
DRAWS = 100_000
ROWS = {
    "exact_match_a": "VAE-A alone, exact match at the end",
    "exact_match_b": "VAE-B alone, exact match at the end",
    "exact_match_best_of_two": "Best of two and majority, lowest of any epoch from 10 on",
    "coverage_rho_07": "Coverage, ρ = 0.7, at the end",
    "complementarity_score": "Complementarity at the end",
    "exact_under_noise_a": None,
    "exact_under_noise_majority": None,
}
"""Measure → goal that says what the worst seed has of it."""


def published_figures() -> dict[str, Any]:
    """Recipe → figure → text, at the end of the published run; `worst` → goal → text and `other` → system of pythae →
    figure → text, of the worst seed; and some by themselves."""
    found: dict[str, Any] = {recipe: _figures(REPORTS / place) for recipe, place in PLACES.items()}
    found["worst"] = {name: worst for name, (worst, *_) in goals().items()}
    found["speed"] = speed()
    others = _json(REPORTS / "other_systems.json")
    found["other_epochs"], found["uniform_coverage"] = str(others["epochs"]), in_unit(coverage_limit(DRAWS), "share")
    found["nine_axes_limit"] = in_unit(ideal_exact_match(TWO_INPUT_TERNARY, others["noise"]), "share")
    found["other"] = {
        name: {
            key: in_unit(min((run[key] for run in runs if key in run), default=None), "share")
            for key in ("exact_match", "exact_under_noise", "coverage")
        }
        for name, runs in others["systems"].items()
    }
    return found


def speed() -> dict[str, str]:
    """What the commands of `benchmarks/` wrote to `reports/speed/`: figure → text. `worst_` is of the slowest turn,
    `aim_` what was aimed at and whether the figure meets it."""
    epoch, arrival, threads, batched = (
        _json(REPORTS / "speed" / f"{name}.json")
        for name in ("epoch_speed", "time_to_resolution", "experiment_threads", "batched_seeds")
    )
    aims = dict(zip(("textbook", "floor", "run", "peak"), epoch["aims"], strict=True))
    textbook, floor, shared = (
        epoch["times_faster_than_textbook"], epoch["times_the_floor"], threads["shared_over_alone"]
    )  # fmt: skip
    seconds = {
        recipe: [one["seconds"] for one in arrival["arrivals"] if one["recipe"] == recipe and one["epoch"]]
        for recipe in PLACES
    }
    faster = {
        result["recipe"]: max(result["runs_at_once"], key=lambda row: row["runs_at_once"])["times_faster"]
        for result in batched["results"]
        if result["processes"] > 1
    }
    return {
        "torch": epoch["environment"]["torch"],
        "turns": str(len(epoch["turns"])),
        "textbook": number(textbook["median"], 1),
        "worst_textbook": number(textbook["lowest"], 1),
        "floor": number(floor["median"]),
        "worst_floor": number(floor["highest"]),
        "run": duration(aims["run"]["value"]),
        "peak": f"{aims['peak']['value']:.0f} MiB",
        "arrival": duration(max(seconds["resolution"])),
        "arrival_plan": duration(max(seconds["ternary_v5_5"])),
        "seeds": str(len(seconds["resolution"])),
        "shared": number(shared["median"]),
        "worst_shared": number(shared["highest"]),
        "batched": number(faster["resolution"]),
        "batched_plan": number(faster["ternary_v5_5"]),
        "aim_textbook": f"at least {aims['textbook']['aim']:g}, {_met(aims['textbook'])}",
        "aim_floor": f"at most {aims['floor']['aim']:g}, {_met(aims['floor'])}",
        "aim_run": f"below {duration(aims['run']['aim'])}, {_met(aims['run'])}",
        "aim_peak": f"below {aims['peak']['aim']:.0f} MiB, {_met(aims['peak'])}",
        "aim_shared": f"at most {threads['aim']:g}, {_met(threads)}",
        "met_arrival": _met(arrival),
    }


def _met(judged: dict[str, Any]) -> str:
    return "met" if judged["met"] else "missed"


def goals() -> dict[str, tuple[str, int, int]]:
    """Goal → figure of the worst seed, how many seeds meet it, and how many there are."""
    page = (REPORTS / "ten_seeds" / "GOALS.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| (.+?) \| .+? \| \*\*(.+?)\*\* .+? \| (\d+) of (\d+) \|", page, re.MULTILINE)
    return {name: (worst, int(met), int(seeds)) for name, worst, met, seeds in found}


def readme_table() -> str:
    """What is reached, beside its limits and beside other systems."""
    figures, judged = published_figures(), goals()
    own, plan, other = figures["resolution"], figures["ternary_v5_5"], figures["other"][OTHER]
    limits = {
        "coverage_rho_07": figures["uniform_coverage"],
        "complementarity_score": "1",
        "exact_under_noise_a": f"{figures['nine_axes_limit']}, nine axes spread as the prior",
    }
    beside = {
        "exact_match_a": other["exact_match"],
        "exact_under_noise_a": other["exact_under_noise"],
        "coverage_rho_07": other["coverage"],
    }
    rows = [
        [
            MEASURES[key].title,
            own[key],
            judged[goal][0] if goal else NOTHING,
            limits.get(key, "100%"),
            plan.get(key, NOTHING),
            beside.get(key, NOTHING),
        ]
        for key, goal in ROWS.items()
    ]
    missed = [f"{name} (met by {met} of {seeds})" for name, (_, met, seeds) in judged.items() if met < seeds]
    header = ["", "`resolution`", "worst of ten seeds", "limit", "the plan's recipe", "pythae, one VAE"]
    return "\n".join(
        [
            table(header, rows),
            "",
            f"Both recipes after {own['epoch']} epochs with seed {own['seed']}; "
            f"of pythae the one of three that covers most, {OTHER}, "
            f"after {figures['other_epochs']}, its draws not mixed. Coverage is of 100,000 draws, its limit what a "
            f"uniform model meets on average. Of this project's {len(GOALS)} goals, "
            f"{len(GOALS) - len(missed)} are met by every seed{'; not so: ' if missed else ''}{'; '.join(missed)}.",
        ]
    )


def _figures(place: Path) -> dict[str, str]:
    verdict = _json(place / "verdict.json")
    epoch = verdict["epoch"]
    records = (
        IsolatedRecord.model_validate(_json(place / f"manifold_resolution_{epoch}.json")),
        CoupledRecord.model_validate(_json(place / f"coupled_resolution_{epoch}.json")),
    )
    found = {"seed": str(verdict["seed"]), "epoch": str(epoch)}
    for key, measure in MEASURES.items():
        if (value := measure.of_milestone(*records)) is not None:
            found[key] = measure.value(value)
    return found


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
