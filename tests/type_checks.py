"""What checks every annotation of the package while tests run: shapes by jaxtyping, types by beartype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintPep673Exception

_CHECK = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a float, as for type checkers


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, its arguments and what it returns held against its annotations at every call. One with `Self` in
    its signature, which beartype knows in a class that it decorates as a whole, stays as it is."""
    try:
        return _CHECK(function)
    except BeartypeDecorHintPep673Exception:
        return function
