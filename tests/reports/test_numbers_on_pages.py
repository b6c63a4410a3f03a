"""Numbers look on a page as they look in the reports: formats.js against formats.py."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ternary_vae.formats import fixed, percent
from ternary_vae.reports.self_contained import asset

NODE = shutil.which("node")
HALVES = st.integers(-(10**6), 10**6).map(lambda count: count / 2**12)  # exact ties among them
SHARES = st.one_of(st.floats(0, 1), st.integers(0, 19_683).map(lambda count: count / 19_683), HALVES, st.floats(-9, 9))
NUMBERS = st.one_of(HALVES, st.floats(-1e15, 1e15))


def on_the_page(function: str, values: list[float], digits: int) -> list[str]:
    program = (
        asset("formats.js") + "\nconst [values, digits] = JSON.parse(require('fs').readFileSync(0, 'utf8'));"
        f"\nconsole.log(JSON.stringify(values.map((value) => {function}(value, digits))));"
    )
    done = subprocess.run(
        [str(NODE), "-e", program],
        input=json.dumps([values, digits]),
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.skipif(NODE is None, reason="node is not installed")
@settings(max_examples=10, deadline=None)
@given(st.lists(SHARES, min_size=50, max_size=200), st.lists(NUMBERS, min_size=50, max_size=200), st.integers(0, 4))
def test_a_page_rounds_as_the_reports_do(shares: list[float], numbers: list[float], digits: int) -> None:
    assert on_the_page("percent", shares, digits) == [percent(share, digits) for share in shares]
    assert on_the_page("fixed", numbers, digits) == [fixed(number, digits) for number in numbers]
