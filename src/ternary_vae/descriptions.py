"""What a person describes in YAML: read as plain data, checked against a model, and one line for what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from ternary_vae.errors import UserError, nearest

Described = TypeVar("Described", bound=BaseModel)
Location = tuple[int | str, ...]
_EXPECTED = {
    "tuple_type": "expected a list",
    "dict_type": "expected a section, key: value",
    "too_short": "expected at least one",
}
"""Of pydantic's kinds of error, those whose own words speak of Python."""
_EXPONENT_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")


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
        error = failure.errors()[0]
        where = ".".join(str(part) for part in error["loc"]) or what.split()[-1]
        if error["type"] == "extra_forbidden":
            hint = nearest(str(error["loc"][-1]), known_keys(error["loc"][:-1]))
            raise UserError(f"{source}: unknown key {where!r}; {hint}") from None
        message = _EXPECTED.get(error["type"]) or error["msg"].removeprefix("Value error, ")
        section = isinstance(error["input"], dict)
        # What a section as a whole has wrong is in the message.
        whole = section and error["type"] == "value_error"
        given = "" if whole else f" (given: {'a section' if section else repr(error['input'])})"
        raise UserError(f"{source}: {where}: {message}{given}") from None


def read_yaml(path: Path, what: str) -> Any:
    """Reads a YAML file as plain data; `what` says what was expected, such as "a recipe".

    Raises:
        UserError: if it cannot be read, is not YAML, or has a key twice.
    """
    try:
        return as_data(yaml.load(path.read_text(encoding="utf-8"), _Loader))  # a SafeLoader
    except (OSError, UnicodeDecodeError) as failure:
        raise UserError(f"{path}: cannot be read: {failure}") from None
    except _KeyTwice as failure:
        line = f" at line {failure.problem_mark.line + 1}" if failure.problem_mark else ""
        raise UserError(f"{path}: {failure.problem}{line}; keep one of the two") from None
    except (yaml.YAMLError, ValueError, RecursionError) as failure:
        mark = getattr(failure, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}: not valid YAML{line}; expected {what}") from None


class _KeyTwice(yaml.MarkedYAMLError):
    """A mapping that says two things of one key, of which YAML's readers drop the first without a word."""


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if (key.tag, key.value) in seen:
                    raise _KeyTwice(problem=f"key {key.value!r} is given twice", problem_mark=key.start_mark)
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


def as_data(value: Any) -> Any:
    """YAML 1.1 reads 1e-3 as text; a number is what was meant."""
    if isinstance(value, str):
        return float(value) if _EXPONENT_NUMBER.fullmatch(value.strip()) else value
    if isinstance(value, dict):
        return {key: as_data(item) for key, item in value.items()}
    return [as_data(item) for item in value] if isinstance(value, list) else value
