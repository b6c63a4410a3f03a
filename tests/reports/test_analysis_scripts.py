"""The plan's analysis command lines, as they are typed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from synthetic_runs import MILESTONES

from ternary_vae.storage.runs import RunDirectory

ROOT = Path(__file__).parents[2]


def run_script(name: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "analysis" / name), *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
    )


def test_compare_epochs_as_the_plan_types_it(failing_run: RunDirectory, tmp_path: Path) -> None:
    shutil.copytree(failing_run.benchmarks, tmp_path / "reports" / "benchmarks")
    output = "reports/benchmarks/RESOLUTION_EVOLUTION.md"
    done = run_script("compare_epochs.py", "--epochs", 3, 100, 150, 999, "--output", output, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [output, "reports/benchmarks/resolution_evolution.png"]
    text = (tmp_path / output).read_text(encoding="utf-8")
    assert "| 150 | 3 | 100% (50–60% ✓) |" in text
    assert "- epoch 999: `manifold_resolution_999.json`" in text
    assert (tmp_path / "reports/benchmarks/resolution_evolution.png").stat().st_size > 50_000


def test_the_plot_alone_from_another_directory(failing_run: RunDirectory, tmp_path: Path) -> None:
    done = run_script(
        "plot_resolution_evolution.py", "--input", failing_run.benchmarks, "--output", "plot.png", "--epochs",
        *MILESTONES, cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_bad_input_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    for name in ("compare_epochs.py", "plot_resolution_evolution.py"):
        done = run_script(name, "--epochs", 3, "--input", tmp_path / "absent", "--output", "out.md", cwd=tmp_path)
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1
        assert "name the directory of the benchmark records with --input" in done.stderr
    assert list(tmp_path.iterdir()) == []
