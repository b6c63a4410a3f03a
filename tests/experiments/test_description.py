"""What a description may say, and one clear line for what it may not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ternary_vae.errors import UserError
from ternary_vae.experiments.arms import _word, arms_of, deciding_milestone, planned_runs
from ternary_vae.experiments.description import experiment_names, load_experiment, validate_experiment
from ternary_vae.experiments.results import primary_measures


@pytest.mark.parametrize("name", experiment_names())
def test_every_named_experiment_can_be_planned(name):
    experiment, source = load_experiment(name)
    assert experiment.name == name
    arms = arms_of(experiment, source)
    assert len(planned_runs(experiment, arms)) == len(arms) * len(experiment.seeds)
    assert primary_measures(experiment, arms)


def test_settings_of_an_arm_come_after_those_of_all_and_the_grid_s_last(small):
    """Also where one names a section and another a setting in it."""
    experiment = small(
        set={"optimizer.batch_size": 512}, recipes=[], reference=None,
        arms={"mine": {"extends": "resolution", "set": {"optimizer": {"batch_size": 128, "averaging_epochs": 3}}}},
        grid={"optimizer.batch_size": [64, 256]},
    )  # fmt: skip
    recipes = [arm.recipe.optimizer for arm in arms_of(experiment, "mine.yaml")]
    assert [(each.batch_size, each.averaging_epochs) for each in recipes] == [(64, 3), (256, 3)]


def test_seeds_by_range_and_grid_by_combination(small):
    experiment = small(
        seeds="3-5", arms={}, reference=None, grid={"optimizer.batch_size": [64, 128], "model.injection": ["plain"]}
    )
    arms = arms_of(experiment)
    assert [arm.name for arm in arms] == [
        "resolution-batch_size-64-injection-plain",
        "resolution-batch_size-128-injection-plain",
    ]
    assert [arm.recipe.optimizer.batch_size for arm in arms] == [64, 128]
    # All arms of a seed before the next, so that whatever is done when somebody stops can be compared.
    assert [(run.arm, run.seed) for run in planned_runs(experiment, arms)] == [
        (arm.name, seed) for seed in (3, 4, 5) for arm in arms
    ]


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
        ({"seeds": []}, "seeds: expected at least one"),
        ({"seeds": 5}, "seeds: expected a list of seeds, such as .* or a range, such as 0-9 .given: 5"),
        ({"seeds": "abc"}, "seeds: expected a list of seeds"),
        ({"seeds": "9-0"}, "seeds: expected a range from low to high"),
        ({"seeds": "0-99999999999"}, "seeds: expected at most 100,000 seeds"),
        ({"seeds": "0-99999999999999999999"}, "seeds: expected a list of seeds"),
        ({"recipes": "resolution"}, "recipes: expected a list .given: 'resolution'"),
        ({"grid": {"data.train_share": 0.1}}, "grid.data.train_share: expected a list"),
        ({"benchmarks": "some"}, "benchmarks: expected all, none or a list of epochs .given: 'some'"),
        ({"benchmarks": [2, 2]}, "benchmarks: give each epoch once"),
        ({"seeds": [-1]}, "seeds.0"),
        ({"recipes": [], "arms": {}}, "nothing to run"),
        ({"seds": [1]}, "unknown key 'seds'; did you mean 'seeds'"),
        ({"arms": {"plain": {"sett": {}}}}, "unknown key 'arms.plain.sett'; did you mean 'set'"),
        ({"grid": {"data.train_share": []}}, "grid.data.train_share"),
        ({"grid": {"data.train_share": [0.1, 0.1]}}, "has a value twice"),
        ({"milestones": [2, 1]}, "milestones: give each epoch once, from low to high"),
        ({"milestones": "last"}, "milestones: expected a list of epochs"),
        ({"epochs": None, "scale_phases": True}, "scale_phases needs epochs"),
        ({"scale_phases": "yes"}, "scale_phases: expected true or false .given: 'yes'"),
        ({"epochs": 10**12}, "epochs: .* less than or equal to 1000000"),
        ({"grid": {f"key_{n}": list(range(10)) for n in range(12)}}, "2,000,000,000,000 arms .* at most 10,000"),
        ({"grid": {"data.train_share": list(range(20_000))}}, "grid.data.train_share: .* at most 10000 items"),
        ({"grid": {"data.train_share": list(range(2_000))}, "seeds": "0-99"}, "400,000 runs, .* at most 100,000"),
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
        ({"arms": {"Plain": {}, "plain": {}}}, "arms 'Plain' and 'plain' differ only in case"),
        ({"arms": {"Resolution": {}}}, "arms 'resolution' and 'Resolution' differ only in case"),
        ({"arms": {"con": {}}}, "arm 'con': no file can have its name on Windows"),
        ({"arms": {"Lpt1.v2": {}}}, "arm 'Lpt1.v2': no file can have its name on Windows"),
        ({"reference": "plane"}, "did you mean 'plain'"),
        ({"milestones": [1, 3]}, "milestone 3 comes after the end"),
        ({"benchmarks": [1, 9]}, "benchmarks: 9 is no milestone, .* milestones are 1 and 2"),
        ({"grid": {"seed": [1, 2]}}, "arm 'resolution-seed-1': 'seed' cannot be set .* given by seeds"),
        ({"grid": {"epochs": [1, 2]}}, "'epochs' cannot be set"),
        ({"arms": {"plain": {"set": {"name": "other"}}}}, "arm 'plain': 'name' cannot be set"),
        ({"set": {"evaluation": {"milestones": [1]}}}, "'evaluation.milestones' cannot be set"),
        ({"arms": {"plain": {"epochs": 1}}, "milestones": [2]}, "the reference and no other arm share a milestone"),
        ({"arms": {"plain": {"epochs": 1}}, "milestones": [2], "reference": None}, "no two arms share a milestone"),
        (
            {"set": {"evaluation.every": 2}, "epochs": 4, "milestones": [1, 4], "benchmarks": [4]},
            "arm 'resolution' is not measured at milestone 1: evaluation.every is 2",
        ),
    ],
)
def test_one_line_for_arms_that_cannot_be(small, changes, message):
    with pytest.raises(UserError, match=message):
        arms_of(small(**changes), "small.yaml")


def test_one_line_for_an_unknown_measure_experiment_or_file(small, tmp_path):
    with pytest.raises(UserError, match="unknown measure 'coverag'; did you mean 'coverage'"):
        primary_measures(small(primary=["coverag"]), arms_of(small()))
    with pytest.raises(UserError, match="did you mean 'ten_seeds'"):
        load_experiment("ten_sedes")
    with pytest.raises(UserError, match="not found"):
        load_experiment(str(tmp_path / "none.yaml"))
    with pytest.raises(UserError, match="expected an experiment, found list"):
        validate_experiment([], "file")


def test_the_milestone_that_decides_is_the_references(small):
    arms = {"longer": {"epochs": 4}, "longest": {"epochs": 4}}
    experiment = small(arms=arms, milestones=[1, 2, 3, 4])
    assert deciding_milestone(experiment, arms_of(experiment)) == 2
    experiment = small(arms=arms, milestones=[1, 2, 3, 4], reference=None)
    assert deciding_milestone(experiment, arms_of(experiment)) == 4


def test_a_measure_is_refused_where_it_is_not_measured(small):
    for benchmarks, epochs in (("none", 2), ([1], 4)):
        experiment = small(primary=["coverage_rho_07"], benchmarks=benchmarks, epochs=epochs)
        with pytest.raises(UserError, match="coverage_rho_07 is measured by benchmarks alone, and epoch 2"):
            primary_measures(experiment, arms_of(experiment))
    # What decides unless told is what is measured there.
    experiment = small(benchmarks=[1], epochs=4)
    assert {one.source for one in primary_measures(experiment, arms_of(experiment))} == {"metrics"}


def test_without_milestones_the_recipes_own_and_the_end_are_compared(small):
    short, long = arms_of(small(arms={"long": {"epochs": 100}}, epochs=20, milestones=[]))
    assert (short.milestones, long.milestones) == ((3, 20), (3, 100))
    assert (short.recipe.evaluation.milestones, short.recipe.benchmarked) == ((3,), [3, 20])
    experiment = small(epochs=20, milestones=[])
    assert deciding_milestone(experiment, arms_of(experiment)) == 20


def test_milestones_are_measured_between_the_epochs_that_are(small):
    (arm, _) = arms_of(small(set={"evaluation.every": 2}, epochs=5, milestones=[1, 4, 5]))
    assert [epoch for epoch in range(1, 6) if arm.recipe.is_evaluated(epoch)] == [1, 2, 4, 5]


@given(st.lists(st.one_of(st.floats(allow_nan=False), st.text(), st.lists(st.integers(), max_size=30)), unique_by=str))
def test_names_of_values_do_not_depend_on_other_values(values):
    words = [_word(value) for value in values]
    assert len(set(words)) == len(words)
    assert all(re.fullmatch("[A-Za-z0-9_.-]{1,24}", word) for word in words)


def test_arms_whose_names_begin_like_a_device(small):
    names = ["console", "auxiliary", "com", "com10", "nulls.con", "1e5", "yes"]
    assert [arm.name for arm in arms_of(small(arms={name: {} for name in names}))][1:] == names


def test_a_recipe_file_whose_name_is_no_arms_name(small, tmp_path):
    (tmp_path / "my own.yaml").write_text("extends: resolution\n")
    with pytest.raises(UserError, match=r"arm 'my own': its name .* give it another under arms"):
        arms_of(small(recipes=["my own.yaml"], reference=None), tmp_path / "small.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seeds: [0]\nname: x\nseeds: [1]\n", "key 'seeds' is given twice at line 3; keep one"),
        ("set: {data.train_share: 0.5, data.train_share: 0.1}\n", "key 'data.train_share' is given twice at line 1"),
    ],
)
def test_a_key_given_twice_is_refused(tmp_path, text, message):
    path = tmp_path / "twice.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        load_experiment(str(path))
