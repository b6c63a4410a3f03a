"""Every place where caches of this project, its libraries and its tools lie: measured, explained, and only looked at
(plan, appendix A.4)."""

from __future__ import annotations

import getpass
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ternary_vae.errors import UserError
from ternary_vae.storage.tensor_cache import DEFAULT_DIRECTORY, ENVIRONMENT_VARIABLE, TensorCache

Root = Literal["cache", "home", "temporary"]
_RESULTS = {"runs", "sandbox-training", "reports", "artifacts", "models"}
"""Directories of a project in which no bytecode is looked for."""
_OTHERS = {".git", "node_modules"}
"""The same, at any depth."""
_BYTECODE = "compiled sources; compiled again when imported"


@dataclass(frozen=True)
class Place:
    """One cache.

    Attributes:
        entries: files and their bytes, links among them but never followed.
        known: whether this program knows what it is.
        safe: whether it is made again without a network's or a person's help, so that `clean` may remove it.
        problem: why it could not be read in full.
    """

    name: str
    path: Path
    purpose: str
    known: bool = True
    safe: bool = False
    entries: tuple[tuple[Path, int], ...] = field(default=(), repr=False)
    exists: bool = False
    problem: str = ""

    @property
    def bytes(self) -> int:
        return sum(size for _, size in self.entries)

    @property
    def files(self) -> int:
        return len(self.entries)

    def row(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "name": self.name, "path": str(self.path), "exists": self.exists, "bytes": self.bytes, "files": self.files,
            "purpose": self.purpose, "known": self.known, "safe_to_clean": self.safe, "problem": self.problem,
        }  # fmt: skip


@dataclass(frozen=True)
class _Library:
    """Where a library keeps a cache: in the first of the environment variables that is set (with something after it),
    else in its usual place, if it has one."""

    name: str
    purpose: str
    safe: bool
    variables: tuple[tuple[str, str], ...]
    usual: tuple[Root, str] | None


_LIBRARIES = (
    _Library("PyTorch hub", "models downloaded by torch.hub; not used by this project", False,
             (("TORCH_HOME", "hub"),), ("cache", "torch/hub")),
    _Library("PyTorch kernels", "compiled kernels; compiled again when needed", True,
             (("PYTORCH_KERNEL_CACHE_PATH", ""),), ("cache", "torch/kernels")),
    _Library("PyTorch extensions", "compiled C++ and CUDA extensions; compiled again when needed", True,
             (("TORCH_EXTENSIONS_DIR", ""),), ("cache", "torch_extensions")),
    _Library("PyTorch inductor", "code compiled by torch.compile; compiled again when needed", True,
             (("TORCHINDUCTOR_CACHE_DIR", ""),), ("temporary", "torchinductor_{user}")),
    _Library("Triton", "compiled kernels; compiled again when needed", True,
             (("TRITON_CACHE_DIR", ""), ("TRITON_HOME", ".triton/cache")), ("home", ".triton/cache")),
    _Library("CUDA", "kernels compiled by the driver; compiled again when needed", True,
             (("CUDA_CACHE_PATH", ""),), ("home", ".nv/ComputeCache")),
    _Library("Hugging Face", "models that `from_pretrained` downloaded, and what other programs did", False,
             (("HF_HOME", ""),), ("cache", "huggingface")),
    _Library("Hugging Face hub", "models that `from_pretrained` downloaded, and what other programs did", False,
             (("HF_HUB_CACHE", ""), ("HUGGINGFACE_HUB_CACHE", "")), None),
    _Library("Hugging Face data sets", "downloaded and converted data; not used by this project", False,
             (("HF_DATASETS_CACHE", ""),), None),
    _Library("Hugging Face transformers", "downloaded models, older versions; not used by this project", False,
             (("TRANSFORMERS_CACHE", ""),), None),
    _Library("pip", "downloaded and built packages; downloaded again when needed", True,
             (("PIP_CACHE_DIR", ""),), ("cache", "pip")),
    _Library("matplotlib", "list of fonts, and settings where MPLCONFIGDIR is set", False,
             (("MPLCONFIGDIR", ""),), ("cache", "matplotlib")),
    _Library("fontconfig", "index of the system's fonts, shared with other programs", False,
             (), ("cache", "fontconfig")),
    _Library("Playwright", "browsers that the tests of pages run in", False,
             (("PLAYWRIGHT_BROWSERS_PATH", ""),), ("cache", "ms-playwright")),
)  # fmt: skip

_TOOLS = (
    (".pytest_cache", "which tests failed last", True),
    (".ruff_cache", "which files ruff has checked", True),
    (".import_linter_cache", "which module imports which", True),
    (".hypothesis", "examples that failed, for the next test run", False),
)


def audit_caches(
    project: str | Path = ".",
    cache_directory: str | Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> list[Place]:
    """Looks everywhere, changes nothing, follows no link.

    Args:
        project: directory of the project.
        cache_directory: of the tensor cache; where the environment puts it, or else the project, unless given.
        environment: the process's own unless given; its variables move many of the places.

    Raises:
        UserError: the project is not a directory.
    """
    if not os.path.isdir(project):
        raise UserError(f"{project}: not a directory; name that of a project")
    project = Path(os.path.abspath(project))
    environment = os.environ if environment is None else environment
    roots = cache_roots(environment)
    libraries = list(_libraries(roots, environment))
    cache = cache_directory or environment.get(ENVIRONMENT_VARIABLE) or project / DEFAULT_DIRECTORY
    of_project = _of_project(project, Path(os.path.abspath(cache)))
    usual = roots["home"] / ".cache"  # which some programs use even where XDG_CACHE_HOME names another
    unknown = [place for root in dict.fromkeys((roots["cache"], usual)) for place in _unknown(root, libraries)]
    return [*libraries, *unknown, *_bytecode_elsewhere(project, environment), *of_project]


def cache_roots(environment: Mapping[str, str]) -> dict[Root, Path]:
    """Home, the user's cache directory and the directory of temporary files."""
    home = Path(environment.get("HOME") or _home())
    moved = environment.get("XDG_CACHE_HOME", "")
    return {
        "home": home,
        "cache": Path(moved) if os.path.isabs(moved) else home / ".cache",  # a relative one is to be ignored
        "temporary": Path(environment.get("TMPDIR") or _temporary()),
    }


def _libraries(roots: dict[Root, Path], environment: Mapping[str, str]) -> Iterator[Place]:
    for library in _LIBRARIES:
        moved = next(
            (_expanded(environment[name], roots) / rest for name, rest in library.variables if environment.get(name)),
            None,
        )
        place = Place(library.name, Path(), library.purpose, safe=library.safe)
        if moved is not None:
            yield measured(replace(place, path=Path(os.path.abspath(moved))))
        if library.usual is not None:
            root, below = library.usual
            path = Path(os.path.abspath(roots[root] / below.format(user=_user())))
            if moved is None:
                yield measured(replace(place, path=path))
            elif os.path.lexists(path) and path != Path(os.path.abspath(moved)):  # what was kept before it was moved
                yield measured(replace(place, name=f"{library.name}, usual place", path=path))


def _expanded(value: str, roots: Mapping[Root, Path]) -> Path:
    """A path in a variable, in which most libraries take ~ for the home directory."""
    return roots["home"] / value[1:].lstrip("/") if value == "~" or value.startswith("~/") else Path(value)


def _unknown(directory: Path, known: Iterable[Place]) -> Iterator[Place]:
    """What lies in the user's cache directory and is none of the known places, nor holds one."""
    paths = {place.path for place in known}
    purpose = "unknown: look before removing it"
    try:
        paths_there = sorted(directory.iterdir())
    except FileNotFoundError:
        return
    except OSError as failure:
        problem = f"cannot be read: {failure.strerror}"
        yield Place(directory.name, directory, purpose, known=False, exists=True, problem=problem)
        return
    for path in paths_there:
        if path in paths:
            continue
        if any(path in other.parents for other in paths) and not os.path.islink(path):
            yield from _unknown(path, known)
        else:
            yield measured(Place(path.name, path, purpose, known=False))


def _of_project(project: Path, cache_directory: Path) -> Iterator[Place]:
    yield _bytecode(project)
    for name, purpose, safe in _TOOLS:
        yield measured(Place(name, project / name, purpose, safe=safe))
    yield from _runs(project / "runs")
    for name, below, purpose in (
        ("checkpoints, version 5.5", "sandbox-training/checkpoints", "training's own results; not a cache"),
        ("benchmarks", "reports/benchmarks", "records of benchmarks; results, not a cache"),
        ("artifacts", "artifacts", "training's own results; not a cache"),
    ):
        yield measured(Place(name, project / below, purpose))
    purpose = "what benchmarks read again; `ternary-vae cache list` explains it, `ternary-vae cache clear` removes it"
    everything = measured(Place("tensor cache", cache_directory, purpose))
    usual = project / DEFAULT_DIRECTORY
    if cache_directory != usual and os.path.lexists(usual):  # what was kept before it was moved
        yield measured(Place("tensor cache, usual place", usual, purpose))
    leftovers = set(_leftovers(cache_directory))
    yield _with(everything, lambda path: path not in leftovers)
    purpose = "damaged entries, and what a killed process left"
    rest = replace(everything, name="tensor cache, set aside", purpose=purpose, safe=True)
    yield _with(rest, lambda path: path in leftovers)


def _runs(directory: Path) -> Iterator[Place]:
    whole = measured(Place("runs", directory, "logs and reports of runs; results, not a cache"))
    parts = ("checkpoints", "benchmarks")

    def part_of(path: Path) -> str:
        return next((name for name in path.relative_to(directory).parts[:-1] if name in parts), "")

    yield _with(whole, lambda path: not part_of(path))
    for name in parts:
        place = replace(whole, name=f"{name} of runs", purpose="results, not a cache")
        yield _with(place, lambda path, name=name: part_of(path) == name)


def _bytecode(project: Path) -> Place:
    """Compiled sources in the project, not those of virtual environments, which belong to their packages."""
    entries: list[tuple[Path, int]] = []
    for directory, names, files in os.walk(project):
        here = Path(directory)
        if "pyvenv.cfg" in files or "run.json" in files:
            names.clear()
        skipped = _OTHERS | _RESULTS if here == project else _OTHERS
        names[:] = [name for name in names if name not in skipped and not os.path.islink(here / name)]
        if here.name == "__pycache__":
            entries += [(here / name, _size(here / name)) for name in files if name.endswith(".pyc")]
    return Place("__pycache__", project, _BYTECODE, safe=True, entries=tuple(sorted(entries)), exists=bool(entries))


def _bytecode_elsewhere(project: Path, environment: Mapping[str, str]) -> Iterator[Place]:
    """Compiled sources of the project where PYTHONPYCACHEPREFIX puts them: under the prefix, by their whole path."""
    prefix = environment.get("PYTHONPYCACHEPREFIX")
    if prefix:
        path = Path(os.path.abspath(prefix)) / project.relative_to(project.anchor)
        place = measured(Place("__pycache__, moved", path, _BYTECODE, safe=True))
        yield _with(place, lambda file: file.suffix == ".pyc" and not os.path.islink(file))


def measured(place: Place) -> Place:
    """The place with its files and sizes."""
    problems: list[OSError] = []
    if os.path.islink(place.path):
        return replace(place, exists=True, entries=((place.path, 0),), problem="is a link; not followed")
    if os.path.isfile(place.path):
        return replace(place, exists=True, entries=((place.path, _size(place.path)),))
    entries = []
    counted: set[tuple[int, int]] = set()
    for directory, names, files in os.walk(place.path, onerror=problems.append):
        links = [name for name in names if os.path.islink(Path(directory) / name)]
        entries += [(Path(directory) / name, _size(Path(directory) / name, counted)) for name in (*files, *links)]
    problems = [problem for problem in problems if not isinstance(problem, FileNotFoundError)]
    problem = f"cannot be read in full: {problems[0].strerror}" if problems else ""
    exists = os.path.isdir(place.path) or bool(problem)
    return replace(place, exists=exists, entries=tuple(sorted(entries)), problem=problem)


def _leftovers(directory: Path) -> list[Path]:
    with suppress(Exception):  # what is wrong with the directory is said where it is used
        return TensorCache(directory).leftovers()
    return []


def _with(place: Place, wanted: Callable[[Path], bool]) -> Place:
    entries = tuple((path, size) for path, size in place.entries if wanted(path))
    return replace(place, entries=entries, exists=place.exists and (bool(entries) or not place.safe))


def _size(path: Path, counted: set[tuple[int, int]] | None = None) -> int:
    """Bytes of a file; 0 where a file of several names has been counted under another."""
    try:
        status = path.lstat()
    except OSError:
        return 0
    if counted is not None and status.st_nlink > 1:
        if (status.st_dev, status.st_ino) in counted:
            return 0
        counted.add((status.st_dev, status.st_ino))
    return status.st_size


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user without an account, or a system without accounts
        return str(os.getuid()) if hasattr(os, "getuid") else "user"


def _home() -> Path:
    with suppress(RuntimeError):  # a user without an account, whose home most systems make the root directory
        return Path.home()
    return Path(os.sep)


def _temporary() -> str:
    with suppress(OSError):  # no temporary directory that can be written
        return tempfile.gettempdir()
    return "/tmp"
