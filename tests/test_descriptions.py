"""YAML means what it looks like, reads back what was written, and does no harm."""

from __future__ import annotations

import math
import os
import random
from contextlib import suppress
from typing import Annotated

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from fault_injection.odd_settings import bounds, leaves, odd_settings
from ternary_vae.descriptions import MOST_BYTES, parse_yaml, read_yaml, to_yaml
from ternary_vae.errors import MOST_CHARACTERS, UserError
from ternary_vae.experiments.description import Experiment, load_experiment, validate_experiment
from ternary_vae.recipe import Recipe, load_recipe, parse_override, validate_recipe
from ternary_vae.storage.runs import RunDirectory

READS = [
    ("010", 10),
    ("0", 0),
    ("-007", -7),
    ("+5", 5),
    ("1e5", 1e5),
    ("1e-3", 1e-3),
    ("5E+2", 500.0),
    (".5", 0.5),
    ("1.", 1.0),
    (".inf", math.inf),
    ("-.Inf", -math.inf),
    ("true", True),
    ("FALSE", False),
    ("~", None),
    ("null", None),
    ("", None),
    ("!!str 010", "010"),
    *((text, text) for text in ("0o10", "0x10", "0b11", "1_000", "1_0.5", "1:30", "190:20:30", "1:30.5")),
    *((text, text) for text in ("yes", "No", "on", "OFF", "y", "n", "tRue", "nUll", "2024-01-01", "=", "nan")),
    *((f'"{text}"', text) for text in ("1e5", "010", "true", "~", "")),
]  # fmt: skip
TEXTS = st.text() | st.sampled_from([text for text, _ in READS]) | st.from_regex(r"[-+0-9.eExobn_:]{1,8}")


@pytest.mark.parametrize(("text", "value"), READS)
def test_a_scalar_is_what_it_looks_like_wherever_it_stands(tmp_path, text, value):
    path = tmp_path / "x.yaml"
    path.write_text(f"key: {text}\nlist: [{text}]\n", encoding="utf-8")
    expected = {"key": value, "list": [value] if text else []}
    for actual in (parse_yaml(path.read_text(encoding="utf-8")), read_yaml(path, "anything")):
        assert actual == expected
        assert type(actual["key"]) is type(value)
    assert parse_override(f"name={text}") == ("name", value)


@pytest.mark.parametrize(("text", "value"), [(text, value) for text, value in READS if text])
def test_so_is_a_key(text, value):
    (actual,) = parse_yaml(f"{text}: 1")
    assert actual == value
    assert type(actual) is type(value)


def test_not_a_number_is_one():
    assert math.isnan(parse_yaml(".nan"))


@settings(max_examples=60)
@given(TEXTS)
@example("1e5")
@example("\u2028\x85 \ufeff")
def test_text_reads_back_as_it_was_written(text):
    written = to_yaml({text: [text, {"inner": text}]})
    assert parse_yaml(written) == {text: [text, {"inner": text}]}


@settings(max_examples=60)
@given(st.integers() | st.floats(allow_nan=False) | st.booleans() | st.none())
def test_other_scalars_do_too(value):
    (actual,) = parse_yaml(to_yaml((value,)))
    assert (actual, type(actual)) == (value, type(value))


def test_what_is_changed_is_not_what_is_read_next():
    first = parse_yaml("a: {x: [1, 2]}")
    first["a"]["x"].append(3)
    assert parse_yaml("a: {x: [1, 2]}") == {"a": {"x": [1, 2]}}


def test_merged_sections():
    actual = parse_yaml(
        "a: &a {x: 1, y: 1}\nb: &b {<<: *a, y: 2}\nc: {inner: [{<<: *b, z: 3}]}\n"
        "d: {x: 4, <<: [*b, *a]}\ne: {<<: [*a, *b]}\n<<f: 5\n"
        "g: {<<: {<<: *a, y: 3}}\n"
    )
    assert actual == {
        "a": {"x": 1, "y": 1},
        "b": {"x": 1, "y": 2},
        "c": {"inner": [{"x": 1, "y": 2, "z": 3}]},
        "d": {"x": 4, "y": 2},
        "e": {"x": 1, "y": 1},
        "<<f": 5,
        "g": {"x": 1, "y": 3},
    }


NAMES = st.sampled_from(["1e5", "010", "yes", "on", "NO", "y", "0x10", "1_0", "null", "7", "1.5", "2024-01-01"])


class TestRoundTrip:
    @settings(max_examples=8)
    @given(NAMES | st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,9}\Z"), TEXTS, st.integers(0, 2**32 - 1))
    def test_a_recipe(self, name, description, seed):
        recipe = load_recipe().model_copy(update={"name": name, "description": description, "seed": seed})
        content = parse_yaml(recipe.to_yaml())
        assert list(content) == list(Recipe.model_fields)  # and not by the alphabet
        assert validate_recipe(content, "written") == recipe

    def test_odd_recipes(self):
        for seed in range(5):
            recipe = load_recipe(overrides=odd_settings(random.Random(seed)))
            again = validate_recipe(parse_yaml(recipe.to_yaml()), "written")
            assert again == recipe
            assert again.fingerprint() == recipe.fingerprint()
            assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe

    @settings(max_examples=8)
    @given(NAMES, NAMES, TEXTS, st.lists(TEXTS | st.booleans() | st.integers() | st.floats(-9, 9), max_size=3))
    def test_an_experiment(self, name, arm, text, values):
        steps = {"optimizer.learning_rate.steps": {0: 1e-3, 30: values}}
        content = {
            "name": name,
            "description": text,
            "arms": {arm: {"extends": text, "set": {text: values, **steps}}},
            "seeds": "0-2",
            "grid": {text: [[*values], text]},
        }
        experiment = validate_experiment(content, "given")
        again = validate_experiment(parse_yaml(experiment.to_yaml()), "written")
        assert again == experiment
        assert again.to_yaml() == experiment.to_yaml()

    def test_a_run_directory_reads_its_recipe_with_the_same_eyes(self, tmp_path):
        recipe = load_recipe(overrides={"name": "1e5", "description": "010"})
        directory = RunDirectory(tmp_path / "run")
        directory.create(recipe, {})
        assert directory.recipe() == recipe
        directory.recipe_file.write_text(recipe.to_yaml().replace("seed: 42", "seed: 010"))
        assert directory.recipe().seed == 10
        directory.recipe_file.unlink()
        os.mkfifo(directory.recipe_file)
        with pytest.raises(UserError, match="no regular file"):
            directory.recipe()


BOMB = "a0: &a0 [lol, lol]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
MERGES = "a0: &a0 {k: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 30))
HARM = {
    "aliases": (BOMB, "with its aliases written out at line 1"),
    "merges": (MERGES, "with its aliases written out"),
    "a list in itself": ("name: &loop [*loop]\n", "with its aliases written out"),
    "a section merged into itself": ("name: &loop {<<: *loop}\n", "with its aliases written out"),
    "depth": ("name: " + "[" * 1000, "nested too deeply"),
    "deep sections": ("".join(f"{' ' * n}a:\n" for n in range(2000)), "nested too deeply"),
    "a key twice": ("name: a\nname: b\n", "key 'name' is given twice at line 2"),
    "a number twice": ("name: a\nguards: {1: 2, 01: 3}\n", "key 1 is given twice at line 2"),
    "code": ("!!python/object/apply:os.system ['true']\n", "unknown tag"),
    "bytes": ("name: !!binary aGVsbG8=\n", "unknown tag"),
    "a set": ("!!set {name, epochs}\n", "unknown tag"),
    "a wrong tag": ("name: a\nepochs: !!int 1_000\n", "'1_000' is no int at line 2"),
    "a truth value that is none": ("name: !!bool maybe\n", "is no bool"),
    "digits": (f"name: a\nseed: {'9' * 5000}\n", "too long for a number at line 2"),
    "zeros": ("name: a\0b\n", "not valid YAML"),
    "tabs": ("name: a\n\tepochs: 3\n", "not valid YAML at line 2"),
    "two documents": ("name: a\n---\nname: b\n", "not valid YAML at line 2"),
    "a long name": (f"name: a\nepochs: {'x' * 300_000}\n", "epochs: expected a number"),
    "a long key": (f"name: a\n? {'x' * 300_000}\n: 1\n", "unknown key"),
    "a merged list": ("name: a\n<<: [1]\n", "<< takes a section or a list of sections at line 2"),
    "size": ("name: a\n#" + "x" * MOST_BYTES, "bytes; at most 4,194,304 are read"),
}


@pytest.mark.parametrize("kind", HARM)
def test_harm_is_one_short_line(tmp_path, kind):
    text, says = HARM[kind]
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    for load in (load_recipe, load_experiment):
        with pytest.raises(UserError) as caught:
            load(str(path))
        message = str(caught.value)
        assert len(message) <= MOST_CHARACTERS
        if load is load_recipe:
            assert says in message


def test_what_was_given_is_quoted_in_part():
    with pytest.raises(UserError) as caught:
        load_recipe(overrides={"epochs": [["x" * 1000] * 1000] * 1000})
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_line_ends_and_marks_of_other_systems(tmp_path, encoding):
    path = tmp_path / "mine.yaml"
    path.write_bytes("extends: resolution\r\nname: mine\r\ndescription: λ\r\n".encode(encoding))
    assert load_recipe(str(path)).description == "λ"


@pytest.mark.parametrize("place", ["directory", "pipe"])
def test_what_is_no_file(tmp_path, place):
    path = tmp_path / "x.yaml"
    path.mkdir() if place == "directory" else os.mkfifo(path)
    for load in (load_recipe, load_experiment, lambda path: read_yaml(tmp_path / "x.yaml", "a recipe")):
        with pytest.raises(UserError, match=r"x\.yaml.*(is no file|is a directory|no regular file)"):
            load(str(path))


NUMBERS = [
    pytest.param(name, kind, metadata, id=f"{model.__name__}.{name}-{at}")
    for model in (Recipe, Experiment)
    for at, (name, kind, metadata) in enumerate(leaves(model))
    if kind in (int, float)
]


@pytest.mark.parametrize(("name", "kind", "metadata"), NUMBERS)
def test_every_number_has_bounds_and_is_a_number(name, kind, metadata):
    setting = TypeAdapter(Annotated[kind, *metadata])
    low, high = bounds(metadata)
    for inside in (low, high, *np.array([low, high], dtype=kind)):
        assert setting.validate_python(inside) == inside
        assert type(setting.validate_python(inside)) is kind
    texts = () if (name, kind) == ("optimizer.learning_rate.steps", int) else ("5",)  # JSON has no keys but text
    for outside in (low - 1, high + 1, high * 1e9, 10**400, math.nan, -math.inf, True, *texts, "", b"5", None, [1]):
        with pytest.raises(ValidationError):
            setting.validate_python(outside)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("seed=yes", "seed: expected a number (given: 'yes')"),
        ("seed=true", "seed: expected a number (given: True)"),
        ("seed=0x10", "seed: expected a number"),
        ('epochs="10"', "epochs: expected a number (given: '10')"),
        ("epochs=1e9", "epochs: Input should be less than or equal to 1000000 (given: 1000000000.0)"),
        ("evaluation.coverage_draws=100000000000000", "less than or equal to 10000000"),
        ("evaluation.milestones=[10, 5, 5]", "give each epoch once, from low to high"),
        ("optimizer.learning_rate.peak=1e30", "less than or equal to 1000000"),
        ("optimizer.learning_rate.peak=.inf", "finite number"),
        ("statenet.enabled=on", "statenet.enabled: expected true or false (given: 'on')"),
        ("name=1e5", "name: expected text; put it in quotes if it is (given: 100000.0)"),
        ("beta=3", "beta: expected a section, key: value (given: 3)"),
        ("guards=3", "guards: expected a section, key: value (given: 3)"),
        ("optimizer.learning_rate.steps={0: 1e-3, on: 1}", "expected a number (given: 'on')"),
    ],
)
def test_one_line_says_what_was_expected(setting, says):
    with pytest.raises(UserError) as caught:
        load_recipe(overrides=dict([parse_override(setting)]))
    assert says in str(caught.value)


def test_what_was_meant_is_taken():
    chosen = ['name="1e5"', "epochs=1e3", "seed=010", "beta.end=1", "optimizer.learning_rate.steps={1e2: 1e-3, 0: 1}"]
    recipe = load_recipe(overrides=dict(map(parse_override, chosen)))
    assert (recipe.name, recipe.epochs, recipe.seed, recipe.beta.end) == ("1e5", 1000, 10, 1.0)
    assert recipe.optimizer.learning_rate.steps == {100: 1e-3, 0: 1.0}


def test_odd_recipes_of_any_length_are_valid_or_refused_in_one_line():
    scaled = 0
    for seed in range(4):
        recipe = load_recipe(overrides=odd_settings(random.Random(seed)))
        for length in (1, 50, recipe.schedule_epochs, 1_000_000):
            with suppress(UserError):
                assert recipe.scaled_to(length).epochs == length
                scaled += 1
    assert scaled
