"""Programs beside the package import what it has, also in functions that no test calls."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = sorted(path for place in ("benchmarks", "scripts") for path in (ROOT / place).rglob("*.py"))


def missing(text: str) -> list[str]:
    """Names that a program imports from the package and that are not there."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "ternary_vae":
            module = importlib.import_module(node.module)
            for name in (alias.name for alias in node.names if not hasattr(module, alias.name)):
                try:
                    importlib.import_module(f"{node.module}.{name}")
                except ModuleNotFoundError:
                    found.append(f"{node.module}.{name}")
    return found


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_program_imports_is_there(path: Path) -> None:
    assert missing(path.read_text(encoding="utf-8")) == []


def test_what_is_not_there_is_found() -> None:
    lines = [
        "def f():",
        " from ternary_vae.recipe import load_recipe, nothing",
        " from ternary_vae.training import fleet",
    ]
    assert missing("\n".join(lines)) == ["ternary_vae.recipe.nothing", "ternary_vae.training.fleet"]
