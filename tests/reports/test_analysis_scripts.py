"""The plan's analysis command lines, as they are typed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from synthetic_runs import MILESTONES

from ternary_vae.storage.runs import RunDirectory


def test_compare_epochs_as_the_plan_types_it(
    failing_run: RunDirectory, tmp_path: Path, run_script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(failing_run.benchmarks, "reports/benchmarks")
    written = ("reports/benchmarks/RESOLUTION_EVOLUTION.md", "reports/benchmarks/resolution_evolution.png")
    arguments = ("--epochs", 3, 100, 150, 999, "--output", written[0])
    assert run_script("analysis/compare_epochs.py", *arguments) == (0, "\n".join(written) + "\n", "")
    text, figure = map(Path, written)
    assert "| 150 | 3 | 100% (50–60% ✓) |" in text.read_text(encoding="utf-8")
    assert "- epoch 999: `manifold_resolution_999.json`" in text.read_text(encoding="utf-8")
    assert figure.read_bytes().startswith(b"\x89PNG")


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
