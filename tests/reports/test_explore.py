"""Exploring a large space on a run's page, held against the model's own answers, and the map of a small one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from synthetic_runs import write_page

from few_draws import noise_draws
from in_browser import PHONE, READY, scripted
from ternary_vae.errors import UserError
from ternary_vae.gates import find_gate
from ternary_vae.gates.names import Gate
from ternary_vae.model import DualVAE, logits_to_tables
from ternary_vae.model.networks import Sizes
from ternary_vae.recipe import load_recipe
from ternary_vae.reports import page as pages
from ternary_vae.reports.networks import networks_data, numbers_of
from ternary_vae.reports.page_data import gates_data, script_safe_json
from ternary_vae.reports.self_contained import asset
from ternary_vae.space import Space
from ternary_vae.storage.checkpoints import Checkpoint, save_checkpoint
from ternary_vae.storage.runs import RunDirectory

SPACES = [Space(3, 3), Space(4, 2), Space(5, 2), Space(2, 4)]
PARTS = ("formats", "base", "truth_tables", "networks", "reading", "neighbourhood")
SIDES: list[tuple[str, Literal["A", "B"]]] = [("a", "A"), ("b", "B")]
SMALL = {"model.width": 0.4, "model.latent_dimensions": 14}


def spread(model: DualVAE) -> DualVAE:
    """Weights four times as large as at random, so that codes and answers differ between gates."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4.0)
    return model.eval()


def random_model(space: Space) -> DualVAE:
    torch.manual_seed(5)
    return spread(DualVAE(values=space.values, inputs=space.inputs, latent_dimensions=14, width=0.4, middle_value_b=1))


@pytest.fixture(scope="module", params=SPACES, ids=str)
def explorer(request: pytest.FixtureRequest, browser: Any) -> Iterator[tuple[Space, DualVAE, Callable[..., Any]]]:
    """A model, and the page's script outside its page."""
    space = request.param
    model = random_model(space)
    data = script_safe_json({**gates_data(space), "networks": networks_data(model)})
    with scripted(browser, data, [asset(f"{name}.js") for name in PARTS]) as script:
        yield space, model, script


def random_tables(space: Space, count: int) -> np.ndarray:
    draws = np.random.default_rng(1).integers(0, space.values, (count, space.entries))
    return (draws + space.lowest).astype(np.int8)


def answered(model: DualVAE, tables: np.ndarray, vae: Literal["A", "B"]) -> tuple[torch.Tensor, torch.Tensor]:
    """Posterior means and what they are decoded to, of one VAE."""
    with torch.no_grad():
        posteriors = model.encode(torch.from_numpy(tables))
        means = posteriors.mu_a if vae == "A" else posteriors.mu_b
        return means, logits_to_tables(model.decode(means, vae))


def test_codes_and_answers_are_the_model_s(explorer: tuple[Space, DualVAE, Callable[..., Any]]) -> None:
    space, model, script = explorer
    tables = random_tables(space, 60)
    for side, vae in SIDES:
        means, answers = answered(model, tables, vae)
        codes = script(f"(all) => all.map((values) => [...codeOf(networks.{side}, values)])", tables.tolist())
        np.testing.assert_allclose(codes, means.numpy(), atol=1e-3, rtol=1e-3)
        assert means.std(dim=0).min() > 0.1
        said = script(f"(all) => all.map((code) => answerTo(networks.{side}, code))", means.tolist())
        assert (np.array(said) == answers.numpy()).mean() > 0.999
        assert len({tuple(one) for one in said}) > 15
    largest = max(parameter.numel() for parameter in model.encoder_A.parameters())
    assert largest < numbers_of(model) < sum(parameter.numel() for parameter in model.parameters())


def test_neighbours_are_all_gates_one_entry_apart(explorer: tuple[Space, DualVAE, Callable[..., Any]]) -> None:
    space, model, script = explorer
    table = random_tables(space, 1)
    others = np.repeat(table, space.entries * (space.values - 1), axis=0)
    for row, (entry, step) in enumerate((e, s) for e in range(space.entries) for s in range(1, space.values)):
        others[row, entry] = (others[row, entry] - space.lowest + step) % space.values + space.lowest
    for side, vae in SIDES:
        near = script(f"(values) => neighboursOf(networks.{side}, values)", table[0].tolist())
        assert sorted(one["values"] for one in near) == sorted(others.tolist())
        found = np.array([one["values"] for one in near], dtype=np.int8)
        assert all(found[at, one["entry"]] != table[0, one["entry"]] for at, one in enumerate(near))
        means, answers = answered(model, found, vae)
        distances = (means - answered(model, table, vae)[0]).norm(dim=1).numpy()
        np.testing.assert_allclose([one["distance"] for one in near], distances, atol=1e-3, rtol=1e-3)
        assert (np.diff([one["distance"] for one in near]) >= 0).all()
        wrong = (answers.numpy() != found).sum(axis=1)
        assert (np.array([one["wrong"] for one in near]) == wrong).mean() > 0.95
        assert wrong.max() > 0


def test_a_line_meets_what_lies_between_two_codes(explorer: tuple[Space, DualVAE, Callable[..., Any]]) -> None:
    space, model, script = explorer
    tables = random_tables(space, 2)
    for side, vae in SIDES:
        stops = script(f"([from, to]) => lineBetween(networks.{side}, from, to)", tables.tolist())
        start, end = answered(model, tables, vae)[0]
        shares = torch.linspace(0, 1, 11)
        np.testing.assert_allclose([one["share"] for one in stops], shares, atol=1e-6)
        with torch.no_grad():
            expected = logits_to_tables(model.decode(start + shares[:, None] * (end - start), vae)).numpy()
        assert (np.array([one["values"] for one in stops]) == expected).mean() > 0.99
        assert (expected[0] != expected[-1]).any()


def test_tables_indices_and_names(explorer: tuple[Space, DualVAE, Callable[..., Any]]) -> None:
    space, _, script = explorer
    ends = [0, space.operations - 1, space.operations // 2]
    gates = [Gate(space, index) for index in (*ends, *map(int, space.index(random_tables(space, 30))))]
    tables = [gate.table.tolist() for gate in gates]
    assert script("(all) => all.map(textOf)", tables) == [gate.text for gate in gates]
    assert script("(all) => all.map((one) => `${wideIndex(one)}`)", tables) == [str(gate.index) for gate in gates]
    assert script("(all) => all.map((one) => table(BigInt(one)))", [str(gate.index) for gate in gates]) == tables
    if space.values == 3:
        assert script("(all) => all.map(heptavintimalOf)", tables) == [gate.heptavintimal for gate in gates]
    every = script("() => Array.from({ length: space.entries }, (_, entry) => argumentsAt(entry))")
    assert every == space.arguments().tolist()
    named = script("() => data.names")
    assert named == {str(Gate(space, int(index)).index): Gate(space, int(index)).names for index in named}
    assert len(named) == {Space(3, 3): 6, Space(2, 4): 6, Space(4, 2): 4}.get(space, 0)


_WORDS = st.one_of(
    st.text("-−0+12", min_size=26, max_size=28),
    st.text("0123a", min_size=15, max_size=17),
    st.text("01", min_size=15, max_size=17),
    st.lists(st.integers(-2, 2), min_size=24, max_size=25).map(lambda values: ",".join(map(str, values))),
    st.text("0123456789ABCDEFGHKMNPRTVXZabcdefghkmnprtvxzIJLO", min_size=8, max_size=10),
    st.integers(-1, 2**60).map(str),
    st.sampled_from(["SUM3", "median3", "Majority3", "min 3", "SUM", "xor4", "mul", "NOTHING"]),
    st.text(max_size=12),
)


@given(word=_WORDS, kind=st.sampled_from(["", "index:", "table:", "Name: ", "heptavintimal:", "other:"]))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@example(word="0" * 27, kind="")
@example(word="0" * 16, kind="")
@example(word=",".join("0" * 27), kind="")
@example(word=",".join(["-2", "+1", "0", "2", "-1"] * 5), kind="")
@example(word="01234" * 5, kind="")
@example(word="−0+" * 9, kind="")
@example(word="7,625,597,484,986", kind="")
@example(word="7625597484987", kind="")
@example(word="4294967295", kind="")
@example(word="B7P7PBPB7", kind="")
@example(word="constructor", kind="")
def test_a_text_is_read_as_by_the_command(
    explorer: tuple[Space, DualVAE, Callable[..., Any]], word: str, kind: str
) -> None:
    space, _, script = explorer
    readings = [one["values"] for one in script("(text) => readGate(text).readings", kind + word)]
    refusal, expected = "", []
    try:
        expected = [find_gate(kind + word, space.values, space.inputs)[0].table.tolist()]
    except UserError as error:
        refusal = str(error)
    if " could be " in refusal:  # each of what it could be is named with its table
        assert len(readings) > 1, kind + word
        assert all(Gate(space, int(space.index(each))).text in refusal for each in readings), refusal
    else:
        assert readings == expected, kind + word


@pytest.fixture(scope="module")
def large_run(make_run: Callable[..., RunDirectory]) -> RunDirectory:
    recipe = load_recipe("three_inputs", overrides=SMALL)
    run = make_run(recipe, epochs=3, milestones=(3,))
    torch.manual_seed(5)
    model = spread(DualVAE.of(recipe))
    assert model.sizes == Sizes(Space(3, 3), 14, 0.4, decoder_a_width=2.0)
    saved = Checkpoint(3, 3, recipe, model.state_dict(), state={}, code_version="test")
    save_checkpoint(run.checkpoint("latest"), saved)
    return run


@pytest.fixture(scope="module")
def large_page(large_run: RunDirectory) -> Path:
    return write_page(large_run, large_run.reports / "index.html")


def model_of(run: RunDirectory) -> DualVAE:
    return pages.latest_model(run)[0]


def card(page: Any) -> dict[str, Any]:
    return page.evaluate(
        """() => ({
          title: document.querySelector("#explore-gate h3").textContent,
          facts: [...document.querySelectorAll("#explore-gate dd")].map((one) => one.textContent),
          tables: [...document.querySelectorAll("#explore-gate table")].map((table) => ({
            text: [...table.querySelectorAll("td")].map((one) => one.textContent).join("").replaceAll("−", "-"),
            wrong: table.querySelectorAll(".wrong").length,
          })),
          walked: [...document.querySelectorAll("#explore-walk button")].map((one) => one.textContent),
        })"""
    )


def test_a_large_space_is_explored(open_page: Callable[..., Any], large_page: Path, large_run: RunDirectory) -> None:
    page = open_page(large_page)
    assert page.locator("#map").count() == 0
    assert page.locator("nav a[href='#explore']").count() == 1
    assert "7,625,597,484,987" in page.locator("#explore h2").inner_text()
    model = model_of(large_run)

    def find(text: str, box: str = "#explore-find") -> None:
        page.fill(box, text)
        page.press(box, "Enter")

    # A gate by name, by index and by truth table, with both VAEs' answers and what is wrong with them.
    maximum = find_gate("MAX3", 3, 3)[0]
    for text in ("max3", f"{maximum.index:,}", maximum.text):
        find("SUM3")
        assert card(page)["title"] == "SUM3"
        find(text)
        shown = card(page)
        assert shown["title"] == "MAX3"
        assert shown["facts"] == [f"{maximum.index:,}", maximum.heptavintimal, maximum.text]
        answers = [answered(model, maximum.table[None], vae)[1][0].numpy() for _, vae in SIDES]
        for table, values in zip(shown["tables"], [maximum.table, *answers]):
            assert table["text"] == "".join("-0+"[value + 1] for value in values)
            assert table["wrong"] == (values != maximum.table).sum()
        wrong = [int((values != maximum.table).sum()) for values in answers]
        captions = page.locator("#explore-gate figcaption").all_inner_texts()[1:]
        for caption, vae, count in zip(captions, "AB", wrong, strict=True):
            assert re.fullmatch(rf"VAE-{vae}: " + (rf"{count} wrong entr(y|ies)" if count else "exact"), caption)
        assert page.locator("#explore-status").inner_text() == f"MAX3: wrong entries A {wrong[0]}, B {wrong[1]}"
        assert shown["walked"] == ["MAX3"]
        assert not page.locator("#explore-walk").is_visible()

    # Bad input is said in one line, and nothing is lost.
    find("no such gate")
    trouble = page.locator("#explore-status").inner_text()
    assert trouble.startswith("There is no gate “no such gate” here. Give an index from 0 to 7,625,597,484,986, ")
    assert card(page)["title"] == "MAX3"
    assert page.locator("#explore-status.trouble").count() == 1
    find("7625597484987")
    assert "There is no gate “7625597484987”" in page.locator("#explore-status").inner_text()

    # A walk from neighbour to neighbour, and back.
    rows = page.locator("#explore-neighbours tbody tr")
    assert rows.count() == 54
    nearest = rows.first.locator("button")
    text = nearest.inner_text()
    near = find_gate(f"heptavintimal:{text}", 3, 3)[0]
    assert (near.table != maximum.table).sum() == 1
    means = answered(model, np.stack([maximum.table, near.table]), "A")[0]
    assert float(rows.first.locator("td").nth(3).inner_text()) == pytest.approx(
        float((means[0] - means[1]).norm()), abs=2e-3
    )
    for vae in "BA":
        page.select_option("#explore-vae", vae.lower())
        cells = rows.evaluate_all("(all) => all.map((row) => [...row.children].map((one) => one.textContent))")
        gates = [find_gate(f"heptavintimal:{row[2]}", 3, 3)[0].table for row in cells]
        wrong = (answered(model, np.stack(gates), vae)[1].numpy() != np.stack(gates)).sum(axis=1)
        texts = [f"{count} wrong {'entry' if count == 1 else 'entries'}" if count else "exactly" for count in wrong]
        assert np.mean([row[-1] == text for row, text in zip(cells, texts)]) > 0.95  # two may be as likely
        for (inputs, change, *_), gate in zip(cells, gates):
            [entry] = (gate != maximum.table).nonzero()[0]
            assert inputs == " ".join("−0+"[value + 1] for value in Space(3, 3).arguments()[entry])
            assert change == " → ".join("−0+"[value[entry] + 1] for value in (maximum.table, gate))
        exact = sum(row[-1] == "exactly" for row in cells)
        assert page.locator("#explore-near").inner_text() == (
            "54 gates differ from MAX3 in one entry. Their codes lie "
            f"{cells[0][3]} to {cells[-1][3]} from its own, and VAE-{vae} decodes {exact} of them exactly."
        )
    nearest.press("Enter")
    shown = card(page)
    assert page.evaluate("document.activeElement.textContent") == shown["title"], "the row that had the focus is gone"
    assert shown["facts"][1:] == [near.heptavintimal, near.text]
    assert shown["walked"] == ["MAX3", shown["title"]]
    page.locator("#explore-walk button").first.click()
    assert (card(page)["title"], card(page)["walked"]) == ("MAX3", ["MAX3"])

    page.evaluate("Math.random = () => 0.99")
    page.click("#explore-random")
    assert card(page)["facts"][2] == "+" * 27
    find("MAX3")

    # A line between two gates, decoded by either VAE.
    find("MUX3", "#explore-from")
    page.click("#explore-to-shown")
    assert page.input_value("#explore-to") == "MAX3"
    table = np.stack([find_gate("MUX3", 3, 3)[0].table, maximum.table])
    lines = {}
    for side, vae in SIDES:
        page.select_option("#explore-vae", side)
        lines[side] = page.locator("#explore-line tbody tr button").evaluate_all("(all) => all.map((one) => one.title)")
        ends = answered(model, table, vae)[1].numpy()
        expected = ["".join("-0+"[value + 1] for value in one) for one in ends]
        assert [lines[side][0], lines[side][-1]] == expected
        assert len(lines[side]) == 11
        apart, met = (table[0] != table[1]).sum(), len(set(lines[side]))
        assert page.locator("#explore-between").inner_text() == (
            f"MUX3 and MAX3 differ in {apart} entries. Of 11 places on the line between their codes "
            f"VAE-{vae} decodes {met} different gates."
        )
        for at, (row, title) in enumerate(zip(page.locator("#explore-line tbody tr").all(), lines[side])):
            gate = np.array(["-0+".index(value) - 1 for value in title])
            way, _, first, last = row.locator("td").all_inner_texts()
            assert (way, first, last) == (f"{10 * at}%", *(str((gate != one).sum()) for one in table))
    assert lines["a"] != lines["b"]
    find("?" * 27, "#explore-to")
    assert "A truth table with ? is more than one gate" in page.locator("#explore-line-status").inner_text()


def test_a_phone_explores_without_sideways_scrolling(open_page: Callable[..., Any], large_page: Path) -> None:
    page = open_page(large_page, **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_networks_too_large_for_a_page_are_not_in_it(
    large_run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MOST_NUMBERS", 1000)
    text = write_page(large_run, tmp_path / "page.html").read_text(encoding="utf-8")
    assert f"Nothing to explore: the networks are {numbers_of(model_of(large_run)):,} numbers" in text
    assert '"networks":null' in text
    large_run.checkpoint("latest").rename(tmp_path / "latest.safetensors")
    try:
        text = write_page(large_run, tmp_path / "page.html").read_text(encoding="utf-8")
    finally:
        (tmp_path / "latest.safetensors").rename(large_run.checkpoint("latest"))
    assert "Nothing to explore: the run has no checkpoint." in text


@pytest.mark.parametrize(("values", "inputs"), [(2, 3), (3, 1)])
def test_a_small_space_has_a_map_of_all(
    open_page: Callable[..., Any], make_run: Callable[..., RunDirectory], values: int, inputs: int
) -> None:
    space = Space(values, inputs)
    overrides = {"space.values": values, "space.inputs": inputs, "data.train_share": 1.0, "data.validation_share": 0.0}
    run = make_run(load_recipe(overrides=overrides), epochs=3, milestones=(3,), checkpoint=True)
    with noise_draws(4):
        page = open_page(write_page(run, run.reports / "index.html"))
    assert page.locator("#explore").count() == 0
    shown = """() => {
      const trace = document.getElementById("map-plot").data.find((one) => one.meta === "operations");
      return {all: [...trace.customdata].sort((one, other) => one - other), text: trace.text, at: trace.customdata,
              colours: trace.marker.color};
    }"""
    drawn = page.evaluate(shown)
    assert drawn["all"] == list(range(space.operations))
    last = space.operations - 1
    words = drawn["text"][drawn["at"].index(last)].split("<br>")
    if values == 2:
        assert words[:6] == [
            "operation 255", "  a b╲c  0  1", *(f"  {a} {b}    1  1" for a in (0, 1) for b in (0, 1))
        ]  # fmt: skip
    else:
        assert words[:4] == ["<b>CONST_HIGH</b>", "operation 26", "  a  −  0  +", "     +  +  +"]
    page.fill("#find", str(last))
    page.press("#find", "Enter")
    page.wait_for_function(f"document.querySelector('#operation dd').textContent === '{last}'")
    cells = page.locator("#operation .truth td").all_text_contents()
    assert cells == ["1" if values == 2 else "+"] * space.entries
    page.select_option("#map-colour", "balance")
    page.wait_for_function(READY)
    sums = {int(total) for total in space.table(np.arange(space.operations)).astype(int).sum(axis=1)}
    assert set(page.evaluate(shown)["colours"]) == sums
    said = page.locator("#map-caption").inner_text()
    assert said.startswith(
        "Sum of the eight answers: 0 answers false" if values == 2 else "Sum of the three answers: −3 answers false"
    )
    page.fill("#find", str(last + 1))
    page.press("#find", "Enter")
    page.wait_for_function(f"document.getElementById('map-status').textContent.includes('an index from 0 to {last}')")
