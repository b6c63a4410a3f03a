"""Stopping, being killed, and going on: the same bits as a run that never stopped, and no file half written."""

from __future__ import annotations

import errno
import itertools
import os
import random
import shutil
import signal
import sys
import threading

import numpy as np
import pytest
import torch
from torch.utils import tensorboard

from fault_injection.processes import CONTEXT
from ternary_vae.errors import UserError
from ternary_vae.objective.weighting import Balance
from ternary_vae.recipe import load_recipe, recipe_names
from ternary_vae.storage.checkpoints import checkpoint_bytes, load_checkpoint, load_model, save_checkpoint
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.training import log, loop
from ternary_vae.training import run as training_run
from ternary_vae.training.epoch import Trainer
from ternary_vae.training.interruption import interruptions
from ternary_vae.training.progress import Silent

CHECKPOINTS = ("latest", "best", 0, 2, 3)


def same_run(first, second, rows_of):
    """Both runs hold the same rows and, file by file, the same bytes of checkpoints."""
    assert rows_of(first) == rows_of(second)
    for name in CHECKPOINTS:
        files = [RunDirectory(place).checkpoint(name) for place in (first, second)]
        assert files[0].read_bytes() == files[1].read_bytes(), name


class TestResuming:
    @pytest.mark.parametrize("stop_after", [1, 2])
    def test_the_same_bits_as_never_having_stopped(
        self, stop_after, finished_run, small_recipe, quick_train, quick_resume, tmp_path, stopper, rows_of
    ):
        outcome = quick_train(small_recipe(epochs=3), tmp_path / "run", progress=stopper(stop_after))
        assert (outcome.status, outcome.epochs_completed) == ("interrupted", stop_after)
        assert quick_resume(tmp_path / "run").status == "completed"
        same_run(tmp_path / "run", finished_run, rows_of)
        kinds = [(e["kind"], e["epoch"]) for e in RunDirectory(tmp_path / "run").events()]
        assert kinds == [("interrupted", stop_after), ("resumed", stop_after)]

    def test_with_everything_that_the_default_recipe_lacks(
        self, small_recipe, quick_train, quick_resume, tmp_path, stopper, rows_of
    ):
        """Plain injection, gradient balance, repulsion, moving λ, five outputs of StateNet, an epoch not evaluated."""
        recipe = small_recipe("ternary_v5_5_adaptive_rho", epochs=3, evaluation__every=2)
        quick_train(recipe, tmp_path / "straight")
        quick_train(recipe, tmp_path / "stopped", progress=stopper(1))
        quick_resume(tmp_path / "stopped")
        same_run(tmp_path / "straight", tmp_path / "stopped", rows_of)

    def test_every_part_of_the_state_survives(self, small_recipe, tmp_path):
        """Also what a short run never reaches: an open gate, ρ on its way, λ moved, guards that have acted."""
        recipe = small_recipe("ternary_v5_5_adaptive_rho", objective__balancing=0.01)
        trainer = Trainer(recipe)
        for _ in range(2):
            trainer.train_epoch()
        trainer.gate_open, trainer.rho, trainer.lambda1, trainer.lambda2 = True, 0.437, 0.91, 0.53
        trainer.interventions.rho_bonus, trainer.interventions.fired = 0.05, {"coverage_plateau": 2}
        trainer.balance = Balance(0.25, 0.01)
        save_checkpoint(tmp_path / "x.safetensors", trainer.checkpoint({"best": [0.5, 0.25, 0.125]}))
        other = Trainer(recipe)
        other.restore(load_checkpoint(tmp_path / "x.safetensors"))
        again = other.checkpoint({"best": [0.5, 0.25, 0.125]})
        assert checkpoint_bytes(again) == (tmp_path / "x.safetensors").read_bytes()
        assert other.gate_open is True
        assert other.balance == Balance(0.25, 0.01)
        assert other.train_epoch() == trainer.train_epoch()

    def test_stopping_every_epoch(
        self, finished_run, small_recipe, quick_train, quick_resume, tmp_path, stopper, rows_of, monkeypatch
    ):
        writer, purged = tensorboard.SummaryWriter, []
        monkeypatch.setattr(
            tensorboard, "SummaryWriter",
            lambda *a, purge_step, **k: purged.append(purge_step) or writer(*a, purge_step=purge_step, **k),
        )  # fmt: skip
        place = tmp_path / "run"
        quick_train(small_recipe(epochs=3), place, progress=stopper(1))
        quick_resume(place, progress=stopper(2))
        quick_resume(place)
        same_run(place, finished_run, rows_of)
        assert purged == [1, 2, 3]  # from there on TensorBoard forgets what an earlier process wrote

    def test_extending_a_finished_run(self, finished_run, small_recipe, quick_train, quick_resume, tmp_path, rows_of):
        quick_train(small_recipe(epochs=2), tmp_path / "run")
        assert RunDirectory(tmp_path / "run").facts()["status"] == "completed"
        outcome = quick_resume(tmp_path / "run", epochs=3)
        assert (outcome.status, outcome.epochs_completed) == ("completed", 3)
        assert rows_of(tmp_path / "run") == rows_of(finished_run)
        straight, extended = (RunDirectory(place).checkpoint("latest") for place in (finished_run, tmp_path / "run"))
        assert straight.read_bytes() == extended.read_bytes()
        assert outcome.directory.recipe().epochs == outcome.directory.facts()["epochs"] == 3

    def test_resuming_a_finished_run_changes_nothing_but_its_times(self, finished_run, quick_resume):
        directory = RunDirectory(finished_run)
        before = {p: p.read_bytes() for p in finished_run.rglob("*") if p.is_file() and "tensorboard" not in p.parts}
        assert quick_resume(finished_run).status == "completed"
        assert directory.events() == []
        changed = {p.name for p, content in before.items() if p.read_bytes() != content}
        assert changed <= {"run.json"}

    @pytest.mark.usefixtures("unchecked")
    def test_an_end_of_numpy_is_a_number(self, finished_run, quick_resume):
        outcome = quick_resume(finished_run, epochs=np.int64(3))
        assert outcome.status == "completed"
        assert outcome.directory.recipe().epochs == outcome.directory.facts()["epochs"] == 3

    def test_a_run_stays_on_its_device(self, finished_run, monkeypatch):
        """Also where a faster one is at hand: there it would not go on to the same bits. No epoch is left to train, as
        PyTorch itself would look for the device that is made up here."""
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        loop.resume(finished_run, benchmark_milestones=False)  # device="auto"
        assert RunDirectory(finished_run).facts()["device"] == "cpu"

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here")
    def test_a_run_from_a_machine_with_cuda_goes_on_without(self, finished_run):
        directory = RunDirectory(finished_run)
        directory.update({"device": "cuda"})
        checkpoint = load_checkpoint(directory.checkpoint("latest"))
        checkpoint.generators["training"] = torch.zeros(16, dtype=torch.uint8)  # as long as CUDA's
        save_checkpoint(directory.checkpoint("latest"), checkpoint)
        outcome = loop.resume(finished_run, epochs=4, benchmark_milestones=False)
        assert outcome.epochs_completed == 4
        assert directory.events()[-1]["message"] == "training goes on, on cpu instead of cuda"
        assert directory.facts()["device"] == "cpu"

    @pytest.mark.parametrize("kept", [0, 2, 3])
    def test_a_log_that_ends_early_is_told(self, finished_run, kept):
        directory = RunDirectory(finished_run)
        rows = directory.metrics_file.read_text().splitlines(keepends=True)
        directory.metrics_file.write_text("".join(rows[:kept]))
        loop.resume(finished_run, epochs=4, benchmark_milestones=False)
        assert directory.events()[-1]["message"] == "training goes on" + (
            "" if kept == len(rows) else f"; metrics.jsonl ends before epoch {len(rows)}: reports will lack that"
        )

    @pytest.mark.parametrize("name", ["metrics", "events"])
    def test_a_damaged_log_is_told_before_the_run_is_described_anew(self, finished_run, name):
        directory = RunDirectory(finished_run)
        (directory.path / f"{name}.jsonl").write_text("damaged\n\n", encoding="utf-8")
        described = [directory.run_file.read_bytes(), directory.recipe_file.read_bytes()]
        with pytest.raises(UserError, match=rf"{name}\.jsonl: line 1 is not a JSON object; restore or remove the file"):
            loop.resume(finished_run, epochs=4, benchmark_milestones=False)
        assert [directory.run_file.read_bytes(), directory.recipe_file.read_bytes()] == described

    def test_a_run_that_does_not_say_where_nor_how_long(self, finished_run, quick_resume):
        directory = RunDirectory(finished_run)
        directory.update({"device": None, "seconds": None})
        quick_resume(finished_run, epochs=4)
        assert directory.events()[-1]["message"] == "training goes on"
        assert directory.facts()["seconds"] > 0

    def test_time_adds_up(self, finished_run, quick_resume):
        directory, before = RunDirectory(finished_run), 1e6
        directory.update({"seconds": before})
        quick_resume(finished_run, epochs=4)
        assert before < directory.facts()["seconds"] < 2 * before


SIGNALS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


class TestSignals:
    @pytest.mark.parametrize("number", SIGNALS)
    def test_one_stops_between_two_epochs(self, number, small_recipe, quick_train, tmp_path, stopper):
        before = signal.getsignal(number)
        outcome = quick_train(small_recipe(epochs=2), tmp_path / "run", progress=stopper(1, number))
        assert (outcome.status, outcome.epochs_completed) == ("interrupted", 1)
        directory = RunDirectory(tmp_path / "run")
        assert directory.facts()["status"] == "interrupted"
        assert directory.events()[-1]["message"] == "stopped after 1 epoch; all of them are saved"
        assert load_checkpoint(directory.checkpoint("latest")).epoch == 1
        assert signal.getsignal(number) is before

    def test_where_one_stopped_the_run_can_end(self, small_recipe, quick_train, quick_resume, tmp_path, stopper):
        quick_train(small_recipe(epochs=2), tmp_path / "run", progress=stopper(1))
        directory = quick_resume(tmp_path / "run", epochs=1).directory
        assert directory.facts()["status"] == "completed"
        assert load_checkpoint(directory.checkpoint(1)).epochs_completed == 1

    def test_two_stop_at_once_and_lose_nothing_written(
        self, finished_run, small_recipe, quick_train, quick_resume, tmp_path, stopper, rows_of
    ):
        with pytest.raises(KeyboardInterrupt):
            quick_train(small_recipe(epochs=3), tmp_path / "run", progress=stopper(2, times=2))
        directory = RunDirectory(tmp_path / "run")
        assert directory.facts()["status"] == "interrupted"
        quick_resume(tmp_path / "run")
        same_run(tmp_path / "run", finished_run, rows_of)

    def test_one_in_the_last_epoch_lets_the_run_complete(self, small_recipe, quick_train, tmp_path, stopper):
        outcome = quick_train(small_recipe(epochs=1), tmp_path / "run", progress=stopper(1))
        assert outcome.status == "completed"

    def test_in_another_thread_training_leaves_signals_alone(self, small_recipe, quick_train, tmp_path):
        found = []
        thread = threading.Thread(target=lambda: found.append(quick_train(small_recipe(epochs=1), tmp_path / "run")))
        before = signal.getsignal(signal.SIGINT)
        thread.start()
        thread.join()
        assert found[0].status == "completed"
        assert signal.getsignal(signal.SIGINT) is before

    @pytest.mark.parametrize("number", SIGNALS)
    def test_what_was_ignored_stays_ignored_except_for_sigterm(self, number):
        """Ctrl-C in a background job, the end of the terminal under nohup."""
        before = signal.signal(number, signal.SIG_IGN)
        try:
            with interruptions() as interruption:
                signal.raise_signal(number)
            assert signal.getsignal(number) is signal.SIG_IGN
        finally:
            signal.signal(number, before)
        assert interruption.asked == (number == signal.SIGTERM)

    def test_a_handler_that_is_not_pythons_is_left_alone(self, monkeypatch):
        """As of a program that Python is embedded in; it could not be put back."""
        replaced = []
        monkeypatch.setattr(signal, "getsignal", lambda number: None)
        monkeypatch.setattr(signal, "signal", lambda *arguments: replaced.append(arguments))
        with interruptions():
            pass
        assert replaced == []

    def test_handlers_are_put_back_after_a_failure(self):
        before = signal.getsignal(signal.SIGTERM)
        with pytest.raises(RuntimeError, match="inside"), interruptions():
            raise RuntimeError("inside")
        assert signal.getsignal(signal.SIGTERM) is before


class TestStoodStill:
    """This process was taken for dead, and another machine has gone on with the run."""

    SUCCESSOR = "process 3 on three\n"

    def test_it_stops_before_it_writes_again(self, small_recipe, quick_train, tmp_path):
        directory = RunDirectory(tmp_path / "run")
        found = {}

        class TakenOver(Silent):
            def epoch(self, row):
                if row["epoch"] == 2:
                    directory.lock_file.write_text(TestStoodStill.SUCCESSOR)
                    found.update(self.content())

            def content(self):
                files = (path for path in directory.path.rglob("*") if path.is_file() and "tfevents" not in path.name)
                return {path: path.read_bytes() for path in files}

        watcher = TakenOver()
        with pytest.raises(UserError, match=r"stood still.*process 3 on three is training in it; stopped"):
            quick_train(small_recipe(epochs=5), directory.path, progress=watcher)
        assert len(directory.metrics()) == 2
        assert watcher.content() == found

    def test_it_writes_no_records(self, finished_run, tmp_path, monkeypatch):
        def measure(*arguments, **options):
            (finished_run / "run.lock").write_text(self.SUCCESSOR)
            return None, None

        monkeypatch.setattr(training_run, "measure_both", measure)
        with pytest.raises(UserError, match="stood still"):
            loop.resume(finished_run, device="cpu")
        assert not (finished_run / "benchmarks").exists()


@pytest.mark.parametrize("renamed", [True, False])
def test_a_directory_that_is_moved_or_removed_meanwhile(renamed, small_recipe, quick_train, tmp_path):
    class Away(Silent):
        def epoch(self, row):
            if row["epoch"] == 1:
                os.rename(tmp_path / "run", tmp_path / "elsewhere")
                if not renamed:
                    shutil.rmtree(tmp_path / "elsewhere")

    with pytest.raises(UserError, match=r"run: was moved or removed; .* run\.lock is gone; stopped"):
        quick_train(small_recipe(epochs=3), tmp_path / "run", progress=Away())


class Killed(BaseException):
    """Stands for the end of the process at one exact place."""


class TestKilledAtEachWrite:
    """The process ends before or after a checkpoint gets its name: epoch_0, latest; best, latest; epoch_2, best,
    latest."""

    @pytest.mark.parametrize(
        ("number", "written"), [(0, False), (1, False), (2, False), (3, False), (3, True), (4, False), (6, True)]
    )
    def test_then_resumed(
        self, number, written, finished_run, small_recipe, quick_train, quick_resume, tmp_path, rows_of, monkeypatch
    ):
        replace, count = os.replace, iter(range(100))

        def replace_or_die(temporary, path):
            die = path.suffix == ".safetensors" and next(count) == number
            if die and not written:
                raise Killed
            replace(temporary, path)
            if die:
                raise Killed

        place = tmp_path / "run"
        monkeypatch.setattr(os, "replace", replace_or_die)
        # What follows a kill does not happen; nor does tidying up.
        monkeypatch.setattr(RunDirectory, "clear", lambda self: None)
        with pytest.raises(Killed):
            quick_train(small_recipe(epochs=3), place)
        monkeypatch.undo()
        assert quick_resume(place).status == "completed"
        assert RunDirectory(place).events()[0]["message"] == "training goes on"
        same_run(place, finished_run, rows_of)

    def test_between_description_and_first_checkpoint_of_a_run_that_starts_elsewhere(
        self, finished_run, small_recipe, quick_train, quick_resume, tmp_path, rows_of, monkeypatch
    ):
        start = load_checkpoint(RunDirectory(finished_run).checkpoint(2))
        monkeypatch.setattr(loop, "save_checkpoint", lambda *_, **__: (_ for _ in ()).throw(Killed()))
        monkeypatch.setattr(RunDirectory, "clear", lambda self: None)
        with pytest.raises(Killed):
            quick_train(small_recipe(epochs=3), tmp_path / "killed", start=start)
        monkeypatch.undo()
        directory = quick_resume(tmp_path / "killed").directory
        assert rows_of(directory.path) == rows_of(finished_run)[2:]
        states = [load_checkpoint(RunDirectory(place).checkpoint(3)).state for place in (directory.path, finished_run)]
        assert states[0] == states[1]
        assert directory.events()[0]["message"] == "training goes on"

    def test_leftovers_are_cleared_away(self, finished_run, quick_resume):
        leftover = finished_run / "checkpoints" / ".latest.safetensors.4711.abcdef01.tmp"
        leftover.write_bytes(b"half a checkpoint")
        others = finished_run / ".notes.tmp", finished_run / "inner" / "checkpoints" / leftover.name
        others[1].parent.mkdir(parents=True)
        for other in others:
            other.write_text("somebody else's")
        with open(finished_run / "metrics.jsonl", "a") as file:
            file.write('{"epoch": 4, "pha')  # half a line
        quick_resume(finished_run, epochs=4)
        assert not leftover.exists()
        assert all(other.exists() for other in others)
        assert [row["epoch"] for row in RunDirectory(finished_run).metrics()] == [1, 2, 3, 4]


def _train_or_resume(recipe, place, killed_at=None):
    """What a process does that is killed just before it opens, renames, removes or syncs a file of the run for the
    given time, or else writes down how often it does; with a second thread that finishes epochs."""
    moments, fsync = itertools.count(1), os.fsync

    def moment():
        if next(moments) == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def heard(event, arguments):
        if event in ("open", "os.rename", "os.link", "os.remove") and str(arguments[0]).startswith(str(place)):
            moment()

    def synced(descriptor):
        moment()
        fsync(descriptor)

    sys.addaudithook(heard)
    os.fsync = synced
    torch.set_num_threads(2)
    directory = RunDirectory(place)
    if directory.exists:
        loop.resume(directory, device="cpu", benchmark_milestones=False)
    else:
        loop.train(recipe, directory, device="cpu", benchmark_milestones=False)
    (place.parent / "moments").write_text(str(next(moments) - 1))


@pytest.fixture(scope="module")
def straight(small_recipe, tmp_path_factory):
    """A run in one process, never killed, and at how many moments it could have been."""
    place = tmp_path_factory.mktemp("straight") / "run"
    process = CONTEXT.Process(target=_train_or_resume, args=(small_recipe(epochs=3), place))
    process.start()
    process.join()
    assert process.exitcode == 0
    return place, int((place.parent / "moments").read_text())


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
class TestSIGKILL:
    @pytest.mark.parametrize("seed", [1, 2])
    def test_at_random_moments(self, seed, straight, small_recipe, tmp_path, rows_of, state_of):
        """Killed twice, each time at another moment, then left to finish."""
        place, moments = tmp_path / "run", straight[1]
        chance = random.Random(seed)
        for killed_at in (chance.randint(1, moments // 2), chance.randint(1, moments // 4), None):
            process = CONTEXT.Process(target=_train_or_resume, args=(small_recipe(epochs=3), place, killed_at))
            process.start()
            process.join()
            assert process.exitcode == (0 if killed_at is None else -signal.SIGKILL)
            if not (place / "run.json").exists():
                shutil.rmtree(place, ignore_errors=True)  # killed before there was a run
        directory = RunDirectory(place)
        assert directory.facts()["status"] == "completed"
        assert rows_of(place) == rows_of(straight[0])
        for name in CHECKPOINTS:
            assert state_of(directory.checkpoint(name)) == state_of(RunDirectory(straight[0]).checkpoint(name))
        assert not list(place.rglob("*.tmp"))


class TestFullDisk:
    """Writes fail with ENOSPC from some moment on."""

    @pytest.fixture
    def fill_disk(self, monkeypatch):
        def arrange(writes_left):
            fsync, left = os.fsync, {"writes": writes_left}

            def full(descriptor):
                left["writes"] -= 1
                if left["writes"] < 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                fsync(descriptor)

            monkeypatch.setattr(os, "fsync", full)

        return arrange

    @pytest.mark.parametrize("writes", range(0, 6, 2))  # recipe, description, checkpoints, each with its directory
    def test_at_the_start_nothing_is_left(self, writes, fill_disk, small_recipe, quick_train, tmp_path):
        fill_disk(writes)
        with pytest.raises(UserError, match="no space left"):
            quick_train(small_recipe(), tmp_path / "runs" / "new")
        assert list(tmp_path.iterdir()) == []

    def test_an_empty_directory_stays_as_it_was(self, fill_disk, small_recipe, quick_train, tmp_path):
        fill_disk(2)
        (tmp_path / "mine").mkdir()
        with pytest.raises(UserError, match="no space left"):
            quick_train(small_recipe(), tmp_path / "mine")
        assert list(tmp_path.iterdir()) == [tmp_path / "mine"]
        assert list((tmp_path / "mine").iterdir()) == []

    def test_in_the_middle_the_run_can_be_resumed(
        self, fill_disk, finished_run, small_recipe, quick_train, quick_resume, tmp_path, rows_of, monkeypatch
    ):
        class FillAfter(Silent):
            def epoch(self, row):
                if row["epoch"] == 2:
                    fill_disk(0)

        with pytest.raises(UserError, match="no space left"):
            quick_train(small_recipe(epochs=3), tmp_path / "run", progress=FillAfter())
        assert not list((tmp_path / "run").rglob("*.tmp"))
        monkeypatch.undo()
        assert quick_resume(tmp_path / "run").status == "completed"
        same_run(tmp_path / "run", finished_run, rows_of)

    @pytest.mark.parametrize("method", ["add_scalar", "close"])
    def test_tensorboard_says_so_in_one_line(self, method, small_recipe, quick_train, tmp_path, monkeypatch):
        """It writes from a thread of its own, and raises what happened there later."""
        from torch.utils.tensorboard import SummaryWriter

        def full(*_, **__):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(SummaryWriter, method, full)
        with pytest.raises(UserError, match="tensorboard: no space left"):
            quick_train(small_recipe(epochs=1), tmp_path / "run")

    def test_a_log_is_rewritten_whole_or_not_at_all(self, finished_run, fill_disk):
        before = (finished_run / "metrics.jsonl").read_bytes()
        fill_disk(0)
        with pytest.raises(UserError, match="no space left"):
            log.RunLog(RunDirectory(finished_run), 2)
        assert (finished_run / "metrics.jsonl").read_bytes() == before


OTHER_SPACES = {name for name in recipe_names() if load_recipe(name).space != load_recipe().space}


class TestFromV5_5:
    def test_the_run_goes_on_at_the_next_epoch(self, v5_5_file, plans_recipe, quick_train, tmp_path):
        recipe = plans_recipe("ternary_v5_5", epochs=22)
        outcome = quick_train(recipe, tmp_path / "run", start=load_checkpoint(v5_5_file))
        (row,) = outcome.directory.metrics()  # epochs 0 … 20 were trained: epoch 21 is the 22nd
        assert row["epoch"] == 22
        assert row["beta_a"] == pytest.approx(0.3 * 21 / 50)
        assert row["learning_rate"] == pytest.approx(1e-3, rel=0.06)
        assert row["lambda1"] == 0.95
        directory = outcome.directory
        assert {p.stem for p in directory.checkpoints.iterdir()} == {"epoch_21", "epoch_22", "latest", "best"}
        assert directory.facts()["started_from"] == str(v5_5_file)
        start, _ = load_model(directory.checkpoint(21))
        saved = torch.load(v5_5_file, weights_only=True)["model"]
        assert all(torch.equal(tensor, saved[name]) for name, tensor in start.state_dict().items())

    def test_what_it_never_saw_is_unknown_ever_after(self, v5_5_file, plans_recipe):
        recipe = plans_recipe("ternary_v5_5")
        trainer = Trainer(recipe)
        assert trainer.checkpoint().split_known
        own = trainer.checkpoint()
        trainer.restore(load_checkpoint(v5_5_file))
        once = trainer.checkpoint()
        trainer.restore(once)
        assert not once.split_known
        assert not trainer.checkpoint().split_known
        another = Trainer(recipe.model_copy(update={"seed": recipe.seed + 1}))
        another.restore(own)
        assert not another.checkpoint().split_known
        trainer.restore(own)
        assert "split_known" not in trainer.checkpoint().state

    def test_moments_stay_with_their_parameters(self, v5_5_file, plans_recipe):
        trainer = Trainer(plans_recipe("ternary_v5_5"))
        trainer.restore(load_checkpoint(v5_5_file))
        saved = torch.load(v5_5_file, weights_only=True)["optimizer"]["state"]
        model = trainer.model
        order = [
            p
            for part in (model.encoder_A, model.decoder_A, model.encoder_B, model.decoder_B)
            for p in part.parameters()
        ]
        assert len(trainer.optimizer.state) == len(order) == len(saved)
        for number, parameter in enumerate(order):
            for key in ("step", "exp_avg", "exp_avg_sq"):
                assert torch.equal(trainer.optimizer.state[parameter][key], saved[number][key])
        trainer.train_epoch()
        steps = -(-len(trainer.training_index) // trainer.recipe.optimizer.batch_size)
        assert trainer.optimizer.state[order[0]]["step"] == 3 + steps
        # The next epoch is not that of a fresh optimizer.
        fresh = Trainer(plans_recipe("ternary_v5_5"))
        checkpoint = load_checkpoint(v5_5_file)
        checkpoint.optimizer = {}
        fresh.restore(checkpoint)
        fresh.train_epoch()
        assert not torch.equal(fresh.model.encoder_A.fc_mu.weight, model.encoder_A.fc_mu.weight)

    def test_what_else_it_tells(self, v5_5_file, plans_recipe):
        trainer = Trainer(plans_recipe("ternary_v5_5"))
        trainer.restore(load_checkpoint(v5_5_file))
        assert (trainer.lambda1, trainer.lambda2, trainer.rho) == (0.95, 0.5, 0.1)
        assert trainer.gradient_norms.tolist() == [1.25, 0.5]
        assert trainer.gate_open is True
        assert trainer.epochs_completed == 21

    def test_not_under_a_recipe_of_another_space(self, v5_5_file):
        with pytest.raises(UserError, match=r"trained on 3 values and 2 inputs, recipe 'one_input' is of .*; choose"):
            Trainer(load_recipe("one_input")).restore(load_checkpoint(v5_5_file))

    @pytest.mark.parametrize("name", sorted({*recipe_names()} - OTHER_SPACES))
    def test_under_every_recipe(self, name, v5_5_file, plans_recipe):
        """Translated injection and a fifth output of StateNet start fresh; everything else is v5.5's."""
        trainer = Trainer(plans_recipe(name, epochs=400))
        trainer.restore(load_checkpoint(v5_5_file))
        saved = torch.load(v5_5_file, weights_only=True)["model"]
        own = trainer.model.state_dict()
        differing = {n for n in own if n not in saved or not torch.equal(own[n], saved[n])}
        expected = {
            "resolution": {n for n in own if n.startswith(("injection.a_to_b.", "injection.b_to_a."))},
            "ternary_v5_5_adaptive_rho": {"state_net.decoder.2.weight", "state_net.decoder.2.bias"},
        }
        assert differing == expected.get(name, set())
        row = trainer.train_epoch()
        assert row["epoch"] == 22
        assert row["terms"]["loss"] is not None

    def test_resumed_to_the_same_bits(
        self, v5_5_file, plans_recipe, quick_train, quick_resume, tmp_path, stopper, rows_of
    ):
        recipe = plans_recipe("ternary_v5_5", epochs=23, evaluation__every=23)  # measured once, at the end
        start = load_checkpoint(v5_5_file)
        quick_train(recipe, tmp_path / "straight", start=start)
        quick_train(recipe, tmp_path / "stopped", start=start, progress=stopper(22))
        quick_resume(tmp_path / "stopped")
        assert rows_of(tmp_path / "straight") == rows_of(tmp_path / "stopped")
        latest = [RunDirectory(tmp_path / name).checkpoint("latest") for name in ("straight", "stopped")]
        assert latest[0].read_bytes() == latest[1].read_bytes()


class TestFromANativeCheckpoint:
    def test_a_new_run_goes_on_exactly(self, finished_run, small_recipe, quick_train, tmp_path, rows_of):
        start = load_checkpoint(RunDirectory(finished_run).checkpoint(2))
        outcome = quick_train(small_recipe(epochs=3), tmp_path / "new", start=start)
        assert rows_of(tmp_path / "new") == rows_of(finished_run)[2:]
        last = [RunDirectory(place).checkpoint(3) for place in (finished_run, tmp_path / "new")]
        expected, found = map(load_checkpoint, last)
        assert all(torch.equal(found.model[name], expected.model[name]) for name in expected.model)
        assert found.state == expected.state  # with what measuring epoch 2 has changed
        assert outcome.directory.facts()["started_from"].endswith("epoch_2.safetensors")
