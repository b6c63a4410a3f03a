"""A run's directory: made once, owned by one run, read back as written."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from ternary_vae import __version__
from ternary_vae.errors import UserError
from ternary_vae.recipe import load_recipe
from ternary_vae.storage import runs
from ternary_vae.storage.files import append_json_line
from ternary_vae.storage.runs import RunDirectory, code_version, environment


@pytest.fixture
def recipe():
    return load_recipe("ternary_v5_5_early_rho", seed=7)


@pytest.fixture
def run(tmp_path, recipe):
    directory = RunDirectory(tmp_path / "runs" / "mine")
    directory.create(recipe, {"status": "running", "device": "cpu"})
    return directory


def test_naming_a_directory_touches_nothing(tmp_path):
    run = RunDirectory(tmp_path / "runs")
    assert not run.exists
    assert run.metrics() == run.events() == []
    assert os.listdir(tmp_path) == []


def test_paths(tmp_path):
    run = RunDirectory(str(tmp_path))
    assert repr(run) == f"RunDirectory({str(tmp_path)!r})"
    assert run.checkpoint(120) == tmp_path / "checkpoints" / "epoch_120.safetensors"
    assert run.checkpoint("latest") == tmp_path / "checkpoints" / "latest.safetensors"
    assert run.isolated_record(3) == tmp_path / "benchmarks" / "manifold_resolution_3.json"
    assert run.coupled_record(3) == tmp_path / "benchmarks" / "coupled_resolution_3.json"


def test_what_the_run_is(run, recipe):
    assert run.exists
    facts = run.facts()
    assert facts == {
        "recipe": "ternary_v5_5_early_rho",
        "fingerprint": recipe.fingerprint(),
        "seed": 7,
        "epochs": 400,
        "code_version": code_version(),
        "status": "running",
        "device": "cpu",
    }
    assert run.recipe() == recipe
    assert sorted(os.listdir(run.path)) == ["recipe.yaml", "run.json"]


def test_entries_can_be_changed_and_the_others_stay(run, recipe):
    longer = recipe.model_copy(update={"epochs": 500})
    before = run.facts()
    run.update({"status": "completed", "epochs": 500}, longer)
    assert run.facts() == before | {"status": "completed", "epochs": 500}
    assert run.recipe() == longer


def test_an_empty_directory_may_become_a_run(tmp_path, recipe):
    (tmp_path / "empty").mkdir()
    RunDirectory(tmp_path / "empty").create(recipe, {})
    assert RunDirectory(tmp_path / "empty").recipe() == recipe


def test_a_directory_is_cleared_but_for_its_lease_and_no_link_is_followed(run, tmp_path):
    (tmp_path / "thesis.tex").write_text("do not lose me")
    with run.held():
        append_json_line(run.metrics_file, {"epoch": 1})
        run.checkpoints.mkdir()
        run.checkpoint(3).write_text("")
        (run.path / "link").symlink_to(tmp_path)
        run.clear()
        assert os.listdir(run.path) == [run.lock_file.name]
    assert contents(tmp_path) == {"thesis.tex": b"do not lose me"}


def test_one_process_at_a_time(run, recipe):
    before = contents(run.path)
    with run.held():
        again = RunDirectory(run.path).held()
        with pytest.raises(UserError, match=rf"process {os.getpid()} on .* is training in it; let it finish"), again:
            raise AssertionError("held twice")
        assert contents(run.path).keys() == before.keys() | {"run.lock"}
    assert contents(run.path) == before
    with RunDirectory(run.path).held():  # nothing is left of the first
        pass


def test_a_directory_made_for_a_run_goes_with_a_run_that_never_began(tmp_path, recipe):
    run = RunDirectory(tmp_path / "runs" / "mine")
    with run.held():
        assert run.entries() == []
    assert os.listdir(tmp_path) == []
    with run.held():
        run.create(recipe, {})
    assert run.recipe() == recipe
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="a part of the path is a file"), RunDirectory(tmp_path / "file").held():
        raise AssertionError("held a file")


HOLDER = """
import sys
from ternary_vae.storage.runs import RunDirectory
with RunDirectory(sys.argv[1]).held():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_dies_with_its_process(run, recipe):
    """However that dies."""
    command, pipe = [sys.executable, "-c", HOLDER, str(run.path)], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(UserError, match=rf"process {holder.pid} on "), run.held():
                raise AssertionError("held twice")
        finally:
            holder.kill()
    assert run.lock_file.exists()
    with run.held():
        pass
    assert not run.lock_file.exists()


def test_what_a_killed_process_left_does_not_stop_a_new_run(tmp_path, recipe):
    run = RunDirectory(tmp_path / "mine")
    run.path.mkdir()
    run.lock_file.write_text("process 1 on elsewhere\n")
    os.utime(run.lock_file, (0, 0))
    with run.held():
        run.create(recipe, {})
    assert run.exists


def contents(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def test_a_directory_that_holds_a_run_is_left_alone(run, recipe):
    before = contents(run.path)
    with pytest.raises(UserError, match=r"already holds a run of 'ternary_v5_5_early_rho'.*resume"):
        RunDirectory(run.path).create(load_recipe("ternary_v5_5"), {})
    assert contents(run.path) == before


def test_a_directory_that_holds_anything_else_is_left_alone(tmp_path, recipe):
    (tmp_path / "thesis.tex").write_text("do not lose me")
    with pytest.raises(UserError, match="is not empty and holds no run"):
        RunDirectory(tmp_path).create(recipe, {})
    with pytest.raises(UserError, match="is not empty and holds no run"):
        RunDirectory(tmp_path / "thesis.tex").create(recipe, {})
    assert contents(tmp_path) == {"thesis.tex": b"do not lose me"}


def test_no_run_where_one_is_expected(tmp_path):
    for read in (RunDirectory(tmp_path).facts, RunDirectory(tmp_path / "none").recipe):
        with pytest.raises(UserError, match="holds no run"):
            read()


@pytest.mark.parametrize("content", ["", "{", "[1]", "3"])
def test_a_damaged_description(run, recipe, content):
    run.run_file.write_text(content)
    with pytest.raises(UserError, match=r"run\.json"):
        run.facts()
    with pytest.raises(UserError, match=r"run\.json"):
        run.create(recipe, {})


@pytest.mark.parametrize(
    "content", [b"name: [", b"\xff", b"", b"name: x\nbeta: {end: -1}\n", b"name: x\nseed: 2024-13-45\n"]
)
def test_a_damaged_recipe(run, content):
    run.recipe_file.write_bytes(content)
    with pytest.raises(UserError, match=r"recipe\.yaml"):
        run.recipe()


def test_a_lost_recipe(run):
    run.recipe_file.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        run.recipe()


def test_no_space_for_a_new_run(tmp_path, recipe, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match="no space left"):
        RunDirectory(tmp_path / "run").create(recipe, {})
    monkeypatch.undo()
    RunDirectory(tmp_path / "run").create(recipe, {})  # the same command works once there is room


def test_rows_are_read_in_order(run):
    for epoch in (1, 2, 3):
        append_json_line(run.metrics_file, {"epoch": epoch})
    append_json_line(run.events_file, {"epoch": 2, "kind": "guard"})
    assert [row["epoch"] for row in run.metrics()] == [1, 2, 3]
    assert run.events() == [{"epoch": 2, "kind": "guard"}]
    run.metrics_file.write_text('{"epoch": 0}\n')
    with pytest.raises(UserError, match="row 1: epoch 0, where one after 0 is expected"):
        run.metrics()


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"exact_match_a": True}, "exact_match_a is True, not a number"),
        ({"coverage": "all"}, "coverage is 'all', not a number"),
        ({"rho": {}}, "rho is {}, not a number"),
        ({"covered_all_a": 1}, "covered_all_a is 1, not a truth value"),
        ({"guard_events": 1.5}, "guard_events is 1.5, not a whole number"),
        ({"terms": True}, "terms is True, not a section"),
        ({"terms": {"kl_a": {}}}, "terms.kl_a is {}, not a number"),
        ({"terms": {"kl_a": False}}, "terms.kl_a is False, not a number"),
        ({"statenet": {"corrections": [1]}}, "statenet.corrections is [1], not a section"),
        ({"statenet": {"corrections": {"rho": "up"}}}, "statenet.corrections.rho is 'up', not a number"),
        ({"epoch": 1}, "epoch 1, where one after 1 is expected"),
        ({"epoch": 0}, "epoch 0, where one after 1 is expected"),
    ],
)
def test_rows_of_metrics_that_cannot_be_are_told_in_one_line(run, row, problem):
    for one in ({"epoch": 1}, {"epoch": 2, **row}):
        append_json_line(run.metrics_file, one)
    with pytest.raises(UserError) as raised:
        run.metrics()
    assert str(raised.value) == f"{run.metrics_file}: row 2: {problem}; restore the file"


def test_anything_in_metrics_may_be_nothing_and_sections_empty(run):
    rows = [
        {"epoch": 3, "exact_match_a": None, "terms": None, "statenet": None, "gate_open": None, "guard_events": None},
        {"epoch": 5, "terms": {}, "statenet": {"corrections": {}}, "gate_open": True, "guard_events": 2},
        {"epoch": 6, "terms": {"lab.term": 0.5, "kl_a": None}, "statenet": {"corrections": None}, "coverage": 1},
    ]
    for row in rows:
        append_json_line(run.metrics_file, row)
    assert run.metrics() == rows


def test_events_without_an_epoch_are_refused(run):
    run.events_file.write_text('{"epoch": 1, "kind": "guard"}\n{"kind": "guard"}\n')
    with pytest.raises(UserError, match=r"events\.jsonl: row 2 has no epoch; restore the file"):
        run.events()


@pytest.mark.parametrize("actions", ["true", "1", '"restore"', "[1]", '{"restore": 1}'])
def test_events_whose_actions_are_no_names_are_refused(run, actions):
    run.events_file.write_text(f'{{"epoch": 1, "actions": []}}\n{{"epoch": 1, "actions": {actions}}}\n')
    with pytest.raises(UserError, match=r"events\.jsonl: row 2: actions is no list of names; restore the file"):
        run.events()


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        (subprocess.CompletedProcess([], 0, "0123456789-dirty\n"), f"{__version__}+0123456789-dirty"),
        (FileNotFoundError("git"), __version__),
        (subprocess.TimeoutExpired("git", 5), __version__),
    ],
)
def test_the_commit_of_a_checkout_is_told_where_git_tells_it(answer, version, tmp_path, monkeypatch):
    def run(command, **how):
        assert command[:4] == ["git", "-C", str(tmp_path), "describe"]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(runs, "__file__", str(tmp_path / "src" / "ternary_vae" / "storage" / "runs.py"))
    monkeypatch.setattr(subprocess, "run", run)
    found = code_version.__wrapped__  # which is not kept
    assert found() == __version__, "no checkout"
    (tmp_path / ".git").mkdir()
    assert found() == version


def test_version_and_environment_are_plain_and_complete():
    import torch

    assert code_version().startswith(__version__)
    actual = environment("cpu")
    assert actual["device"] == "cpu"
    assert actual["torch"] == torch.__version__
    assert actual["threads"] == torch.get_num_threads()
    assert json.loads(json.dumps(actual)) == actual
