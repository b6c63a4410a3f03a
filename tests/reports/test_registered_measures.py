"""A measure from outside the package is in what is made from records and from the log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ternary_vae.experiments.results import measured_values, measures_named
from ternary_vae.reports.evolution import evolution_markdown
from ternary_vae.reports.measurements import measurements_of_run
from ternary_vae.reports.page import page_html
from ternary_vae.reports.page_data import page_data
from ternary_vae.reports.verdict import verdict_of
from ternary_vae.resolution.figures import MEASURES, Measure, register
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.training.log import RunLog


@pytest.fixture
def measures() -> Iterator[tuple[Measure, Measure]]:
    of_record = Measure(
        "homes_found", "Operations at home in either VAE", "number", 1, heading="At home",
        coupled=lambda record: record.complementary_coverage.home_a + record.complementary_coverage.home_b,
    )  # fmt: skip
    of_row = Measure(
        "spread", "Gap between the VAEs", "points", -1, row=lambda row: row["exact_match_b"] - row["exact_match_a"]
    )
    yield register(of_record), register(of_row)
    del MEASURES[of_record.key], MEASURES[of_row.key]


def test_it_is_in_every_table(measures: tuple[Measure, Measure], good_run: RunDirectory) -> None:
    measured = measurements_of_run(good_run)
    homes = [
        record.complementary_coverage.home_a + record.complementary_coverage.home_b
        for _, record in sorted(measured.coupled.items())
    ]
    data = page_data(measured, None)
    assert data["milestones"]["homes_found"] == homes
    assert data["metrics"]["spread"] == [row["exact_match_b"] - row["exact_match_a"] for row in measured.metrics]
    assert "| At home |" in evolution_markdown(measured, Path("evolution.md"))
    assert f"{homes[-1]}.00" in page_html(good_run, measured, verdict_of(measured))
    values = measured_values(good_run, measured.metrics, [400])[400]
    assert values["homes_found"] == homes[-1]
    assert values["spread"] == data["metrics"]["spread"][-1]
    assert measures_named(("homes_found",)) == [measures[0]]


def test_it_is_on_tensorboard(measures: tuple[Measure, Measure], good_run: RunDirectory, tmp_path: Path) -> None:
    rows = good_run.metrics()[:3]
    log = RunLog(RunDirectory(tmp_path), 0)
    for row in rows:
        log.epoch(row)
    log.close()
    board = EventAccumulator(str(RunDirectory(tmp_path).tensorboard)).Reload()
    seen = [(event.step, event.value) for event in board.Scalars("measures/spread")]
    assert [step for step, _ in seen] == [1, 2, 3]
    assert [value for _, value in seen] == pytest.approx([measures[1].read(row) for row in rows], abs=1e-6)
