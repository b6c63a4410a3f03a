"""Measures of one VAE against closed forms, enumeration and double loops."""

from __future__ import annotations

import itertools

import pytest
import torch
from known_decoders import ALL, THIRD, IgnoringDecoder, ThresholdDecoder

from ternary_vae.model import Sizes
from ternary_vae.operations import TWO_INPUT_TERNARY, Operations, all_operations, operation_index
from ternary_vae.recipe import load_recipe
from ternary_vae.resolution import isolated
from ternary_vae.resolution.records import CurvePoint
from ternary_vae.resolution.statistics import named_generator
from ternary_vae.space import Space
from ternary_vae.splits import training_split


def generator() -> torch.Generator:
    return named_generator(11, "isolated", "cpu")


def test_wrong_entries_of_a_perfect_an_inverting_and_an_ignoring_decoder() -> None:
    decoder = ThresholdDecoder()
    assert int(isolated.wrong_entries(decoder, "B", decoder.means("B"), ALL).sum()) == 0
    inverted = isolated.wrong_entries(ThresholdDecoder(sign=-1), "A", decoder.means("A"), ALL)
    assert torch.equal(inverted, (all_operations() != 0).sum(dim=1))
    ignoring = isolated.wrong_entries(IgnoringDecoder(), "A", decoder.means("A"), ALL)
    assert torch.equal(ignoring, (all_operations() != -1).sum(dim=1))


def test_reconstruction_counts_errors() -> None:
    errors = torch.zeros(TWO_INPUT_TERNARY.operations, dtype=torch.long)
    errors[:10_000] = 3
    errors[:5_000] = 5
    errors[0] = 9
    section = isolated.reconstruction(errors, TWO_INPUT_TERNARY)
    assert section.zero_error_count == 9_683
    assert section.exact_match_rate == 9_683 / 19_683
    assert section.mean_bit_error == (5_000 * 3 + 4_999 * 5 + 9) / 19_683
    assert section.median_bit_error == 3.0
    assert section.max_bit_error == 9
    assert section.error_histogram == {0: 9_683, 3: 5_000, 5: 4_999, 9: 1}


def test_distances_agree_with_a_double_loop() -> None:
    count = 150  # more than two blocks of rows
    mu = 20 + torch.randn(count, 16, generator=generator())
    logvar = torch.randn(count, 16, generator=generator())
    separation, neighbours = isolated.distances(mu, logvar, isolated.pair_distances(mu), ALL.rows(slice(count)))
    tables = all_operations().tolist()
    all_distances, nearest_distances, hamming = [], [], []
    for i in range(count):
        candidates = []
        for j in range(count):
            if i != j:
                distance = sum((a - b) ** 2 for a, b in zip(mu[i].tolist(), mu[j].tolist())) ** 0.5
                candidates.append((distance, j))
        all_distances += [distance for distance, _ in candidates]
        nearest, j = min(candidates)
        nearest_distances.append(nearest)
        hamming.append(sum(a != b for a, b in zip(tables[i], tables[j])))
    assert separation.mean_distance == pytest.approx(sum(all_distances) / len(all_distances), rel=1e-9)
    assert separation.minimum_distance == pytest.approx(min(all_distances), rel=1e-9)
    assert separation.mean_nearest_distance == pytest.approx(sum(nearest_distances) / count, rel=1e-9)
    assert neighbours.mean_hamming == pytest.approx(sum(hamming) / count, rel=1e-9)
    assert neighbours.hamming_1_rate == hamming.count(1) / count
    deviation = float((logvar / 2).exp().mean())
    assert separation.mean_posterior_standard_deviation == pytest.approx(deviation, rel=1e-5)
    assert separation.separation_ratio == pytest.approx(sum(nearest_distances) / count / deviation, rel=1e-5)
    assert separation.latent_norm_mean == pytest.approx(float(mu.norm(dim=1).mean()), rel=1e-6)


def test_pair_distances_against_all_distances() -> None:
    points = torch.randn(700, 16, generator=generator())
    expected = torch.cdist(points.double(), points.double())
    neighbours, sums = isolated.pair_distances(points)
    torch.testing.assert_close(sums, expected.sum(dim=1))
    assert torch.equal(neighbours.long(), expected.fill_diagonal_(torch.inf).argmin(dim=1))
    assert isolated.pair_distances(torch.ones(200, 16))[0].tolist() == [1.0] + [0.0] * 199  # the first of many


def test_pair_distances_depend_on_no_number_of_threads() -> None:
    points, found = torch.randn(2000, 16, generator=generator()), []
    for threads in (1, 2):
        torch.set_num_threads(threads)  # `_one_core` sets it back
        found.append(isolated.pair_distances(points))
    assert torch.equal(*found)


def test_the_nearest_neighbour_of_a_truth_table_in_its_own_cell_grid_differs_in_one_entry() -> None:
    mu = ThresholdDecoder().means("A", centre=0.5)
    separation, neighbours = isolated.distances(
        mu, torch.zeros(TWO_INPUT_TERNARY.operations, 16), isolated.pair_distances(mu), ALL
    )
    assert neighbours.hamming_1_rate == 1.0
    assert neighbours.mean_hamming == 1.0
    assert separation.minimum_distance == separation.mean_nearest_distance == 0.5


def test_collapsed_posterior_means_have_no_distance_and_no_dimension() -> None:
    mu = torch.full((500, 16), 0.1)
    separation, _ = isolated.distances(mu, torch.zeros(500, 16), isolated.pair_distances(mu), ALL.rows(slice(500)))
    assert separation.mean_distance == separation.minimum_distance == 0.0
    section = isolated.dimensionality(torch.ones(500, 16))
    assert section.participation_ratio == section.efficiency == 0.0
    assert section.dimensions_95 == section.dimensions_99 == 0


def test_dimensionality_of_a_known_spectrum() -> None:
    scale = torch.tensor([4.0, 2.0, 1.0] + [0.0] * 13)
    mu = 7 + torch.cat([torch.diag(scale), -torch.diag(scale)])
    section = isolated.dimensionality(mu)  # eigenvalues 16 : 4 : 1
    assert section.participation_ratio == pytest.approx(21**2 / (16**2 + 4**2 + 1), rel=1e-12)
    assert section.efficiency == pytest.approx(section.participation_ratio / 16, rel=1e-12)
    assert section.dimensions_95 == 2  # 20/21 = 95.2%
    assert section.dimensions_99 == 3


def test_interpolation_between_known_cells() -> None:
    decoder = ThresholdDecoder()
    straight = isolated.interpolation(decoder, "A", decoder.means("A"), ALL, generator())
    assert straight.valid_rate == straight.between_rate == 1.0
    assert (straight.pairs, straight.steps) == (4_000, 9)

    # A decoder that negates the last entry, which is between with a probability that nine pairs of ends enumerate.
    expected = 0.0
    for step in range(1, 10):
        inside = 0
        for first, second in itertools.product((-1, 0, 1), repeat=2):
            value = first + (second - first) * step / 10
            answer = (value < -THIRD) - (value > THIRD)
            inside += min(first, second) <= answer <= max(first, second)
        expected += inside / 9 / 9
    last = torch.tensor([1] * 8 + [-1])
    flipped = ThresholdDecoder(sign=last)
    negating = isolated.interpolation(flipped, "A", decoder.means("A"), ALL, generator(), pairs=20_000)
    # Five standard errors, as if the nine points of a pair were one.
    margin = 5 * (expected * (1 - expected) / 20_000) ** 0.5
    assert 0.2 < expected < 0.9
    assert negating.between_rate == pytest.approx(expected, abs=margin)


def test_the_resolution_curve_of_known_cells() -> None:
    decoder = ThresholdDecoder()
    section = isolated.resolution_curve(decoder, "B", decoder.means("B", centre=2.0), ALL, generator())
    assert (section.points[0].sigma, section.points[-1].sigma) == (0, 2)
    for point in section.points:
        assert point.exact_match_rate == pytest.approx(decoder.exact_rate(point.sigma, 2.0), abs=5 * 0.0036)
    assert section.half_sigma is not None
    # The curve is steep there: 5 standard errors in the rate are 0.01 in σ; linear interpolation adds at most as much.
    assert decoder.exact_rate(section.half_sigma - 0.02, 2.0) > 0.5 > decoder.exact_rate(section.half_sigma + 0.02, 2.0)


class SignDecoder:
    """Of four Boolean entries, each the sign of a coordinate."""

    sizes = Sizes(Space(2, 2), latent_dimensions=4)

    def decode(self, z: torch.Tensor, vae: str) -> torch.Tensor:
        return torch.stack([-z, z], dim=-1)


def test_the_curve_of_a_small_space_is_as_precise() -> None:
    tables = torch.cartesian_prod(*[torch.arange(2)] * 4).to(torch.int8)
    operations = Operations(tables, operation_index(tables, Space(2, 2)))
    section = isolated.resolution_curve(SignDecoder(), "A", 2.0 * tables - 1, operations, generator())
    for point in section.points[1:]:
        exact = float(torch.special.ndtr(torch.tensor(1 / point.sigma))) ** 4
        assert point.exact_match_rate == pytest.approx(exact, abs=5 * 0.0036)


def test_the_curve_goes_on_until_half_is_lost_and_no_further() -> None:
    wide = ThresholdDecoder(threshold=10.0)
    section = isolated.resolution_curve(wide, "A", wide.means("A", centre=25.0), ALL, generator())
    sigmas = [point.sigma for point in section.points]
    assert sigmas[21:] == [2.5, 3.0, 4.0, 5.0, 6.0, 8.0]
    assert section.points[-1].exact_match_rate < 0.5 <= section.points[-2].exact_match_rate
    assert section.half_sigma is not None
    assert 6 < section.half_sigma < 8
    wider = ThresholdDecoder(threshold=1e4)
    endless = isolated.resolution_curve(wider, "A", wider.means("A", centre=3e4), ALL, generator())
    assert endless.points[-1].sigma == 16
    assert endless.half_sigma is None


def test_half_sigma() -> None:
    def crossing(*rates: float) -> float | None:
        return isolated.half_sigma([CurvePoint(sigma=s, exact_match_rate=rate) for s, rate in enumerate(rates)])

    assert crossing(1.0, 0.75, 0.25) == 1.5
    assert crossing(0.5, 0.4) == 0.0
    assert crossing(0.4, 0.3) is None
    assert crossing(1.0, 0.5) is None


def test_held_out_looks_at_the_recipes_own_parts() -> None:
    recipe = load_recipe("ternary_v5_5")
    split = training_split(recipe)
    errors = torch.zeros(TWO_INPUT_TERNARY.operations, dtype=torch.long)
    errors[split.validation] = 1
    errors[split.test[: len(split.test) // 2]] = 2
    section = isolated.held_out(errors, split)
    assert section.validation_exact_match_rate == 0.0
    assert section.test_exact_match_rate == pytest.approx(0.5, abs=1e-3)
    assert (section.validation_count, section.test_count) == (len(split.validation), len(split.test)) == (1_968, 1_969)

    for none in (training_split(load_recipe("resolution")), None):
        empty = isolated.held_out(errors, none)
        assert empty.validation_exact_match_rate is empty.test_exact_match_rate is None
        assert empty.validation_count == empty.test_count == 0
