"""The report on structure: what holds of ideal axes and of nothing at all, tables, the figure, and the command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ternary_vae.errors import UserError
from ternary_vae.formats import percent
from ternary_vae.model import DualVAE
from ternary_vae.operations import random_operations
from ternary_vae.recipe import TruthTables, load_recipe
from ternary_vae.reports.structure import (
    KNOWN,
    MARGIN,
    VAES,
    _borne,
    by_recipe,
    claims_of_codes,
    claims_of_probes,
    claims_table,
    compared_with_table,
    epochs_table,
    followed,
    further_table,
    judged,
    last_of_each_seed,
    mean_and_worst,
    parts_of,
    probes_table,
    structure_markdown,
    title_of,
    write_structure_report,
)
from ternary_vae.reports.structure_figure import structure_figure
from ternary_vae.resolution.records import CurvePoint, ResolutionCurve
from ternary_vae.resolution.structure import measure
from ternary_vae.resolution.structure.codes import AxisCode
from ternary_vae.resolution.structure.distances import distances
from ternary_vae.resolution.structure.records import Probe, Spread, StructureRecord, read_structure_record
from ternary_vae.space import Space
from ternary_vae.space_recipe import recipe_for_space
from ternary_vae.storage.checkpoints import Checkpoint
from ternary_vae.storage.runs import RunDirectory

pytestmark = pytest.mark.usefixtures("coarse_figures")


@pytest.fixture
def no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure is a file of a few bytes; drawing it takes most of a report's time."""

    def write(_: object, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"drawn")
        return path

    monkeypatch.setattr("ternary_vae.reports.structure_figure.structure_figure", lambda groups: None)
    monkeypatch.setattr("ternary_vae.reports.figures.write_figure", write)


def test_noise_at_which_half_is_never_lost_is_not_none_borne() -> None:
    def borne(*rates: float, half: float | None = None) -> float:
        points = [CurvePoint(sigma=sigma, exact_match_rate=rate) for sigma, rate in enumerate(rates)]
        return _borne(ResolutionCurve(points=points, half_sigma=half))

    assert borne(1.0, 0.9, 0.7) == 2
    assert borne(1.0, 0.4, 0.1, half=0.8) == 0.8
    assert borne(0.3, 0.2, 0.1) == 0


def of_seed(record: StructureRecord, seed: int, recipe: str = "resolution", **codes: str) -> StructureRecord:
    """A record as of another training seed, with codes put in the place of others."""
    header = record.header.model_copy(
        update={"training_seed": seed, "recipe": recipe, "recipe_fingerprint": f"{recipe}@0"}
    )
    taken = {place: record.codes[name] for place, name in codes.items()}
    return record.model_copy(update={"header": header, "codes": {**record.codes, **taken}})


@pytest.fixture
def orthogonal(record: StructureRecord) -> StructureRecord:
    """Both VAEs have the random orthogonal code."""
    return of_seed(record, 1, vae_a="random_orthogonal", vae_b="random_orthogonal")


@pytest.mark.parametrize(
    ("operations", "said"),
    [(16, "there are no more than 120, nearly all of which were met"), (2000, "the standard error of 0 is ")],
)
def test_an_error_of_drawn_pairs_is_told_where_there_are_more(
    record: StructureRecord, operations: int, said: str
) -> None:
    text = structure_markdown([[record.model_copy(update={"operations": operations})]], "repeat me")
    assert said in text


def test_how_to_read_the_claims_is_true_of_small_spaces(record: StructureRecord) -> None:
    """Two values on lines follow Hamming distance, and an affine map is judged on what it was fitted on too."""
    tables = torch.from_numpy(Space(2, 2).table(range(16)))
    code = AxisCode(Space(2, 2))
    assert distances(code, tables, code.encode(tables), torch.Generator().manual_seed(0)).hamming == pytest.approx(1)
    drawn = random_operations(2000, Space(2, 2), torch.Generator().manual_seed(0))
    assert len(drawn[:1000].unique(dim=0)) == len(drawn[1000:].unique(dim=0)) == 16
    text = structure_markdown([[record]], "repeat me")
    assert "On a line of three values or more, one entry changed by two steps" in text
    assert "least squares on 1,000 operations drawn at random and decoded on as many more drawn alike" in text
    assert "not those fitted on" not in text


def test_what_can_be_said_of_random_weights(record: StructureRecord) -> None:
    holds = {row.claim.text: row.holds for row in judged([[record]])}
    for text in ("it adds modulo 3", "−z(f) is −f", "exchanging the inputs is an affine map of it"):
        assert holds[text] == 0, text


def test_claims_that_hold_in_fewer_codes_come_first(record: StructureRecord, orthogonal: StructureRecord) -> None:
    rows = judged([[record, orthogonal]])
    assert len(rows) == len(claims_of_codes(3)) + len(claims_of_probes())
    assert all(row.of == 4 and 0 <= row.holds <= 4 for row in rows)
    assert [row.holds for row in rows] == sorted(row.holds for row in rows)
    assert all(row.least <= row.most for row in rows)


def test_a_random_orthogonal_code_is_a_sum_over_entries(record: StructureRecord, orthogonal: StructureRecord) -> None:
    additive = next(row for row in judged([[orthogonal]]) if row.claim.text == "it is a sum of what each entry says")
    assert (additive.holds, additive.of) == (2, 2)
    assert additive.least == pytest.approx(1, abs=1e-3)


def test_no_numbering_organises_a_code_in_which_all_distances_are_equal(record: StructureRecord) -> None:
    """0 is not more than the 0 of every other order of digits."""
    space, tables = Space(2, 2), torch.from_numpy(Space(2, 2).table(range(16)))

    class Collapsed(AxisCode):
        def encode(self, tables: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(tables), 4, dtype=torch.float64)

    collapsed = Collapsed(space)
    equal = measure.structure_of(collapsed, tables, collapsed.encode(tables), seed=0)
    of_equal = record.model_copy(update={"codes": {**record.codes, "vae_a": equal, "vae_b": equal}})
    tree = next(row for row in judged([[of_equal]]) if "adic tree" in row.claim.text)
    assert (tree.holds, tree.of, tree.least, tree.most) == (0, 2, 0, 0)


def test_the_report_names_what_holds_nowhere_first(record: StructureRecord, orthogonal: StructureRecord) -> None:
    text = structure_markdown([[record, orthogonal], [of_seed(record, 7, "other")]], "repeat me")
    assert "`resolution`, epoch 3, seeds 1 and 42; `other`, epoch 3, seed 7" in text
    assert "6 trained codes" in text
    assert text.index("Holds in no code:") < text.index("Holds in some:") < text.index("## Claims")
    assert "- it adds modulo 3: " in text.split("Holds in some:")[0]
    assert text.count("Holds in no code:") == 1
    assert "**Operations of " not in text  # nor are claims of one space apart
    assert "### " not in text
    least = min(record.codes[name].axes.additive_share for name in VAES)
    assert f"in the {percent(1 - least)} of a code's variance, or less" in text
    header = next(line for line in text.splitlines() if line.startswith("| property"))
    assert header.count("`other`") == 3
    assert "| `commutative` | 3.70% | 50% |" in text
    assert "| `constant` |" not in text  # three operations, fewer than folds
    assert text.rstrip().endswith("repeat me\n```")
    assert "nan" not in text
    assert "None" not in text


def rows_of(table: str) -> dict[str, list[str]]:
    rows = [[cell.strip() for cell in line[1:-1].split(" | ")] for line in table.splitlines()]
    return {first: cells for first, *cells in rows}


def test_tables_are_of_the_records(record: StructureRecord, orthogonal: StructureRecord) -> None:
    groups = [[record, orthogonal], [of_seed(record, 7, "other", vae_a="random_orthogonal")]]
    shares = {(one.header.training_seed, name): code.axes.additive_share
              for group in groups for one in group for name, code in one.codes.items()}  # fmt: skip
    rows = rows_of(claims_table(groups, judged(groups)))
    trained = ["`resolution` A", "`resolution` B", "`other` A", "`other` B"]
    assert rows[""] == ["measured", "required", "holds in", *trained, *KNOWN.values()]
    of_groups = [[shares[seed, name] for seed in seeds] for seeds in ((42, 1), (7,)) for name in VAES]
    holds = sum(share >= 0.99 for group in of_groups for share in group)
    assert 0 < holds < 6
    assert rows["it is a sum of what each entry says"][2:] == [
        f"{holds} of 6", *(mean_and_worst(group, "share") for group in of_groups),
        *(percent(shares[42, name]) for name in KNOWN),
    ]  # fmt: skip
    rows = rows_of(probes_table([[record]]))
    read = ("vae_a", "vae_b", "both", "table_one_hot", "table_values", "random_orthogonal")
    named = ["`resolution` A", "`resolution` B", "`resolution` both", "table, one-hot", "table, values"]
    assert rows["property"][2:] == [*named, "random orthogonal"]
    accuracies = [record.probes["commutative"].balanced_accuracy[which].mean for which in read]
    assert rows["`commutative`"][2:] == [percent(accuracy) for accuracy in accuracies]
    uneven = [one.codes["vae_b"].paths.unevenness for one in groups[0]]
    shown = f"{sum(uneven) / 2:.3f} ({min(uneven):.3f} to {max(uneven):.3f})"
    assert rows_of(further_table(groups))["unevenness of a line"][1] == shown


def test_means_stand_beside_the_worst() -> None:
    assert mean_and_worst([0.5, 0.7], "share") == "60.00% (worst 50.00%)"
    assert mean_and_worst([1.0, 1.0], "share") == "100%"
    assert mean_and_worst([None], "share") == "—"


def test_what_is_read_better_in_every_seed(record: StructureRecord) -> None:
    """Gains are counted from chance on, and one seed without a gain is enough not to be named."""

    def with_accuracies(own: float, raw: float) -> StructureRecord:
        spread = {
            name: Spread(mean=value, standard_deviation=0, least=value, most=value, repeats=5)
            for name, value in {"both": own, "table_one_hot": raw}.items()
        }
        made = Probe(shares={0: 0.5, 1: 0.5}, left_out=0, chance=0.5, balanced_accuracy=spread)
        return record.model_copy(update={"probes": {"commutative": made}})

    better, worse, chance = with_accuracies(0.9, 0.8), with_accuracies(0.8, 0.9), with_accuracies(0.49, 0.3)
    assert compared_with_table([better, better], "both") == (["commutative"], [])
    assert compared_with_table([worse], "both") == ([], ["commutative"])
    assert compared_with_table([better, with_accuracies(0.8 + MARGIN / 2, 0.8)], "both") == ([], [])
    assert compared_with_table([chance], "both") == ([], [])


def test_records_of_one_recipe_belong_together(record: StructureRecord) -> None:
    records = [of_seed(record, 0), of_seed(record, 0, "other"), of_seed(record, 1)]
    assert [[one.header.training_seed for one in group] for group in by_recipe(records)] == [[0, 1], [0]]


def test_nothing_to_report_on_is_refused() -> None:
    with pytest.raises(UserError, match="ternary-vae structure CHECKPOINT"):
        structure_markdown([], "")


def test_spaces_are_reported_apart(record: StructureRecord, orthogonal: StructureRecord, tmp_path: Path) -> None:
    """Each with its own claims and figure."""
    other = of_seed(record, 0, "three_inputs").model_copy(
        update={"space": TruthTables(values=3, inputs=3), "operations": 20_000, "all_operations": False}
    )
    written = write_structure_report([[record, orthogonal], [other]], tmp_path / "README.md", "repeat me")
    assert [path.name for path in written] == ["README.md", "structure.png", "structure_3_values_3_inputs.png"]
    assert [part.codes for part in parts_of([[record, orthogonal], [other]])] == [4, 2]
    text = written[0].read_text(encoding="utf-8")
    first, second = text.split("## Claims")[0].split("**Operations of 3 values and 3 inputs**: ")
    assert "All 19,683 operations, 4 trained codes" in first
    assert "A uniform sample of 20,000 operations, 2 trained codes" in second
    assert "](structure.png)" in first
    assert "](structure_3_values_3_inputs.png)" in second
    assert text.count("### Claims: ") == text.count("### Probes: ") == 2


def test_epochs_stand_in_the_order_of_their_seeds(record: StructureRecord) -> None:
    def after(epoch: int, seed: int) -> StructureRecord:
        found = of_seed(record, seed)
        return found.model_copy(update={"header": found.header.model_copy(update={"epoch": epoch})})

    assert title_of([after(400, 1), after(400, 0)]) == "`resolution`, epoch 400, seeds 0 and 1"
    assert title_of([after(161, 1), after(177, 0), after(177, 42)]) == (
        "`resolution`, epochs 177, 161 and 177, seeds 0, 1 and 42"
    )
    both = [after(epoch, seed) for epoch in (100, 3) for seed in (0, 1)]
    assert title_of(both) == "`resolution`, epochs 3 and 100, seeds 0 and 1"


def test_runs_are_followed_over_epochs(record: StructureRecord, tmp_path: Path) -> None:
    """A row a claim, an epoch a column: the mean over seeds and VAEs, the worst in brackets."""
    header = record.header.model_copy(update={"epoch": 7})
    later = of_seed(record, 1, vae_a="ideal_axes_a", vae_b="ideal_axes_b").model_copy(update={"header": header})
    group = [record, later]
    assert followed([group, [record]]) == [group]
    assert last_of_each_seed(group[::-1]) == [later]
    rows = {line.split(" | ")[0][2:]: line.split(" | ")[2:] for line in epochs_table(group).splitlines()}
    assert [cell.strip(" |") for cell in rows[""]] == ["3", "7"]
    worst, ideal = rows["it is a sum of what each entry says"]
    shares = [record.codes[name].axes.additive_share for name in ("vae_a", "vae_b")]
    assert shares[0] != shares[1]
    assert worst == f"{percent(sum(shares) / 2)} (worst {percent(min(shares))})"
    assert ideal.strip(" |") == "100%"
    written = write_structure_report([[later]], tmp_path / "README.md", "repeat me", [group])
    assert written[-1].name == "structure_over_epochs.png"
    assert "](structure_over_epochs.png)" in written[0].read_text(encoding="utf-8")


def test_the_figure_draws_what_was_measured(record: StructureRecord, orthogonal: StructureRecord) -> None:
    group = [record, orthogonal]
    distances, noise, numberings, probes, *carried = structure_figure([group]).axes
    for name, vae in VAES.items():
        codes = [one.codes[name] for one in group]
        for axis, curves in (
            (distances, [[point.mean for point in one.distances.by_hamming] for one in codes]),
            (noise, [[point.exact_match_rate for point in one.noise.measured.points] for one in codes]),
        ):
            (line,) = (line for line in axis.lines if line.get_label() == f"resolution, {vae}")
            assert line.get_ydata() == pytest.approx(np.mean(curves, axis=0))
    ideal = [point.mean for point in record.codes["ideal_axes_a"].distances.by_hamming]
    assert distances.lines[-1].get_ydata() == pytest.approx(ideal)
    own = [one.codes[name].distances.adic_given_hamming for name in VAES for one in group]
    assert [line.get_xdata()[0] for line in numberings.lines if line.get_marker() == "D"] == own
    read = [probe.balanced_accuracy for probe in record.probes.values() if probe.balanced_accuracy]
    assert probes.lines[0].get_xdata() == pytest.approx([each["table_one_hot"].mean for each in read])
    assert probes.lines[0].get_ydata() == pytest.approx([each["both"].mean for each in read])  # in both records
    for axis, name in zip(carried, VAES, strict=True):
        axes = record.codes[name].axes
        falling = sorted(range(len(axes.variances)), key=lambda place: -axes.variances[place])[:30]
        assert np.asarray(axis.images[0].get_array()).tolist() == [axes.carried[place] for place in falling]


def test_report_and_figure_are_the_same_bytes_again(record: StructureRecord, tmp_path: Path) -> None:
    for place in ("one", "two"):
        report, figure = write_structure_report([[record]], tmp_path / place / "README.md", "repeat me")
        assert figure == report.parent / "structure.png"
        assert f"]({figure.name})" in report.read_text(encoding="utf-8")
    for name in ("README.md", "structure.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.usefixtures("no_figure")
def test_the_command_writes_records_and_a_report(record, checkpoint_file, run_command, tmp_path, monkeypatch) -> None:
    """The measuring itself has its own tests."""
    seeds = []
    monkeypatch.setattr(measure, "measure_structure", lambda *_, seed, **__: seeds.append(seed) or record)
    code, out, _ = run_command("structure", checkpoint_file, "-o", tmp_path, "--seed", "5", "--device", "cpu")
    assert (code, seeds) == (0, [5])
    assert read_structure_record(tmp_path / "structure_3.json") == record
    assert "it adds modulo 3" in out
    assert f"ternary-vae structure {checkpoint_file}" in (tmp_path / "STRUCTURE.md").read_text(encoding="utf-8")
    assert (tmp_path / "structure.png").exists()
    assert run_command("structure", checkpoint_file, "-o", tmp_path)[0] == 0  # its own report is replaced


def test_the_command_overwrites_no_report_of_others(checkpoint_file, run_command, tmp_path, monkeypatch) -> None:
    def measured(*_: object, **__: object) -> None:
        raise AssertionError("measured before it was known that nothing may be written")

    monkeypatch.setattr(measure, "measure_structure", measured)
    report = tmp_path / "st" / "STRUCTURE.md"
    report.parent.mkdir()
    report.write_text("# The structure of my thesis\n", encoding="utf-8")
    code, out, told = run_command("structure", checkpoint_file, "-o", report.parent)
    assert (code, out, told.count("\n")) == (2, "", 1)
    assert f"{report}: exists and is no report on structure; name another directory with --output" in told
    assert report.read_text(encoding="utf-8") == "# The structure of my thesis\n"
    assert list(report.parent.iterdir()) == [report]


def test_the_command_refuses_what_would_share_a_record(checkpoint_file, run_command, tmp_path) -> None:
    code, out, told = run_command("structure", checkpoint_file, checkpoint_file, "-o", tmp_path)
    assert (code, out, told.count("\n")) == (2, "", 1)
    assert "same epoch (3, 3)" in told
    code, _, told = run_command("structure", tmp_path / "none.safetensors")
    assert code == 2
    assert "checkpoint not found" in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_figure")
def test_the_command_measures_the_milestones_of_a_run(
    record, checkpoint_file, run_command, tmp_path, monkeypatch
) -> None:
    """Into the run's own directory, where its page reads them."""
    run = RunDirectory(tmp_path / "run")
    recipe = load_recipe(overrides={"evaluation.milestones": [3, 400]})
    run.create(recipe, {})
    run.checkpoint(3).parent.mkdir()
    run.checkpoint(3).write_bytes(checkpoint_file.read_bytes())
    run.checkpoint(2).write_bytes(b"no milestone's")
    monkeypatch.setattr(measure, "measure_structure", lambda *_, **__: record)
    code, out, told = run_command("structure", run.path)
    assert (code, told) == (0, "")
    assert read_structure_record(run.structure_record(3)) == record
    assert (run.reports / "STRUCTURE.md").exists()
    assert f"ternary-vae report {run.path}" in out
    code, _, told = run_command("structure", run.path, checkpoint_file)
    assert (code, told.count("\n")) == (2, 1)
    assert "a run is measured by itself" in told


def test_the_command_refuses_a_run_without_checkpoints(run_command, tmp_path) -> None:
    run = RunDirectory(tmp_path / "run")
    code, _, told = run_command("structure", tmp_path)
    assert (code, told.count("\n")) == (2, 1)
    assert "holds no run" in told
    run.create(load_recipe(), {})
    code, _, told = run_command("structure", run.path)
    assert (code, told.count("\n")) == (2, 1)
    assert "no checkpoint of a milestone" in told


@pytest.mark.usefixtures("few_pairs")
def test_a_space_of_a_few_operations_has_nothing_to_probe() -> None:
    """Of two values and one input no property has as many members as there are folds."""
    recipe = recipe_for_space(2, 1)
    checkpoint = Checkpoint(0, 0, recipe, DualVAE.of(recipe).state_dict())
    record = measure.measure_structure(checkpoint)
    assert not any(probe.balanced_accuracy for probe in record.probes.values())
    assert "## Probes" not in structure_markdown([[record]], "repeat me")
