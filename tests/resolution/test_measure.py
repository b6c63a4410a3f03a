"""Whole benchmarks: the v5.5 reference checkpoint, sameness, headers, checkpoints that cannot be measured."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from few_draws import draw_few
from ternary_vae.errors import UserError
from ternary_vae.model import DualVAE
from ternary_vae.operations import Operations, operation_index
from ternary_vae.recipe import FULL_COVERAGE_DRAWS, load_recipe
from ternary_vae.resolution import coupled, isolated, measure
from ternary_vae.resolution.coverage import covers_everything
from ternary_vae.resolution.kept import Kept
from ternary_vae.resolution.measure import measure_coupled, measure_isolated
from ternary_vae.resolution.records import CoupledRecord, IsolatedRecord
from ternary_vae.splits import drawn_operations, training_split
from ternary_vae.storage.checkpoints import Checkpoint, load_checkpoint, model_of

REFERENCE = Path(__file__).parents[2] / "../shared/reference/v5_5_epoch_20.pt"
needs_reference = pytest.mark.skipif(not REFERENCE.exists(), reason="the reference checkpoint is not here")
Records = tuple[IsolatedRecord, CoupledRecord]


@pytest.fixture(scope="module")
def reference() -> tuple[IsolatedRecord, CoupledRecord, dict[str, Any]]:
    """Both benchmarks of it, with half of the repeats, and what they ought to be."""
    checkpoint = load_checkpoint(REFERENCE)
    truth = json.loads(REFERENCE.with_suffix(".json").read_text())
    with pytest.MonkeyPatch.context() as patch:
        draw_few(patch.setattr)
        for module, name, draws in (
            (isolated, "sampling", isolated.COVERAGE_DRAWS),
            (coupled, "cross_injected_sampling", coupled.COVERAGE_DRAWS),
        ):
            patch.setattr(module, name, partial(getattr(module, name), draws=draws, repeats=4, curve=(draws,)))
        return measure_isolated(checkpoint), measure_coupled(checkpoint), truth


@needs_reference
@pytest.mark.parametrize("vae", ["vae_a", "vae_b"])
def test_deterministic_figures_of_one_vae_agree_with_the_reference(reference: Any, vae: str) -> None:
    measured, truth = getattr(reference[0], vae), reference[2][vae]
    expected = truth["reconstruction"]
    section = measured.reconstruction
    assert section.exact_match_rate == pytest.approx(expected["exact_match_rate"], abs=1e-6)
    assert section.mean_bit_error == pytest.approx(expected["mean_bit_error"], abs=1e-6)
    assert section.median_bit_error == expected["median_bit_error"]
    assert section.max_bit_error == expected["max_bit_error"]
    assert section.zero_error_count == expected["zero_error_count"]
    assert {str(wrong): count for wrong, count in section.error_histogram.items()} == expected["error_histogram"]
    separation = measured.latent_separation
    assert separation.latent_norm_mean == pytest.approx(truth["latent_norm_mean"], rel=1e-6)
    assert separation.latent_norm_standard_deviation == pytest.approx(truth["latent_norm_std"], rel=1e-6)
    ratio = measured.dimensionality.participation_ratio
    assert ratio == pytest.approx(truth["effective_dim_all_operations"], rel=1e-6)


@needs_reference
def test_deterministic_figures_of_both_vaes_agree_with_the_reference(reference: Any) -> None:
    measured, truth = reference[1], reference[2]
    for strategy, expected in truth["ensemble_reconstruction"].items():
        section = getattr(measured.ensemble_reconstruction, strategy)
        assert section.exact_match_rate == pytest.approx(expected["exact_match_rate"], abs=1e-6)
    errors = truth["complementary_coverage_by_errors"]
    section = measured.complementary_coverage
    assert (section.errors_a_fewer, section.errors_b_fewer) == (errors["vae_a_best"], errors["vae_b_best"])
    assert section.complementarity_score_by_errors == errors["complementarity_score"]
    coupling = truth["latent_coupling_all_operations"]
    assert measured.latent_coupling.mean_correlation == pytest.approx(coupling["mean_correlation"], abs=1e-6)
    assert measured.latent_coupling.mean_distance == pytest.approx(coupling["mean_distance"], rel=1e-6)


@needs_reference
def test_sampled_figures_agree_with_the_reference_within_three_spreads(reference: Any) -> None:
    alone, both, truth = reference
    pairs = [
        (getattr(alone, vae).sampling_coverage.categorical, truth[vae]["sampling_coverage_categorical_50000"])
        for vae in ("vae_a", "vae_b")
    ]
    for key in ("cross_injected_sampling_rho_05", "cross_injected_sampling_rho_07"):
        section = getattr(both, key)
        assert section.draws == truth[key]["n_samples"]
        pairs.append((section, truth[key]))
    for section, expected in pairs:
        assert abs(section.coverage_rate - expected["mean"]) < 3 * expected["std_over_8_repeats"]
        assert 0 < section.interval.standard_deviation < 3 * expected["std_over_8_repeats"]


@needs_reference
def test_the_split_of_a_v5_5_checkpoint_is_unknown(reference: Any) -> None:
    header = reference[0].header
    assert (header.source, header.epoch, header.recipe) == ("v5.5", 20, "ternary_v5_5")
    assert reference[0].vae_a.held_out.test_exact_match_rate is None
    assert reference[0].vae_a.held_out.test_count == 0


def test_the_header_says_what_was_measured(records: Records, checkpoint_file: Path) -> None:
    for record in records:
        header = record.header
        assert header.recipe == "resolution"
        assert header.recipe_fingerprint == load_checkpoint(checkpoint_file).recipe.fingerprint()
        assert (header.epoch, header.training_seed, header.benchmark_seed, header.source) == (3, 42, 0, "native")
        assert header.checkpoint_hash == hashlib.sha256(checkpoint_file.read_bytes()).hexdigest()
        assert header.environment.torch == torch.__version__
        assert header.elapsed_seconds > 0


def test_a_native_checkpoint_is_held_against_its_own_split(records: Records, checkpoint_file: Path) -> None:
    checkpoint = load_checkpoint(checkpoint_file)
    split = training_split(checkpoint.recipe)
    section = records[0].vae_a.held_out
    assert (section.validation_count, section.test_count) == (len(split.validation), len(split.test))
    assert records[1].coupled_reconstruction.rho == model_of(checkpoint).permeability == 0.3


def test_weights_of_another_split_have_seen_nobody_knows_what(checkpoint_file: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(checkpoint_file)
    changed = replace(checkpoint, state={**checkpoint.state, "split_known": False})
    kept = Kept(changed, torch.device("cpu"))
    errors = torch.zeros(2, 19_683, dtype=torch.long)
    assert [part.test_count for part in measure._held_out(kept, model_of(changed), errors)] == [0, 0]


def test_a_large_space_is_held_out_as_training_draws_from_it() -> None:
    """VAE-A is exact on what is validated with alone, VAE-B on what is tested with alone."""
    shares = {"data.train_share": 0.3, "data.validation_share": 0.4}
    recipe = load_recipe(overrides={"space.values": 3, "space.inputs": 3, **shares}, seed=5)
    model, generator = DualVAE.of(recipe), torch.Generator().manual_seed(1)
    parts = [drawn_operations(recipe, *how) for how in ((40, generator), (50, generator, "validation"))]
    tables = torch.cat([*parts, drawn_operations(recipe, 60, generator, "test")])
    kept = Kept(Checkpoint(1, 1, recipe, model.state_dict()), torch.device("cpu"))
    kept.operations = Operations(tables, operation_index(tables, model.space))
    wrong = torch.ones(2, 150, dtype=torch.int8)
    wrong[0, 40:90] = wrong[1, 90:] = 0
    found = [tuple(part.model_dump().values()) for part in measure._held_out(kept, model, wrong)]
    assert found == [(1, 0, 50, 60), (0, 1, 50, 60)]


def test_untrained_weights_know_nothing(records: Records) -> None:
    """Random weights: a handful of operations, whatever the latent."""
    alone, both = records
    for vae in (alone.vae_a, alone.vae_b):
        assert vae.reconstruction.exact_match_rate < 0.01
        assert vae.resolution_curve.half_sigma is None
    assert both.ensemble_reconstruction.voting.exact_match_rate == alone.vae_b.reconstruction.exact_match_rate
    homes = both.complementary_coverage
    assert homes.home_a + homes.home_b + homes.home_neither == 19_683


def test_untrained_weights_cover_little(checkpoint_file: Path) -> None:
    """With as many draws as benchmarks have: only entries drawn one by one meet most operations."""
    model, generator = model_of(load_checkpoint(checkpoint_file)), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for vae in ("A", "B"):
            coverage, *_ = isolated.sampling(model, vae, generator, repeats=2)
            assert coverage.decoded.coverage_rate < 0.5 < coverage.categorical.coverage_rate
        assert not covers_everything(model, FULL_COVERAGE_DRAWS, lambda _: generator)


@pytest.mark.usefixtures("few_draws")
def test_measuring_leaves_threads_and_random_numbers_alone(small_checkpoint_file: Path) -> None:
    """Also where several tasks are done side by side, each on one thread."""
    checkpoint = load_checkpoint(small_checkpoint_file)
    torch.manual_seed(9)
    torch.set_num_threads(2)
    state = torch.get_rng_state()
    measure_isolated(checkpoint)
    measure_coupled(checkpoint)
    broken = {name: torch.full_like(tensor, 1e30) for name, tensor in checkpoint.model.items()}
    with pytest.raises(UserError):
        measure_isolated(replace(checkpoint, model=broken))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("few_draws")
def test_checkpoints_that_cannot_be_measured_say_why(small_checkpoint_file: Path) -> None:
    checkpoint = load_checkpoint(small_checkpoint_file)
    not_finite = {name: tensor.clone() for name, tensor in checkpoint.model.items()}
    not_finite["decoder_A.decoder.0.bias"][0] = float("nan")
    with pytest.raises(UserError, match="NaN"):
        measure_coupled(replace(checkpoint, model=not_finite))
    overflowing = {name: torch.full_like(tensor, 1e30) for name, tensor in checkpoint.model.items()}
    with pytest.raises(UserError, match=r"epoch_3\.safetensors.*encoders answer NaN or infinity"):
        measure_coupled(replace(checkpoint, model=overflowing))
    with pytest.raises(UserError, match=r"^checkpoint of epoch 3: its encoders"):
        measure_isolated(replace(checkpoint, model=overflowing, path=None))
    exploded = {name: tensor.clone() for name, tensor in checkpoint.model.items()}
    exploded["encoder_B.fc_logvar.bias"] += 1e5
    with pytest.raises(UserError, match=r"LatentSeparation.mean_posterior_standard_deviation came out as inf"):
        measure_isolated(replace(checkpoint, model=exploded))
