"""Figures as people read them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ternary_vae.formats import (
    NOTHING,
    beside_uniform,
    cell,
    code,
    counted,
    duration,
    listed,
    number,
    of_a_sample,
    percent,
    points,
    rough,
    shares_of_both,
    table,
)

shares = st.floats(0, 1, allow_nan=False)


@given(shares)
@example(1 - 1e-16)
@example(0.99995)
@example(19_682 / 19_683)
@example(5e-324)
def test_only_exactly_one_is_shown_as_100_percent(share: float) -> None:
    shown = percent(share)
    assert (shown == "100%") == (share == 1)
    assert (shown == "0%") == (share == 0)
    assert abs(float(shown.strip("<%")) / 100 - share) <= 1.0001e-4


def test_coverage_is_shown_beside_an_average_which_it_may_exceed() -> None:
    assert beside_uniform(0.99412, 0.99378) == "99.41% (a uniform model, on average: 99.38%)"
    assert beside_uniform(None, None) == NOTHING


@given(shares, shares)
def test_percentages_keep_the_order_of_shares(first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert float(percent(low).strip("<%")) <= float(percent(high).strip("<%"))


@pytest.mark.parametrize(
    ("share", "digits", "shown"),
    [
        (0.9999999, 2, "99.99%"),
        (0.9999999, 0, "99%"),
        (0.12345, 2, "12.35%"),
        (1e-9, 1, "<0.1%"),
        (None, 2, NOTHING),
        (-0.0, 2, "0%"),
    ],
)
def test_percent_examples(share: float | None, digits: int, shown: str) -> None:
    assert percent(share, digits) == shown


def test_a_share_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        percent(float("nan"))


def test_a_large_number_roughly() -> None:
    assert [rough(number) for number in (65_536, 3**27, 2**1024)] == ["6.55e+04", "7.63e+12", "1.80e+308"]


def test_numbers_durations_and_lists() -> None:
    assert number(-0.001) == "0.00"
    assert number(-1.5) == "−1.50"
    assert number(0.001, signed=True) == "0.00"
    assert number(None) == NOTHING
    assert points(0.0815) == "+8.15 points"
    assert [duration(s) for s in (3.21, 48, 200, 7500, None)] == ["3.2 s", "48 s", "3 min 20 s", "2 h 05 min", NOTHING]
    assert duration(60) == "1 min 00 s"
    assert [shares_of_both(share) for share in (0.476, 0.005, 0, None)] == ["48 : 52", "1 : 99", "0 : 100", "0 : 0"]
    assert (counted(1, "entry"), counted(2, "entry"), counted(0, "run")) == ("1 entry", "2 entries", "0 runs")
    assert [listed(range(n)) for n in (0, 1, 2, 3)] == ["none", "0", "0 and 1", "0, 1 and 2"]


@given(st.text())
def test_any_text_stays_in_its_markdown_cell(text: str) -> None:
    row = table(["a", "b"], [[cell(text), "x"]]).split("\n")
    assert (len(row), row[1]) == (3, "| --- | ---: |")
    assert row[2].replace("\\|", "").replace("\\\\", "").count("|") == 3
    assert "<" not in cell(text)
    assert code("a `b`\n| c") == r"`a 'b' \| c`"


@pytest.mark.parametrize(
    ("share", "low", "shown"),
    [
        (1, 0.99997004, "all of 100,000 (at least 99.997%)"),
        (0.99999, 0.9999443, "99.999% of 100,000 (at least 99.994%)"),
        (0.9998, 0.9997, "99.98% of 100,000 (at least 99.97%)"),
        (0.3139, 0.3110, "31.39% of 100,000 (at least 31.10%)"),
        (0, 0.0, "0% of 100,000 (at least 0%)"),
    ],
)
def test_a_share_of_a_sample_is_told_from_all(share: float, low: float, shown: str) -> None:
    assert of_a_sample(share, 100_000, low) == shown
