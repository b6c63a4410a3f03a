"""The display over all runs reads what runs write, however far a line has got."""

from __future__ import annotations

import io
import os

from rich.console import Console

from ternary_vae.experiments import monitoring
from ternary_vae.experiments.monitoring import MonitoredRun, Overview, last_row
from ternary_vae.experiments.task import Ending
from ternary_vae.storage.runs import RunDirectory


def written(place, name, text):
    run = RunDirectory(place / name)
    run.path.mkdir()
    run.metrics_file.write_text(text)
    return run


def test_the_last_whole_row_is_found(tmp_path):
    long = "".join(f'{{"epoch": {epoch}, "pad{"x" * 500}": 0}}\n' for epoch in range(1, 101))
    assert last_row(written(tmp_path, "long", long))["epoch"] == 100
    assert last_row(written(tmp_path, "half", '{"epoch": 7}\n{"epoch": 8, "cov'))["epoch"] == 7
    odd = '{"epoch": 7}\n{"epoch": null}\n{"epoch": 8, "coverage": "all"}\n'
    assert last_row(written(tmp_path, "odd", odd))["epoch"] == 7
    assert last_row(written(tmp_path, "empty", "")) is None
    assert last_row(RunDirectory(tmp_path / "nothing")) is None
    pipe = RunDirectory(tmp_path / "pipe")
    pipe.path.mkdir()
    os.mkfifo(pipe.metrics_file)
    assert last_row(pipe) is None


def test_endings_are_lines_and_progress_is_told_in_a_pipe(tmp_path, monkeypatch):
    monkeypatch.setattr(monitoring, "_MINUTE", 0.0)
    output, rounds = io.StringIO(), []
    names = ("one", "two", "three", "four")
    runs = [MonitoredRun(name, written(tmp_path, name, '{"epoch": 1}\n'), 4) for name in names]
    runs.append(MonitoredRun("earlier", written(tmp_path, "earlier", '{"epoch": 4}\n'), 4, "complete"))
    with Overview(Console(file=output, width=40), "title", runs, lambda: rounds.append(1)) as overview:
        runs[0].directory.metrics_file.write_text('{"epoch": 1}\n{"epoch": 4}\n')
        while "one 4/4" not in output.getvalue():
            pass
        overview.ended(Ending("one", "completed", seconds=75))
        overview.ended(Ending("two", "failed", "no space left on the disk; free some"))
        runs[2].directory.metrics_file.write_text('{"epoch": 1}\n{"epoch": 2}\n')
        for name in ("three", "four"):
            overview.ended(Ending(name, "interrupted"))
    assert rounds
    lines = output.getvalue().splitlines()
    assert any("of 20 epochs" in line and "one 4/4" in line for line in lines)
    assert "one: completed after 4 epochs, 1 min 15 s; 2 of 5 runs complete, " in output.getvalue()
    assert "two: failed after 1 epoch: no space left on the disk; free some" in lines
    assert "three: interrupted after 2 epochs" in lines
    assert runs[3].status == "interrupted"
    assert not any(line.startswith("four") for line in lines), "of which nothing was done"


def test_a_terminal_shows_what_runs_at_the_moment(tmp_path):
    row = '{"epoch": 3, "exact_match_a": 0.5, "exact_match_b": 1.0, "coverage": 0.25}\n'
    runs = [
        MonitoredRun("one", written(tmp_path, "one", row), 4, "running"),
        MonitoredRun("two", RunDirectory(tmp_path / "two"), 4),
    ]
    overview = Overview(Console(file=io.StringIO(), force_terminal=True, width=100), "title", runs)
    runs[0].status = "running"
    shown = io.StringIO()
    Console(file=shown, width=100).print(overview._panel())
    assert "3 of 8 epochs" in shown.getvalue()
    assert "1 running" in shown.getvalue()
    assert all(figure in shown.getvalue() for figure in ("3 of 4", "50.00%", "100%", "25.00%"))
