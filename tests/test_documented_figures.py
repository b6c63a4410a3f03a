"""Figures that pages of the site give are those that the code goes by."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from safetensors import safe_open

from fault_injection.small_runs import QUICK
from few_draws import SMALL_SPACE
from ternary_vae.atlas.page import require_two_input_ternary
from ternary_vae.errors import UserError
from ternary_vae.limits import coverage_limit
from ternary_vae.recipe import load_recipe
from ternary_vae.reports.page import _is_mapped
from ternary_vae.resolution import complementarity, coupled, isolated
from ternary_vae.space import _MOST_ENTRIES, _MOST_VALUES, MOST_LISTED, MOST_MEASURED, TWO_INPUT_TERNARY, Space
from ternary_vae.storage.checkpoints import save_checkpoint
from ternary_vae.storage.lease import SECONDS_BETWEEN_TOUCHES, SECONDS_OF_SILENCE
from ternary_vae.training.epoch import Trainer

DOCS = Path(__file__).parents[1] / "docs"


def words_of(page: str) -> str:
    """A page's text without its line breaks."""
    return " ".join((DOCS / page).read_text(encoding="utf-8").split())


def rows_of(page: str, heading: str) -> dict[str, str]:
    """The rows of the first table after a heading: first cell → second."""
    text = (DOCS / page).read_text(encoding="utf-8").split(f"{heading}\n", 1)[1]
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)[0]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]
    return {first: second for first, second in rows}


def test_how_often_a_lease_is_touched() -> None:
    said = f"touches `run.lock` every {SECONDS_BETWEEN_TOUCHES:g} s, and {SECONDS_OF_SILENCE:g} s without are its end"
    assert said in words_of("how_to/resume.md")


def test_how_large_a_space_may_be() -> None:
    rows = rows_of("tutorials/another_space.md", "# Another space")
    assert rows == {
        "a gate, by its table or index": f"{_MOST_VALUES} values, {_MOST_ENTRIES:,} entries",
        "lists of gates, data frames, embeddings": f"{MOST_LISTED:,} gates",
        "training": "2⁶³ operations: five inputs of two values, three of three, two of five, one of fifteen",
        "training and measuring that go through all operations": f"{MOST_MEASURED:,} operations; of more they draw",
        "a run's page with a map of all": (
            f"{TWO_INPUT_TERNARY.operations:,} operations; of a larger space it holds the networks"
        ),
        "the atlas": "two inputs of three values alone",
    }
    for values, inputs in ((2, 5), (3, 3), (5, 2), (15, 1)):
        assert Space(values, inputs).is_indexed_in_64_bits
        assert not Space(values + 1, inputs).is_indexed_in_64_bits
        assert not Space(values, inputs + 1).is_indexed_in_64_bits
    assert _is_mapped(TWO_INPUT_TERNARY)
    assert not _is_mapped(Space(2, 4))
    require_two_input_ternary(TWO_INPUT_TERNARY)
    for other in (Space(3, 1), Space(2, 3)):
        with pytest.raises(UserError, match="the atlas draws gates of 3 values and 2 inputs"):
            require_two_input_ternary(other)


def test_the_parts_of_a_checkpoint(tmp_path: Path) -> None:
    trainer = Trainer(load_recipe(overrides=QUICK | SMALL_SPACE, epochs=1))
    trainer.train_epoch()
    save_checkpoint(tmp_path / "latest.safetensors", trainer.checkpoint())
    with safe_open(tmp_path / "latest.safetensors", "numpy") as file:
        parts = {f"`{name.partition('.')[0]}.*`" for name in file.keys()}  # noqa: SIM118
        header = file.metadata()
    assert [*header] == ["checkpoint"]
    rows = rows_of("reference/files.md", "## A checkpoint")
    assert rows.keys() == parts | {"header"}
    named = {
        "format and its version": ("format", "format_version"), "recipe": ("recipe",), "seed": ("seed",),
        "epoch": ("epoch",), "plain values of the training state": ("state",), "SHA-256 of the whole file": ("sha256",),
    }  # fmt: skip
    assert rows["header"].split(", ") == [*named]
    assert all(f'"{key}":' in header["checkpoint"] for keys in named.values() for key in keys)


def test_figures_of_the_measures_that_are_constants() -> None:
    page = words_of("explanation/measures.md")
    together, alone = coupled.COVERAGE_DRAWS, isolated.COVERAGE_DRAWS
    settings = load_recipe().evaluation
    assert settings.noise_cycle == 8
    for said in (
        f"Gaussian noise of standard deviation {complementarity.NOISE_SIGMA} is added",
        f"exact under latent noise of {complementarity.NOISE_SIGMA}",
        f"{coverage_limit(together):.2%} for N = {together:,}, {coverage_limit(alone):.2%} for {alone:,}",
        f"Each VAE alone is measured with {alone:,} draws",
        f"log₂ {TWO_INPUT_TERNARY.operations:,} = {TWO_INPUT_TERNARY.bits:.3f}",
        f"{complementarity.NOISE_DRAWS} draws an operation, and a difference that McNemar's test finds at "
        f"{complementarity.SIGNIFICANCE:.0%}",
        f"{settings.noise_draws} of one operation in eight an epoch with the default",
    ):
        assert said in page
