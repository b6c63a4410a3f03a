"""The page of an experiment as a reader meets it: opened from a file in headless Chromium, with no network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_experiments import made_up

from in_browser import PHONE, READY, new_context, watched_page
from ternary_vae.experiments.page import experiment_page
from ternary_vae.experiments.results import gather
from ternary_vae.formats import fixed, percent
from ternary_vae.storage.files import write_text

LONG = "the_same_as_the_default_under_a_name_of_60_characters_or_so_"


@pytest.fixture(scope="module")
def page_file(small, tmp_path_factory) -> Path:
    """Three arms with three seeds; one of them is better. A run has a page of its own."""
    experiment = small(
        arms={"better": {}, LONG: {}}, seeds="0-2", epochs=8, milestones=[4, 8], description="</script><b>bold</b>"
    )
    execution = made_up(experiment, tmp_path_factory.mktemp("page") / "up", {"better": 0.05})
    write_text(execution.directory.run(execution.runs[0]).reports / "index.html", "")
    page = execution.directory.path / "index.html"
    write_text(page, experiment_page(gather(experiment, execution)))
    return page


@pytest.fixture(scope="module")
def page(browser: Any, page_file: Path) -> Iterator[Any]:
    """The page, drawn; nothing may have been fetched or gone wrong."""
    troubles: list[str] = []
    context = new_context(browser)
    opened = watched_page(context, troubles)
    opened.goto(page_file.as_uri())
    opened.wait_for_function(READY)
    yield opened
    context.close()
    assert troubles == []


def test_what_follows_comes_first_with_every_deciding_comparison(page: Any) -> None:
    assert page.locator("main section").first.get_attribute("id") == "verdict"
    assert "better against resolution: better in Coverage" in page.locator(".headlines").inner_text()
    rows = page.locator("tr.deciding")
    assert rows.count() == 8
    assert page.locator("tr.deciding td.met").all_inner_texts() == ["▲ better"]
    assert page.locator("header b").count() == 0  # a description is text


def test_charts_show_every_arm_and_seed_and_what_is_certain(page: Any) -> None:
    drawn = page.evaluate("[...document.querySelectorAll('.chart')].map((one) => [one.id, one.data.length])")
    assert [name for name, _ in drawn] == [f"{kind}-{at}" for kind in ("effect", "curve", "seed") for at in range(4)]
    marks = "document.getElementById(`effect-${at}`).data.filter((one) => one.meta === 'certain').length"
    certain = page.evaluate(f"[0, 1, 2, 3].map((at) => {marks})")
    assert sorted(certain) == [0, 0, 0, 1]
    seeds = page.evaluate("document.getElementById('seed-0').data.map((one) => one.x.length)")
    assert seeds == [3, 3, 3]
    labels = page.locator("#seed-0 .ytick text").all_text_contents()
    assert labels == ["resolution", "better", LONG]  # in two lines


def test_charts_draw_the_differences_and_curves_of_the_data(page: Any) -> None:
    data = json.loads(page.locator("#data").text_content())
    for at, measure in enumerate(data["measures"]):
        effect, curve, seed = (
            page.evaluate(f"(({{data, layout}}) => ({{data, layout}}))(document.getElementById('{kind}-{at}'))")
            for kind in ("effect", "curve", "seed")
        )
        shapes = iter(effect["layout"]["shapes"])
        for place, shown in enumerate(measure["effects"]):
            dots, mean = effect["data"][2 * place : 2 * place + 2]
            assert (dots["x"], mean["x"], mean["y"]) == (shown["seeds"], [shown["mean"]], [place])
            assert np.mean(dots["x"]) == pytest.approx(shown["mean"])
            if shown["low"] is None:
                assert mean["error_x"] is None
            else:
                [reach] = mean["error_x"]["array"]
                assert (shown["mean"] - reach, shown["mean"] + reach) == pytest.approx((shown["low"], shown["high"]))
            assert (mean["marker"]["color"] == dots["marker"]["color"]) == shown["certain"]
            if shown["reach"] is not None:
                band = next(shapes)
                assert (band["x0"], band["x1"]) == (-shown["reach"], shown["reach"])
        top, bottom = effect["layout"]["yaxis"]["range"][::-1]
        assert top < 0 < len(measure["effects"]) - 1 < bottom
        told = percent if measure["share"] else partial(fixed, digits=3)
        for place, arm in enumerate(data["arms"]):
            known = measure["curves"][arm["name"]]
            low, high, mean = curve["data"][3 * place : 3 * place + 3]
            assert (low["y"], high["y"], mean["y"]) == (known["low"], known["high"], known["mean"])
            assert mean["customdata"] == [
                f"{told(m)} [{told(least)}, {told(most)}]" for least, m, most in zip(low["y"], mean["y"], high["y"])
            ]
            seeds = [one for one in measure["seeds"] if one["arm"] == arm["name"]]
            assert seed["data"][place]["x"] == [one["value"] for one in seeds]
            assert seed["data"][place]["text"] == [
                f"{arm['name']}, seed {one['seed']}<br>{told(one['value'])}" for one in seeds
            ]


def test_it_fits_a_phone_and_paper(browser: Any, page_file: Path) -> None:
    context = new_context(browser, **PHONE)
    page = context.new_page()
    page.goto(page_file.as_uri())
    page.wait_for_function(READY)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.set_viewport_size({"width": 1000, "height": 1400})
    page.emulate_media(media="print")
    hidden = "[...document.querySelectorAll('.scroll')].filter((one) => getComputedStyle(one).overflow !== 'visible')"
    assert page.evaluate(f"{hidden}.length") == 0
    context.close()


def test_without_javascript_it_says_where_the_figures_are(browser: Any, page_file: Path) -> None:
    context = new_context(browser, java_script_enabled=False)
    page = context.new_page()
    page.goto(page_file.as_uri())
    text = page.locator("main").inner_text()
    assert text.startswith("The charts need JavaScript. The figures are in the tables.")
    assert "Drawing…" not in text
    context.close()


def test_no_axis_of_shares_goes_beyond_what_a_share_can_be(page: Any) -> None:
    ticks = page.evaluate(
        """() => [0, 1, 2, 3].flatMap((at) => [[`curve-${at}`, "y"], [`seed-${at}`, "x"]]).map(([id, along]) => [
          id, [...document.querySelectorAll(`#${id} .${along}tick text`)].map((one) => one.textContent),
        ])"""
    )
    for name, labels in ticks:
        shares = [float(label.rstrip("%").replace("−", "-")) / (100 if "%" in label else 1) for label in labels]
        assert shares, name
        assert all(0 <= share <= 1 for share in shares), (name, labels)


def test_every_run_is_one_click_away(page: Any, page_file: Path) -> None:
    links = page.locator("#runs tbody a").evaluate_all("(all) => all.map((one) => one.getAttribute('href'))")
    assert len(links) == 9
    assert all((page_file.parent / link).exists() for link in links)
    assert links[0] == "runs/resolution-seed0/reports/index.html"
    targets = page.evaluate("document.getElementById('seed-2').data.flatMap((one) => one.customdata)")
    assert set(targets) == set(links)
