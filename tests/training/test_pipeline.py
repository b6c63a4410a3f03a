"""One epoch is trained while the one before is measured: what that changes, and what it must not."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from functools import partial

import pytest
import torch

from ternary_vae.acceleration.fleet import Fleet
from ternary_vae.errors import UserError
from ternary_vae.storage.checkpoints import load_checkpoint, load_model, model_of, save_checkpoint
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.training import epoch as training_epoch
from ternary_vae.training.epoch import PendingUpdate, Trainer
from ternary_vae.training.evaluation import evaluate
from ternary_vae.training.guards import Interventions


@pytest.fixture(autouse=True)
def _second_thread(_three_epochs):
    """Two threads, so that the second finishes epochs; the run of `finished_run` was trained before, by one alone."""
    torch.set_num_threads(2)


def test_by_one_thing_after_another(finished_run, small_recipe):
    """The same run in a plain loop: epoch N + 1 is trained before epoch N's measurement is taken in."""
    recipe = small_recipe(epochs=3)
    trainer, before = Trainer(recipe), None
    for row in RunDirectory(finished_run).metrics():
        (trained,) = Fleet([trainer]).train_epoch()
        if before is not None:
            trainer.take_measurement(before)
        model = model_of(trainer.checkpoint())
        before = evaluate(model, recipe, trainer.epochs_completed)
        assert row["terms"] == trained["terms"]
        assert row["coverage"] == before["coverage"]
    weights = load_checkpoint(RunDirectory(finished_run).checkpoint(3)).model
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("slow", ["training", "measuring"])
def test_the_same_bits_whichever_thread_is_slower(slow, finished_run, small_recipe, quick_train, tmp_path, monkeypatch):
    def late(function):
        def call(*arguments):
            time.sleep(0.2)
            return function(*arguments)

        return call

    if slow == "training":
        monkeypatch.setattr(Trainer, "train_epoch", late(Trainer.train_epoch))
    else:
        monkeypatch.setattr(training_epoch, "evaluate", late(evaluate))
    quick_train(small_recipe(epochs=3), tmp_path / "run")
    for name in ("latest", "best", 2, 3):
        files = [RunDirectory(place).checkpoint(name) for place in (finished_run, tmp_path / "run")]
        assert files[0].read_bytes() == files[1].read_bytes(), name


def test_an_epoch_is_measured_while_the_next_is_trained(small_recipe, quick_train, tmp_path, monkeypatch):
    """The measurement waits until training has gone on, and training until the measurement has begun."""
    measuring, training, threads = threading.Event(), threading.Event(), []
    train_epoch = Trainer.train_epoch

    def measured(model, recipe, epoch, run_all):
        threads.append((threading.current_thread(), torch.get_num_threads()))
        measuring.set()
        assert epoch == 2 or training.wait()
        return evaluate(model, recipe, epoch, run_all)

    def trained(trainer, *how):
        if trainer.epochs_completed == 1:
            training.set()
            assert measuring.wait()
        return train_epoch(trainer, *how)

    monkeypatch.setattr(training_epoch, "evaluate", measured)
    monkeypatch.setattr(Trainer, "train_epoch", trained)
    assert quick_train(small_recipe(epochs=2), tmp_path / "run").status == "completed"
    assert [cores for _, cores in threads] == [1, 1]
    assert all(thread is not threading.main_thread() for thread, _ in threads)


def test_whoever_waits_for_a_measurement_helps_with_it(
    finished_run, small_recipe, quick_train, tmp_path, monkeypatch, rows_of
):
    """Its first part takes until the caller's thread has done all others, on one core and to the same bits."""
    done, helpers = threading.Event(), []

    def measured(model, recipe, epoch, run_all):
        def slow_first(tasks, device):
            left = {"parts": len(tasks) - 1}

            def helped(task):
                helpers.append((threading.current_thread(), torch.get_num_threads()))
                left["parts"] -= 1
                result = task()
                if not left["parts"]:
                    done.set()
                return result

            def first(task):
                assert done.wait()
                done.clear()
                return task()

            wrap = [first] + [helped] * (len(tasks) - 1)
            return run_all({name: partial(how, task) for how, (name, task) in zip(wrap, tasks.items())}, device)

        return evaluate(model, recipe, epoch, slow_first)

    monkeypatch.setattr(training_epoch, "evaluate", measured)
    quick_train(small_recipe(epochs=3), tmp_path / "run")
    assert helpers == [(threading.main_thread(), 1)] * 9
    assert rows_of(tmp_path / "run") == rows_of(finished_run)


def test_a_guard_acts_from_the_epoch_after_the_next(small_recipe, quick_train, tmp_path):
    guard = {"quantity": "exact_match_a", "below": 2.0, "from_epoch": 2, "limit": 1, "actions": ["raise_lambda1"]}
    changes = {"guards__always": guard, "statenet__enabled": False}
    outcome = quick_train(small_recipe(epochs=5, **changes), tmp_path / "run")
    rows = outcome.directory.metrics()
    assert [row["guard_events"] for row in rows] == [0, 1, 1, 1, 1]
    assert [event["epoch"] for event in outcome.directory.events()] == [2]
    lambda1 = [row["lambda1"] for row in rows]
    assert lambda1 == [lambda1[0]] * 3 + [pytest.approx(lambda1[0] + 0.05)] * 2


class TestPending:
    def test_a_checkpoint_holds_what_its_epoch_found(self, finished_run):
        checkpoint = load_checkpoint(RunDirectory(finished_run).checkpoint(2))
        found = PendingUpdate.of(checkpoint)
        model, recipe = load_model(checkpoint.path)[0], checkpoint.recipe
        again = evaluate(model, recipe, 2)
        assert found.row == again
        assert found.interventions == Interventions(**checkpoint.state["interventions"])  # none fired

    def test_one_from_before_there_was_anything_pending(self, finished_run, quick_resume):
        """It goes on, and what it holds can be measured."""
        latest = RunDirectory(finished_run).checkpoint("latest")
        checkpoint = load_checkpoint(latest)
        state = {name: value for name, value in checkpoint.state.items() if name != "pending"}
        save_checkpoint(latest, replace(checkpoint, state=state))
        model, old = load_model(latest)
        assert PendingUpdate.of(old) is None
        assert evaluate(model, old.recipe, 3)["coverage"] == RunDirectory(finished_run).metrics()[-1]["coverage"]
        assert quick_resume(finished_run, epochs=5).epochs_completed == 5

    @pytest.mark.parametrize("pending", [{}, {"row": {}, "interventions": {}}, {"row": None, "interventions": 3}, [1]])
    def test_a_damaged_one_is_refused_in_one_line(self, pending, finished_run, quick_resume):
        latest = RunDirectory(finished_run).checkpoint("latest")
        checkpoint = load_checkpoint(latest)
        training = {name: tensor for name, tensor in checkpoint.training.items() if not name.startswith("pending.")}
        save_checkpoint(latest, replace(checkpoint, state=checkpoint.state | {"pending": pending}, training=training))
        with pytest.raises(UserError, match="pending measurement is damaged"):
            quick_resume(finished_run, epochs=4)


def test_what_goes_wrong_in_the_second_thread_ends_the_run(small_recipe, quick_train, quick_resume, tmp_path, rows_of):
    """It surfaces in the caller's thread, and what was written stays good to go on from."""

    def fails(model, recipe, epoch, run_all):
        if epoch == 2:
            raise MemoryError("no memory to measure with")
        return evaluate(model, recipe, epoch, run_all)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_epoch, "evaluate", fails)
        with pytest.raises(MemoryError, match="to measure with"):
            quick_train(small_recipe(epochs=3), tmp_path / "run")
    directory = RunDirectory(tmp_path / "run")
    assert directory.facts()["status"] == "failed"
    assert [row["epoch"] for row in directory.metrics()] == [1]
    assert load_checkpoint(directory.checkpoint("latest")).epoch == 1
    assert quick_resume(tmp_path / "run").status == "completed"
