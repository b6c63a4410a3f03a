"""How figures are written for people: percentages that never round up to perfection, and text that stays in its
Markdown cell. `reports/assets/formats.js` does the same on a page."""

from __future__ import annotations

import csv
import io
import math
import sys
import textwrap
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Literal

NOTHING = "—"
Unit = Literal["share", "points", "score", "sigma", "number", "bits", "nats", "epochs"]
"""A share is shown as a percentage; "points" is a difference of shares; a score lies between 0 and 1; "epochs" is
whether an epoch counts, and their number over a run."""
DIGITS: dict[Unit, int] = {
    "share": 2, "points": 2, "score": 3, "sigma": 3, "number": 2, "bits": 3, "nats": 3, "epochs": 0,
}  # fmt: skip
_EXACT = Context(prec=400)  # holds every finite double with the decimals that are shown
UNIFORM_MODEL = "a uniform model, on average"
"""What coverage is held against: an expectation, which a single measurement may exceed."""


def fixed(value: float, digits: int) -> str:
    """A number with so many decimals: rounded to the nearest, ties away from zero, as `toFixed` of JavaScript does. A
    rounded zero carries no minus sign.

    Raises:
        ValueError: if the value is not finite.
    """
    if not math.isfinite(value):
        raise ValueError(f"not a finite number: {value}")
    text = f"{Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP, _EXACT):f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def percent(share: float | None, digits: int = 2) -> str:
    """A share as a percentage. 100% means exactly one and 0% exactly nothing: 0.999999 is 99.99%, 1e-9 is <0.01%.

    Raises:
        ValueError: if the share is not finite.
    """
    if share is None:
        return NOTHING
    if share in (0, 1):
        return f"{abs(share):.0%}"  # −0 is nothing too
    step = 10.0 ** -(digits + 2)
    if 1 - step < share < 1:
        share = 1 - step
    if 0 < share < step:
        return f"<{fixed(100 * step, digits)}%"
    return f"{fixed(100 * share, digits)}%"


def of_a_sample(share: float, operations: int, low: float) -> str:
    """A share of operations drawn at random, with what it is at least with 95% confidence: `all of 100,000 (at least
    99.997%)`, `99.999% of 100,000 (at least 99.994%)`. As many decimals as tell it from all."""
    ends = [low] if share == 1 else [low, share]
    digits = next((digits for digits in range(2, 9) if all(round(100 * end, digits) < 100 for end in ends)), 8)
    bound = f"at least {percent(math.floor(low * 10 ** (digits + 2)) / 10 ** (digits + 2), digits)}"
    return f"{'all' if share == 1 else percent(share, digits)} of {operations:,} ({bound})"


def beside_uniform(coverage: float | None, expected: float | None) -> str:
    """A measured coverage beside what a uniform model meets: `99.41% (a uniform model, on average: 99.38%)`. A dash
    where nothing was measured."""
    return NOTHING if coverage is None else f"{percent(coverage)} ({uniform_level(expected)})"


def uniform_level(expected: float | None) -> str:
    """`a uniform model, on average: 99.38%`."""
    return f"{UNIFORM_MODEL}: {percent(expected)}"


def csv_text(header: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """A table as CSV, with a heading."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def rough(count: int) -> str:
    """A large number to three digits, `7.63e+12`; also one that no float holds."""
    return f"{count if count < sys.float_info.max else Decimal(count):.3g}"


def number(value: float | None, digits: int = 2, signed: bool = False) -> str:
    """A plain number, or a dash where there is none."""
    if value is None:
        return NOTHING
    text = fixed(value, digits)
    return f"+{text}" if signed and value > 0 and float(text) else text


def shares_of_both(share: float | None) -> str:
    """A share beside its rest, which add up to 100: `48 : 52`; `0 : 0` where there is nothing to share."""
    if share is None:
        return "0 : 0"
    first = int(fixed(100 * share, 0))
    return f"{first} : {100 - first}"


def points(difference: float | None, digits: int = 2) -> str:
    """A difference of shares in percentage points, signed."""
    return NOTHING if difference is None else f"{number(100 * difference, digits, signed=True)} points"


def in_unit(value: float | None, unit: Unit, digits: int | None = None) -> str:
    """A figure in its unit, with the unit's usual decimals unless told otherwise; a dash where there is none."""
    return {"share": percent, "points": points}.get(unit, number)(value, DIGITS[unit] if digits is None else digits)


def duration(seconds: float | None) -> str:
    """Seconds as `48 s`, `3 min 20 s` or `2 h 05 min`."""
    if seconds is None:
        return NOTHING
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def listed(items: Iterable[object]) -> str:
    """`3, 100 and 120`."""
    words = [str(item) for item in items]
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else "none"


def in_lines(text: str, width: int) -> str:
    """Text in lines of at most so many characters, broken at spaces and hyphens where it has them."""
    return "\n".join(textwrap.wrap(text, width))


def counted(number: int, word: str) -> str:
    """`1 run`, `2 runs`, `2 entries`."""
    several = f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
    return f"{number:,} {word if number == 1 else several}"


def shown(name: str) -> str:
    """A file's name as text; bytes in it that are no text become `\\udcNN`."""
    return name.encode("utf-8", errors="backslashreplace").decode("utf-8")


def cell(text: object) -> str:
    """Any text as the content of one Markdown table cell: one line, nothing in it is markup."""
    line = " ".join(str(text).split())
    for mark in "\\`*_|[]":
        line = line.replace(mark, "\\" + mark)
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def code(text: object) -> str:
    """Any text as one line of code in Markdown, also in a table's cell."""
    line = " ".join(str(text).split()).replace("`", "'").replace("|", r"\|")
    return f"`{line}`"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], right_from: int = 1) -> str:
    """A Markdown table; columns from `right_from` on are set flush right."""
    rule = [("---:" if column >= right_from else "---") for column in range(len(header))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *rows))
