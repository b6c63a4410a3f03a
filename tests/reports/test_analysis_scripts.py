"""The plan's analysis command lines, as they are typed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from synthetic_runs import MILESTONES

from ternary_vae.storage.runs import RunDirectory

ROOT = Path(__file__).parents[2]


def test_compare_epochs_as_the_plan_types_it(failing_run: RunDirectory, tmp_path: Path) -> None:
    """In a process of its own."""
    shutil.copytree(failing_run.benchmarks, tmp_path / "reports" / "benchmarks")
    output = "reports/benchmarks/RESOLUTION_EVOLUTION.md"
    command = [ROOT / "scripts" / "analysis" / "compare_epochs.py", "--epochs", 3, 100, 150, 999, "--output", output]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=tmp_path, capture_output=True, text=True, env=environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [output, "reports/benchmarks/resolution_evolution.png"]
    text = (tmp_path / output).read_text(encoding="utf-8")
    assert "| 150 | 3 | 100% (50–60% ✓) |" in text
    assert "- epoch 999: `manifold_resolution_999.json`" in text
    assert (tmp_path / "reports/benchmarks/resolution_evolution.png").stat().st_size > 50_000


def test_the_plot_alone_from_another_directory(
    failing_run: RunDirectory, tmp_path: Path, run_script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ("--input", failing_run.benchmarks, "--output", "plot.png", "--epochs", *MILESTONES)
    assert run_script("analysis/plot_resolution_evolution.py", *arguments) == (0, "plot.png\n", "")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["compare_epochs", "plot_resolution_evolution"])
def test_bad_input_is_one_line_and_exit_code_2(
    name: str, tmp_path: Path, run_script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ("--epochs", 3, "--input", tmp_path / "absent", "--output", "out.md")
    code, out, error = run_script(f"analysis/{name}.py", *arguments)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert error.startswith(f"{name}: ")
    assert "name the directory of the benchmark records with --input" in error
    assert list(tmp_path.iterdir()) == []
