"""Where the program may find itself: odd variables, users and systems, and files of any name."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fault_injection.small_runs import QUICK
from few_draws import SMALL_SPACE
from ternary_vae import cli
from ternary_vae.cli import info, training
from ternary_vae.recipe import load_recipe
from ternary_vae.storage.checkpoints import load_checkpoint
from ternary_vae.storage.files import append_json_line, read_json, read_json_lines, write_json, write_text
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.training import loop

SMALL = QUICK | SMALL_SPACE | {"evaluation.milestones": [1]}
SOURCES = str(Path(cli.__file__).parents[2])
NOT_UTF_8 = "caf\udce9"
COMMANDS = """
def run(*arguments):
    sys.argv = ["ternary-vae", *arguments]
    try:
        cli.main()
    except SystemExit as ending:
        assert not ending.code, arguments
    sys.stdout.flush()
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of one epoch without benchmarks. Shared: do not write into it."""
    place = tmp_path_factory.mktemp("surroundings") / "run"
    loop.train(load_recipe(overrides=SMALL, epochs=1), place, device="cpu", benchmark_milestones=False)
    return place


@pytest.fixture
def run(monkeypatch, capsysbinary):
    """A function: arguments → (exit code, standard output, standard error), through the real entry point."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["ternary-vae", *map(str, arguments)])
        before = signal.getsignal(signal.SIGTERM)
        try:
            with pytest.raises(SystemExit) as ending:
                cli.main()
        finally:
            signal.signal(signal.SIGTERM, before)
        return ending.value.code, *(text.decode(errors="surrogateescape") for text in capsysbinary.readouterr())

    return call


def program(text, place, **environment):
    """Runs a program in a process of its own, from a directory, with some variables (None: unset)."""
    variables = {**os.environ, "PYTHONPATH": SOURCES, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(
        [sys.executable, "-c", text],
        cwd=place, capture_output=True, env={name: value for name, value in variables.items() if value is not None},
    )  # fmt: skip


def test_odd_variables_a_user_without_an_account_and_no_temporary_directory(trained, tmp_path):
    done = program(
        f"""
import os, pwd, sys, tempfile
def unknown(*_):
    raise KeyError("no such user")
pwd.getpwuid = pwd.getpwnam = unknown
tempfile._candidate_tempdir_list = lambda: ["/nonexistent"]
from ternary_vae import cli
{COMMANDS}
run("--help"), run("train", "--help"), run("info"), run("info", "resolution"), run("info", {str(trained)!r})
run("cache", "audit"), run("cache", "list"), run("experiment")
""",
        tmp_path,
        PYTHONIOENCODING="latin-1", TERMINAL_WIDTH="abc", COLUMNS="0", LINES="²", TERM="nonsense", FORCE_COLOR="x",
        HOME=None, USER=None, LOGNAME=None, USERNAME=None, LNAME=None, TMPDIR=None,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")


OF_EXTRAS = ("ternary_vae.pretrained.hub", "ternary_vae.pretrained.transformer")
"""Modules that import what is not installed with the package, and which may warn of such a system in its own words."""


def test_a_system_without_locks_accounts_links_and_proc(trained, tmp_path):
    """As on Windows and macOS: whole modules are missing, functions, signals, and all that lies in /proc."""
    done = program(
        f"""
import builtins, importlib, os, pkgutil, signal, sys
sys.modules.update(dict.fromkeys(("fcntl", "pwd", "grp", "resource"), None))
for name in ("fork", "link", "getuid", "geteuid", "O_CLOEXEC", "setsid", "killpg"):
    delattr(os, name)
for name in ("SIGHUP", "SIGPIPE", "SIGKILL", "SIGUSR1"):
    delattr(signal, name)
opened = builtins.open
def without_proc(file, *rest, **options):
    if str(file).startswith("/proc/"):
        raise FileNotFoundError(2, "No such file or directory", file)
    return opened(file, *rest, **options)
builtins.open = without_proc
import ternary_vae
for module in pkgutil.walk_packages(ternary_vae.__path__, "ternary_vae."):
    if module.name not in {OF_EXTRAS!r}:
        importlib.import_module(module.name)
from ternary_vae import cli, load_recipe, train
from ternary_vae.training import loop
{COMMANDS}
train(load_recipe(overrides={SMALL!r}, epochs=1), "r", device="cpu", benchmark_milestones=False)
loop.resume("r", epochs=2, benchmark_milestones=False)
run("cache", "build", "--operations"), run("cache", "list"), run("cache", "audit")
""",
        tmp_path,
        USER=None, LOGNAME=None, LNAME=None, USERNAME=None, TERNARY_VAE_CACHE_DIR=None,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(RunDirectory(tmp_path / "r").metrics()) == 2


class TestNamesThatAreNotUtf8:
    @pytest.fixture(autouse=True)
    def _possible(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        try:
            (tmp_path / NOT_UTF_8).mkdir()
        except (OSError, UnicodeEncodeError):
            pytest.skip("no such names here")

    def test_files_are_utf_8_and_json_gives_the_name_back(self, tmp_path):
        write_json(tmp_path / "one.json", {"path": NOT_UTF_8})
        append_json_line(tmp_path / "lines.jsonl", {"path": NOT_UTF_8})
        write_text(tmp_path / "text.md", NOT_UTF_8)
        assert read_json(tmp_path / "one.json") == {"path": NOT_UTF_8}
        assert read_json_lines(tmp_path / "lines.jsonl") == [{"path": NOT_UTF_8}]
        assert (tmp_path / "text.md").read_text(encoding="utf-8") == "caf\\udce9"

    def test_a_run_from_such_a_checkpoint(self, trained, tmp_path):
        """Killed before its first checkpoint, it reads from its description where it starts."""
        copy = tmp_path / NOT_UTF_8 / "epoch_1.safetensors"
        copy.write_bytes(RunDirectory(trained).checkpoint(1).read_bytes())
        start = load_checkpoint(copy)
        recipe = start.recipe.model_copy(update={"epochs": 2})
        loop.train(recipe, "new", device="cpu", start=start, benchmark_milestones=False)
        run = RunDirectory("new")
        assert run.facts()["started_from"] == str(copy)
        for path in [run.metrics_file, *run.checkpoints.iterdir()]:
            path.unlink()
        loop.resume(run, benchmark_milestones=False)
        assert [row["epoch"] for row in run.metrics()] == [2]

    def test_a_run_an_experiment_and_a_cache_of_such_a_name_are_one_line(self, run, trained, tmp_path):
        """TensorBoard and safetensors cannot open them."""
        (tmp_path / NOT_UTF_8).rmdir()
        recipe, place = tmp_path / "recipe.yaml", tmp_path / "experiment.yaml"
        recipe.write_text(load_recipe(overrides=SMALL, epochs=1).to_yaml())
        place.write_text("name: e\nrecipes: [recipe.yaml]\nmilestones: [1]\nbenchmarks: none\nseeds: [1]\n")
        before = sorted(tmp_path.iterdir())
        for arguments in (
            ("train", "--config", recipe, "--run-dir", NOT_UTF_8),
            ("experiment", place, "--directory", NOT_UTF_8),
            ("cache", "list", "--cache-dir", NOT_UTF_8),
        ):
            code, _, message = run(*arguments)
            assert (code, message.count("\n")) == (2, 1), message
            assert "is not UTF-8" in message
            assert sorted(tmp_path.iterdir()) == before

    def test_such_a_run_can_be_looked_at(self, run, trained, tmp_path):
        copy = tmp_path / NOT_UTF_8 / "run"
        shutil.copytree(trained, copy)
        assert run("info", copy)[0] == 0
        assert run("info", copy / "checkpoints/latest.safetensors")[0] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["info", ""], ["train", "--run-dir", ""], ["train", "--config="], ["benchmark", ""], ["compare", "", "."],
        ["experiment", ""], ["experiment", "ten_seeds", "-d", ""], ["cache", "show", ""], ["cache", "clear", ""],
        ["cache", "list", "--cache-dir", ""], ["resume", ""], ["report", ""],
    ],
)  # fmt: skip
def test_an_empty_argument_is_one_line(run, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    code, out, message = run(*arguments)
    assert (code, out, message.count("\n")) == (2, "", 1)
    assert "is empty" in message or "has no value" in message
    assert list(tmp_path.iterdir()) == []


def test_a_command_to_go_on_with_can_be_copied(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert training._how_to_resume(RunDirectory("-a 'run'")).endswith("""resume './-a '"'"'run'"'"''""")


def test_without_a_place_for_temporary_files_one_line_says_what_to_do(run, monkeypatch):
    """Raised by Python for whoever asks, torch among them, before anything is written."""

    def nowhere():
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(info, "_describe_recipes", nowhere)
    code, _, said = run("info")
    assert code == 2
    assert said.count("\n") == 1
    assert said.endswith("; set TMPDIR to one that can be written\n")
