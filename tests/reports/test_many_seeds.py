"""Two recipes side by side: figures read again from the records' files, worst and mean of two seeds."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ternary_vae.errors import UserError
from ternary_vae.formats import NOTHING, number, percent
from ternary_vae.reports.goals import milestone_tables
from ternary_vae.reports.measurements import measurements_of_run
from ternary_vae.resolution.figures import MEASURES

READ = {
    "Exact match of VAE-A": ("manifold", ("vae_a", "reconstruction", "exact_match_rate")),
    "Exact match of VAE-B": ("manifold", ("vae_b", "reconstruction", "exact_match_rate")),
    "Exact match of the ensemble (best of two)": (
        "coupled",
        ("ensemble_reconstruction", "best_of_two", "exact_match_rate"),
    ),
    "Coverage, mixed, ρ = 0.7 (decoded, 100,000 draws)": (
        "coupled",
        ("cross_injected_sampling_rho_07", "coverage_rate"),
    ),
    "Complementarity": ("coupled", ("complementary_coverage", "complementarity_score")),
}


def of_file(run, kind, epoch, path):
    value = json.loads((run.benchmarks / f"{kind}_resolution_{epoch}.json").read_text(encoding="utf-8"))
    for key in path:
        value = value[key]
    return value


def tables(lines):
    """Title → epoch → cells."""
    rows, title = {}, ""
    for line in lines:
        for row in line.split("\n"):
            if row.startswith("**"):
                title = row.strip("*")
            cells = [cell.strip() for cell in row.strip("|").split("|")]
            if cells[0].isdigit():
                rows.setdefault(title, {})[int(cells[0])] = cells[1:]
    return rows


@pytest.mark.parametrize("better", [1, -1])
def test_every_milestone_of_both(good_run, failing_run, monkeypatch, better):
    """And were less better, the worst would be the largest."""
    for key, measure in MEASURES.items():
        monkeypatch.setitem(MEASURES, key, replace(measure, better=better))
    plan, own = [failing_run, good_run], [good_run]
    actual = tables(milestone_tables(*(list(map(measurements_of_run, runs)) for runs in (plan, own))))
    assert actual.keys() == READ.keys()
    for title, (kind, path) in READ.items():
        shown = percent if title != "Complementarity" else lambda value: number(value, 3)
        assert set(actual[title]) >= {100, 400}
        for epoch, cells in actual[title].items():
            both = [of_file(run, kind, epoch, path) for run in plan]
            worst, mean, ours = sorted(both)[0 if better == 1 else 1], sum(both) / 2, both[1]
            assert cells[1:] == [shown(worst), shown(mean), shown(ours), shown(ours)]
    assert actual["Exact match of VAE-A"][400][0] == "≥ 95%"
    assert actual["Complementarity"][120][0] == NOTHING


def test_only_milestones_that_all_have(good_run):
    run = measurements_of_run(good_run)
    partly = replace(run, coupled={400: run.coupled[400]})
    assert {epoch for rows in tables(milestone_tables([run], [partly])).values() for epoch in rows} == {400}
    with pytest.raises(UserError, match="no milestone in common"):
        milestone_tables([run], [replace(run, coupled={})])
    with pytest.raises(UserError, match="a run of each"):
        milestone_tables([], [run])
