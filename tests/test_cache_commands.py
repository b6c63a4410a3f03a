"""`ternary-vae cache …` and the scripts, as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from ternary_vae.model import DualVAE
from ternary_vae.recipe import load_recipe
from ternary_vae.resolution.kept import Kept
from ternary_vae.resolution.measure import encoded
from ternary_vae.storage.checkpoints import Checkpoint, save_checkpoint
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.storage.tensor_cache import TensorCache
from ternary_vae.training import loop
from ternary_vae.training import run as training_run

ROOT = Path(__file__).parents[1]
KEPT = ("latent_encodings_A_epoch3", "latent_encodings_B_epoch3")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of a space of 256 operations."""
    run = RunDirectory(tmp_path_factory.mktemp("project") / "runs" / "one")
    recipe = load_recipe(overrides={"space.values": 2, "space.inputs": 3})
    with torch.random.fork_rng():
        torch.manual_seed(6)
        weights = DualVAE.of(recipe).state_dict()
    state = Checkpoint(3, 3, recipe, weights, state={"rho": 0.3}, code_version="test")
    save_checkpoint(run.checkpoint(3), state)
    save_checkpoint(run.checkpoint("latest"), state)
    return run.checkpoint(3)


@pytest.fixture
def store(tmp_path: Path) -> TensorCache:
    return TensorCache(tmp_path / "cache")


def test_build_list_show_verify_clear(printed: Any, checkpoint: Path, store: TensorCache) -> None:
    option = ("--cache-dir", store.directory)
    assert "0 entries" in printed("cache", "list", *option)
    assert printed("cache", "build", checkpoint, "--operations", *option, "--device", "cpu").count("wrote ") == 7
    assert "7 entries" in printed("cache", "list", *option)
    listed = json.loads(printed("cache", "list", "--json", *option))
    shapes = {row["key"].rpartition("-")[0]: row["shape"] for row in listed}
    assert shapes == {
        "all_ternary_operations": [19683, 9],
        "latent_distances_A_epoch3": [2, 256],
        "latent_distances_B_epoch3": [2, 256],
        KEPT[0]: [2, 256, 14],
        KEPT[1]: [2, 256, 14],
        "wrong_entries_epoch3": [2, 256],
        "exact_under_noise_epoch3": [4, 256],
    }
    described = {row["key"]: row for row in listed}
    _, *rows, _ = (line.split() for line in printed("cache", "list", *option).splitlines())
    assert {row[0]: row[3] for row in rows} == {key: "×".join(map(str, row["shape"])) for key, row in described.items()}
    readme = (store.directory / "README.md").read_text()
    for key in described:
        shown = json.loads(printed("cache", "show", key, *option).partition("\n")[2])
        assert shown == described[key]
        assert {"purpose", "remake"} <= set(shown["metadata"])
        assert f"| {key}.safetensors |" in readme
        if key.startswith("all_"):
            assert set(shown["made_from"]) == {"code"}
        else:
            made_from = {"checkpoint", "recipe", "code", "torch", "matrix_products", "machine"}
            assert set(shown["made_from"]) == made_from
    assert "7 entries whole, 0 files not" in printed("cache", "verify", *option)
    assert "removed 1 entry," in printed("cache", "clear", "wrong_entries", "wrong_entries", *option)
    (store.directory / "notes.txt").write_text("mine")
    assert "removed 6 entries" in printed("cache", "clear", *option)
    assert {path.name for path in store.directory.iterdir()} == {"README.md", "notes.txt"}


def test_verify_names_what_is_not_whole(printed: Any, store: TensorCache) -> None:
    path = store.save("some", torch.zeros(100))
    path.write_bytes(path.read_bytes()[:-1])
    result = printed("cache", "verify", "--cache-dir", store.directory, code=1)
    assert f"{path}: it is torn" in result
    assert path.exists()


def test_bad_input_is_one_line(refused: Any, checkpoint: Path, store: TensorCache, tmp_path: Path) -> None:
    option = ("--cache-dir", store.directory)
    for arguments, says in (
        (("build",), "name checkpoints"),
        (("build", tmp_path / "absent.pt"), "not found"),
        (("show", "absent"), "the cache is empty"),
        (("clear", "../x"), "no such entry"),
    ):
        assert says in refused("cache", *arguments, *option)
    assert not store.directory.exists()
    store.save("first", torch.zeros(1))
    store.save("fifth", torch.zeros(1))
    assert "did you mean 'first'" in refused("cache", "show", "firts", *option)
    assert "2 entries begin so" in refused("cache", "clear", "fi", *option)
    store.directory.rename(tmp_path / "real")
    store.directory.symlink_to(tmp_path / "real")
    assert "is a link" in refused("cache", "list", *option)


def test_audit_and_clean(printed: Any, refused: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cleaning shows first and acts when told to."""
    monkeypatch.setattr(os, "environ", {"HOME": str(tmp_path), "TMPDIR": str(tmp_path / "temporary")})
    wheel = tmp_path / ".cache" / "pip" / "wheel"
    wheel.parent.mkdir(parents=True)
    wheel.write_bytes(b"x" * 123_400)
    (tmp_path / ".cache" / "mystery").write_bytes(b"x")
    project = ("--project", tmp_path / "project")
    assert "project: not a directory" in refused("cache", "audit", *project)
    (tmp_path / "project").mkdir()
    rows = {row["name"]: row for row in json.loads(printed("cache", "audit", "--json", *project))}
    assert rows["pip"] == {
        "name": "pip", "path": str(wheel.parent), "exists": True, "bytes": 123_400, "files": 1,
        "purpose": rows["pip"]["purpose"], "known": True, "safe_to_clean": True, "problem": "",
    }  # fmt: skip
    assert not rows["mystery"]["known"]
    clean = f"0.1 MB of it safe to clean: ternary-vae cache clean --project {tmp_path / 'project'}"
    assert clean in printed("cache", "audit", *project)
    elsewhere = ("--cache-dir", tmp_path / "elsewhere")
    assert f"{clean} --cache-dir {elsewhere[1]}" in printed("cache", "audit", *project, *elsewhere)
    _, row, end = printed("cache", "clean", *project).splitlines()
    assert row.split() == ["pip", str(wheel.parent), "0.1", "MB", "1"]
    assert end.startswith("would free 0.1 MB; nothing removed")
    assert "nothing removed" in printed("cache", "clean", "--dry-run", *project)
    assert wheel.exists()
    assert "removed 1 file, freed 0.1 MB" in printed("cache", "clean", "--yes", *project)
    assert not wheel.exists()
    assert "nothing to clean" in printed("cache", "clean", *project)


def test_the_plans_regenerate_commands(checkpoint: Path, run_script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the project's directory, with nothing named but what the plan names; the first in a process of its own."""
    project = checkpoint.parents[3]
    monkeypatch.chdir(project)
    monkeypatch.delenv("TERNARY_VAE_CACHE_DIR")
    monkeypatch.setenv("HOME", str(project))
    finished = subprocess.run(
        [sys.executable, ROOT / "scripts" / "cache" / "encode_all.py", "--vae", "A", "--epoch", "3"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert (finished.returncode, finished.stderr) == (0, "")
    store = TensorCache(project / "models" / "cached_tensors")
    assert [entry.key.rpartition("-")[0] for entry in store.list_cache()] == [KEPT[0]]
    code, _, error = run_script("cache/regenerate_ops.py")
    assert (code, error) == (0, "")
    assert len(store.list_cache()) == 2
    readme = (store.directory / "README.md").read_text()
    assert "python scripts/cache/regenerate_ops.py" in readme
    assert "python scripts/cache/encode_all.py --vae A --epoch 3" in readme
    assert run_script("cache/encode_all.py", "--vae", "B", "--epoch", "9") == (
        2,
        "",
        "encode_all: no run in runs/ has a checkpoint of epoch 9; name one with --checkpoint or a run with --run\n",
    )
    rows = {row["name"]: row for row in json.loads(run_script("maintenance/audit_caches.py", "--json")[1])}
    assert rows["checkpoints of runs"]["files"] == 2
    assert rows["tensor cache"]["bytes"] == store.size()


SMALL = {
    "space.values": 2, "space.inputs": 3, "optimizer.batch_size": 512, "optimizer.first_batches.epochs": 0,
    "evaluation.coverage_draws": 200,
    "evaluation.full_coverage_draws": None, "evaluation.milestones": [1],
    "objective.prior_information.draws": 64,
}  # fmt: skip


def warnings_of(place: Path, **settings: object) -> list[str]:
    """Trains two short epochs; the warnings of the run."""
    recipe = load_recipe(overrides=SMALL | {f"cache.{key}": value for key, value in settings.items()}, epochs=2)
    outcome = loop.train(recipe, place, device="cpu")
    assert (outcome.status, outcome.epochs_completed) == ("completed", 2)
    return [event["message"] for event in outcome.directory.events() if event["kind"] == "warning"]


@pytest.fixture
def benchmarks_encode_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Benchmarks that encode and do nothing else, after every epoch again, for nothing is written."""

    def encode(checkpoint: Checkpoint, *, device: str, cache: TensorCache | None) -> tuple[None, None]:
        encoded(Kept(checkpoint, torch.device(device), cache))
        return None, None

    monkeypatch.setattr(training_run, "measure_both", encode)
    monkeypatch.setattr(training_run, "write_record", lambda path, record: None)
    monkeypatch.delenv("TERNARY_VAE_CACHE_DIR")


@pytest.mark.usefixtures("benchmarks_encode_only")
def test_training_goes_on_without_a_cache_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (message,) = warnings_of(tmp_path / "run", directory=str(tmp_path / "link"))
    assert message.startswith(f"{tmp_path / 'link'}: is a link")
    assert message.endswith("going on without the tensor cache")
    assert list((tmp_path / "real").iterdir()) == []
    assert warnings_of(tmp_path / "another", directory=str(tmp_path / "link"), enabled=False) == []


@pytest.mark.usefixtures("benchmarks_encode_only")
def test_the_budget_is_watched_once_an_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nothing is saved: another program fills the directory."""
    monkeypatch.setattr(TensorCache, "keep", lambda *_, **__: None)
    store = TensorCache(tmp_path / "cache")
    store.directory.mkdir()
    (store.directory / "notes.txt").write_bytes(b"x" * 3_000_000)
    (message,) = warnings_of(tmp_path / "run", directory=str(store.directory), limit_megabytes=2)
    assert "3.0 MB, more than the limit of 2 MB; largest: notes.txt (3.0 MB)" in message
    assert f"`ternary-vae cache clear --cache-dir {store.directory}` makes room" in message
    assert warnings_of(tmp_path / "another", directory=str(store.directory), limit_megabytes=4) == []
