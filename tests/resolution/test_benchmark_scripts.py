"""The plan's scripts as a user runs them, but for few draws; a second measurement elsewhere gives the same bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ternary_vae.resolution.kept import PURPOSES, UNDER_NOISE
from ternary_vae.resolution.records import (
    CoupledRecord,
    IsolatedRecord,
    comparable,
    read_coupled_record,
    read_isolated_record,
)
from ternary_vae.resolution.script import benchmark_script
from ternary_vae.storage.tensor_cache import TensorCache

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts" / "benchmark"
PROGRAM = """
import runpy, sys
from few_draws import draw_few
draw_few()
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
Records = tuple[IsolatedRecord, CoupledRecord]


def test_another_process_with_another_number_of_threads_gives_the_same_bytes(
    records: Records, checkpoint_file: Path, tmp_path: Path
) -> None:
    threads = "1" if records[0].header.environment.threads != 1 else "2"
    modules = os.pathsep.join(str(ROOT / name) for name in ("src", "tests"))
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "PYTHONPATH": modules}
    for name, record, read in (
        ("manifold_resolution", records[0], read_isolated_record),
        ("coupled_resolution", records[1], read_coupled_record),
    ):
        output = tmp_path / "made" / f"{name}_3.json"
        command = ["-c", PROGRAM, SCRIPTS / f"measure_{name}.py", "--checkpoint", checkpoint_file, "--output", output]
        command += ["--cache-dir", tmp_path / "cache"]
        finished = subprocess.run(
            [sys.executable, *map(str, command)], capture_output=True, text=True, env=environment, cwd=tmp_path
        )
        assert (finished.returncode, finished.stderr) == (0, "")
        assert finished.stdout == f"{output}\n"
        first, second = comparable(record), comparable(read(output))
        for header in (first["header"], second["header"]):
            del header["environment"]["threads"], header["code_version"]
        assert json.dumps(second) == json.dumps(first)
        kept = {entry.key.rpartition("-")[0] for entry in TensorCache(tmp_path / "cache").list_cache()}
        # The first keeps all but what only the second asks for.
        purposes = PURPOSES if name == "coupled_resolution" else set(PURPOSES) - {UNDER_NOISE}
        assert kept == {f"{each}_epoch3" for each in purposes}


@pytest.mark.parametrize("name", ["manifold_resolution", "coupled_resolution"])
def test_bad_input_is_one_line_and_exit_code_2(
    name: str, checkpoint_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = tmp_path / "foreign.pt"
    foreign.write_text("no checkpoint")
    blocker = tmp_path / "file"
    blocker.write_text("")
    before = sorted(tmp_path.rglob("*"))
    good, output = str(checkpoint_file), str(tmp_path / "new" / "record.json")
    for arguments, says in (
        (["--checkpoint", str(tmp_path / "absent.safetensors"), "--output", output], "not found"),
        (["--checkpoint", str(foreign), "--output", output], "expected a v5.5 checkpoint"),
        (["--checkpoint", good, "--output", output, "--device", "gpu"], "expected auto, cpu"),
        (["--checkpoint", good, "--output", str(tmp_path)], "it is a directory"),
        (["--checkpoint", good, "--output", str(blocker / "record.json")], "is a file, not a directory"),
    ):
        assert benchmark_script(name, None, arguments) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err.count("\n") == 1
        assert shown.err.startswith(f"measure_{name}: ")
        assert says in shown.err
    assert sorted(tmp_path.rglob("*")) == before
