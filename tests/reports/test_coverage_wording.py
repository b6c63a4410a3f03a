"""What a uniform model covers is an average: a measurement may exceed it, and no sentence says otherwise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ternary_vae.reports.comparison import comparison_markdown
from ternary_vae.reports.evolution import evolution_markdown
from ternary_vae.reports.final import write_final_report
from ternary_vae.reports.measurements import measurements_of_run
from ternary_vae.reports.page import page_html
from ternary_vae.reports.verdict import verdict_of
from ternary_vae.storage.runs import RunDirectory

AS_A_BOUND = re.compile(r"% of (a possible )?99\.38%|at most|limit\W{1,4}(of|99)|No model can|beside the most", re.I)


@pytest.fixture(scope="module")
def texts(
    good_run: RunDirectory, failing_run: RunDirectory, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    good, bad = measurements_of_run(good_run), measurements_of_run(failing_run)
    final = write_final_report(failing_run, good_run, tmp_path_factory.mktemp("final") / "final.md")
    page = page_html(good_run, good, verdict_of(good))
    return {
        "evolution": evolution_markdown(good, Path("evolution.md")),
        "comparison": comparison_markdown([("good", good), ("bad", bad)], [100, 400], Path("comparison.md")),
        "final": final.read_text(encoding="utf-8"),
        "page": re.sub(r"<(script|style|pre)\b.*?</\1>", "", page, flags=re.S),
    }


@pytest.mark.parametrize("name", ["evolution", "comparison", "final", "page"])
def test_it_is_said_to_be_an_average(texts: dict[str, str], name: str) -> None:
    assert "99.38%" in texts[name]
    assert "on average" in texts[name]
    assert not AS_A_BOUND.search(texts[name])


def test_such_sentences_are_known_when_they_are_met() -> None:
    for sentence in ("99.41% of 99.38%", "covers 99.41% of a possible 99.38%", "limit of 100,000 draws: 99.38%"):
        assert AS_A_BOUND.search(sentence)
