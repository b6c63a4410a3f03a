"""Several runs trained at once, each in an ordinary directory of its own."""

from __future__ import annotations

import signal
import time

import pytest
import torch

from ternary_vae.acceleration.stacked import Stack
from ternary_vae.errors import UserError
from ternary_vae.storage.checkpoints import load_model
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.training import epoch as training_epoch
from ternary_vae.training import run as training_run
from ternary_vae.training.epoch import Trainer
from ternary_vae.training.loop import train_together
from ternary_vae.training.progress import Silent

FEW = {"data__train_share": 0.19, "optimizer__batch_size": 64}


@pytest.fixture
def recipes(small_recipe):
    """Three arms of the plan's, of one shape: different seeds, ρ and controllers, two epochs long."""
    return [
        small_recipe("ternary_v5_5", epochs=2, seed=1, **FEW),
        small_recipe("ternary_v5_5", epochs=2, seed=2, phases__phase_1__rho=0.3, **FEW),
        small_recipe("ternary_v5_5_adaptive_rho", epochs=2, seed=3, **FEW),
    ]


@pytest.fixture
def stacks(monkeypatch):
    """How many runs each stack of a test holds."""
    made, stack = [], Stack.__init__

    def counted(self, models, optimizers):
        made.append(len(models))
        stack(self, models, optimizers)

    monkeypatch.setattr(Stack, "__init__", counted)
    return made


def together(recipes, tmp_path, **options):
    places = [tmp_path / str(number) for number in range(len(recipes))]
    return train_together(recipes, places, device="cpu", **{"benchmark_milestones": False, **options})


def test_each_run_is_as_if_alone(recipes, stacks, quick_train, quick_resume, tmp_path, rows_of):
    """The same files and the same rows, to the rounding of sums: two epochs of ten steps. Each can be gone on with
    alone."""
    started = time.monotonic()
    outcomes = together(recipes, tmp_path)
    assert sum(outcome.seconds for outcome in outcomes) <= time.monotonic() - started, "each has its share of the time"
    for outcome in outcomes:
        assert sum(row["seconds_training"] for row in outcome.directory.metrics()) <= outcome.seconds
    assert [(outcome.status, outcome.epochs_completed) for outcome in outcomes] == [("completed", 2)] * 3
    assert stacks == [3]
    for number, recipe in enumerate(recipes):
        here, alone = tmp_path / str(number), tmp_path / "alone" / str(number)
        quick_train(recipe, alone)
        files = [
            {path.relative_to(place) for path in place.rglob("*") if path.is_file() and "tensorboard" not in path.parts}
            for place in (here, alone)
        ]
        assert files[0] == files[1]
        assert RunDirectory(here).facts()["status"] == "completed"
        for row, expected in zip(rows_of(here), rows_of(alone), strict=True):
            assert row["terms"]["loss"] == pytest.approx(expected["terms"]["loss"], rel=1e-4)
            assert row["gradient_ratio"] == pytest.approx(expected["gradient_ratio"], rel=1e-2)
            assert row["exact_match_b"] == pytest.approx(expected["exact_match_b"], abs=2e-3)
        models = [load_model(RunDirectory(place).checkpoint("latest"))[0] for place in (here, alone)]
        for mine, theirs in zip(models[0].parameters(), models[1].parameters()):
            assert torch.linalg.vector_norm(mine - theirs) <= 1e-3 * torch.linalg.vector_norm(theirs)
    assert quick_resume(tmp_path / "1", epochs=3).epochs_completed == 3


class Stopper(Silent):
    """Asks for a stop when the first epoch is saved; on one core the second has not begun by then."""

    def epoch(self, row):
        if row["epoch"] == 1:
            signal.raise_signal(signal.SIGINT)


def test_stopped_they_go_on_to_the_same_bits(recipes, tmp_path, rows_of, state_of):
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    recipes = recipes[:2]
    together(recipes, straight)
    watchers = [Silent(), Stopper()]
    assert [outcome.status for outcome in together(recipes, stopped, progress=watchers)] == ["interrupted"] * 2
    for number in range(2):
        assert RunDirectory(stopped / str(number)).facts()["status"] == "interrupted"
        assert len(rows_of(stopped / str(number))) == 1
    assert [outcome.status for outcome in together(recipes, stopped)] == ["completed"] * 2
    for number in range(2):
        places = [RunDirectory(where / str(number)) for where in (straight, stopped)]
        assert rows_of(places[0].path) == rows_of(places[1].path)
        assert len({state_of(place.checkpoint("latest")) for place in places}) == 1
        assert [event["kind"] for event in places[1].events()] == ["interrupted", "resumed"]


def test_one_that_fails_leaves_the_others_alone(recipes, tmp_path, monkeypatch):
    """The first's directory is in use; the second diverges in its second epoch and has no guard against it."""
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "letter.txt").write_text("mine")
    recipes[1] = recipes[1].model_copy(update={"guards": {}})

    finish = Trainer.close_epoch

    def spoilt(trainer, means):
        if trainer.recipe is recipes[1] and trainer.epochs_completed == 1:
            means = {**means, "loss": float("nan")}
        return finish(trainer, means)

    monkeypatch.setattr(Trainer, "close_epoch", spoilt)
    outcomes = together(recipes, tmp_path)
    assert [outcome.status for outcome in outcomes] == ["failed", "failed", "completed"]
    assert "not empty" in str(outcomes[0].failure)
    assert "diverged in epoch 2" in str(outcomes[1].failure)
    assert (tmp_path / "0" / "letter.txt").read_text() == "mine"
    assert RunDirectory(tmp_path / "1").facts()["status"] == "failed"
    assert len(RunDirectory(tmp_path / "1").metrics()) == 1


def test_one_that_finds_no_memory_leaves_the_others_alone(recipes, tmp_path, monkeypatch):
    """On a GPU, while its second epoch is measured."""

    def measured(model, recipe, epoch, run_all):
        if (recipe.seed, epoch) == (recipes[1].seed, 2):
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return evaluate(model, recipe, epoch, run_all)

    evaluate = training_epoch.evaluate
    monkeypatch.setattr(training_epoch, "evaluate", measured)
    outcomes = together(recipes, tmp_path)
    assert [outcome.status for outcome in outcomes] == ["completed", "failed", "completed"]
    assert "memory is used up" in str(outcomes[1].failure)


def test_runs_of_different_lengths_and_milestones(recipes, tmp_path, monkeypatch):
    """A run that is over is not waited for, and milestones are benchmarked as they are reached."""
    measured = []

    def measure(checkpoint, **_):
        measured.append((checkpoint.recipe.seed, checkpoint.epoch))
        return None, None

    monkeypatch.setattr(training_run, "measure_both", measure)
    monkeypatch.setattr(training_run, "write_record", lambda path, _: path.parent.mkdir(exist_ok=True) or path.touch())
    longer, shorter = (recipe.model_copy(update={"epochs": n}) for recipe, n in zip(recipes, (3, 1)))
    outcomes = together([longer, shorter], tmp_path, benchmark_milestones=True)
    assert [outcome.epochs_completed for outcome in outcomes] == [3, 1]
    assert [len(RunDirectory(tmp_path / str(number)).metrics()) for number in range(2)] == [3, 1]
    assert measured == [(2, 1), (1, 2), (1, 3)]


class TestBadInput:
    def test_another_run_in_the_directory(self, recipes, tmp_path):
        together(recipes[:1], tmp_path)
        (outcome,) = together([recipes[1]], tmp_path)
        assert outcome.status == "failed"
        assert "another recipe, seed or length" in str(outcome.failure)

    def test_one_directory_twice(self, recipes, tmp_path):
        first, second = train_together(recipes[:2], [tmp_path / "run"] * 2, device="cpu", benchmark_milestones=False)
        assert (first.status, second.status) == ("completed", "failed")

    def test_two_precisions(self, recipes, small_recipe, tmp_path):
        other = small_recipe("ternary_v5_5", optimizer__matrix_products="medium", **FEW)
        with pytest.raises(UserError, match="one precision"):
            together([recipes[0], other], tmp_path)

    def test_too_few_directories(self, recipes, tmp_path):
        with pytest.raises(ValueError, match="3 recipes, 1 directories"):
            train_together(recipes, [tmp_path])
