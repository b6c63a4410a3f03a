"""The whole benchmark: the same seed gives the same record, what is in it, spaces that cannot be listed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ternary_vae.errors import UserError
from ternary_vae.gates import known_properties
from ternary_vae.model import DualVAE
from ternary_vae.operations import random_operations
from ternary_vae.recipe import TruthTables, load_recipe
from ternary_vae.reports.structure import structure_markdown
from ternary_vae.resolution import kept
from ternary_vae.resolution.records import comparable, read_isolated_record, write_record
from ternary_vae.resolution.structure.codes import AxisCode
from ternary_vae.resolution.structure.measure import measure_structure, probes, structure_of
from ternary_vae.resolution.structure.records import StructureRecord, read_structure_record
from ternary_vae.space import Space
from ternary_vae.storage.checkpoints import Checkpoint, load_checkpoint, save_checkpoint


@pytest.mark.usefixtures("few_pairs")
def test_the_same_seed_gives_the_same_record(small_checkpoint_file: Path) -> None:
    """Whatever has been drawn before and however many cores there are."""
    first = comparable(measure_structure(load_checkpoint(small_checkpoint_file)))
    torch.manual_seed(99)
    before = torch.get_rng_state()
    torch.set_num_threads(2)
    again = comparable(measure_structure(load_checkpoint(small_checkpoint_file)))
    assert torch.get_num_threads() == 2
    assert torch.equal(torch.get_rng_state(), before)
    assert again["header"].pop("environment")["threads"] == 2
    del first["header"]["environment"]
    assert json.dumps(again) == json.dumps(first)


def test_the_record_says_what_was_measured(record: StructureRecord, checkpoint_file: Path) -> None:
    assert record.header.checkpoint_hash == hashlib.sha256(checkpoint_file.read_bytes()).hexdigest()
    assert (record.header.epoch, record.header.benchmark_seed, record.header.recipe) == (3, 0, "resolution")
    assert (record.space, record.operations, record.all_operations) == (TruthTables(values=3, inputs=2), 19_683, True)
    assert record.codes.keys() == {"vae_a", "vae_b", "ideal_axes_a", "ideal_axes_b", "random_orthogonal"}
    assert record.probes.keys() == known_properties(Space()).keys()
    assert record.codes["ideal_axes_a"].exact_match_rate == record.codes["ideal_axes_b"].exact_match_rate == 1


def test_ideal_axes_have_the_order_of_the_vaes_own(record: StructureRecord) -> None:
    for vae in ("a", "b"):
        own, ideal = (record.codes[f"{kind}_{vae}"].axes.entries for kind in ("vae", "ideal_axes"))
        assert [levels.order for levels in own] == [levels.order for levels in ideal]


def test_reading_a_record_back_is_lossless(record: StructureRecord, tmp_path: Path) -> None:
    path = tmp_path / "structure_3.json"
    write_record(path, record)
    assert read_structure_record(path) == record
    with pytest.raises(UserError, match="measure the checkpoint again"):
        read_isolated_record(path)


def test_weights_that_are_not_finite_are_refused(checkpoint_file: Path) -> None:
    checkpoint = load_checkpoint(checkpoint_file)
    weights = {**checkpoint.model, "encoder_A.fc_mu.bias": torch.full((16,), torch.nan)}
    with pytest.raises(UserError, match=r"epoch_3\.safetensors: the weights contain NaN"):
        measure_structure(replace(checkpoint, model=weights))


@pytest.mark.usefixtures("few_pairs")
def test_measures_of_a_sample_of_a_space_that_cannot_be_listed() -> None:
    """Full adders' space: 27 entries. Ideal axes are as good in it as where everything is counted."""
    space = Space(3, 3)
    tables = random_operations(4000, space, torch.Generator().manual_seed(0))
    code = AxisCode(space)
    found = structure_of(code, tables, code.encode(tables), seed=0)
    assert found.exact_match_rate == 1
    assert found.axes.active_units == 27
    # Without the part that is chance it would be 1.4% more.
    assert found.axes.additive_share == pytest.approx(1, abs=5e-3)
    assert found.arithmetic.affine_maps["inputs_exchanged"].exact_rate == 1
    assert [point.hamming for point in found.distances.by_hamming] == list(range(1, 28))
    read = probes(space, tables, code.encode(tables), code.encode(tables), seed=0)
    assert read["keeps_minus"].balanced_accuracy["table_one_hot"].mean == 1
    assert read["commutative"].balanced_accuracy == {}


@pytest.mark.usefixtures("few_pairs")
def test_a_model_of_such_a_space_is_measured_on_a_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three inputs, at random weights."""
    monkeypatch.setattr(kept, "SAMPLE", 300)
    recipe = load_recipe("three_inputs")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weights = DualVAE.of(recipe).state_dict()
    save_checkpoint(tmp_path / "epoch_1.safetensors", Checkpoint(1, 1, recipe, weights))
    found = measure_structure(load_checkpoint(tmp_path / "epoch_1.safetensors"))
    without = measure_structure(load_checkpoint(tmp_path / "epoch_1.safetensors"), probed=False)
    assert (without.probes, without.codes) == ({}, found.codes)
    assert (found.space, found.operations, found.all_operations) == (TruthTables(values=3, inputs=3), 300, False)
    assert len(found.codes["vae_a"].axes.carried[0]) == 27
    assert "3-adic" in structure_markdown([[found]], "")


def test_a_code_in_single_precision_is_told_so_before_it_is_measured() -> None:
    class Single(AxisCode):
        def encode(self, tables: torch.Tensor) -> torch.Tensor:
            return super().encode(tables).float()

    code, tables = Single(Space(2, 1)), torch.from_numpy(Space(2, 1).table(range(4)))
    with pytest.raises(ValueError, match=r"points are in double precision on the CPU; got torch\.float32 on cpu"):
        structure_of(code, tables, code.encode(tables).double(), 0)
