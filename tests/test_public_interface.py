"""The public interface: every name is there, documented and known to type checkers, and loads when it is used."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import ternary_vae

NAMES = [name for name in ternary_vae.__all__ if not name.startswith("__")]


def public(name):
    if name == "GateTransformer":
        pytest.importorskip("sklearn")
    return getattr(ternary_vae, name)


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_documented_and_so_are_its_methods(name):
    actual = public(name)
    assert inspect.getdoc(actual)
    assert actual.__module__.startswith("ternary_vae.")
    if inspect.isclass(actual):
        own = {key: value for key, value in vars(actual).items() if not key.startswith("_")}
        methods = {key: value for key, value in own.items() if inspect.isfunction(value) or isinstance(value, property)}
        assert all(inspect.getdoc(value) for value in methods.values()), name
        first_lines = [inspect.getdoc(value).split("\n")[0] for value in own.values() if isinstance(value, property)]
        assert not any(":" in line for line in first_lines)  # the site takes what is before it for a type


def test_type_checkers_read_the_same_names_from_the_same_modules():
    tree = ast.parse(Path(ternary_vae.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    assert all(alias.asname == alias.name for node in block.body for alias in node.names)  # else they keep it private
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen == ternary_vae._PUBLIC
    assert (Path(ternary_vae.__file__).parent / "py.typed").exists()


def test_nothing_else_is_public():
    assert dir(ternary_vae) == sorted(ternary_vae.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        ternary_vae.nothing  # noqa: B018


@pytest.mark.parametrize("package", ["gates", "model", "pretrained"])
def test_packages_list_what_they_offer(package):
    """And nothing else, but for the modules below them."""
    module = importlib.import_module(f"ternary_vae.{package}")
    assert len(set(module.__all__)) == len(module.__all__)
    there = {name for name, value in vars(module).items() if name[0] != "_" and not inspect.ismodule(value)}
    assert there == set(module.__all__)


def test_importing_the_package_imports_nothing_heavy():
    program = "import sys, ternary_vae; print([name for name in ('torch', 'numpy', 'pydantic') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
