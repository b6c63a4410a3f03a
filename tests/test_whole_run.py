"""`train` on a fresh machine, from the first epoch to the reports: what it says, and what it leaves where."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from fault_injection.small_runs import QUICK
from ternary_vae import cli
from ternary_vae.resolution.kept import PURPOSES
from ternary_vae.storage.runs import RunDirectory

SOURCES, TESTS = str(Path(cli.__file__).parents[2]), str(Path(__file__).parent)
SETTINGS = QUICK | {"evaluation.milestones": [1], "cache.limit_megabytes": 1.5}
PROGRAM = """
import sys
from few_draws import draw_few
draw_few()
from ternary_vae.cli import main
try:
    main()
finally:
    from ternary_vae import operations
    from ternary_vae.acceleration import allocator
    assert operations._all_operations_on.cache_info().currsize <= 1
    assert not allocator._is_kept
    # The compiler and symbolic shapes, which nothing uses and which take a second to import.
    assert not {"torch._dynamo", "sympy"} & sys.modules.keys()
"""
PLACES = {"HOME": "home", "XDG_CACHE_HOME": "caches", "XDG_CONFIG_HOME": "settings", "TMPDIR": "temporary"}


class WholeRun(NamedTuple):
    """A finished `train`, and the directory that holds the places of all of its files."""

    done: subprocess.CompletedProcess[str]
    world: Path

    @property
    def work(self) -> Path:
        return self.world / "work"


@pytest.fixture
def whole_run(tmp_path):
    world = tmp_path / "world"
    world.mkdir()
    for name in (*PLACES.values(), "work"):
        (world / name).mkdir()
    environment = {
        name: value for name, value in os.environ.items() if name not in ("TERNARY_VAE_CACHE_DIR", "MPLCONFIGDIR")
    }
    environment |= {variable: str(world / name) for variable, name in PLACES.items()}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join((SOURCES, TESTS))}
    changes = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    arguments = ["train", "--epochs", "1", "--run-dir", "run", "--device", "cpu", *changes, "--require", "own"]
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=world / "work")
    return WholeRun(done, world)


def test_a_whole_run(whole_run):
    """One test, since the run takes as long as hundreds of others."""
    says_where_everything_is(whole_run)
    leaves_nothing_outside_the_declared_places(whole_run)
    tells_once_of_a_cache_past_its_limit(whole_run)


def says_where_everything_is(whole_run):
    done, work = whole_run.done, whole_run.work
    assert done.returncode == 1, done.stderr  # one epoch meets no level
    # A machine that is busy for five seconds while matplotlib looks for fonts, as it does once in a home, is told so.
    said = [line for line in done.stderr.splitlines() if not line.startswith("Matplotlib is building the font cache")]
    assert said == ["level 'own' is not met"]
    assert "resolution, seed 42, after 1 epoch" in done.stdout
    assert "missed" in done.stdout
    *files, page, model = done.stdout.partition("files:\n")[2].splitlines()
    named = [Path(line.strip()) for line in files]
    assert Path("run/reports/index.html") in named
    assert all((work / path).exists() for path in named)
    assert page == f"open the page: {(work / 'run' / 'reports' / 'index.html').resolve().as_uri()}"
    assert model == "use the model: model, _ = ternary_vae.load_model('run/checkpoints/best.safetensors')"
    assert {path.name for path in (work / "run" / "benchmarks").iterdir()} == {
        "manifold_resolution_1.json", "coupled_resolution_1.json",
    }  # fmt: skip


def leaves_nothing_outside_the_declared_places(whole_run):
    """Home, its caches, the directory of temporary files and the working directory, before and after. Declared: the
    run's directory, the tensor cache, matplotlib's list of fonts, and what the audit knows."""
    left = {str(path.relative_to(whole_run.world)) for path in whole_run.world.rglob("*") if not path.is_dir()}
    declared = ("work/run/", "work/models/cached_tensors/", "caches/matplotlib/", "settings/matplotlib/")
    assert [path for path in sorted(left) if not path.startswith(declared)] == []
    kept = {path.split("/")[-1].rpartition("-")[0] for path in left if path.startswith(declared[1])} - {""}
    assert kept == {f"{name}_epoch1" for name in PURPOSES}
    assert not any(path.endswith((".tmp", ".damaged")) for path in left)


def tells_once_of_a_cache_past_its_limit(whole_run):
    events = RunDirectory(whole_run.work / "run").events()
    (message,) = [event["message"] for event in events if event["kind"] == "warning"]
    assert "more than the limit of 1.5 MB; largest: latent_encodings_" in message  # 5 MB are
