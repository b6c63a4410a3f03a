"""Recipes: the plan's values, inheritance, scaling to other lengths, and one line for every bad input."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ternary_vae.descriptions import parse_yaml
from ternary_vae.errors import UserError
from ternary_vae.experiments.arms import arms_of
from ternary_vae.experiments.description import validate_experiment
from ternary_vae.recipe import (
    _REMOVED,
    Recipe,
    load_recipe,
    parse_override,
    recipe_names,
    validate_recipe,
)

PLAN_RECIPES = (
    "ternary_v5_5",
    "ternary_v5_5_early_rho",
    "ternary_v5_5_high_rho",
    "ternary_v5_5_adaptive_rho",
)
NO_PHASES = {"rho": None, "rho_start": None, "rho_end": None, "ramp_epochs": None}


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return str(path)


def refusal(action, *arguments, **options):
    """The message of the UserError that the action raises."""
    with pytest.raises(UserError) as caught:
        action(*arguments, **options)
    message = str(caught.value)
    assert "Traceback" not in message
    return message


def phase(epochs, gate=False, boost=False, **rho):
    return NO_PHASES | {"epochs": epochs, "gradient_balance_gate": gate, "temperature_boost": boost} | rho


PHASES = {
    "ternary_v5_5": [
        phase((0, 40), rho=0.1),
        phase((40, 120), rho_start=0.1, rho_end=0.3),
        phase((120, 250), gate=True, rho_start=0.3, rho_end=0.7, ramp_epochs=80),
        phase((250, 400), boost=True, rho=0.7),
    ],
    "ternary_v5_5_early_rho": [
        phase((0, 40), rho=0.1),
        phase((40, 100), rho_start=0.3, rho_end=0.5),
        phase((100, 200), gate=True, rho_start=0.5, rho_end=0.7),
        phase((200, 400), boost=True, rho=0.7),
    ],
}
PHASES["ternary_v5_5_adaptive_rho"] = PHASES["ternary_v5_5"]
PHASES["ternary_v5_5_high_rho"] = [*PHASES["ternary_v5_5"][:3], phase((250, 400), boost=True, rho=0.85)]


class TestPlanRecipes:
    def test_the_plans_four_are_there(self):
        assert set(PLAN_RECIPES) <= set(recipe_names())

    @pytest.mark.parametrize("name", PLAN_RECIPES)
    def test_what_all_four_share(self, name):
        recipe = load_recipe(name)
        assert recipe.name == name
        assert (recipe.epochs, recipe.schedule_epochs, recipe.seed) == (400, 400, 42)
        assert (recipe.data.train_share, recipe.data.validation_share) == (0.8, 0.1)
        assert recipe.model.injection == "plain"
        optimizer = recipe.optimizer
        assert (optimizer.batch_size, optimizer.weight_decay, optimizer.gradient_clip) == (64, 1e-4, 1)
        assert optimizer.first_batches.epochs == 0
        assert optimizer.learning_rate.kind == "steps"
        assert optimizer.learning_rate.bounds == (1e-6, 0.01)
        assert optimizer.learning_rate.steps == {
            0: 1e-3,
            50: 5e-4,
            120: 3e-4,
            180: 1e-4,
            220: 5e-5,
            250: 2e-5,
            300: 1e-5,
            350: 5e-6,
        }
        balance = recipe.gradient_balance
        assert balance.enabled
        assert balance.scale_bounds == (0.5, 2)
        assert balance.open_interval == (0.8, 1.2)
        assert (balance.momentum_balanced, balance.momentum_unbalanced) == (0.95, 0.5)
        lambdas = recipe.lambdas
        assert (lambdas.initial, lambdas.step, lambdas.bounds) == (0.7, 0.02, (0.5, 0.95))
        assert (lambdas.lambda3_middle, lambdas.lambda3_amplitude, lambdas.lambda3_period) == (0.3, 0.15, 30)
        assert lambdas.lambda3_phase == pytest.approx(math.pi / 2)
        assert lambdas.lambda3_bounds == (0.15, 0.75)
        temperature = recipe.temperature
        assert (temperature.a_start, temperature.a_end, temperature.minimum) == (1, 0.3, 0.1)
        assert (temperature.a_cycle_relative_amplitude, temperature.a_boost_amplitude) == (0.1, 0.5)
        assert (temperature.b_start, temperature.b_end, temperature.b_lag_epochs) == (0.9, 0.2, 30)
        assert (temperature.b_boosted, temperature.cycle_epochs) == (0.3, 30)
        beta = recipe.beta
        assert (beta.warmup_epochs, beta.warm, beta.end, beta.b_delay_epochs) == (50, 0.3, 0.8, 50)
        assert beta.b_ratio == pytest.approx(abs(math.sin(0.785)), abs=1e-15)
        assert beta.free_bits == 0.5
        objective = recipe.objective
        assert (objective.output_entropy_b, objective.repulsion_b, objective.repulsion_width) == (
            0.05,
            0.01,
            0.25,
        )
        assert (objective.entropy_alignment, objective.entropy_bins) == (1, 50)
        assert objective.prior_information.weight == objective.prior_information.entropy_weight == 0
        for name in ("alignment", "mean_share", "mean_noise", "best_of_two", "balancing", "subspace_overlap",
                     "recognition"):  # fmt: skip
            assert getattr(objective, name) == 0, name
        assert recipe.permeability.isolated_share == 0
        assert recipe.statenet.enabled
        assert (recipe.statenet.learning_rate_scale, recipe.statenet.lambda_scale) == (0.05, 0.01)
        assert recipe.evaluation.milestones == (3, 100, 120, 150, 200, 250, 300, 350, 400)
        assert recipe.evaluation.checkpoint_every == 10

    @pytest.mark.parametrize("name", PLAN_RECIPES)
    def test_phases(self, name):
        assert [part.model_dump() for part in load_recipe(name).phases] == PHASES[name]

    def test_bounds_of_permeability(self):
        peak = {name: load_recipe(name).permeability.max for name in PLAN_RECIPES}
        assert peak == dict.fromkeys(PLAN_RECIPES, 0.9) | {"ternary_v5_5_high_rho": 0.85}
        adaptive = {name: load_recipe(name).permeability.adaptive for name in PLAN_RECIPES}
        assert adaptive == dict.fromkeys(PLAN_RECIPES, False) | {"ternary_v5_5_adaptive_rho": True}
        assert load_recipe("ternary_v5_5_adaptive_rho").permeability.adaptive_bound == 0.05


class TestRoundTrip:
    @pytest.mark.parametrize("name", recipe_names())
    def test_yaml_keeps_everything(self, name):
        recipe = load_recipe(name)
        again = validate_recipe(parse_yaml(recipe.to_yaml()), "saved")
        assert again == recipe
        assert again.fingerprint() == recipe.fingerprint()

    @pytest.mark.parametrize("name", recipe_names())
    def test_a_saved_recipe_loads_by_path(self, name, tmp_path):
        recipe = load_recipe(name)
        assert load_recipe(write(tmp_path / "saved.yaml", recipe.to_yaml())) == recipe

    def test_json_keeps_everything(self):
        recipe = load_recipe("ternary_v5_5")
        assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe

    def test_fingerprint_follows_content_not_seed_or_description(self):
        recipe = load_recipe("ternary_v5_5")
        assert load_recipe("ternary_v5_5", seed=7).fingerprint() == recipe.fingerprint()
        assert recipe.model_copy(update={"description": "x"}).fingerprint() == recipe.fingerprint()
        changed = load_recipe("ternary_v5_5", overrides={"beta.end": 0.9})
        assert changed.fingerprint() != recipe.fingerprint()
        assert len({load_recipe(name).fingerprint() for name in recipe_names()}) == len(recipe_names())

    @pytest.mark.parametrize(
        ("name", "fingerprint"),
        [
            ("resolution", "3d73dc080bd8e75e"),
            ("ternary_v5_5", "35485158c5cb6a3e"),
            ("ternary_v5_5_early_rho", "e51e0bf2e3c73afa"),
            ("ternary_v5_5_high_rho", "01e39d8fa702320f"),
            ("ternary_v5_5_adaptive_rho", "79ea292172d1bc49"),
        ],
    )
    def test_fingerprints_are_those_of_the_published_runs(self, name, fingerprint):
        assert load_recipe(name).fingerprint() == fingerprint

    def test_a_recipe_cannot_be_changed(self):
        with pytest.raises(ValueError, match="frozen"):
            load_recipe("ternary_v5_5").epochs = 3


class TestInheritance:
    def test_a_child_states_only_what_differs(self, tmp_path):
        path = write(tmp_path / "mine.yaml", "extends: ternary_v5_5\nname: mine\nbeta: {end: 0.5}\n")
        mine, parent = load_recipe(path), load_recipe("ternary_v5_5")
        assert mine.beta.end == 0.5
        assert mine.model_copy(update={"name": "ternary_v5_5", "beta": parent.beta}) == parent

    def test_grandparents_and_files_beside(self, tmp_path):
        write(tmp_path / "base.yaml", "extends: ternary_v5_5_early_rho\nname: base\nbeta: {warm: 0.2}\n")
        path = write(tmp_path / "top.yaml", "extends: base.yaml\nname: top\nbeta: {end: 0.4}\n")
        top = load_recipe(path)
        assert (top.beta.warm, top.beta.end) == (0.2, 0.4)
        assert top.phases == load_recipe("ternary_v5_5_early_rho").phases

    def test_learning_rate_steps_and_phases_are_replaced_whole(self, tmp_path):
        path = write(
            tmp_path / "mine.yaml",
            "extends: ternary_v5_5\nname: mine\noptimizer: {learning_rate: {steps: {0: 2e-3}}}\n"
            "phases: {phase_3: {epochs: [120, 250], rho: 0.4}}\n",
        )
        mine = load_recipe(path)
        assert mine.optimizer.learning_rate.steps == {0: 2e-3}
        assert mine.phases.phase_3.model_dump() == phase((120, 250), rho=0.4)

    @pytest.mark.parametrize("length", [1, 2, 3])
    def test_cycles_are_refused(self, tmp_path, length):
        for number in range(length):
            parent = f"r{(number + 1) % length}.yaml"
            write(tmp_path / f"r{number}.yaml", f"extends: {parent}\nname: r{number}\n")
        assert "extends itself through" in refusal(load_recipe, str(tmp_path / "r0.yaml"))

    def test_unknown_parent(self, tmp_path):
        path = write(tmp_path / "mine.yaml", "extends: ternary_v5_4\nname: mine\n")
        assert "did you mean 'ternary_v5_5'" in refusal(load_recipe, path)


class TestBadInput:
    def test_unknown_recipe_names_the_nearest(self):
        assert "did you mean 'ternary_v5_5_high_rho'" in refusal(load_recipe, "ternary_high_rho")
        everything = refusal(load_recipe, "zzz")
        assert all(name in everything for name in PLAN_RECIPES)

    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("", "unknown recipe ''; known: "),
            ("no/such/file", "recipe file 'no/such/file' not found; give a path to a YAML file or one of: "),
            ("missing.yaml", "recipe file 'missing.yaml' not found; give a path to a YAML file or one of: "),
            ("x" * 5000, "unknown recipe 'xxx"),
            ("a\0b", r"unknown recipe 'a\x00b'; known: "),
            (".", "unknown recipe '.'; known: "),
        ],
    )
    def test_names_that_are_no_recipe(self, name, says):
        message = refusal(load_recipe, name)
        assert message.startswith(says)
        assert message.endswith(", ".join(recipe_names()))

    def test_a_file_without_its_suffix(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("mine.yaml").write_text("extends: resolution", encoding="utf-8")
        for name in ("mine", "./mine", tmp_path / "mine"):
            assert refusal(load_recipe, name) == f"unknown recipe '{name}'; did you mean '{name}.yaml'?"

    @pytest.mark.parametrize("name", ["missing.yaml", "no/such/file", "resolution"])
    def test_paths_that_are_no_recipe(self, name, tmp_path):
        message = refusal(load_recipe, tmp_path / name)
        assert message.startswith(f"recipe file '{tmp_path / name}' not found; give a path to a YAML file or one of: ")
        assert refusal(load_recipe, Path(name)).startswith(f"recipe file '{name}' not found; ")
        (tmp_path / "directory").mkdir()
        assert "directory' is no file; give a path to a YAML file" in refusal(load_recipe, tmp_path / "directory")

    @pytest.mark.parametrize(
        ("key", "nearest"),
        [
            ("epoch", "epochs"),
            ("optimiser", "optimizer"),
            ("batch_size", "optimizer.batch_size"),
            ("optimizer.batchsize", "batch_size"),
            ("optimizer.learning_rate.stepz", "steps"),
            ("phases.phase_5", "phase_4"),
            ("phases.phase_3.roh_end", "rho_end"),
            ("objective.prior_information.wieght", "weight"),
            ("evaluation.milestone", "milestones"),
            ("guards.mine.belw", "below"),
        ],
    )
    def test_unknown_key_names_the_nearest(self, key, nearest):
        overrides = {"guards.mine.quantity": "loss", "guards.mine.not_finite": True} if "guards" in key else {}
        message = refusal(load_recipe, "ternary_v5_5", overrides=overrides | {key: 1})
        assert f"unknown key '{key}'" in message
        assert f"did you mean '{nearest}'" in message

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("epochs", 0),
            ("epochs", 2.5),
            ("epochs", "many"),
            ("seed", -1),
            ("seed", 2**32),
            ("name", ""),
            ("name", "../escape"),
            ("data.train_share", 0),
            ("data.train_share", 1.2),
            ("optimizer.batch_size", 0),
            ("optimizer.batch_size", 1_000_001),
            ("optimizer.first_batches.epochs", -1),
            ("optimizer.first_batches.size", 0),
            ("optimizer.first_batches.size", 1_000_001),
            ("optimizer.weight_decay", -1e-4),
            ("optimizer.betas", [0.9, 1.0]),
            ("optimizer.gradient_clip", 0),
            ("optimizer.gradient_clip", math.nan),
            ("optimizer.gradient_clip", math.inf),
            ("optimizer.learning_rate.kind", "step"),
            ("optimizer.learning_rate.steps", {0: 0}),
            ("optimizer.learning_rate.steps", {-1: 1e-3, 0: 1e-3}),
            ("optimizer.learning_rate.bounds", [0.01, 1e-6]),
            ("lambdas.bounds", [0.95, 0.5]),
            ("lambdas.bounds", [0.5]),
            ("gradient_balance.open_interval", [1.1, 0.9]),
            ("permeability.max", 1.01),
            ("permeability.isolated_share", -0.1),
            ("model.injection", "translate"),
            ("temperature.a_start", 0),
            ("beta.free_bits", -1),
            ("objective.prior_information.subset_entries", 9),
            ("objective.prior_information.widened_share", 1.1),
            ("objective.prior_information.entropy_weight", -1),
            ("objective.recognition", -0.5),
            ("objective.best_of_two", -1),
            ("objective.subspace_overlap", math.inf),
            ("objective.mean_noise", -0.3),
            ("objective.balancing", 11),
            ("statenet.lambda_scale", -0.1),
            ("evaluation.milestones", [3, -1]),
            ("evaluation.milestones", [10, 5]),
            ("evaluation.milestones", [5, 5, 10]),
            ("evaluation.coverage_draws", 100_000_000_000_000),
            ("objective.prior_information", {"draws": 65_536, "subsets": 126}),
            ("seed", True),
            ("seed", "5"),
            ("epochs", "10"),
            ("statenet.enabled", "yes"),
            ("statenet.enabled", 1),
            ("optimizer.learning_rate.steps", {0: 1e-3, True: 1e-3}),
            ("optimizer.learning_rate.steps", {0: "1e-3"}),
            ("cache.directory", "a\0b"),
            ("evaluation.checkpoint_every", 0),
            ("phases.phase_4.rho", 1.5),
            ("guards.mine", {"quantity": "loss"}),
            ("guards.mine", {"quantity": "loss", "below": 1, "above": 2}),
            ("guards.mine", {"quantity": "nonsense", "below": 1}),
            ("guards.mine", {"quantity": "loss", "below": 1, "actions": ["explode"]}),
            ("data", 5),
            ("guards", [1]),
        ],
    )
    def test_value_out_of_range_is_named(self, key, value):
        message = refusal(load_recipe, "ternary_v5_5", overrides={key: value})
        assert re.search(rf"ternary_v5_5\.yaml with overrides: {re.escape(key)}[:.]", message)

    @pytest.mark.parametrize(
        ("key", "value", "says"),
        [
            ("data.validation_share", 0.3, "train_share + validation_share must not exceed 1"),
            ("optimizer.learning_rate.steps", {5: 1e-3}, "steps must name the rate at epoch 0"),
            ("phases.phase_4.rho_start", 0.2, "give either rho, or rho_start and rho_end"),
            ("phases.phase_4.rho", None, "give either rho, or rho_start and rho_end"),
            ("phases.phase_3.rho_end", None, "give either rho, or rho_start and rho_end"),
            ("phases.phase_3.rho", 0.5, "give either rho, or rho_start and rho_end"),
        ],
    )
    def test_a_value_that_contradicts_another_is_told_of_the_section_of_both(self, key, value, says):
        message = refusal(load_recipe, "ternary_v5_5", overrides={key: value})
        assert message.endswith(f"ternary_v5_5.yaml with overrides: {key.rpartition('.')[0]}: {says}")

    @pytest.mark.parametrize(
        ("key", "epochs"),
        [
            ("phase_1", [0, 50]),  # overlap
            ("phase_2", [60, 120]),  # gap
            ("phase_3", [250, 120]),  # backwards
            ("phase_4", [250, 250]),  # empty
            ("phase_1", [5, 40]),  # does not start at 0
        ],
    )
    def test_phases_out_of_order(self, key, epochs):
        message = refusal(load_recipe, "ternary_v5_5", overrides={f"phases.{key}.epochs": epochs})
        assert "out of order" in message or "must go forward" in message

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("name: [unclosed\n", "at line 2"),
            ("- a\n- list\n", "found list"),
            ("just a word\n", "found str"),
            ("", "found NoneType"),
            ("name: mine\nseed: 2024-13-45\n", "seed: expected a number (given: '2024-13-45')"),
            ("name: &loop [*loop]\n", "recipe"),
            ("name: " + "[" * 4000, "recipe"),
            ("epochs: 3\n", "name: Field required"),
            ("nam: mine\nepochs: 3\n", "unknown key 'nam'; did you mean 'name'"),
            ("name: mine\n1: 2\n", "recipe"),
            ("!!python/object/apply:os.system ['true']\n", "not valid YAML"),
        ],
    )
    def test_files_that_are_no_recipe(self, tmp_path, text, expected):
        path = write(tmp_path / "bad.yaml", text)
        message = refusal(load_recipe, path)
        assert expected in message
        assert path in message

    def test_bytes_that_are_no_text(self, tmp_path):
        (tmp_path / "bad.yaml").write_bytes(b"name: \xff\xfe")
        assert "cannot be read" in refusal(load_recipe, str(tmp_path / "bad.yaml"))

    @pytest.mark.usefixtures("unchecked")
    @pytest.mark.parametrize("epochs", [0, -4, 1_000_001, 10**400, 2.5, 3.0, True, "3"])
    def test_run_length_out_of_bounds(self, epochs):
        assert "from 1 to 1,000,000" in refusal(load_recipe, "ternary_v5_5", epochs=epochs)

    @pytest.mark.usefixtures("unchecked")
    @pytest.mark.parametrize("scale_phases", [False, True])
    def test_a_run_length_of_numpy(self, scale_phases):
        recipe = load_recipe("ternary_v5_5", epochs=np.int64(40), scale_phases=scale_phases)
        assert recipe == load_recipe("ternary_v5_5", epochs=40, scale_phases=scale_phases)
        assert "\nepochs: 40\n" in recipe.to_yaml()

    def test_the_error_of_a_translation_where_there_is_none(self):
        message = refusal(load_recipe, "ternary_v5_5", overrides={"objective.translation_error": 0.1})
        assert "objective.translation_error: weighs the error of a translation" in message
        assert "model.injection is 'plain'; set that to 'translated', or this to 0" in message

    def test_a_listed_space_has_no_share_of_skewed_draws(self):
        message = refusal(load_recipe, overrides={"data.skewed_share": 0.1})
        assert "data.skewed_share: an epoch goes through every operation of a space that can be listed" in message

    def test_full_coverage_is_of_operations_that_are_listed(self):
        few = {"evaluation.full_coverage_draws": 1000}
        message = refusal(load_recipe, "three_inputs", overrides=few)
        assert "evaluation.full_coverage_draws: whether draws meet every operation is asked where operations" in message
        assert "7,625,597,484,987, leave it null" in message
        assert load_recipe("two_valued_four_inputs", overrides=few).evaluation.full_coverage_draws == 1000
        # The plan's recipes have the default, which stays unused there.
        assert load_recipe("ternary_v5_5", overrides={"space.inputs": 3}).evaluation.full_coverage_draws == 195_000

    def test_a_key_that_is_no_text_beside_inherited_ones(self, tmp_path):
        path = write(tmp_path / "mine.yaml", "extends: resolution\n1: {a: 2}\n")
        assert refusal(load_recipe, path) == f"{path}: 1: Keys should be strings (given: 1)"


REMOVED_SETTINGS = [f"{section}.{name}" for section, names in _REMOVED.items() for name in names]


class TestRemovedSettings:
    @pytest.mark.parametrize("key", REMOVED_SETTINGS)
    def test_none_is_a_setting(self, key):
        """And none is refused that is one."""
        section, name = key.split(".")
        assert name not in Recipe.model_fields[section].annotation.model_fields

    @given(st.sampled_from(REMOVED_SETTINGS), st.sampled_from(recipe_names()), st.data())
    def test_one_line_says_so_whatever_the_value(self, key, name, data):
        value = data.draw(st.none() | st.integers() | st.text(max_size=5) | st.just({"strength": 0.2, "bounds": [1]}))
        message = refusal(load_recipe, name, overrides={key: value})
        assert f"{name}.yaml with overrides: {key} is no setting any more; leave it out, or use commit " in message

    @pytest.mark.parametrize("key", REMOVED_SETTINGS)
    def test_in_a_file_and_in_what_it_inherits(self, key, tmp_path):
        section, name = key.split(".")
        path = write(tmp_path / "old.yaml", f"extends: resolution\nname: old\n{section}: {{{name}: 0.5}}\n")
        assert f"old.yaml: {key} is no setting any more" in refusal(load_recipe, path)
        child = write(tmp_path / "child.yaml", "extends: old.yaml\nname: child\n")
        assert f"{key} is no setting any more" in refusal(load_recipe, child)

    def test_a_setting_inside_one(self):
        message = refusal(load_recipe, overrides={"objective.specialisation.strength": 0.2})
        assert "objective.specialisation is no setting any more" in message

    @pytest.mark.parametrize("key", REMOVED_SETTINGS)
    def test_in_an_arm_of_an_experiment(self, key):
        arms = {"old": {"set": {key: 0.5}}}
        experiment = validate_experiment({"name": "mine", "arms": arms, "seeds": [1]}, "mine.yaml")
        message = refusal(arms_of, experiment, "mine.yaml")
        assert "old" in message
        assert f"{key} is no setting any more" in message

    @pytest.mark.parametrize("content", [5, [1], {}, {"objective": 5}, {"objective": [1]}, {"objective": None}])
    def test_what_is_no_recipe_is_refused_as_such(self, content):
        assert "any more" not in refusal(validate_recipe, content, "mine.yaml")


class TestOverrides:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("optimizer.batch_size=256", ("optimizer.batch_size", 256)),
            (" beta.end = 1e-3", ("beta.end", 1e-3)),
            ("beta.end=5E+2", ("beta.end", 500.0)),
            ("beta.end=.5", ("beta.end", 0.5)),
            ("temperature.b_boosted=null", ("temperature.b_boosted", None)),
            ("statenet.enabled=false", ("statenet.enabled", False)),
            ("lambdas.bounds=[0.1, 9e-1]", ("lambdas.bounds", [0.1, 0.9])),
            ("optimizer.learning_rate.steps={0: 1e-2}", ("optimizer.learning_rate.steps", {0: 0.01})),
            ("description=a=b", ("description", "a=b")),
            ("description='3.5'", ("description", "3.5")),
            ("description=", ("description", None)),
            ("description=2024-13-45", ("description", "2024-13-45")),
        ],
    )
    def test_reads_key_and_value(self, text, expected):
        assert parse_override(text) == expected

    @pytest.mark.parametrize("text", ["", "beta.end", "=3", "  =3", "beta.end=[1", "a={b: 1, b: 2}", "a=" + "[" * 4000])
    def test_refuses_the_rest(self, text):
        assert "--set" in refusal(parse_override, text)

    def test_overrides_reach_every_depth(self):
        recipe = load_recipe(
            "ternary_v5_5",
            overrides={
                "seed": 5,
                "objective.prior_information.weight": 2,
                "optimizer.learning_rate.steps.50": 7e-4,
                "phases.phase_4.rho": 0.6,
            },
            seed=6,
        )
        assert recipe.seed == 6
        assert recipe.objective.prior_information.weight == 2
        assert recipe.optimizer.learning_rate.steps[50] == 7e-4
        assert len(recipe.optimizer.learning_rate.steps) == 8
        assert [part.end_rho for part in recipe.phases] == [0.1, 0.3, 0.7, 0.6]

    def test_a_section_is_laid_over_the_one_that_is_there(self):
        """As by `extends:`. Only a phase and steps of the learning rate are whole."""
        plain = load_recipe(overrides={"optimizer.batch_size": 256, "optimizer.learning_rate.floor": 0.0})
        changed = {"optimizer": {"batch_size": 256, "learning_rate": {"floor": 0.0}}}
        assert load_recipe(overrides=changed) == plain
        steps = {"optimizer": {"learning_rate": {"steps": {"0": 0.1}}}}
        assert load_recipe("ternary_v5_5", overrides=steps).optimizer.learning_rate.steps == {0: 0.1}
        assert load_recipe(overrides={"guards": {}}).guards == {}

    def test_a_value_is_not_a_section(self):
        message = refusal(load_recipe, "ternary_v5_5", overrides={"name.many": 3})
        assert "'name' is a value" in message
        message = refusal(load_recipe, "ternary_v5_5", overrides={"epochs.many": 3})
        assert "ternary_v5_5.yaml with overrides: epochs: expected a number (given: a section)" in message

    @pytest.mark.parametrize("key", [".", "..", "beta.", ".beta", "beta..end"])
    def test_keys_with_nothing_between_the_dots(self, key):
        assert "unknown key" in refusal(load_recipe, "ternary_v5_5", overrides={key: 1})


class TestLength:
    def test_overrides_are_left_as_they_were_given(self):
        given = {"optimizer.first_batches": {"epochs": 1, "size": 256}, "optimizer.first_batches.epochs": 2}
        assert load_recipe(overrides=given).optimizer.first_batches.epochs == 2
        assert given["optimizer.first_batches"] == {"epochs": 1, "size": 256}

    def test_shorter_run_keeps_schedules_unless_scaled(self):
        recipe = load_recipe("ternary_v5_5", epochs=40)
        assert (recipe.epochs, recipe.schedule_epochs, recipe.benchmarked) == (40, 400, [3, 40])
        assert recipe.phases == load_recipe("ternary_v5_5").phases
        scaled = load_recipe("ternary_v5_5", epochs=40, scale_phases=True)
        assert [part.epochs for part in scaled.phases] == [(0, 4), (4, 12), (12, 25), (25, 40)]
        assert scaled.phases.phase_3.ramp_epochs == 8
        assert scaled.temperature.b_lag_epochs == 3
        assert scaled.beta.warmup_epochs == scaled.beta.b_delay_epochs == 5
        assert scaled.lambdas.lambda3_period == scaled.temperature.cycle_epochs == 3
        assert scaled.evaluation.milestones == (1, 10, 12, 15, 20, 25, 30, 35, 40)
        assert list(scaled.optimizer.learning_rate.steps) == [0, 5, 12, 18, 22, 25, 30, 35]

    @pytest.mark.parametrize("name", recipe_names())
    def test_its_own_length_changes_nothing(self, name):
        recipe = load_recipe(name)
        assert recipe.scaled_to(recipe.schedule_epochs) == recipe

    @given(st.sampled_from(recipe_names()), st.integers(10, 3000))
    @example("ternary_v5_5", 10)
    def test_any_length_goes_through_all_four_phases(self, name, epochs):
        recipe = load_recipe(name)
        scaled = recipe.scaled_to(epochs)
        assert scaled.epochs == scaled.schedule_epochs == epochs
        bounds = [part.epochs for part in scaled.phases]
        assert bounds[0][0] == 0
        assert bounds[-1][1] == epochs
        assert all(before[1] == after[0] for before, after in itertools.pairwise(bounds))
        assert {scaled.phase_at(epoch) for epoch in range(epochs)} == {1, 2, 3, 4}
        assert scaled.evaluation.milestones[-1] == epochs
        assert all(1 <= milestone <= epochs for milestone in scaled.evaluation.milestones)
        assert 0 in scaled.optimizer.learning_rate.steps
        assert [(p.start_rho, p.end_rho) for p in scaled.phases] == [(p.start_rho, p.end_rho) for p in recipe.phases]
        # No boundary is moved by more than rounding.
        for (_, end), part in zip(bounds, recipe.phases):
            assert abs(end - part.epochs[1] * epochs / recipe.schedule_epochs) <= 0.5

    @given(st.integers(-5, 9))
    def test_a_length_is_scaled_to_or_refused_with_one_that_works(self, epochs):
        recipe = load_recipe("ternary_v5_5")
        try:
            scaled = recipe.scaled_to(epochs)
        except UserError as failure:
            enough = int(str(failure).rsplit(" ", 1)[1])
            assert enough == 6
            assert recipe.scaled_to(enough).epochs == enough
        else:
            assert {scaled.phase_at(epoch) for epoch in range(epochs)} == {1, 2, 3, 4}

    def test_guards_and_the_untrained_milestone_are_scaled(self):
        recipe = load_recipe(
            "ternary_v5_5",
            overrides={
                "guards.mine": {
                    "quantity": "coverage",
                    "below": 0.5,
                    "from_epoch": 150,
                    "until_epoch": 200,
                    "every": 10,
                    "window": 30,
                },
                "evaluation.milestones": [0, 3, 400],
            },
        )
        scaled = recipe.scaled_to(40)
        guard = scaled.guards["mine"]
        assert (guard.from_epoch, guard.until_epoch, guard.every, guard.window) == (15, 20, 1, 3)
        assert scaled.evaluation.milestones == (0, 1, 40)

    @pytest.mark.parametrize(
        ("epoch", "number"), [(0, 1), (39, 1), (40, 2), (119, 2), (120, 3), (249, 3), (250, 4), (399, 4), (900, 4)]
    )
    def test_phase_of_an_epoch(self, epoch, number):
        assert load_recipe("ternary_v5_5").phase_at(epoch) == number


class TestWarmUp:
    @pytest.mark.parametrize(("epochs", "warmup"), [(10, 4), (20, 4), (100, 5), (400, 20), (800, 40)])
    def test_beta_is_warmed_up_for_longer_than_first_batches_are_small(self, epochs, warmup):
        assert load_recipe("resolution").scaled_to(epochs).beta.warmup_epochs == warmup

    def test_without_small_batches_it_scales_as_all_else(self):
        recipe = load_recipe("resolution", overrides={"optimizer.first_batches.epochs": 0})
        assert recipe.scaled_to(20).beta.warmup_epochs == 1


class TestWhatScales:
    """A schedule twice as long: what is in epochs of the schedule doubles, and nothing else changes."""

    KEPT = (  # in epochs, and none of the schedule's
        "epochs", "schedule_epochs", "optimizer.first_batches.epochs", "evaluation.every",
        "evaluation.checkpoint_every", "objective.prior_information.every_steps",
    )  # fmt: skip

    def leaves(self, value, name=""):
        if isinstance(value, dict):
            for key, item in value.items():
                yield from self.leaves(item, f"{name}.{key}" if name else str(key))
        else:
            yield name, value

    def test_every_setting_that_is_epochs_but_those_named(self):
        guard = {"quantity": "loss", "above": 1, "from_epoch": 10, "until_epoch": 20, "every": 5, "window": 7}
        recipe = load_recipe("ternary_v5_5", overrides={"guards": {"mine": guard}})
        before = dict(self.leaves(recipe.model_dump(exclude={"optimizer": {"learning_rate": {"steps"}}})))
        after = dict(self.leaves(recipe.scaled_by(2.0)))
        changed = {name for name in before if before[name] != after[name]}
        for name in changed:
            value = before[name]
            assert after[name] == (tuple(2 * each for each in value) if isinstance(value, tuple) else 2 * value)
        words = re.compile(r"epoch|milestones|period|every|window")
        in_epochs = {name for name in before if before[name] and words.search(name) and name not in self.KEPT}
        assert changed == in_epochs
        assert recipe.scaled_by(2.0)["optimizer"]["learning_rate"]["steps"] == {
            2 * epoch: rate for epoch, rate in recipe.optimizer.learning_rate.steps.items()
        }
