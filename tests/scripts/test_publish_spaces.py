"""What a run reached is published once it has ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ternary_vae.recipe import load_recipe
from ternary_vae.storage.runs import RunDirectory


def test_a_run_that_goes_on_is_one_line_and_nothing_is_written(tmp_path: Path, run_script: Callable[..., Any]) -> None:
    run = RunDirectory(tmp_path / "run")
    run.create(load_recipe("three_inputs"), {"status": "running"})
    output = tmp_path / "README.md"
    code, out, error = run_script("publish/publish_spaces.py", run.path, "--output", output)
    assert (code, out) == (2, "")
    assert error == f"publish_spaces: {run.path}: running, not completed; wait for its end, or go on with resume\n"
    assert not output.exists()
