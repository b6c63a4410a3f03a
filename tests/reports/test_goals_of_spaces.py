"""What every seed of another space must reach, and which seed is the worst."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ternary_vae.recipe import load_recipe
from ternary_vae.reports.measurements import measurements_of_run
from ternary_vae.reports.spaces import SeedOfSpace, goals_of_space
from ternary_vae.resolution.records import Uniformity


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
            SeedOfSpace(replace(run, seed=seed), (even(a), even(b)), 1, 10.0, missed)
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
def test_coverage_counts_where_operations_are_listed(rows_of, recipe, expected):
    rows = rows_of(recipe, (0.99, 0.99, []))
    assert rows.get("Coverage of both VAEs", [None])[0] == expected
    assert "Effective share" not in rows
    assert not any(name.startswith("Training") for name in rows)  # without a run to hold it against
