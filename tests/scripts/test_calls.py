"""Whatever a script or a benchmark calls of the package takes the arguments that it is given."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(path for place in ("benchmarks", "scripts") for path in (ROOT / place).rglob("*.py"))


def programs(path: Path) -> Iterator[ast.Module]:
    """A file, and the programs that it holds as text."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    yield tree
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and "import" in node.value
            and "\n" in node.value
        ):
            try:
                yield ast.parse(node.value)
            except SyntaxError:
                continue  # prose


def imported(tree: ast.Module) -> dict[str, Any]:
    """What names of the package mean in it."""
    names: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ternary_vae":
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                found = getattr(module, alias.name, None)
                names[alias.asname or alias.name] = found or importlib.import_module(f"{node.module}.{alias.name}")
    return names


def called(function: ast.expr, names: dict[str, Any]) -> Any:
    """What a call calls, where that is known."""
    if isinstance(function, ast.Name):
        return names.get(function.id)
    if isinstance(function, ast.Attribute):
        of = called(function.value, names)
        return None if of is None else getattr(of, function.attr, None)
    return None


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_calls_fit(path: Path) -> None:
    for tree in programs(path):
        names = imported(tree)
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or any(isinstance(one, ast.Starred) for one in node.args):
                continue
            target = called(node.func, names)
            if target is None or not callable(target) or any(keyword.arg is None for keyword in node.keywords):
                continue
            try:
                signature = inspect.signature(target)
            except ValueError:
                continue
            keywords = dict.fromkeys([str(keyword.arg) for keyword in node.keywords])
            try:
                signature.bind(*node.args, **keywords)
            except TypeError as failure:
                pytest.fail(f"{path.name}, line {node.lineno}: {ast.unparse(node)}: {failure}")
