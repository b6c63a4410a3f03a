"""The atlas as a reader meets it: opened from a file, with no network."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from in_browser import PHONE, READY, contrast, new_context, watched_page
from ternary_vae.atlas.data import atlas_data
from ternary_vae.formats import fixed, percent
from ternary_vae.gates import classes, find_gate, find_gates, known_properties, properties_of
from ternary_vae.gates.names import Gate
from ternary_vae.model import DualVAE, logits_to_tables
from ternary_vae.operations import operation_index
from ternary_vae.reports.latent_map import LatentMap
from ternary_vae.space import Space

STILL = {"reduced_motion": "reduce"}
PATH_COLOUR = "(one) => { one.style.color = 'var(--mark)'; return getComputedStyle(one).color; }"
MINIMUM = find_gate("PC0")[0].index


@pytest.fixture(scope="module")
def atlas(browser: Any, atlas_file: Path) -> Iterator[Any]:
    """One page for all tests that leave it as it was; nothing may have been fetched or gone wrong."""
    troubles: list[str] = []
    context = new_context(browser, **STILL)
    page = watched_page(context, troubles)
    page.goto(atlas_file.as_uri())
    page.wait_for_function(READY)
    yield page
    context.close()
    assert troubles == []


@pytest.fixture
def page(atlas: Any) -> Any:
    """The page as it was when it was opened; opening it for each test would take most of their time."""
    for name in ("Show all", "End the walk", "Whole map"):
        if (button := atlas.get_by_role("button", name=name)).is_visible():
            button.click()
    atlas.check("#names")
    atlas.fill("#find", "")
    atlas.evaluate(
        """() => new Promise((done) => {
          for (const part of document.querySelectorAll("#card details"))
            part.open = !["One entry apart", "Orbits"].includes(part.dataset.part);
          addEventListener("hashchange", () => setTimeout(done), {once: true});
          location.hash = "#gate=PC0&vae=a&colour=home&once=more";
        })"""
    )
    return atlas


def search(page: Any, text: str) -> None:
    page.fill("#find", text)
    page.press("#find", "Enter")


def heading(page: Any) -> str:
    return page.locator("#card-title").inner_text()


def facts(page: Any) -> dict[str, str]:
    names, values = (page.locator(f"#card dl {tag}").all_inner_texts() for tag in ("dt", "dd"))
    return dict(zip(names, values))


def listed(page: Any, where: str) -> list[int]:
    return [
        int(one)
        for one in page.locator(f"{where} button.gate").evaluate_all("(all) => all.map((one) => one.dataset.index)")
    ]


def legend(page: Any) -> dict[str, int]:
    chips = page.locator("#legend .chip").evaluate_all(
        "(all) => all.map((one) => [...one.children].map((c) => c.textContent))"
    )
    return {name: int(count.replace(",", "")) for _, name, count in chips}


def pixels(page: Any) -> dict[str, int]:
    """How many pixels of the map have each of the colours that are used most."""
    return page.evaluate(
        """() => {
          const canvas = document.getElementById("map-canvas"), counts = new Map();
          const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 200) {
            const colour = [data[i], data[i + 1], data[i + 2]].join(",");
            counts.set(colour, (counts.get(colour) || 0) + 1);
          }
          return Object.fromEntries([...counts].sort((a, b) => b[1] - a[1]).slice(0, 200));
        }"""
    )


def painted(page: Any) -> int:
    """Pixels of the map that are painted."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.evaluate(
        """() => {
          const canvas = document.getElementById("map-canvas");
          const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          let count = 0;
          for (let i = 3; i < data.length; i += 4) count += data[i] > 128;
          return count;
        }"""
    )


def test_it_opens_on_a_named_gate_and_a_painted_map(atlas: Any) -> None:
    page = atlas
    assert heading(page) == "minimum (Kleene and)"
    assert painted(page) > 3_000
    assert "a model <b>of</b> random weights" in page.locator("header").inner_text()  # a source is text
    assert page.locator("script[src], link[href], img").count() == 0


def test_a_gate_is_found_by_every_kind_of_name(page: Any) -> None:
    for text in ("SUM", "7pb", "5,681", "+-0-0+0+-", "sum modulo 3"):
        search(page, "false")
        assert heading(page) == "false"
        search(page, text)
        assert heading(page) == "sum modulo 3", text
    search(page, "9842")
    assert heading(page) == f"Gate {Gate(Space(), 9842).heptavintimal}"
    assert "gate=" + Gate(Space(), 9842).heptavintimal in page.url


def test_what_could_be_two_things_is_a_choice(page: Any) -> None:
    page.fill("#find", "MAX")
    assert "could be 2 gates" in page.locator("#find-status").inner_text()
    assert page.locator("#results [role=option]").count() >= 2
    page.press("#find", "ArrowDown")
    assert page.locator("#results [aria-selected=true]").get_attribute("id") == "option-1"
    assert page.get_attribute("#find", "aria-activedescendant") == "option-1"
    page.press("#find", "ArrowUp")
    assert page.get_attribute("#find", "aria-activedescendant") == "option-0"
    page.press("#find", "ArrowDown")
    page.press("#find", "Enter")
    assert heading(page) == "maximum (Kleene or)"
    page.fill("#find", "no such gate")
    assert "No gate of two inputs is called that" in page.locator("#find-status").inner_text()
    assert page.get_attribute("#find", "aria-expanded") == "false"
    page.fill("#find", "implic")
    assert page.locator("#results [role=option]").count() == 3
    page.fill("#find", "a")
    names = [re.sub("^name ", "", note.split(" · ")[0]).lower() for note in page.locator(
        "#results [role=option] .quiet").all_inner_texts() if note.startswith("name ")]  # fmt: skip
    begins = [name.startswith("a") for name in names]
    assert begins == sorted(begins, reverse=True)
    assert len(set(begins)) == 2
    page.press("#find", "Escape")
    assert page.locator("#results").is_hidden()


def test_a_partial_table_lights_what_fits(page: Any) -> None:
    page.fill("#find", "?--0?0-0+")
    assert page.locator("#find-status").inner_text() == "9 gates fit this table."
    before = painted(page)
    page.press("#find", "Enter")
    assert page.locator("#lit-label").inner_text() == "9 gates that fit ?--0?0-0+"
    assert painted(page) < before / 4
    page.click("#unlight")
    assert page.locator("#lit").is_hidden()
    assert painted(page) == before
    page.fill("#find", "?--0?0-0+")
    options = page.locator("#results [role=option]").count()
    assert options == 10
    page.locator("#results [role=option]").last.click()
    last = max(gate.index for gate in find_gates(Space(), table=[None, -1, -1, 0, None, 0, -1, 0, 1]).gates)
    assert facts(page)["index"] == f"{last:,}"


def test_the_card_says_what_the_package_says(page: Any, placed: LatentMap) -> None:
    for name in ("SUM", "PC0", "index:1"):
        search(page, name)
        gate = find_gate(name)[0]
        shown = facts(page)
        assert shown["index"] == f"{gate.index:,}"
        assert shown["heptavintimal"] == gate.heptavintimal
        assert shown["truth table"] == gate.text
        assert shown["home"] == {1: "VAE-A", -1: "VAE-B", 0: "neither"}[int(placed.home[gate.index])]
        assert shown["wrong entries"] == f"A {placed.a.errors[gate.index]} · B {placed.b.errors[gate.index]}"
        assert shown["noise draws"] == f"{placed.noise_draws:,}"
        borne = [re.sub(r"\D", "", text) for text in shown["exact at σ 0.3"].split("·")]
        exact = [100 * side.exact_under_noise[gate.index] for side in (placed.a, placed.b)]
        assert [int(text) for text in borne] == pytest.approx(exact, abs=0.5)
        cells = page.locator("#card .truth td").all_inner_texts()
        assert cells == [{-1: "−", 0: "0", 1: "+"}[int(value)] for value in gate.table]
        chips = page.locator("#card .properties .chip").all_inner_texts()
        expected = [
            property_name.replace("_", " ") if value is True else f"{property_name.replace('_', ' ')}: {value}"
            for property_name, value in properties_of(Space(), gate.index).items()
            if value is not False
        ]
        assert chips == expected


def test_neighbours_and_orbits(page: Any, placed: LatentMap) -> None:
    near = listed(page, "#card details[data-part='Nearest in the latent space']")
    means = torch.from_numpy(placed.a.means).double()
    distance = (means - means[MINIMUM]).norm(dim=1)
    distance[MINIMUM] = torch.inf
    assert len(near) == 8
    assert float(distance[near[0]]) == pytest.approx(float(distance.min()), rel=1e-3)
    notes = page.locator("#card details[data-part='Nearest in the latent space'] button.gate .quiet").all_inner_texts()
    for other, note in zip(near, notes, strict=True):
        away, entries = re.fullmatch(r"(.*) away, (\d) entr(?:y|ies)", note).groups()
        assert float(away) == pytest.approx(float(distance[other]), abs=0.01)
        assert int(entries) == (Gate(Space(), other).table != Gate(Space(), MINIMUM).table).sum()
    page.locator("#card summary", has_text="One entry apart").click()
    apart = listed(page, "#card details[data-part='One entry apart']")
    assert len(apart) == 18
    assert all((Gate(Space(), one).table != Gate(Space(), MINIMUM).table).sum() == 1 for one in apart)
    glyphs = page.locator("#card details[data-part='One entry apart'] .glyph").evaluate_all(
        """(all) => all.map((one) => [...one.children].map((cell) =>
          ["x", "y", "class"].map((name) => cell.getAttribute(name))))"""
    )
    for other, cells in zip(apart, glyphs, strict=True):
        values, changed = Gate(Space(), other).table, Gate(Space(), other).table != Gate(Space(), MINIMUM).table
        assert cells == [
            [f"{10 * (at % 3) + 0.5}", f"{10 * (at // 3) + 0.5}", f"value{value + 1}{' changed' * bool(differs)}"]
            for at, (value, differs) in enumerate(zip(values, changed))
        ]
    page.locator("#card summary", has_text="Orbits").click()
    rows = page.locator("#card .orbits tbody tr")
    least, sizes = classes(Space(), "isomorphism")
    row = rows.filter(has=page.locator("th", has_text=re.compile("^isomorphism$")))
    assert row.locator("td.figure").inner_text() == str(sizes[MINIMUM])
    assert listed(page, "#card .orbits tbody tr:nth-child(2)") == [least[MINIMUM]]
    row.locator("button", has_text="Show").click()
    assert page.locator("#lit-label").inner_text().startswith(f"{sizes[MINIMUM]} gates: orbit of")
    page.click("#unlight")
    page.locator("#card details[data-part='One entry apart'] button.gate").first.click()
    assert facts(page)["index"] == f"{apart[0]:,}"


@pytest.mark.parametrize("colouring", ["home", "errors", "neighbour", "prefix-1", "prefix-2", "prefix-3", "valuation"])
def test_a_legend_counts_every_gate_once(page: Any, placed: LatentMap, colouring: str) -> None:
    page.select_option("#colouring", colouring)
    counts = legend(page)
    assert sum(counts.values()) == 19_683
    if colouring == "home":
        assert counts.get("VAE-A", 0) == (placed.home == 1).sum()
        for name, own in (("VAE-A", "--a"), ("VAE-B", "--b")):
            dot = page.locator("#legend .chip", has_text=name).locator(".dot")
            wanted = page.locator("#legend").evaluate(PATH_COLOUR.replace("--mark", own))
            assert dot.evaluate("(one) => getComputedStyle(one).backgroundColor") == wanted
    elif colouring == "neighbour":
        apart = placed.a.neighbour_distance
        assert counts == {f"{value} apart": (apart == value).sum() for value in sorted(set(apart.tolist()))}
    elif colouring.startswith("prefix"):
        assert set(counts.values()) == {19_683 // 3 ** int(colouring[-1])}
    elif colouring == "valuation":
        assert counts == {**{str(v): 2 * 3 ** (8 - v) for v in range(9)}, "∞": 1}


def test_properties_and_classes_colour_the_map(page: Any) -> None:
    for name in ("commutative", "sheffer", "monotone"):
        page.select_option("#colouring", f"property-{name}")
        assert legend(page)["yes"] == find_gates(Space(), where=name, limit=0).count
    page.select_option("#colouring", "class-exchange")
    assert legend(page) == {"1": 729, "2": 18_954}
    ids = page.locator("#colouring option").evaluate_all("(all) => all.map((one) => one.value)")
    assert {f"property-{name}" for name in known_properties(Space())} <= set(ids)
    page.locator("#card .properties .chip", has_text=re.compile("^idempotent$")).click()
    assert page.input_value("#colouring") == "property-idempotent"
    assert "colour=property-idempotent" in page.url
    page.select_option("#colouring", "noise")
    assert page.locator("#legend .bar").is_visible()
    page.select_option("#colouring", "balance")
    assert page.locator("#legend > span").all_inner_texts() == ["−9", "", "9"]


def test_a_press_on_the_legend_hides_a_class(page: Any) -> None:
    page.select_option("#colouring", "prefix-1")
    before = painted(page)
    chip = page.locator("#legend .chip").first
    chip.click()
    assert chip.get_attribute("aria-pressed") == "false"
    assert painted(page) < 0.9 * before
    chip.click()
    assert painted(page) == before


def test_colours_are_painted(page: Any) -> None:
    page.uncheck("#names")
    page.select_option("#colouring", "prefix-1")
    swatches = page.locator("#legend .dot").evaluate_all(
        "(all) => all.map((one) => getComputedStyle(one).backgroundColor)"
    )
    actual = [[int(part) for part in colour.split(",")] for colour in pixels(page)]
    for swatch in swatches:
        wanted = [int(part) for part in re.findall(r"\d+", swatch)]
        assert any(max(abs(one - other) for one, other in zip(wanted, colour)) <= 8 for colour in actual), swatch


def answers_on_the_way(model: DualVAE, means: Tensor, start: int, end: int, vae: Any) -> set[int]:
    shares = torch.linspace(0, 1, 201)[:, None]
    with torch.no_grad():
        logits = model.decode(means[start] + shares * (means[end] - means[start]), vae)
    return set(operation_index(logits_to_tables(logits)).tolist())


def test_a_walk_is_decoded_on_the_page(page: Any, model: DualVAE, placed: LatentMap) -> None:
    path = ",".join(re.findall(r"\d+", page.locator("#legend").evaluate(PATH_COLOUR)))
    assert path not in pixels(page)
    page.click("#walk-from")
    search(page, "zrp")
    page.click("#walk-to")
    end = find_gate("zrp")[0].index
    stops = listed(page, "#walk-stops")
    expected = answers_on_the_way(model, torch.from_numpy(placed.a.means), MINIMUM, end, "A")
    assert expected <= set(stops)
    assert f"{len(stops)} gate" in page.locator("#walk-content").inner_text()
    painted(page)
    assert pixels(page)[path] > 100
    page.fill("#walk-place", "1000")
    assert "100% of the way" in page.locator("#walk-now").inner_text()
    assert page.locator("#walk-stops .here").count() == 1
    assert page.locator("#walk-stops li").last.get_attribute("class") == "here"
    page.locator("input[value=b]").evaluate("(radio) => radio.click()")
    other = listed(page, "#walk-stops")
    assert answers_on_the_way(model, torch.from_numpy(placed.b.means), MINIMUM, end, "B") <= set(other)
    page.fill("#walk-place", "300")
    means = torch.from_numpy(placed.b.means)
    with torch.no_grad():
        sure = model.decode(means[MINIMUM] + 0.3 * (means[end] - means[MINIMUM]), "B").softmax(dim=-1).amax(dim=-1)
    told = page.locator("#walk-now .quiet").inner_text()
    least = int(re.fullmatch(r"30% of the way; least certain entry (\d+)%", told)[1])
    assert least == pytest.approx(100 * float(sure.min()), abs=0.6)
    notes = page.locator("#walk-stops .quiet").all_inner_texts()
    ways = [[float(part) for part in re.match(r"([\d.]+)% to ([\d.]+)%", note).groups()] for note in notes]
    assert ways == sorted(ways)
    assert (ways[0][0], ways[-1][1]) == (0, 100)
    page.get_by_role("button", name="Turn round").click()
    assert listed(page, "#walk-content .ends") == [end, MINIMUM]
    page.click("#walk-from")  # of the gate that is shown: the other end stays
    assert listed(page, "#walk-content .ends") == [end, MINIMUM]
    assert sorted(listed(page, "#walk-stops")) == sorted(other)
    page.get_by_role("button", name="End the walk").click()
    assert page.locator("#walk-hint").is_visible()


def test_the_address_remembers_what_is_shown(browser: Any, atlas_file: Path) -> None:
    context = new_context(browser, **STILL)
    page = context.new_page()
    page.goto(f"{atlas_file.as_uri()}#gate=7PB&vae=b&colour=valuation&plane=12&walk=PC0-ZRP")
    page.wait_for_function(READY)
    assert heading(page) == "sum modulo 3"
    assert page.locator("input[name=vae]:checked").get_attribute("value") == "b"
    assert page.input_value("#colouring") == "valuation"
    assert page.input_value("#plane") == "12"
    assert page.locator("#walk-stops li").count() > 0
    picture = "document.getElementById('map-canvas').toDataURL()"
    assert painted(page)
    opened = page.evaluate(picture)
    for plane in ("02", "12", "02"):
        page.select_option("#plane", plane)
        assert f"plane={plane}" in page.evaluate("location.hash")
        assert painted(page)
        assert (page.evaluate(picture) == opened) == (plane == "12")
    page.evaluate("location.hash = '#gate=nothing&vae=x&colour=<b>&plane=99&walk=-&lit=1'")
    page.evaluate("() => new Promise((done) => setTimeout(done))")
    assert heading(page) == "sum modulo 3"
    assert page.input_value("#plane") == "02"
    context.close()


def test_the_map_answers_to_the_keyboard(page: Any, placed: LatentMap) -> None:
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "find"
    page.keyboard.type("/")
    assert page.input_value("#find").endswith("/"), "in a text box it is a character"
    page.fill("#find", "")
    page.focus("#map-canvas")
    visited = {heading(page)}
    before = placed.a.positions[MINIMUM]
    for key, axis, sign in (("ArrowRight", 0, 1), ("ArrowRight", 0, 1), ("ArrowUp", 1, 1), ("ArrowLeft", 0, -1)):
        page.keyboard.press(key)
        index = int(facts(page)["index"].replace(",", ""))
        assert sign * (placed.a.positions[index] - before)[axis] > 0, key
        before = placed.a.positions[index]
        visited.add(index)
    assert len(visited) > 2
    assert facts(page)["index"] in page.locator("#said").inner_text()
    page.keyboard.press("[")
    page.keyboard.press("ArrowDown")
    for key in "][":
        page.keyboard.press(key)
        assert page.locator("#walk-stops li").count() > 0
    before = painted(page)
    for _ in range(4):
        page.keyboard.press("+")
    near = painted(page)
    for _ in range(4):
        page.keyboard.press("-")
    assert painted(page) == pytest.approx(before, rel=0.01)
    assert near != pytest.approx(before, rel=0.1)
    page.keyboard.press("+")
    page.keyboard.press("+")
    page.keyboard.press("Shift+ArrowLeft")
    assert painted(page) != before
    page.keyboard.press("0")
    assert painted(page) == before
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "card-title"


def test_the_focus_stays_where_a_reader_is(page: Any) -> None:
    focused = "document.activeElement.id"
    page.locator("#card details[data-part='Nearest in the latent space'] button.gate").first.press("Enter")
    assert heading(page) != "minimum (Kleene and)"
    assert page.evaluate(focused) == "card-title"
    page.press("#walk-example", "Enter")
    assert page.evaluate(focused) == "walk-place"
    page.get_by_role("button", name="End the walk").press("Enter")
    assert page.evaluate(focused) == "walk-example"
    search(page, "?--0?0-0+")
    page.press("#unlight", "Enter")
    assert page.evaluate(focused) == "map-canvas"


def test_a_click_on_a_point_chooses_it(page: Any) -> None:
    box = page.locator("#map-canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    whole = painted(page)
    for _ in range(3):
        page.mouse.wheel(0, -400)
    assert painted(page) > 1.5 * whole, "a wheel that turns away brings nearer"
    page.mouse.move(box["x"] + box["width"] / 2 + 3, box["y"] + box["height"] / 2 + 3)
    for across in range(0, 200, 7):
        page.mouse.move(box["x"] + box["width"] / 2 + across, box["y"] + box["height"] / 2)
        if page.locator("#tip").is_visible():
            break
    name = page.locator("#tip strong").text_content()
    page.focus("#map-canvas")
    page.keyboard.press("Shift+ArrowLeft")  # looks further to the left, so that gates move to the right
    across += 40
    for further in (40, 0):
        page.mouse.move(box["x"] + box["width"] / 2 + across + further, box["y"] + box["height"] / 2)
    assert page.locator("#tip strong").text_content() == name
    page.mouse.wheel(0, -400)
    page.mouse.move(box["x"] + box["width"] / 2 + across, box["y"] + box["height"] / 2 + 1)
    assert page.locator("#tip strong").text_content() == name, "what lies under the pointer stays there"
    page.mouse.down()
    page.mouse.up()
    assert heading(page) in (name, f"Gate {name}")


def test_dark_and_light(open_page: Callable[..., Any], atlas_file: Path) -> None:
    page = open_page(atlas_file, color_scheme="dark", **STILL)
    look = "() => [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    dark = page.evaluate(look)
    page.click("#theme")
    light = page.evaluate(look)
    assert all(one != other for one, other in zip(dark, light))

    # Paper is white, waits for no frame, and what a reader had chosen comes back.
    picture = "document.getElementById('map-canvas').toDataURL()"
    assert painted(page)
    bright = page.evaluate(picture)
    page.click("#theme")
    assert painted(page)
    assert page.evaluate(f"(dispatchEvent(new Event('beforeprint')), {picture})") == bright
    assert page.evaluate(look) == light
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(look) == dark
    assert painted(page)
    assert page.evaluate(picture) != bright


def test_what_the_code_knows_is_of_the_vae_shown(page: Any, model: DualVAE, placed: LatentMap) -> None:
    known = atlas_data(model, placed)["structure"]
    rows = page.locator("#structure .carried tbody tr")
    for vae in ("b", "a"):
        page.locator(f"input[name=vae][value={vae}]").check(force=True)
        assert rows.locator("th").all_inner_texts() == [
            f"z{dimension}: {fixed(variance, 2)}"
            for dimension, variance in zip(known[vae]["dimensions"], known[vae]["variances"])
        ]
        assert rows.first.locator("td").all_inner_texts() == [
            percent(share, 0)[:-1] if share >= 0.1 else "" for share in known[vae]["carried"][0]
        ]
        told = page.locator("#structure svg").get_attribute("aria-label")
        assert f"9: {fixed(known[vae]['by_hamming']['mean'][8], 2)} (ideal axes" in told
        heights = page.locator("#structure circle").evaluate_all("(all) => all.map((one) => +one.getAttribute('cy'))")
        assert np.corrcoef(heights, known[vae]["by_hamming"]["mean"])[0, 1] == pytest.approx(-1), "greater is higher"
        shares = getattr(placed, vae).variance
        assert page.locator("#plane option").all_inner_texts() == [
            f"{i + 1} ({percent(shares[i], 0)}) × {j + 1} ({percent(shares[j], 0)})"
            for i, j in ((0, 1), (0, 2), (1, 2))
        ]
    columns = page.locator("#structure .carried thead th").all_inner_texts()
    assert columns == ["−−", "−0", "−+", "0−", "00", "0+", "+−", "+0", "++"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_full_cell_of_the_heat_map_can_be_read(page: Any, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    cell = page.locator("#structure .carried tbody td").first
    share = cell.evaluate("(one) => one.style.getPropertyValue('--share')")
    for side in ("a", "b"):
        ink, paper = cell.evaluate(
            """(one, side) => {
              one.style.setProperty("--share", 1);
              one.style.setProperty("--own", `var(--${side})`);
              const {color, backgroundColor} = getComputedStyle(one);
              return [color, backgroundColor];
            }""",
            side,
        )
        parts = [round(255 * float(part)) for part in re.findall(r"[\d.]+", paper)[:3]]
        assert contrast(ink, str(parts)) >= 4.5, (side, ink, paper)
    cell.evaluate(
        "(one, share) => { one.style.setProperty('--share', share); one.style.removeProperty('--own'); }", share
    )
    page.emulate_media(color_scheme=None)


def test_text_has_enough_contrast(open_page: Callable[..., Any], atlas_file: Path) -> None:
    """WCAG AA for text: at least 4.5 to 1, for every text on its own background."""
    page, papers = open_page(atlas_file, color_scheme="light", **STILL), set()
    page.click("#walk-example")
    page.fill("#find", "min")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        papers.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        pairs = page.evaluate(
            """() => [...document.querySelectorAll("body *")].filter((one) =>
                [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())
                && one.getClientRects().length && !one.closest(".truth, script, style")
              ).map((one) => {
                let back = one;
                const clear = /rgba\\(0, 0, 0, 0\\)|color/;
                while (clear.test(getComputedStyle(back).backgroundColor)) back = back.parentElement;
                const {color} = getComputedStyle(one);
                return [color, getComputedStyle(back).backgroundColor, one.outerHTML.slice(0, 80)];
              })"""
        )
        assert len(pairs) > 60
        for ink, paper, text in pairs:
            assert contrast(ink, paper) >= 4.5, (scheme, text, ink, paper)
    assert len(papers) == 2


def test_a_phone_needs_no_sideways_scrolling(open_page: Callable[..., Any], atlas_file: Path) -> None:
    page = open_page(atlas_file, **PHONE, **STILL)
    page.tap("#walk-example")
    longest = page.locator("#card dd", has_text="%")
    longest.evaluate("(one) => { one.textContent = one.textContent.replace(/[0-9]+%/g, '100%'); }")
    assert longest.inner_text() == "A 100% · B 100%"
    for part in ("One entry apart", "Orbits"):
        page.locator("#card summary", has_text=part).tap()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    outside = page.evaluate(
        """() => [...document.querySelectorAll(".card *")].filter((one) => !one.closest("svg, option, .unseen")
          && one.getBoundingClientRect().right > one.closest(".card").getBoundingClientRect().right + 0.5
        ).map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert outside == []
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input")].filter((one) => {
          const {width, height} = one.getBoundingClientRect();
          const native = ["checkbox", "radio", "range"].includes(one.type);
          return width && (height < 24 || width < 24) && !native;
        }).map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert small == []


def test_without_javascript_it_says_what_it_needs(open_page: Callable[..., Any], atlas_file: Path) -> None:
    page = open_page(atlas_file, java_script_enabled=False)
    assert page.locator("main").inner_text().strip() == "The atlas needs JavaScript. It fetches nothing."


def test_it_is_small(atlas_file: Path) -> None:
    assert atlas_file.stat().st_size < 4e6
