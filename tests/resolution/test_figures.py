"""The table of figures: what the plan expects, how a value looks beside what it misses, and measures from outside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ternary_vae.resolution import figures
from ternary_vae.resolution.figures import MEASURES, Expected, Measure, register
from ternary_vae.resolution.records import CoupledRecord, IsolatedRecord

ROOT = Path(__file__).resolve().parents[2]


def expected_text(epoch: int, key: str) -> str:
    expected = MEASURES[key].expected_at(epoch)
    assert expected is not None
    return expected.text(MEASURES[key].unit)


def test_expectations_are_the_plans_figures() -> None:
    assert expected_text(200, "exact_match_a") == "60–75%"
    assert expected_text(400, "exact_match_a") == "≥ 95%"
    assert expected_text(3, "exact_match_a") == "14.87%"
    assert expected_text(3, "coverage_rho_07") == "84.8%"
    assert expected_text(400, "complementarity_score") == "≥ 0.60"
    assert MEASURES["exact_match_a"].expected_at(201) is None
    assert MEASURES["coverage_rho_07"].expected_at(100) is None
    assert set(MEASURES["exact_match_a"].expected) == {3, 100, 120, 150, 200, 250, 300, 350, 400}


def test_expectations_scale_with_the_schedules() -> None:
    assert MEASURES["exact_match_a"].expected_at(20, schedule_epochs=40) is MEASURES["exact_match_a"].expected_at(200)
    assert [epoch for epoch, _, _ in MEASURES["exact_match_a"].expected_band(40)] == [1, 10, 12, 15, 20, 25, 30, 35, 40]
    assert all(low <= high <= 1 for _, low, high in MEASURES["exact_match_a"].expected_band())


@pytest.mark.parametrize(
    ("expected", "value", "standing"),
    [
        (Expected(0.5, 0.6, "2"), 0.4999, "below"),
        (Expected(0.5, 0.6, "2"), 0.5, "within"),
        (Expected(0.5, 0.6, "2"), 0.61, "above"),
        (Expected(0.95, None, "2"), 1.0, "within"),
        (Expected(0.8480, 0.8480, "3"), 0.84802, "within"),
        (Expected(1.0, 1.0, "2"), 19_682 / 19_683, "below"),
    ],
)
def test_where_a_measurement_stands(expected: Expected, value: float, standing: str) -> None:
    assert expected.standing(value) == standing


@given(st.floats(0, 1), st.sampled_from([0.7, 0.985, 0.992, 1.0]))
def test_a_value_beside_a_bound_is_seen_on_its_side_of_it(value: float, bound: float) -> None:
    shown = MEASURES["coverage_rho_07"].value(value, beside=Expected(bound))
    assert (float(shown.strip("<%")) >= round(100 * bound, 10)) == (value >= bound)


def test_a_difference_of_shares_is_in_points() -> None:
    assert MEASURES["ensemble_gain"].value(-0.0481) == "−4.81 points"
    assert MEASURES["coverage"].difference(0.0031) == "+0.31 points"


def test_an_interval_is_cut_where_values_are() -> None:
    assert MEASURES["coverage"].interval(-0.1, 1.2) == "0% to 100%"
    assert MEASURES["time_overhead"].interval(-0.1, 1.2) == "−10.00% to 120.00%"


def test_the_headline_coverage_is_spelled_in_four_files_at_most() -> None:
    name = "cross_injected_sampling_rho_07"
    files = [path for place in ("src", "scripts") for path in (ROOT / place).rglob("*.py")]
    spelled = [path for path in files if name in path.read_text(encoding="utf-8")]
    assert 1 <= len(spelled) <= 4, spelled


@pytest.fixture
def registered() -> Iterator[Measure]:
    measure = Measure(
        "homes_found", "Operations at home in either VAE", "number", 1, heading="At home",
        coupled=lambda record: record.complementary_coverage.home_a + record.complementary_coverage.home_b,
    )  # fmt: skip
    yield register(measure)
    del MEASURES[measure.key]


def test_a_registered_measure_is_read_and_its_key_is_taken(
    registered: Measure, records: tuple[IsolatedRecord, CoupledRecord]
) -> None:
    homes = records[1].complementary_coverage
    assert registered.of_milestone(*records) == homes.home_a + homes.home_b
    assert figures.registered() == [registered]
    with pytest.raises(ValueError, match="there already"):
        register(registered)
    with pytest.raises(ValueError, match="read nowhere"):
        register(Measure("nothing", "Nothing", "score", 0))


@pytest.mark.parametrize(
    ("places", "says"),
    [
        ({"coupled": "complementary_coverage.typo"}, "has no 'complementary_coverage.typo'; known: complement"),
        ({"coupled": "latent_couplings.mean_distance"}, "did you mean 'latent_coupling'"),
        ({"coupled": "cross_injected_sampling_rho_07.prior_preserving.coverage_rates"}, "did you mean 'coverage_rate'"),
        ({"isolated": "vae_a.information.limit_bits.low"}, "a number or a list has no parts"),
        ({"isolated": "vae_a.resolution_curve.points.sigma"}, "a number or a list has no parts"),
        ({"isolated": "vae_a.information"}, "'vae_a.information' of IsolatedRecord is no number"),
        ({"isolated": "vae_a.interpolation.valid_rate", "uniform": "limit"}, "IsolatedRecord has no 'limit'"),
    ],
)
def test_a_place_that_no_record_has_is_refused_with_the_measures_name(places: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=f"measure 'mine': .*{says}"):
        register(Measure("mine", "Mine", "share", 1, **places))
    assert "mine" not in MEASURES


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("unit", "percent", "unit: 'percent'; expected one of 'share', 'points'"),
        ("better", 2, "better: 2; expected one of -1, 0, 1"),
    ],
)
def test_a_unit_or_a_direction_that_there_is_not_is_refused_before_a_report_needs_it(
    name: str, value: Any, says: str
) -> None:
    measure = Measure("mine", "Mine", "share", 1, row="exact_match_a")
    object.__setattr__(measure, name, value)  # as its own check of types, which tests have, would not let it be made
    with pytest.raises(ValueError, match=f"measure 'mine': {says}"):
        register(measure)
    assert "mine" not in MEASURES


def test_every_place_of_the_packages_own_could_be_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    own = list(MEASURES.values())
    monkeypatch.setattr(figures, "MEASURES", {})
    for measure in own:
        register(measure)
    register(Measure("mine", "Mine", "share", 1, coupled="ensemble_reconstruction.mine.exact_match_rate"))
    assert list(figures.MEASURES)[:-1] == [measure.key for measure in own]
