"""A run from its first epoch to its last: what it writes, that the same seed gives the same bits, and what it keeps."""

from __future__ import annotations

import gc
import itertools
import json
import math
import weakref
from dataclasses import replace

import pytest
import torch

from ternary_vae.acceleration import memory, recorded
from ternary_vae.acceleration.parallel import side_by_side
from ternary_vae.errors import UserError
from ternary_vae.limits import coverage_limit
from ternary_vae.model import STRATEGIES, DualVAE
from ternary_vae.objective import LOSS, TERMS
from ternary_vae.operations import all_operations
from ternary_vae.recipe import load_recipe, recipe_names
from ternary_vae.space import Space
from ternary_vae.storage import checkpoints
from ternary_vae.storage.checkpoints import load_checkpoint, load_model
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.training import epoch as training_epoch
from ternary_vae.training import evaluation, loop
from ternary_vae.training import run as training_run
from ternary_vae.training.epoch import EpochFinisher, Trainer, checkpoint_score
from ternary_vae.training.evaluation import evaluate, evaluated_keys
from ternary_vae.training.progress import Silent

ROW = {
    "epoch", "phase", "rho", "rho_target", "learning_rate", "temperature_a", "temperature_b", "beta_a", "beta_b",
    "lambda1", "lambda2", "lambda3", "gradient_norm_a", "gradient_norm_b", "gradient_ratio", "gate_open", "balance",
    "entropy_a", "entropy_b", "terms", "exact_match_a", "exact_match_b", "exact_match_best_of_two",
    "exact_match_voting", "exact_match_confidence_weighted", "exact_match_majority",
    "exact_match_product_of_experts", "exact_match_coupled_a",
    "exact_match_coupled_b", "coverage", "coverage_draws", "coverage_limit", "coverage_a", "coverage_b",
    "coverage_single_limit", "covered_all_a", "covered_all_b", "statenet", "guard_events", "seconds_training",
    "seconds_evaluation", "exact_under_noise_a", "exact_under_noise_b",
}  # fmt: skip
SHARES = [key for key in ROW if key.startswith("exact_")] + ["coverage", "coverage_a", "coverage_b"]


class Seen(Silent):
    """Remembers what the loop tells."""

    def __init__(self):
        self.rows, self.events, self.begun = [], [], []

    def start(self, recipe, epochs_completed, place, benchmarks):
        self.to_come = list(benchmarks)

    def benchmarking(self, epoch):
        self.begun.append((epoch, len(self.events)))

    def epoch(self, row):
        self.rows.append(row)

    def event(self, event):
        self.events.append(event)


def tensorboard_of(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(run / "tensorboard"))
    board.Reload()
    return board


class TestWhatARunWrites:
    def test_files(self, finished_run):
        names = {str(p.relative_to(finished_run)) for p in finished_run.rglob("*") if p.is_file()}
        boards = {name for name in names if name.startswith("tensorboard/")}
        assert len(boards) == 1
        assert names - boards == {
            "run.json", "recipe.yaml", "metrics.jsonl", "checkpoints/epoch_0.safetensors",
            "checkpoints/epoch_2.safetensors", "checkpoints/epoch_3.safetensors", "checkpoints/latest.safetensors",
            "checkpoints/best.safetensors",
        }  # fmt: skip

    def test_description(self, finished_run, small_recipe):
        directory, recipe = RunDirectory(finished_run), small_recipe(epochs=3)
        facts = directory.facts()
        assert (facts["recipe"], facts["seed"], facts["epochs"]) == ("resolution", 42, 3)
        assert (facts["status"], facts["device"]) == ("completed", "cpu")
        assert facts["fingerprint"] == recipe.fingerprint()
        assert facts["environment"]["torch"] == torch.__version__
        assert facts["seconds"] > 0
        assert facts["started_at"] <= facts["finished_at"]
        assert directory.recipe() == recipe

    def test_rows(self, finished_run):
        lines = (finished_run / "metrics.jsonl").read_text().splitlines()
        assert "NaN" not in "".join(lines)
        rows = [json.loads(line) for line in lines]
        assert [row["epoch"] for row in rows] == [1, 2, 3]
        for row in rows:
            assert set(row) >= ROW
            assert list(row["terms"]) == [LOSS, *(term.name for term in TERMS)]
            assert all(0 <= row[key] <= 1 for key in SHARES)
            assert row["coverage_draws"] == 2000
            assert row["coverage_limit"] == coverage_limit(2000, 3125)
            assert row["coverage_single_limit"] == coverage_limit(1000, 3125)
            assert row["exact_match_best_of_two"] >= max(row["exact_match_a"], row["exact_match_b"])
            assert row["exact_match_voting"] == row["exact_match_b"]
            assert max(row["coverage_a"], row["coverage_b"]) <= row["coverage"] <= row["coverage_a"] + row["coverage_b"]
            assert row["covered_all_a"] is None  # switched off in these small runs

    def test_terms_are_null_exactly_where_their_weight_is_zero(self, finished_run, small_recipe, quick_train, tmp_path):
        quick_train(small_recipe("ternary_v5_5", epochs=1), tmp_path / "plan")
        default = RunDirectory(finished_run).metrics()[-1]["terms"]
        plan = RunDirectory(tmp_path / "plan").metrics()[-1]["terms"]
        assert {name for name, value in plan.items() if value is None} == {
            "prior_information_a", "prior_information_b", "prior_entropy_a", "prior_entropy_b", "prior_moments_a",
            "prior_moments_b", "recognition_a", "recognition_b", "best_of_two", "subspace_overlap", "translation_error",
            "alignment",
        }  # fmt: skip
        objective = small_recipe().objective
        weights = {
            "output_entropy_b": objective.output_entropy_b, "repulsion_b": objective.repulsion_b,
            "entropy_alignment": objective.entropy_alignment, "alignment": objective.alignment,
            "translation_error": objective.translation_error,
            **dict.fromkeys(("prior_moments_a", "prior_moments_b"), objective.prior_information.moment_weight),
        }  # fmt: skip
        for name, value in default.items():
            assert (value is None) == (weights.get(name) == 0), name

    def test_training_gets_somewhere(self, finished_run):
        rows = RunDirectory(finished_run).metrics()
        assert rows[-1]["terms"]["reconstruction_b"] < rows[0]["terms"]["reconstruction_b"] - 0.3

    def test_tensorboard_holds_the_rows(self, finished_run):
        board = tensorboard_of(finished_run)
        rows = RunDirectory(finished_run).metrics()
        found = [(scalar.step, scalar.value) for scalar in board.Scalars("terms/loss")]
        assert found == [(row["epoch"], pytest.approx(row["terms"]["loss"], rel=1e-6)) for row in rows]
        assert {"exact_match_a", "coverage"} <= set(board.Tags()["scalars"])

    def test_tensorboard_holds_what_lies_deeper_and_progress_is_told_every_epoch(
        self, small_recipe, quick_train, tmp_path
    ):
        seen = Seen()
        outcome = quick_train(small_recipe("ternary_v5_5", epochs=2), tmp_path / "run", progress=seen)
        assert seen.rows == outcome.directory.metrics()
        assert (seen.to_come, seen.begun) == ([], [])  # without benchmarks there is none to wait for
        assert (outcome.status, outcome.epochs_completed) == ("completed", 2)
        found = [scalar.value for scalar in tensorboard_of(tmp_path / "run").Scalars("statenet/corrections/lambda1")]
        rows = RunDirectory(tmp_path / "run").metrics()
        assert found == pytest.approx([row["statenet"]["corrections"]["lambda1"] for row in rows], rel=1e-6)
        assert found[0] == 0 != found[1]  # there is no state before the first epoch

    def test_checkpoints_at_their_epochs(self, finished_run):
        directory = RunDirectory(finished_run)
        for epoch in (0, 2, 3):
            model, checkpoint = load_model(directory.checkpoint(epoch))
            assert (checkpoint.epoch, checkpoint.epochs_completed) == (epoch, epoch)
            rows = directory.metrics()
            assert model.permeability == (rows[epoch - 1]["rho"] if epoch else 0.0)
        latest = directory.checkpoint("latest").read_bytes()
        assert latest == directory.checkpoint(3).read_bytes()

    def test_a_checkpoint_measures_what_its_row_says(self, finished_run):
        directory = RunDirectory(finished_run)
        model, checkpoint = load_model(directory.checkpoint(2))
        row = directory.metrics()[1]
        assert {key: row[key] for key in SHARES} == {
            key: value for key, value in evaluate(model, checkpoint.recipe, 2).items() if key in SHARES
        }

    @pytest.mark.usefixtures("unchecked")  # it needs no log
    def test_every_tenth_epoch_and_every_milestone(self, small_recipe, tmp_path, monkeypatch):
        written = []
        monkeypatch.setattr(
            training_epoch, "save_checkpoint", lambda path, _, also: written.extend(p.stem for p in (*also, path))
        )
        milestones = [3, 120, 150, 200, 250, 300, 350, 400]
        trainer = Trainer(small_recipe(epochs=405, evaluation__milestones=milestones))
        row, state = {"exact_match_best_of_two": None}, trainer.checkpoint()
        finisher = EpochFinisher(trainer.model, RunDirectory(tmp_path), None, Silent(), side_by_side)
        for epoch in range(1, 406):
            finisher._save({**row, "epoch": epoch}, state)
        assert written.count("latest") == 405
        kept = {int(stem[6:]) for stem in written if stem.startswith("epoch_")}
        assert kept == {3, *range(10, 401, 10), 405}
        assert written[-2:] == ["epoch_405", "latest"]  # latest last: resuming starts there


class TestSameSeedSameBits:
    def test_whatever_has_been_drawn_before(self, finished_run, small_recipe, quick_train, tmp_path, rows_of):
        torch.manual_seed(1234)
        before = torch.get_rng_state()
        quick_train(small_recipe(epochs=3), tmp_path / "again")
        assert torch.equal(torch.get_rng_state(), before)  # nor are the caller's random numbers touched
        assert rows_of(tmp_path / "again") == rows_of(finished_run)
        for file in (finished_run / "checkpoints").iterdir():
            assert file.read_bytes() == (tmp_path / "again" / "checkpoints" / file.name).read_bytes(), file.name

    def test_another_seed_gives_another_run(self, finished_run, small_recipe, rows_of):
        same, other = (Trainer(small_recipe(seed=seed)).train_epoch()["terms"] for seed in (42, 43))
        assert same == rows_of(finished_run)[0]["terms"] != other

    def test_evaluating_more_changes_no_weight(self, finished_run, small_recipe, quick_train, tmp_path):
        """Evaluation has random numbers of its own. The balance of the VAEs, which it feeds, is switched off here."""
        recipe = {"epochs": 2, "objective__balancing": 0.0}
        weights = []
        for name, changes in (
            ("few", {}),
            ("many", {"evaluation__coverage_draws": 5000, "evaluation__noise_draws": 3}),
        ):
            quick_train(small_recipe(**recipe, **changes), tmp_path / name)
            weights.append(load_checkpoint(RunDirectory(tmp_path / name).checkpoint("latest")).model)
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_small_batches_come_first(small_recipe):
    trainer = Trainer(small_recipe(optimizer__first_batches__epochs=2, optimizer__averaging_epochs=1))
    plans, shares = [], []
    for _ in range(3):
        trainer.train_epoch()
        plans.append(trainer.plan)
    assert [(len(plan.batches), len(plan.batches[0]), plan.first_step) for plan in plans] == [
        (8, 256, 0), (8, 256, 8), (4, 512, 16),
    ]  # fmt: skip
    assert {int(state["step"]) for state in trainer.optimizer.state.values()} == {20}
    for trainer.plan, number in zip(plans, (0, 5, 2)):
        shares.append(trainer.averaging_share(number))
    assert shares == [1, 1 / (1 + 13 / 5), 1 / 4]  # over a fifth of the steps so far, and at most those of one epoch


class TestAllRecipes:
    @pytest.mark.parametrize("name", recipe_names())
    def test_two_epochs(self, name, small_recipe, quick_train, tmp_path):
        of_another_space = load_recipe(name).space != load_recipe().space
        fewer = {"data__epoch_operations": 1000, "evaluation__sample": 300} if of_another_space else {}
        outcome = quick_train(small_recipe(name, epochs=2, **fewer), tmp_path / "run")
        rows = outcome.directory.metrics()
        assert [row["epoch"] for row in rows] == [1, 2]
        assert all(row["terms"]["loss"] is not None for row in rows)
        if not load_recipe(name).statenet.enabled:
            assert rows[1]["statenet"] is None
        else:
            assert len(rows[1]["statenet"]["corrections"]) == (5 if name == "ternary_v5_5_adaptive_rho" else 4)


class TestEvaluation:
    def test_every_second_epoch_and_always_the_last(self, small_recipe, quick_train, tmp_path):
        quick_train(small_recipe(epochs=3, evaluation__every=2), tmp_path / "run")
        first, second, third = RunDirectory(tmp_path / "run").metrics()
        for key in (*SHARES, "coverage_limit", "covered_all_a", "share_a"):
            assert first[key] is None, key
        assert set(first) == set(second) == set(third)
        for row in (second, third):
            assert all(row[key] is not None for key in SHARES)
        assert first["terms"]["loss"] is not None

    def test_by_a_slow_independent_version(self, plans_recipe):
        """Exact match of every operation, one VAE and one batch at a time; of a trained model whose decoders were
        shaken, so that it is exact on some."""
        model = DualVAE.from_pretrained().requires_grad_(False)
        generator = torch.Generator().manual_seed(1)
        for decoder, shake in ((model.decoder_A, 0.4), (model.decoder_B, 0.6)):
            for weight in decoder.parameters():
                weight += shake * weight.std() * torch.randn(weight.shape, generator=generator)
        model.permeability = 0.3
        row = evaluate(model, plans_recipe(), 3)
        tables = model_input = torch.cartesian_prod(*[torch.tensor([-1, 0, 1])] * 9)
        right = {}
        with torch.no_grad():
            mu_a, mu_b = model.encoder_A(model_input.float())[0], model.encoder_B(model_input.float())[0]
            mixed = model.injection(mu_a, mu_b, 0.3)
            for name, logits in {
                "a": model.decoder_A(mu_a), "b": model.decoder_B(mu_b),
                "coupled_a": model.decoder_A(mixed[0]), "coupled_b": model.decoder_B(mixed[1]),
            }.items():  # fmt: skip
                right[name] = logits.argmax(-1) - 1 == tables
        for name, correct in right.items():
            assert row[f"exact_match_{name}"] == pytest.approx(correct.all(1).float().mean().item(), abs=1e-4)
        for strategy in STRATEGIES:
            together = (model.ensemble_reconstruct(tables, strategy) == tables).all(1).float().mean().item()
            assert row[f"exact_match_{strategy}"] == pytest.approx(together, abs=1e-4)
        best = right["a"].all(1) | right["b"].all(1)
        assert row["exact_match_best_of_two"] == pytest.approx(best.float().mean().item(), abs=1e-4)
        assert all(0.01 < value < 0.99 for key, value in row.items() if key.startswith("exact_match_"))

    def test_random_numbers_are_its_own_and_new_each_epoch(self, small_recipe):
        trainer = Trainer(small_recipe())
        before = trainer.generator.get_state()
        rows = [evaluate(trainer.model, trainer.recipe, epoch) for epoch in (1, 2, 1)]
        assert torch.equal(trainer.generator.get_state(), before)
        assert rows[0] == rows[2]
        assert rows[0]["coverage"] != rows[1]["coverage"]

    def test_a_limit_is_of_as_many_draws_as_were_made(self, small_recipe, monkeypatch):
        """Each VAE makes half of them, so of three one. A model that meets another operation every time."""
        met = itertools.count()
        monkeypatch.setattr(
            evaluation, "decoded_indices", lambda model, vae, draws, _: torch.tensor([next(met) for _ in range(draws)])
        )
        recipe = small_recipe(space__values=2, space__inputs=1, evaluation__coverage_draws=3)
        row = evaluate(Trainer(recipe).model, recipe, 0)
        assert (row["coverage_draws"], row["coverage"], row["coverage_a"]) == (2, 2 / 4, 1 / 4)
        assert (row["coverage_limit"], row["coverage_single_limit"]) == pytest.approx((1 - 0.75**2, 1 / 4))

    def test_full_coverage_is_said_when_asked_for(self, small_recipe):
        recipe = small_recipe(evaluation__full_coverage_draws=4000)
        row = evaluate(Trainer(recipe).model, recipe, 0)
        assert (row["covered_all_a"], row["covered_all_b"]) == (False, False)

    def test_drawing_ends_where_not_all_could_be_met(self):
        """Twenty are missing, with (3 + 4·√(3 + 2·1 + 1)) / 1,000 together at most; odds of one in 10,000."""
        met = torch.tensor([0] * 20 + [1, 1, 1, 2, 995])
        mass, each = (3 + 4 * 6**0.5) / 1000, 1e-4 ** (1 / 20)
        border = 1000 - math.log(1 - each) * 20 / mass
        fulls = math.floor(border), math.ceil(border)
        assert [evaluation._could_meet_all(met, 1000, full) for full in fulls] == [False, True]

    def test_full_coverage_of_fewer_draws_than_half_is_of_no_more(self, small_recipe, monkeypatch):
        """And of more than half goes on from there, in pieces that are not as small as half may be. A model that meets
        each of four operations in turn."""

        def decoded_indices(model, vae, draws, _):
            pieces[vae].append(draws)
            return torch.tensor([next(turns[vae]) % 4 for _ in range(draws)])

        monkeypatch.setattr(evaluation, "decoded_indices", decoded_indices)
        for draws, full, met_all, expected in (
            (20, 3, False, [10]), (20, 4, True, [10]), (4, 3, False, [2, 1]), (4, 4, True, [2, 2]),
            (4, 2500, True, [2, 1000, 1000, 498]), (2400, 2500, True, [1200, 1200, 100]),
        ):  # fmt: skip
            pieces: dict[str, list[int]] = {"A": [], "B": []}
            turns = {vae: itertools.count() for vae in "AB"}
            settings = {"space__values": 2, "space__inputs": 1, "evaluation__full_coverage_draws": full}
            recipe = small_recipe(**settings, evaluation__coverage_draws=draws)
            row = evaluate(Trainer(recipe).model, recipe, 0)
            assert (row["covered_all_a"], row["covered_all_b"]) == (met_all, met_all)
            assert row["coverage_a"] == row["coverage_b"] == min(draws // 2, 4) / 4
            assert pieces["A"] == pieces["B"] == expected


class TestBest:
    SCRIPT = (  # ensemble, A, B, coverage
        (0.5, 0.4, 0.3, 0.90),
        (0.5, 0.35, 0.36, 0.10),  # the lower of the two is higher
        (0.5, 0.45, 0.35, 0.99),  # the same lower one, more coverage
        (0.4, 0.4, 0.4, 1.00),  # a worse ensemble
        (0.5, 0.35, 0.9, 0.98),  # less coverage
        (0.5, 0.35, 0.35, 0.99),  # a tie: the earlier one stays
    )

    def run(self, script, small_recipe, quick_train, place, monkeypatch):
        def scripted(model, recipe, epoch, run_all):
            ensemble, a, b, coverage = script[epoch - 1]
            return dict.fromkeys(evaluated_keys()) | {
                "exact_match_best_of_two": ensemble, "exact_match_a": a, "exact_match_b": b, "coverage": coverage,
                "coverage_limit": 1.0,
            }  # fmt: skip

        monkeypatch.setattr(training_epoch, "evaluate", scripted)
        directory = RunDirectory(place)
        best = []

        class AfterEachEpoch(Silent):
            def epoch(self, row):
                best.append(load_checkpoint(directory.checkpoint("best")).epoch)

        quick_train(small_recipe(epochs=len(script), guards={}), place, progress=AfterEachEpoch())
        return best

    def test_order_of_selection(self, small_recipe, quick_train, tmp_path, monkeypatch):
        assert self.run(self.SCRIPT, small_recipe, quick_train, tmp_path / "run", monkeypatch) == [1, 2, 3, 3, 3, 3]

    def test_not_the_loss(self, small_recipe, quick_train, tmp_path, monkeypatch):
        """The ensemble decides, whatever the loss did meanwhile."""
        script = [(share, share, share, 0.5) for share in (0.3, 0.2, 0.1)]
        assert self.run(script, small_recipe, quick_train, tmp_path / "run", monkeypatch) == [1, 1, 1]

    def test_without_evaluation_there_is_nothing_to_choose_by(self):
        assert checkpoint_score(dict.fromkeys(evaluated_keys())) is None


class TestMilestones:
    @pytest.fixture
    def measured(self, monkeypatch):
        """Counts measurements instead of making them."""
        calls = []
        monkeypatch.setattr(training_run, "measure_both", lambda c, **_: calls.append(c.epoch) or (c.epoch, c.epoch))
        monkeypatch.setattr(
            training_run, "write_record", lambda path, r: path.parent.mkdir(exist_ok=True) or path.write_text(str(r))
        )
        return calls

    def test_each_is_measured_once_when_it_is_reached(self, small_recipe, quick_train, tmp_path, measured):
        seen = Seen()
        recipe = small_recipe(epochs=3, evaluation__milestones=[0, 2, 50])  # the run's end always counts
        directory = quick_train(recipe, tmp_path / "run", benchmark_milestones=True, progress=seen).directory
        assert measured == [0, 2, 3]
        assert [(e["epoch"], e["name"]) for e in directory.events()] == [(0, "epoch_0"), (2, "epoch_2"), (3, "epoch_3")]
        assert seen.events == directory.events()
        assert (seen.to_come, seen.begun) == ([0, 2, 3], [(0, 0), (2, 1), (3, 2)])  # each before its event
        assert {p.name for p in directory.benchmarks.iterdir()} == {
            f"{kind}_resolution_{epoch}.json" for epoch in (0, 2, 3) for kind in ("manifold", "coupled")
        }

    def test_a_missing_record_is_made_up_for_on_resuming(self, finished_run, quick_resume, measured):
        quick_resume(finished_run, benchmark_milestones=True)
        assert measured == [2, 3]
        directory = RunDirectory(finished_run)
        for path in (directory.coupled_record(2), directory.coupled_record(3), directory.checkpoint(3)):
            path.unlink()
        measured.clear()
        seen = Seen()
        quick_resume(finished_run, benchmark_milestones=True, progress=seen)
        assert measured == [2]
        assert seen.to_come == [2], "nothing is left of epoch 3 to measure"
        measured.clear()
        quick_resume(finished_run, benchmark_milestones=True)
        assert measured == []

    def test_a_run_that_was_stopped_before_its_last_one_is_not_complete(
        self, small_recipe, quick_train, quick_resume, stopper, tmp_path, measured
    ):
        recipe = small_recipe(epochs=3, evaluation__milestones=[3])
        outcome = quick_train(recipe, tmp_path / "run", benchmark_milestones=True, progress=stopper(after=3))
        assert (outcome.status, outcome.epochs_completed, measured) == ("interrupted", 3, [])
        assert outcome.directory.facts()["status"] == "interrupted"
        assert outcome.directory.events()[-1]["message"] == "stopped after 3 epochs; only benchmarks are missing"
        assert quick_resume(tmp_path / "run", benchmark_milestones=True).status == "completed"
        assert measured == [3]


OUT_OF_MEMORY = {
    "allocator": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
    "driver": RuntimeError("CUDA error: out of memory\nCompile with `TORCH_USE_CUDA_DSA`"),
    "library": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
}


@pytest.mark.parametrize(
    ("failure", "where"), [("allocator", "training"), ("driver", "measuring"), ("library", "training")]
)
def test_a_device_without_memory_left_is_one_line(
    failure, where, small_recipe, quick_train, quick_resume, tmp_path, monkeypatch
):
    """In the second epoch; the run goes on from the first when there is memory again."""

    def out_of_memory(*_):
        raise OUT_OF_MEMORY[failure]

    train_epoch, evaluate = Trainer.train_epoch, training_epoch.evaluate

    def second_epoch_fails(trainer, *how):
        return (out_of_memory if trainer.epochs_completed else train_epoch)(trainer, *how)

    def second_fails(*given):
        return (out_of_memory if given[2] == 2 else evaluate)(*given)

    with monkeypatch.context() as full:
        if where == "training":
            full.setattr(Trainer, "train_epoch", second_epoch_fails)
        else:
            full.setattr(training_epoch, "evaluate", second_fails)
        with pytest.raises(UserError, match=r"^the GPU's memory is used up; .* or with --device cpu$"):
            quick_train(small_recipe(epochs=2), tmp_path / "run")
    assert RunDirectory(tmp_path / "run").facts()["status"] == "failed"
    assert [row["epoch"] for row in RunDirectory(tmp_path / "run").metrics()] == [1]
    assert quick_resume(tmp_path / "run").status == "completed"


def test_what_a_run_without_memory_held_is_given_back(small_recipe, quick_train, tmp_path, monkeypatch):
    trainers, alive = [], []

    def out_of_memory(trainer, *_):
        trainers.append(weakref.ref(trainer))
        raise torch.OutOfMemoryError("CUDA out of memory.")

    def released():
        gc.collect()
        alive.append(sum(trainer() is not None for trainer in trainers))

    monkeypatch.setattr(Trainer, "train_epoch", out_of_memory)
    monkeypatch.setattr(memory, "release_memory", released)
    with pytest.raises(UserError, match="memory is used up"):
        quick_train(small_recipe(), tmp_path / "run")
    assert len(trainers) == 1
    assert alive == [0]


def test_memory_of_the_processor_that_is_used_up_is_told_in_one_line(monkeypatch):
    """And what the process shares is let go of before memory is given back."""
    table, given_back = weakref.ref(all_operations(space=Space(2, 1))), []
    monkeypatch.setitem(recorded._latest, 0, "a record")
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    for module, name in ((torch.cuda, "empty_cache"), (memory, "return_freed_memory")):
        monkeypatch.setattr(module, name, lambda: given_back.append((table(), len(recorded._latest))))
    with (
        pytest.raises(UserError, match=r"^memory is used up; .* smaller batches or narrower layers$"),
        memory.memory_of_the_device(),
    ):
        torch.empty(2**60)
    assert given_back == [(None, 0)] * 2
    with pytest.raises(RuntimeError, match="of another kind"), memory.memory_of_the_device():
        raise RuntimeError("of another kind")


def test_a_model_whose_checkpoints_nobody_could_read_is_refused(
    finished_run, small_recipe, quick_train, tmp_path, monkeypatch
):
    """Before anything is written; by the size that they have once there are moments."""
    size = RunDirectory(finished_run).checkpoint("latest").stat().st_size
    values = Trainer(small_recipe()).checkpoint_values
    assert 4 * values < size < 4.4 * values
    monkeypatch.setattr(checkpoints, "_MOST_BYTES", 4 * values)
    with pytest.raises(UserError, match="give narrower layers"):
        quick_train(small_recipe(), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_the_callers_default_precision_changes_no_bit(finished_run, small_recipe, quick_train, tmp_path):
    torch.set_default_dtype(torch.float64)
    try:
        quick_train(small_recipe(), tmp_path / "double")
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    single, double = (RunDirectory(place).checkpoint("latest") for place in (finished_run, tmp_path / "double"))
    assert single.read_bytes() == double.read_bytes()


@pytest.mark.parametrize("without_gradients", [torch.no_grad, torch.inference_mode])
def test_a_caller_without_gradients_changes_no_bit(
    without_gradients, finished_run, small_recipe, quick_train, quick_resume, tmp_path
):
    """Started, resumed, and begun from a checkpoint that was read there."""
    with without_gradients():
        quick_train(small_recipe(epochs=2), tmp_path / "run")
        quick_resume(tmp_path / "run", epochs=3)
        start = load_checkpoint(RunDirectory(finished_run).checkpoint(3))
        quick_train(small_recipe(epochs=4), tmp_path / "more", start=start)
        assert not torch.is_grad_enabled()
        assert torch.is_inference_mode_enabled() == (without_gradients is torch.inference_mode)
    known, found = (RunDirectory(place).checkpoint("latest") for place in (finished_run, tmp_path / "run"))
    assert known.read_bytes() == found.read_bytes()


def test_other_errors_are_not_taken_for_it(small_recipe, quick_train, tmp_path, monkeypatch):
    monkeypatch.setattr(Trainer, "train_epoch", lambda *_: torch.ones(2) @ torch.ones(3))
    with pytest.raises(RuntimeError, match="size"):
        quick_train(small_recipe(), tmp_path / "run")


class TestRefusals:
    """One clear line, and nothing made or changed."""

    def refused(self, call):
        with pytest.raises(UserError) as caught:
            call()
        return str(caught.value)

    def test_a_directory_that_holds_another_run(self, finished_run, small_recipe, quick_train):
        before = {p: p.read_bytes() for p in finished_run.rglob("*") if p.is_file()}
        message = self.refused(lambda: quick_train(small_recipe("ternary_v5_5"), finished_run))
        assert "already holds a run of 'resolution'" in message
        assert f"resume {finished_run}" in message
        assert {p: p.read_bytes() for p in finished_run.rglob("*") if p.is_file()} == before

    def test_a_directory_that_holds_something_else(self, tmp_path, small_recipe, quick_train):
        (tmp_path / "thesis.tex").write_text("precious")
        assert "not empty" in self.refused(lambda: quick_train(small_recipe(), tmp_path))
        assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here")
    def test_no_cuda(self, tmp_path, small_recipe):
        message = self.refused(lambda: loop.train(small_recipe(), tmp_path / "run", device="cuda"))
        assert "no CUDA" in message
        assert not (tmp_path / "run").exists()

    def test_no_such_device(self, tmp_path, small_recipe):
        assert "expected auto, cpu, cuda or cuda:N" in self.refused(
            lambda: loop.train(small_recipe(), tmp_path / "run", device="tpu")
        )
        assert not (tmp_path / "run").exists()

    def test_nothing_to_resume(self, tmp_path, quick_resume):
        assert "holds no run" in self.refused(lambda: quick_resume(tmp_path / "nowhere"))
        assert list(tmp_path.iterdir()) == []

    def test_a_damaged_checkpoint(self, finished_run, quick_resume):
        latest = RunDirectory(finished_run).checkpoint("latest")
        latest.write_bytes(latest.read_bytes()[:-1000])
        rows = (finished_run / "metrics.jsonl").read_bytes()
        assert "truncated" in self.refused(lambda: quick_resume(finished_run, epochs=6))
        assert (finished_run / "metrics.jsonl").read_bytes() == rows
        assert RunDirectory(finished_run).recipe().epochs == 3

    @pytest.mark.parametrize("changed", [("batch_size: 512", "batch_size: 256"), ("seed: 42", "seed: 43")])
    def test_a_recipe_changed_by_hand(self, finished_run, quick_resume, changed):
        file = finished_run / "recipe.yaml"
        text = file.read_text()
        assert changed[0] in text
        file.write_text(text.replace(*changed))
        assert "differs from the recipe" in self.refused(lambda: quick_resume(finished_run, epochs=6))

    @pytest.mark.usefixtures("unchecked")
    @pytest.mark.parametrize(
        ("epochs", "says"),
        [
            (2, "3 epochs are done"),
            (0, "from 1 to 1,000,000"),
            (-1, "from 1 to 1,000,000"),
            (3.5, "expected a whole number"),
        ],
    )
    def test_an_end_that_has_passed_or_cannot_be(self, finished_run, quick_resume, epochs, says):
        assert says in self.refused(lambda: quick_resume(finished_run, epochs=epochs))
        assert RunDirectory(finished_run).recipe().epochs == 3
        assert RunDirectory(finished_run).facts()["epochs"] == 3

    def test_a_start_with_nothing_left_to_do(self, finished_run, small_recipe, quick_train, tmp_path):
        start = load_checkpoint(RunDirectory(finished_run).checkpoint(3))
        message = self.refused(lambda: quick_train(small_recipe(epochs=3), tmp_path / "new", start=start))
        assert "give more --epochs" in message
        assert not (tmp_path / "new").exists()

    def test_a_start_that_does_not_fit_the_recipe(self, finished_run, small_recipe, quick_train, tmp_path):
        """Translated injection has weights that plain injection lacks."""
        start = load_checkpoint(RunDirectory(finished_run).checkpoint(2))
        message = self.refused(lambda: quick_train(small_recipe("ternary_v5_5"), tmp_path / "new", start=start))
        assert "cannot be trained on with recipe 'ternary_v5_5'" in message
        assert "injection" in message
        assert not (tmp_path / "new").exists()

    def test_a_start_that_lacks_something(self, finished_run, small_recipe, quick_train, tmp_path):
        start = load_checkpoint(RunDirectory(finished_run).checkpoint(2))
        for broken in (replace(start, generators={}), replace(start, training={}), replace(start, state={})):
            assert "cannot be trained on" in self.refused(
                lambda broken=broken: quick_train(small_recipe(), tmp_path / "new", start=broken)
            )
        assert not (tmp_path / "new").exists()

    def test_a_start_with_weights_that_are_not_finite(self, finished_run, small_recipe, quick_train, tmp_path):
        start = load_checkpoint(RunDirectory(finished_run).checkpoint(2))
        start.model["decoder_A.decoder.0.bias"][0] = float("nan")
        assert "NaN" in self.refused(lambda: quick_train(small_recipe(), tmp_path / "new", start=start))
        assert not (tmp_path / "new").exists()
