"""What a user did wrong, in one line, and the exit code that says so."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable
from typing import Any

BAD_INPUT = 2
"""The exit code after bad input."""
MOST_CHARACTERS = 2000
"""A line that says what is wrong is no longer, whatever was given."""
_MOST_OF_A_VALUE = 300
_REPR = reprlib.Repr()
_REPR.maxlevel = 4
_REPR.maxlist = _REPR.maxtuple = _REPR.maxdict = 20
_REPR.maxstring = _REPR.maxlong = _REPR.maxother = _MOST_OF_A_VALUE


class UserError(Exception):
    """Bad input from a user: what, where, what was expected, what to do. The command line prints it as one
    line and exits with code 2; nothing has been written or changed when it is raised."""

    def __init__(self, message: str) -> None:
        super().__init__(shortened(" ".join(str(message).split()), MOST_CHARACTERS))


def not_installed(what: str, package: str, extra: str) -> UserError:
    """What to say where a package is missing that an extra of this one brings along."""
    return UserError(f"{what}: {package} is not installed; pip install 'ternary-vae[{extra}]'")


def shortened(text: str, most: int = _MOST_OF_A_VALUE) -> str:
    """Text of at most so many characters: of a longer one the beginning and the end."""
    end = most // 3
    return text if len(text) <= most else f"{text[: most - end - 3]} … {text[-end:]}"


def shown(value: Any) -> str:
    """A value as an error quotes it, however large it is."""
    return shortened(_REPR.repr(value))


def nearest(word: str, known: Iterable[str], otherwise: str | None = None) -> str:
    """A hint that names the known word closest to `word`; if none is close, `otherwise`, or all known words."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else otherwise or f"known: {', '.join(known)}"
