"""What a description may say, and one clear line for what it may not."""

from __future__ import annotations

import pytest

from ternary_vae.errors import UserError
from ternary_vae.experiments.arms import arms_of, planned_runs
from ternary_vae.experiments.description import experiment_names, load_experiment, validate_experiment
from ternary_vae.experiments.results import primary_measures


@pytest.mark.parametrize("name", experiment_names())
def test_every_named_experiment_can_be_planned(name):
    experiment, source = load_experiment(name)
    assert experiment.name == name
    arms = arms_of(experiment, source)
    assert len(planned_runs(experiment, arms)) == len(arms) * len(experiment.seeds)
    assert primary_measures(experiment)


def test_seeds_by_range_and_grid_by_combination(small):
    experiment = small(
        seeds="3-5", arms={}, reference=None, grid={"optimizer.batch_size": [64, 128], "model.injection": ["plain"]}
    )
    arms = arms_of(experiment)
    assert [arm.name for arm in arms] == ["batch_size-64-injection-plain", "batch_size-128-injection-plain"]
    assert [arm.recipe.optimizer.batch_size for arm in arms] == [64, 128]
    assert {run.seed for run in planned_runs(experiment, arms)} == {3, 4, 5}


def test_an_arm_is_its_recipe_with_what_differs(small):
    arms = {arm.name: arm.recipe for arm in arms_of(small())}
    assert arms["plain"].model.injection == "plain"
    assert arms["plain"].name == "plain"
    same = arms["plain"].model_copy(update={"model": arms["resolution"].model, "name": "resolution"})
    assert same == arms["resolution"]
    assert not arms["resolution"].cache.enabled


def test_arms_of_their_own_length_and_scaled_phases(small):
    experiment = small(
        arms={"longer": {"epochs": 40}}, epochs=20, scale_phases=True, milestones=[10, 40], reference=None
    )
    shorter, longer = arms_of(experiment)
    assert [(arm.recipe.epochs, arm.recipe.schedule_epochs, arm.milestones) for arm in (shorter, longer)] == [
        (20, 20, (10,)),
        (40, 40, (10, 40)),
    ]


def test_which_milestones_are_benchmarked(small):
    for chosen, expected in (("all", (1, 2)), ([2], (2,)), ("none", (1, 2))):
        assert arms_of(small(benchmarks=chosen))[0].recipe.evaluation.milestones == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": [1, 2, 1]}, "seed 1 is given twice"),
        ({"seeds": []}, "seeds"),
        ({"seeds": [-1]}, "seeds.0"),
        ({"recipes": [], "arms": {}}, "nothing to run"),
        ({"seds": [1]}, "unknown key 'seds'; did you mean 'seeds'"),
        ({"arms": {"plain": {"sett": {}}}}, "unknown key 'arms.plain.sett'; did you mean 'set'"),
        ({"grid": {"data.train_share": []}}, "grid.data.train_share"),
        ({"grid": {"data.train_share": [0.1, 0.1]}}, "has a value twice"),
        ({"milestones": [2, 1]}, "from low to high"),
        ({"epochs": None, "scale_phases": True}, "scale_phases needs epochs"),
    ],
)
def test_one_line_for_a_description_that_cannot_be(small, changes, message):
    with pytest.raises(UserError, match=message):
        small(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grid": {"optimizer.batch_sizes": [1]}}, "unknown key 'optimizer.batch_sizes'; did you mean 'batch_size'"),
        ({"grid": {"data.train_share": [2.0]}}, "data.train_share"),
        ({"recipes": ["resolutoin"]}, "did you mean 'resolution'"),
        ({"arms": {"resolution": {}}}, "two arms are named 'resolution'"),
        ({"reference": "plane"}, "did you mean 'plain'"),
        ({"milestones": [1, 3]}, "milestone 3 comes after the end"),
    ],
)
def test_one_line_for_arms_that_cannot_be(small, changes, message):
    with pytest.raises(UserError, match=message):
        arms_of(small(**changes), "small.yaml")


def test_one_line_for_an_unknown_measure_experiment_or_file(small, tmp_path):
    with pytest.raises(UserError, match="unknown measure 'coverag'; did you mean 'coverage'"):
        primary_measures(small(primary=["coverag"]))
    with pytest.raises(UserError, match="did you mean 'ten_seeds'"):
        load_experiment("ten_sedes")
    with pytest.raises(UserError, match="not found"):
        load_experiment(str(tmp_path / "none.yaml"))
    with pytest.raises(UserError, match="expected an experiment, found list"):
        validate_experiment([], "file")
