"""Coverage against closed forms and against a Python set."""

from __future__ import annotations

import pytest
import torch
from known_decoders import THIRD, IgnoringDecoder, ThresholdDecoder, expected_coverage

from ternary_vae.limits import coverage_limit, coverage_standard_deviation
from ternary_vae.model import DualVAE, Sizes, logits_to_tables
from ternary_vae.operations import TWO_INPUT_TERNARY, operation_index
from ternary_vae.resolution import coupled, coverage, isolated
from ternary_vae.resolution.statistics import named_generator


def generator(name: str = "test") -> torch.Generator:
    return named_generator(7, name, "cpu")


@pytest.mark.parametrize("vae", ["A", "B"])
def test_a_uniform_decoder_meets_the_coupon_collectors_limit(vae: str) -> None:
    section, _, information = isolated.sampling(ThresholdDecoder(), vae, generator(vae))
    assert information.mutual_information_bits == pytest.approx(TWO_INPUT_TERNARY.bits, abs=0.003)
    assert information.mutual_information_bits <= information.limit_bits == TWO_INPUT_TERNARY.bits
    assert information.draws == 400_000
    for measured in (section.decoded, section.categorical):
        assert measured.draws == 50_000
        assert measured.coverage_limit == pytest.approx(0.9212, abs=5e-5)
        assert measured.interval.low <= measured.coverage_limit <= measured.interval.high
        # Five standard errors of a mean of 8.
        margin = 5 * coverage_standard_deviation(50_000) / 8**0.5
        assert measured.coverage_rate == pytest.approx(measured.coverage_limit, abs=margin)
    for point in section.by_draws:
        margin = 5 * coverage_standard_deviation(point.draws) / 8**0.5
        assert point.coverage_rate == pytest.approx(coverage_limit(point.draws), abs=margin)


def test_a_decoder_that_ignores_its_latent_is_perfect_when_drawn_from_and_worthless_when_decoded() -> None:
    section, _, information = isolated.sampling(IgnoringDecoder(), "A", generator())
    margin = 5 * coverage_standard_deviation(50_000) / 8**0.5
    assert section.categorical.coverage_rate == pytest.approx(coverage_limit(50_000), abs=margin)
    assert section.decoded.coverage_rate == 1 / TWO_INPUT_TERNARY.operations
    assert section.decoded.interval.standard_deviation == 0
    assert information.mutual_information_bits == 0


def test_an_uneven_decoder_meets_its_own_expectation_and_not_the_limit() -> None:
    decoder = ThresholdDecoder(threshold=0.8)
    section, _, information = isolated.sampling(decoder, "A", generator())
    expected = expected_coverage(decoder.prior_probabilities(), 50_000)
    assert expected < 0.8 * coverage_limit(50_000)
    # The spread of one repeat is below 0.15 points for 50,000 draws.
    assert section.decoded.coverage_rate == pytest.approx(expected, abs=5 * 0.0015 / 8**0.5)
    probabilities = decoder.prior_probabilities()
    exact = float(-(probabilities * probabilities.log2()).sum())
    assert exact < 13
    assert information.mutual_information_bits == pytest.approx(exact, abs=0.012)  # 4 standard errors


@pytest.mark.parametrize("rho", [0.5, 0.7])
def test_cross_injected_sampling_is_the_prior_widened_by_the_additive_mix_only(rho: float) -> None:
    decoder = ThresholdDecoder()
    section = coupled.cross_injected_sampling(decoder, rho, generator(), repeats=4)
    margin = 5 * coverage_standard_deviation(100_000) / 2
    assert section.draws == section.prior_preserving.draws == 100_000
    assert section.prior_preserving.coverage_rate == pytest.approx(coverage_limit(100_000), abs=margin)
    expected = expected_coverage(decoder.prior_probabilities((1 + rho**2) ** 0.5), 100_000)
    assert expected < coverage_limit(100_000) - 0.002
    assert section.coverage_rate == pytest.approx(expected, abs=2 * margin)
    assert section.by_draws[-1].coverage_rate == section.coverage_rate


@pytest.mark.parametrize(("draws", "points"), [(5, []), (2_001, [10, 2_000]), (6_000, [10, 2_000, 4_000])])
def test_what_is_said_of_so_many_draws_is_counted_on_so_many(draws: int, points: list[int]) -> None:
    """Whether a curve ends before or beyond them; of an odd number the halves of both VAEs make one fewer."""
    decoder, curve = ThresholdDecoder(), (11, 2_000, 4_000)
    section = coupled.cross_injected_sampling(decoder, 0.0, generator(), draws, 2, curve)
    assert [point.draws for point in section.by_draws] == points
    single, _, _ = isolated.sampling(decoder, "A", generator(), draws, 2, curve)
    assert [point.draws for point in single.by_draws] == ([11, *points[1:]] if points else [])
    for coverage_of in (section, section.prior_preserving, single.decoded, *section.by_draws, *single.by_draws):
        assert coverage_of.coverage_limit == coverage_limit(coverage_of.draws)
        margin = 6 * coverage_standard_deviation(coverage_of.draws)
        assert coverage_of.coverage_rate == pytest.approx(coverage_of.coverage_limit, abs=margin)
    assert (section.draws, single.decoded.draws) == (draws // 2 * 2, draws)


def test_counting_agrees_with_a_python_set() -> None:
    first, second = torch.randint(TWO_INPUT_TERNARY.operations, (2, 3_000), generator=generator())
    everything = {"operations": TWO_INPUT_TERNARY.operations}
    draws = (2, 10, 1_000, 6_000)
    slow = [len(set(first[: n // 2].tolist()) | set(second[: n // 2].tolist())) for n in draws]
    assert coverage.counts_by_draws(draws, first, second, **everything) == slow


@pytest.mark.parametrize("vae", ["A", "B"])
def test_indices_of_many_chunks_are_those_of_single_latents(vae: str) -> None:
    torch.manual_seed(3)
    model = DualVAE().eval()
    indices = coverage.decoded_indices(model, vae, 10_000, generator())
    z = coverage.prior_draws(model, 10_000, generator())
    assert len(coverage.in_chunks(z)) > 1
    for position in range(0, 10_000, 499):
        table = logits_to_tables(model.decode(z[position : position + 1], vae))
        assert int(indices[position]) == int(operation_index(table))


def test_a_categorical_draw_follows_the_softmax() -> None:
    class Constant:
        sizes = Sizes()

        def decode(self, z: torch.Tensor, vae: str) -> torch.Tensor:
            return torch.tensor([0.2, 0.5, 0.3]).log().expand(len(z), 9, 3)

    decoded, drawn = coverage.decoded_and_categorical_indices(Constant(), "A", 60_000, generator())
    assert set(decoded.tolist()) == {(TWO_INPUT_TERNARY.operations - 1) // 2}  # class 1, the value 0, everywhere
    for entry in range(9):
        shares = torch.bincount(drawn // 3**entry % 3, minlength=3) / 60_000
        # Five standard errors: 5·√(0.25/60,000).
        torch.testing.assert_close(shares, torch.tensor([0.2, 0.5, 0.3]), atol=0.0102, rtol=0)


def test_covering_everything_needs_both_vaes() -> None:
    class Half(ThresholdDecoder):
        def decode(self, z: torch.Tensor, vae: str) -> torch.Tensor:
            return super().decode(z if vae == "A" else 0 * z, vae)

    def generator_for(name: str) -> torch.Generator:
        return generator(name)

    # 600,000 uniform draws leave one of 19,683 unmet with probability 1e-9 each.
    assert coverage.covers_everything(ThresholdDecoder(THIRD), 600_000, generator_for)
    assert not coverage.covers_everything(Half(THIRD), 600_000, generator_for)
    assert not coverage.covers_everything(ThresholdDecoder(THIRD), 19_682, generator_for)
