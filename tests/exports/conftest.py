"""What every export writes of the gates is computed once for the exports of a module."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest

from ternary_vae.exports import embeddings


@pytest.fixture(scope="module", autouse=True)
def _gates_are_listed_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embeddings, "gate_columns", functools.cache(embeddings.gate_columns))
        yield
