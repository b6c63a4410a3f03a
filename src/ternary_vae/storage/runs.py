"""A run's directory: what lies where, and who it belongs to.

run.json, recipe.yaml              what the run is
metrics.jsonl, events.jsonl        one line an epoch; one line an event
checkpoints/                       epoch_{N}.safetensors, latest.safetensors, best.safetensors
benchmarks/                        manifold_resolution_{N}.json, coupled_resolution_{N}.json, structure_{N}.json
reports/                           evolution report, figure, page, verdict
tensorboard/
run.lock                           the lease of the process that trains here, or what a killed one left
"""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from ternary_vae import __version__
from ternary_vae.descriptions import Number, Whole, read_yaml, validated
from ternary_vae.errors import UserError, shown
from ternary_vae.recipe import Recipe, validate_recipe
from ternary_vae.storage.files import (
    leftovers,
    read_json,
    read_json_lines,
    reported,
    write_json,
    write_text,
)
from ternary_vae.storage.lease import Lease
from ternary_vae.terminal import quoted

_KINDS_IN_METRICS: dict[str, tuple[tuple[type, ...], str]] = {
    **dict.fromkeys(("terms", "statenet", "statenet.corrections"), ((dict,), "section")),
    **dict.fromkeys(("gate_open", "covered_all_a", "covered_all_b"), ((bool,), "truth value")),
    "guard_events": ((int,), "whole number"),
}
"""What rows of metrics hold that is no number of any kind, by place, and what it is called."""


class _Facts(BaseModel):
    """What `run.json` may say. Other programs may add to it."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    recipe: str
    fingerprint: str
    seed: Whole
    epochs: Whole
    code_version: str | None = None
    device: str | None = None
    environment: dict[str, str | int] | None = None
    started_at: str | None = None
    started_from: str | None = None
    finished_at: str | None = None
    status: str | None = None
    seconds: Annotated[Number, Field(ge=0)] | None = None


class RunDirectory:
    """Paths and records of one run. Creating the object touches nothing."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.run_file = self.path / "run.json"
        self.recipe_file = self.path / "recipe.yaml"
        self.metrics_file = self.path / "metrics.jsonl"
        self.events_file = self.path / "events.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.benchmarks = self.path / "benchmarks"
        self.reports = self.path / "reports"
        self.page = self.reports / "index.html"
        self.tensorboard = self.path / "tensorboard"
        self.lock_file = self.path / "run.lock"
        self._lease: Lease | None = None

    def __repr__(self) -> str:
        return f"RunDirectory({str(self.path)!r})"

    def checkpoint(self, name: int | str) -> Path:
        """`checkpoint(120)`, `checkpoint("latest")`, `checkpoint("best")`."""
        stem = f"epoch_{name}" if isinstance(name, int) else name
        return self.checkpoints / f"{stem}.safetensors"

    def isolated_record(self, epoch: int) -> Path:
        return self.benchmarks / f"manifold_resolution_{epoch}.json"

    def coupled_record(self, epoch: int) -> Path:
        return self.benchmarks / f"coupled_resolution_{epoch}.json"

    def structure_record(self, epoch: int) -> Path:
        return self.benchmarks / f"structure_{epoch}.json"

    def benchmarks_missing(self, recipe: Recipe) -> list[int]:
        """The milestones of its recipe, and the run's end, that lack a record, whether they have come or not."""
        return [
            epoch
            for epoch in recipe.benchmarked
            if not (self.isolated_record(epoch).exists() and self.coupled_record(epoch).exists())
        ]

    @property
    def exists(self) -> bool:
        return self.run_file.exists()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps every other process, on this machine or another, from training in this directory until the block ends,
        or this process does, however it dies. A directory that is made for it is taken away again if nothing else has
        come to lie in it.

        Raises:
            UserError: another process trains here, or the place cannot be written.
        """
        made: list[Path] = []
        try:
            with reported("write", self.path):
                made = [place for place in (self.path, *self.path.parents) if not place.exists()]
                self.path.mkdir(parents=True, exist_ok=True)
            with Lease(self.lock_file, "is training in it") as self._lease:
                yield
        finally:
            self._lease = None
            with suppress(OSError):  # what something else has come to lie in stays
                for place in made:
                    place.rmdir()

    def require_held(self) -> None:
        """To be called before anything is written into a directory that this process trains in.

        Raises:
            UserError: this process stood still for so long that another trains here now.
        """
        if self._lease is not None:
            self._lease.require()

    def entries(self) -> list[Path]:
        """What lies in the directory, its lease aside."""
        with reported("read", self.path):
            entries = self.path.iterdir() if self.path.exists() else ()
            return [entry for entry in entries if self.lock_file.name not in entry.name]

    def clear_leftovers(self) -> None:
        """Removes what killed processes were writing, but for their leases, which another may be taking. What lies in
        other directories here is others'."""
        for place in (self.path, self.checkpoints, self.benchmarks, self.reports):
            for leftover in leftovers(place):
                leftover.unlink(missing_ok=True)

    def clear(self) -> None:
        """Removes what lies in the directory, its lease aside, as far as it can."""
        for entry in self.entries():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                with suppress(OSError):
                    entry.unlink()

    def create(self, recipe: Recipe, facts: dict[str, Any]) -> None:
        """Makes the directory for a new run and writes what the run is.

        Raises:
            UserError: if the directory already holds another run, or anything at all.
        """
        if self.exists:
            raise UserError(
                f"{self.path}: already holds a run of {self.facts().get('recipe', 'another recipe')!r}; "
                f"continue it with `ternary-vae resume {quoted(self.path)}` or name another --run-dir"
            )
        if self.path.is_file() or self.entries():
            raise UserError(f"{self.path}: is not empty and holds no run; name another --run-dir")
        write_text(self.recipe_file, recipe.to_yaml())
        description = {
            "recipe": recipe.name,
            "fingerprint": recipe.fingerprint(),
            "seed": recipe.seed,
            "epochs": recipe.epochs,
            "code_version": code_version(),
        }
        write_json(self.run_file, {**description, **facts})

    def update(self, facts: dict[str, Any], recipe: Recipe | None = None) -> None:
        """Changes entries of `run.json`, and the recipe when one is given.

        Raises:
            UserError: as `require_held`, or the place cannot be written.
        """
        self.require_held()
        if recipe is not None:
            write_text(self.recipe_file, recipe.to_yaml())
        write_json(self.run_file, {**self.facts(), **facts})

    def facts(self) -> dict[str, Any]:
        """`run.json`.

        Raises:
            UserError: if the directory holds no run, or what is said of it cannot be.
        """
        if not self.exists:
            raise UserError(f"{self.path}: holds no run (no run.json); expected a directory that `train` made")
        facts = read_json(self.run_file, what="the description of a run")
        validated(_Facts, facts, str(self.run_file), "the description of a run", lambda _: [])
        return facts

    def recipe(self) -> Recipe:
        """The recipe as it was run.

        Raises:
            UserError: if the directory holds no run or its recipe is not valid.
        """
        self.facts()
        return validate_recipe(read_yaml(self.recipe_file, "a recipe"), str(self.recipe_file))

    def require_run_of(self, recipe: Recipe) -> None:
        """Refuses a directory that holds another run.

        Raises:
            UserError: if its recipe, seed or length differs, or it is damaged.
        """
        found = self.recipe()
        if (found.fingerprint(), found.seed, found.epochs) != (recipe.fingerprint(), recipe.seed, recipe.epochs):
            raise UserError(f"{self.path}: holds a run of another recipe, seed or length; move it away")

    def metrics(self, whole: bool = False) -> list[dict[str, Any]]:
        """One row an epoch, in order.

        Args:
            whole: whether the run's last epoch has to be there.

        Raises:
            UserError: a damaged file, or one without that epoch.
        """
        rows = _with_epochs(self.metrics_file)
        for number, (before, row) in enumerate(zip([{"epoch": 0}, *rows], rows), start=1):
            misplaced = misplaced_in_metrics(row)
            if row["epoch"] <= before["epoch"]:
                misplaced = f"epoch {shown(row['epoch'])}, where one after {shown(before['epoch'])} is expected"
            if misplaced:
                raise UserError(f"{self.metrics_file}: row {number}: {misplaced}; restore the file")
        last = self.recipe().epochs if whole else None
        if whole and (not rows or rows[-1]["epoch"] != last):
            raise UserError(
                f"{self.metrics_file}: epoch {last} is missing; restore the file, or move the run away and train again"
            )
        return rows

    def events(self) -> list[dict[str, Any]]:
        """One row an event, in order.

        Raises:
            UserError: a damaged file.
        """
        rows = _with_epochs(self.events_file)
        for number, row in enumerate(rows, start=1):
            actions = row.get("actions") or []
            if not (isinstance(actions, list) and all(isinstance(action, str) for action in actions)):
                raise UserError(f"{self.events_file}: row {number}: actions is no list of names; restore the file")
        return rows


def _with_epochs(path: Path) -> list[dict[str, Any]]:
    rows = read_json_lines(path)
    for number, row in enumerate(rows, start=1):
        if type(row.get("epoch")) is not int:
            raise UserError(f"{path}: row {number} has no epoch; restore the file")
    return rows


def misplaced_in_metrics(row: dict[str, Any], within: str = "") -> str:
    """What is said of the first value of a row of metrics that cannot be where it is, empty if there is none. Anything
    may be null; most else is numbers, whatever terms and strategies others have registered.

    Args:
        within: the place of a section, with a dot after it, whose values these are.
    """
    for key, value in row.items():
        if value is None:
            continue
        place = within + key
        kinds, said = _KINDS_IN_METRICS.get(place, ((int, float), "number"))
        if type(value) not in kinds:
            return f"{place} is {shown(value)}, not a {said}"
        if isinstance(value, dict) and (inside := misplaced_in_metrics(value, f"{place}.")):
            return inside
    return ""


@cache
def code_version() -> str:
    """Package version, and the commit when run from a checkout."""
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return __version__
    try:
        commit = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=10"],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return __version__
    return f"{__version__}+{commit}"


def environment(device: str) -> dict[str, Any]:
    """Python, torch, platform, device and thread count."""
    import torch

    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "device": name,
        "threads": torch.get_num_threads(),
    }
