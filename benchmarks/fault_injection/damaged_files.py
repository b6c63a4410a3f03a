"""Damaged files of every kind that is read: one clear line or a sensible answer, never a traceback, no file changed."""

from __future__ import annotations

import copy
import json
import random
import re
import shutil
import string
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import yaml

from fault_injection.outcome import Outcome
from fault_injection.small_runs import QUICK, quick_recipe, train_or_resume

TRACEBACKS, CHANGED = "tracebacks", "files changed"
_LONGEST_LINE = 2000


def damaged_files(damages: int, place: Path, chance: random.Random, records: bool = True) -> list[Outcome]:
    """Damages files one at a time, in turns, and reads each by every way that there is to read it.

    Args:
        damages: how many, over all kinds.
        records: with benchmark records and the reports that are made of them, which take a benchmark to begin with.
    """
    kinds = _kinds(place, records)
    outcomes = {name: Outcome.of(f"damaged {name}", TRACEBACKS, "longer than a line", CHANGED) for name in kinds}
    for number in range(damages):
        name = list(kinds)[number % len(kinds)]
        path, read = kinds[name]
        content = path.read_bytes()
        bad = _damaged(path, content, chance)
        path.write_bytes(bad)
        before = _files(place)
        _read(outcomes[name], read, f"damage {number}")
        for changed in sorted({file for file, _ in before ^ _files(place)}):
            outcomes[name].record(CHANGED, f"damage {number}: {changed}")
        outcomes[name].trials += 1
        path.write_bytes(content)
    return list(outcomes.values())


# ---------------------------------------------------------------- what is read, and how


def _kinds(place: Path, records: bool) -> dict[str, tuple[Path, Callable[[], object]]]:
    """Every kind of file, an example of it, and what reads it."""
    import torch

    from ternary_vae.experiments.arms import arms_of, planned_runs
    from ternary_vae.experiments.backends import InProcess
    from ternary_vae.experiments.description import load_experiment
    from ternary_vae.experiments.execution import run_experiment, state_of
    from ternary_vae.experiments.report import report_markdown
    from ternary_vae.experiments.results import gather
    from ternary_vae.model import DualVAE
    from ternary_vae.recipe import load_recipe
    from ternary_vae.reports.evolution import evolution_markdown
    from ternary_vae.reports.measurements import measurements_of_run
    from ternary_vae.reports.page import page_html
    from ternary_vae.reports.verdict import verdict_of
    from ternary_vae.storage.checkpoints import checkpoint_bytes, load_checkpoint, load_model
    from ternary_vae.storage.files import append_json_line
    from ternary_vae.storage.runs import RunDirectory
    from ternary_vae.storage.tensor_cache import TensorCache
    from ternary_vae.training.epoch import PendingUpdate, Trainer

    recipe = quick_recipe(2)
    train_or_resume(lambda _: None, recipe, place / "run", 1, records)
    run = RunDirectory(place / "run")
    if not run.events_file.exists():
        append_json_line(run.events_file, {"epoch": 1, "kind": "guard", "name": "loss", "message": "a test"})
    weights = place / "weights" / "latest.safetensors"
    shutil.move(run.checkpoints, weights.parent)  # a page with a map of all operations takes seconds
    recipe_file, experiment_file = place / "recipe.yaml", place / "experiment.yaml"
    recipe_file.write_text(recipe.to_yaml(), encoding="utf-8")
    experiment_file.write_text(
        yaml.safe_dump(
            {"name": "damaged", "recipes": ["resolution"], "arms": {"plain": {"set": {"model.injection": "plain"}}},
             "seeds": "0-1", "epochs": 1, "milestones": [1], "benchmarks": "none", "set": QUICK}
        ),
        encoding="utf-8",
    )  # fmt: skip
    described, source = load_experiment(str(experiment_file))
    run_experiment(described, place / "experiment", source=source, backend=InProcess())
    old = place / "old.pt"
    model = DualVAE().state_dict()
    torch.save({"epoch": 7, "model": model, "optimizer": {"state": {}}, "rho": 0.3, "lambda1": 0.7}, old)
    signed = place / "signed.safetensors"
    checkpoint = load_checkpoint(weights)
    signed.write_bytes(checkpoint_bytes(checkpoint))
    store = TensorCache(place / "cache", report=lambda _: None)
    store.save("entry", torch.arange(1000), {"purpose": "a test"}, made_from={"number": 1})

    def restore(path: Path) -> None:
        _, loaded = load_model(path)
        Trainer(loaded.recipe).restore(loaded)
        PendingUpdate.of(loaded)

    def report() -> None:
        measured = measurements_of_run(run)
        view = verdict_of(measured)
        evolution_markdown(measured, run.reports / "RESOLUTION_EVOLUTION.md")
        page_html(run, measured, view)

    def whole_run() -> None:
        _command("info", run.path)
        run.metrics(), run.events()
        if records:
            report()

    def plan() -> None:
        read, where = load_experiment(str(experiment_file))
        planned_runs(read, arms_of(read, where))

    def experiment_report() -> None:
        report_markdown(gather(described, state_of(described, place / "experiment", source=source)))

    def cached() -> None:
        with TemporaryDirectory() as copy:  # since a damaged entry is set aside
            shutil.copytree(store.directory, copy, dirs_exist_ok=True)
            TensorCache(copy, report=lambda _: None).load("entry", made_from={"number": 1})
        store.list_cache(), store.verify(), store.exists("entry", made_from={"number": 1})
        _command("cache", "list", "--cache-dir", store.directory)
        _command("cache", "verify", "--cache-dir", store.directory)

    one = next((place / "experiment" / "runs").iterdir())
    entry = store.path("entry", {"number": 1})
    kinds = {
        "recipe": (recipe_file, lambda: load_recipe(str(recipe_file))),
        "experiment": (experiment_file, plan),
        "checkpoint": (weights, lambda: restore(weights)),
        "checkpoint with a right digest": (signed, lambda: restore(signed)),
        "v5.5 checkpoint": (old, lambda: _command("info", old)),
        "run.json": (run.run_file, whole_run),
        "a run's recipe.yaml": (run.recipe_file, whole_run),
        "metrics.jsonl": (run.metrics_file, whole_run),
        "events.jsonl": (run.events_file, whole_run),
        "experiment.yaml of a directory": (place / "experiment" / "experiment.yaml", experiment_report),
        "an arm's recipe": (place / "experiment" / "arms" / "plain.yaml", experiment_report),
        "run.json of an experiment": (one / "run.json", experiment_report),
        "metrics.jsonl of an experiment": (one / "metrics.jsonl", experiment_report),
        "cache entry": (entry, cached),
    }
    if records:
        kinds |= {
            "isolated record": (run.isolated_record(2), report),
            "coupled record": (run.coupled_record(2), report),
        }
    return kinds


def _command(*words: object) -> None:
    """A command of the command line, in this process. What it exits with is not looked at: 1 and 2 are its own."""
    import contextlib
    import io
    import sys

    from ternary_vae.cli import main
    from ternary_vae.errors import UserError

    said, before = io.StringIO(), sys.argv
    sys.argv = ["ternary-vae", *map(str, words)]
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            main()
    except SystemExit as end:
        if end.code == 2:
            raise UserError(said.getvalue()) from None
    finally:
        sys.argv = before


def _read(outcome: Outcome, read: Callable[[], object], what: str) -> None:
    import warnings

    from ternary_vae.errors import UserError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a reader of the line would see it too
            read()
    except UserError as line:
        outcome.line()
        if len(str(line)) > _LONGEST_LINE:
            outcome.record("longer than a line", f"{what}: {str(line)[:200]} …")
    except Exception as failure:
        outcome.record(TRACEBACKS, f"{what}: {type(failure).__name__}: {str(failure)[:300]}")


def _files(place: Path) -> set[tuple[str, tuple[int, int, int]]]:
    """Every file, with what changes whenever it is written or replaced."""
    found = {str(path): path.stat() for path in place.rglob("*") if path.is_file()}
    return {(name, (state.st_ino, state.st_size, state.st_mtime_ns)) for name, state in found.items()}


# ---------------------------------------------------------------- how files are damaged


def _damaged(path: Path, content: bytes, chance: random.Random) -> bytes:
    if path.name == "signed.safetensors":
        return _signed(path, chance)
    structured = {".yaml": _yaml, ".json": _json, ".jsonl": _json_line}.get(path.suffix)
    if structured is not None and chance.random() < 0.6:
        return structured(content, chance)
    return chance.choice(_BYTES)(content, chance)


def _truncated(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def _flipped(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 5, 100))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _inserted(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content) + 1)
    return content[:at] + chance.randbytes(chance.choice((1, 7, 1000))) + content[at:]


def _cut_out(content: bytes, chance: random.Random) -> bytes:
    first, last = sorted(chance.choices(range(len(content) + 1), k=2))
    return content[:first] + content[last:]


def _doubled(content: bytes, chance: random.Random) -> bytes:
    first, last = sorted(chance.choices(range(len(content) + 1), k=2))
    return content[:last] + content[first:]


def _zeroed(content: bytes, chance: random.Random) -> bytes:
    first, last = sorted(chance.choices(range(len(content) + 1), k=2))
    return content[:first] + bytes(last - first) + content[last:]


def _other(content: bytes, chance: random.Random) -> bytes:
    """Something else altogether."""
    choices = (
        b"", b"\0", b"\xff\xfe", b"{}", b"[]", b"null", b"0", b'"text"', b"- a\n- b\n", b"PK\x03\x04", b"\x80\x04.",
        b"[" * 100_000, b"{" * 5000, b"a: &a [*a]\n", b"9" * 5000, chance.randbytes(5000),
        "".join(chance.choices(string.printable, k=3000)).encode(), "é".encode("latin-1"), b"\xef\xbb\xbf" + content,
        content.decode("utf-8", "replace").encode("utf-16"),
    )  # fmt: skip
    return chance.choice(choices)


_BYTES = (_truncated, _flipped, _inserted, _cut_out, _doubled, _zeroed, _other)
_VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 10**30, -(10**400), 0.5, -1e300, float("nan"), float("inf"), "", "x", "-", "é☃",
    "x" * 10_000, "1e5", "\n", [], {}, [[]], [1, 2, 3], {"a": {"b": None}}, "../../x", "\udc80",
)  # fmt: skip


def _changed(tree: Any, chance: random.Random) -> Any:
    """A tree of plain values with one or two of its places changed."""
    tree = copy.deepcopy(tree)
    for _ in range(chance.choice((1, 1, 2))):
        places = _places(tree)
        if not places:
            return chance.choice(_VALUES)
        holder, key = chance.choice(places)
        what = chance.random()
        if what < 0.7:
            holder[key] = copy.deepcopy(chance.choice(_VALUES))
        elif what < 0.85:
            del holder[key]
        elif isinstance(holder, dict):
            holder[chance.choice(("", "x", "__class__", f"{key}_", "é"))] = holder.pop(key)
        else:
            holder.append(copy.deepcopy(holder[key]))
    return tree


def _places(tree: Any) -> list[tuple[Any, Any]]:
    found, left = [], [tree]
    while left:
        holder = left.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
        found += [(holder, key) for key in keys]
        left += [holder[key] for key in keys]
    return found


def _json(content: bytes, chance: random.Random) -> bytes:
    return _dumped(_changed(json.loads(content), chance))


def _json_line(content: bytes, chance: random.Random) -> bytes:
    lines = content.splitlines()
    if not lines:
        return chance.choice((b"null\n", b"{}\n", b"[1]\n", b'{"epoch": "x"}\n'))
    at = chance.randrange(len(lines))
    lines[at] = _dumped(_changed(json.loads(lines[at]), chance))
    return b"\n".join(lines) + b"\n"


def _dumped(tree: Any) -> bytes:
    return json.dumps(tree).encode("utf-8", "surrogatepass")


def _yaml(content: bytes, chance: random.Random) -> bytes:
    text = yaml.safe_dump(_changed(yaml.safe_load(content), chance), allow_unicode=True)
    if chance.random() < 0.2:
        tag = chance.choice(("!!python/object/apply:os.getcwd []", "*nowhere", "&a [*a]", "!!binary x", "|", ">-\n x"))
        text = re.sub(r": [^\n{\[]+\n", f": {tag}\n", text, count=1)
    return text.encode("utf-8", "surrogatepass")


def _signed(path: Path, chance: random.Random) -> bytes:
    """A checkpoint that says something else and has a right digest, as another program could write it."""
    import torch

    from ternary_vae.storage.checkpoints import checkpoint_bytes, load_checkpoint

    checkpoint = load_checkpoint(path)
    group = chance.choice(("state", "model", "optimizer", "generators", "training", "recipe"))
    if group == "state":
        state = _changed(checkpoint.state, chance)
        changed = replace(checkpoint, state=state)
    elif group == "recipe":
        plain = _changed(checkpoint.recipe.model_dump(mode="json"), chance)
        changed = replace(checkpoint, recipe=SimpleNamespace(model_dump=lambda mode: plain))  # type: ignore[arg-type]
    else:
        tensors = dict(getattr(checkpoint, group))
        name = chance.choice(sorted(tensors))
        tensor = tensors.pop(name)
        others = (
            tensor.reshape(-1)[:-1].clone(), tensor.to(torch.float64), tensor.to(torch.uint8),
            torch.zeros(0), torch.full_like(tensor, float("nan")) if tensor.is_floating_point() else tensor * 0 - 1,
        )  # fmt: skip
        if chance.random() < 0.8:
            tensors[name if chance.random() < 0.8 else f"{name}x"] = chance.choice(others)
        changed = replace(checkpoint, **{group: tensors})
    try:
        return checkpoint_bytes(changed)
    except (ValueError, TypeError, UnicodeEncodeError, AttributeError):  # what JSON cannot hold nobody can write
        return _truncated(path.read_bytes(), chance)
