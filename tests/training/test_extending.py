"""What another package adds without a file of this one edited: the examples of docs/tutorials/extend.md, and where each
is seen."""

from __future__ import annotations

import functools
import hashlib
import json
import operator
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import ternary_vae
from ternary_vae.acceleration.fleet import Fleet
from ternary_vae.errors import UserError
from ternary_vae.experiments.results import measured_values
from ternary_vae.extensions import load_extensions
from ternary_vae.model import STRATEGIES
from ternary_vae.objective import TERMS, ForwardPass, Term, register_term, terms
from ternary_vae.operations import all_operations
from ternary_vae.recipe import ACTIONS, QUANTITIES, load_recipe
from ternary_vae.reports.measurements import Measurements
from ternary_vae.reports.page_data import page_data
from ternary_vae.resolution.figures import MEASURES
from ternary_vae.storage.checkpoints import load_model
from ternary_vae.training import guards
from ternary_vae.training.epoch import Trainer
from ternary_vae.training.guards import register_action, register_quantity

TABLES = (guards._quantities, guards._actions, STRATEGIES, MEASURES)
PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "extend.md"


@pytest.fixture
def nothing_registered(monkeypatch):
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(terms, "_registered", {})
    before = {id(known): dict(known) for known in TABLES}
    yield
    for known in TABLES:
        known.clear()
        known.update(before[id(known)])


@pytest.fixture
def code_length(nothing_registered):
    def value(forward: ForwardPass) -> torch.Tensor:
        return forward.posteriors.mu_a.square().sum(dim=-1).mean(dim=-1)

    return register_term(Term("code_length", value))


EXTRA = {"objective__extra": {"code_length": 0.5}, "data__train_share": 0.03}


class TestTerm:
    def test_in_the_log_on_tensorboard_and_on_the_page(self, code_length, plans_recipe, quick_train, tmp_path):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        directory = quick_train(plans_recipe(epochs=2, **EXTRA), tmp_path / "run").directory
        logged = [row["terms"]["code_length"] for row in directory.metrics()]
        assert all(value > 0 for value in logged)
        board = EventAccumulator(str(directory.tensorboard)).Reload()
        assert [event.value for event in board.Scalars("terms/code_length")] == pytest.approx(logged)
        rows = directory.metrics()
        measured = Measurements(directory.recipe(), 1, 2, {}, {}, {}, directory.path, metrics=rows)
        data = page_data(measured, None)
        assert data["terms"][:3] == ["loss", "reconstruction_a", "reconstruction_b"]
        assert data["metrics"]["terms.code_length"] == pytest.approx(logged, rel=1e-5)

    def test_its_name_may_have_dots(self, nothing_registered, plans_recipe):
        register_term(Term("lab.code.length", lambda forward: forward.posteriors.mu_a.square().mean()))
        recipe = plans_recipe(objective__extra={"lab.code.length": 0.5}, data__train_share=0.03)
        row = Trainer(recipe).train_epoch() | {"epoch": 1}
        data = page_data(Measurements(recipe, 1, 1, {}, {}, {}, Path("run"), metrics=[row]), None)
        assert "lab.code.length" in data["terms"]
        assert data["metrics"]["terms.lab.code.length"] == [row["terms"]["lab.code.length"]]

    def test_weighs_in_the_loss_and_in_the_gradient(self, code_length, plans_recipe):
        with_it, without = (Trainer(plans_recipe(objective__extra={"code_length": weight})) for weight in (0.5, 0.0))
        losses = []
        for trainer in (with_it, without):
            batch, steps = trainer.plan_epoch().batches[0], trainer.steps()
            losses.append(steps.step(batch, steps.draw(batch, with_prior=False)))
        added = losses[0]["loss"] - losses[1]["loss"]
        assert added.item() == pytest.approx(0.5 * losses[0]["code_length"].item(), rel=1e-4)
        assert "code_length" not in losses[1]  # a weight of 0 leaves it out
        encoders = [trainer.model.encoder_A.fc_mu.weight for trainer in (with_it, without)]
        assert not torch.equal(*encoders)

    def test_of_several_runs_at_once(self, code_length, plans_recipe):
        recipes = [plans_recipe("ternary_v5_5", seed=seed, optimizer__batch_size=64, **EXTRA) for seed in (1, 2)]
        fleet = Fleet([Trainer(recipe) for recipe in recipes])
        together, alone = fleet.train_epoch(), [Trainer(recipe).train_epoch() for recipe in recipes]
        assert len(fleet._stacks) == 1
        for row, expected in zip(together, alone):
            assert row["terms"]["code_length"] == pytest.approx(expected["terms"]["code_length"], rel=1e-3)

    def test_on_prior_draws_it_is_due_when_they_are(self, nothing_registered, plans_recipe):
        """Averaged over the steps in which it is due, every third one."""
        register_term(
            Term("one", lambda forward: forward.answers["A"].prior_probability.sum(dim=0).mean(), on_prior_draws=True)
        )
        changes = {"prior_information__weight": 0.0, "prior_information__entropy_weight": 0.0, "recognition": 0.0}
        changes |= {"extra": {"one": 2.0}, "prior_information__every_steps": 3}
        changes = {f"objective__{name}": value for name, value in changes.items()}
        trainer = Trainer(plans_recipe(**changes, optimizer__first_batches__epochs=0))
        row = trainer.train_epoch()
        assert trainer.plan.with_prior[:4] == (True, False, False, True)
        assert row["terms"]["one"] == pytest.approx(1)

    def test_due_in_some_steps_it_is_averaged_over_these(self, nothing_registered, plans_recipe):
        """Alone and with another run; one that is never due has no value."""
        total = functools.partial(torch.sum, dim=(-2, -1))  # one number a run
        register_term(
            Term("some", lambda forward: 0 * total(forward.x) + 3, is_due=lambda forward: forward.x.shape[-2] < 512)
        )
        register_term(Term("none", lambda forward: total(forward.x), is_due=lambda forward: False))
        changes = {"objective__extra": {"some": 2.0, "none": 1.0}, "optimizer__first_batches__epochs": 0}
        trainers = [Trainer(plans_recipe(**changes, seed=seed)) for seed in (1, 2, 3)]
        for row in (trainers[0].train_epoch(), *Fleet(trainers[1:]).train_epoch()):
            assert (row["terms"]["some"], row["terms"]["none"]) == (3, None)
        assert [len(batch) for batch in trainers[0].plan.batches][-2:] == [512, 432]

    @pytest.mark.parametrize(
        ("value", "runs", "says"),
        [
            (lambda forward: forward.x.sum(dim=-1), 1, r"of shape \(\), .*got shape \(512,\)"),
            (lambda forward: forward.x.mean(), 2, r"of shape \(2,\), .*got shape \(\)"),
            (lambda forward: 3.0, 1, r"of shape \(\), .*got a float"),
            (lambda forward: np.float64(3), 1, r"of shape \(\), .*got a float64"),
        ],
    )
    def test_what_is_not_one_number_a_run_is_told_with_its_name(
        self, value, runs, says, nothing_registered, plans_recipe
    ):
        register_term(Term("mine", value))
        changes = {"objective__extra": {"mine": 1.0}, "optimizer__first_batches__epochs": 0}
        trainers = [Trainer(plans_recipe(**changes, seed=seed)) for seed in range(runs)]
        with pytest.raises(UserError, match=f"term 'mine': expected a tensor {says}; sum or average"):
            Fleet(trainers).train_epoch() if runs > 1 else trainers[0].train_epoch()

    def test_one_that_nobody_has_registered(self, code_length, plans_recipe, quick_train, tmp_path):
        """Nothing is written, and the nearest is named."""
        with pytest.raises(UserError, match=r"objective\.extra\.code_lenght: unknown term; did you mean 'code_length'"):
            quick_train(plans_recipe(objective__extra={"code_lenght": 1.0}), tmp_path / "run")
        assert not (tmp_path / "run").exists()

    @pytest.mark.parametrize("name", ["loss", *(term.name for term in TERMS)])
    def test_a_name_of_the_package_is_taken(self, name, nothing_registered):
        with pytest.raises(ValueError, match="choose another name"):
            register_term(Term(name, lambda forward: forward.x.sum()))

    def test_a_recipe_without_any_has_the_fingerprint_of_before(self):
        """A run of an older version goes on, and is known again."""
        recipe = load_recipe("resolution")
        content = recipe.model_dump(mode="json", exclude={"seed", "description", "epochs", "cache"})
        assert content["objective"].pop("extra") == {}
        assert content.pop("space") == {"values": 3, "inputs": 2}
        later = {"data.epoch_operations": None, "data.skewed_share": 0.0, "data.skewed_delay_epochs": 0,
                 "model.latent_dimensions": None, "model.width": None, "model.decoder_a_width": 1.0,
                 "evaluation.sample": None, "beta.delay_epochs": 0, "beta.waiting_share": 0.0,
                 "objective.translation_error": 0.0,
                 "objective.prior_information.moment_weight": 0.0,
                 "objective.prior_information.moment_delay_epochs": 0}  # fmt: skip
        for path, unused in later.items():
            *sections, name = path.split(".")
            assert functools.reduce(operator.getitem, sections, content).pop(name) == unused
        expected = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
        assert recipe.fingerprint() == expected
        assert load_recipe(overrides={"objective.extra": {"code_length": 0.1}}).fingerprint() != expected


class TestGuard:
    RULE = {"quantity": "extra.lambda_gap", "above": 0.0, "actions": ["extra.slower"], "limit": 1}

    @pytest.fixture
    def lambda_gap(self, nothing_registered):
        register_quantity("lambda_gap", lambda row, history, guard: abs(row["lambda1"] - row["lambda2"]) + len(history))
        register_action("slower", lambda acted, guard: acted.multiply("learning_rate_factor", 1 / guard.amount))

    def test_fires_is_logged_and_acts(self, lambda_gap, plans_recipe, quick_train, tmp_path):
        recipe = plans_recipe(epochs=4, guards__mine=self.RULE | {"from_epoch": 2}, statenet__enabled=False)
        directory = quick_train(recipe, tmp_path / "run").directory
        (event,) = directory.events()
        assert (event["name"], event["quantity"], event["epoch"]) == ("mine", "extra.lambda_gap", 2)
        assert event["value"] >= 1
        rates = [row["learning_rate"] for row in directory.metrics()]
        assert rates[3] == pytest.approx(rates[2] / 1.2, rel=1e-3)  # the epoch after the next

    @pytest.mark.parametrize("number", [np.int64, torch.tensor])
    def test_a_number_of_another_library_is_logged(self, number, lambda_gap, plans_recipe, quick_train, tmp_path):
        register_quantity("lambda_gap", lambda row, history, guard: number(3))
        directory = quick_train(plans_recipe(epochs=1, guards__mine=self.RULE), tmp_path / "run").directory
        assert [event["value"] for event in directory.events()] == [3.0]

    def test_one_that_nobody_has_registered(self, lambda_gap, plans_recipe, quick_train, tmp_path):
        for change in ({"quantity": "extra.lambda_gab"}, {"actions": ["report", "extra.slow"]}):
            with pytest.raises(UserError, match=r"guards\.mine\.\w+: unknown 'extra\.\w+'; did you mean 'extra\.\w+'"):
                quick_train(plans_recipe(guards__mine=self.RULE | change), tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_a_misspelt_one_of_the_package_is_found_on_reading(self):
        with pytest.raises(UserError, match=r"guards\.mine\.quantity: did you mean 'larger_share'"):
            load_recipe(overrides={"guards.mine": self.RULE | {"quantity": "larger_shares"}})

    def test_every_name_that_a_recipe_may_have_is_there(self):
        assert (set(QUANTITIES), set(ACTIONS)) == (set(guards._quantities), set(guards._actions))


class TestInstalledPackage:
    """What it names as an entry point is loaded, in whatever process trains."""

    @pytest.fixture
    def package(self, nothing_registered, tmp_path, monkeypatch):
        """A function: installs a module of this text."""
        load_extensions.cache_clear()

        def install(text):
            (tmp_path / "short_codes.py").write_text(text)
            metadata = tmp_path / "short_codes-1.0.dist-info"
            metadata.mkdir()
            (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: short-codes\nVersion: 1.0\n")
            (metadata / "entry_points.txt").write_text("[ternary_vae.extensions]\nshort = short_codes\n")
            monkeypatch.syspath_prepend(tmp_path)

        yield install
        load_extensions.cache_clear()
        sys.modules.pop("short_codes", None)

    def test_its_term_is_known(self, package, plans_recipe):
        package(
            "from ternary_vae.objective import Term, register_term\n"
            "register_term(Term('short', lambda forward: forward.posteriors.mu_a.square().mean()))\n"
        )
        row = Trainer(plans_recipe(objective__extra={"short": 0.1}, data__train_share=0.03)).train_epoch()
        assert row["terms"]["short"] > 0

    def test_one_that_cannot_be_loaded_is_one_line(self, package, plans_recipe):
        package("import nothing_of_this_name\n")
        with pytest.raises(UserError, match=r"extension 'short' \(short_codes\) cannot be loaded: ModuleNotFoundError"):
            Trainer(plans_recipe())


class TestDocumented:
    """docs/tutorials/extend.md as it stands, in a directory of its own and with short epochs."""

    @pytest.fixture
    def outcomes(self, nothing_registered, plans_recipe, quick_train, tmp_path, monkeypatch):
        """A function: what the runs of the examples of a section left behind."""

        def load(*, epochs, overrides=()):
            return plans_recipe(epochs=epochs, data__train_share=0.03, **dict(overrides))

        def run(title):
            monkeypatch.setattr(ternary_vae, "load_recipe", load)
            monkeypatch.setattr(ternary_vae, "train", lambda recipe, place, **_: quick_train(recipe, tmp_path / place))
            section = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"), re.S | re.M)[1]
            names = {}
            for code in re.findall(r"```{code-cell}\n(.*?)```", section, re.S):
                exec(compile(code, str(PAGE), "exec"), names)
            return names["outcome"].directory if "outcome" in names else None

        return run

    def test_a_term(self, outcomes):
        assert all(row["terms"]["code_length"] > 0 for row in outcomes("A term of the objective").metrics())

    def test_a_guard(self, outcomes):
        (event,) = outcomes("A guard").events()
        assert (event["name"], event["quantity"]) == ("one_is_ahead", "extra.lead")
        assert event["actions"] == ["extra.calm", "report"]

    def test_a_strategy_and_a_measure_of_it(self, outcomes):
        directory = outcomes("An ensemble strategy")
        (row,) = directory.metrics()
        model, _ = load_model(directory.checkpoint("latest"))
        tables = all_operations()
        exact = (model.ensemble_reconstruct(tables, "surer") == tables).all(dim=1).float().mean().item()
        assert row["exact_match_surer"] == pytest.approx(exact, abs=1e-3)
        outcomes("A measure")
        assert measured_values(directory, [row], [1])[1]["exact_match_surer"] == row["exact_match_surer"]
        few = SimpleNamespace(complementary_coverage=SimpleNamespace(errors_a_fewer=7))
        assert MEASURES["fewer_errors_a"].coupled(few) == 7
