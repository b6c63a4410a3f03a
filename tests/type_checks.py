"""What checks every annotation of the package while tests run: shapes by jaxtyping, types by beartype.

A loop calls the same function thousands of times, and checking all of its calls takes longer than they do. So the first
calls of each function in each test are checked, whatever other tests have called. Functions that are defined anew in
every call of another count as one: making a check takes milliseconds.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from types import FunctionType
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintPep673Exception

CHECKED_CALLS = 8

_CHECK = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a float, as for type checkers
_jaxtyped = jaxtyping.jaxtyped
_calls: Counter[int] = Counter()  # of this test, by the identity of what was compiled


def install() -> None:
    """From now on modules of the package are imported with checks. The hook decorates all that it finds in them with
    `jaxtyping.jaxtyped`, by that name, which therefore becomes a decorator that checks the first calls."""
    jaxtyping.jaxtyped = _first_calls_checked
    jaxtyping.install_import_hook("ternary_vae", "type_checks.checked")


def begin_test() -> None:
    """Calls are counted anew."""
    _calls.clear()


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, its arguments and what it returns held against its annotations. One with `Self` in its signature,
    which beartype knows in a class that it decorates as a whole, stays as it is."""
    try:
        return _CHECK(function)
    except BeartypeDecorHintPep673Exception:
        return function


def _first_calls_checked(decorated: Any = None, **how: Any) -> Any:
    """As `jaxtyping.jaxtyped`. The check is made when it is first needed: most tests call few functions."""
    if decorated is None:
        return functools.partial(_first_calls_checked, **how)
    if isinstance(decorated, property):
        accessors = (decorated.fget, decorated.fset, decorated.fdel)
        return property(*(accessor and _first_calls_checked(accessor, **how) for accessor in accessors))
    if not isinstance(decorated, FunctionType):
        return _jaxtyped(decorated, **how)
    checking: Callable[..., Any] | None = None
    compiled = id(decorated.__code__)

    @functools.wraps(decorated)
    def counting(*arguments: Any, **named: Any) -> Any:
        nonlocal checking
        _calls[compiled] += 1
        if _calls[compiled] > CHECKED_CALLS:
            return decorated(*arguments, **named)
        if checking is None:
            checking = _jaxtyped(decorated, **how)
        return checking(*arguments, **named)

    return counting
