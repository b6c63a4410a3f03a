"""RESOLUTION_EVOLUTION.md, FINAL_RESOLUTION_REPORT.md and the comparison: their numbers are the records' numbers."""

from __future__ import annotations

import functools
import json
import operator
import os
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic_runs import MILESTONES

from fault_injection.full_disk import comparison, in_one_place
from few_draws import FEW_DOTS
from ternary_vae.errors import UserError
from ternary_vae.formats import percent
from ternary_vae.recipe import load_recipe
from ternary_vae.reports import write_reports
from ternary_vae.reports.comparison import comparison_markdown, write_comparison
from ternary_vae.reports.evolution import evolution_markdown
from ternary_vae.reports.final import write_final_report
from ternary_vae.reports.goals import goals_table
from ternary_vae.reports.measurements import measurements_of_records, measurements_of_run
from ternary_vae.resolution.criteria import Verdict
from ternary_vae.resolution.records import read_isolated_record
from ternary_vae.storage.runs import RunDirectory


def rows_of(text: str, heading: str) -> dict[str, list[str]]:
    """The rows of the first table under a heading, by their first cell."""
    section = text.split(f"\n{heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.split("\n") if line.startswith("|")][2:]
    cells = [[part.strip() for part in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return {row[0]: row[1:] for row in cells}


@pytest.fixture(scope="module")
def report(failing_run: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> str:
    output = tmp_path_factory.mktemp("report") / "RESOLUTION_EVOLUTION.md"
    return evolution_markdown(measurements_of_run(failing_run), output)


def test_reconstruction_is_the_records_with_the_plans_expectation(report: str, failing_run: RunDirectory) -> None:
    rows = rows_of(report, "## Reconstruction and its expectations")
    measured = measurements_of_run(failing_run)
    assert list(rows) == [str(epoch) for epoch in MILESTONES]
    for epoch in MILESTONES:
        a = measured.isolated[epoch].vae_a.reconstruction.exact_match_rate
        assert rows[str(epoch)][1].split(" ")[0] == percent(a)
    assert [rows["200"][0], *rows["200"][1:4]] == ["3", "100% (60–75% ✓)", "100% (100% ✓)", "100% (100% ✓)"]
    assert (
        "\n\nAfter 400 epochs VAE-A reconstructs **4.04%**, VAE-B **11.03%** and the ensemble **11.04%** of all "
        "operations exactly. 100,000 draws cover **98.88%** (a uniform model, on average: 99.38%); "
        "complementarity is **0.050**. Run of 400 epochs, 3 min 00 s in all, code "
    ) in report
    assert (
        "Exact match over all 19,683 operations, posterior means decoded. In brackets what the plan expected" in report
    )
    assert rows["200"][5] == "100% / 100% at 0.70"
    assert rows["400"][1].endswith("(≥ 95% ✗)")
    assert rows["3"][1].endswith("(14.87% ✗)")


def test_coverage_and_secondary_metrics(report: str, failing_run: RunDirectory) -> None:
    record = measurements_of_run(failing_run).coupled[400]
    mixed = record.cross_injected_sampling_rho_07
    row = rows_of(report, "## Coverage and complementarity")["400"]
    assert row[0] == (
        f"{percent(mixed.coverage_rate)} [{percent(mixed.interval.low)}, {percent(mixed.interval.high)}] (≥ 90% ✓)"
    )
    assert row[2] == "99.38% (100,000 draws)"
    assert row[3].endswith("(≥ 0.60 ✗)")
    secondary = rows_of(report, "## Secondary metrics")["400"]
    assert secondary[0] == "0.100 (0.980)"
    assert secondary[4] == "8.60 / 8.60"
    assert secondary[5] == "— / —"


def test_events_and_epoch_counts(report: str) -> None:
    events = rows_of(report, "## Events")
    assert events["150"] == [
        "guard", "vae\\_a\\_slow", "VAE-A at 21.00%, below 30% at epoch 150", "raise\\_temperature\\_a"
    ]  # fmt: skip
    assert set(events) == {"130", "150", "400"}
    assert re.search(r"Both VAEs exact on every operation at once: \d+ of 400 epochs", report)
    assert re.search(r"every operation, each with [\d,]+ decoded draws: 0 of 400 epochs", report)
    assert re.search(r"Ensemble below the plan's alert level of 99.9%: \d+ epochs, the last of them epoch 400", report)


def test_the_report_says_how_to_repeat_itself(report: str, failing_run: RunDirectory) -> None:
    commands = report.split("## How to repeat this")[1]
    assert "ternary-vae train --config ternary_v5_5 --seed 42 --epochs 400" in commands
    assert f"ternary-vae report {failing_run.path}" in commands
    assert "plot_resolution_evolution.py --epochs 3 100 120 150 200 250 300 350 400" in commands


def test_a_missing_milestone_is_named_and_the_report_goes_on(failing_run: RunDirectory, tmp_path: Path) -> None:
    run = RunDirectory(shutil.copytree(failing_run.path, tmp_path / "run"))
    run.coupled_record(250).unlink()
    run.isolated_record(300).unlink()
    run.coupled_record(300).unlink()
    text = evolution_markdown(measurements_of_run(run), tmp_path / "report.md")
    assert "- epoch 250: `coupled_resolution_250.json`" in text
    assert "- epoch 300: `manifold_resolution_300.json` and `coupled_resolution_300.json`" in text
    rows = rows_of(text, "## Reconstruction and its expectations")
    exact = {
        epoch: read_isolated_record(run.isolated_record(epoch)).vae_a.reconstruction.exact_match_rate
        for epoch in (250, 400)
    }
    assert rows["250"][1].startswith(percent(exact[250]))
    assert text.count("These milestones are left out above as far as their records are missing:") == 1
    assert rows["250"][3:] == ["— (100%)", "—", "—"]
    assert rows["300"][1] == "— (85–90%)"
    assert rows["400"][1].startswith(percent(exact[400]))
    for path in run.benchmarks.glob("coupled_*"):
        path.unlink()
    text = evolution_markdown(measurements_of_run(run), tmp_path / "report.md")
    assert text.split("\n\n")[1].startswith("Run of 400 epochs, "), "without a whole milestone nothing can be summed up"


@pytest.mark.parametrize("kept", [0, 399])
def test_a_complete_run_has_its_last_epoch(failing_run: RunDirectory, tmp_path: Path, kept: int) -> None:
    run = RunDirectory(shutil.copytree(failing_run.path, tmp_path / "run"))
    rows = run.metrics_file.read_text(encoding="utf-8").splitlines(keepends=True)
    run.metrics_file.write_text("".join(rows[:kept]), encoding="utf-8")
    with pytest.raises(UserError, match=r"metrics\.jsonl: epoch 400 is missing; restore the file"):
        evolution_markdown(measurements_of_run(run), tmp_path / "report.md")
    assert not (tmp_path / "report.md").exists()


def test_a_complete_run_says_that_nothing_is_missing(report: str) -> None:
    assert "None: every milestone has both its records." in report


def test_where_no_event_is_written_down_none_is_ruled_out(failing_run: RunDirectory, tmp_path: Path) -> None:
    measured = replace(measurements_of_run(failing_run), events=[])
    text = evolution_markdown(measured, tmp_path / "report.md")
    assert "\n\nNo event is written down.\n\n" in text
    milestones = replace(measured, events=[{"epoch": 3, "kind": "milestone"}])
    text = evolution_markdown(milestones, tmp_path / "report.md")
    assert "\n\nNo guard fired, and the run was neither interrupted nor resumed.\n\n" in text
    without_epochs = [replace(one, metrics=[]) for one in (milestones, measured)]
    counts = [one.guards_fired for one in (measured, milestones, *without_epochs)]
    assert counts == [1, 1, 0, None]  # by epochs, by what tells more, by events, by nothing


def test_a_run_that_does_not_say_how_long_it_took_yet(failing_run: RunDirectory, tmp_path: Path) -> None:
    run = RunDirectory(shutil.copytree(failing_run.path, tmp_path / "under way"))
    path = run.path / "run.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts.pop("seconds")
    path.write_text(json.dumps(facts | {"status": "running"}), encoding="utf-8")
    text = evolution_markdown(measurements_of_run(run), tmp_path / "report.md")
    assert "Run of 400 epochs, code " in text
    assert "status running." in text


def test_bare_records_give_a_report_without_events(failing_run: RunDirectory, tmp_path: Path) -> None:
    measured = measurements_of_records(failing_run.benchmarks, MILESTONES)
    text = evolution_markdown(measured, tmp_path / "report.md")
    assert "## Events" not in text
    assert "Run of" not in text
    assert "## Epoch by epoch" not in text
    assert "scripts/analysis/compare_epochs.py --epochs 3 100" in text


def test_hostile_words_do_not_leave_their_cell(make_run: Callable[..., RunDirectory], tmp_path: Path) -> None:
    run = make_run(milestones=(1,), epochs=1)
    with open(run.events_file, "a", encoding="utf-8") as file:
        file.write(json.dumps({"epoch": 1, "kind": "guard", "name": "x", "message": "a | b\n<img src=x> `c`"}) + "\n")
    text = evolution_markdown(measurements_of_run(run), tmp_path / "report.md")
    row = rows_of(text, "## Events")["1"]
    assert row[2] == "a \\| b &lt;img src=x&gt; \\`c\\`"
    assert len(row) == 4
    assert re.search(r"at once: [01] of 1 epoch\.", text)


def test_the_final_report_sets_promises_beside_both_runs(
    good_run: RunDirectory, failing_run: RunDirectory, tmp_path: Path
) -> None:
    path = write_final_report(failing_run, good_run, tmp_path / "FINAL_RESOLUTION_REPORT.md")
    text = path.read_text(encoding="utf-8")
    rows = rows_of(text, "## What was promised, what was measured")
    a = measurements_of_run(failing_run).isolated[400].vae_a.reconstruction.exact_match_rate
    assert rows["VAE-A exact (2, 6)"] == ["≥ 95% by the end", f"{percent(a)} ✗", "100% ✓"]
    correlation = rows["Latent correlation, largest of any milestone (4)"]
    assert correlation == ["stable, about 0.26; here up to 0.52", "0.980 ✗", "0.120 ✓"]
    assert rows["Dimensions in effect, of all (4)"][0] == "about 50%; here at least 40%"
    ensemble = [row["exact_match_best_of_two"] for row in failing_run.metrics()]
    reached = next(at for at, exact in enumerate(ensemble) if exact >= 0.999)
    below = sum(exact < 0.999 for exact in ensemble[reached:])
    assert rows["Epochs with the ensemble below 99.9%, once reached (2)"][1:] == [f"{below} ✗", "0 ✓"]
    assert rows["Complementarity (4, 6)"][1:] == ["0.050 ✗", "0.780 ✓"]
    assert rows["Homes A : B (2)"][1:] == ["5 : 95 ✗", "44 : 56 ✓"]
    assert re.findall(r"^(\d\. \*\*.+?\.\*\*)", text, re.MULTILINE) == [
        "1. **Trained on one thing, asked for another.**", "2. **Two codes become one.**",
        "3. **An easy way out.**", "4. **A controller that cannot learn.**",
    ]  # fmt: skip
    assert "At ρ = 0.70 a decoder sees 30% of its own code while training" in text
    assert "this checkpoint gets 100% (A) and 100% (B); decoding its own, 4.04% and 11.03%." in text
    assert "β, rising to 0.8," in text
    assert (
        "\n**`synthetic`**: Every level of the plan is met, and this project's own demands on one run are met. "
        "VAE-A 100%, VAE-B 100%, ensemble 100%, coverage 98.88% (a uniform model, on average: 99.38%), "
        "complementarity 0.780.\n"
    ) in text
    assert "After 400 epochs of `ternary_v5_5` (seed 42) and 400 epochs of `synthetic` (seed 42)." in text
    assert "| Promise | Promised | `ternary_v5_5` | `synthetic` |\n" in text
    assert "`synthetic` has none of the known remedies switched on." in text
    assert "their correlation is 0.980" in text
    assert "One run's spread is 0.10 points, so that up to 0.28 points between two" in text
    assert "This run stopped short of it (prior draws carry 14.117 and 14.117 of 14.265 bits)" in text
    assert f"ternary-vae report {good_run.path} --plan-run {failing_run.path}" in text
    assert len(text.split("\n")) < 90, "one page that a reader can act on"


def test_what_holds_throughout_is_read_at_all_milestones(
    good_run: RunDirectory, failing_run: RunDirectory, tmp_path: Path
) -> None:
    """All was well at the end, and not before. The median is neither the last nor the largest."""
    run = RunDirectory(shutil.copytree(good_run.path, tmp_path / "run"))
    milestones = measurements_of_run(run).complete_milestones
    for kind, epoch, path, value in (
        ("coupled", milestones[0], ("latent_coupling", "mean_absolute_correlation"), 0.9),
        ("manifold", milestones[1], ("vae_b", "reconstruction", "exact_match_rate"), 0.1),
        ("coupled", milestones[2], ("inference_overhead", "time_overhead"), 0.5),
        ("coupled", milestones[-1], ("inference_overhead", "time_overhead"), 0.01),
    ):
        file = run.benchmarks / f"{kind}_resolution_{epoch}.json"
        record = json.loads(file.read_text(encoding="utf-8"))
        *parents, last = path
        functools.reduce(operator.getitem, parents, record)[last] = value
        file.write_text(json.dumps(record), encoding="utf-8")
    text = write_final_report(failing_run, run, tmp_path / "final.md").read_text(encoding="utf-8")
    rows = rows_of(text, "## What was promised, what was measured")
    assert rows["Latent correlation, largest of any milestone (4)"][2] == "0.900 ✗"
    assert rows["VAE-B exact, lowest of any milestone (4)"][2] == "10.00% ✗"
    assert rows["Ensemble's cost in time, median of the milestones (1)"][2] == "7.14% ✗"


def test_the_final_report_names_the_worst_of_many_seeds_first(
    good_run: RunDirectory, failing_run: RunDirectory, tmp_path: Path
) -> None:
    seeds = [measurements_of_run(good_run), measurements_of_run(failing_run)]
    path = write_final_report(failing_run, good_run, tmp_path / "final.md", seeds, "Read on.")
    text = path.read_text(encoding="utf-8")
    assert text.index("## The worst of 2 seeds") < text.index("Read on.") < text.index("## What was promised")
    assert (
        "VAE-A alone, exact match at the end"
        in text.split("`synthetic` after 400 epochs with seeds 42, 42: Not met by every seed: ")[1].split("\n")[0]
    )
    assert "\n".join(goals_table(seeds, every_seed=False)) in text
    alone = write_final_report(failing_run, good_run, tmp_path / "alone.md").read_text(encoding="utf-8")
    assert "The worst of" not in alone


def test_the_final_report_tells_a_leap_of_rho_only_when_there_was_one(
    good_run: RunDirectory, failing_run: RunDirectory, tmp_path: Path
) -> None:
    smooth = write_final_report(failing_run, good_run, tmp_path / "smooth.md").read_text(encoding="utf-8")
    assert "**ρ leaps.**" not in smooth
    run = RunDirectory(shutil.copytree(failing_run.path, tmp_path / "run"))
    rows = [{**row, "rho": 0.3 if row["epoch"] <= 250 else 0.7} for row in run.metrics()]
    run.metrics_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    leaping = write_final_report(run, good_run, tmp_path / "leap.md").read_text(encoding="utf-8")
    assert "**ρ leaps.** It changes by 0.40 from one epoch to the next, at epoch 251." in leaping
    # The log of a run that went on from another's checkpoint begins later.
    run.metrics_file.write_text("".join(json.dumps(row) + "\n" for row in rows if row["epoch"] > 100))
    later = write_final_report(run, good_run, tmp_path / "later.md").read_text(encoding="utf-8")
    assert "**ρ leaps.** It changes by 0.40 from one epoch to the next, at epoch 251." in later


def test_the_final_report_says_that_little_is_left_to_complement_only_where_the_score_is_low(
    good_run: RunDirectory, failing_run: RunDirectory, tmp_path: Path
) -> None:
    """Seeds of one of the plan's schedules end anywhere from 0.05 to 0.99."""
    low = write_final_report(failing_run, good_run, tmp_path / "low.md").read_text(encoding="utf-8")
    assert "where the plan wants about 0.26. That leaves little to complement: 0.05" in low
    run = RunDirectory(shutil.copytree(failing_run.path, tmp_path / "run"))
    record = json.loads(run.coupled_record(400).read_text(encoding="utf-8"))
    record["complementary_coverage"]["complementarity_score"] = 0.99
    run.coupled_record(400).write_text(json.dumps(record), encoding="utf-8")
    alone = json.loads(run.isolated_record(400).read_text(encoding="utf-8"))
    alone["vae_b"]["information"]["mutual_information_bits"] = 3.0
    run.isolated_record(400).write_text(json.dumps(alone), encoding="utf-8")
    high = write_final_report(run, good_run, tmp_path / "high.md").read_text(encoding="utf-8")
    assert "where the plan wants about 0.26.\n" in high
    assert "to complement" not in high
    assert "Prior draws carry only 14.117 (A) and 3.000 (B) of 14.265 bits at the end." in high
    # What counts is the score where the codes are most alike, not that of the end.
    record["latent_coupling"]["mean_absolute_correlation"] = 0.3
    run.coupled_record(400).write_text(json.dumps(record), encoding="utf-8")
    apart = write_final_report(run, good_run, tmp_path / "apart.md").read_text(encoding="utf-8")
    assert "their correlation is 0.980 at epoch 350" in apart
    assert "That leaves little to complement: 0.05" in apart


def test_epochs_without_an_evaluation_are_not_counted_among_those_that_could_be_exact(
    good_run: RunDirectory, tmp_path: Path
) -> None:
    run = RunDirectory(shutil.copytree(good_run.path, tmp_path / "run"))
    nothing = {"exact_match_a": None, "exact_match_b": None}
    rows = [{**row, **(nothing if row["epoch"] % 5 else {})} for row in run.metrics()]
    run.metrics_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    exact = sum(row["exact_match_a"] == row["exact_match_b"] == 1 for row in rows)
    text = evolution_markdown(measurements_of_run(run), tmp_path / "RESOLUTION_EVOLUTION.md")
    assert f"- Both VAEs exact on every operation at once: {exact} of 80 epochs." in text


def test_causes_and_remedies_come_from_the_recipe(make_run: Callable[..., RunDirectory], tmp_path: Path) -> None:
    own, other = make_run(load_recipe("resolution")), make_run(load_recipe("resolution"), fails=True)
    text = write_final_report(other, own, tmp_path / "final.md").read_text(encoding="utf-8")
    assert "`resolution` reached 100% as an ensemble at epoch 100 and ended at 11.04%; VAE-A ended at 4.04%." in text
    assert "1. **" not in text, "it has none of the known causes"
    recipe = own.recipe()
    objective = recipe.objective
    remedies = text.split("## What the other recipe does instead")[1].split("\n## ")[0]
    assert re.findall(r"^\| (.+?) \|", remedies, re.MULTILINE)[2:] == [
        "Trained on one thing, asked for another", "ρ leaps", "Two codes become one",
        "What is hard for one VAE is hard for the other", "An easy way out", "Unequal shares of the prior",
        "Cells that no code tells apart", "No complementarity", "One VAE ahead", "Two codes become one",
        "A few operations traded for their neighbours", "A model that differs from epoch to epoch",
    ]  # fmt: skip
    assert f"the entropy of the joint distribution of {objective.prior_information.subset_entries} decoded" in text
    assert f"rewarded, weight {objective.prior_information.entropy_weight:g}" in text
    assert f"{objective.mean_share:.0%} of each batch is decoded from posterior means" in text
    assert f"as in use, under noise of {objective.mean_noise:g}" in text
    assert f"{recipe.permeability.isolated_share:.0%} of each batch is decoded unmixed" in text
    assert "No line of the success criteria is missed." in text
    text = write_final_report(own, other, tmp_path / "swapped.md").read_text(encoding="utf-8")
    assert "`resolution` kept its reconstruction to the end in this run." in text
    assert (
        "\nStill missed:\n\n- minimum acceptable: Exact match of the ensemble (best of two), 11.04% where ≥ 99.9%"
        in text
    )


def test_the_same_run_twice_is_refused(good_run: RunDirectory, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="given twice"):
        write_final_report(good_run, RunDirectory(good_run.path / "."), tmp_path / "x.md")
    with pytest.raises(UserError, match="given twice"):
        write_comparison([good_run, good_run], tmp_path / "x.md")
    with pytest.raises(UserError, match="at least two"):
        write_comparison([good_run], tmp_path / "x.md")
    assert list(tmp_path.iterdir()) == []


def test_comparison_of_runs(good_run: RunDirectory, failing_run: RunDirectory, tmp_path: Path) -> None:
    written = write_comparison([good_run, failing_run], tmp_path / "COMPARISON.md")
    assert [path.name for path in written] == ["COMPARISON.md", "COMPARISON.png"]
    text = written[0].read_text(encoding="utf-8")
    ends = [line for line in text.split("\n## By milestone\n")[1].split("\n") if "synthetic, seed 42" in line]
    assert len(ends) == len(MILESTONES)
    assert ends[-1].startswith("| 400 | synthetic, seed 42 | 100% | 100% | 100% |")
    assert "\n|  | ternary\\_v5\\_5, seed 42 | 4.04% | 11.03% | 11.04% | 98.88% | 0.050 | 0.980 |" in text
    assert f"| synthetic, seed 42 | `{good_run.path}` | " in text
    assert " | 400 | 3 min 00 s | Every level of the plan is met, and this project's own demands on one" in text
    assert "With 100,000 draws a uniform model covers 99.38% on average; a single measurement spreads by 0.10" in text
    assert "left out" not in text
    labelled = [(run.path.name, measurements_of_run(run)) for run in (good_run, failing_run)]
    few = comparison_markdown(labelled, [100, 400], written[0])
    assert "Milestones that not all runs have, left out: 3, 120, 150, 200, 250, 300 and 350.\n" in few
    assert "](COMPARISON.png)" in text
    assert f"ternary-vae compare {good_run.path} {failing_run.path}" in text


def test_a_run_that_went_on_from_a_checkpoint_is_repeated_from_it(make_run: Callable[..., RunDirectory]) -> None:
    run = make_run()
    facts = json.loads((run.path / "run.json").read_text()) | {"started_from": "/a b/x.pt"}
    (run.path / "run.json").write_text(json.dumps(facts))
    text = evolution_markdown(measurements_of_run(run), run.path / "report.md")
    assert f"ternary-vae resume '/a b/x.pt' --config {run.path}/recipe.yaml --epochs 400\n" in text


def test_only_a_comparison_is_overwritten(
    good_run: RunDirectory, failing_run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the figure itself, which takes most of the time."""
    monkeypatch.setattr("ternary_vae.reports.comparison.comparison_figure", lambda *_: None)
    monkeypatch.setattr("ternary_vae.reports.comparison.write_figure", lambda _, path: path.write_bytes(b"drawn"))
    runs = [good_run, failing_run]
    (tmp_path / "notes.md").write_text("# Notes\n")
    (tmp_path / "picture.png").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"notes\.md: exists and is no comparison; name another file with --output"):
        write_comparison(runs, tmp_path / "notes.md")
    with pytest.raises(UserError, match=r"picture\.png: is there already and is not overwritten"):
        write_comparison(runs, tmp_path / "picture.md")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "notes.md": b"# Notes\n", "picture.png": b"mine"
    }  # fmt: skip
    written = write_comparison(runs, tmp_path / "my comparison.md")
    text = written[0].read_text()
    assert "](my%20comparison.png)" in text
    assert f" --output '{tmp_path}/my comparison.md'\n" in text
    assert write_comparison(runs, tmp_path / "my comparison.md") == written


@pytest.mark.parametrize("name", ["x.png", "."])
def test_a_comparison_that_could_not_be_written_is_refused_at_once(
    good_run: RunDirectory, failing_run: RunDirectory, tmp_path: Path, name: str
) -> None:
    with pytest.raises(UserError, match=r"would be the figure's name.*x\.md|it is a directory; name a file"):
        write_comparison([good_run, failing_run], tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_another_space_is_not_held_against_the_plan(
    make_run: Callable[..., RunDirectory], failing_run: RunDirectory, tmp_path: Path
) -> None:
    other = make_run(load_recipe("four_valued"), milestones=(3,))
    with pytest.raises(UserError, match="is of 4 values and 2 inputs, and the plan's promises of 3 values"):
        write_final_report(failing_run, other, tmp_path / "final.md")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="what is disturbed is done by processes that are forked")
def test_comparison_on_a_full_disk(good_run: RunDirectory, failing_run: RunDirectory, tmp_path: Path) -> None:
    compared = comparison(good_run.path, failing_run.path, dots=FEW_DOTS)
    outcome = in_one_place("a comparison", compared, 1, tmp_path, random.Random(1))
    assert outcome.problems == []
    if outcome.left_out:
        pytest.skip(outcome.left_out)
    assert outcome.trials == 1


def test_runs_without_a_common_milestone_are_refused(
    good_run: RunDirectory, make_run: Callable[..., RunDirectory], tmp_path: Path
) -> None:
    other = make_run(milestones=(7,), epochs=7)
    with pytest.raises(UserError, match=r"no milestone has both records in all runs .* has 7\)"):
        write_comparison([good_run, other], tmp_path / "x.md")
    assert list(tmp_path.iterdir()) == []


def test_everything_for_one_run(make_run: Callable[..., RunDirectory]) -> None:
    run = make_run(load_recipe("ternary_v5_5"))
    written = write_reports(run)
    assert sorted(path.name for path in written) == [
        "RESOLUTION_EVOLUTION.md", "index.html", "resolution_evolution.png", "verdict.json"
    ]  # fmt: skip
    assert sorted(run.reports.iterdir()) == sorted(written)
    verdict = Verdict.model_validate_json((run.reports / "verdict.json").read_text())
    assert (verdict.level, verdict.own_met, verdict.epoch) == ("stretch", True, 400)


def test_nothing_is_written_when_a_run_cannot_be_reported(good_run: RunDirectory, tmp_path: Path) -> None:
    run = RunDirectory(shutil.copytree(good_run.path, tmp_path / "run"))
    for path in run.benchmarks.glob("coupled_*"):
        path.unlink()
    with pytest.raises(UserError, match="no epoch has both its records"):
        write_reports(run)
    assert not run.reports.exists()
