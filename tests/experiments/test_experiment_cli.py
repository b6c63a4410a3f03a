"""`ternary-vae experiment` as a user runs it: what it prints, its exit codes, one line for bad input."""

from __future__ import annotations

import pytest
import torch
from typer.testing import CliRunner

from ternary_vae.cli import app
from ternary_vae.errors import UserError
from ternary_vae.experiments import backends
from ternary_vae.experiments.directory import ExperimentDirectory
from ternary_vae.experiments.task import Ending


@pytest.fixture
def call(tmp_path, monkeypatch):
    """A function: arguments → what the command prints, in an empty directory."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments, code=0):
        result = CliRunner().invoke(app, ["experiment", *map(str, arguments)])
        if isinstance(result.exception, UserError):
            raise result.exception
        assert result.exit_code == code, result.output
        return result.output

    return invoke


@pytest.fixture
def description(small, tmp_path):
    """A file that describes one run of one epoch."""
    path = tmp_path / "mine.yaml"
    path.write_text(small(name="mine", arms={}, reference=None, seeds=[3], epochs=1, milestones=[1]).to_yaml())
    return path


def test_without_a_name_it_says_what_there_is(call):
    assert "ten_seeds: The default recipe with ten seeds" in call()


def test_a_plan_writes_nothing(call, tmp_path):
    output = call("ablations", "--plan")
    assert "runs, in experiments/ablations" in output
    assert "without_translation: 100 epochs, compared after 3, 10, 25, 50, 75 and 100" in output
    assert list(tmp_path.iterdir()) == []


def test_one_experiment_from_the_file_to_the_page(call, description, tmp_path, request):
    output = call(description, "--backend", "inprocess", "--device", "cpu")
    assert "1 of 1 runs complete, none left" in output
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
    output = call(description, "--report", "--output", "experiments/elsewhere")
    assert "experiments/elsewhere/report.md" in output
    assert output.splitlines()[-1].endswith("/experiments/elsewhere/index.html")


@pytest.mark.parametrize(
    ("status", "code", "says"), [("failed", 1, "1 of 1 runs failed"), ("interrupted", 130, "go on with")]
)
def test_exit_codes_of_what_did_not_complete(call, description, monkeypatch, status, code, says):
    def ended(tasks):
        return [Ending(task.name, status, "why") for task in tasks]

    monkeypatch.setattr(backends, "perform_together", ended)
    assert says in call(description, "--backend", "inprocess", code=code)


def test_one_line_for_bad_input(call, description, tmp_path):
    with pytest.raises(UserError, match="holds no experiment"):
        call(description, "--report")
    with pytest.raises(UserError, match="did you mean 'ten_seeds'"):
        call("ten_seed")
    for options in (["--plan"], ["--workers", 2]):
        with pytest.raises(UserError, match="options were given, but no experiment"):
            call(*options)
    with pytest.raises(UserError, match="--plan and --report were both given"):
        call(description, "--plan", "--report")
    for also in ([], ["--plan"], ["--report"]):
        with pytest.raises(UserError, match="did you mean 'inprocess'"):
            call(description, "--backend", "in-process", *also)
        with pytest.raises(UserError, match="--together 0: expected a whole number"):
            call(description, "--together", 0, *also)
    assert not ExperimentDirectory(tmp_path / "experiments" / "mine").path.exists()
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="no CUDA"):
            call(description, "--device", "cuda")
    assert not ExperimentDirectory(tmp_path / "experiments" / "mine").path.exists()


def test_a_report_replaces_nothing_but_an_earlier_one(call, description, small, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "experiment.yaml").write_text(small(name="other").to_yaml())
    with pytest.raises(UserError, match="other: holds a report of experiment 'other'; name another --output"):
        call(description, "--output", other)
    letters = tmp_path / "letters"
    letters.mkdir()
    (letters / "report.md").write_text("keep")
    with pytest.raises(UserError, match=r"report\.md: is not a report of this experiment"):
        call(description, "--output", letters)
    with pytest.raises(UserError, match="a part of the path is a file"):
        call(description, "--output", letters / "report.md")
    assert (letters / "report.md").read_text() == "keep"
    assert not (tmp_path / "experiments").exists()  # all of that is said before anything is run


@pytest.mark.usefixtures("no_figures")
def test_the_description_itself_is_not_rewritten_by_a_report_beside_it(call, small, tmp_path):
    source = tmp_path / "experiment.yaml"
    source.write_text(
        "# mine\n" + small(name="mine", arms={}, reference=None, seeds=[3], epochs=1, milestones=[1]).to_yaml()
    )
    call(source, "--backend", "inprocess", "--device", "cpu", "--output", tmp_path)
    assert source.read_text().startswith("# mine\n")
    assert (tmp_path / "report.md").exists()
    assert "1 run complete, 0 to do" in call(source, "--plan")


@pytest.mark.usefixtures("no_figures")
def test_the_line_that_says_how_to_go_on_is_the_whole_command(call, description, monkeypatch):
    def stopped(tasks):
        return [Ending(task.name, "interrupted") for task in tasks]

    monkeypatch.setattr(backends, "perform_together", stopped)
    output = call(description, "-d", "my place", "-b", "inprocess", "--together", 1, "--device", "cpu", code=130)
    given = "--directory 'my place' --backend inprocess --together 1 --device cpu"
    assert f"go on with: ternary-vae experiment {description} {given}" in output
