"""The page of an experiment: which arm wins on what, with intervals, and every run one click away."""

from __future__ import annotations

from itertools import cycle
from statistics import fmean
from typing import Any

from ternary_vae.experiments.content import shown_content
from ternary_vae.experiments.results import Comparison, Results
from ternary_vae.experiments.tables import verdict
from ternary_vae.experiments.wording import brief, sentence
from ternary_vae.formats import listed
from ternary_vae.reports.self_contained import asset, rendered
from ternary_vae.resolution.figures import Measure

_SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "pentagon")
_DASHES = ("solid", "dash", "dashdot", "dot")


def experiment_page(results: Results, *, linked: bool = True) -> str:
    """The page's text.

    Args:
        linked: whether the page lies in the experiment's directory, beside its runs.
    """
    links = _links(results) if linked else {}
    return rendered(
        "ternary_vae.experiments",
        "experiment.html.j2",
        (asset("base.js"), asset("layout.js"), asset("theme.js"), asset("experiment.js", "ternary_vae.experiments")),
        _page_data(results, links),
        deciding_measures=listed(measure.title for measure in results.primary),
        states=[{"better": "met", "worse": "missed"}.get(verdict(one), "unknown") for one in results.deciding],
        charts=[{"at": at, "title": measure.title} for at, measure in enumerate(results.primary)],
        against=results.experiment.reference or "the second of each pair",
        links=links,
        yaml=results.experiment.to_yaml(),
        **shown_content(results),
    )


def _links(results: Results) -> dict[str, str]:
    """Where a run is seen best: its own page, else its log, relative to the page of the experiment."""
    links = {}
    for run in results.execution.runs:
        directory = results.execution.directory.run(run)
        for path in (directory.page, directory.metrics_file, directory.path):
            if path.exists():
                links[run.name] = path.relative_to(results.execution.directory.path).as_posix()
                break
    return links


def _page_data(results: Results, links: dict[str, str]) -> dict[str, Any]:
    styles = zip(results.arms, cycle(_SYMBOLS), cycle(_DASHES))
    return {
        "epochs": max(arm.recipe.epochs for arm in results.arms),
        "phases": [],
        "arms": [
            {"name": arm.name, "label": _label(arm.name), "symbol": symbol, "dash": dash}
            for arm, symbol, dash in styles
        ],
        "measures": [_measure_data(results, measure, links) for measure in results.primary],
    }


def _measure_data(results: Results, measure: Measure, links: dict[str, str]) -> dict[str, Any]:
    return {
        "share": measure.unit == "share",
        "bounded": measure.bounded,
        "unit": "points" if measure.unit == "share" else measure.unit,
        "effects": [_effect(results, one) for one in results.deciding if one.measure == measure],
        "curves": {arm.name: _curve(results, arm.name, measure) for arm in results.arms},
        "seeds": [
            {
                "arm": run.arm, "seed": run.seed, "link": links.get(run.name, ""),
                "value": results.of(run.arm, results.last, measure.key).get(run.seed),
            }
            for run in results.execution.runs
        ],
    }  # fmt: skip


def _effect(results: Results, one: Comparison) -> dict[str, Any]:
    summary, factor = one.paired.summary, one.measure.factor
    return {
        "arm": one.arm,
        "label": _label(results.label(one)),
        "mean": factor * summary.mean,
        "low": None if summary.low is None else factor * summary.low,
        "high": None if summary.high is None else factor * summary.high,
        "reach": None if one.detectable_corrected is None else factor * one.detectable_corrected,
        "certain": one.certain,
        "says": sentence(one),
        "seeds": results.differences(one),
    }


def _label(text: str) -> str:
    return brief(text).replace("\n", "<br>")


def _curve(results: Results, arm: str, measure: Measure) -> dict[str, list[float]]:
    points = sorted(results.curve(arm, measure).items())
    return {
        "epoch": [epoch for epoch, _ in points],
        "mean": [float(f"{fmean(values):.7g}") for _, values in points],
        "low": [float(f"{min(values):.7g}") for _, values in points],
        "high": [float(f"{max(values):.7g}") for _, values in points],
    }
