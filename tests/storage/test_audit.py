"""Audit and clean in a made-up home: every place where its variable puts it; what goes, and above all what stays."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch

from ternary_vae.errors import UserError
from ternary_vae.storage import audit, clean
from ternary_vae.storage.audit import Place, audit_caches
from ternary_vae.storage.clean import clean_caches, cleanable
from ternary_vae.storage.tensor_cache import TensorCache


class World:
    """A home and a project, with a file of known size wherever one is put."""

    def __init__(self, root: Path) -> None:
        self.home, self.project, self.temporary = root / "home", root / "project", root / "temporary"
        for path in (self.home / ".cache", self.project, self.temporary):
            path.mkdir(parents=True)
        self.environment = {"HOME": str(self.home), "TMPDIR": str(self.temporary)}
        self.store = TensorCache(self.project / "models" / "cached_tensors")

    def put(self, path: str | Path, size: int = 100) -> Path:
        place = self.home.parent / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"x" * size)
        return place

    def audit(self) -> dict[str, Place]:
        places = audit_caches(self.project, None, self.environment)
        return {place.name: place for place in places}

    def clean(self) -> tuple[int, int, list[str]]:
        return clean_caches(cleanable(self.project, None, self.environment))

    def files(self) -> set[str]:
        root = self.home.parent
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_symlink() or not path.is_dir()}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize(
    ("name", "usual", "variable", "moved", "safe"),
    [
        ("PyTorch hub", "home/.cache/torch/hub", "TORCH_HOME", "else/hub", False),
        ("PyTorch kernels", "home/.cache/torch/kernels", "PYTORCH_KERNEL_CACHE_PATH", "else", True),
        ("PyTorch extensions", "home/.cache/torch_extensions", "TORCH_EXTENSIONS_DIR", "else", True),
        ("Triton", "home/.triton/cache", "TRITON_CACHE_DIR", "else", True),
        ("Triton", "home/.triton/cache", "TRITON_HOME", "else/.triton/cache", True),
        ("CUDA", "home/.nv/ComputeCache", "CUDA_CACHE_PATH", "else", True),
        ("Hugging Face", "home/.cache/huggingface", "HF_HOME", "else", False),
        ("pip", "home/.cache/pip", "PIP_CACHE_DIR", "else", True),
        ("PyTorch inductor", "temporary/torchinductor_{user}", "TORCHINDUCTOR_CACHE_DIR", "else", True),
        ("Playwright", "home/.cache/ms-playwright", "PLAYWRIGHT_BROWSERS_PATH", "else", False),
        ("tensor cache", "project/models/cached_tensors", "TERNARY_VAE_CACHE_DIR", "else", False),
        ("matplotlib", "home/.cache/matplotlib", "MPLCONFIGDIR", "else", False),
    ],
)
def test_a_known_cache_is_found_where_it_is_and_where_its_variable_moves_it(
    world: World, name: str, usual: str, variable: str, moved: str, safe: bool
) -> None:
    usual = usual.format(user=audit._user())
    assert not world.audit()[name].exists
    world.put(f"{usual}/one", 300)
    world.put(f"{usual}/deep/two", 50)
    place = world.audit()[name]
    assert (place.bytes, place.files, place.known, place.safe, place.exists) == (350, 2, True, safe, True)
    assert f"{name}, usual place" not in world.audit()
    world.environment[variable] = str(world.home.parent / "else")
    world.put(f"{moved}/three", 7)
    place = world.audit()[name]
    assert (place.path, place.bytes) == (world.home.parent / moved, 7)
    before = world.audit()[f"{name}, usual place"]
    assert (before.bytes, before.known, before.safe) == (350, True, safe)


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("Hugging Face hub", "HF_HUB_CACHE"),
        ("Hugging Face hub", "HUGGINGFACE_HUB_CACHE"),
        ("Hugging Face data sets", "HF_DATASETS_CACHE"),
        ("Hugging Face transformers", "TRANSFORMERS_CACHE"),
    ],
)
def test_a_part_of_a_cache_that_only_a_variable_sets_apart(world: World, name: str, variable: str) -> None:
    assert name not in world.audit()
    world.put("else/weights", 40)
    world.environment[variable] = str(world.home.parent / "else")
    place = world.audit()[name]
    assert (place.path, place.bytes, place.safe) == (world.home.parent / "else", 40, False)


def test_a_tilde_in_a_variable_is_the_home_directory(world: World) -> None:
    world.put("home/mine/wheel", 5)
    world.environment["PIP_CACHE_DIR"] = "~/mine"
    assert (world.audit()["pip"].path, world.audit()["pip"].bytes) == (world.home / "mine", 5)


def test_bytecode_that_a_variable_moves_is_found_and_safe(world: World) -> None:
    """PYTHONPYCACHEPREFIX keeps the bytecode of all programs, each below its own whole path."""
    prefix = world.home.parent / "compiled"
    world.environment["PYTHONPYCACHEPREFIX"] = str(prefix)
    inside = prefix / world.project.relative_to("/") / "src" / "module.cpython-311.pyc"
    world.put(inside, 60)
    stays = {world.put(prefix / "other" / "a.pyc"), world.put(inside.with_name("notes.txt"))}
    place = world.audit()["__pycache__, moved"]
    assert (place.bytes, place.files, place.known, place.safe) == (60, 1, True, True)
    assert world.clean() == (60, 1, [])
    assert not inside.exists()
    assert all(path.exists() for path in stays)


def test_xdg_cache_home_moves_what_follows_it(world: World) -> None:
    world.put("elsewhere/pip/wheel", 11)
    world.put("elsewhere/odd/file", 12)
    world.put("home/.cache/left/file", 13)
    world.environment["XDG_CACHE_HOME"] = str(world.home.parent / "elsewhere")
    places = world.audit()
    assert (places["pip"].bytes, places["odd"].bytes, places["left"].bytes) == (11, 12, 13)
    assert not places["left"].known
    world.environment["XDG_CACHE_HOME"] = "elsewhere"  # not absolute: to be ignored
    assert world.audit()["pip"].path == world.home / ".cache" / "pip"


def test_what_is_not_known_is_unknown_and_stays(world: World) -> None:
    world.put("home/.cache/mystery/a", 40)
    world.put("home/.cache/single", 2)
    world.put("home/.cache/torch/other/weights", 3)
    places = world.audit()
    for name, size in (("mystery", 40), ("single", 2), ("other", 3)):
        assert (places[name].known, places[name].safe, places[name].bytes) == (False, False, size)
    assert "torch" not in places  # holds known places, so its parts are listed
    before = world.files()
    assert world.clean() == (0, 0, [])
    assert world.files() == before


def test_runs_and_results_are_listed_and_never_touched(world: World) -> None:
    kept = {
        world.put("project/runs/one/run.json", 1), world.put("project/runs/one/checkpoints/latest.safetensors", 20),
        world.put("project/runs/one/benchmarks/coupled_resolution_3.json", 300),
        world.put("project/runs/one/__pycache__/odd.pyc", 4000),
        world.put("project/sandbox-training/checkpoints/epoch_1.pt", 5), world.put("project/artifacts/a", 6),
        world.put("project/reports/benchmarks/manifold_resolution_3.json", 7),
        world.put("project/elsewhere/run.json", 8), world.put("project/elsewhere/__pycache__/odd.pyc", 9),
        world.put("project/src/__pycache__/notes.txt", 10), world.put("project/.hypothesis/examples/e", 11),
        world.put("project/venv/pyvenv.cfg", 1), world.put("project/venv/lib/__pycache__/a.pyc", 1),
    }  # fmt: skip
    world.store.save("some", torch.zeros(3))
    places = world.audit()
    assert places["checkpoints of runs"].bytes == 20
    assert places["benchmarks of runs"].bytes == 300
    assert places["runs"].bytes == 4001
    assert places["checkpoints, version 5.5"].bytes == 5
    assert places["benchmarks"].bytes == 7
    assert places["artifacts"].bytes == 6
    assert places["tensor cache"].bytes == world.store.size()
    before = world.files()
    gone = [world.put("project/src/package/reports/__pycache__/a.pyc", 70), world.put("project/.ruff_cache/b", 30)]
    assert world.clean() == (100, 2, [])
    assert world.files() == before
    assert all(path.exists() for path in kept)
    assert not gone[0].parent.exists()  # a directory of bytecode goes too, that of another cache stays, empty
    assert gone[1].parent.is_dir()
    assert (world.project / "src" / "package" / "reports").is_dir()


def test_planning_removes_nothing_and_the_plan_is_what_goes(world: World) -> None:
    world.put("home/.cache/pip/http/a", 1000)
    world.put("home/.nv/ComputeCache/b", 200)
    world.put("project/src/__pycache__/c.pyc", 30)
    aside = world.put("project/models/cached_tensors/x.safetensors.damaged", 4)
    before = world.files()
    plan = cleanable(world.project, world.store.directory, world.environment)
    assert world.files() == before
    assert sum(item.bytes for item in plan) == 1234
    assert clean_caches(plan) == (1234, 4, [])
    assert world.files() == set()
    assert aside.parent.is_dir()
    assert (world.home / ".cache").is_dir()
    assert clean_caches(plan) == (0, 0, [])  # all gone: nothing freed


def test_a_file_of_several_names_counts_once(world: World) -> None:
    """As run directories have them: a checkpoint of an epoch that is the latest too."""
    numbered = world.put("project/runs/one/checkpoints/epoch_3.safetensors", 70)
    (numbered.parent / "latest.safetensors").hardlink_to(numbered)
    place = world.audit()["checkpoints of runs"]
    assert (place.bytes, place.files) == (70, 2)
    cached = world.put("home/.cache/pip/a", 20)
    (cached.parent / "b").hardlink_to(cached)
    assert world.clean() == (20, 2, [])
    kept = world.put("home/mine", 40)
    (cached.parent / "c").hardlink_to(kept)
    assert world.clean() == (0, 1, [])
    assert kept.exists()


def test_a_project_that_is_not_there_is_one_line(world: World) -> None:
    world.project = world.project / "gone"
    for call in (world.audit, world.clean):
        with pytest.raises(UserError, match="gone: not a directory"):
            call()


def test_links_are_removed_but_never_followed(world: World) -> None:
    outside = world.put("outside/precious", 500)
    pip = world.home / ".cache" / "pip"
    pip.mkdir()
    (pip / "directory").symlink_to(outside.parent)
    (pip / "file").symlink_to(outside)
    (world.project / "src").mkdir()
    (world.project / "src" / "__pycache__").symlink_to(outside.parent)
    (world.home / ".triton").mkdir()
    (world.home / ".triton" / "cache").symlink_to(outside.parent)
    assert world.audit()["Triton"].problem == "is a link; not followed"
    refused = {item.place.name: item.refused for item in cleanable(world.project, world.store.directory,
                                                                   world.environment)}  # fmt: skip
    assert refused["Triton"] == "it is a link"
    freed, removed, problems = world.clean()
    assert freed < 500
    assert (removed, problems) == (2, [])
    assert outside.read_bytes() == b"x" * 500
    assert (world.home / ".triton" / "cache").is_symlink()
    assert not (pip / "directory").is_symlink()


def test_a_directory_that_becomes_a_link_after_it_was_looked_at_is_not_followed(world: World) -> None:
    inside, outside = world.put("home/.cache/pip/http/a"), world.put("outside/a")
    plan = cleanable(world.project, world.store.directory, world.environment)
    inside.unlink()
    inside.parent.rmdir()
    inside.parent.symlink_to(outside.parent)
    assert clean_caches(plan) == (0, 0, [])
    assert outside.exists()


@pytest.mark.parametrize(
    "moved",
    ["home", "project", ".", "project/runs", "project/runs/one", "temporary", "home/.cache", "home/letter",
     "project/runs/notes", "project/reports"],
)  # fmt: skip
def test_a_variable_that_points_at_something_else_is_refused(world: World, moved: str) -> None:
    world.put("project/runs/one/metrics.jsonl")
    world.put("home/letter")
    world.put("project/runs/notes/log")
    world.put("project/reports/benchmarks/record")
    world.environment["PIP_CACHE_DIR"] = str(world.home.parent / moved)
    before = world.files()
    refused = {i.place.name: i.refused for i in cleanable(world.project, world.store.directory, world.environment)}
    assert refused["pip"]
    world.clean()
    assert world.files() == before


@pytest.mark.parametrize("name", ["epoch_3.safetensors", "weights.pt", "run.json", "metrics.jsonl"])
def test_a_cache_that_holds_results_is_refused(world: World, name: str) -> None:
    file = world.put(f"home/.cache/pip/deep/{name}")
    (item,) = cleanable(world.project, world.store.directory, world.environment)
    assert "checkpoints or runs" in item.refused
    world.clean()
    assert file.exists()


def test_what_cannot_be_removed_is_said_and_the_rest_goes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stays, goes = world.put("home/.cache/pip/stays", 10), world.put("home/.cache/pip/goes", 20)
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == stays:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        unlink(path, missing_ok)

    monkeypatch.setattr(clean.Path, "unlink", refuse)
    freed, removed, problems = world.clean()
    assert (freed, removed) == (20, 1)
    assert problems == [f"{stays.parent}: 1 file left: Permission denied"]
    assert stays.exists()
    assert not goes.exists()


def closed_to_everyone(monkeypatch: pytest.MonkeyPatch, closed: Path) -> None:
    """As a directory without permissions is to anybody but the system's administrator, who may run these tests."""

    def refusing(call: object) -> object:
        def refuse(path: str | Path = ".", *arguments: object, **options: object) -> object:
            inside = not isinstance(path, int) and closed in Path(path).parents
            if inside or (call is scandir and Path(path) == closed):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return call(path, *arguments, **options)  # type: ignore[operator]

        return refuse

    scandir = os.scandir
    for name in ("scandir", "stat", "lstat"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
    monkeypatch.setattr(Path, "iterdir", lambda path: (path / entry.name for entry in os.scandir(path)))


def test_a_place_that_cannot_be_read_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = world.put("home/.cache/pip/closed/a").parent
    closed_to_everyone(monkeypatch, closed)
    assert world.audit()["pip"].problem == "cannot be read in full: Permission denied"


def test_a_directory_of_caches_that_cannot_be_read_stops_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put("home/.cache/mystery/a")
    world.put("project/src/__pycache__/a.pyc", 30)
    closed_to_everyone(monkeypatch, world.home / ".cache")
    places = world.audit()
    assert (places[".cache"].known, places[".cache"].problem) == (False, "cannot be read: Permission denied")
    assert places["__pycache__"].bytes == 30
    assert world.clean() == (30, 1, [])


def test_a_tensor_cache_that_cannot_be_read_stops_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.environment["TERNARY_VAE_CACHE_DIR"] = str(world.put("closed/cache/a").parent)
    closed_to_everyone(monkeypatch, world.home.parent / "closed")
    assert world.audit()["tensor cache"].problem == "cannot be read in full: Permission denied"
    assert world.clean() == (0, 0, [])
