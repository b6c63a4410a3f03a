"""The command line as a stranger uses it: what it prints, its exit codes, and one clear line for bad input."""

from __future__ import annotations

import errno
import json
import os
import pickle
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from typer.main import get_command

import ternary_vae
from fault_injection.small_runs import QUICK
from few_draws import SMALL_SPACE
from ternary_vae import cli
from ternary_vae.cli import info, reporting
from ternary_vae.formats import counted
from ternary_vae.recipe import Recipe, load_recipe, recipe_names
from ternary_vae.resolution.criteria import Verdict
from ternary_vae.resolution.records import read_coupled_record
from ternary_vae.storage import files
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.storage.tensor_cache import TensorCache
from ternary_vae.training import loop
from ternary_vae.training.progress import Silent

SHORT = QUICK | {"evaluation.milestones": [2]}
SMALL = SHORT | SMALL_SPACE
SMALL_OPTIONS = [option for key, value in SMALL.items() for option in ("--set", f"{key}={json.dumps(value)}")]
COMMAND = [sys.executable, "-m", "ternary_vae.cli"]
COMMANDS = sorted(get_command(cli.app).commands)
SOURCES = str(Path(cli.__file__).parents[2])
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": SOURCES}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty working directory."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def run(run_command):
    return run_command


@pytest.fixture
def refused(refused, place):
    """As elsewhere, and nothing in the working directory has changed."""

    def call(*arguments):
        before = _content(place)
        line = refused(*arguments)
        assert _content(place) == before
        return line

    return call


@pytest.fixture
def unmeasured(monkeypatch):
    """Leaves out benchmarks and reports, which have tests of their own."""
    train, resume = loop.train, loop.resume
    monkeypatch.setattr(loop, "train", lambda *a, **k: train(*a, **{**k, "benchmark_milestones": False}))
    monkeypatch.setattr(loop, "resume", lambda *a, **k: resume(*a, **{**k, "benchmark_milestones": False}))
    monkeypatch.setattr(reporting, "_write_reports", lambda directory: directory)


@pytest.fixture(scope="session")
def _finished(tmp_path_factory):
    place = tmp_path_factory.mktemp("cli") / "run"
    loop.train(load_recipe("resolution", overrides=SMALL, epochs=2), place, device="cpu", benchmark_milestones=False)
    return place


@pytest.fixture
def finished(_finished, place):
    """Path of a copy of a finished run of two epochs."""
    return shutil.copytree(_finished, place / "finished")


def _content(place):
    return {path: path.read_bytes() if path.is_file() else None for path in place.rglob("*")}


class TestHelp:
    def test_names_every_command(self, run):
        code, out, _ = run("--help")
        assert code == 0
        assert len(COMMANDS) > 10
        for name in COMMANDS:
            assert re.search(rf"^\W*{name}\s{{2,}}\w", out, re.MULTILINE), name

    @pytest.mark.parametrize("command", COMMANDS)
    def test_of_each_command(self, run, command):
        code, out, _ = run(command, "--help")
        assert code == 0
        assert f"ternary-vae {command}" in out

    def test_options_of_train(self, run):
        out = run("train", "--help")[1]
        for option in ("--config", "--seed", "--epochs", "--device", "--run-dir", "--set", "--scale-phases"):
            assert option in out

    def test_without_a_command_help_is_shown(self, run):
        code, out, err = run()
        assert code == 2
        assert "train" in out
        assert err == ""


@pytest.mark.usefixtures("few_draws", "coarse_figures")
def test_a_run_is_benchmarked_with_a_seed_and_reported_and_held_against_what_is_required(run, place):
    recipe = load_recipe("two_valued_two_inputs", overrides=SHORT, epochs=2)
    loop.train(recipe, "run", device="cpu", benchmark_milestones=False)
    checkpoint = Path("run/checkpoints/epoch_2.safetensors")
    code, out, _ = run("benchmark", checkpoint, "-o", "run/benchmarks", "--seed", 5, "--no-cache", "--device", "cpu")
    assert (code, out.splitlines()[-1]) == (0, "records in run/benchmarks")
    assert f"{checkpoint}: epoch 2  " in out
    assert read_coupled_record(Path("run/benchmarks/coupled_resolution_2.json")).header.benchmark_seed == 5
    assert Path("run/benchmarks/manifold_resolution_2.json").exists()
    assert run("benchmark", checkpoint, "-o", "run/benchmarks", "--seed", 6, "--no-cache", "--device", "cpu")[0] == 0
    assert read_coupled_record(Path("run/benchmarks/coupled_resolution_2.json")).header.benchmark_seed == 6
    code, out, _ = run("report", "run", "--require", "stretch")
    assert code == 1  # after two epochs
    verdict = Verdict.model_validate_json(Path("run/reports/verdict.json").read_text())
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if line.startswith("│")]
    assert rows == [
        [line.level, line.name, line.required, line.shown, "met" if line.met else "missed"] for line in verdict.lines
    ]
    assert Path("run/reports/index.html").exists()


_OF_ANOTHER_RUN = r"is a record of another run \('0123', seed 42; this is '\w+', seed \d+\) and is not overwritten"


@pytest.mark.parametrize("output", [None, "elsewhere"])
@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("benchmark", "manifold_resolution_2"),
        ("benchmark", "coupled_resolution_2"),
        ("structure", "structure_2"),
    ],
)
@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("my notes", "not valid JSON; expected a benchmark record, as nothing else is overwritten"),
        ('{"my": "notes"}', "exists and is no benchmark record"),
        ('{"header": {"recipe_fingerprint": "0123", "training_seed": 42}}', _OF_ANOTHER_RUN),
    ],
)
def test_a_record_overwrites_no_file_of_others(
    refused, finished, monkeypatch, tmp_path, output, command, name, content, told
):
    def measured(*_: object, **__: object) -> None:
        raise AssertionError("measured before it was known that nothing may be written")

    monkeypatch.setattr("ternary_vae.resolution.measure.measure_both", measured)
    monkeypatch.setattr("ternary_vae.resolution.structure.measure.measure_structure", measured)
    monkeypatch.chdir(tmp_path)
    path = Path(output or "reports/benchmarks") / f"{name}.json"
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="utf-8")
    options = [] if output is None else ["--output", output]
    line = refused(command, finished / "checkpoints" / "epoch_2.safetensors", *options)
    assert re.search(f"{re.escape(str(path))}: {told}; move it away, or name another place with --output", line)
    assert path.read_text(encoding="utf-8") == content


def test_two_checkpoints_of_an_epoch_would_share_a_record(refused, finished):
    checkpoint = finished / "checkpoints" / "best.safetensors"
    assert "two of the checkpoints are of the same epoch" in refused("benchmark", checkpoint, checkpoint)


def test_stopped_outside_training_is_130(run, monkeypatch):
    def stop():
        raise KeyboardInterrupt

    monkeypatch.setattr(info, "_describe_recipes", stop)
    assert run("info")[0] == 130


def test_the_version(run):
    assert run("--version") == (0, f"ternary-vae {ternary_vae.__version__}\n", "")


class TestImports:
    """Of commands in a process of their own. What a command does not use it need not wait for: torch alone takes more
    than a second. (typer reads the types of a command's options with pydantic, in a twentieth of a second.)"""

    HEAVY = frozenset({"torch", "matplotlib", "scipy", "ternary_vae.training"})

    @pytest.fixture
    def imported(self, place):
        """A function: command lines → the modules that they have imported, all in one process. They end with code 0,
        those of `refused` with 2."""

        def call(*command_lines, refused=()):
            program = (
                "import sys\nfrom ternary_vae import cli\n"
                f"for arguments in {[*command_lines, *refused]!r}:\n"
                "    sys.argv = ['ternary-vae', *arguments]\n"
                "    try:\n        cli.main()\n    except SystemExit as ending:\n"
                f"        assert ending.code == 2 * (arguments in {list(refused)!r}), (arguments, ending.code)\n"
                "print('\\nimported:', *sys.modules)"
            )
            done = subprocess.run(
                [sys.executable, "-c", program], capture_output=True, text=True, env=ENVIRONMENT, cwd=place
            )
            assert done.returncode == 0, done.stderr
            return set(done.stdout.splitlines()[-1].split()[1:])

        return call

    def test_of_help(self, imported):
        heavy = self.HEAVY | {"numpy", "yaml", "ternary_vae.recipe"}
        assert not (heavy | {"pydantic"}) & imported(["--help"])
        assert not heavy & imported(["train", "--help"], ["cache", "--help"], ["experiment", "--help"])

    def test_of_what_only_looks_at_files(self, imported, place):
        cache = place / "models" / "cached_tensors"
        for number in range(2):
            TensorCache(cache).save(f"entry{number}", torch.zeros(2), {"purpose": "a test"})
        commands = [
            ["info"], ["info", "resolution"], ["gate", "SUM"], ["gates", "--where", "sheffer"],
            ["cache", "list"], ["cache", "list", "--json"], ["cache", "show", "entry0"], ["cache", "clear", "entry1"],
            ["cache", "audit"], ["cache", "clean"], ["cache", "clear"],
        ]  # fmt: skip
        with_directory = [[*each, "--cache-dir", str(cache)] if each[0] == "cache" else each for each in commands]
        assert not self.HEAVY & imported(*with_directory, refused=[["train", "--set", "epochs=0"]])
        assert {path.name for path in cache.iterdir()} == {"README.md"}

    def test_of_what_only_looks_at_runs_and_experiments(self, imported, finished):
        assert "torch" not in imported(
            ["info", str(finished)], ["recipe", "7", "1"], ["experiment"], ["experiment", "ablations", "--plan"]
        )

    def test_of_what_computes_without_training(self, imported, place):
        computed = imported(
            ["cache", "build", "--operations"], refused=[["benchmark", "absent.pt"], ["cache", "build", "absent.pt"]]
        )
        assert "torch" in computed
        assert not {"ternary_vae.training", "scipy.stats"} & computed  # which takes as long as torch


class TestInfo:
    def test_overview_names_every_recipe_and_the_default(self, run):
        code, out, _ = run("info")
        assert code == 0
        assert all(name in out for name in recipe_names())
        assert "resolution (default)" in out

    @pytest.mark.parametrize("name", recipe_names())
    def test_a_recipe_in_full(self, run, name):
        code, out, _ = run("info", name)
        assert code == 0
        assert Recipe.model_validate(yaml.safe_load(out)) == load_recipe(name)

    def test_a_recipe_file_and_a_change(self, run, place):
        (place / "mine.yaml").write_text("extends: ternary_v5_5\nname: mine\noptimizer: {batch_size: 32}\n")
        code, out, _ = run("info", "mine.yaml", "--set", "optimizer.weight_decay=1e-3")
        shown = yaml.safe_load(out)
        assert code == 0
        assert shown["optimizer"]["batch_size"] == 32
        assert shown["optimizer"]["weight_decay"] == 1e-3
        assert shown["epochs"] == 400

    def test_a_run(self, run, finished):
        code, out, _ = run("info", finished)
        assert code == 0
        assert "epochs completed: 2" in out
        assert "status: completed" in out
        assert f"environment: python {platform.python_version()}, torch {torch.__version__}, platform " in out
        assert "None" not in out.partition("\n\n")[0]
        assert yaml.safe_load(out.partition("\n\n")[2])["optimizer"]["batch_size"] == 512

    def test_a_checkpoint(self, run, finished):
        code, out, _ = run("info", finished / "checkpoints" / "best.safetensors")
        assert code == 0
        first = out.splitlines()[0]
        assert "native checkpoint, epoch " in first
        assert "96,260 parameters" in first
        assert yaml.safe_load(out.partition("\n\n")[2])["name"] == "resolution"

    def test_an_untrained_checkpoint(self, run, finished):
        code, out, _ = run("info", finished / "checkpoints" / "epoch_0.safetensors")
        assert code == 0
        assert "0 epochs completed, ρ 0.000" in out


class TestBadInput:
    def test_unknown_recipe_names_the_nearest(self, refused):
        assert "unknown recipe 'resolutoin'; did you mean 'resolution'?" in refused("train", "--config", "resolutoin")

    def test_missing_recipe_file(self, refused):
        assert "'gone.yaml' not found" in refused("train", "--config", "gone.yaml")

    def test_unknown_key_names_the_nearest(self, refused):
        line = refused("train", "--set", "optimizer.batchsize=64")
        assert "unknown key 'optimizer.batchsize'; did you mean 'batch_size'?" in line

    @pytest.mark.parametrize(
        ("setting", "named"),
        [
            ("optimizer.batch_size=0", "optimizer.batch_size"),
            ("optimizer.batch_size=many", "optimizer.batch_size"),
            ("data.train_share=1.5", "data.train_share"),
            ("permeability.max=-0.1", "permeability.max"),
            ("optimizer.gradient_clip=.nan", "optimizer.gradient_clip"),
            ("model.injection=sometimes", "model.injection"),
        ],
    )
    def test_value_out_of_range(self, refused, setting, named):
        assert f"{named}: " in refused("train", "--set", setting)

    @pytest.mark.parametrize("setting", ["permeability.max_step=null", "objective.uniformity.strength=1.0"])
    def test_settings_that_are_none_any_more(self, refused, setting):
        named = ".".join(setting.partition("=")[0].split(".")[:2])
        assert f"{named} is no setting any more; leave it out, or use commit " in refused("train", "--set", setting)

    @pytest.mark.parametrize("setting", ["nonsense", "=3", "optimizer.batch_size", "a=[1"])
    def test_settings_that_are_none(self, refused, setting):
        assert "--set" in refused("train", "--set", setting)

    def test_phases_out_of_order(self, refused, place):
        (place / "wild.yaml").write_text(
            "extends: resolution\nname: wild\nphases:\n  phase_2: {epochs: [50, 120], rho: 0.2}\n"
        )
        assert "phases out of order: phase_2 starts at 50, not at 40" in refused("train", "--config", "wild.yaml")

    def test_not_yaml(self, refused, place):
        (place / "broken.yaml").write_text("name: [unclosed\n")
        assert "not valid YAML at line" in refused("train", "--config", "broken.yaml")

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["--epochs", "0"], "--epochs 0: expected a whole number from 1 to "),
            (["--epochs", "-3"], "--epochs -3: expected a whole number from 1 to "),
            (["--seed", "-1"], "Invalid value for '--seed': "),
            (["--seed", str(2**32)], "Invalid value for '--seed': "),
        ],
    )
    def test_numbers_out_of_range(self, refused, arguments, says):
        assert says in refused("train", *arguments)

    def test_scaling_to_no_length(self, refused):
        assert "--scale-phases: needs --epochs" in refused("train", "--scale-phases")

    def test_scaling_to_too_few_epochs(self, refused):
        assert "epochs: 2 are too few for four phases; give 6" in refused("train", "--scale-phases", "--epochs", "2")

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here")
    @pytest.mark.parametrize("command", [["train"], ["resume", "finished"], ["benchmark", "finished"]])
    def test_no_cuda(self, refused, finished, command):
        assert "no CUDA" in refused(*command, "--device", "cuda")

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["train", "--device", "gpu"], "--device 'gpu': expected auto, cpu, cuda or cuda:N, such as cuda:1"),
            (["train", "--epoch-count", "3"], "--epoch-count"),
            (["train", "--epochs", "many"], "Invalid value for '--epochs'"),
            (["train", "resolution"], "see ternary-vae train --help"),
            (["benchmark"], "Missing argument"),
            (["experiment", "ablations", "--device", "gpu"], "--device 'gpu': expected auto"),
            (["cache", "bild"], "see ternary-vae cache --help"),
            (["trian"], "No such command 'trian'"),
        ],
    )
    def test_a_command_line_that_cannot_be(self, refused, arguments, says):
        assert says in refused(*arguments)

    def test_a_reader_that_has_seen_enough(self, place):
        process = subprocess.run(
            f"{' '.join(map(shlex.quote, COMMAND))} info resolution | head -n 1",
            shell=True, capture_output=True, text=True, env=ENVIRONMENT,
        )  # fmt: skip
        assert (process.stdout, process.stderr) == ("name: resolution\n", "")

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
    def test_no_room_for_the_output(self):
        with open("/dev/full", "w") as full:
            process = subprocess.run(
                [*COMMAND, "info", "resolution"], stdout=full, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
            )
        assert process.returncode == 2
        assert process.stderr == "ternary-vae: [Errno 28] No space left on device: 'standard output'\n"

    def test_a_directory_that_holds_another_run(self, refused, finished):
        line = refused("train", "--config", "ternary_v5_5", "--run-dir", finished)
        assert "already holds a run of 'resolution'" in line
        assert "every epoch saved is kept" not in line  # which is said of a disk that is full
        assert f"ternary-vae resume {finished}" in line

    def test_a_directory_that_another_process_trains_in(self, refused, finished):
        with RunDirectory(finished).held():
            for arguments in (["resume", finished, "--epochs", "9"], ["train", "--run-dir", finished]):
                assert "is training in it; let it finish, or stop it first" in refused(*arguments)

    def test_a_directory_that_holds_something_else(self, refused, place):
        (place / "papers").mkdir()
        (place / "papers" / "thesis.tex").write_text("precious")
        assert "papers: is not empty and holds no run" in refused("train", "--run-dir", "papers")
        (place / "file").write_text("x")
        for name in ("file", "file/below"):
            assert f"cannot write {name}: a part of the path is a file" in refused("train", "--run-dir", name)

    def test_a_name_that_no_file_system_takes(self, refused):
        name = "x" * 300
        for arguments in (["train", "--run-dir", name], ["resume", name], ["info", f"{name}.pt"], ["report", name]):
            assert f"{os.strerror(errno.ENAMETOOLONG)}: '{name}" in refused(*arguments)

    @pytest.mark.parametrize(
        ("command", "measures"),
        [("benchmark", "measure.measure_both"), ("structure", "structure.measure.measure_structure")],
    )
    def test_an_output_that_cannot_be_written_is_told_before_anything_is_measured(
        self, refused, finished, place, monkeypatch, command, measures
    ):
        def measured(*_: object, **__: object) -> None:
            raise AssertionError("measured before it was known that nothing can be written")

        monkeypatch.setattr(f"ternary_vae.resolution.{measures}", measured)
        (place / "file").write_text("x")
        checkpoint = finished / "checkpoints" / "epoch_2.safetensors"
        assert "is a file, not a directory" in refused(command, checkpoint, "--output", "file/below")

    def test_nothing_to_resume(self, refused, place):
        assert "not found" in refused("resume", "gone")
        (place / "empty").mkdir()
        assert "holds no run" in refused("resume", "empty")
        assert "holds no run" in refused("info", "empty")

    def test_what_info_would_leave_unread(self, refused, finished):
        for target in ([], [finished]):
            assert "info --set: changes a recipe that is named" in refused("info", *target, "--set", "seed=3")

    def test_a_directory_called_like_a_recipe_hides_none(self, run, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "resolution").mkdir()
        assert run("info", "resolution")[1].startswith("name: resolution\n")

    def test_a_run_goes_on_as_it_is(self, refused, finished):
        for option in (["--config", "resolution"], ["--set", "seed=3"], ["--run-dir", "new"]):
            assert "a run goes on with its own recipe" in refused("resume", finished, *option)
        assert "2 epochs are done" in refused("resume", finished, "--epochs", "1")

    def test_a_checkpoint_needs_something_to_do(self, refused, finished):
        latest = finished / "checkpoints" / "latest.safetensors"
        assert "give more --epochs" in refused("resume", latest)
        assert "--config" in refused("resume", latest, "--set", "optimizer.batch_size=8")
        line = refused("resume", latest, "--config", "ternary_v5_5", *SMALL_OPTIONS)
        assert "cannot be trained on with recipe 'ternary_v5_5'" in line


class _Malicious:
    """Pickled, it would make a directory when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("harmed",)


class TestBadCheckpoints:
    """Missing, truncated, foreign, malicious: for every command that reads one."""

    @pytest.fixture(params=["resume", "info", "benchmark"])
    def command(self, request):
        return request.param

    def test_missing(self, refused, command):
        assert "not found; expected" in refused(command, "gone.safetensors")
        assert "not found; expected" in refused(command, "gone.pt")

    def test_truncated(self, refused, finished, place, command):
        whole = (finished / "checkpoints" / "latest.safetensors").read_bytes()
        for length in (0, 7, 100, len(whole) - 1):
            (place / "cut.safetensors").write_bytes(whole[:length])
            assert "truncated or not a checkpoint" in refused(command, "cut.safetensors")

    def test_foreign(self, refused, place, command):
        from safetensors.torch import save_file

        save_file({"weight": torch.zeros(3)}, place / "other.safetensors")
        assert "another program" in refused(command, "other.safetensors")
        torch.save({"state_dict": {"weight": torch.zeros(3)}}, place / "other.pt")
        assert "another program" in refused(command, "other.pt")
        (place / "text.pt").write_text("hello")
        assert "text.pt: truncated or not a torch file; expected a v5.5 checkpoint" in refused(command, "text.pt")

    def test_malicious(self, refused, place, command):
        torch.save({"epoch": 3, "model": _Malicious()}, place / "evil.pt")
        assert "could run code" in refused(command, "evil.pt")
        (place / "evil2.pt").write_bytes(pickle.dumps({"epoch": 3, "model": _Malicious()}))
        assert "evil2.pt: refused, it is damaged or holds more than tensors and" in refused(command, "evil2.pt")
        assert not (place / "harmed").exists()

    def test_weights_that_are_not_finite(self, refused, finished, place, command):
        from ternary_vae.storage.checkpoints import load_checkpoint, save_checkpoint

        checkpoint = load_checkpoint(finished / "checkpoints" / "epoch_0.safetensors")
        checkpoint.model["decoder_B.fc_out.bias"][0] = float("inf")
        save_checkpoint(place / "burnt.safetensors", checkpoint)
        assert "NaN or infinity" in refused(command, "burnt.safetensors")


class TestNoDiskSpace:
    def test_nothing_is_left_behind(self, refused, monkeypatch):
        def full(_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        line = refused("train", "--run-dir", "new")
        assert "no space left on the disk; make room for it" in line

    @pytest.mark.skipif(os.name != "posix", reason="resource limits")
    def test_a_limit_of_the_system(self, refused, place):
        """A real refusal of the system: no file may grow beyond 100 kB, and a checkpoint is larger."""
        import resource

        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        try:
            line = refused("train", "--run-dir", "new", "--epochs", "1", "--device", "cpu", *SMALL_OPTIONS)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert "cannot write" in line
        assert list(place.iterdir()) == []


class TestTrainAndResume:
    """In this process, without benchmarks and reports."""

    def test_default_place_and_lines(self, run, place, unmeasured):
        code, out, err = run("train", "--epochs", "2", "--seed", "7", "--device", "cpu", *SMALL_OPTIONS)
        assert (code, err) == (0, "")
        directory = RunDirectory(place / "runs" / "resolution-seed7")
        assert directory.facts()["status"] == "completed"
        assert directory.facts()["seed"] == 7
        assert [row["epoch"] for row in directory.metrics()] == [1, 2]
        assert "epoch   2/2" in out
        assert "coverage" in out
        again = run("train", "--epochs", "1", "--seed", "7", "--device", "cpu", *SMALL_OPTIONS)
        assert again[0] == 0
        assert {path.name for path in (place / "runs").iterdir()} == {"resolution-seed7", "resolution-seed7-2"}

    def test_scaled_phases(self, run, place, unmeasured):
        changes = ["--set", "evaluation.every=10"]
        arguments = ["--epochs", "10", "--scale-phases", "--run-dir", "short", "--device", "cpu"]
        assert run("train", *arguments, *SMALL_OPTIONS, *changes)[0] == 0
        rows = RunDirectory(place / "short").metrics()
        assert {row["phase"] for row in rows} == {1, 2, 3, 4}

    def test_extending_a_run(self, run, finished, unmeasured):
        assert run("resume", finished, "--epochs", "3", "--device", "cpu")[0] == 0
        directory = RunDirectory(finished)
        assert [row["epoch"] for row in directory.metrics()] == [1, 2, 3]

    def test_a_new_run_from_a_checkpoint(self, run, finished, place, unmeasured):
        code, _, err = run(
            "resume", finished / "checkpoints" / "latest.safetensors", "--epochs", "3", "--device", "cpu"
        )
        assert (code, err) == (0, "")
        directory = RunDirectory(place / "runs" / "resolution-from-latest")
        assert [row["epoch"] for row in directory.metrics()] == [3]
        assert directory.recipe().optimizer.batch_size == 512

    def test_with_another_recipe(self, run, finished, place, unmeasured):
        checkpoint = finished / "checkpoints" / "latest.safetensors"
        arguments = ["--config", "resolution", "--epochs", "3", "--run-dir", "warm", "--device", "cpu"]
        assert run("resume", checkpoint, *arguments, *SMALL_OPTIONS, "--set", "optimizer.batch_size=256")[0] == 0
        assert RunDirectory(place / "warm").recipe().optimizer.batch_size == 256

    @pytest.mark.parametrize("cores", [1, 2])
    def test_a_stop_says_how_to_go_on(self, run, place, unmeasured, monkeypatch, cores):
        class AfterTheFirst(Silent):
            """After the first and the third; with another core the next is under way by then."""

            def epoch(self, row):
                if row["epoch"] in (1, 3):
                    signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(loop, "watcher", lambda progress: AfterTheFirst())
        torch.set_num_threads(cores)
        arguments = ["--epochs", "5", "--run-dir", "my run", "--device", "cpu"]
        code, out, _ = run("train", *arguments, *SMALL_OPTIONS)
        assert code == 130
        assert f"stopped after {counted(cores, 'epoch')}, all saved; go on with: ternary-vae resume 'my run'" in out
        code, out, _ = run("resume", "my run", "--device", "cpu")
        assert code == 130
        assert f"stopped after {2 + cores} epochs" in out

    def test_the_last_lines_say_what_to_do_next(self, run, finished, unmeasured):
        RunDirectory(finished).checkpoint("best").unlink()  # as of a run without an evaluation
        code, out, _ = run("resume", finished)
        page, model = out.splitlines()[-2:]
        assert code == 0
        assert page == f"open the page: {(finished / 'reports' / 'index.html').resolve().as_uri()}"
        names = {"ternary_vae": ternary_vae}
        exec(model.partition(": ")[2], names)
        assert isinstance(names["model"], ternary_vae.DualVAE)

    def test_a_run_that_was_stopped_can_be_looked_at(self, run, finished, unmeasured, monkeypatch):
        resume = loop.resume
        monkeypatch.setattr(loop, "resume", lambda *a, **k: replace(resume(*a, **k), status="interrupted"))
        code, out, _ = run("resume", finished)
        assert (code, "see what there is" in out) == (130, False)
        (finished / "benchmarks").mkdir()
        (finished / "benchmarks" / "coupled_resolution_2.json").write_text("{}")
        seen, last = run("resume", finished)[1].splitlines()[-2:]
        assert seen == f"see what there is: ternary-vae report {finished}"
        assert last.endswith(f"go on with: ternary-vae resume {finished}")

    def test_stopped_while_reports_are_written(self, run, finished, unmeasured, monkeypatch):
        monkeypatch.setattr(reporting, "_write_reports", lambda _: signal.raise_signal(signal.SIGTERM))
        code, out, _ = run("resume", finished, "--device", "cpu")
        assert code == 130
        assert f"go on with: ternary-vae resume {finished}" in out

    def test_a_full_disk_says_how_to_go_on(self, run, finished, unmeasured, monkeypatch):
        def fail(directory):
            with files.reported("write", directory.reports / "index.html"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(reporting, "_write_reports", fail)
        code, _, err = run("resume", finished, "--device", "cpu")
        assert code == 2
        assert err == (
            f"ternary-vae: cannot write {finished}/reports/index.html: no space left on the disk; make room for it; "
            f"every epoch saved is kept; go on with: ternary-vae resume {finished}\n"
        )

    def test_stopped_before_there_is_a_run(self, run, place, unmeasured, monkeypatch):
        monkeypatch.setattr(loop, "Trainer", lambda *_: signal.raise_signal(signal.SIGTERM))
        code, out, _ = run("train", "--run-dir", "new", *SMALL_OPTIONS)
        assert code == 130
        assert "nothing was written" in out
        assert list(place.iterdir()) == []


class TestRequire:
    """Exit code 1 unless a level of the success criteria is met, so that CI can gate on it."""

    @pytest.mark.parametrize(
        ("required", "level", "own_met", "code"),
        [
            ("minimum", "none", False, 1),
            ("minimum", "minimum", False, 0),
            ("minimum", "stretch", False, 0),
            ("target", "minimum", True, 1),
            ("stretch", "stretch", False, 0),
            ("own", "stretch", False, 1),
            ("own", "none", True, 0),
        ],
    )
    def test_levels(self, run, finished, unmeasured, monkeypatch, required, level, own_met, code):
        verdict = type("Verdict", (), {"level": level, "own_met": own_met})()
        monkeypatch.setattr(reporting, "_write_reports", lambda _: verdict)
        actual, _, err = run("resume", finished, "--require", required, "--device", "cpu")
        assert actual == code
        assert (f"level '{required}' is not met" in err) == bool(code)


# No benchmark of a milestone holds it up.
ENDLESS = ["train", "--run-dir", "run", "--epochs", "100000", "--device", "cpu", *SMALL_OPTIONS]
ENDLESS += ["--set", "evaluation.milestones=[100000]"]


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_signal_to_the_real_program(place):
    """Stopped by Ctrl-C alone in the middle of an endless run; then resumed as its last line says."""
    process = subprocess.Popen(
        [*COMMAND, *ENDLESS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, cwd=place
    )
    try:
        while not (place / "run" / "metrics.jsonl").exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    finally:
        process.kill()
    assert process.returncode == 130
    assert err == ""
    last = out.splitlines()[-1]
    assert last.endswith("go on with: ternary-vae resume run")
    it_goes_on_after(last, RunDirectory(place / "run"))


def it_goes_on_after(last, directory):
    """What a run said when it was stopped is so, and another epoch completes it."""
    done = len(directory.metrics())
    assert f"stopped after {counted(done, 'epoch')}, all saved" in last
    assert directory.facts()["status"] == "interrupted"
    outcome = loop.resume(directory, device="cpu", epochs=done + 1, benchmark_milestones=False)
    assert (outcome.status, outcome.epochs_completed) == ("completed", done + 1)


@pytest.mark.skipif(os.name != "posix", reason="pipes and signals")
def test_a_background_job_whose_reader_leaves(place):
    """Ctrl-C is ignored in it and stays so; its training does not end with `head`, and is stopped by SIGTERM."""
    process = subprocess.Popen(
        [*COMMAND, *ENDLESS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, cwd=place,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )  # fmt: skip
    try:
        assert process.stdout.readline().startswith("resolution, seed 42")
        process.stdout.close()
        assert process.stderr.readline() == (
            "ternary-vae: nobody reads the output any more; the run in run goes on without it\n"
        )
        process.send_signal(signal.SIGINT)
        before = len(RunDirectory(place / "run").metrics())
        while len(RunDirectory(place / "run").metrics()) < before + 2:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read().splitlines()
        process.stderr.close()
        assert process.wait() == 130
    finally:
        process.kill()
    assert len(said) == 1
    assert said[0].endswith("all saved; go on with: ternary-vae resume run")
    it_goes_on_after(said[0], RunDirectory(place / "run"))
