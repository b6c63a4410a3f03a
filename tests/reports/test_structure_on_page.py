"""What a run's page shows of structure records: data against codes that are known, and the section in a browser."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from synthetic_runs import write_page

from in_browser import PHONE, contrast
from ternary_vae.formats import fixed, in_unit, percent
from ternary_vae.reports.measurements import measurements_of_run
from ternary_vae.reports.page import page_html
from ternary_vae.reports.structure import claims_of_codes, compared_with_table, judged
from ternary_vae.reports.structure_data import (
    claim_rows,
    entry_names,
    side_data,
    structure_data,
)
from ternary_vae.reports.verdict import verdict_of
from ternary_vae.resolution.records import write_record
from ternary_vae.resolution.structure.axes import axes
from ternary_vae.resolution.structure.codes import AxisCode
from ternary_vae.resolution.structure.distances import by_hamming
from ternary_vae.resolution.structure.records import StructureRecord, read_structure_record
from ternary_vae.space import Space
from ternary_vae.storage.runs import RunDirectory

PUBLISHED = Path(__file__).parents[2] / "reports" / "structure" / "resolution-seed0" / "structure_400.json"


@pytest.fixture(scope="module")
def record() -> StructureRecord:
    return read_structure_record(PUBLISHED)


@pytest.fixture(scope="module")
def known_run(make_run: Callable[..., RunDirectory], record: StructureRecord) -> RunDirectory:
    """A run of two milestones of which one code was measured, at the first with the VAEs exchanged."""
    run = make_run(epochs=120, milestones=(3, 100))
    recipe = run.recipe()
    exchanged = {**record.codes, "vae_a": record.codes["vae_b"], "vae_b": record.codes["vae_a"]}
    for epoch, codes in ((3, exchanged), (100, record.codes)):
        header = record.header.model_copy(
            update={
                "epoch": epoch, "recipe": recipe.name, "recipe_fingerprint": recipe.fingerprint(),
                "training_seed": int(run.facts()["seed"]),
            }
        )  # fmt: skip
        write_record(run.structure_record(epoch), record.model_copy(update={"header": header, "codes": codes}))
    return run


def test_ideal_axes_are_the_identity_in_the_order_of_their_variance() -> None:
    space = Space()
    tables = torch.from_numpy(space.table(np.arange(space.operations)))
    code = AxisCode(space)
    stretched = code.encode(tables) * torch.tensor([1.0, 9, 2, 8, 3, 7, 4, 6, 5])
    order = [1, 3, 5, 7, 8, 6, 4, 2, 0]
    shown = side_data(axes(tables, stretched, space), by_hamming(code, torch.Generator().manual_seed(0), pairs=500))
    assert shown["dimensions"] == order
    assert shown["variances"] == pytest.approx(stretched.var(dim=0, correction=0)[order].tolist())
    np.testing.assert_allclose(np.array(shown["carried"])[np.argsort(order)], np.eye(9), atol=1e-9)
    curve = shown["by_hamming"]
    assert curve["hamming"] == list(range(1, 10))
    # One entry changed is one step of 1.0908 or two.
    assert (curve["low"][0], curve["high"][0]) == pytest.approx((1.0908, 2.1816), abs=1e-3)


def test_an_entry_is_named_by_the_inputs_that_it_answers() -> None:
    assert entry_names(Space()) == ["−−", "−0", "−+", "0−", "00", "0+", "+−", "+0", "++"]
    assert entry_names(Space(4, 1)) == ["0", "1", "2", "3"]
    assert entry_names(Space(5, 2))[:2] == ["−2,−2", "−2,−1"]
    assert entry_names(Space(3, 3))[5] == "−0+"


def test_claims_over_milestones_are_the_reports(record: StructureRecord) -> None:
    shown = structure_data({3: record, 100: record})
    assert shown is not None
    drawn = {claim.legend: claim for claim in claims_of_codes(3) if claim.legend}
    assert [one["name"] for one in shown["claims"]] == list(drawn)
    assert len(drawn) == 6
    for one in shown["claims"]:
        claim = drawn[one["name"]]
        assert (one["a"], one["b"]) == ([claim.read(record, "vae_a")] * 2, [claim.read(record, "vae_b")] * 2)
        assert all(0 <= value <= 1 for value in one["a"] + one["b"])
    assert structure_data({}) is None


def test_every_claim_says_in_which_vae_it_holds(record: StructureRecord) -> None:
    rows = claim_rows(record)
    for row, found in zip(rows, judged([[record]]), strict=True):
        assert row["text"] == found.claim.text
        read = {"a": "vae_a", "b": "vae_b", "ideal": "ideal_axes_a"}
        for column, name in read.items():
            assert row[column] == in_unit(found.claim.read(record, name), found.claim.unit)
        assert row["holds"] in {0: ["✗ neither"], 1: ["A only", "B only"], 2: ["✓ both"]}[found.holds]
        only = {"A only": "vae_a", "B only": "vae_b"}.get(row["holds"])
        assert only is None or found.claim.holds(record, only)
    assert rows[0]["holds"] == "✗ neither"
    assert {row["holds"] for row in rows} >= {"A only", "✓ both"}


def test_without_records_a_line_says_how_to_get_them(make_run: Callable[..., RunDirectory]) -> None:
    run = make_run(epochs=3, milestones=(3,))
    measured = measurements_of_run(run)
    text = page_html(run, measured, verdict_of(measured))
    assert f"<code>ternary-vae structure {run.path}</code>" in text
    assert 'id="structure"' not in text
    assert 'href="#structure"' not in text


def test_a_milestone_that_was_not_probed_has_no_chart_of_probes(known_run: RunDirectory) -> None:
    measured = measurements_of_run(known_run)
    last = max(measured.structure)
    measured.structure[last] = measured.structure[last].model_copy(update={"probes": {}})
    text = page_html(known_run, measured, verdict_of(measured))
    assert 'id="chart-distances"' in text
    assert 'id="chart-probes"' not in text


def test_the_section_is_drawn(
    open_page: Callable[..., Any], known_run: RunDirectory, record: StructureRecord, tmp_path: Path
) -> None:
    page = open_page(write_page(known_run, tmp_path / "page.html"), **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert "Measured at epoch 100 on all 19,683 operations" in page.locator("#structure .lead").inner_text()
    for name in ("distances", "probes", "claims-a", "claims-b"):
        assert page.locator(f"#chart-{name} .scatterlayer .trace").count() >= 3, name
    found = record.codes["vae_a"].axes
    heat = page.evaluate(
        """() => {
          const plot = document.getElementById("chart-carried-a"), [trace] = plot.data;
          return {z: trace.z, text: trace.text, told: trace.customdata, rows: plot.layout.yaxis.ticktext,
                  columns: plot.layout.xaxis.ticktext, first: plot._fullLayout.yaxis.range[0],
                  last: plot._fullLayout.yaxis.range[1]};
        }"""
    )
    order = np.argsort(found.variances, kind="stable")[::-1]
    assert heat["z"] == [found.carried[dimension] for dimension in order]
    assert heat["rows"] == [f"z{dimension}: {fixed(found.variances[dimension], 2)}" for dimension in order]
    assert heat["first"] > heat["last"], "the dimension that varies most is on top"
    assert heat["columns"] == entry_names(Space())
    first = found.carried[order[0]]
    assert heat["text"][0] == [percent(share, 0)[:-1] if share >= 0.1 else "" for share in first]
    assert heat["told"][0][3] == f"entry 3, inputs 0−<br>{percent(first[3])} of the variance of z{order[0]}"
    assert page.locator("#chart-carried-a .heatmaplayer image").count() == 1
    for scheme, side in product(("light", "dark"), "ab"):
        page.emulate_media(color_scheme=scheme)
        drawn = f"document.getElementById('chart-carried-{side}').data[0]"
        ink = "getComputedStyle(document.documentElement).getPropertyValue('--ink').trim()"
        page.wait_for_function(f"{drawn}.textfont.color === {ink}")
        low, high, most, ink = page.evaluate(
            f"(({{colorscale, zmax, textfont}}) => [...colorscale.map((one) => one[1]), zmax, textfont.color])({drawn})"
        )
        low, high, ink = (np.array(list(bytes.fromhex(colour[1:]))) for colour in (low, high, ink))
        full = (low + (high - low) / most).round().astype(int)
        assert contrast(str(ink), str(full)) >= 4.5, (scheme, side)
    names = [name for name, probe in record.probes.items() if probe.balanced_accuracy]
    known = [record.probes[name] for name in names]
    for trace in page.evaluate("document.getElementById('chart-probes').data"):
        key = {"VAE-A": "vae_a", "VAE-B": "vae_b", "both codes": "both"}[trace["name"]]
        assert trace["x"] == [probe.balanced_accuracy["table_one_hot"].mean for probe in known]
        assert trace["y"] == [probe.balanced_accuracy[key].mean for probe in known]
        for name, probe, told in zip(names, known, trace["customdata"], strict=True):
            lines = [
                f"<b>{name.replace('_', ' ')}</b>", f"{trace['name']} {percent(probe.balanced_accuracy[key].mean)}",
                f"one-hot table {percent(probe.balanced_accuracy['table_one_hot'].mean)}",
                f"chance {percent(probe.chance, 0)}",
            ]  # fmt: skip
            if set(probe.shares) <= {0, 1}:
                lines.append(f"{percent(probe.shares[1])} have it")
            assert told == "<br>".join(lines)
    *bands, ideal = page.evaluate("document.getElementById('chart-distances').data.map((one) => one.y)")
    for name, *drawn in (("vae_a", *bands[:3]), ("vae_b", *bands[3:]), ("ideal_axes_a", None, None, ideal)):
        curve = record.codes[name].distances.by_hamming
        wanted = [[getattr(point, key) for point in curve] for key in ("low", "high", "mean")]
        assert all(one is None or one == other for one, other in zip(drawn, wanted, strict=True)), name
    spoken = page.locator("#chart-distances + figcaption").inner_text()
    ranks = [record.codes[name].distances.hamming for name in ("vae_a", "vae_b", "ideal_axes_a")]
    assert "rank correlation {} in VAE-A, {} in VAE-B and {} on ideal axes".format(
        *(in_unit(rank, "score") for rank in ranks)
    ) in spoken  # fmt: skip
    better, worse = map(len, compared_with_table([record], "both"))
    assert better != worse
    spoken = page.locator("#chart-probes + figcaption").inner_text()
    assert f"of {len(known)} properties {better} are read better from both codes than from the one-hot table" in spoken
    sums = page.evaluate("document.getElementById('chart-claims-a').data[0]")
    rates = [record.codes[name].arithmetic.sum_in_range.exact_rate for name in ("vae_b", "vae_a")]
    assert (sums["x"], sums["y"], sums["customdata"]) == ([3, 100], rates, [percent(rate) for rate in rates])
    rows = page.locator("#structure .claims tbody tr")
    assert rows.count() == len(claim_rows(record))
    outside = rows.evaluate_all("(all) => Math.max(...all.map((one) => one.getBoundingClientRect().right))")
    assert outside <= 390
