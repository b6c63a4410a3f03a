"""Records on disk: lossless, versioned, finite, whole or absent; the plan's key paths as written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from ternary_vae.errors import UserError
from ternary_vae.model import STRATEGIES
from ternary_vae.recipe import load_recipe
from ternary_vae.resolution.records import (
    CoupledRecord,
    IsolatedRecord,
    comparable,
    read_coupled_record,
    read_isolated_record,
    require_place_of_record,
    write_record,
)

Records = tuple[IsolatedRecord, CoupledRecord]


def test_reading_a_record_back_is_lossless(records: Records, tmp_path: Path) -> None:
    for record, read in zip(records, (read_isolated_record, read_coupled_record)):
        path = tmp_path / "deep" / f"{record.kind}.json"
        write_record(path, record)
        again = read(path)
        assert again == record
        write_record(tmp_path / "again.json", again)
        assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_every_ensemble_strategy_is_in_the_record_without_noise_and_under_noise(records: Records) -> None:
    coupled = records[1].model_dump()
    assert coupled["ensemble_reconstruction"].keys() == coupled["ensemble_under_noise"].keys() == STRATEGIES.keys()
    rates = {name: each["exact_match_rate"] for name, each in coupled["ensemble_under_noise"].items()}
    assert rates["best_of_two"] >= rates["voting"]


def test_records_of_earlier_versions_are_read(records: Records, tmp_path: Path) -> None:
    """Without what they had not measured: ensembles under noise, and strategies that there were not yet."""
    content = json.loads(records[1].model_dump_json())
    del content["ensemble_under_noise"], content["ensemble_reconstruction"]["product_of_experts"]
    path = tmp_path / "coupled_resolution_3.json"
    path.write_text(json.dumps(content))
    read = read_coupled_record(path)
    assert read.ensemble_under_noise is None
    assert read.ensemble_reconstruction.majority == records[1].ensemble_reconstruction.majority
    del content["ensemble_reconstruction"]["majority"]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"ensemble_reconstruction\.majority"):
        read_coupled_record(path)


def test_the_plans_key_paths_work_as_written(records: Records, tmp_path: Path) -> None:
    isolated_path, coupled_path = tmp_path / "manifold_resolution_3.json", tmp_path / "coupled_resolution_3.json"
    write_record(isolated_path, records[0])
    write_record(coupled_path, records[1])
    isolated, coupled = json.loads(isolated_path.read_text()), json.loads(coupled_path.read_text())
    assert isolated["vae_a"]["reconstruction"]["exact_match_rate"] == records[0].vae_a.reconstruction.exact_match_rate
    assert isolated["vae_b"]["reconstruction"]["exact_match_rate"] == records[0].vae_b.reconstruction.exact_match_rate
    assert 0 <= coupled["ensemble_reconstruction"]["best_of_two"]["exact_match_rate"] <= 1
    for rho in (0.5, 0.7):
        section = coupled[f"cross_injected_sampling_rho_{rho}".replace(".", "")]
        assert section["rho"] == rho
        assert 0 < section["coverage_rate"] < 1
    assert 0 <= coupled["complementary_coverage"]["complementarity_score"] <= 1
    assert None not in (*isolated["vae_a"].values(), *isolated["vae_b"].values(), *coupled.values())


def test_only_what_depends_on_the_moment_is_left_out_of_a_comparison(records: Records) -> None:
    isolated, coupled = records
    for record in records:
        whole, kept = json.loads(record.model_dump_json()), comparable(record)
        assert whole["header"].keys() - kept["header"].keys() == {"measured_at", "elapsed_seconds"}
    assert isolated.model_dump().keys() == comparable(isolated).keys()
    assert coupled.model_dump().keys() - comparable(coupled).keys() == {"inference_overhead"}


def changed(path: Path, record: IsolatedRecord, **header: object) -> Path:
    content = json.loads(record.model_dump_json())
    content["header"].update(header)
    path.write_text(json.dumps(content))
    return path


def test_records_that_cannot_be_read_say_why_in_one_line(records: Records, tmp_path: Path) -> None:
    isolated, coupled = records
    path = tmp_path / "record.json"

    def failure() -> str:
        with pytest.raises(UserError) as caught:
            read_isolated_record(path)
        assert str(path) in str(caught.value)
        return str(caught.value)

    assert "not found" in failure()
    changed(path, isolated, schema_version=2)
    assert "schema version 2" in failure()
    assert "measure the checkpoint again" in failure()
    path.write_text("{}")
    assert "no schema version" in failure()
    path.write_text("[1, 2]")
    assert "no schema version" in failure()
    path.write_text('{"header": 3}')
    assert "no schema version" in failure()
    path.write_text('{"header": {"schema_version": 1}')
    assert "not valid JSON; expected a benchmark record: measure the checkpoint again" in failure()
    write_record(path, coupled)
    assert "kind" in failure()
    changed(path, isolated, elapsed_seconds=float("nan"))
    assert "NaN" in path.read_text()
    assert "NaN is no number" in failure()
    changed(path, isolated, elapsed_seconds="x" * 100_000)
    assert "header.elapsed_seconds" in failure()
    assert len(failure()) < 600
    changed(path, isolated, unknown_key=1)
    assert "unknown_key" in failure()


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("vae_a.reconstruction.exact_match_rate", True, "exact_match_rate: Input should be a valid number"),
        ("vae_a.reconstruction.exact_match_rate", "1", "exact_match_rate: Input should be a valid number"),
        ("vae_b.interpolation.pairs", 4000.0, "pairs: Input should be a valid integer"),
        ("vae_a.resolution_curve.points.0.sigma", -0.1, "sigma: Input should be greater than or equal to 0"),
        ("complementary_coverage.share_a", False, "share_a: Input should be a valid number"),
    ],
)  # fmt: skip
def test_values_of_another_kind_are_not_taken_for_figures(
    records: Records, tmp_path: Path, place: str, value: object, message: str
) -> None:
    of_both = place.startswith(("cross", "complementary"))
    content = json.loads(records[of_both].model_dump_json())
    *sections, last = place.split(".")
    section = content
    for name in sections:
        section = section[int(name) if name.isdecimal() else name]
    section[last] = value
    path = tmp_path / "record.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError) as caught:
        (read_coupled_record if of_both else read_isolated_record)(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).endswith("; measure the checkpoint again")


def test_a_record_of_another_recipe_seed_or_kind_is_not_overwritten(records: Records, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    recipe = load_recipe("resolution", seed=5)
    require_place_of_record(path, recipe, IsolatedRecord)
    changed(path, records[0], recipe_fingerprint=recipe.fingerprint(), training_seed=5, schema_version=2)
    require_place_of_record(path, recipe, IsolatedRecord)  # whatever its version: it is to be measured again
    for other in (load_recipe("resolution", seed=6), load_recipe("two_valued_two_inputs", seed=5)):
        with pytest.raises(UserError, match="is a record of another run"):
            require_place_of_record(path, other, IsolatedRecord)
    with pytest.raises(UserError, match=r"kind \('isolated'; this is 'coupled'\) and is not overwritten; move"):
        require_place_of_record(path, recipe, CoupledRecord)


def test_a_record_cannot_hold_nan(records: Records) -> None:
    content = records[0].model_dump()
    content["vae_a"]["latent_separation"]["mean_distance"] = float("nan")
    with pytest.raises(ValidationError, match="mean_distance"):
        IsolatedRecord.model_validate(content)


def test_an_unwritable_place_is_one_line_and_leaves_nothing(records: Records, tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("kept")
    directory = tmp_path / "directory"
    directory.mkdir()
    for place in (blocker / "record.json", directory):
        with pytest.raises(UserError, match="cannot write"):
            write_record(place, records[0])
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["directory", "file"]
    assert blocker.read_text() == "kept"
