"""Recipes that nobody would write and that are valid all the same: every setting, anywhere within its bounds."""

from __future__ import annotations

import math
from random import Random
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ternary_vae.recipe import ACTIONS, QUANTITIES, Phases, Recipe
from ternary_vae.space import TWO_INPUT_TERNARY, Space

MOST_STEPS = 10
"""Of an epoch: where batches are small, less is trained on."""

# Accepted and slow: what a test can wait for. No setting else is held back.
_AFFORDABLE = {
    "draws": 4096,
    "subsets": 6,
    "coverage_draws": 4000,
    "full_coverage_draws": 8000,
    "noise_draws": 4,
    "epochs": 3,
    "entropy_bins": 2000,
    "epoch_operations": 500,
    "sample": 500,
    "latent_dimensions": 64,
    "width": 1.5,
}
_SPACES = ((3, 2), (3, 2), (2, 2), (3, 1), (2, 4), (4, 2), (3, 3))
_KNOWN = {"quantity": QUANTITIES, "actions": ACTIONS}
_TEXTS = ("", "1e5", "010", "yes", "~", "null", "1:30", "0x10", "2024-01-01", "<<", "=", "λ ≠ μ", "- a\n b: #c\t'\"\\")


def odd_settings(random: Random) -> dict[str, Any]:
    """Settings for `load_recipe(…, overrides=…)`: every section of a recipe in full, some values as they are by
    default, some near it, some at their bounds; now a few odd ones, now nothing but."""
    boldness = random.choice((0.02, 0.1, 0.3, 0.8))
    settings = _section(Recipe, random, boldness)
    data, optimizer = settings["data"], settings["optimizer"]
    smallest = min(optimizer["batch_size"], optimizer["first_batches"]["size"])
    settings["space"] = dict(zip(("values", "inputs"), random.choice(_SPACES)))  # most others are refused
    data["train_share"] = min(data["train_share"], MOST_STEPS * smallest / TWO_INPUT_TERNARY.operations)
    if not Space(**settings["space"]).is_enumerable():
        data["train_share"] = max(0.01, data["train_share"])
    return settings


def leaves(model: type[BaseModel] = Recipe, path: str = "") -> list[tuple[str, Any, list[Any]]]:
    """Every setting of a model and of the sections inside: its dotted name, its type and what bounds it; of a list, of
    a table or of one that may be null, each part."""
    found = []
    for name, field in model.model_fields.items():
        found += _parts(f"{path}{name}", field.annotation, list(field.metadata))
    return found


def bounds(metadata: list[Any]) -> tuple[float | None, float | None]:
    """The least and the largest number that are allowed, or none where a bound is missing. Beside an open bound it is
    one that is a little inside."""
    low = high = None
    for item in metadata:
        if isinstance(item, FieldInfo):
            inner = bounds(item.metadata)
            low, high = (inner[0] if low is None else low), (inner[1] if high is None else high)
        elif isinstance(item, Ge):
            low = item.ge
        elif isinstance(item, Gt):
            low = item.gt + 1e-6
        elif isinstance(item, Le):
            high = item.le
        elif isinstance(item, Lt):
            high = item.lt - (1 if item.lt > 1 else 1e-6)
    return low, high


def _parts(path: str, kind: Any, metadata: list[Any]) -> list[tuple[str, Any, list[Any]]]:
    origin = get_origin(kind)
    if origin is Annotated:
        return _parts(path, get_args(kind)[0], [*get_args(kind)[1:], *metadata])
    if origin in (Union, UnionType, tuple, dict):
        return [part for inner in get_args(kind) if inner not in (NoneType, ...) for part in _parts(path, inner, [])]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return leaves(kind, f"{path}.")
    return [(path, kind, metadata)]


def _section(model: type[BaseModel], random: Random, boldness: float) -> dict[str, Any]:
    """Values for every field of a section, as its own checks want them."""
    while True:
        found = {
            name: _field(name, field.annotation, list(field.metadata), field.get_default(), random, boldness)
            for name, field in model.model_fields.items()
        }
        if model is Phases:
            ends = sorted(random.sample(range(1, random.choice((5, 50, 1_000_000))), 4))
            for phase, first, last in zip(found.values(), (0, *ends), ends):
                phase["epochs"] = [first, last]
        try:
            model.model_validate(found)
        except ValidationError:
            continue
        return found


def _field(name: str, kind: Any, metadata: list[Any], default: Any, random: Random, boldness: float) -> Any:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _section(kind, random, boldness)
    if name == "extra":  # terms that nobody has registered are refused
        return {}
    if default is PydanticUndefined or random.random() < boldness:
        return _value(name, kind, metadata, default, random, boldness)
    if isinstance(default, tuple):
        return list(default)
    return min(default, _AFFORDABLE[name]) if default is not None and name in _AFFORDABLE else default


def _value(name: str, kind: Any, metadata: list[Any], default: Any, random: Random, boldness: float) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _value(name, inner[0], [*inner[1:], *metadata], default, random, boldness)
    if origin in (Union, UnionType):
        return _value(name, random.choice(inner), [], default, random, boldness)
    if origin is Literal:
        return random.choice(inner)
    if origin is tuple:
        count = len(inner) if inner[-1] is not ... else random.randint(0, 4)
        found = [_value(name, inner[0], [], None, random, boldness) for _ in range(count)]
        ordered = isinstance(found[0], int | float) if found else False
        return sorted(set(found)) if ordered and inner[-1] is ... else sorted(found) if ordered else found
    if origin is dict and inner[0] is str:
        # Of a guard's conditions exactly one must differ from the default.
        return {f"guard_{at}": _value(name, inner[1], [], None, random, 0.5) for at in range(random.randint(0, 6))}
    if origin is dict:
        keys = {0, *(_value("epoch", inner[0], [], 3, random, boldness) for _ in range(random.randint(0, 3)))}
        return {key: _value(name, inner[1], [], 1e-3, random, boldness) for key in keys}
    if kind is NoneType:
        return None
    if kind is bool:
        return random.random() < 0.5
    if kind is str:
        most = next((item.max_length for item in metadata if isinstance(item, MaxLen)), None)
        if name in _KNOWN:
            return random.choice(_KNOWN[name])
        if name == "directory":
            return None  # else a test leaves a cache wherever it is run
        return "A.b-_9" + "x" * random.randrange(most - 6) if most else random.choice(_TEXTS)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _section(kind, random, boldness)
    return _number(name, kind, metadata, default, random)


def _number(name: str, kind: Any, metadata: list[Any], default: Any, random: Random) -> int | float:
    low, high = bounds(metadata)
    assert low is not None
    assert high is not None, name
    high = min(high, _AFFORDABLE.get(name, high))
    near = default if isinstance(default, int | float) else random.choice((0.5, 2, 20))
    number = random.choice(
        (
            low,
            high,
            random.uniform(low, high),
            max(low, 1e-6) * math.exp(random.random() * math.log(high / max(low, 1e-6))) if high > 0 else low,
            near * 10 ** random.uniform(-1, 1),
            near * random.uniform(0.5, 2),
        )
    )
    number = min(max(number, low), high)
    return round(number) if kind is int else float(number)
