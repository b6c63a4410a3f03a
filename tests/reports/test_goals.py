"""The table of goals: figures read again by hand, the worst seed, and what is missing counts as missed."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

from ternary_vae.errors import UserError
from ternary_vae.recipe import load_recipe
from ternary_vae.reports.goals import goals_table, milestone_tables, missed_goals, reached, write_goals
from ternary_vae.reports.measurements import measurements_of_run
from ternary_vae.resolution.figures import GOALS, Goal


@pytest.fixture(scope="module")
def run(good_run):
    return measurements_of_run(good_run)


def goal(beginning: str) -> Goal:
    return next(goal for goal in GOALS if goal.name.startswith(beginning))


def changed(run, epoch, **figures):
    """The run with other figures in one epoch."""
    metrics = copy.deepcopy(run.metrics)
    next(row for row in metrics if row["epoch"] == epoch).update(figures)
    return replace(run, metrics=metrics)


@pytest.mark.parametrize(
    ("beginning", "figure", "counts"),
    [
        ("Best of two and majority", "exact_match_best_of_two", {9: False, 10: True, 399: True}),
        ("Best of two and majority", "exact_match_majority", {9: False, 10: True, 400: True}),
        ("Coverage of both, lowest", "coverage", {60: False, 61: True, 400: True}),
    ],
)
def test_lowest_over_the_epochs_that_count(run, beginning, figure, counts):
    assert reached(goal(beginning), run) > 0.001
    for epoch, expected in counts.items():
        assert (reached(goal(beginning), changed(run, epoch, **{figure: 0.001})) == 0.001) == expected


def test_epochs_with_both_by_counting(run):
    expected = 0
    for row in run.metrics:
        if row["exact_match_a"] == 1.0 and row["exact_match_b"] == 1.0:
            expected += 1
    assert 0 < expected < 400
    assert reached(goal("Epochs with both"), run) == expected


def test_milestones_by_hand(run):
    last, dumped = run.coupled[400].model_dump(), {n: record.model_dump() for n, record in run.coupled.items()}
    homes = last["complementary_coverage"]
    assert reached(goal("Complementarity at the end"), run) == homes["complementarity_score"]
    for vaes, gain in (("the same VAEs", "if_shuffled"), ("two VAEs", "by_chance")):
        above = homes["ensemble_gain"] - homes[f"ensemble_gain_{gain}"]
        assert reached(goal(f"Ensemble's gain under noise, less that of {vaes}"), run) == above
    assert reached(goal("Complementarity, lowest"), run) == min(
        dumped[n]["complementary_coverage"]["complementarity_score"] for n in (250, 300, 350, 400)
    )
    assert reached(goal("Mean latent correlation"), run) == max(
        abs(record["latent_coupling"]["mean_correlation"]) for record in dumped.values()
    )
    assert reached(goal("Voting and confidence"), run) == min(
        dumped[n]["ensemble_reconstruction"][name]["exact_match_rate"]
        for n in dumped
        if n >= 100
        for name in ("voting", "confidence_weighted")
    )
    isolated = run.isolated[400].model_dump()
    assert (
        reached(goal("Coverage of VAE-B alone"), run)
        == (isolated["vae_b"]["sampling_coverage"]["decoded"]["coverage_rate"])
    )
    assert (
        reached(goal("Effective dimensions of VAE-A"), run)
        == isolated["vae_a"]["dimensionality"]["participation_ratio"]
    )


def test_bounds_belong_to_the_interval():
    between = Goal("dimensions", ("effective_dimensions_a",), low=8.0, high=9.5).bounds
    assert [between.met(value) for value in (7.999, 8.0, 9.5, 9.501, None)] == [False, True, True, False, False]
    assert between.margin(9.0) == pytest.approx(0.5)
    assert between.margin(10.0) == pytest.approx(-0.5)


def test_what_was_not_measured_is_missed(run):
    without = replace(run, coupled={}, isolated={})
    for name in ("Complementarity at the end", "Coverage of VAE-A", "Nearest", "Voting", "Mean latent", "Coupled"):
        assert reached(goal(name), without) is None
        assert not goal(name).bounds.met(None)
    assert reached(goal("Best of two"), changed(run, 57, exact_match_majority=None)) is None


def test_the_worst_seed_counts(run, tmp_path):
    worse = replace(changed(run, 200, coverage=0.75), seed=9)
    table = goals_table([worse, run])
    row = next(line for line in table if "lowest of any epoch after 60" in line)
    assert row.split("|")[3].strip().startswith("**75.00%** ✗ (seed 9)")
    page = write_goals([worse, run], tmp_path / "GOALS.md", "make runs").read_text()
    assert "coverage of both, lowest of any epoch after 60" in page.split("\n")[2]
    assert "`make runs`" in page


def test_an_unfinished_run_is_not_judged(run):
    with pytest.raises(UserError, match="finish it"):
        goals_table([replace(run, metrics=run.metrics[:-1])])
    with pytest.raises(UserError, match="no runs"):
        goals_table([])


def test_a_page_beside_the_plans_recipe(run, failing_run, tmp_path):
    plan = measurements_of_run(failing_run)
    text = write_goals([run], tmp_path / "GOALS.md", "make ours", [plan], "make theirs").read_text(encoding="utf-8")
    assert text.partition("\n")[0].endswith(", 1 seed, 400 epochs")
    assert "## Beside the plan's recipe, milestone by milestone" in text
    assert f"by `make theirs`, recipe `{plan.recipe.fingerprint()}`" in text
    assert "Beside the plan" not in write_goals([run], tmp_path / "ALONE.md", "make ours").read_text(encoding="utf-8")


def test_a_milestone_at_which_a_figure_was_not_measured(run, failing_run):
    plan = measurements_of_run(failing_run)
    record = plan.coupled[400]
    homeless = record.complementary_coverage.model_copy(update={"complementarity_score": None})
    without = {**plan.coupled, 400: record.model_copy(update={"complementary_coverage": homeless})}
    lines = milestone_tables([plan, replace(plan, coupled=without)], [run])  # the worst of two is not that of one
    rows = [row.split(" | ") for row in lines[lines.index("**Complementarity**") + 2].splitlines()]
    assert rows[-1][0].strip("| ") == "400"
    assert [cell.strip() for cell in rows[-1][2:4]] == ["—", "—"]
    assert "—" not in rows[-2][2:4]


def test_what_the_plan_expected_goes_by_the_schedule_however_long_a_run_is(run):
    """As if 400 epochs were the first half of the schedule."""
    half = replace(run, recipe=run.recipe.model_copy(update={"schedule_epochs": 800}))
    lines = milestone_tables([run], [half])
    last = lines[lines.index("**Exact match of VAE-A**") + 2].splitlines()[-1].strip("| ")
    assert [cell.strip() for cell in last.split(" | ")[:2]] == ["400", "60–75%"]


def test_a_short_table_leaves_the_seeds_out(run):
    full, short = goals_table([run]), goals_table([run], every_seed=False)
    assert [line.split(" |")[:5] for line in full] == [line.split(" |")[:5] for line in short]
    assert all(len(line.split("|")) == 7 for line in short)


def test_missed_goals_are_those_with_a_cross(run):
    worse = changed(run, 200, coverage=0.75)
    missed = missed_goals([run, worse])
    assert "Coverage of both, lowest of any epoch after 60 (met by 0 of 2)" in missed
    with_cross = [line.split("|")[1].strip() for line in goals_table([run, worse]) if "✗" in line]
    assert [goal.rpartition(" (met by ")[0] for goal in missed] == with_cross


def test_another_space_has_goals_of_its_own(run):
    other = replace(run, recipe=load_recipe("three_inputs"))
    with pytest.raises(UserError, match=r"is of 3 values and 3 inputs, and these goals of 3 values and 2 inputs"):
        goals_table([other])
