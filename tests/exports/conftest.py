"""What every export writes of the gates is computed once."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest

from ternary_vae.exports import embeddings

_gate_columns = functools.cache(embeddings.gate_columns)


@pytest.fixture(scope="module", autouse=True)
def _gates_are_listed_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embeddings, "gate_columns", _gate_columns)
        yield
