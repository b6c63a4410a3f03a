"""Epochs of rows whose counts are plain to see."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ternary_vae.experiments.arms import arms_of, planned_runs
from ternary_vae.experiments.description import load_experiment
from ternary_vae.experiments.directory import ExperimentDirectory

TEXT = """
name: a_test
description: two arms
recipes: [resolution]
arms: {other: {set: {objective.recognition: 0.0}}}
seeds: 0-1
epochs: 14
scale_phases: true
reference: resolution
"""
INEXACT = {("resolution", 0): 3, ("resolution", 1): 1, ("other", 0): 8, ("other", 1): 14}
"""The last epoch in which VAE-A misses something; in as many it misses something coupled."""


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    source = tmp_path / "a_test.yaml"
    source.write_text(TEXT)
    described, _ = load_experiment(str(source))
    directory = ExperimentDirectory(tmp_path / "experiments" / "a_test")
    arms = arms_of(described, source)
    directory.freeze(described, arms, source)
    for run in planned_runs(described, arms):
        last, place = INEXACT[run.arm, run.seed], directory.run(run)
        place.path.mkdir(parents=True)
        rows = [
            {
                "epoch": epoch,
                "exact_match_a": 1.0 if epoch > last else 0.5,
                "exact_match_b": None if epoch == 5 else 1.0,
                "exact_match_coupled_a": 1.0,
                "exact_match_coupled_b": 0.9 if epoch > 14 - last else 1.0,
            }
            for epoch in range(1, 15)
        ]
        place.metrics_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return directory.path


def test_epochs_are_counted(experiment, run_script):
    code, out, error = run_script("analysis/exact_epochs.py", experiment)
    assert (code, error) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    # From epochs 4 and 2, and from 9 and 15, one more than there are: 5 and 13 more, 9 ± 12.706 × 4.
    assert rows[1] == ["resolution", "4", "3.0"]
    assert rows[2] == ["other", "15", "12.0", "9.0", "-41.8", "to", "59.8"]
    # Of the epochs 11 to 14 the last three and the last one, and all four twice: 1 and 3 more.
    assert rows[4] == ["resolution", "3", "2.0"]
    assert rows[5] == ["other", "4", "4.0", "2.0", "-10.7", "to", "14.7"]


def test_without_a_complete_reference_it_is_one_line(experiment, run_script):
    for file in experiment.glob("runs/resolution-*/metrics.jsonl"):
        file.write_text("")
    code, out, error = run_script("analysis/exact_epochs.py", experiment)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert "no run of a reference is complete" in error
