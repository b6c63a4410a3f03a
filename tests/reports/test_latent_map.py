"""The map's data, held against slow independent computations on a model with random weights."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from few_draws import noise_draws
from ternary_vae.model import DualVAE, logits_to_tables
from ternary_vae.operations import TWO_INPUT_TERNARY, all_operations, hamming_distance
from ternary_vae.recipe import load_recipe
from ternary_vae.reports import latent_map as maps
from ternary_vae.reports.measurements import measurements_of_run
from ternary_vae.reports.page_data import page_data, script_safe_json
from ternary_vae.resolution.kept import DISTANCES, ENCODINGS, UNDER_NOISE, WRONG_ENTRIES, Kept, save_kept
from ternary_vae.storage.checkpoints import Checkpoint
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.storage.tensor_cache import TensorCache


@pytest.fixture(scope="module", autouse=True)
def _quick_maps() -> None:
    """Here the nearest operation is looked for among all."""


@pytest.fixture(scope="module")
def model() -> DualVAE:
    torch.manual_seed(5)
    return DualVAE().eval()


@pytest.fixture(scope="module")
def drawn(model: DualVAE) -> maps.LatentMap:
    with noise_draws(10):
        return maps.latent_map(model)


def test_principal_components_against_the_singular_value_decomposition() -> None:
    torch.manual_seed(1)
    points = torch.randn(500, 16) * torch.linspace(3, 0.1, 16) + 5
    axes, share = maps.principal_axes(points)
    centred = points.double() - points.double().mean(0)
    left, values, _ = torch.linalg.svd(centred, full_matrices=False)
    torch.testing.assert_close((centred @ axes).abs(), (left * values)[:, :3].abs())
    torch.testing.assert_close(share, (values**2 / (values**2).sum())[:3])
    again, _ = maps.principal_axes(points.flip(0))
    torch.testing.assert_close(again, axes)


def test_points_of_two_dimensions_do_not_vary_along_a_third() -> None:
    points = torch.randn(50, 2, generator=torch.Generator().manual_seed(2))
    axes, share = maps.principal_axes(points)
    assert (axes.shape, share.shape) == ((2, 3), (3,))
    assert axes[:, 2].tolist() == [0, 0]
    assert share[2] == 0
    assert float(share.sum()) == pytest.approx(1)


def test_points_that_do_not_vary_have_no_variance() -> None:
    _, share = maps.principal_axes(torch.ones(20, 16))
    assert share.tolist() == [0, 0, 0]


def test_errors_and_neighbours_of_every_operation(model: DualVAE, drawn: maps.LatentMap) -> None:
    with torch.no_grad():
        posteriors = model.encode(all_operations())
        for side, mu, vae in ((drawn.a, posteriors.mu_a, "A"), (drawn.b, posteriors.mu_b, "B")):
            answers = logits_to_tables(model.decode(mu, vae))
            np.testing.assert_array_equal(side.errors, hamming_distance(answers, all_operations()).numpy())
            for index in (0, 9_841, 19_682):
                distance = (mu.double() - mu[index].double()).norm(dim=1)
                distance[index] = torch.inf
                near = all_operations()[distance.argmin()]
                assert side.neighbour_distance[index] == (near != all_operations()[index]).sum()


def test_what_the_benchmarks_kept_is_read_and_nothing_is_written(
    model: DualVAE, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept here is nothing that the model would answer, so that it shows."""
    checkpoint = Checkpoint(7, 7, load_recipe(), model.state_dict())
    store, device = TensorCache(tmp_path), torch.device("cpu")
    following = (torch.arange(TWO_INPUT_TERNARY.operations) + 1) % TWO_INPUT_TERNARY.operations
    for name, tensor in (
        *((name, torch.randn(2, TWO_INPUT_TERNARY.operations, 16)) for name in ENCODINGS.values()),
        *(
            (name, torch.stack([following.double(), torch.ones(TWO_INPUT_TERNARY.operations)]))
            for name in DISTANCES.values()
        ),
        (WRONG_ENTRIES, torch.tensor([[3], [4]], dtype=torch.int8).expand(2, TWO_INPUT_TERNARY.operations)),
        (UNDER_NOISE, torch.tensor([[1], [2], [3], [4]], dtype=torch.int16).expand(4, TWO_INPUT_TERNARY.operations)),
    ):
        save_kept(store, checkpoint, device, name, tensor)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    monkeypatch.setattr(DualVAE, "encode", None)
    monkeypatch.setattr(DualVAE, "decode", None)
    drawn = maps.latent_map(model, Kept(checkpoint, device, store))
    assert (drawn.a.errors == 3).all()
    assert (drawn.b.errors == 4).all()
    assert (drawn.home == 1).all()
    assert (drawn.a.exact_under_noise == 0.4).all()
    assert (drawn.b.exact_under_noise == 0.5).all()
    tables = all_operations()
    for side in (drawn.a, drawn.b):
        np.testing.assert_array_equal(side.neighbour_distance, hamming_distance(tables, tables[following]).numpy())
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_home_is_where_fewer_entries_are_wrong(drawn: maps.LatentMap) -> None:
    differ = drawn.a.errors != drawn.b.errors
    assert differ.any()
    np.testing.assert_array_equal(drawn.home[differ], np.sign(drawn.b.errors - drawn.a.errors)[differ])
    assert set(np.unique(drawn.home)) <= {-1, 0, 1}


def test_the_packed_map_unpacks_to_the_same_picture(failing_run: RunDirectory, drawn: maps.LatentMap) -> None:
    packed = page_data(measurements_of_run(failing_run), drawn)["map"]
    for side, name in ((drawn.a, "a"), (drawn.b, "b")):
        for axis in range(3):
            steps = np.frombuffer(base64.b64decode(packed[name]["positions"][axis]), "<i2")
            reach = np.abs(side.positions[:, axis]).max()
            np.testing.assert_allclose(
                steps * packed[name]["scales"][axis], side.positions[:, axis], atol=reach / 65_000
            )
        for key, whole in (("errors", side.errors), ("neighbour", side.neighbour_distance)):
            np.testing.assert_array_equal(np.frombuffer(base64.b64decode(packed[name][key]), np.uint8), whole)
        assert packed[name]["variance"] == side.variance.tolist()
    home = np.frombuffer(base64.b64decode(packed["home"]), np.uint8)
    np.testing.assert_array_equal(home == 0, drawn.home == 1)
    np.testing.assert_array_equal(home == 1, drawn.home == -1)
    assert len(home) == TWO_INPUT_TERNARY.operations


def test_data_in_a_script_element_cannot_end_it() -> None:
    text = script_safe_json({"message": "</script><script>alert(1)</script>\u2028&amp;"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text)["message"].startswith("</script>")
    with pytest.raises(ValueError, match="JSON"):
        script_safe_json({"value": float("nan")})


def test_six_digits_never_make_a_perfect_epoch(failing_run: RunDirectory) -> None:
    measured = measurements_of_run(failing_run)
    measured.metrics[0]["exact_match_a"] = 1 - 1e-9
    measured.metrics[1]["exact_match_a"] = 1.0
    column = page_data(measured, None)["metrics"]["exact_match_a"]
    assert column[0] < 1
    assert column[1] == 1
    assert page_data(measured, None)["map"] is None
