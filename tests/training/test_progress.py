"""What a person sees: a panel in a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from ternary_vae.storage.runs import RunDirectory
from ternary_vae.training.evaluation import NOT_EVALUATED
from ternary_vae.training.progress import Display, Lines


@pytest.fixture
def row(finished_run):
    return RunDirectory(finished_run).metrics()[-1] | {
        "epoch": 10, "exact_match_a": 0.99999, "exact_match_b": 1.0, "exact_match_best_of_two": 1.0, "coverage": 0.1,
        "coverage_limit": 0.2, "rho": 0.35,
    }  # fmt: skip


def shown(kind, recipe, rows, terminal, place="runs/one"):
    """All that one kind of progress prints for some rows and an event, without control characters."""
    file = io.StringIO()
    watcher = kind(Console(file=file, force_terminal=terminal, width=120))
    watcher.start(recipe, 0, place)
    for row in rows:
        watcher.epoch(row)
    watcher.event({"epoch": 10, "kind": "guard", "name": "x", "message": "coverage has stopped [short] of its limit"})
    watcher.stop()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())


@pytest.mark.parametrize(("kind", "terminal"), [(Display, True), (Lines, False)])
def test_everything_that_matters_is_shown(kind, terminal, row, small_recipe):
    text = shown(kind, small_recipe(epochs=20), [row], terminal)
    for piece in (
        "resolution", "seed 42", "runs/one", "phase 1", "0.35", "99.99%", "100%", "10.00%", "20.00%", "epochs/s",
        "left", "coverage has stopped [short] of its limit",
    ):  # fmt: skip
        assert piece in text, piece


@pytest.mark.parametrize(("kind", "terminal"), [(Display, True), (Lines, False)])
def test_an_epoch_that_was_not_evaluated(kind, terminal, row, small_recipe):
    text = shown(kind, small_recipe(epochs=20), [row | dict.fromkeys(NOT_EVALUATED)], terminal)
    assert "99.99%" not in text
    assert "None" not in text


@pytest.mark.parametrize(("kind", "terminal"), [(Display, True), (Lines, False)])
def test_a_place_that_looks_like_markup(kind, terminal, row, small_recipe):
    assert "runs/[/bold]x" in shown(kind, small_recipe(epochs=20), [row], terminal, place="runs/[/bold]x")


def test_lines_come_for_every_tenth_epoch_and_the_ends(row, small_recipe):
    rows = [row | {"epoch": epoch} for epoch in range(1, 26)]
    lines = shown(Lines, small_recipe(epochs=25), rows, False).splitlines()
    assert [int(line.split()[1].split("/")[0]) for line in lines if "loss" in line] == [1, 10, 20, 25]
