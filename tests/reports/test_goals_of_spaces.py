"""What every seed of another space must reach, and which seed is the worst."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ternary_vae.model import DualVAE, logits_to_tables
from ternary_vae.recipe import load_recipe
from ternary_vae.reports import spaces
from ternary_vae.reports.measurements import measurements_of_run
from ternary_vae.reports.spaces import SeedOfSpace, goals_of_space, judged_gates, skewed_matches, write_spaces
from ternary_vae.resolution.records import Uniformity
from ternary_vae.space import Space


def even(share: float | None) -> Uniformity:
    return Uniformity(
        draws=1000, coincident_pairs=100, expected_pairs=90, effective_share=share, low=0.7, high=share and 0.97,
        information_bits=1, largest_entry_deviation=0, largest_pair_deviation=0, margin=0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def rows_of(good_run):
    measured = measurements_of_run(good_run)

    def rows(recipe, *seeds):
        """Rows of the table by their first words; a seed is a pair of effective shares, and what gates it misses."""
        run = replace(measured, recipe=load_recipe(recipe))
        reached = [
            SeedOfSpace(replace(run, seed=seed), (even(a), even(b)), 1, 10.0, missed, {})
            for seed, (a, b, missed) in enumerate(seeds)
        ]
        return {row[0].split(",")[0]: row[1:] for row in (goal.row(reached) for goal in goals_of_space(run))}

    return rows


def test_the_less_even_vae_of_the_least_even_seed_counts(rows_of):
    rows = rows_of("four_valued", (0.95, 0.91, []), (0.8996, 0.98, ["MIN"]), (0.93, 0.9, []))
    # With as many decimals as show on which side of the bound it lies.
    assert rows["Effective share"] == ("≥ 0.90", "**0.8996 [0.70, 0.97]** ✗ (seed 1)", "2 of 3")
    assert rows["Named gates"] == ("all", "**missed: MIN** ✗ (seed 1)", "2 of 3")
    assert rows["Exact match of VAE-A"][2] == "3 of 3"


def test_without_a_pair_that_coincides_evenness_is_missed(rows_of):
    rows = rows_of("three_inputs", (None, 0.95, []))
    assert rows["Effective share"] == ("≥ 0.75", "**— [0.70, —]** ✗ (seed 0)", "0 of 1")


@pytest.mark.parametrize(
    ("recipe", "expected"), [("two_valued_four_inputs", "≤ 0.3 points"), ("two_valued_five_inputs", None)]
)
def test_coverage_counts_where_operations_are_listed(rows_of, good_run, recipe, expected):
    rows = rows_of(recipe, (0.99, 0.99, []))
    last = measurements_of_run(good_run).metrics[-1]
    figure = f"**+{100 * (last['coverage_limit'] - last['coverage']):.2f} points** ✗ (seed 0)"
    assert rows.get("Coverage of both VAEs") == (expected and (expected, figure, "0 of 1"))
    assert "Effective share" not in rows
    assert not any(name.startswith("Training") for name in rows)  # without a run to hold it against


def test_as_many_draws_as_tell_a_share_within_bounds():
    fewest, draws, most = (spaces.usual_draws(Space(*each)) for each in ((3, 2), (4, 2), (3, 3)))
    assert (fewest, most) == (1_000_000, 80_000_000)
    assert draws * (draws - 1) / 2 / 4**16 == pytest.approx(3_200, rel=1e-6)


@pytest.mark.parametrize(("recipe", "told"), [("three_inputs", True), ("five_valued", False)])
def test_a_share_is_told_where_draws_can_tell_it(good_run, recipe, told, tmp_path):
    run = replace(measurements_of_run(good_run), recipe=load_recipe(recipe))
    seed = SeedOfSpace(run, (even(0.8), even(0.9)), 1, 10.0, [], {})
    lines = write_spaces([seed], tmp_path / "README.md").read_text().splitlines()
    head = next(n for n, line in enumerate(lines) if line.startswith("| Seed | VAE |"))
    rows = [line.split(" | ") for line in lines[head : head + 4]]
    assert ("Effective share" in rows[0]) == ("0.800" in rows[2]) == ("0.900" in rows[3]) == told
    assert {len(row) for row in rows} == {7 if told else 6}
    assert any("no two draws agree" in line for line in lines) != told


def test_seeds_that_miss_something_are_told(good_run, tmp_path):
    run = replace(measurements_of_run(good_run), recipe=load_recipe("four_valued"))
    whole = SeedOfSpace(run, (even(0.8), even(0.9)), 12, 10.0, [], {})
    other = replace(whole, run=replace(run, seed=43), first_exact=None, missed=["MIN", "MAX"])
    text = write_spaces([other, whole], tmp_path / "README.md").read_text()
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith(("| 42 | 100%", "| 43 | 100%"))]
    assert [row[-2] for row in rows] == ["12", "—"]
    assert "not reconstructed by VAE-A, VAE-B and every ensemble in every seed: MAX, MIN.\n" in text
    assert "Time is judged beside a run of the default recipe on the same machine.\n" in text
    assert "): reconstructed by VAE-A, VAE-B" in write_spaces([whole], tmp_path / "README.md").read_text()


def test_constants_are_judged_where_a_sample_has_none():
    gates = judged_gates(Space(3, 3))
    assert gates["constant 0"].table.tolist() == [0] * 27
    assert {"constant −1", "constant 1", "MEDIAN3", "MAJORITY3"} < set(gates)
    assert list(judged_gates(Space(5, 2))) == [f"constant {value}" for value in ("−2", "−1", "0", "1", "2")]
    assert not any(name.startswith("constant") for name in judged_gates(Space(3, 2)))


def test_exact_match_of_skewed_operations_is_what_models_answer(monkeypatch):
    """A trained model whose decoders were shaken is exact on some; each answer is asked for anew."""
    monkeypatch.setattr(spaces, "SKEWED", 400)
    asked = []
    draw = spaces.skewed_operations
    monkeypatch.setattr(spaces, "skewed_operations", lambda *given: asked.append(draw(*given)) or asked[-1])
    model = DualVAE.from_pretrained("three_inputs").eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    for decoder, shake in ((model.decoder_A, 0.15), (model.decoder_B, 0.3)):
        for weight in decoder.parameters():
            weight += shake * weight.std() * torch.randn(weight.shape, generator=generator)
    found = skewed_matches(model)
    assert list(found) == list(spaces.EXACT)
    tables = asked[0]
    posteriors = model.encode(tables)
    coupled = [logits_to_tables(logits) for logits in model.decode_coupled(posteriors.mu_a, posteriors.mu_b)]
    answers = [model.reconstruct(tables, None, vae) for vae in ("A", "B")] + [model.reconstruct(tables), *coupled]
    shares = [float((answer == tables).all(dim=1).double().mean()) for answer in answers]
    assert [match.exact_match_rate for match in found.values()] == shares
    assert 0 < min(shares) < max(shares) < 1  # so that one is not taken for another
    assert len(set(shares)) == 5
    for match, share in zip(found.values(), shares):
        assert match.sampled.operations == 400
        assert match.sampled.low < share < match.sampled.high
