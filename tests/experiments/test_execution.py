"""Experiments as they are run: what is complete stays, what broke off goes on, what fails does not stop the rest."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from ternary_vae.errors import UserError
from ternary_vae.experiments.arms import arms_of, planned_runs
from ternary_vae.experiments.backends import InProcess
from ternary_vae.experiments.directory import ExperimentDirectory
from ternary_vae.experiments.execution import run_experiment, state_of
from ternary_vae.experiments.report import write_experiment_report
from ternary_vae.experiments.results import gather
from ternary_vae.experiments.task import Ending


@pytest.fixture(scope="module")
def done(small, tmp_path_factory):
    """The small experiment, run in this process: four runs of two epochs."""
    experiment = small()
    return experiment, run_experiment(experiment, tmp_path_factory.mktemp("small") / "experiment", device="cpu")


def test_every_run_is_an_ordinary_run_and_is_not_run_again(done):
    experiment, execution = done
    names = {"resolution-seed1", "resolution-seed2", "plain-seed1", "plain-seed2"}
    assert execution.complete == names == {path.name for path in execution.directory.runs.iterdir()}
    before = {path: path.stat().st_mtime_ns for path in execution.directory.runs.rglob("*") if path.is_file()}
    again = run_experiment(experiment, execution.directory, device="cpu")
    assert again.complete == names
    assert before == {path: path.stat().st_mtime_ns for path in execution.directory.runs.rglob("*") if path.is_file()}


def test_figures_are_what_the_runs_wrote(done):
    experiment, execution = done
    results = gather(experiment, execution)
    for run in execution.runs:
        for row in execution.directory.run(run).metrics():
            assert results.of(run.arm, row["epoch"], "coverage")[run.seed] == row["coverage"]
    decided = {one.measure.key for one in results.comparisons if one.decides}
    # No operation is at home anywhere after so few epochs, and what was not measured is not compared.
    assert decided == {"exact_match_a", "exact_match_b", "coverage"}
    assert {one.epoch for one in results.comparisons if one.decides} == {2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": [1, 3]}, r"seeds no longer has 2"),
        ({"arms": {}}, r"arms no longer has plain"),
        ({"epochs": 3}, r"epochs was 2, now 3"),
        ({"primary": ["coverage_a"]}, r"primary was \[\], now \['coverage_a'\]"),
        ({"arms": {"plain": {"set": {"permeability.isolated_share": 0.5}}}}, r"arm plain: model.injection was plain"),
    ],
)
def test_a_changed_experiment_is_refused_and_nothing_is_touched(done, small, changes, message):
    _, execution = done
    before = execution.directory.experiment_file.read_text()
    with pytest.raises(UserError, match=message):
        run_experiment(small(**changes), execution.directory, source="small.yaml")
    assert execution.directory.experiment_file.read_text() == before


def test_a_value_of_the_grid_that_is_gone_is_an_arm_that_is_gone(small, tmp_path):
    directory = ExperimentDirectory(tmp_path / "experiment")
    both, one = (small(grid={"optimizer.batch_size": sizes}, reference=None) for sizes in ([64, 128], [128]))
    directory.freeze(both, arms_of(both), tmp_path / "small.yaml")
    with pytest.raises(UserError, match="there is no arm plain-batch_size-64 any more"):
        directory.require_same(one, arms_of(one), tmp_path / "small.yaml")
    next(directory.arms.iterdir()).write_text("from: another version\n")
    with pytest.raises(UserError, match="; finish it with the version of this program"):
        directory.require_same(both, arms_of(both), tmp_path / "small.yaml")


def test_a_pipe_in_the_place_of_a_failures_account_is_refused(done, small):
    _, execution = done
    grown = small(seeds=[1, 2, 3])
    run = next(run for run in planned_runs(grown, arms_of(grown, "small.yaml")) if run.seed == 3)
    pipe = execution.directory.failure_file(run)
    pipe.parent.mkdir(exist_ok=True)
    os.mkfifo(pipe)
    with pytest.raises(UserError, match=r"cannot read .*: it is no regular file"):
        state_of(grown, execution.directory)
    pipe.unlink()


def test_seeds_and_arms_may_be_added(done, small):
    _, execution = done
    grown = small(
        seeds=[1, 2, 3], arms={"plain": {"set": {"model.injection": "plain"}}, "more": {}}, description="reworded"
    )
    state = state_of(grown, execution.directory)
    assert len(state.runs) == 9
    assert len(state.complete) == 4


@pytest.mark.usefixtures("no_figures")
def test_what_is_added_after_a_report_elsewhere_is_noted_too(done, small, tmp_path):
    experiment, execution = done
    directory = copied(execution, tmp_path / "copy")
    write_experiment_report(gather(experiment, state_of(experiment, directory)), tmp_path / "published")
    grown = small(seeds=[1, 2, 3])
    directory.freeze(grown, arms_of(grown), Path("experiment"))
    assert directory.additions() == [{"seeds": [3], "arms": []}]


def test_a_directory_of_something_else_is_refused(small, tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "letter.txt").write_text("keep")
    with pytest.raises(UserError, match="holds no experiment"):
        run_experiment(small(), tmp_path / "letters")
    assert (tmp_path / "letters" / "letter.txt").read_text() == "keep"


def test_a_second_process_is_kept_out(done, small):
    _, execution = done
    with (
        execution.directory.held(),
        pytest.raises(UserError, match=f"process {os.getpid()} on .* is running this experiment; let it finish"),
        ExperimentDirectory(execution.directory.path).held(),
    ):
        pass


def test_an_experiment_that_was_taken_for_dead_writes_nothing_more(small, tmp_path):
    """It stood still, and another machine has gone on with it."""
    directory = ExperimentDirectory(tmp_path / "experiment")
    successor = "process 3 on three\n"

    class StoodStill(InProcess):
        def endings(self, tasks, log):
            directory.lock_file.write_text(successor)
            yield Ending(tasks[0].name, "failed", "its worker was killed")

    execution = run_experiment(small(), directory, backend=StoodStill())
    assert "process 3 on three is running this experiment; stopped, nothing more is written" in execution.broken
    assert execution.taken  # so that no report is written either
    assert not directory.failures.exists()
    assert directory.lock_file.read_text() == successor


def test_signals_are_passed_on_to_the_runs(small, tmp_path):
    """The first asks all runs to stop, the second stops at once. What an earlier process left asks for nothing."""
    directory = ExperimentDirectory(tmp_path / "experiment")
    asked = []

    class Signalled(InProcess):
        def endings(self, tasks, log):
            asked.append(directory.stop_file.exists())
            for _ in range(self.together):
                signal.raise_signal(signal.SIGINT)
            until = time.monotonic() + 60
            while not directory.stop_file.exists() and time.monotonic() < until:
                time.sleep(0.01)
            asked.append(directory.stop_file.exists())
            yield from (Ending(task.name, "interrupted") for task in tasks)

    for signals, expected in ((1, [False, True]), (2, [False])):
        asked.clear()
        execution = run_experiment(small(), directory, backend=Signalled(signals))
        assert (asked, execution.interrupted, execution.broken) == (expected, True, "")
        assert not directory.stop_file.exists()
        directory.stop_file.touch()


def copied(execution, place):
    shutil.copytree(execution.directory.path, place)
    return ExperimentDirectory(place)


def test_a_run_of_another_arm_is_not_taken_for_this_ones(done, tmp_path):
    experiment, execution = done
    directory = copied(execution, tmp_path / "mixed")
    shutil.rmtree(directory.runs / "resolution-seed1")
    shutil.copytree(directory.runs / "plain-seed1", directory.runs / "resolution-seed1")
    with pytest.raises(UserError, match="resolution-seed1: holds a run of another recipe, seed or length"):
        state_of(experiment, directory)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: "", "epoch 2 is missing"),
        (lambda text: text.splitlines()[0] + "\n", "epoch 2 is missing"),
        (lambda text: text.replace('"epoch"', '"epoche"'), "row 1 has no epoch"),
        (lambda text: re.sub('"coverage": [0-9.e-]+', '"coverage": "all"', text), "coverage is 'all', not a number"),
    ],
)
def test_damaged_figures_of_a_complete_run_are_told_in_one_line(done, tmp_path, damage, message):
    experiment, execution = done
    directory = copied(execution, tmp_path / "damaged")
    file = directory.runs / "plain-seed2" / "metrics.jsonl"
    file.write_text(damage(file.read_text()))
    with pytest.raises(UserError, match=message) as raised:
        gather(experiment, state_of(experiment, directory))
    assert str(file) in str(raised.value)


def test_a_description_may_change_until_a_run_has_started(small, tmp_path):
    directory = ExperimentDirectory(tmp_path / "experiment")
    with directory.held():
        for experiment in (small(), small(arms={}, epochs=3)):
            arms = arms_of(experiment)
            directory.freeze(experiment, arms, tmp_path / "small.yaml")
            assert directory.experiment() == experiment
            assert {path.stem for path in directory.arms.iterdir()} == {arm.name for arm in arms}


def test_why_a_run_failed_need_not_be_readable_text(done, small):
    _, execution = done
    directory = execution.directory
    failure = directory.failures / "resolution-seed3.txt"
    failure.parent.mkdir(exist_ok=True)
    failure.write_bytes(b"out of \xff\nTraceback")
    state = state_of(small(seeds=[1, 2, 3]), directory)
    failure.unlink()
    assert state.failed == {"resolution-seed3": "out of \ufffd"}
