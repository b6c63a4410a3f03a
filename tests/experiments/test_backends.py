"""Where runs are done: workers that are killed, runs that fail, an experiment that is stopped, a cluster that dies."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest

from ternary_vae.errors import UserError
from ternary_vae.experiments import backends
from ternary_vae.experiments import task as task_module
from ternary_vae.experiments.arms import arms_of
from ternary_vae.experiments.backends import InProcess, LocalProcesses, backend_named, bundles
from ternary_vae.experiments.cluster import RayCluster
from ternary_vae.experiments.directory import ExperimentDirectory
from ternary_vae.experiments.execution import run_experiment
from ternary_vae.experiments.task import (
    Ending,
    Task,
    _StopFileWatcher,
    _wait_for_the_end_of,
    perform_together,
)
from ternary_vae.storage.runs import RunDirectory

HAS_RAY = importlib.util.find_spec("ray") is not None


def die_once(tasks: Sequence[Task]) -> list[Ending]:
    """Stands in for a run, in a worker; for one of them the worker is killed the first time."""
    (task,) = tasks
    mark = Path(task.directory) / task.name
    if task.name == "mortal" and not mark.exists():
        mark.touch()
        os._exit(9)
    return [Ending(task.name, "completed", f"{os.environ.get('OMP_NUM_THREADS')} {task.threads}")]


def die_if_mortal(tasks: Sequence[Task]) -> list[Ending]:
    """Stands in for runs of which one takes more memory than there is."""
    if tasks[0].name == "mortal":
        os._exit(9)
    return [Ending(tasks[0].name, "completed")]


def die_after_an_epoch(tasks: Sequence[Task]) -> list[Ending]:
    """Stands in for a run on a machine where workers are killed again and again."""
    run = RunDirectory(tasks[0].directory)
    epochs = len(run.metrics())
    if epochs == 4:
        return [Ending(tasks[0].name, "completed")]
    with run.metrics_file.open("a") as file:
        file.write(json.dumps({"epoch": epochs + 1}) + "\n")
    os._exit(9)


def die_always(tasks: Sequence[Task]) -> list[Ending]:
    """Stands in for a run that takes more memory than there is."""
    os._exit(9)


@pytest.fixture
def task(small, tmp_path):
    """A function: name → a run of two epochs to be done."""
    recipe = arms_of(small())[0].recipe

    def make(name="run", **changes):
        made = Task(
            name, recipe, str(tmp_path / name), str(tmp_path / ".stop"), str(tmp_path / f"{name}.txt"), "cpu", False
        )
        return replace(made, **changes)

    return make


def rows(directory):
    return [
        {key: value for key, value in row.items() if not key.startswith("seconds_")}
        for row in RunDirectory(directory).metrics()
    ]


def with_a_letter(experiment, place):
    """An experiment's directory in which a run cannot start, since something else lies where it would; and that."""
    directory = ExperimentDirectory(place / "experiment")
    directory.freeze(experiment, arms_of(experiment), Path("small.yaml"))
    letter = directory.runs / "resolution-seed1" / "letter.txt"
    letter.parent.mkdir(parents=True)
    letter.write_text("keep")
    return directory, letter


def test_a_killed_worker_is_replaced_and_workers_have_one_thread_before_torch_is_imported(task, tmp_path, monkeypatch):
    monkeypatch.setattr(backends, "perform_together_in_worker", die_once)
    tasks = [task(name, directory=str(tmp_path)) for name in ("one", "mortal", "three")]
    endings = list(LocalProcesses(2).endings(tasks, tmp_path / "log"))
    assert sorted((ending.name, ending.status, ending.message) for ending in endings) == [
        (name, "completed", "1 1") for name in ("mortal", "one", "three")
    ]


def test_a_run_whose_worker_is_always_killed_is_given_up(task, tmp_path, monkeypatch):
    monkeypatch.setattr(backends, "perform_together_in_worker", die_always)
    monkeypatch.setattr(backends, "_LOST_IN_A_ROW", 1)
    (ending,) = LocalProcesses(1).endings([task()], tmp_path / "log")
    assert ending.status == "failed"
    assert "too little memory?" in ending.message


def test_a_run_that_kills_its_worker_takes_no_other_with_it(task, tmp_path, monkeypatch):
    """Eight runs on one worker; the first kills it every time, without an epoch."""
    monkeypatch.setattr(backends, "perform_together_in_worker", die_if_mortal)
    names = ["mortal", *(f"run{number}" for number in range(7))]
    endings = []
    for ending in LocalProcesses(1).endings([task(name) for name in names], tmp_path / "log"):
        time.sleep(0.5 * (not endings))  # decides nothing: whoever looks late loses no ending
        endings.append(ending)
    assert [ending.name for ending in endings] == [*names[1:], "mortal"]
    assert [ending.status for ending in endings] == ["completed"] * 7 + ["failed"]


def test_a_run_that_gets_on_between_kills_is_not_given_up(task, tmp_path, monkeypatch):
    """Four kills, an epoch after each."""
    monkeypatch.setattr(backends, "perform_together_in_worker", die_after_an_epoch)
    run = task()
    RunDirectory(run.directory).create(run.recipe, {})
    (ending,) = LocalProcesses(1).endings([run], tmp_path / "log")
    assert ending.status == "completed"
    assert len(RunDirectory(run.directory).metrics()) == 4


def test_a_run_stops_at_the_experiments_word_and_goes_on_to_the_same_figures(task, monkeypatch):
    stopped, whole = task("stopped"), task("whole")
    perform_together([whole])
    stop_file = Path(stopped.stop_file)
    stop_file.touch()
    assert perform_together([stopped])[0].status == "interrupted"
    assert not Path(stopped.directory).exists()
    stop_file.unlink()
    monkeypatch.setattr(_StopFileWatcher, "stop_requested", lambda self: bool(rows(stopped.directory)))
    assert perform_together([stopped])[0].status == "interrupted"
    assert len(rows(stopped.directory)) == 1
    monkeypatch.undo()
    assert perform_together([stopped])[0].status == "completed"
    assert rows(stopped.directory) == rows(whole.directory)


EXPERIMENT = """
import os, sys, time
from ternary_vae.experiments import backends
from ternary_vae.experiments import task as task_module
from ternary_vae.experiments.task import Task

def busy(tasks):
    print("busy", flush=True)
    while True:
        time.sleep(60)  # in an epoch, a benchmark, a report, or waiting for a lock

if __name__ == "__main__":
    backends.perform_together_in_worker = busy
    task = Task("run", None, "run", "stop", "failure")
    list(backends.LocalProcesses(1).endings([task], None))
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_no_worker_outlives_its_experiment(tmp_path):
    """Neither one that is busy nor one that waits for work: whoever lives keeps the pipe open."""
    script = tmp_path / "experiment.py"
    script.write_text(EXPERIMENT)
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout.readline() == "busy\n"
    process.kill()
    process.communicate(timeout=60)  # a worker that lived on would say nothing for as long


def test_where_orphans_keep_the_number_of_their_parent_it_is_waited_for_by_handle(monkeypatch):
    """As on Windows."""
    waited = []
    system = SimpleNamespace(SYNCHRONIZE=1, OpenProcess=lambda access, inherit, process: (access, process))
    monkeypatch.setitem(sys.modules, "_winapi", system)
    monkeypatch.setattr(multiprocessing.connection, "wait", waited.append)
    monkeypatch.setattr(task_module.os, "name", "nt")
    _wait_for_the_end_of(7)
    assert waited == [[(1, 7)]]


def test_where_its_experiment_is_not_nothing_is_begun_or_written(task, tmp_path):
    """As on a node that does not see it."""
    unseen = task(directory=str(tmp_path / "far" / "run"), stop_file=str(tmp_path / "far" / ".stop"))
    (ending,) = perform_together([unseen])
    assert (ending.status, ending.message.split()[:5]) == ("failed", f"{tmp_path / 'far'}: is not there on".split())
    assert list(tmp_path.iterdir()) == []


def test_who_waits_for_a_lost_worker_hears_the_experiment(task, monkeypatch):
    waiting = task()
    monkeypatch.setattr(task_module, "is_locked", lambda path: True)
    monkeypatch.setattr(task_module.time, "sleep", lambda seconds: Path(waiting.stop_file).touch())
    assert perform_together([waiting])[0].status == "interrupted"
    assert not Path(waiting.directory).exists()


def test_a_page_is_of_a_run_that_is_complete_and_benchmarked(task, monkeypatch):
    written = []
    monkeypatch.setattr("ternary_vae.reports.write_reports", lambda run: written.append(run.path.name))
    for name, result, changes in (
        ("whole", "completed", {}), ("stopped", "interrupted", {}), ("unwanted", "completed", {"pages": False}),
        ("unmeasured", "completed", {"benchmarks": False}),
    ):  # fmt: skip
        assert task_module._with_page(task(name, **{"benchmarks": True} | changes), result) == result
    assert written == ["whole"]


def test_what_was_killed_before_it_was_described_is_begun_anew_and_nothing_else_is_cleared(task):
    run = RunDirectory(task().directory)
    run.path.mkdir()
    for name in ("recipe.yaml", ".run.json.4711.tmp", "letter.txt"):
        (run.path / name).write_text("half")
    task_module._clear_undescribed(run)
    assert len(list(run.path.iterdir())) == 3
    (run.path / "letter.txt").unlink()
    task_module._clear_undescribed(run)
    assert list(run.path.iterdir()) == []


def test_a_failed_run_does_not_stop_the_others_and_is_tried_again(small, tmp_path):
    experiment = small(seeds=[1], reference=None)
    directory, letter = with_a_letter(experiment, tmp_path)
    execution = run_experiment(experiment, directory, device="cpu")
    assert execution.complete == {"plain-seed1"}
    assert "is not empty and holds no run" in execution.failed["resolution-seed1"]
    assert "is not empty" in directory.failure_file(execution.runs[0]).read_text()
    assert letter.read_text() == "keep"
    letter.rename(tmp_path / "letter.txt")
    again = run_experiment(experiment, directory, device="cpu")
    assert again.complete == {"plain-seed1", "resolution-seed1"}
    assert not directory.failure_file(execution.runs[0]).exists()


def test_a_cluster_that_dies_is_told_in_one_line_and_finished_runs_are_kept(small, tmp_path):
    class Dying(InProcess):
        def endings(self, tasks, log):
            yield Ending(tasks[0].name, "completed")
            raise UserError("the Ray cluster at 10.0.0.1:6379 is gone: it no longer answers")

    execution = run_experiment(small(), tmp_path / "experiment", backend=Dying())
    assert execution.complete == {"resolution-seed1"}
    assert "10.0.0.1:6379 is gone" in execution.broken


def test_the_process_that_drives_ray_is_gone(task, tmp_path):
    cluster = RayCluster.__new__(RayCluster)
    cluster.address, cluster.together = "10.0.0.1:6379", 1
    cluster._connection, there = multiprocessing.Pipe()
    words = Thread(target=lambda: (there.recv(), there.close()))
    words.start()
    with pytest.raises(UserError, match=r"10\.0\.0\.1:6379 is gone"):
        list(cluster.endings([task()], tmp_path / "log"))
    words.join()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "jobli"}, "did you mean 'joblib'"),
        ({"name": "joblib", "workers": 0}, "at least 1"),
        ({"name": "ray", "workers": 2}, "for --backend joblib"),
        ({"name": "joblib", "address": "a:1"}, "for --backend ray"),
        ({"name": "joblib", "together": 0}, "at least 1"),
    ],
)
def test_one_line_for_a_backend_that_cannot_be(arguments, message):
    with pytest.raises(UserError, match=message):
        backend_named(**arguments)


def test_a_cluster_chooses_its_gpus_itself():
    backends.require_options("ray", None, None, None, "cuda")
    with pytest.raises(UserError, match="--device cuda:1: a cluster chooses"):
        backends.require_options("ray", None, None, None, "cuda:1")


@pytest.mark.parametrize(
    ("given", "cores", "workers", "together"),
    [
        ({}, 16, 16, 1),
        ({"accelerated": True}, 16, 4, 50),
        ({"accelerated": True}, 2, 2, 50),
        ({"accelerated": True, "workers": 7, "together": 1}, 16, 7, 1),
        ({"workers": 3, "together": 5}, 16, 3, 5),
    ],
)
def test_processes_and_runs_at_once_unless_given(given, cores, workers, together, monkeypatch):
    monkeypatch.setattr(backends, "granted_cores", lambda: cores)
    backend = backend_named("joblib", **given)
    assert (backend.workers, backend.together) == (workers, together)
    if "workers" not in given:
        assert backend_named("inprocess", **given).together == together


def test_one_line_for_what_is_not_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"Ray is not installed; pip install 'ternary-vae\[cluster\]'"):
        backend_named("ray")


@pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed")
@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nonsense", "expected HOST:PORT"),
        ("127.0.0.1:1", "no Ray cluster can be reached there: Connection refused"),
        ("host.invalid:6379", "no Ray cluster can be reached"),
        ("127.0.0.1:65536", "expected HOST:PORT"),
    ],
)
def test_one_line_for_a_cluster_that_cannot_be_reached(monkeypatch, address, message):
    if address.startswith("host.invalid"):  # no resolver of this machine's is asked

        def unknown(*_args, **_options):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "create_connection", unknown)
    with pytest.raises(UserError, match=message):
        backend_named("ray", address=address)


class TestRunsAtOnce:
    def test_bundles_hold_runs_of_one_shape_and_leave_every_worker_its_part(self, task, small):
        one, other = (arm.recipe for arm in arms_of(small()))  # their injections differ
        tasks = [task(f"a{number}", recipe=one) for number in range(4)]
        tasks += [task(f"b{number}", recipe=other) for number in range(7)]

        def names(*arguments):
            return [{each.name for each in bundle} for bundle in bundles(tasks, *arguments)]

        assert names(1) == [{each.name} for each in tasks]
        assert names(20) == [{"a0", "a1", "a2", "a3"}, {f"b{number}" for number in range(7)}]
        assert sorted(map(len, names(5))) == [3, 4, 4]
        assert sorted(map(len, names(20, 4))) == [2, 2, 2, 2, 3]
        for arguments in ((5,), (20, 4)):
            assert all(len({name[0] for name in bundle}) == 1 for bundle in names(*arguments))
            assert sorted(name for bundle in names(*arguments) for name in bundle) == [each.name for each in tasks]

    def test_runs_that_were_started_on_a_cpu_stay_apart(self, task):
        """They go on there, and would hold up those on a GPU."""
        tasks = [task(f"run{number}", device="auto") for number in range(4)]
        for number, device in ((0, "cpu"), (2, "cuda")):
            RunDirectory(tasks[number].directory).create(tasks[number].recipe, {"device": device})
        assert [[each.name for each in bundle] for bundle in bundles(tasks, 50)] == [
            ["run0"], ["run1", "run2", "run3"],
        ]  # fmt: skip
        on_gpus = [replace(each, device="cuda") for each in tasks]
        assert len(bundles(on_gpus, 50)) == 1

    def test_an_experiment_with_runs_at_once(self, small, tmp_path):
        """Both arms are complete, in local processes too, and one that fails is the only one that does."""
        experiment = small()
        directory, letter = with_a_letter(experiment, tmp_path)
        execution = run_experiment(experiment, directory, backend=InProcess(together=2), device="cpu")
        assert execution.complete == {"resolution-seed2", "plain-seed1", "plain-seed2"}
        assert "is not empty" in execution.failed["resolution-seed1"]
        letter.unlink()
        again = run_experiment(experiment, directory, backend=LocalProcesses(1, together=4), device="cpu")
        assert len(again.complete) == 4
        assert not again.failed

    def test_stopped_they_are_all_interrupted(self, task, monkeypatch):
        tasks = [task(name) for name in ("one", "two")]
        monkeypatch.setattr(
            _StopFileWatcher, "stop_requested", lambda self: any(rows(each.directory) for each in tasks)
        )
        assert {ending.status for ending in perform_together(tasks)} == {"interrupted"}
        monkeypatch.undo()
        assert {ending.status for ending in perform_together(tasks)} == {"completed"}
        assert [len(rows(each.directory)) for each in tasks] == [2, 2]
