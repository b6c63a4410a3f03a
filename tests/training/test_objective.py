"""Every term of the objective against a slow independent version or a closed form."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from ternary_vae.limits import OPERATION_BITS
from ternary_vae.model import DualVAE
from ternary_vae.operations import all_operations
from ternary_vae.recipe import Objective, PriorInformation, load_recipe
from ternary_vae.resolution.isolated import dimensionality
from ternary_vae.training import objective as terms_of
from ternary_vae.training.objective import Controls, Noise, Weights, objective

N = 12


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(11)


@pytest.fixture
def logits(generator):
    return torch.randn(N, 9, 3, generator=generator, dtype=torch.float64) * 2


@pytest.fixture
def z(generator):
    return torch.randn(N, 16, generator=generator, dtype=torch.float64)


def double_model(injection="plain", seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return DualVAE(injection).double()


def batch(generator, count=N):
    tables = all_operations()[torch.randint(19_683, (count,), generator=generator)]
    return tables.double(), tables.long() + 1


def noise_for(generator, count=N, prior=False):
    epsilon = torch.randn(2, count, 16, generator=generator, dtype=torch.float64)
    if not prior:
        return Noise(*epsilon)
    draws = torch.randn(20, 16, generator=generator, dtype=torch.float64)
    return Noise(*epsilon, draws, torch.tensor([[0, 3, 5, 6, 8]]))


def controls_with(**changes):
    plain = {
        "learning_rate": 1e-3, "rho": 0.3, "temperature_a": 0.9, "temperature_b": 0.7, "beta_a": 0.4, "beta_b": 0.25,
        "lambda1": 0.6, "lambda2": 0.8, "lambda3": 0.3, "repulsion_b": 0.0,
    }  # fmt: skip
    return Controls(**(plain | changes))


BARE = Objective(output_entropy_b=0.0, repulsion_b=0.0, entropy_alignment=0.0)


class TestCrossEntropy:
    def test_by_loops(self, logits, generator):
        _, classes = batch(generator)
        expected = [
            -sum(
                math.log(math.exp(logits[i, j, classes[i, j]]) / sum(math.exp(logits[i, j, k]) for k in range(3)))
                for j in range(9)
            )
            for i in range(N)
        ]
        assert terms_of.entry_cross_entropy(logits, classes).tolist() == pytest.approx(expected)

    def test_a_decoder_that_answers_thirds_costs_all_the_information(self):
        classes = torch.zeros(5, 9, dtype=torch.long)
        found = terms_of.entry_cross_entropy(torch.zeros(5, 9, 3), classes)
        assert (found / math.log(2)).tolist() == pytest.approx([OPERATION_BITS] * 5, rel=1e-6)


class TestKL:
    def test_against_torch_distributions(self, generator):
        mu = torch.randn(N, 16, generator=generator, dtype=torch.float64)
        logvar = torch.randn(N, 16, generator=generator, dtype=torch.float64)
        posterior = torch.distributions.Normal(mu, torch.exp(0.5 * logvar))
        prior = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
        expected = torch.distributions.kl_divergence(posterior, prior)
        assert terms_of.kl_divergence(mu, logvar).item() == pytest.approx(expected.sum(dim=1).mean().item())
        free = np.maximum(expected.numpy(), 0.5).sum(axis=1).mean()
        assert terms_of.kl_divergence(mu, logvar, 0.5).item() == pytest.approx(free)
        assert free > expected.sum(dim=1).mean().item() + 0.1

    def test_free_bits_are_a_floor_without_a_gradient(self):
        mu = torch.full((4, 16), 0.1, dtype=torch.float64, requires_grad=True)
        value = terms_of.kl_divergence(mu, torch.zeros(4, 16, dtype=torch.float64), 0.5)
        assert value.item() == pytest.approx(16 * 0.5)
        value.backward()
        assert mu.grad.abs().max() == 0

    def test_the_prior_itself_costs_nothing(self):
        assert terms_of.kl_divergence(torch.zeros(3, 16), torch.zeros(3, 16)).item() == 0


class TestOutputEntropy:
    def test_by_loops(self, logits):
        mean = np.mean([np.exp(row) / np.exp(row).sum(-1, keepdims=True) for row in logits.numpy()], axis=0)
        expected = np.mean([-sum(p * math.log(p) for p in entry) for entry in mean])
        assert terms_of.output_entropy(logits).item() == pytest.approx(expected)

    def test_extremes(self):
        certain = torch.full((6, 9, 3), -1e4)
        certain[..., 0] = 1e4
        assert terms_of.output_entropy(certain).item() == pytest.approx(0, abs=1e-6)
        certain[2:4] = certain[2:4].roll(1, dims=-1)
        certain[4:] = certain[4:].roll(2, dims=-1)
        assert terms_of.output_entropy(certain).item() == pytest.approx(math.log(3))


class TestRepulsion:
    @pytest.mark.parametrize("width", [0.25, 4.0])
    def test_by_double_loop(self, z, width):
        values = z.numpy() * 0.3
        kernel = [
            math.exp(-sum((values[i, d] - values[j, d]) ** 2 for d in range(16)) / width)
            for i, j in itertools.permutations(range(N), 2)
        ]
        assert terms_of.repulsion(z * 0.3, width).item() == pytest.approx(sum(kernel) / len(kernel), rel=1e-9)

    def test_extremes(self):
        assert terms_of.repulsion(torch.ones(5, 16)).item() == pytest.approx(1)
        assert terms_of.repulsion(100 * torch.arange(5.0)[:, None].expand(5, 16)).item() == 0
        assert terms_of.repulsion(torch.ones(1, 16)).item() == 0

    def test_its_gradient_pushes_apart(self):
        z = torch.zeros(2, 16, dtype=torch.float64)
        z[1, 0] = 0.1
        z.requires_grad_()
        terms_of.repulsion(z).backward()
        descent = -z.grad
        assert descent[1, 0] > 0 > descent[0, 0]


class TestLatentEntropy:
    def test_by_loops(self, z):
        """Triangular shares between the two nearest of 50 bin centres, written out for one value at a time."""
        values, entropies = z.numpy() * 1.5, []
        centres = [-3 + 0.12 * (k + 0.5) for k in range(50)]
        for d in range(16):
            counts = [
                sum(max(0.0, 1 - abs(min(max(v, centres[0]), centres[-1]) - centre) / 0.12) for v in values[:, d])
                for centre in centres
            ]
            entropies.append(-sum(c / N * math.log(c / N) for c in counts if c > 0))
        assert terms_of.latent_entropy(z * 1.5).item() == pytest.approx(np.mean(entropies), rel=1e-3)

    def test_close_to_the_plain_histogram_on_many_samples(self):
        """Standard normal: h − ln(bin width) = 1.4189 + 2.1203 = 3.5392 nats. 100,000 × 16 samples: the estimates' bias
        is below (bins − 1)/2N = 2.5e-4, the linear shares widen the density by width²/6: below 0.002."""
        z = torch.randn(100_000, 16, generator=torch.Generator().manual_seed(5))
        closed_form = 0.5 * math.log(2 * math.pi * math.e) - math.log(6 / 50)
        soft, plain = terms_of.latent_entropy(z).item(), terms_of.histogram_entropy(z).item()
        assert plain == pytest.approx(np.mean([_numpy_entropy(column) for column in z.numpy().T]), abs=1e-4)
        assert soft == pytest.approx(plain, abs=0.03)
        assert plain == pytest.approx(closed_form, abs=0.03)  # 0.27% of the mass lies beyond ±3

    def test_gradient_by_finite_differences(self, generator):
        z = torch.randn(6, 16, generator=generator, dtype=torch.float64).requires_grad_()
        (gradient,) = torch.autograd.grad(terms_of.latent_entropy(z), z)
        h = 1e-6
        for i, d in itertools.product(range(6), range(0, 16, 3)):
            step = torch.zeros_like(z)
            step[i, d] = h
            with torch.no_grad():
                slope = (terms_of.latent_entropy(z + step) - terms_of.latent_entropy(z - step)) / (2 * h)
            assert gradient[i, d].item() == pytest.approx(slope.item(), rel=1e-4, abs=1e-6)
        assert gradient.abs().max() > 0.01

    def test_alignment_descends(self):
        """Gradient descent on |H(z_A) − H(z_B)| brings the two entropies together."""
        generator = torch.Generator().manual_seed(0)
        wide, narrow = torch.randn(400, 16, generator=generator), 0.2 * torch.randn(400, 16, generator=generator)
        scale = torch.tensor(1.0, requires_grad=True)
        differences = []
        for _ in range(60):
            difference = (terms_of.latent_entropy(wide) - terms_of.latent_entropy(narrow * scale)).abs()
            differences.append(difference.item())
            (slope,) = torch.autograd.grad(difference, scale)
            scale = (scale.detach() - 0.1 * slope).requires_grad_()
        assert differences[-1] < 0.25 * differences[0]

    def test_histogram_leaves_out_what_lies_outside(self):
        z = torch.full((10, 16), 50.0)
        z[:5] = 0.01
        z[5:9] = 0.20
        expected = -(5 / 9 * math.log(5 / 9) + 4 / 9 * math.log(4 / 9))
        assert terms_of.histogram_entropy(z).item() == pytest.approx(expected, rel=1e-6)
        assert terms_of.histogram_entropy(torch.full((10, 16), 50.0)).item() == 0


def _numpy_entropy(values):
    counts, _ = np.histogram(values, bins=50, range=(-3, 3))
    share = counts[counts > 0] / counts.sum()
    return -(share * np.log(share)).sum()


class TestDecorrelation:
    def test_against_numpy(self, generator):
        mu_a, mu_b = torch.randn(2, N, 16, generator=generator, dtype=torch.float64)
        mu_b = mu_b + torch.linspace(0, 2, 16, dtype=torch.float64) * mu_a - 3
        each = [np.corrcoef(mu_a[:, d], mu_b[:, d])[0, 1] ** 2 for d in range(16)]
        assert terms_of.squared_correlation(mu_a, mu_b).item() == pytest.approx(np.mean(each), abs=1e-9)

    def test_extremes(self, z):
        assert terms_of.squared_correlation(z, 2 - 3 * z).item() == pytest.approx(1)
        assert terms_of.squared_correlation(z, torch.ones_like(z)) == 0  # a code that says nothing

    def test_descends_to_independent_codes(self, z, generator):
        mu_b = (z + 0.3 * torch.randn(z.shape, generator=generator, dtype=torch.float64)).requires_grad_()
        optimizer = torch.optim.Adam([mu_b], lr=0.05)
        first = terms_of.squared_correlation(z, mu_b).item()
        for _ in range(200):
            optimizer.zero_grad()
            terms_of.squared_correlation(z, mu_b).backward()
            optimizer.step()
        assert first > 0.8
        assert terms_of.squared_correlation(z, mu_b).item() < 0.01


class TestDimensions:
    def test_against_the_eigenvalues(self, z):
        mu = z * torch.linspace(0.1, 2, 16, dtype=torch.float64)
        expected = dimensionality(mu).participation_ratio
        assert terms_of.effective_dimensions(mu).item() == pytest.approx(expected)
        stacked = terms_of.effective_dimensions(torch.stack([mu, z]))
        assert stacked.tolist() == pytest.approx([expected, dimensionality(z).participation_ratio])

    def test_extremes(self, z):
        assert terms_of.effective_dimensions(torch.zeros_like(z)) == 0
        line = z[:, :1] * torch.arange(1.0, 17)
        assert terms_of.effective_dimensions(line).item() == pytest.approx(1)

    @pytest.mark.parametrize("most", [2.0, 16.0])
    def test_only_what_is_above_the_most_costs(self, generator, most):
        x, classes = batch(generator)
        model, noise = double_model(), noise_for(generator)
        limited = Objective.model_validate({"entropy_alignment": 0.0, "dimensions": {"weight": 0.5, "most": most}})
        losses = [
            objective(model, x, classes, noise, controls_with(), Weights(), each)
            for each in (Objective(entropy_alignment=0.0), limited)
        ]
        (mu_a, _), (mu_b, _) = model.encoder_A(x), model.encoder_B(x)
        excess = [max(0.0, dimensionality(mu.detach()).participation_ratio - most) for mu in (mu_a, mu_b)]
        assert [losses[1][1][f"excess_dimensions_{side}"].item() for side in "ab"] == pytest.approx(excess)
        assert (losses[1][0] - losses[0][0]).item() == pytest.approx(0.5 * sum(each**2 for each in excess))
        assert (sum(excess) > 0) == (most == 2)


class TestAlignment:
    def test_adds_the_squared_distance_of_the_means(self, generator):
        x, classes = batch(generator)
        model, noise = double_model(), noise_for(generator)
        settings = Objective(entropy_alignment=0.0)
        losses = [
            objective(model, x, classes, noise, controls_with(), Weights(), each)
            for each in (settings, settings.model_copy(update={"alignment": 0.3}))
        ]
        (mu_a, _), (mu_b, _) = model.encoder_A(x), model.encoder_B(x)
        expected = sum(float((a - b) ** 2) for a, b in zip(mu_a.detach().flatten(), mu_b.detach().flatten())) / N
        assert losses[1][1]["alignment"].item() == pytest.approx(expected)
        assert (losses[1][0] - losses[0][0]).item() == pytest.approx(0.3 * expected)
        assert "alignment" not in losses[0][1]


class TestPriorInformation:
    @pytest.mark.parametrize("subset", [[0], [4, 7], [8, 0, 3], [1, 2, 4, 6, 8], [0, 1, 2, 3, 5, 8]])
    def test_by_enumerating_every_cell(self, logits, subset):
        """I(z; x_S) = Σ_z Σ_cells p(z) p(cell|z) ln(p(cell|z)/p(cell)), a joint probability at a time."""
        p = logits.softmax(-1).numpy()
        cells = list(itertools.product(range(3), repeat=len(subset)))
        conditional = np.array(
            [[math.prod(p[i, j, k] for j, k in zip(subset, cell)) for cell in cells] for i in range(N)]
        )
        marginal = conditional.mean(axis=0)
        expected = (conditional * np.log(conditional / marginal)).sum() / N
        found = terms_of.prior_information(logits, torch.tensor([subset]))
        assert found.item() == pytest.approx(expected, rel=1e-9)

    def test_averages_over_subsets(self, logits):
        subsets = [[0, 1, 2], [3, 5, 8]]
        alone = [terms_of.prior_information(logits, torch.tensor([subset])).item() for subset in subsets]
        assert terms_of.prior_information(logits, torch.tensor(subsets)).item() == pytest.approx(np.mean(alone))

    @pytest.mark.parametrize("entries", [1, 5, 6])
    def test_a_uniform_deterministic_decoder_reaches_the_limit(self, entries):
        settings = PriorInformation(weight=1.0, subset_entries=entries)
        logits = 200 * torch.nn.functional.one_hot(all_operations().long() + 1, 3).double()
        found = terms_of.prior_information(logits, torch.arange(9)[None, :entries])
        assert found.item() == pytest.approx(terms_of.information_limit(settings), rel=1e-6)
        assert found.item() == pytest.approx(entries * math.log(3), rel=1e-6)

    def test_a_decoder_that_ignores_z_informs_of_nothing(self, generator):
        one = torch.randn(1, 9, 3, generator=generator, dtype=torch.float64)
        for logits in (one.expand(64, 9, 3), torch.zeros(64, 9, 3, dtype=torch.float64)):
            assert terms_of.prior_information(logits, torch.tensor([[0, 2, 4, 6, 8]])).item() == pytest.approx(
                0, abs=1e-9
            )

    def test_probabilities_of_exactly_zero_give_finite_gradients(self):
        logits = torch.zeros(8, 9, 3)
        logits[..., 0] = 500.0  # softmax underflows to 1, 0, 0 in float32
        logits[4:] = logits[4:].roll(1, dims=-1)
        logits.requires_grad_()
        assert logits.softmax(-1).min().item() == 0
        subset = torch.tensor([[0, 1, 2, 3, 4]])
        for value in (terms_of.prior_information(logits, subset), terms_of.output_entropy(logits)):
            (gradient,) = torch.autograd.grad(value, logits)
            assert torch.isfinite(value)
            assert torch.isfinite(gradient).all()


class TestIsolatedShare:
    @pytest.mark.parametrize("injection", ["plain", "translated"])
    @pytest.mark.parametrize(("share", "isolated"), [(0.0, 0), (0.5, 6), (0.25, 3), (1.0, 12)])
    def test_rows_before_the_split_equal_no_injection(self, generator, injection, share, isolated):
        model = double_model(injection)
        z_a, z_b = torch.randn(2, N, 16, generator=generator, dtype=torch.float64)
        mixed = terms_of.inject(model, z_a, z_b, 0.7, share)
        full = model.injection(z_a, z_b, 0.7)
        for ours, own, injected in zip(mixed, (z_a, z_b), full):
            assert torch.equal(ours[:isolated], own[:isolated])
            # Products of fewer rows may be rounded otherwise.
            torch.testing.assert_close(ours[isolated:], injected[isolated:], rtol=1e-12, atol=1e-12)
            assert not torch.isclose(injected, own).all(dim=1).any()

    @pytest.mark.parametrize(("widened_share", "widened"), [(0.25, 3), (0.5, 6), (0.9, 6)])
    def test_the_last_isolated_rows_reach_as_far_as_the_plans_sum_of_draws(self, generator, widened_share, widened):
        model = double_model("translated")
        z_a, z_b = torch.randn(2, N, 16, generator=generator, dtype=torch.float64)
        plain = terms_of.inject(model, z_a, z_b, 0.7, 0.5)
        found = terms_of.inject(model, z_a, z_b, 0.7, 0.5, widened_share)
        for ours, before in zip(found, plain):
            assert torch.equal(ours[: 6 - widened], before[: 6 - widened])
            torch.testing.assert_close(ours[6 - widened : 6], 1.49**0.5 * before[6 - widened : 6])
            assert torch.equal(ours[6:], before[6:])


class TestWholeObjective:
    def test_the_plans_formula(self, generator):
        """Loss = λ1·gA·(CE_A + βA·KL_A) + λ2·gB·(CE_B + βB·KL_B − 0.05·H + 0.01·repulsion), terms recomputed here."""
        model, noise = double_model(), noise_for(generator)
        x, classes = batch(generator)
        controls = controls_with(repulsion_b=0.01)
        settings = Objective(entropy_alignment_differentiable=False)
        loss, terms = objective(model, x, classes, noise, controls, Weights(scale_a=0.5, scale_b=1.7), settings)

        mu_a, logvar_a = model.encoder_A(x)
        mu_b, logvar_b = model.encoder_B(x)
        z_a = mu_a + 0.9 * (0.5 * logvar_a).exp() * noise.epsilon_a
        z_b = mu_b + 0.7 * (0.5 * logvar_b).exp() * noise.epsilon_b
        logits_a, logits_b = model.decoder_A(0.7 * z_a + 0.3 * z_b), model.decoder_B(0.7 * z_b + 0.3 * z_a)
        outputs = [torch.distributions.Categorical(logits=each) for each in (logits_a, logits_b)]
        cross_entropies = [-output.log_prob(classes).sum(1).mean() for output in outputs]
        side_a = cross_entropies[0] + 0.4 * terms_of.kl_divergence(mu_a, logvar_a, 0.5)
        side_b = cross_entropies[1] + 0.25 * terms_of.kl_divergence(mu_b, logvar_b, 0.5)
        side_b = side_b - 0.05 * terms_of.output_entropy(logits_b) + 0.01 * terms_of.repulsion(z_b, 0.25)
        expected = 0.6 * 0.5 * side_a + 0.8 * 1.7 * side_b
        alignment = (terms_of.histogram_entropy(z_a) - terms_of.histogram_entropy(z_b)).abs()
        assert loss.item() == pytest.approx((expected + 0.3 * alignment).item(), rel=1e-9)
        assert terms["entropy_alignment"].item() == pytest.approx(alignment.item())
        assert terms["reconstruction_a"].item() == pytest.approx(cross_entropies[0].item())
        assert terms["loss"] is loss

    def test_alignment_without_a_gradient_changes_no_gradient(self, generator):
        model, noise = double_model(), noise_for(generator)
        x, classes = batch(generator)
        found = []
        for weight in (0.0, 1.0):
            settings = BARE.model_copy(update={"entropy_alignment": weight})
            loss, _ = objective(model, x, classes, noise, controls_with(), Weights(), settings)
            found.append(torch.autograd.grad(loss, model.encoder_A.fc_mu.weight)[0])
        assert torch.equal(*found)

    def test_alignment_with_a_gradient_adds_its_own(self, generator):
        model, noise = double_model(), noise_for(generator)
        x, classes = batch(generator)
        losses = []
        for weight in (0.0, 2.0):
            settings = BARE.model_copy(update={"entropy_alignment": weight, "entropy_alignment_differentiable": True})
            losses.append(objective(model, x, classes, noise, controls_with(), Weights(), settings))
        difference = losses[1][0] - losses[0][0]
        assert difference.item() == pytest.approx(2.0 * 0.3 * losses[1][1]["entropy_alignment"].item())
        assert torch.autograd.grad(difference, model.encoder_A.fc_mu.weight)[0].abs().max() > 0

    def test_no_gradient_crosses_from_one_vae_into_the_others_encoder(self, generator):
        model = double_model("translated")
        x, classes = batch(generator)
        loss, _ = objective(model, x, classes, noise_for(generator), controls_with(lambda2=0.0), Weights(), BARE)
        gradients = torch.autograd.grad(loss, list(model.encoder_B.parameters()), allow_unused=True)
        assert all(gradient is None or gradient.abs().max() == 0 for gradient in gradients)

    def test_balance_shifts_weight_between_the_reconstructions_only(self, generator):
        model, noise = double_model(), noise_for(generator)
        x, classes = batch(generator)
        settings = BARE.model_copy(update={"balancing": 1.0})
        loss, terms = objective(model, x, classes, noise, controls_with(), Weights(balance=torch.tensor(0.4)), settings)
        side_a = math.exp(0.4) * terms["reconstruction_a"] + 0.4 * terms["kl_a"]
        side_b = math.exp(-0.4) * terms["reconstruction_b"] + 0.25 * terms["kl_b"]
        assert loss.item() == pytest.approx((0.6 * side_a + 0.8 * side_b).item(), rel=1e-7)

    def test_operation_weights_weigh_each_row(self, generator):
        model, noise = double_model(), noise_for(generator)
        x, classes = batch(generator)
        weights = torch.rand(2, N, generator=generator, dtype=torch.float64) + 0.5
        weighted = Weights(operation_a=weights[0], operation_b=weights[1])
        controls = controls_with(beta_a=0.0, beta_b=0.0, rho=0.0)
        loss, terms = objective(model, x, classes, noise, controls, weighted, BARE)
        expected = 0.0
        for row in range(N):
            one = Noise(noise.epsilon_a[row : row + 1], noise.epsilon_b[row : row + 1])
            _, alone = objective(model, x[row : row + 1], classes[row : row + 1], one, controls, Weights(), BARE)
            expected += 0.6 * weights[0, row] * alone["reconstruction_a"] / N
            expected += 0.8 * weights[1, row] * alone["reconstruction_b"] / N
        assert loss.item() == pytest.approx(expected.item())
        unweighted = objective(model, x, classes, noise, controls, Weights(), BARE)[1]
        assert terms["reconstruction_a"].item() == pytest.approx(unweighted["reconstruction_a"].item())

    def test_prior_information_is_gained_by_both(self, generator):
        model, noise = double_model(), noise_for(generator, prior=True)
        x, classes = batch(generator)
        settings = BARE.model_copy(update={"prior_information": PriorInformation(weight=2.0)})
        loss, terms = objective(model, x, classes, noise, controls_with(), Weights(), settings)
        without, _ = objective(
            model, x, classes, Noise(noise.epsilon_a, noise.epsilon_b), controls_with(), Weights(), settings
        )
        gain = 2.0 * (terms["prior_information_a"] + terms["prior_information_b"])
        assert loss.item() == pytest.approx((without - gain).item())
        assert terms["prior_information_a"].item() != terms["prior_information_b"].item()


class TestWeightZeroCostsNothing:
    def test_absent_terms(self, generator):
        model = double_model()
        x, classes = batch(generator)
        _, terms = objective(model, x, classes, noise_for(generator), controls_with(), Weights(), BARE)
        assert set(terms) == {"loss", "reconstruction_a", "reconstruction_b", "kl_a", "kl_b"}

    def test_nothing_is_called_for_them(self, generator, monkeypatch):
        for name in ("repulsion", "output_entropy", "latent_entropy", "histogram_entropy", "prior_information"):
            monkeypatch.setattr(terms_of, name, lambda *_: pytest.fail("computed"))
        model = double_model()
        seen = []
        for decoder in (model.decoder_A, model.decoder_B):
            decoder.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
        x, classes = batch(generator)
        objective(model, x, classes, noise_for(generator), controls_with(), Weights(), BARE)
        assert seen == [N, N]  # no decoder has seen prior draws

    def test_no_prior_draws_are_drawn(self):
        generator, other = (torch.Generator().manual_seed(4) for _ in range(2))
        settings = load_recipe("resolution").objective
        noise = terms_of.draw_noise(7, settings, generator, torch.device("cpu"), with_prior=False)
        assert noise.prior_draws is None
        torch.randn(2, 7, 16, generator=other)
        assert torch.equal(generator.get_state(), other.get_state())

    def test_a_share_of_the_rows_has_no_noise(self):
        """Ten of forty: the first seven, and the last three, which are mixed."""
        settings = Objective(mean_share=0.25)
        drawn = [
            terms_of.draw_noise(40, each, torch.Generator().manual_seed(3), torch.device("cpu"), with_prior=False)
            for each in (Objective(), settings)
        ]
        for name in ("epsilon_a", "epsilon_b"):
            plain, some = (getattr(noise, name) for noise in drawn)
            assert (some[:7] == 0).all()
            assert (some[37:] == 0).all()
            assert torch.equal(some[7:37], plain[7:37])
            assert (plain != 0).all()

    @pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
    def test_some_prior_draws_are_as_wide_as_the_plans_sum(self, share):
        fair, widened = (
            Objective.model_validate({"prior_information": {"weight": 1.0, "draws": 40, "widened_share": each}})
            for each in (0.0, share)
        )
        before, after = (
            terms_of.draw_noise(5, each, torch.Generator().manual_seed(8), torch.device("cpu"), with_prior=True)
            for each in (fair, widened)
        )
        wide = round(40 * share)
        torch.testing.assert_close(after.prior_draws[:wide], 1.49**0.5 * before.prior_draws[:wide])
        assert torch.equal(after.prior_draws[wide:], before.prior_draws[wide:])
        assert torch.equal(after.epsilon_a, before.epsilon_a)
        assert torch.equal(after.subsets, before.subsets)

    def test_drawn_subsets_hold_different_entries(self):
        settings = Objective(prior_information=PriorInformation(weight=1.0, draws=5, subset_entries=6, subsets=40))
        generator = torch.Generator().manual_seed(4)
        noise = terms_of.draw_noise(7, settings, generator, torch.device("cpu"), with_prior=True)
        assert noise.prior_draws.shape == (5, 16)
        assert noise.subsets.shape == (40, 6)
        assert all(len(set(subset)) == 6 and set(subset) <= set(range(9)) for subset in noise.subsets.tolist())
        assert len({tuple(sorted(subset)) for subset in noise.subsets.tolist()}) > 10

    def test_an_unpenalised_infinite_divergence_does_no_harm(self, generator):
        """Weight 0 leaves a term out: 0 · ∞ would be NaN."""
        model = double_model()
        with torch.no_grad():
            model.encoder_B.fc_logvar.bias.fill_(800.0)
        x, classes = batch(generator)
        controls = controls_with(beta_b=0.0, temperature_b=0.0, rho=0.0)
        loss, terms = objective(model, x, classes, noise_for(generator), controls, Weights(), BARE)
        assert math.isinf(terms["kl_b"].item())
        assert math.isfinite(loss.item())
