"""The package's annotations are checked while tests run, all of them: whatever was imported too early is found here."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import pytest
import torch
from jaxtyping import TypeCheckError

import ternary_vae
from ternary_vae.resolution.isolated import pair_distances
from type_checks import CHECKED_CALLS


def test_every_module_was_imported_under_the_checks() -> None:
    for module in pkgutil.walk_packages(ternary_vae.__path__, "ternary_vae."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    modules = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "ternary_vae"}
    assert len(modules) > 100
    unchecked = [name for name, module in modules.items() if "jaxtyping" not in type(module.__loader__).__module__]
    assert unchecked == []


def test_a_tensor_of_another_shape_is_refused() -> None:
    with pytest.raises(TypeCheckError):
        pair_distances(torch.zeros(3))


@pytest.mark.parametrize("test", ["one", "another"])
def test_the_first_calls_of_each_test_are_checked(test) -> None:
    """A loop's thousandth call is not; those that follow in the next test are."""
    for _ in range(CHECKED_CALLS):
        with pytest.raises(TypeCheckError):
            pair_distances(torch.zeros(3))
    with pytest.raises(IndexError):
        pair_distances(torch.zeros(3))


def test_torch_uses_one_core() -> None:
    assert torch.get_num_threads() == 1
