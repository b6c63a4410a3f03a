"""What checks every annotation of the package while tests run: shapes by jaxtyping, types by beartype."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintPep673Exception

CHECKED_CALLS = 8
"""Calls of a function that are checked in each test: loops call the same function with the same shapes thousands of
times, and checking them all takes as long as the tests themselves."""

_CHECK = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a float, as for type checkers
_tests = count(1)
_test = 0


def begin_test() -> None:
    """From now on the first calls of every function are checked again, so that what is checked in a test depends on
    no other test."""
    global _test
    _test = next(_tests)


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, its arguments and what it returns held against its annotations at its first calls in each test.
    The check is made when it is first needed: most tests call few of the package's functions."""
    check: Callable[..., Any] | None = None
    test, calls = -1, 0

    def check_call(*arguments: Any, **named: Any) -> Any:
        nonlocal check, test, calls
        if test != _test:
            test, calls = _test, 0
        calls += 1
        if calls > CHECKED_CALLS:
            return None
        if check is None:
            check = _checking(function)
        return check(*arguments, **named)

    return check_call


def _checking(function: Callable[..., Any]) -> Callable[..., Any]:
    """One with `Self` in its signature, which beartype knows in a class that it decorates as a whole, stays as it
    is."""
    try:
        return _CHECK(function)
    except BeartypeDecorHintPep673Exception:
        return function
