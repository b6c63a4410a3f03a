"""What a person sees: a panel in a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from ternary_vae.storage.runs import RunDirectory
from ternary_vae.training.evaluation import evaluated_keys
from ternary_vae.training.progress import Display, Lines, Silent, watcher


@pytest.fixture
def row(finished_run):
    return RunDirectory(finished_run).metrics()[-1] | {
        "epoch": 10, "exact_match_a": 0.99999, "exact_match_b": 1.0, "exact_match_best_of_two": 1.0, "coverage": 0.1,
        "coverage_limit": 0.2, "rho": 0.35,
    }  # fmt: skip


def shown(kind, recipe, rows, terminal, place="runs/one"):
    """All that one kind of progress prints for some rows and an event, without control characters."""
    file = io.StringIO()
    progress = kind(Console(file=file, force_terminal=terminal, width=120))
    progress.start(recipe, 0, place, [10])
    for row in rows:
        progress.epoch(row)
    progress.event({"epoch": 10, "kind": "guard", "name": "x", "message": "coverage has stopped [short] of its limit"})
    progress.stop()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())


@pytest.mark.parametrize(("kind", "terminal"), [(Display, True), (Lines, False)])
def test_everything_that_matters_is_shown(kind, terminal, row, small_recipe):
    text = shown(kind, small_recipe(epochs=20), [row | {"epoch": 9}, row], terminal)
    for piece in (
        "resolution", "seed 42", "runs/one", "phase 1", "0.35", "99.99%", "100%", "10.00%", "20.00%", "epochs/s",
        "left", "coverage has stopped [short] of its limit",
    ):  # fmt: skip
        assert piece in text, piece


@pytest.mark.parametrize(("kind", "terminal"), [(Display, True), (Lines, False)])
def test_an_epoch_that_was_not_evaluated(kind, terminal, row, small_recipe):
    text = shown(kind, small_recipe(epochs=20), [row | dict.fromkeys(evaluated_keys())], terminal)
    assert "99.99%" not in text
    assert "None" not in text


@pytest.mark.parametrize(("kind", "terminal"), [(Display, True), (Lines, False)])
def test_a_place_that_looks_like_markup(kind, terminal, row, small_recipe):
    assert "runs/[/bold]x" in shown(kind, small_recipe(epochs=20), [row], terminal, place="runs/[/bold]x")


@pytest.mark.parametrize(("kind", "terminal"), [(Display, True), (Lines, False)])
def test_a_benchmark_has_a_line_of_its_own(kind, terminal, row, small_recipe):
    file = io.StringIO()
    progress = kind(Console(file=file, force_terminal=terminal, width=120))

    def lines():
        """What is on the screen, or has been said since this was last asked."""
        if kind is Display:
            file.truncate(0)
            Console(file=file, width=120).print(progress._panel())
        said = [line.strip(" │") for line in file.getvalue().splitlines()]
        file.truncate(0)
        return said

    progress.start(small_recipe(epochs=20), 0, "runs/one", [10, 20])
    progress.benchmarking(0)  # before the first epoch, as of a run that is gone on with
    assert "epoch 0: benchmarking …" in lines()
    progress.epoch(row)
    progress.benchmarking(10)
    assert "epoch 10: benchmarking …" in lines()
    progress.event({"epoch": 10, "kind": "milestone", "name": "x", "message": "epoch 10 benchmarked in 7.5 s"})
    after = lines()
    progress.stop()
    assert any("epoch 10 benchmarked in 7.5 s" in line for line in after)
    assert not any("benchmarking …" in line for line in after)


@pytest.mark.parametrize(("kind", "terminal"), [(Display, True), (Lines, False)])
def test_what_coverage_is_held_against_reads_as_an_average(kind, terminal, row, small_recipe):
    text = shown(kind, small_recipe(epochs=20), [row], terminal)
    assert "a uniform model, on average" in text
    assert "of 20.00%" not in text


def test_who_watches():
    seen = Lines(Console())
    assert watcher(seen) is seen
    assert isinstance(watcher(None), Silent)
    assert isinstance(watcher(False), Silent)


@pytest.mark.parametrize("colours", [None, "1"])
@pytest.mark.parametrize(("terminal", "kind"), [(True, Display), (False, Lines)])
def test_a_panel_is_for_a_terminal_and_nothing_else(monkeypatch, terminal, kind, colours):
    """A notebook's kernel sets FORCE_COLOR, for whatever it starts too."""
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    if colours is not None:
        monkeypatch.setenv("FORCE_COLOR", colours)
    file = io.StringIO()
    file.isatty = lambda: terminal
    assert isinstance(watcher(True, Console(file=file)), kind)
    monkeypatch.setattr("sys.stdout", file)
    assert isinstance(watcher(True), kind)


def test_a_standard_output_that_lacks_much_is_written_to(monkeypatch, row, small_recipe):
    class Bare:
        """As some notebooks have it: no terminal, no file behind it, no encoding."""

        def __init__(self):
            self.said = []

        def write(self, text):
            self.said.append(text)

        def flush(self): ...

    bare = Bare()
    monkeypatch.setattr("sys.stdout", bare)
    progress = watcher(True)
    progress.start(small_recipe(epochs=20), 0, "runs/one", [])
    progress.epoch(row)
    progress.stop()
    assert "epoch  10/20" in "".join(bare.said)


def test_the_last_panel_of_a_finished_run_waits_for_nothing(row, small_recipe):
    rows = [row | {"epoch": epoch} for epoch in range(1, 21)]
    progress = Display(Console(file=io.StringIO(), force_terminal=True, width=120))
    progress.start(small_recipe(epochs=20), 0, "runs/one", [20])
    for each in rows:
        progress.epoch(each)
    progress.stop()
    file = io.StringIO()
    Console(file=file, width=120).print(progress._panel())
    assert " 0.0 s left" in file.getvalue()


def test_lines_come_for_every_tenth_epoch_and_the_ends(row, small_recipe):
    rows = [row | {"epoch": epoch} for epoch in range(1, 26)]
    lines = shown(Lines, small_recipe(epochs=25), rows, False).splitlines()
    assert [int(line.split()[1].split("/")[0]) for line in lines if "loss" in line] == [1, 10, 20, 25]


@pytest.mark.parametrize(("loss", "text"), [(887912527.792, "8.88e+08"), (-162.3604, "−162.360"), (None, "—")])
def test_a_loss_has_three_digits_where_more_say_nothing(row, small_recipe, loss, text):
    told = shown(Lines, small_recipe(epochs=1), [row | {"epoch": 1, "terms": {**row["terms"], "loss": loss}}], False)
    assert f"loss {text}  " in told
