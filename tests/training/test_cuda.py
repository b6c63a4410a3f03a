"""On a CUDA device: nothing in a training step waits for the host, outcomes agree with the CPU, runs together with runs
alone, and the same seed gives the same bits, resumed or not."""

from __future__ import annotations

import pytest
import torch

from ternary_vae.acceleration import recorded as recording
from ternary_vae.acceleration.fleet import Fleet, StackedSteps
from ternary_vae.objective.information import histogram_entropy
from ternary_vae.recipe import load_recipe
from ternary_vae.resolution.measure import measure_isolated
from ternary_vae.storage.checkpoints import load_checkpoint
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.training import loop
from ternary_vae.training.epoch import Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

SHORT = {"optimizer.batch_size": 4096, "evaluation.full_coverage_draws": None}
FEW = {
    "space__values": 3, "space__inputs": 2, "data__train_share": 0.02, "data__validation_share": 0.1,
    "optimizer__batch_size": 64, "objective__prior_information__draws": 64,
    "objective__prior_information__every_steps": 2,
}  # fmt: skip


@pytest.fixture
def waiting_forbidden():
    """A function: what is done under it may not wait for the device."""

    def forbidden(what, *given, **named):
        torch.cuda.set_sync_debug_mode("error")
        try:
            return what(*given, **named)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    return forbidden


@pytest.mark.parametrize("recipe_name", ["resolution", "ternary_v5_5"])
def test_no_training_step_waits_for_the_host(recipe_name, waiting_forbidden):
    trainer = Trainer(load_recipe(recipe_name, overrides=SHORT), "cuda")
    trainer.train_epoch()  # the first steps allocate and choose kernels
    batch, steps = trainer.plan_epoch().batches[0], trainer.steps()
    for with_prior in {False, recipe_name == "resolution"}:
        noise = waiting_forbidden(steps.draw, batch, with_prior)
        waiting_forbidden(steps.step, batch, noise)


@pytest.mark.parametrize("recipe_name", ["resolution", "ternary_v5_5"])
def test_no_step_of_several_runs_waits_for_the_host(recipe_name, waiting_forbidden, monkeypatch):
    fleet = Fleet([Trainer(load_recipe(recipe_name, overrides=SHORT, seed=seed), "cuda") for seed in range(3)])
    fleet.train_epoch()
    monkeypatch.setattr(recording, "Replay", lambda steps: steps.add_step)  # nothing recorded: a record cannot wait
    step, watched = StackedSteps.step, []

    def in_watch(self, batches, noise):
        if not watched:  # the first step of an epoch copies learning rates to the device
            watched.append(False)
            return step(self, batches, noise)
        watched.append(True)
        return waiting_forbidden(step, self, batches, noise)

    monkeypatch.setattr(StackedSteps, "step", in_watch)
    fleet.train_epoch()
    assert any(watched)


@pytest.mark.parametrize("name", ["resolution", "ternary_v5_5"])
@pytest.mark.parametrize("runs", [1, 3])
def test_an_epoch_recorded_is_an_epoch(name, runs, small_recipe, monkeypatch):
    """To the bit, with as many records an epoch as there are kinds of step: with and without prior information."""
    few = FEW | {"data__train_share": 0.1, "optimizer__first_batches__size": 32}
    made, record = [], recording.recorded
    monkeypatch.setattr(recording, "recorded", lambda *given: made.append(given) or record(*given))
    recipes = [small_recipe(name, seed=seed, **few) for seed in range(runs)]
    found = []
    for recorded in (True, False):
        monkeypatch.setattr(recording, "pays_recorded", lambda device, recorded=recorded: recorded)
        fleet = Fleet([Trainer(recipe, "cuda") for recipe in recipes])
        rows = [fleet.train_epoch() for _ in range(3)]
        weights = [parameter.detach() for one in fleet.trainers for parameter in one.averaged.parameters()]
        found.append((rows, weights))
    assert len(made) == 3 * (2 if name == "resolution" else 1)
    (rows, weights), (plain_rows, plain_weights) = found
    assert rows == plain_rows
    assert all(map(torch.equal, weights, plain_weights))


@pytest.mark.parametrize("with_prior", [False, True])
def test_a_step_of_the_default_recipe_can_be_recorded(with_prior):
    """As it is, at its full size: a copy from the host or an answer to it would end the record."""
    trainer = Trainer(load_recipe("resolution", overrides={"evaluation.full_coverage_draws": None}), "cuda")
    batch, steps = trainer.plan_epoch().batches[0], trainer.steps()
    noise = steps.draw(batch, with_prior)
    steps.step(batch, noise)  # the first allocates, chooses kernels and copies learning rates to the device
    before = [parameter.detach().clone() for parameter in trainer.model.decoder_A.parameters()]
    terms = {}
    try:
        repeat = recording.recorded(lambda: terms.update(steps.step(batch, noise)), trainer.device)
        assert all(map(torch.equal, before, trainer.model.decoder_A.parameters()))  # nothing is done meanwhile
        repeat()
        assert ({"recognition_a", "recognition_b", "prior_entropy_a"} <= set(terms)) == with_prior
        assert {"best_of_two", "subspace_overlap"} <= set(terms)
        assert all(term.isfinite() for term in terms.values())
        assert not any(map(torch.equal, before, trainer.model.decoder_A.parameters()))
    finally:
        recording.release_records()


def test_losses_fall_as_on_the_cpu():
    recipe = load_recipe("resolution", overrides=SHORT)
    trainers = [Trainer(recipe, device) for device in ("cpu", "cuda")]
    rows = [[trainer.train_epoch()["terms"]["loss"] for _ in range(5)] for trainer in trainers]
    assert rows[1][-1] < rows[1][0]
    assert rows[1][-1] == pytest.approx(rows[0][-1], rel=0.2)


@pytest.mark.parametrize("name", ["resolution", "ternary_v5_5"])
def test_together_as_alone_to_the_rounding_of_sums(name, small_recipe):
    """Two epochs in double precision, where rounding tips no ReLU over."""
    torch.set_default_dtype(torch.float64)
    try:
        recipes = [small_recipe(name, seed=seed, optimizer__gradient_clip=1e6, **FEW) for seed in range(3)]
        alone, together = ([_in_double(Trainer(recipe, "cuda")) for recipe in recipes] for _ in range(2))
        fleet = Fleet(together)
        for _ in range(2):
            rows = fleet.train_epoch()
            assert len(fleet._stacks) == 1
            for row, trainer in zip(rows, alone):
                assert row["terms"]["loss"] == pytest.approx(trainer.train_epoch()["terms"]["loss"], rel=1e-7)
        for one, other in zip(alone, together):
            for mine, theirs in zip(one.averaged.parameters(), other.averaged.parameters()):
                torch.testing.assert_close(theirs, mine, rtol=1e-6, atol=1e-8)
            assert torch.equal(one.generator.get_state(), other.generator.get_state())
    finally:
        torch.set_default_dtype(torch.float32)


def _in_double(trainer):
    trainer.inputs = trainer.inputs.double()
    return trainer


def test_entropies_are_the_same_bits_every_time():
    """Counts in bins, which CUDA's atomic additions do in any order."""
    z = torch.randn(20_000, 16, generator=torch.Generator().manual_seed(1)).cuda()
    found = torch.stack([histogram_entropy(z) for _ in range(20)])
    assert (found == found[0]).all()


@pytest.mark.parametrize("name", ["resolution", "ternary_v5_5"])
def test_the_same_seed_gives_the_same_bits_resumed_or_not(name, small_recipe, rows_of, state_of, tmp_path):
    recipe = small_recipe(name, epochs=4, **FEW)
    for place in ("first", "again"):
        loop.train(recipe, tmp_path / place, device="cuda", benchmark_milestones=False)
    loop.train(recipe.model_copy(update={"epochs": 2}), tmp_path / "resumed", device="cuda", benchmark_milestones=False)
    loop.resume(tmp_path / "resumed", epochs=4, benchmark_milestones=False)
    assert rows_of(tmp_path / "first") == rows_of(tmp_path / "again") == rows_of(tmp_path / "resumed")
    first, again = (RunDirectory(tmp_path / place).checkpoint("latest") for place in ("first", "again"))
    assert state_of(first) == state_of(again)
    assert {RunDirectory(tmp_path / place).facts()["device"] for place in ("first", "resumed")} == {"cuda"}


def test_several_runs_give_the_same_bits_resumed_or_not(small_recipe, rows_of, tmp_path):
    recipes = [small_recipe("ternary_v5_5", epochs=3, seed=seed, **FEW) for seed in range(3)]
    for place in ("first", "again"):
        places = [tmp_path / place / str(recipe.seed) for recipe in recipes]
        outcomes = loop.train_together(recipes, places, device="cuda", benchmark_milestones=False)
        assert [outcome.status for outcome in outcomes] == ["completed"] * 3
    for recipe in recipes:
        first, again = (rows_of(tmp_path / place / str(recipe.seed)) for place in ("first", "again"))
        assert first == again
    loop.train(recipes[1], tmp_path / "alone", device="cuda", benchmark_milestones=False)
    for row, expected in zip(rows_of(tmp_path / "first/1"), rows_of(tmp_path / "alone"), strict=True):
        assert row["terms"]["loss"] == pytest.approx(expected["terms"]["loss"], rel=1e-3)


def test_a_run_is_measured_alike_here_and_on_the_cpu(small_recipe, tmp_path):
    """Milestone benchmarks included. On operations, of which rounding may tip one or two."""
    outcome = loop.train(small_recipe(epochs=3, **FEW), tmp_path / "run", device="cuda")
    assert outcome.status == "completed"
    latest = outcome.directory.checkpoint("latest")
    here, there = (measure_isolated(load_checkpoint(latest), device=device) for device in ("cuda", "cpu"))
    for side in ("vae_a", "vae_b"):
        mine, theirs = (getattr(record, side).reconstruction.exact_match_rate for record in (here, there))
        assert mine == pytest.approx(theirs, abs=3 / 19683)


@pytest.mark.parametrize(("first", "second"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_run_goes_on_on_the_other_device(first, second, small_recipe, tmp_path):
    recipe = small_recipe(epochs=2, **FEW)
    loop.train(recipe, tmp_path / "run", device=first, benchmark_milestones=False)
    outcome = loop.resume(tmp_path / "run", device=second, epochs=3, benchmark_milestones=False)
    assert outcome.epochs_completed == 3
    assert outcome.directory.facts()["device"] == second
