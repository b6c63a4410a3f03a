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

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts" / "benchmark"
# Scripts and their arguments, one after the other in one process; after each, what is kept in the cache.
PROGRAM = """
import json, runpy, sys
from few_draws import draw_few
from ternary_vae.storage.tensor_cache import TensorCache
draw_few()
for sys.argv in json.loads(sys.argv[1]):
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as ending:
        assert not ending.code
    print(*sorted(entry.key.rpartition("-")[0] for entry in TensorCache(sys.argv[-1]).list_cache()))
"""
NAMES = ("manifold_resolution", "coupled_resolution")
Records = tuple[IsolatedRecord, CoupledRecord]


def test_another_process_with_another_number_of_threads_gives_the_same_bytes(
    records: Records, checkpoint_file: Path, tmp_path: Path
) -> None:
    threads = "1" if records[0].header.environment.threads != 1 else "2"
    modules = os.pathsep.join(str(ROOT / name) for name in ("src", "tests"))
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "PYTHONPATH": modules}
    outputs = [tmp_path / "made" / f"{name}_3.json" for name in NAMES]
    commands = [
        [SCRIPTS / f"measure_{name}.py", "--checkpoint", checkpoint_file, "--output", output, "--cache-dir", "cache"]
        for name, output in zip(NAMES, outputs)
    ]
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(commands, default=str)],
        capture_output=True, text=True, env=environment, cwd=tmp_path,
    )  # fmt: skip
    assert (finished.returncode, finished.stderr) == (0, "")
    # The first keeps all but what only the second asks for.
    kept = [" ".join(sorted(f"{one}_epoch3" for one in some)) for some in (set(PURPOSES) - {UNDER_NOISE}, PURPOSES)]
    assert finished.stdout.splitlines() == [str(outputs[0]), kept[0], str(outputs[1]), kept[1]]
    for output, record, read in zip(outputs, records, (read_isolated_record, read_coupled_record)):
        first, second = comparable(record), comparable(read(output))
        for header in (first["header"], second["header"]):
            del header["environment"]["threads"], header["code_version"]
        assert json.dumps(second) == json.dumps(first)


@pytest.mark.parametrize("name", NAMES)
def test_bad_input_is_one_line_and_exit_code_2(
    name: str, checkpoint_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = tmp_path / "foreign.pt"
    foreign.write_text("no checkpoint")
    blocker = tmp_path / "file"
    blocker.write_text("")
    notes = tmp_path / "notes.json"
    notes.write_text("[]")
    before = sorted(tmp_path.rglob("*"))
    good, output = str(checkpoint_file), str(tmp_path / "new" / "record.json")
    for arguments, says in (
        (["--checkpoint", str(tmp_path / "absent.safetensors"), "--output", output], "not found"),
        (["--checkpoint", str(foreign), "--output", output], "expected a v5.5 checkpoint"),
        (["--checkpoint", good, "--output", output, "--device", "gpu"], "expected auto, cpu"),
        (["--checkpoint", good, "--output", str(tmp_path)], "it is a directory"),
        (["--checkpoint", good, "--output", str(blocker / "record.json")], "is a file, not a directory"),
        (["--checkpoint", good, "--output", str(notes)], "no benchmark record"),
    ):
        assert benchmark_script(name, None, arguments) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err.count("\n") == 1
        assert shown.err.startswith(f"measure_{name}: ")
        assert says in shown.err
    assert sorted(tmp_path.rglob("*")) == before
    assert notes.read_text() == "[]"
