"""The page as a reader meets it: opened from a file in headless Chromium, with no network, and looked at rendered."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from synthetic_runs import write_page

from few_draws import noise_draws
from in_browser import PHONE, READY, contrast, new_context, watched_page
from ternary_vae.formats import fixed, percent
from ternary_vae.gates.names import named_gate_index
from ternary_vae.limits import coverage_limit
from ternary_vae.operations import operation_table
from ternary_vae.recipe import load_recipe
from ternary_vae.reports.measurements import measurements_of_run
from ternary_vae.resolution.structure.ideal import ideal_exact_match
from ternary_vae.space import Space
from ternary_vae.storage.runs import RunDirectory

COUNT = 19_683


@pytest.fixture(scope="module")
def pages(
    good_run: RunDirectory, failing_run: RunDirectory, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Pages of a good run with a map, and of a failing one whose checkpoints are gone."""
    place = tmp_path_factory.mktemp("pages")
    bare = RunDirectory(shutil.copytree(failing_run.path, place / "run"))
    shutil.rmtree(bare.checkpoints)
    with noise_draws(10):
        return {"good": write_page(good_run, place / "good.html"), "bare": write_page(bare, place / "bare.html")}


@pytest.fixture(scope="module")
def good(browser: Any, pages: dict[str, Path]) -> Iterator[Any]:
    """One page kept open for the tests that only look."""
    context = new_context(browser)
    page = context.new_page()
    page.goto(pages["good"].as_uri())
    page.wait_for_function(READY)
    yield page
    context.close()


@pytest.fixture(scope="module")
def bare(browser: Any, pages: dict[str, Path]) -> Iterator[Any]:
    """The failing run's, likewise, in light colours; nothing may have been fetched or gone wrong."""
    context, troubles = new_context(browser, color_scheme="light"), []
    page = watched_page(context, troubles)
    page.goto(pages["bare"].as_uri())
    page.wait_for_function(READY)
    yield page
    context.close()
    assert troubles == []


def plotted(page: Any) -> dict[str, Any]:
    """What the map shows: points by operation, colours in use, kind of trace."""
    return page.evaluate(
        """() => {
          const trace = document.getElementById("map-plot").data.find((one) => one.meta === "operations");
          return {count: trace.x.length, distinct: new Set(trace.customdata).size, type: trace.type,
                  colours: [...new Set(trace.marker.color)].map(String).sort()};
        }"""
    )


def packed(page: Any, side: str, index: int | slice) -> list[Any]:
    """Home, wrong entries and distance of the neighbour of operations, as the page's data have them."""
    content = json.loads(page.locator("#data").text_content())["map"]
    home, errors, neighbour = (
        np.frombuffer(base64.b64decode(text), np.uint8)[index]
        for text in (content["home"], content[side]["errors"], content[side]["neighbour"])
    )
    return [np.array(["VAE-A", "VAE-B", "neither"])[home], errors, neighbour]


def choose(page: Any, control: str, value: str) -> None:
    page.select_option(control, value)
    page.wait_for_function(READY)


def test_the_verdict_comes_first_and_above_the_fold(good: Any) -> None:
    good.evaluate("scrollTo(0, 0)")
    assert good.locator("main section").first.get_attribute("id") == "verdict"
    lines = good.locator("#verdict tr.line")
    assert lines.count() == 16
    for at in range(16):
        assert lines.nth(at).is_visible()
        box = lines.nth(at).bounding_box()
        assert box["y"] + box["height"] <= 900
    assert "Every level of the plan is met" in good.locator(".headline").inner_text()
    assert lines.first.locator("td").last.inner_text() == "✓ met"


def test_missed_lines_are_said_in_words_not_by_colour_alone(bare: Any) -> None:
    page = bare
    first = page.locator("#verdict tr.line").first
    assert first.locator("td").last.inner_text() == "✗ missed"
    assert first.locator("td").nth(1).inner_text() == "11.04%"
    assert "No map: the run has no checkpoint." in page.locator("#map").inner_text()
    assert page.locator("#map-plot").count() == 0
    marked = page.evaluate("document.getElementById('chart-statenet').data.find((t) => t.meta === 'events').customdata")
    assert any("VAE-A at 21.00%" in text for text in marked)
    shapes = page.evaluate(
        "document.getElementById('chart-statenet').layout.shapes.filter((s) => s.type === 'line').map((s) => s.x0)"
    )
    assert 150 in shapes
    assert "VAE-A at 21.00%, below 30%" in page.locator("#events table").inner_text()


def test_no_axis_of_shares_goes_beyond_what_a_share_can_be(good: Any) -> None:
    ticks = good.evaluate(
        """() => Object.fromEntries(["reconstruction", "coverage", "complementarity", "curve", "draws"].map((id) => [
          id, [...document.querySelectorAll(`#chart-${id} .ytick text`)].map((tick) => tick.textContent),
        ]))"""
    )
    for name, labels in ticks.items():
        shares = [float(label.rstrip("%").replace("−", "-")) / (100 if "%" in label else 1) for label in labels]
        assert len(shares) >= 3, name
        assert all(0 <= share <= 1 for share in shares), (name, labels)


def test_every_chart_is_drawn_with_phases_labelled_and_limits(good: Any) -> None:
    charts = good.evaluate(
        """() => [...document.querySelectorAll(".chart[data-axis]")].map((one) => ({
          id: one.id, axis: one.dataset.axis, drawn: one.querySelectorAll(".scatterlayer .trace").length,
          described: one.getAttribute("aria-label").length, role: one.getAttribute("role"),
          labels: [...one.querySelectorAll(".annotation-text")].map((text) => text.textContent),
          shaded: (one.layout.shapes || []).filter((s) => s.type === "rect" && s.yref === "paper").length,
        }))"""
    )
    assert len(charts) == 11
    for chart in charts:
        assert chart["drawn"] > 0, chart
        assert chart["described"] > 20
        assert chart["role"] == "img"
        if chart["axis"] == "time":
            assert chart["shaded"] >= 4, chart["id"]
            assert [label for label in chart["labels"] if label.startswith("phase")] == [
                f"phase {n}" for n in range(1, 5)
            ]
    coverage = next(chart for chart in charts if chart["id"] == "chart-coverage")
    assert "a uniform model, on average: 99.38%" in coverage["labels"]
    curve = next(chart for chart in charts if chart["id"] == "chart-curve")
    assert sum("σ½" in label for label in curve["labels"]) == 2
    ideal = good.evaluate(
        "document.getElementById('chart-curve').data.find((one) => one.name.startsWith('ideal axes'))"
    )
    assert ideal["y"] == pytest.approx([ideal_exact_match(Space(), sigma) for sigma in ideal["x"]])


def test_charts_draw_what_was_measured(good: Any, good_run: RunDirectory) -> None:
    measured = measurements_of_run(good_run)
    epochs, every = measured.milestones, measured.column("epoch")
    charts = good.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll(".chart[data-axis]")].map(({id, data}) => [
          id.replace("chart-", ""),
          Object.fromEntries(data.map(({name, x, y, customdata}) => [name, {x, y, told: customdata}])),
        ]))"""
    )
    at_milestones = {
        ("reconstruction", "VAE-A, benchmark"): "exact_match_a",
        ("reconstruction", "VAE-B, benchmark"): "exact_match_b",
        ("reconstruction", "ensemble, benchmark"): "exact_match_best_of_two",
        ("complementarity", "under equal noise"): "complementarity_score",
        ("complementarity", "by errors alone"): "complementarity_by_errors",
        ("complementarity", "VAE-A's share of homes"): "share_a",
        ("permeability", "correlation of codes, absolute"): "latent_correlation",
        ("half-sigma", "VAE-A"): "half_sigma_a",
        ("half-sigma", "VAE-B"): "half_sigma_b",
    }
    for (chart, name), key in at_milestones.items():
        drawn = charts[chart][name]
        assert (drawn["x"], drawn["y"]) == (epochs, [measured.value(key, epoch) for epoch in epochs]), name
    each_epoch = {
        ("reconstruction", "VAE-A"): "exact_match_a", ("reconstruction", "VAE-B"): "exact_match_b",
        ("reconstruction", "coupled A"): "exact_match_coupled_a",
        ("reconstruction", "coupled B"): "exact_match_coupled_b",
        ("permeability", "ρ"): "rho", ("permeability", "β of A"): "beta_a", ("permeability", "β of B"): "beta_b",
        ("permeability", "temperature A"): "temperature_a", ("permeability", "temperature B"): "temperature_b",
        ("loss", "reconstruction A"): "terms.reconstruction_a", ("loss", "kl B"): "terms.kl_b",
        ("lambda", "λ1, of A"): "lambda1", ("lambda", "λ2, of B"): "lambda2", ("lambda", "λ3, alignment"): "lambda3",
        ("lambda", "balance, + favours A"): "balance",
        ("statenet", "Δ learning rate"): "statenet.corrections.learning_rate",
        ("statenet", "Δ λ1"): "statenet.corrections.lambda1", ("statenet", "Δ λ2"): "statenet.corrections.lambda2",
    }  # fmt: skip
    for (chart, name), key in each_epoch.items():
        drawn = charts[chart][name]
        assert (drawn["x"], drawn["y"]) == (every, measured.column(key)), name
    gate = charts["permeability"]["gate open"]
    assert [height == 0 for height in gate["y"]] == [told == "yes" for told in gate["told"]]
    assert gate["told"] == ["yes" if is_open else "no" for is_open in measured.column("gate_open")]
    assert charts["statenet"]["event"]["x"] == [e["epoch"] for e in measured.events if e["kind"] != "milestone"]
    intervals = [measured.part("coverage_rho_07", epoch) for epoch in epochs]
    assert charts["coverage"]["ρ = 0.7, the plan's sum"]["told"] == [
        f"{percent(one.coverage_rate)} [{percent(one.interval.low)}, {percent(one.interval.high)}]" for one in intervals
    ]
    last = measured.isolated[400]
    for letter, vae in (("A", last.vae_a), ("B", last.vae_b)):
        curve = charts["curve"][f"VAE-{letter}, epoch 400"]
        points = vae.resolution_curve.points
        assert (curve["x"], curve["y"]) == ([p.sigma for p in points], [p.exact_match_rate for p in points])
        half = good.locator("#chart-curve .annotation-text", has_text=f"{letter}: σ½").text_content()
        assert half.endswith(f" = {fixed(vae.resolution_curve.half_sigma, 3)}")
        drawn = vae.sampling_coverage.by_draws
        assert charts["draws"][f"VAE-{letter}"]["y"] == [one.coverage_rate for one in drawn]
        gaps = [100 * (one.coverage_limit - one.coverage_rate) for one in drawn]
        assert charts["gap"][f"VAE-{letter}"]["y"] == pytest.approx(gaps)
    limit = charts["draws"]["a uniform model, on average"]
    assert limit["y"] == pytest.approx([coverage_limit(draws, COUNT) for draws in limit["x"]], abs=1e-6)


def test_captions_and_tables_say_what_was_measured(good: Any, bare: Any, good_run: RunDirectory) -> None:
    measured = measurements_of_run(good_run)
    vaes, homes = measured.isolated[400], measured.part("complementarity_score", 400)

    def caption(page: Any, name: str) -> str:
        return page.locator(f"#chart-{name} + figcaption").inner_text()

    halves = [fixed(vae.resolution_curve.half_sigma, 3) for vae in (vaes.vae_a, vaes.vae_b)]
    assert caption(good, "half-sigma").startswith("At epoch 400: VAE-A {}, VAE-B {}".format(*halves))
    assert f"{homes.home_a:,} operations at home in A, {homes.home_b:,} in B" in caption(good, "complementarity")
    assert caption(bare, "reconstruction").startswith("At epoch 400: VAE-A 4.04%")
    header, *_, last = good.locator("#evolution table tr").evaluate_all(
        "(all) => all.map((row) => [...row.children].map((one) => one.textContent))"
    )
    interval = measured.part("coverage_rho_07", 400).interval
    assert f"{homes.home_a:,} : {homes.home_b:,}" == last[header.index("A : B")]
    assert f"{percent(interval.low)} – {percent(interval.high)}" == last[header.index("95%")]
    assert good.locator("#events .lead").inner_text().startswith("No guard fired.")
    facts = dict(zip(*(good.locator(f"#recipe {tag}").all_inner_texts() for tag in ("dt", "dd"))))
    assert (facts["Took"], facts["Epochs"]) == ("3 min 00 s", "400 of 400")
    assert "done: raise_temperature_a" in bare.locator("#events table").inner_text()
    assert "benchmarked at" not in bare.locator("#events table").inner_text()


def test_zooming_one_time_chart_zooms_all(good: Any) -> None:
    good.evaluate("Plotly.relayout('chart-reconstruction', {'xaxis.range': [100, 200]})")
    good.wait_for_function("document.getElementById('chart-lambda').layout.xaxis.range[0] === 100")
    ranges = good.evaluate("[...document.querySelectorAll('[data-axis=time]')].map((one) => one.layout.xaxis.range)")
    assert all(actual == [100, 200] for actual in ranges)
    draws = good.evaluate("document.getElementById('chart-draws').layout.xaxis.range")
    assert draws != [100, 200]
    good.evaluate("Plotly.relayout('chart-reconstruction', {'xaxis.range': [0, 404]})")


def test_the_map_shows_every_operation_once(good: Any) -> None:
    shown = plotted(good)
    assert (shown["count"], shown["distinct"]) == (COUNT, COUNT)
    assert shown["type"] == "scattergl"
    legend = good.evaluate("[...document.querySelectorAll('#map-plot .legendtext')].map((one) => one.textContent)")
    counts = [int(actual[1].replace(",", "")) for text in legend if (actual := re.search(r"\(([\d,]+)\)", text))]
    assert sum(counts) == COUNT
    assert "named gates" in legend


def test_hovering_an_operation_shows_its_truth_table(good: Any) -> None:
    place = good.evaluate(  # of the operation furthest to the right, which no other point covers
        """() => {
          const plot = document.getElementById("map-plot");
          plot.scrollIntoView({block: "center", behavior: "instant"});
          const trace = plot.data.find((one) => one.meta === "operations"), at = trace.x.indexOf(Math.max(...trace.x));
          const box = plot.getBoundingClientRect(), {xaxis, yaxis, _size} = plot._fullLayout;
          const x = box.left + _size.l + xaxis.d2p(trace.x[at]), y = box.top + _size.t + yaxis.d2p(trace.y[at]);
          return {index: trace.customdata[at], x, y};
        }"""
    )
    good.mouse.move(place["x"] - 3, place["y"] - 3)
    good.mouse.move(place["x"], place["y"], steps=4)
    good.wait_for_selector("#map-plot .hoverlayer .hovertext")
    hover = [line.rstrip() for line in good.locator("#map-plot .hoverlayer .hovertext tspan.line").all_text_contents()]
    signs = [{-1: "−", 0: "0", 1: "+"}[value] for value in operation_table(torch.tensor(place["index"])).tolist()]
    assert hover[:5] == [
        f"operation {place['index']:,}",
        "  a╲b  −  0  +",
        f"  −    {'  '.join(signs[:3])}",
        f"  0    {'  '.join(signs[3:6])}",
        f"  +    {'  '.join(signs[6:])}",
    ]
    family = good.evaluate("getComputedStyle(document.querySelector('#map-plot .hovertext text.nums')).fontFamily")
    assert "monospace" in family


def test_a_gate_is_named_in_its_hover_text(good: Any) -> None:
    text = good.evaluate(
        """(index) => {
          const trace = document.getElementById("map-plot").data.find((one) => one.meta === "operations");
          return trace.text[trace.customdata.indexOf(index)];
        }""",
        named_gate_index("minimum (Kleene and)"),
    )
    home, errors, neighbour = packed(good, "a", named_gate_index("minimum (Kleene and)"))
    # Minimum of a (rows) and b (columns).
    assert text.split("<br>") == [
        "<b>minimum (Kleene and)</b>",
        f"operation {named_gate_index('minimum (Kleene and)'):,}",
        "  a╲b  −  0  +",
        "  −    −  −  −",
        "  0    −  0  0",
        "  +    −  0  +",
        f"home {home}",
        f"wrong entries {errors}",
        f"neighbour at {neighbour}",
    ]


def test_an_operation_is_found_by_name_and_by_index(good: Any) -> None:
    assert good.locator("#operation h3").inner_text() == "minimum (Kleene and)"
    minimum = named_gate_index("minimum (Kleene and)")
    (home, *a), (_, *b) = (packed(good, side, minimum) for side in "ab")
    assert a != b
    assert good.locator("#operation dd").all_inner_texts() == [
        f"{minimum:,}", home, *(f"A {of_a}, B {of_b}" for of_a, of_b in zip(a, b))
    ]  # fmt: skip
    rings = good.evaluate(
        """(index) => {
          const {data} = document.getElementById("map-plot"), all = data.find((one) => one.meta === "operations");
          const at = all.customdata.indexOf(index), place = [all.x[at], all.y[at]];
          return data.filter((one) => one.meta === "chosen").map(({x, y}) => [[x[0], y[0]], place]);
        }""",
        minimum,
    )
    assert len(rings) == 1
    assert rings[0][0] == rings[0][1]
    good.fill("#find", "consensus")
    good.press("#find", "Enter")
    good.wait_for_function("document.querySelector('#operation h3').textContent === 'consensus'")
    cells = good.locator("#operation .truth td").all_text_contents()
    assert cells == ["−", "0", "0", "0", "0", "0", "0", "0", "+"]
    good.fill("#find", "19,682")
    good.press("#find", "Enter")
    good.wait_for_function("document.querySelector('#operation h3').textContent === 'true'")
    assert good.locator("#operation .truth td").all_text_contents() == ["+"] * 9
    for text, heading in (
        ("XOR", "exclusive or"),
        ("0,0,0,0,0,0,0,0,1", "Operation 16,402"),
        ("Łuk", "Łukasiewicz implication"),
    ):
        good.fill("#find", text)
        good.press("#find", "Enter")
        good.wait_for_function(f"document.querySelector('#operation h3').textContent === '{heading}'")
    good.fill("#find", "no such gate")
    good.press("#find", "Enter")
    good.wait_for_function(
        "document.getElementById('map-status').textContent.includes('There is no gate “no such gate” here')"
    )


def test_colouring_and_latent_space_change_what_is_drawn(good: Any) -> None:
    def counts() -> dict[str, int]:
        names = good.evaluate("document.getElementById('map-plot').data.map((one) => one.name)")
        found = (re.fullmatch(r"(.*) \(([\d,]+)\)", name) for name in names if name)
        return {one[1]: int(one[2].replace(",", "")) for one in found if one}

    homes, wrong, near = packed(good, "a", slice(None))
    assert counts() == {name: (homes == name).sum() for name in ("VAE-A", "VAE-B", "neither") if (homes == name).any()}
    titles = good.evaluate(
        "['xaxis', 'yaxis'].map((one) => document.getElementById('map-plot').layout[one].title.text)"
    )
    shares = json.loads(good.locator("#data").text_content())["map"]["a"]["variance"]
    assert titles == [f"component {at + 1} ({percent(shares[at], 0)} of variance)" for at in (0, 1)]
    home = plotted(good)
    assert 2 <= len(home["colours"]) <= 3
    choose(good, "#map-colour", "errors")
    errors = plotted(good)
    assert counts().get("3 or more", 0) == (wrong >= 3).sum()
    assert counts().get("exact", 0) == (wrong == 0).sum()
    choose(good, "#map-colour", "balance")
    balance = plotted(good)
    choose(good, "#map-colour", "neighbour")
    neighbour = plotted(good)
    assert counts() == {
        name: among.sum()
        for name, among in (
            ("1 entry apart", near == 1), ("2 entries apart", near == 2), ("3 or more", near > 2)
        ) if among.any()
    }  # fmt: skip
    choose(good, "#map-vae", "b")
    other = good.evaluate("document.getElementById('map-plot').data[0].x.slice(0, 5)")
    choose(good, "#map-vae", "a")
    first = good.evaluate("document.getElementById('map-plot').data[0].x.slice(0, 5)")
    choose(good, "#map-colour", "home")
    assert errors["colours"] != home["colours"]
    assert neighbour["colours"] != home["colours"]
    assert len(balance["colours"]) == 19
    assert other != first
    assert plotted(good) == home
    assert {one["count"] for one in (home, errors, balance, neighbour)} == {COUNT}


def test_a_click_on_the_legend_hides_a_class(good: Any) -> None:
    entry = good.locator("#map-plot .legendtoggle").first
    entry.scroll_into_view_if_needed()
    text = good.locator("#map-plot .legendtext").first.text_content()
    hidden = int(re.search(r"\(([\d,]+)\)", text)[1].replace(",", ""))
    box = entry.bounding_box()
    good.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    good.wait_for_function(f"document.getElementById('map-plot').data[0].x.length === {COUNT - hidden}")
    good.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    good.wait_for_function(f"document.getElementById('map-plot').data[0].x.length === {COUNT}")


def test_the_third_dimension_comes_only_when_chosen(good: Any) -> None:
    assert good.locator("#map-plot .gl-container canvas").count() > 0
    assert not good.evaluate("Boolean(document.getElementById('map-plot')._fullLayout.scene)")
    choose(good, "#map-dimensions", "3")
    assert good.evaluate("Boolean(document.getElementById('map-plot')._fullLayout.scene?._scene?.glplot)")
    shown = plotted(good)
    assert (shown["count"], shown["type"]) == (COUNT, "scatter3d")
    choose(good, "#map-dimensions", "2")
    assert plotted(good)["type"] == "scattergl"


def test_a_phone_needs_no_sideways_scrolling(open_page: Callable[..., Any], pages: dict[str, Path]) -> None:
    page = open_page(pages["good"], **PHONE)
    page.locator("h1").evaluate("(one) => { one.textContent = 'a_name'.repeat(30); }")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    outside = page.evaluate(
        """() => [...document.querySelectorAll("main *")].filter((one) => {
          const card = one.closest(".card");
          return card && !one.closest(".scroll, pre, .js-plotly-plot, datalist")
            && one.getBoundingClientRect().right > card.getBoundingClientRect().right + 0.5;
        }).map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert outside == []
    rows = page.locator("#verdict tr.line")
    assert rows.first.bounding_box()["y"] < 700
    widths = page.evaluate("[...document.querySelectorAll('.js-plotly-plot .main-svg')].map((one) => one.clientWidth)")
    assert max(widths) <= 390


def test_dark_and_light(open_page: Callable[..., Any], pages: dict[str, Path]) -> None:
    look = """() => ({
      page: getComputedStyle(document.body).backgroundColor, ink: getComputedStyle(document.body).color,
      plot: document.getElementById("chart-coverage").layout.paper_bgcolor,
      line: document.getElementById("chart-reconstruction").data.find((one) => one.name === "VAE-B").line.color,
    })"""
    page = open_page(pages["bare"], color_scheme="dark")
    dark = page.evaluate(look)
    page.click("#theme")
    page.wait_for_function("document.documentElement.dataset.theme === 'light'")
    page.wait_for_function(READY)
    light = page.evaluate(look)
    assert dark["page"] == "rgb(19, 22, 26)"
    assert light["page"] == "rgb(251, 251, 249)"
    assert all(dark[key] != light[key] for key in light)
    assert page.locator("#theme").inner_text() == "Dark"
    page.emulate_media(color_scheme="light")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(look)["page"] == light["page"], "a choice made by hand outlasts the system's"


def test_text_has_enough_contrast(bare: Any) -> None:
    """WCAG AA for text: at least 4.5 to 1, for every text colour on its own background."""
    page, papers = bare, set()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        papers.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        pairs = page.evaluate(
            """() => [...document.querySelectorAll(
              ".quiet, .met, .missed, .headline, figcaption, dt, thead th, a, summary"
            )].map((one) => {
              let back = one;
              const clear = "rgba(0, 0, 0, 0)";
              while (getComputedStyle(back).backgroundColor === clear) back = back.parentElement;
              const name = one.className || one.tagName;
              return [getComputedStyle(one).color, getComputedStyle(back).backgroundColor, name];
            })"""
        )
        assert len(pairs) > 50
        for ink, paper, name in pairs:
            assert contrast(ink, paper) >= 4.5, (scheme, name, ink, paper)
    assert len(papers) == 2


def test_without_webgl_the_map_is_drawn_all_the_same(browser: Any, make_run: Callable[..., RunDirectory]) -> None:
    """Of the 256 operations of three Boolean inputs: tens of thousands take long to draw that way."""
    run = make_run(load_recipe("two_valued_three_inputs"), epochs=3, milestones=(3,), checkpoint=True)
    run.events_file.write_text("")
    context = new_context(browser)
    context.add_init_script(
        "const get = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...more) {"
        "return /webgl/.test(kind) ? null : get.call(this, kind, ...more); };"
    )
    page = context.new_page()
    page.goto(write_page(run, run.reports / "index.html").as_uri())
    page.wait_for_function(READY)
    assert (plotted(page)["type"], plotted(page)["count"]) == ("scatter", 256)
    assert page.locator("#map-plot .scatterlayer .point").count() >= 256
    assert page.locator("#chart-statenet").count() == 0, "StateNet is off, and nothing happened"
    choose(page, "#map-dimensions", "3")
    assert "3-D needs WebGL" in page.locator("#map-status").inner_text()
    assert plotted(page)["type"] == "scatter"
    context.close()


@pytest.mark.parametrize("kind", ["isolated", "coupled"])
def test_a_run_with_half_of_its_records_has_a_page(
    open_page: Callable[..., Any], make_run: Callable[..., RunDirectory], kind: str
) -> None:
    run = make_run(epochs=120, milestones=(3, 100))
    for epoch in (3, 100):
        (run.isolated_record if kind == "coupled" else run.coupled_record)(epoch).unlink()
    page = open_page(write_page(run, run.reports / "index.html"))
    assert "No verdict: no milestone has both its records" in page.locator("#verdict").inner_text()
    assert page.locator("#chart-curve").count() == (1 if kind == "isolated" else 0)
    assert page.locator("#chart-reconstruction .scatterlayer .trace").count() > 3


def test_without_javascript_the_verdict_and_the_figures_are_there(
    open_page: Callable[..., Any], pages: dict[str, Path]
) -> None:
    page = open_page(pages["bare"], java_script_enabled=False)
    assert page.locator("#verdict tr.line").count() == 16
    assert "The charts need JavaScript" in page.locator("#evolution").inner_text()
    assert "Drawing…" not in page.locator("main").inner_text()
    page.locator("#evolution details summary").click()
    assert "60–75%" in page.locator("#evolution table").inner_text()


def test_what_a_run_wrote_is_never_executed(
    open_page: Callable[..., Any], make_run: Callable[..., RunDirectory]
) -> None:
    hostile = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"
    recipe = load_recipe("ternary_v5_5").model_copy(update={"description": hostile})
    run = make_run(recipe, epochs=120, milestones=(3, 100))
    with open(run.events_file, "a", encoding="utf-8") as file:
        for kind in ("guard", hostile):
            event = {"epoch": 60, "kind": kind, "name": hostile, "message": hostile, "actions": [hostile]}
            file.write(json.dumps(event) + "\n")
    page = open_page(write_page(run, run.reports / "index.html"), expected="Content Security Policy")
    assert page.evaluate("typeof window.hacked") == "undefined"
    assert hostile in page.locator("#recipe p").first.inner_text()
    assert page.locator("main img").count() == 0
    assert "Missing benchmarks: epoch 120" in page.locator("#evolution").inner_text()
    # The policy holds even if markup got in: an injected inline script does not run.
    page.evaluate(
        "document.body.append(document.createRange().createContextualFragment('<script>window.hacked = 3</script>'))"
    )
    assert page.evaluate("typeof window.hacked") == "undefined"
