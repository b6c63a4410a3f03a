"""The atlas's script, held against the package's own answers."""

from __future__ import annotations

import base64
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ternary_vae.atlas.data import SPACE
from ternary_vae.errors import UserError
from ternary_vae.gates import classes, find_gate, find_gates, known_properties, parse_table, properties_of
from ternary_vae.gates.equivalence import EQUIVALENCES
from ternary_vae.gates.names import Gate, names_of_gates
from ternary_vae.model import DualVAE, logits_to_tables
from ternary_vae.operations import TWO_INPUT_TERNARY, all_operations, operation_index
from ternary_vae.reports.latent_map import LatentMap
from ternary_vae.reports.networks import decoder_program

SIDES = [("a", "A"), ("b", "B")]
SOME = [0, 1, 27, 881, 5_681, 9_841, 15_633, 19_682]


def test_a_decoder_s_steps_are_its_answer(model: DualVAE) -> None:
    """An interpreter of the steps, in numpy."""

    def floats(text: str) -> np.ndarray:
        return np.frombuffer(base64.b64decode(text), "<f4").astype(float)

    torch.manual_seed(0)
    z = torch.randn(50, model.sizes.latent_dimensions)
    for decoder in (model.decoder_A, model.decoder_B):
        vector, kept = z.numpy().astype(float), None
        for step in decoder_program(decoder):
            if step["do"] == "linear":
                vector = vector @ floats(step["weight"]).reshape(-1, step["inputs"]).T + floats(step["bias"])
            elif step["do"] == "relu":
                vector = np.maximum(vector, 0)
            elif step["do"] == "keep":
                kept = vector
            else:
                vector = vector + kept
        with torch.no_grad():
            np.testing.assert_allclose(vector, decoder(z).flatten(1).numpy(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("side", "vae"), SIDES)
def test_the_page_decodes_as_the_model_does(script: Callable[..., Any], model: DualVAE, side: str, vae: Any) -> None:
    torch.manual_seed(1)
    z = 2 * torch.randn(300, model.sizes.latent_dimensions)
    logits = np.array(script(f"(all) => all.map((z) => [...decode(vaes.{side}, z)])", z.tolist()))
    with torch.no_grad():
        expected = model.decode(z, vae)
    np.testing.assert_allclose(logits, expected.flatten(1).numpy(), atol=1e-4, rtol=1e-4)
    answers = script(f"(all) => all.map((z) => mostLikely(decode(vaes.{side}, z)))", z.tolist())
    two_best = expected.topk(2, dim=-1).values
    clear = (two_best[..., 0] - two_best[..., 1] > 1e-3).all(dim=1).numpy()
    assert clear.sum() > 250
    assert len(set(answers)) > 50
    np.testing.assert_array_equal(np.array(answers)[clear], operation_index(logits_to_tables(expected)).numpy()[clear])
    certain = np.array(script(f"(all) => all.map((z) => certainty(decode(vaes.{side}, z)))", z.tolist()))
    np.testing.assert_allclose(certain, expected.softmax(dim=-1).amax(dim=-1).numpy(), atol=1e-4)


def test_of_equal_logits_the_lowest_value_is_the_answer(script: Callable[..., Any]) -> None:
    for logits in ([0, 0, 0], [1, 1, 0], [0, 1, 1], [1, 0, 1]):
        index = script("(three) => mostLikely(Float64Array.from(Array(9).fill(three).flat()))", logits)
        expected = logits_to_tables(torch.tensor([[logits] * 9]).float())
        assert index == int(operation_index(expected)), logits


@pytest.mark.parametrize("side", ["a", "b"])
def test_means_lie_where_the_map_has_them(script: Callable[..., Any], placed: LatentMap, side: str) -> None:
    drawn = getattr(placed, side)
    means = np.array(script(f"() => Array.from(vaes.{side}.means)")).reshape(drawn.means.shape)
    reach = np.abs(drawn.means).max(axis=0)
    assert (np.abs(means - drawn.means) <= reach / 60_000).all()
    components = np.array(script(f"() => vaes.{side}.components.map((one) => [...one])")).T
    np.testing.assert_allclose(components, drawn.positions, atol=len(reach) * reach.max() / 60_000)


@pytest.mark.parametrize("side", ["a", "b"])
def test_the_nearest_gates_are_the_nearest(script: Callable[..., Any], placed: LatentMap, side: str) -> None:
    means = getattr(placed, side).means.astype(float)
    for index in SOME:
        actual = script(f"(index) => nearestInLatentSpace(vaes.{side}, index, 8)", index)
        distances = np.linalg.norm(means - means[index], axis=1)
        distances[index] = np.inf
        np.testing.assert_allclose([one["distance"] for one in actual], np.sort(distances)[:8], rtol=1e-2)
        np.testing.assert_allclose(
            distances[[one["index"] for one in actual]], [one["distance"] for one in actual], rtol=1e-2
        )


@pytest.mark.parametrize(("side", "vae"), SIDES)
def test_a_walk_meets_what_the_line_decodes_to(
    script: Callable[..., Any], model: DualVAE, placed: LatentMap, side: str, vae: Any
) -> None:
    means = torch.from_numpy(getattr(placed, side).means)
    shares = torch.linspace(0, 1, 301)
    for start, end in ((15_633, 19_569), (0, 19_682), (5_681, 5_681), (280, 7_099)):
        stops = script(f"([from, to]) => walkBetween(vaes.{side}, from, to)", [start, end])
        assert (stops[0]["start"], stops[-1]["end"]) == (0, 1)
        assert all(one["end"] == other["start"] for one, other in pairwise(stops))
        assert all(one["index"] != other["index"] for one, other in pairwise(stops))
        shares_of_ends = [[one["end"] - 1 / 400 / 1024, one["end"]] for one in stops[:-1]]
        ends = script(
            "([from, to, all]) => all.map((pair) => pair.map((share) => "
            f"mostLikely(decode(vaes.{side}, onTheWay(vaes.{side}, from, to, share)))))",
            [start, end, shares_of_ends],
        )
        assert ends == [[one["index"], other["index"]] for one, other in pairwise(stops)]  # no third between them
        line = means[start] + shares[:, None] * (means[end] - means[start])
        with torch.no_grad():
            answers = operation_index(logits_to_tables(model.decode(line, vae))).tolist()
        for share, answer in zip(shares.tolist(), answers):
            near = [one["index"] for one in stops if one["start"] - 0.005 <= share <= one["end"] + 0.005]
            assert answer in near, (start, end, share)


def test_truth_tables_names_and_indices(script: Callable[..., Any]) -> None:
    texts = script("() => Array.from({ length: COUNT }, (_, i) => [tableText(i), heptavintimal(i), indexOf(table(i))])")
    assert texts == [
        [gate.text, gate.heptavintimal, gate.index] for gate in map(lambda i: Gate(SPACE, i), range(19_683))
    ]
    named = {
        index: Gate(SPACE, index).names for index in range(TWO_INPUT_TERNARY.operations) if Gate(SPACE, index).names
    }
    assert {int(index): names for index, names in script("() => data.names").items()} == named
    assert len(named) > 20


def test_valuation_and_neighbours(script: Callable[..., Any]) -> None:
    actual = script("() => Array.from({ length: COUNT }, (_, i) => valuation(i))")
    assert actual[0] == 9
    for index in range(1, TWO_INPUT_TERNARY.operations):
        assert index % 3 ** actual[index] == 0
        assert index % 3 ** (actual[index] + 1) != 0
    tables = all_operations()
    for index in SOME:
        near = script("(index) => oneEntryApart(index)", index)
        expected = ((tables != tables[index]).sum(dim=1) == 1).nonzero().flatten().tolist()
        assert sorted(one["index"] for one in near) == expected
        assert all(tables[one["index"]][one["at"]] != tables[index][one["at"]] for one in near)
        between = script("([a, b]) => entriesBetween(table(a), table(b))", [index, 4_242])
        assert between == int((tables[index] != tables[4_242]).sum())


def test_properties_and_classes(script: Callable[..., Any]) -> None:
    listed = script("() => properties.map(({ name, description }) => [name, description])")
    assert listed == [[name, known.description] for name, known in known_properties(SPACE).items()]
    for index in SOME:
        values = script("(index) => Object.fromEntries(properties.map((one) => [one.name, one.values[index]]))", index)
        assert values == properties_of(SPACE, index)
    for at, kind in enumerate(EQUIVALENCES):
        least, sizes = script(f"() => [Array.from(classes[{at}].least), Array.from(classes[{at}].sizes)]")
        np.testing.assert_array_equal(least, classes(SPACE, kind)[0])
        np.testing.assert_array_equal(sizes, classes(SPACE, kind)[1])


@pytest.mark.parametrize(("side", "vae"), SIDES)
def test_what_dimensions_carry_and_how_far_gates_lie_apart(
    script: Callable[..., Any], model: DualVAE, placed: LatentMap, side: str, vae: Any
) -> None:
    """Shares from the means of groups of gates; distances of gates one entry apart, over all of them."""
    known = script(f"() => data.structure.{side}")
    means = getattr(placed, side).means.astype(float)
    tables, variance = all_operations().numpy(), means.var(axis=0)
    np.testing.assert_allclose(known["variances"], np.sort(variance)[::-1])
    np.testing.assert_allclose(known["variances"], variance[known["dimensions"]])
    for at in (0, means.shape[1] - 1):
        values = means[:, known["dimensions"][at]]
        for entry in range(9):
            levels = [values[tables[:, entry] == value].mean() for value in (-1, 0, 1)]
            assert known["carried"][at][entry] == pytest.approx(np.var(levels) / values.var(), abs=1e-6)
    apart = []
    for entry in range(9):
        for step in (1, 2):
            other = tables.copy()
            other[:, entry] = (other[:, entry] + 1 + step) % 3 - 1
            moved = operation_index(torch.from_numpy(other)).numpy()
            apart.append(np.linalg.norm(means - means[moved], axis=1))
    assert known["by_hamming"]["hamming"] == list(range(1, 10))
    # Of 2,000 pairs: five standard errors of their mean.
    assert known["by_hamming"]["mean"][0] == pytest.approx(np.mean(apart), abs=5 * np.std(apart) / 2_000**0.5)
    ideal = script("() => data.structure.ideal")
    assert (ideal["low"][0], ideal["high"][0]) == pytest.approx((1.0908, 2.1816), abs=1e-3)


def agrees(script: Callable[..., Any], text: str) -> None:
    """The page understands a text as `find_gate` does: one gate, several, or none."""
    readings = [one["index"] for one in script("(text) => find(text).readings", text)]
    ambiguous = ""
    expected: list[int] = []
    try:
        expected = [find_gate(text, 3, 2)[0].index]
    except UserError as error:
        ambiguous = str(error) if " could be " in str(error) else ""
    if ambiguous:
        assert len(readings) > 1, text
        assert all(Gate(SPACE, index).text in ambiguous for index in readings), text
    else:
        assert readings == expected, text


_WORDS = st.one_of(
    st.text("-−0+12", min_size=8, max_size=10),
    st.text("0123456789ABCDEFGHKMNPRTVXZabcdefghkmnprtvxzIJLO", min_size=2, max_size=4),
    st.integers(-1, 30_000).map(str),
    st.sampled_from(sorted(name for names in names_of_gates(SPACE).values() for name in names)),
    st.text(max_size=12),
)


@given(word=_WORDS, kind=st.sampled_from(["", "index:", "table:", "Name: ", "heptavintimal:", "other:"]))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@example(word="000000000", kind="")
@example(word="0,0,0,0,0,0,0,0,0", kind="")
@example(word="+1,0,-1,0,0,0,0,0,0", kind="")
@example(word="MAX", kind="")
@example(word="max", kind="")
@example(word="SUM", kind="")
@example(word="19,682", kind="")
@example(word="19_682", kind="")
@example(word="lukasiewicz implication", kind="")
@example(word="Minimum  (kleene_and)", kind="")
@example(word="--- -00 -0+", kind="")
@example(word="---/-00|-0+", kind="")
@example(word="constructor", kind="")
@example(word="111", kind="")
def test_a_text_is_understood_as_by_the_command(script: Callable[..., Any], word: str, kind: str) -> None:
    agrees(script, kind + word)


@given(text=st.text("-0+?", min_size=9, max_size=9).filter(lambda text: text.count("?") > 1))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@example(text="?--0?0-0+")
@example(text="?????????")
@example(text="?22000000")
def test_a_partial_table_is_fitted_by_the_same_gates(script: Callable[..., Any], text: str) -> None:
    actual = script(
        "(text) => { const { partial, count } = find(text); return partial ? [count, fitting(partial)] : null; }", text
    )
    try:
        _, table = parse_table(text, 3, 2)
    except UserError:
        assert actual is None
    else:
        expected = find_gates(SPACE, table=table, limit=TWO_INPUT_TERNARY.operations)
        assert actual == [expected.count, sorted(gate.index for gate in expected.gates)]
