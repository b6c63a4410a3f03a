"""Reading what reports are made of: what belongs together, what is missing, what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic_runs import MILESTONES, synthetic_coupled, synthetic_isolated

from ternary_vae.errors import UserError
from ternary_vae.recipe import load_recipe
from ternary_vae.reports.measurements import Measurements, measurements_of_records, measurements_of_run
from ternary_vae.reports.verdict import verdict_of
from ternary_vae.resolution.records import write_record
from ternary_vae.storage.runs import RunDirectory


def copy_of(run: RunDirectory, place: Path) -> RunDirectory:
    return RunDirectory(shutil.copytree(run.path, place / "copy"))


def test_a_whole_run_is_read(good_run: RunDirectory) -> None:
    measured = measurements_of_run(good_run)
    assert measured.milestones == measured.complete_milestones == list(MILESTONES)
    assert measured.missing == {}
    assert measured.epochs == 400
    assert len(measured.metrics) == 400
    assert measured.column("terms.loss")[0] == measured.metrics[0]["terms"]["loss"]
    assert measured.column("no.such.place") == [None] * 400
    assert [tuple(span) for span in measured.phases] == [(1, 0, 40), (2, 40, 120), (3, 120, 250), (4, 250, 400)]


@pytest.mark.parametrize(("epoch", "phase"), [(1, 1), (40, 1), (41, 2), (120, 2), (250, 3), (251, 4), (900, 4)])
def test_a_milestone_belongs_to_the_phase_it_completes(good_run: RunDirectory, epoch: int, phase: int) -> None:
    assert measurements_of_run(good_run).phase_at(epoch) == phase


def test_phases_are_clipped_to_a_short_run_and_stretched_to_a_long_one(make_run: Callable[..., RunDirectory]) -> None:
    short = measurements_of_run(make_run(epochs=130, milestones=(3, 100, 120)))
    assert [tuple(span) for span in short.phases] == [(1, 0, 40), (2, 40, 120), (3, 120, 130)]
    assert short.missing == {}
    recipe = load_recipe("ternary_v5_5").model_copy(update={"epochs": 500})
    long = measurements_of_run(make_run(recipe, epochs=500))
    assert tuple(long.phases[-1]) == (4, 250, 500)


def test_missing_records_are_named(good_run: RunDirectory, tmp_path: Path) -> None:
    run = copy_of(good_run, tmp_path)
    run.coupled_record(150).unlink()
    run.isolated_record(300).unlink()
    run.coupled_record(300).unlink()
    measured = measurements_of_run(run)
    assert measured.missing == {
        150: ["coupled_resolution_150.json"],
        300: ["manifold_resolution_300.json", "coupled_resolution_300.json"],
    }
    assert 150 in measured.milestones
    assert 150 not in measured.complete_milestones
    assert 300 not in measured.milestones


def test_a_run_without_records_says_how_to_get_them(make_run: Callable[..., RunDirectory]) -> None:
    with pytest.raises(
        UserError, match=r"holds no .* records; .*ternary-vae benchmark .*latest\.safetensors --output .*/benchmarks`"
    ):
        measurements_of_run(make_run(milestones=()))


def test_a_directory_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no run"):
        measurements_of_run(RunDirectory(tmp_path))


@pytest.mark.parametrize("change", ["seed", "fingerprint"])
def test_records_of_another_run_are_refused(good_run: RunDirectory, tmp_path: Path, change: str) -> None:
    run = copy_of(good_run, tmp_path)
    recipe = run.recipe()
    stranger = recipe.model_copy(update={"seed": 7}) if change == "seed" else recipe
    fingerprint = recipe.fingerprint() if change == "seed" else "0123456789abcdef"
    write_record(run.isolated_record(200), synthetic_isolated(200, stranger, fingerprint=fingerprint))
    write_record(run.coupled_record(200), synthetic_coupled(200, stranger, fingerprint=fingerprint))
    with pytest.raises(UserError, match=r"mixed runs: the record of epoch 200"):
        measurements_of_run(run)
    with pytest.raises(UserError, match="mixed runs"):
        measurements_of_records(run.benchmarks, MILESTONES)


def test_a_record_under_a_wrong_name_is_refused(good_run: RunDirectory, tmp_path: Path) -> None:
    run = copy_of(good_run, tmp_path)
    shutil.copy(run.isolated_record(100), run.isolated_record(120))
    with pytest.raises(UserError, match=r"measured at epoch 100, its name says 120.*manifold_resolution_100"):
        measurements_of_run(run)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"schema_version": 1', '"schema_version": 9', "schema version 9"),
        ('"mean_correlation": 0.1', '"mean_correlation": NaN', "not valid JSON"),
        ('"kind": "coupled"', '"kind": "isolated"', "kind"),
        ("{", "", "not valid JSON"),
    ],
)
def test_damaged_records_are_one_clear_line(
    good_run: RunDirectory, tmp_path: Path, old: str, new: str, message: str
) -> None:
    run = copy_of(good_run, tmp_path)
    path = run.coupled_record(250)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=message) as failure:
        measurements_of_run(run)
    assert "coupled_resolution_250.json" in str(failure.value)


def test_bare_records_take_their_phases_from_the_recipe_they_name(failing_run: RunDirectory) -> None:
    measured = measurements_of_records(failing_run.benchmarks, (3, 100, 999))
    assert measured.recipe.name == "ternary_v5_5"
    assert measured.note == ""
    assert measured.epochs == 100
    assert sorted(measured.missing) == [999]
    assert measured.metrics == []


def test_bare_records_of_an_unknown_recipe_say_so(good_run: RunDirectory) -> None:
    measured = measurements_of_records(good_run.benchmarks, MILESTONES)
    assert "synthetic is not one of this program's" in measured.note
    assert measured.recipe == load_recipe()


def test_no_records_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"for epochs 3, 100; name the directory"):
        measurements_of_records(tmp_path, (3, 100))


def verdict_states(measured: Measurements) -> dict[str, list[str]]:
    return {title: [line.state for line in level.lines] for title, level in verdict_of(measured).levels.items()}


def test_the_verdict_in_words(good_run: RunDirectory, failing_run: RunDirectory) -> None:
    good, bad = measurements_of_run(good_run), measurements_of_run(failing_run)
    headline = verdict_of(good).headline
    assert headline == "Every level of the plan is met, and this project's own demands on one run are met."
    assert {state for states in verdict_states(good).values() for state in states} == {"met"}
    view = verdict_of(bad)
    expected = "The plan's minimum is missed, and this project's own demands on one run are not all met."
    assert view.headline.startswith(expected)
    assert verdict_states(bad)["Minimum acceptable"] == ["missed", "missed", "met", "missed"]
    assert view.verdict is not None
    assert view.verdict.epoch == 400
    perfect = sum(row["exact_match_a"] == 1 == row["exact_match_b"] for row in bad.metrics)
    assert f"in {perfect} of 400 epochs" in view.counts


def test_a_verdict_without_metrics_leaves_epochs_unknown(failing_run: RunDirectory) -> None:
    view = verdict_of(measurements_of_records(failing_run.benchmarks, (200,)))
    assert [line.state for line in view.levels["Stretch goals"].lines][-1] == "unknown"
    assert "Judged at epoch 200 of 400." in view.headline


def test_no_verdict_without_both_records(failing_run: RunDirectory, tmp_path: Path) -> None:
    shutil.copy(failing_run.isolated_record(200), tmp_path)
    view = verdict_of(measurements_of_records(tmp_path, (200,)))
    assert view.verdict is None
    assert view.headline.startswith("No verdict")
