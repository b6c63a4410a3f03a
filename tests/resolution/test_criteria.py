"""The criteria at, just below and above each of their thresholds."""

from __future__ import annotations

import math
from typing import Any

import pytest

from ternary_vae.errors import UserError
from ternary_vae.recipe import TruthTables
from ternary_vae.resolution.criteria import LEVELS, Verdict, judge
from ternary_vae.resolution.figures import CRITERIA, EXACT, criteria_of
from ternary_vae.resolution.records import CoupledRecord, IsolatedRecord

Records = tuple[IsolatedRecord, CoupledRecord]


def verdict_of(
    records: Records,
    *,
    vae_a: float = 1.0,
    vae_b: float = 1.0,
    ensemble: float = 1.0,
    coverage: float = 0.99,
    complementarity: float | None = 0.9,
    metrics: list[dict[str, Any]] | None = None,
) -> Verdict:
    """The verdict on records with these figures, after 20 perfect epochs unless told otherwise."""
    isolated, coupled = (record.model_dump() for record in records)
    isolated["vae_a"]["reconstruction"]["exact_match_rate"] = vae_a
    isolated["vae_b"]["reconstruction"]["exact_match_rate"] = vae_b
    isolated["header"]["epoch"] = coupled["header"]["epoch"] = 400
    coupled["ensemble_reconstruction"]["best_of_two"]["exact_match_rate"] = ensemble
    coupled["cross_injected_sampling_rho_07"]["coverage_rate"] = coverage
    coupled["complementary_coverage"]["complementarity_score"] = complementarity
    rows = epochs(20) if metrics is None else metrics
    return judge(IsolatedRecord.model_validate(isolated), CoupledRecord.model_validate(coupled), rows)


def epochs(perfect: int, other: int = 5) -> list[dict[str, Any]]:
    good = {"exact_match_a": 1.0, "exact_match_b": 1.0, "covered_all_a": True, "covered_all_b": True}
    bad = {"exact_match_a": 1.0, "exact_match_b": 0.99999, "covered_all_a": True, "covered_all_b": False}
    rows = [good] * perfect + [bad] * other
    return [{"epoch": number, "guard_events": number // 10, **row} for number, row in enumerate(rows, start=1)]


def test_everything_met(records: Records) -> None:
    verdict = verdict_of(records)
    assert verdict.level == "stretch"
    assert verdict.own_met
    assert all(level.met for level in verdict.levels.values())
    assert verdict.sustained_reconstruction_epochs == verdict.full_coverage_epochs == 20
    assert verdict.guard_events == 2
    assert (verdict.recipe, verdict.seed, verdict.epoch) == ("resolution", 42, 400)


@pytest.mark.parametrize(
    ("level", "figure", "threshold"),
    [
        ("minimum", "ensemble", 0.999),
        ("minimum", "vae_a", 0.80),
        ("minimum", "coverage", 0.88),
        ("minimum", "complementarity", 0.40),
        ("target", "ensemble", 1.0),
        ("target", "vae_a", 0.90),
        ("target", "coverage", 0.90),
        ("target", "complementarity", 0.60),
        ("stretch", "vae_a", 0.95),
        ("stretch", "coverage", 0.92),
        ("stretch", "complementarity", 0.70),
        ("own", "vae_a", 1.0),
        ("own", "vae_b", 1.0),
        ("own", "ensemble", 1.0),
        ("own", "coverage", 0.985),
    ],
)
def test_each_threshold_is_exact(records: Records, level: str, figure: str, threshold: float) -> None:
    def met(value: float) -> bool:
        verdict = verdict_of(records, **{figure: value})
        return verdict.own_met if level == "own" else verdict.levels[level].met  # type: ignore[index]

    assert met(threshold)
    assert not met(math.nextafter(threshold, 0))


@pytest.mark.parametrize(("perfect", "met"), [(20, True), (19, False)])
def test_sustained_epochs_count_both_vaes_perfect_at_once(records: Records, perfect: int, met: bool) -> None:
    verdict = verdict_of(records, metrics=epochs(perfect, other=300))
    assert verdict.sustained_reconstruction_epochs == verdict.full_coverage_epochs == perfect
    assert verdict.levels["stretch"].met is met
    assert verdict.level == ("stretch" if met else "target")


def test_epochs_after_the_measured_one_do_not_count(records: Records) -> None:
    rows = [{**row, "epoch": row["epoch"] + 390} for row in epochs(20)]
    assert verdict_of(records, metrics=rows).sustained_reconstruction_epochs == 10


def test_levels_build_on_each_other(records: Records) -> None:
    assert verdict_of(records, ensemble=0.9995).level == "minimum"
    below = verdict_of(records, ensemble=0.99)
    assert below.levels["stretch"].met  # the plan asks nothing of the ensemble there
    assert below.level == "none"


def test_without_metrics_what_needs_them_is_missed_and_said_to_be_unmeasured(records: Records) -> None:
    verdict = verdict_of(records, metrics=[])
    assert verdict.level == "target"
    assert verdict.sustained_reconstruction_epochs is verdict.full_coverage_epochs is verdict.guard_events is None
    row = next(row for row in verdict.lines if "Epochs" in row.name)
    assert (row.level, row.required, row.shown, row.met) == ("stretch", "≥ 20", "not measured", False)


def test_a_figure_is_not_rounded_up_to_what_it_misses(records: Records) -> None:
    rows = verdict_of(records, ensemble=0.99999, complementarity=0.6999, coverage=0.29).lines
    shown = {(row.level, row.name.split(" (")[0]): (row.required, row.shown, row.met) for row in rows}
    assert shown["target", "Exact match of the ensemble"] == ("100%", "99.99%", False)
    assert shown["stretch", "Complementarity"] == ("≥ 0.70", "0.6999", False)
    assert shown["minimum", "Coverage, mixed, ρ = 0.7"] == ("≥ 88%", "29.00%", False)
    assert shown["own", "Coverage, mixed, ρ = 0.7"] == ("≥ 98.5%", "29.00%", False)
    assert len(rows) == 4 + 4 + 4 + 4


def test_complementarity_of_no_homes_is_missed_and_not_called_unmeasured(records: Records) -> None:
    verdict = verdict_of(records, complementarity=None)
    lines = [line for line in verdict.lines if line.key == "complementarity_score"]
    assert {(line.measured, line.shown, line.state) for line in lines} == {
        (None, "no operation is at home in either VAE", "missed")
    }
    assert (verdict.level, len(lines)) == ("none", 3)


def test_a_verdict_is_lossless_json(records: Records) -> None:
    verdict = verdict_of(records)
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


def test_of_another_space_all_but_coverage_is_demanded_and_coupled_decoding_too() -> None:
    other = criteria_of(TruthTables(values=2, inputs=3))
    for level in LEVELS:
        plans = dict(CRITERIA[level])
        del plans["coverage_rho_07"]
        assert other[level] == plans
    assert other["own"] == dict.fromkeys(EXACT, 1.0)


def test_records_of_different_checkpoints_are_not_judged_together(records: Records) -> None:
    isolated, coupled = records
    header = coupled.header.model_copy(update={"checkpoint_hash": "another"})
    with pytest.raises(UserError, match="different checkpoints"):
        judge(isolated, coupled.model_copy(update={"header": header}))
