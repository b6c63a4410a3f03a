"""`ternary-vae experiment` as a user runs it: what it prints, its exit codes, one line for bad input."""

from __future__ import annotations

import pytest
import torch

from ternary_vae.errors import UserError
from ternary_vae.experiments import backends, task
from ternary_vae.experiments.directory import ExperimentDirectory
from ternary_vae.experiments.task import Ending


@pytest.fixture(autouse=True)
def empty_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def description(small, tmp_path):
    """A file that describes one run of one epoch."""
    path = tmp_path / "mine.yaml"
    path.write_text(small(name="mine", arms={}, reference=None, seeds=[3], epochs=1, milestones=[1]).to_yaml())
    return path


def test_without_a_name_it_says_what_there_is(printed):
    assert "ten_seeds: The default recipe with ten seeds" in printed("experiment")


def test_a_plan_writes_nothing(printed, tmp_path):
    output = printed("experiment", "ablations", "--plan")
    assert "runs, in experiments/ablations" in output
    assert "without_translation: 100 epochs, compared after 3, 10, 25, 50, 75 and 100" in output
    assert list(tmp_path.iterdir()) == []


def test_one_experiment_from_the_file_to_the_page(printed, description, tmp_path, request):
    output = printed("experiment", description, "--backend", "inprocess", "--device", "cpu")
    assert "1 of 1 run complete, none left" in output
    place = tmp_path / "experiments" / "mine"
    assert "wrote" not in output
    for name in (
        "report.md",
        "index.html",
        "results.csv",
        "comparisons.csv",
        "experiment.yaml",
        "runs/resolution-seed3",
    ):
        assert (place / name).exists()
    assert output.splitlines()[-1] == f"open the page: {(place / 'index.html').as_uri()}"
    request.getfixturevalue("no_figures")  # they have been drawn once
    output = printed("experiment", description, "--report", "--output", "experiments/elsewhere")
    assert "experiments/elsewhere/report.md" in output
    assert output.splitlines()[-1].endswith("/experiments/elsewhere/index.html")


@pytest.mark.parametrize(
    ("status", "code", "says"), [("failed", 1, "1 of 1 run failed"), ("interrupted", 130, "go on with")]
)
def test_exit_codes_of_what_did_not_complete(printed, description, monkeypatch, request, status, code, says):
    if status == "interrupted":
        request.getfixturevalue("no_figures")

    def ended(tasks):
        return [Ending(task.name, status, "why") for task in tasks]

    monkeypatch.setattr(backends, "perform_together", ended)
    assert says in printed("experiment", description, "--backend", "inprocess", code=code)


def test_a_directory_that_is_anothers_by_now_gets_no_report(printed, description, monkeypatch, tmp_path):
    place = ExperimentDirectory(tmp_path / "experiments" / "mine")

    def ended(tasks):
        place.lock_file.write_text("process 3 on three\n")
        return [Ending(task.name, "failed", "why") for task in tasks]

    monkeypatch.setattr(backends, "perform_together", ended)
    says = "process 3 on three is running this experiment; stopped, nothing more is written; 0 of 1 run complete"
    assert says in printed("experiment", description, "--backend", "inprocess", code=2)
    assert not (place.path / "report.md").exists()


@pytest.mark.parametrize("begun", [False, True])
def test_a_directory_that_is_moved_has_to_come_back_and_nothing_is_begun_in_its_place(
    printed, description, monkeypatch, tmp_path, begun
):
    place = ExperimentDirectory(tmp_path / "experiments" / "mine")

    def fails(tasks):
        raise UserError("the run was moved")

    def moved(tasks):
        place.path.rename(tmp_path / "moved")
        return task.perform_together(tasks)

    monkeypatch.setattr(backends, "perform_together", moved)
    if begun:
        monkeypatch.setattr(task, "_trained", fails)
    says = "0 of 1 run complete and kept; once it is where it was, or --directory names its new place, the same"
    assert says in printed("experiment", description, "--backend", "inprocess", code=2)
    assert not place.path.exists()


def test_one_line_for_bad_input(refused, description, small, tmp_path):
    (tmp_path / "wrong.yaml").write_text(small(primary=["coverag"]).to_yaml())
    assert "did you mean 'coverage'" in refused("experiment", "wrong.yaml", "--plan")  # not when all runs are done
    assert "holds no experiment" in refused("experiment", description, "--report")
    assert "did you mean 'ten_seeds'" in refused("experiment", "ten_seed")
    for options in (["--plan"], ["--workers", 2]):
        assert "options were given, but no experiment" in refused("experiment", *options)
    assert "--plan and --report were both given" in refused("experiment", description, "--plan", "--report")
    for also in ([], ["--plan"], ["--report"]):
        assert "did you mean 'inprocess'" in refused("experiment", description, "--backend", "in-process", *also)
        assert "--together 0: expected a whole number" in refused("experiment", description, "--together", 0, *also)
    assert not ExperimentDirectory(tmp_path / "experiments" / "mine").path.exists()
    if not torch.cuda.is_available():
        assert "no CUDA" in refused("experiment", description, "--device", "cuda")
    assert not ExperimentDirectory(tmp_path / "experiments" / "mine").path.exists()


def test_a_report_replaces_nothing_but_an_earlier_one(refused, description, small, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "experiment.yaml").write_text(small(name="other").to_yaml())
    assert "other: holds a report of experiment 'other'; name another --output" in refused(
        "experiment", description, "--output", other
    )
    letters = tmp_path / "letters"
    letters.mkdir()
    (letters / "report.md").write_text("keep")
    assert "report.md: is not a report of this experiment" in refused("experiment", description, "--output", letters)
    assert "a part of the path is a file" in refused("experiment", description, "--output", letters / "report.md")
    assert (letters / "report.md").read_text() == "keep"
    assert not (tmp_path / "experiments").exists()  # all of that is said before anything is run


def test_another_experiments_directory_is_left_as_it_is(refused, description, small, tmp_path):
    other = ExperimentDirectory(tmp_path / "other")
    (other.runs / "resolution-seed3").mkdir(parents=True)
    other.arms.mkdir()
    other.experiment_file.write_text(small(name="mine").to_yaml())  # of the same name
    says = "other: holds an experiment's runs; leave --output out, or name another"
    assert says in refused("experiment", description, "--output", other.path)
    (other.runs / "resolution-seed3").rmdir()
    other.experiment_file.write_text(small(name="other").to_yaml())
    says = "other: holds experiment 'other'; name another --directory"
    assert says in refused("experiment", description, "--directory", other.path)


def test_a_description_where_its_copy_belongs_is_not_rewritten(refused, description, tmp_path):
    own = tmp_path / "own"
    (own / "arms").mkdir(parents=True)
    (own / "arms" / "draft.yaml").write_text("name: draft")
    source = own / "experiment.yaml"
    source.write_text("# mine\n" + description.read_text())
    says = "lies where the experiment's own copy belongs; name another --directory"
    assert says in refused("experiment", source, "--directory", own)
    assert source.read_text().startswith("# mine\n")
    assert (own / "arms" / "draft.yaml").exists()


@pytest.mark.usefixtures("no_figures")
def test_the_description_itself_is_not_rewritten_by_a_report_beside_it(printed, small, tmp_path):
    source = tmp_path / "experiment.yaml"
    source.write_text(
        "# mine\n" + small(name="mine", arms={}, reference=None, seeds=[3], epochs=1, milestones=[1]).to_yaml()
    )
    (tmp_path / "runs" / "other").mkdir(parents=True)  # which are no experiment's
    printed("experiment", source, "--backend", "inprocess", "--device", "cpu", "--output", tmp_path)
    assert source.read_text().startswith("# mine\n")
    assert (tmp_path / "report.md").exists()
    assert "1 run complete, 0 to do" in printed("experiment", source, "--plan")


@pytest.mark.usefixtures("no_figures")
def test_the_line_that_says_how_to_go_on_is_the_whole_command(printed, description, monkeypatch):
    def stopped(tasks):
        return [Ending(task.name, "interrupted") for task in tasks]

    monkeypatch.setattr(backends, "perform_together", stopped)
    output = printed(
        "experiment", description, "-d", "my place", "-b", "inprocess", "--together", 1, "--device", "cpu", code=130
    )
    given = "--directory 'my place' --backend inprocess --together 1 --device cpu"
    assert f"go on with: ternary-vae experiment {description} {given}" in output
