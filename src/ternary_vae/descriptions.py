"""What a person describes in YAML: read as plain data, checked against a model, and one line for what is wrong.

A value means what it looks like, as in YAML 1.2: `true` and `false` alone are truth values, a number is written in
digits of ten (`010` is 10, `1e-3` is 0.001), and everything else, also whatever is in quotes, is text. YAML 1.1, which
PyYAML reads, makes numbers, truth values and dates of `010`, `1_000`, `1:30`, `0x10`, `yes`, `on` and `2024-01-01`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import deepcopy
from functools import lru_cache
from numbers import Integral, Real
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from ternary_vae.errors import UserError, nearest, shown
from ternary_vae.reading import as_text, file_bytes

MOST_BYTES = 4 * 2**20
"""Of a description. 100,000 seeds spelled out have half as many."""
MOST_VALUES = 1_000_000
"""In a description, those that aliases repeat counted each time."""


class Section(BaseModel):
    """Part of what is described or written down: immutable, finite numbers only, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Described = TypeVar("Described", bound=BaseModel)
Location = tuple[int | str, ...]
_EXPECTED = {
    "tuple_type": "expected a list",
    **dict.fromkeys(("dict_type", "model_type"), "expected a section, key: value"),
    "too_short": "expected at least one",
    "string_type": "expected text; put it in quotes if it is",
    "bool_type": "expected true or false",
}
"""Of pydantic's kinds of error, those whose own words speak of Python or leave out what to do."""


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, Real):  # pydantic reads true as 1 and "5" as 5
        raise PydanticCustomError("number_type", "expected a number")
    return int(value) if isinstance(value, Integral) else float(value)  # of numpy too


Whole = Annotated[int, BeforeValidator(_number)]
Number = Annotated[float, BeforeValidator(_number)]
Switch = Annotated[bool, Field(strict=True)]


def validated(
    model: type[Described], data: Any, source: str, what: str, known_keys: Callable[[Location], list[str]]
) -> Described:
    """Checks plain data against a model.

    Args:
        source: names the data in the error.
        what: was expected, such as "a recipe".
        known_keys: the keys that there are at a place inside.

    Raises:
        UserError: the first thing wrong, in one line; beside an unknown key the nearest one.
    """
    if not isinstance(data, dict):
        raise UserError(f"{source}: expected {what}, found {type(data).__name__}")
    try:
        return model.model_validate(data)
    except ValidationError as failure:
        errors = failure.errors()
        # A key left out may be the misspelt one beside it.
        beside = [
            each for each in errors if each["type"] == "extra_forbidden" and each["loc"][:-1] == errors[0]["loc"][:-1]
        ]
        error = beside[0] if beside and errors[0]["type"] == "missing" else errors[0]
        where = ".".join(str(part) for part in error["loc"]) or what.split()[-1]
        if error["type"] == "extra_forbidden":
            hint = nearest(str(error["loc"][-1]), known_keys(error["loc"][:-1]))
            raise UserError(f"{source}: unknown key {shown(where)}; {hint}") from None
        message = _EXPECTED.get(error["type"]) or error["msg"].removeprefix("Value error, ")
        section = isinstance(error["input"], dict)
        # What a section as a whole has wrong is in the message.
        whole = section and error["type"] == "value_error"
        given = "" if whole else f" (given: {'a section' if section else shown(error['input'])})"
        raise UserError(f"{source}: {where}: {message}{given}") from None


def find_description(kind: str, name_or_path: str | Path, directory: Path, beside: Path | None = None) -> Path:
    """The file of a description, by its name in the package's directory or by path.

    Args:
        kind: what is described, such as "recipe".
        beside: a directory in which the path is looked for first.

    Raises:
        UserError: there is none; for a name the nearest is given.
    """
    names = sorted(path.stem for path in directory.glob("*.yaml"))
    if name_or_path in names:
        return (directory / f"{name_or_path}.yaml").resolve()
    for path in filter(None, (beside and beside / name_or_path, Path(name_or_path))):
        with suppress(OSError):  # a name too long, a directory closed to us: not found
            if path.is_file():
                return path.resolve()
    text = str(name_or_path)
    here = [file for file in (f"{text}.yaml", f"{text}.yml") if os.path.isfile(file)]
    if not here and (isinstance(name_or_path, Path) or "/" in text or text.endswith((".yaml", ".yml"))):
        problem = "is no file" if os.path.exists(text) else "not found"
        raise UserError(
            f"{kind} file {shown(text)} {problem}; give a path to a YAML file or one of: {', '.join(names)}"
        )
    raise UserError(f"unknown {kind} {shown(text)}; {nearest(text, here or names)}")


def read_yaml(path: Path, what: str) -> Any:
    """Reads a YAML file as plain data; `what` says what was expected, such as "a recipe".

    Raises:
        UserError: if it cannot be read, is not YAML, or has a key twice.
    """
    try:
        text = as_text(file_bytes(path, MOST_BYTES))
    except (OSError, UnicodeDecodeError) as failure:
        reason = getattr(failure, "strerror", None) or failure
        raise UserError(f"{path}: cannot be read: {reason}; expected {what}") from None
    try:
        return parse_yaml(text)
    except ValueError as failure:
        raise UserError(f"{path}: {failure}; expected {what}") from None


def parse_yaml(text: str) -> Any:
    """What YAML says, as plain data: sections, lists, text, numbers, truth values and null.

    Raises:
        ValueError: it is not YAML, or has a key twice; in the words of the error.
    """
    try:
        return deepcopy(_kept(text)) if len(text) <= _KEPT_LENGTH else _loaded(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except yaml.YAMLError as failure:
        mark = getattr(failure, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        if isinstance(failure, _NotData):
            raise ValueError(f"{failure.problem}{line}; {failure.note}") from None
        raise ValueError(f"not valid YAML{line}") from None


def _loaded(text: str) -> Any:
    return yaml.load(text, _Loader)  # a SafeLoader


_KEPT_LENGTH = 20_000
_kept = lru_cache(maxsize=64)(_loaded)
"""Recipes are read again and again, and PyYAML takes a twentieth of a second for one."""


def to_yaml(content: Any) -> str:
    """Plain data as YAML that reads back the same."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


class _NotData(yaml.MarkedYAMLError):
    """YAML, but nothing that a description can say, and what to do about it."""

    def __init__(self, problem: str, note: str, node: yaml.Node) -> None:
        super().__init__(problem=problem, note=note, problem_mark=node.start_mark)


_MERGE = "tag:yaml.org,2002:merge"
_SCALARS: dict[str, tuple[re.Pattern[str], Sequence[str], Callable[[str], Any]]] = {
    "null": (re.compile(r"~|null|Null|NULL|"), ("~", "n", "N", ""), lambda text: None),
    "bool": (re.compile(r"true|True|TRUE|false|False|FALSE"), "tTfF", lambda text: text.lower() == "true"),
    "int": (re.compile(r"[-+]?[0-9]+"), "-+0123456789", int),
    "float": (
        re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"),
        "-+.0123456789",
        lambda text: float(re.sub(r"\.(?=[inIN])", "", text)),
    ),
}
"""What a scalar without quotes may be beside text: its form, its first characters, and its value."""


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {"<": [(_MERGE, re.compile(r"<<\Z"))]}
    yaml_constructors = {
        f"tag:yaml.org,2002:{kind}": yaml.SafeLoader.yaml_constructors[f"tag:yaml.org,2002:{kind}"]
        for kind in ("str", "seq", "map")
    }

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None and _size(node, {}) > MOST_VALUES:
            raise _NotData(f"more than {MOST_VALUES:,} values with its aliases written out", "use fewer", node)
        return node

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        """Two things said of one key are an error; YAML's readers drop the first without a word."""
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                name = self.construct_object(key)
                if name in seen:
                    raise _NotData(f"key {shown(name)} is given twice", "keep one of the two", key)
                seen.add(name)
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Own keys are laid over merged ones, and of several sections the first over the others. PyYAML's own way takes
        an overridden value where a merged section has merged another."""
        own: list[tuple[yaml.Node, yaml.Node]] = []
        merged: list[tuple[yaml.Node, yaml.Node]] = []
        for key, value in node.value:
            if key.tag != _MERGE:
                own.append((key, value))
                continue
            for part in value.value if isinstance(value, yaml.SequenceNode) else (value,):
                if not isinstance(part, yaml.MappingNode):
                    raise _NotData("<< takes a section or a list of sections", "give one", part)
                self.flatten_mapping(part)
                merged = part.value + merged
        node.value = merged + own

    def construct_known(self, node: yaml.Node) -> Any:
        form, _, value = _SCALARS[node.tag.rpartition(":")[2]]
        text = self.construct_scalar(node)
        if not form.fullmatch(text):
            raise _NotData(f"{shown(text)} is no {node.tag.rpartition(':')[2]}", "leave out its tag", node)
        try:
            return value(text)
        except ValueError:  # Python reads no more than some thousand digits
            raise _NotData(f"{shown(text)} is too long for a number", "put text in quotes", node) from None

    def construct_unknown(self, node: yaml.Node) -> Any:
        raise _NotData(f"not valid YAML: unknown tag {shown(node.tag)}", "leave it out", node)


class _Dumper(yaml.SafeDumper):
    """Puts text in quotes that either YAML would read as something else."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        # PyYAML writes these as they are in single quotes, and reads a blank or a line's end there.
        style = '"' if re.search("[\x85\u2028\u2029]", text) else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style)


for _kind, (_form, _first, _) in _SCALARS.items():
    for _yaml in (_Loader, _Dumper):
        _yaml.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(rf"(?:{_form.pattern})\Z"), _first)
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _Loader.construct_known)
_Loader.add_constructor(None, _Loader.construct_unknown)
_Dumper.add_representer(tuple, yaml.SafeDumper.represent_list)
_Dumper.add_representer(str, _Dumper.represent_text)


def _size(node: yaml.Node, sizes: dict[yaml.Node, float]) -> float:
    """Number of values in a node, those behind an alias counted each time; infinite where it holds itself."""
    if node not in sizes:
        sizes[node] = float("inf")
        inside = node.value if isinstance(node, yaml.CollectionNode) else ()
        parts = (part for item in inside for part in (item if isinstance(item, tuple) else (item,)))
        sizes[node] = 1 + sum(_size(part, sizes) for part in parts)
    return sizes[node]
