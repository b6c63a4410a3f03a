"""Numbers look on a page as they look in the reports: formats.js against formats.py."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ternary_vae.formats import fixed, percent
from ternary_vae.reports.self_contained import asset

NODE = shutil.which("node")
HALVES = st.integers(-(10**6), 10**6).map(lambda count: count / 2**12)  # exact ties among them
SHARES = st.one_of(st.floats(0, 1), st.integers(0, 19_683).map(lambda count: count / 19_683), HALVES, st.floats(-9, 9))
NUMBERS = st.one_of(HALVES, st.floats(-1e15, 1e15))


PROGRAM = (
    asset("formats.js")
    + """
const functions = { percent, fixed };
require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const [name, values, digits] = JSON.parse(line);
  console.log(JSON.stringify(values.map((value) => functions[name](value, digits))));
});
"""
)


@pytest.fixture(scope="module")
def on_the_page() -> Iterator[Callable[[str, list[float], int], list[str]]]:
    """A function: name of a function of the page, numbers, digits → what it makes of each. All in one process."""
    if NODE is None:
        pytest.skip("node is not installed")
    pipe = subprocess.PIPE
    with subprocess.Popen([NODE, "-e", PROGRAM], stdin=pipe, stdout=pipe, encoding="utf-8") as process:

        def call(name: str, values: list[float], digits: int) -> list[str]:
            process.stdin.write(json.dumps([name, values, digits]) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield call
        process.stdin.close()
        assert process.wait() == 0


@settings(max_examples=10, deadline=None)
@given(st.lists(SHARES, min_size=50, max_size=200), st.lists(NUMBERS, min_size=50, max_size=200), st.integers(0, 4))
def test_a_page_rounds_as_the_reports_do(
    on_the_page: Callable[[str, list[float], int], list[str]], shares: list[float], numbers: list[float], digits: int
) -> None:
    assert on_the_page("percent", shares, digits) == [percent(share, digits) for share in shares]
    assert on_the_page("fixed", numbers, digits) == [fixed(number, digits) for number in numbers]
