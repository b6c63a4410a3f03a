"""A loss or weights that are not finite: the run goes back, halves the learning rate and goes on, or it ends in one
line."""

from __future__ import annotations

import math

import pytest
import torch

from ternary_vae.errors import UserError
from ternary_vae.storage.checkpoints import load_model
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.training import schedules
from ternary_vae.training.epoch import Steps, Trainer


@pytest.fixture
def poison(monkeypatch):
    """A function: makes a weight not finite before given epochs, each time or once, or after an epoch's last step."""

    def arrange(epoch, value=math.nan, times=1, after_last_step=False):
        left = {"times": times}
        train_epoch, average = Trainer.train_epoch, Steps.average

        def spoil(trainer):
            left["times"] -= 1
            with torch.no_grad():
                trainer.model.decoder_B.fc_out.bias[4] = value

        def poisoned_epoch(trainer, *how):
            size = schedules.batch_size(trainer.recipe, trainer.epochs_completed)
            trainer.steps_left = -(-len(trainer.training_index) // size)
            if trainer.epochs_completed + 1 == epoch and left["times"] > 0 and not after_last_step:
                spoil(trainer)
            return train_epoch(trainer, *how)

        def after_step(steps, number):
            average(steps, number)
            trainer = steps.trainer
            trainer.steps_left -= 1
            if (
                trainer.epochs_completed + 1 == epoch
                and left["times"] > 0
                and after_last_step
                and not trainer.steps_left
            ):
                spoil(trainer)

        monkeypatch.setattr(Trainer, "train_epoch", poisoned_epoch)
        monkeypatch.setattr(Steps, "average", after_step)

    return arrange


@pytest.mark.parametrize(
    ("value", "after_last_step"),
    [(math.nan, False), (math.inf, True)],
    ids=["not a number before the epoch", "infinite after its last step"],
)
def test_the_run_recovers(value, after_last_step, finished_run, small_recipe, quick_train, tmp_path, poison, rows_of):
    """Also from damage done by an epoch's last step, which no loss of that epoch has seen."""
    poison(2, value, after_last_step=after_last_step)
    outcome = quick_train(small_recipe(epochs=3), tmp_path / "run")
    assert outcome.status == "completed"
    rows, undisturbed = rows_of(tmp_path / "run"), rows_of(finished_run)
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert rows[0] == undisturbed[0]
    for row, other in zip(rows[1:], undisturbed[1:]):
        expected = other["learning_rate"] / 2
        corrected = 0.06 * expected  # by StateNet, at most 5% either way
        assert row["learning_rate"] == pytest.approx(expected, abs=corrected)
        assert row["guard_events"] == 1
        assert row["terms"]["loss"] is not None
    (event,) = [e for e in outcome.directory.events() if e["kind"] == "guard"]
    assert (event["name"], event["epoch"], event["value"]) == ("not_finite", 2, None)
    assert event["actions"] == ["restore"]
    assert "not finite" in event["message"]
    for name in ("latest", "best", 2, 3):
        load_model(outcome.directory.checkpoint(name))  # refuses weights that are not finite


def test_the_first_epoch_can_be_lost_too(small_recipe, quick_train, tmp_path, poison):
    poison(1)
    outcome = quick_train(small_recipe(epochs=2), tmp_path / "run")
    assert [row["epoch"] for row in outcome.directory.metrics()] == [1, 2]


def test_interrupted_after_recovery_it_resumes_to_the_same_bits(
    small_recipe, quick_train, quick_resume, tmp_path, poison, rows_of, stopper
):
    recipe = small_recipe(epochs=4)
    for name, options in (("straight", {}), ("stopped", {"progress": stopper(after=3)})):
        poison(2)
        quick_train(recipe, tmp_path / name, **options)
    assert quick_resume(tmp_path / "stopped").status == "completed"
    assert rows_of(tmp_path / "stopped") == rows_of(tmp_path / "straight")
    latest = [RunDirectory(tmp_path / name).checkpoint("latest").read_bytes() for name in ("straight", "stopped")]
    assert latest[0] == latest[1]


class TestWithoutAWayOut:
    def diverges(self, recipe, quick_train, place):
        with pytest.raises(UserError) as caught:
            quick_train(recipe, place)
        message = str(caught.value)
        assert "diverged in epoch 2" in message
        assert "saved up to epoch 1" in message
        directory = RunDirectory(place)
        assert message.endswith(f"with a lower learning rate, or measure {directory.checkpoint('best')}")
        assert directory.facts()["status"] == "failed"
        assert [row["epoch"] for row in directory.metrics()] == [1]
        for name in ("latest", "best"):
            assert load_model(directory.checkpoint(name))[1].epoch == 1
        return directory

    def test_no_guard_restores(self, small_recipe, quick_train, quick_resume, tmp_path, poison):
        poison(2)
        recipe = small_recipe(epochs=3, guards__not_finite__actions=["report"])
        self.diverges(recipe, quick_train, tmp_path / "run")
        assert quick_resume(tmp_path / "run").status == "completed"  # whatever it was, it is gone

    def test_a_best_checkpoint_is_named_only_where_there_is_one(self, small_recipe, quick_train, tmp_path, poison):
        poison(1)
        recipe = small_recipe(epochs=2, guards__not_finite__actions=["report"])
        with pytest.raises(UserError, match=r"diverged in epoch 1 .* with a lower learning rate$"):
            quick_train(recipe, tmp_path / "run")

    def test_the_guard_has_reached_its_limit(self, small_recipe, quick_train, tmp_path, poison):
        poison(2, times=100)
        directory = self.diverges(small_recipe(epochs=3), quick_train, tmp_path / "run")
        assert [e["name"] for e in directory.events()] == ["not_finite"] * 3

    def test_a_loss_that_overflows_by_itself(self, small_recipe, quick_train, tmp_path):
        """No injection: a learning rate of 10,000."""
        recipe = small_recipe(
            "ternary_v5_5", epochs=3, optimizer__learning_rate__steps={0: 1e4},
            optimizer__learning_rate__bounds=[1e-6, 1e5], guards__not_finite__actions=["report"],
        )  # fmt: skip
        with pytest.raises(UserError, match="diverged in epoch"):
            quick_train(recipe, tmp_path / "run")
