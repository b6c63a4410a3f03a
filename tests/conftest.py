"""What holds for all tests: none of them uses or fills the tensor cache of the directory that they are started in."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

_VARIABLE = "TERNARY_VAE_CACHE_DIR"


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = str(tmp_path_factory.mktemp("cache") / "cached_tensors")
    yield
    del os.environ[_VARIABLE]
    if before is not None:
        os.environ[_VARIABLE] = before
