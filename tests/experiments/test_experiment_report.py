"""Results, report and figures of experiments whose answer is known, because their runs are made up."""

from __future__ import annotations

import csv
import io
import shlex
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

import pytest
from PIL import Image
from synthetic_experiments import made_up

from ternary_vae.errors import UserError
from ternary_vae.experiments import report, wording
from ternary_vae.experiments.directory import ExperimentDirectory
from ternary_vae.experiments.execution import state_of
from ternary_vae.experiments.report import report_markdown, write_experiment_report
from ternary_vae.experiments.results import comparisons_csv, figures_csv, gather
from ternary_vae.experiments.statistics import Paired, Summary, paired_power
from ternary_vae.experiments.tables import (
    arms_table,
    deciding_table,
    differences_table,
    milestones_table,
    runs_table,
    seeds_table,
    verdict,
    wins_table,
)
from ternary_vae.experiments.wording import headlines, sentence
from ternary_vae.resolution.figures import MEASURES
from ternary_vae.storage.files import write_text

ARMS = {"better": {}, "same": {}, "worse": {}}


@pytest.fixture(scope="module")
def results(small, tmp_path_factory):
    """Coverage: `better` gains 3 points on the reference and `worse` loses 3, `same` neither; spread 0.2 points."""
    experiment = small(
        arms=ARMS, seeds="0-4", epochs=20, milestones=[10, 20], benchmarks=[20], primary=["coverage", "coverage_rho_07"]
    )
    gains = {"better": 0.03, "worse": -0.03}
    execution = made_up(experiment.model_copy(update={"pages": False}), tmp_path_factory.mktemp("made") / "up", gains)
    return gather(experiment, execution)


def comparison(results, arm, measure="coverage", epoch=20):
    return next(
        one
        for one in results.comparisons
        if (one.arm, one.against, one.measure.key, one.epoch) == (arm, "resolution", measure, epoch)
    )


def test_intervals_hold_the_known_differences_and_what_decides_is_certain(results):
    for arm, gain, expected in (("better", 0.03, "better"), ("same", 0.0, "not told apart"), ("worse", -0.03, "worse")):
        for measure in ("coverage", "coverage_rho_07"):
            one = comparison(results, arm, measure)
            # 99.9% of such intervals lie within five spreads of the truth: seeds are fixed, this is not a gamble.
            assert one.paired.summary.mean == pytest.approx(gain, abs=0.005)
            assert one.paired.summary.low < one.paired.summary.mean < one.paired.summary.high
            assert (one.decides, one.family) == (True, 6)
            effect = one.detectable_corrected / one.paired.summary.deviation
            assert paired_power(effect, 5, level=0.05 / 6) == pytest.approx(0.8)
            assert verdict(one) == expected
    early = comparison(results, "better", epoch=10)
    assert not early.decides
    looked_at = [one for one in results.comparisons if not one.decides and not one.aside]
    assert early.family == len([one for one in looked_at if one.paired.p is not None])


def test_the_other_arms_are_compared_with_one_another_by_what_decides(results):
    aside = [one for one in results.comparisons if one.aside]
    assert {(one.arm, one.against) for one in aside} == {("same", "better"), ("worse", "better"), ("worse", "same")}
    assert {one.epoch for one in aside} == {results.last}
    assert {one.measure.key for one in aside} == {measure.key for measure in results.primary}
    assert {one.family for one in aside} == {len([one for one in aside if one.paired.p is not None])}
    coverage = next(
        one for one in aside if (one.arm, one.against, one.measure.key) == ("worse", "better", "coverage_rho_07")
    )
    assert coverage.paired.summary.mean == pytest.approx(-0.06, abs=0.005)
    assert coverage.winner == "better"


def test_every_comparison_has_its_sentence_in_the_table(results):
    rows = list(csv.DictReader(io.StringIO(comparisons_csv(results.comparisons, sentence))))
    assert [row["sentence"] for row in rows] == [sentence(one) for one in results.comparisons]


def test_tables_are_of_the_figures(results):
    coverage, shown = MEASURES["coverage"], "{:.2f}%".format
    of_arms = {
        arm: {
            one.seed: 100 * one.value
            for one in results.figures
            if (one.arm, one.epoch, one.measure) == (arm, 20, "coverage")
        }
        for arm in ("resolution", *ARMS)
    }
    means = {arm: shown(fmean(values.values())) for arm, values in of_arms.items()}
    marked = means | {"better": f"{means['better']} ▲", "worse": f"{means['worse']} ▼"}
    assert [row[:2] for row in wins_table(results).rows] == list(marked.items())
    assert (coverage.title, *marked.values()) in arms_table(results).rows
    alone = replace(results, experiment=results.experiment.model_copy(update={"reference": None}))
    assert [row[:2] for row in wins_table(alone).rows] == list(means.items()), "better than what?"
    spreads = {arm: f"{stdev(values.values()):.2f} points" for arm, values in of_arms.items()}
    rows = milestones_table(results, coverage).rows
    assert [row[0] for row in rows] == ["10", "20"]
    assert rows[1][1:] == tuple(f"{means[arm]} ± {spreads[arm]}" for arm in of_arms)
    for row, (arm, values) in zip(seeds_table(results, [coverage]).rows, of_arms.items(), strict=True):
        ends = [f"{shown(values[seed])} (seed {seed})" for seed in sorted(values, key=values.get)[:: len(values) - 1]]
        assert (*row[:4], *row[5:]) == (coverage.title, arm, "5", means[arm], spreads[arm], *ends)
    assert seeds_table(results, [MEASURES["exact_match_b"]]).rows[0][-2:] == ("98.90% (all)", "98.90% (all)")
    assert deciding_table(results).header[-1] == "Could have seen: alone · among 6"


def test_every_run_is_told_as_it_stands(results):
    execution = replace(results.execution, complete={"better-seed0"}, failed={"same-seed0": "no space"})
    facts = {name: each for name, each in results.facts.items() if name != "worse-seed0"}
    rows = runs_table(replace(results, execution=execution, facts=facts)).rows[:4]
    assert [row[:3] for row in rows] == [
        ("resolution-seed0", "completed", "3 min 00 s"), ("better-seed0", "complete", "3 min 00 s"),
        ("same-seed0", "failed: no space", "3 min 00 s"), ("worse-seed0", "not begun", "—"),
    ]  # fmt: skip
    assert rows[0][3] == f"{100 * results.of('resolution', 20, 'coverage')[0]:.2f}%"


def test_differences_at_every_milestone(results):
    measure = next(measure for measure in results.primary if measure.key == "coverage")
    table = differences_table(results, measure)
    assert table.header == ("Epoch", "better", "same", "worse")
    assert [row[0] for row in table.rows] == list(map(str, results.milestones))
    one = comparison(results, "worse")
    assert table.rows[-1][3].startswith(measure.difference(one.paired.summary.mean, measure.digits_for(one.spread)))


def test_sentences_say_what_was_measured(results):
    assert sentence(comparison(results, "better")).startswith(
        "Coverage, both VAEs, not mixed, after 20 epochs: better covers "
    )
    assert "points more than resolution (95% interval +" in sentence(comparison(results, "better"))
    assert "worse covers" in sentence(comparison(results, "worse"))
    assert "points less than resolution (95% interval −" in sentence(comparison(results, "worse"))
    assert "no difference shown between same and resolution; differences beyond −" in sentence(
        comparison(results, "same")
    )
    assert headlines(results) == [
        "better against resolution: better in Coverage, both VAEs, not mixed and Coverage, mixed, ρ = 0.7.",
        "same and resolution: not told apart by any of 2 deciding measures.",
        "worse against resolution: worse in Coverage, both VAEs, not mixed and Coverage, mixed, ρ = 0.7.",
    ]


def test_a_headline_names_what_is_worse_different_or_open(results):
    ones = [one for one in results.comparisons if one.decides and one.arm == "better"]
    changed = replace(ones[0], measure=replace(ones[0].measure, better=0))
    assert wording._headline("better", "resolution", [changed, ones[1]]) == [
        "better against resolution: better in Coverage, mixed, ρ = 0.7; different in Coverage, both VAEs, not mixed."
    ]
    lost = replace(ones[1], paired=replace(ones[1].paired, summary=Summary(5, -0.03, 0.002, -0.033, -0.027)))
    constant = replace(ones[1], paired=Paired(Summary(5, 0.5, 0.0, None, None), 0.0625, None), p_corrected=0.375)
    assert wording._headline("better", "resolution", [lost, constant, replace(ones[0], p_corrected=0.2)]) == [
        "better against resolution: worse in Coverage, mixed, ρ = 0.7; in every seed apart by exactly as much in "
        "Coverage, mixed, ρ = 0.7; not told apart in 1 of 3."
    ]


@pytest.mark.parametrize(
    ("paired", "means", "in_table", "says"),
    [
        (
            Paired(Summary(5, 0.0031, 0.0007, 0.0022, 0.0040), 0.0001, 0.001),
            (0.9931, 0.99),
            ("+0.310 points", "+0.220 to +0.400 points", "<0.001", "better", "0.10 · 0.20 points"),
            "better covers 0.310 points more than resolution (95% interval +0.220 to +0.400 points, 5 seeds; "
            "p < 0.001 corrected for 6 comparisons).",
        ),
        (
            Paired(Summary(5, 0.02, 0.02, 0.001, 0.039), 0.04, 0.5),
            (0.95, 0.93),
            ("+2.00 points", "+0.10 to +3.90 points", "0.240", "not told apart", "50.00 points · beyond the scale"),
            "better covers 2.00 points more than resolution (95% interval +0.10 to +3.90 points, 5 seeds), which may "
            "be chance among 6 comparisons (p = 0.240 corrected for 6 comparisons).",
        ),
        (
            Paired(Summary(5, -0.02, 0.02, -0.039, -0.001), 0.04, 0.5),
            (0.93, 0.95),
            ("−2.00 points", "−3.90 to −0.10 points", "0.240", "not told apart", "50.00 points · beyond the scale"),
            "better covers 2.00 points less than resolution (95% interval −3.90 to −0.10 points, 5 seeds), which may "
            "be chance among 6 comparisons (p = 0.240 corrected for 6 comparisons).",
        ),
        (
            Paired(Summary(5, 0.0, 0.001, -0.001, 0.001), 1.0, 0.002),
            (0.95, 0.95),
            ("0.00 points", "−0.10 to +0.10 points", "1.000", "not told apart", "0.20 · 0.40 points"),
            "no difference shown between better and resolution; differences beyond −0.10 to +0.10 points are excluded "
            "(95% interval, 5 seeds), smaller ones are not.",
        ),
        (
            Paired(Summary(2, 0.1, 0.12, -1.0, 1.2), 0.5, 1.5),
            (0.5, 0.4),
            ("+10.00 points", "−100.00 to +120.00 points", "1.000", "not told apart", "beyond · beyond the scale"),
            "no difference shown between better and resolution; none is excluded (95% interval −100.00 to +120.00 "
            "points, 2 seeds, wider than the scale).",
        ),
        (
            Paired(Summary(5, 0.0, 0.0, None, None), 1.0, None),
            (1.0, 1.0),
            ("0.00 points", "—", "1.000", "equal", "—"),
            "better and resolution both reach 100% with each of 5 seeds; this measure can tell no more.",
        ),
        (
            Paired(Summary(5, 0.0, 0.0, None, None), 1.0, None),
            (0.5, 0.5),
            ("0.00 points", "—", "1.000", "equal", "—"),
            "better and resolution are equal with each of 5 seeds; without a spread there is no interval.",
        ),
        (
            Paired(Summary(5, 0.5, 0.0, None, None), 0.0625, None),
            (1.0, 0.5),
            ("+50.00 points", "—", "0.375", "always higher", "—"),
            "better covers 50.00 points more than resolution with each of 5 seeds, by exactly as much; without a "
            "spread there is no interval (p = 0.375 corrected for 6 comparisons).",
        ),
        (
            Paired(Summary(1, -0.5, None, None, None), None, None),
            (0.5, 1.0),
            ("−50.00 points", "—", "—", "not told apart", "—"),
            "better covers 50.00 points less than resolution, with the one seed 0; a single pair says nothing about "
            "other seeds.",
        ),
    ],
)
def test_every_kind_of_sentence(results, paired, means, in_table, says):
    corrected = None if paired.p is None else min(1.0, 6 * paired.p)
    reach = paired.detectable and 2 * paired.detectable
    one = replace(
        comparison(results, "better"), paired=paired, means=means, p_corrected=corrected, detectable_corrected=reach
    )
    assert sentence(one).partition("epochs: ")[2] == says
    assert deciding_table(replace(results, comparisons=[one])).rows[0][2:] == in_table


def test_tables_are_complete_and_read_back_exactly(results):
    figures = list(csv.DictReader(io.StringIO(figures_csv(results.figures))))
    assert len(figures) == len(results.figures)
    first = results.figures[0]
    assert float(figures[0]["value"]) == first.value
    compared = {key for key, measure in MEASURES.items() if measure.compared}
    of_epochs = {epoch: {each.measure for each in results.figures if each.epoch == epoch} for epoch in (10, 20)}
    assert of_epochs[20] == compared - {"half_sigma_a"}
    assert of_epochs[10] == {key for key in compared if MEASURES[key].source == "metrics"}  # it is not benchmarked
    assert {epoch: {measure.key for measure in results.measures_at(epoch)} for epoch in (10, 20)} == of_epochs
    comparisons = list(csv.DictReader(io.StringIO(comparisons_csv(results.comparisons, sentence))))
    assert len(comparisons) == len(results.comparisons)
    assert {row["epoch"] for row in comparisons if row["measure"] == "coverage_rho_07"} == {"20"}


def test_the_report_and_everything_beside_it_is_written(results, tmp_path):
    written = write_experiment_report(results, tmp_path)
    assert {path.name for path in written} == {
        "results.csv", "comparisons.csv", "report.md", "index.html", "experiment.yaml", "curves.png", "effects.png",
        "seeds.png",
    }  # fmt: skip
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "report.md").write_text("keep")
    with pytest.raises(UserError, match="is not a report of this experiment's"):
        write_experiment_report(results, tmp_path / "letters")
    assert (tmp_path / "letters" / "report.md").read_text() == "keep"
    text = report_markdown(results)
    with pytest.MonkeyPatch.context() as patch:  # the disk is full on the way; then there is room for it

        def write(path: Path, text: str) -> None:
            if path.name == "report.md":
                raise UserError("no space left on the disk")
            write_text(path, text)

        patch.setattr(report, "write_text", write)
        with pytest.raises(UserError, match="no space left"):
            write_experiment_report(results, tmp_path / "later")
    assert write_experiment_report(results, tmp_path / "later")
    for picture in ("curves.png", "effects.png", "seeds.png"):
        assert f"({picture})" in text
        assert len(Image.open(tmp_path / picture).convert("RGB").getcolors(2**24)) > 10  # more than an empty frame
    values = results.of("worse", 20, "coverage")
    worst = min(values, key=values.get)
    assert f"(seed {worst})" in next(
        line for line in text.splitlines() if line.startswith("| Coverage, both VAEs, not mixed | worse | 5")
    )
    assert 'href="runs/' not in (tmp_path / "index.html").read_text()


def test_the_command_that_repeats_it(results, monkeypatch, tmp_path):
    """The name, where it means this experiment; else the file that it was read from, or the one that was kept."""
    kept = f"ternary-vae experiment {shlex.quote(str(results.execution.directory.experiment_file))}\n"
    assert kept in report_markdown(results)
    for known, command in (
        (results.experiment, f"ternary-vae experiment {results.experiment.name}\n"),
        (results.experiment.model_copy(update={"epochs": 7}), kept),
    ):
        monkeypatch.setattr(report, "load_experiment", lambda name, known=known: (known, None))
        assert command in report_markdown(results)
    monkeypatch.chdir(tmp_path)
    results.execution.source.touch()
    assert "ternary-vae experiment experiment\n" in report_markdown(results)


def test_one_arm_has_no_comparisons_and_a_spread(small, tmp_path):
    alone = small(arms={}, reference=None, seeds="0-3", epochs=4, milestones=[4])
    results = gather(alone, made_up(alone, tmp_path / "alone", {}))
    assert results.comparisons == []
    text = report_markdown(results)
    assert "What follows" not in text
    assert "| Coverage, both VAEs, not mixed | resolution | 4 |" in text


def test_of_a_measure_without_a_better_direction_seeds_are_the_lowest_and_the_highest(small, tmp_path):
    one = {"epochs": 4, "milestones": [4]}
    for primary, header in ((["coverage"], "| Worst | Best |"), (["kl_a"], "| Worst or lowest | Best or highest |")):
        experiment = small(primary=primary, **one)
        assert header in report_markdown(gather(experiment, made_up(experiment, tmp_path / primary[0], {})))


def test_without_a_reference_each_is_compared_with_each(small, tmp_path):
    three = small(arms={"b": {}, "c": {}}, reference=None, epochs=4, milestones=[4])
    results = gather(three, made_up(three, tmp_path / "three", {}))
    assert {(one.arm, one.against) for one in results.comparisons} == {
        ("b", "resolution"), ("c", "resolution"), ("c", "b"),
    }  # fmt: skip


def test_a_missing_run_leaves_its_pair_out_and_is_said(small, tmp_path):
    experiment = small(seeds="0-2", epochs=4, milestones=[4])
    execution = made_up(experiment, tmp_path / "gap", {})
    execution.directory.run(execution.runs[0]).metrics_file.unlink()
    execution.complete.discard(execution.runs[0].name)
    results = gather(experiment, execution)
    assert {one.seeds for one in results.comparisons} == {(1, 2)}
    assert "5 of 6 runs complete" in report_markdown(results)


def test_a_run_without_its_page_or_a_record_is_not_complete(small, tmp_path):
    experiment = small(arms={}, reference=None, seeds=[1], epochs=4, milestones=[4], benchmarks=[4])
    execution = made_up(experiment, tmp_path / "one", {})
    run = execution.directory.run(execution.runs[0])
    assert execution.complete == set()
    assert state_of(experiment.model_copy(update={"pages": False}), execution.directory).complete == {
        "resolution-seed1"
    }
    write_text(run.page, "")
    assert state_of(experiment, execution.directory).complete == {"resolution-seed1"}
    run.coupled_record(4).unlink()
    assert state_of(experiment, execution.directory).complete == set()


@pytest.mark.usefixtures("no_figures")
def test_what_is_added_after_a_report_is_told_in_the_next(small, tmp_path):
    """Seeds added before any report are not."""
    directory = ExperimentDirectory(tmp_path / "experiment")
    plain = {"plain": {"set": {"model.injection": "plain"}}}
    made_up(small(seeds=[1]), directory.path, {})
    made_up(small(seeds=[1, 2]), directory.path, {})
    assert directory.additions() == []
    for experiment in (small(seeds=[1, 2]), small(seeds="1-4"), small(seeds="1-4", arms=plain | {"other": {}})):
        write_experiment_report(gather(experiment, made_up(experiment, directory.path, {})))
    assert directory.additions() == [{"seeds": [3, 4], "arms": []}, {"seeds": [], "arms": ["other"]}]
    note = "Added after a report had been written: seeds 3 and 4 and arms other."
    assert note in (directory.path / "report.md").read_text()
    assert note in (directory.path / "index.html").read_text()


@pytest.mark.parametrize(
    "line",
    ["{}", '{"seeds": [1]}', '{"seeds": 1, "arms": []}', '{"seeds": [1, "2"], "arms": []}',
     '{"seeds": [null, 1], "arms": []}', '{"seeds": [true], "arms": []}', '{"seeds": [], "arms": [["a"]]}'],
)  # fmt: skip
def test_additions_that_are_none_are_refused_in_one_line(tmp_path, line):
    directory = ExperimentDirectory(tmp_path)
    directory.additions_file.write_text(f'{{"seeds": [3], "arms": ["a"]}}\n{line}\n')
    with pytest.raises(UserError, match="row 2 has no seeds and arms; restore the file"):
        directory.additions()
