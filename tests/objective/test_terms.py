"""Every term of the objective against a slow independent version or a closed form."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import linalg, stats
from torch.utils._python_dispatch import TorchDispatchMode

from ternary_vae.acceleration.stacked import Stack
from ternary_vae.model import DualVAE
from ternary_vae.model.injection import CrossInjection
from ternary_vae.model.networks import Encoder
from ternary_vae.objective import (
    TERMS,
    Controls,
    ForwardPass,
    Noise,
    Term,
    codes,
    draw_noise,
    forward,
    information,
    likelihood,
    terms,
    total_loss,
    weighed,
)
from ternary_vae.operations import TWO_INPUT_TERNARY, all_operations
from ternary_vae.recipe import Objective, PriorInformation, load_recipe

N = 12


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(11)


@pytest.fixture
def in_double():
    """What is made without a word about precision is double."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


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
    return Noise(*epsilon, prior_draws=draws, subsets=torch.tensor([[0, 3, 5, 6, 8]]))


def objective(model, x, classes, noise, controls, settings, *more, among=TERMS):
    """The loss of a batch and its terms."""
    batch = ForwardPass(model, x, classes, noise, controls, settings, *more)
    return total_loss(batch, weighed(among, controls, settings))


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
        assert likelihood.entry_cross_entropy(logits, classes).tolist() == pytest.approx(expected)

    def test_a_decoder_that_answers_thirds_costs_all_the_information(self):
        classes = torch.zeros(5, 9, dtype=torch.long)
        found = likelihood.entry_cross_entropy(torch.zeros(5, 9, 3), classes)
        assert (found / math.log(2)).tolist() == pytest.approx([TWO_INPUT_TERNARY.bits] * 5, rel=1e-6)


class TestKL:
    def test_against_torch_distributions(self, generator):
        mu = torch.randn(N, 16, generator=generator, dtype=torch.float64)
        logvar = torch.randn(N, 16, generator=generator, dtype=torch.float64)
        posterior = torch.distributions.Normal(mu, torch.exp(0.5 * logvar))
        prior = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
        expected = torch.distributions.kl_divergence(posterior, prior)
        assert codes.kl_divergence(mu, logvar).item() == pytest.approx(expected.sum(dim=1).mean().item())
        free = np.maximum(expected.numpy(), 0.5).sum(axis=1).mean()
        assert codes.kl_divergence(mu, logvar, 0.5).item() == pytest.approx(free)
        assert free > expected.sum(dim=1).mean().item() + 0.1

    def test_free_bits_are_a_floor_without_a_gradient(self):
        mu = torch.full((4, 16), 0.1, dtype=torch.float64, requires_grad=True)
        value = codes.kl_divergence(mu, torch.zeros(4, 16, dtype=torch.float64), 0.5)
        assert value.item() == pytest.approx(16 * 0.5)
        value.backward()
        assert mu.grad.abs().max() == 0

    def test_the_prior_itself_costs_nothing(self):
        assert codes.kl_divergence(torch.zeros(3, 16), torch.zeros(3, 16)).item() == 0


class TestOutputEntropy:
    def test_by_loops(self, logits):
        mean = np.mean([np.exp(row) / np.exp(row).sum(-1, keepdims=True) for row in logits.numpy()], axis=0)
        expected = np.mean([-sum(p * math.log(p) for p in entry) for entry in mean])
        assert information.output_entropy(logits).item() == pytest.approx(expected)

    def test_extremes(self):
        certain = torch.full((6, 9, 3), -1e4)
        certain[..., 0] = 1e4
        assert information.output_entropy(certain).item() == pytest.approx(0, abs=1e-6)
        certain[2:4] = certain[2:4].roll(1, dims=-1)
        certain[4:] = certain[4:].roll(2, dims=-1)
        assert information.output_entropy(certain).item() == pytest.approx(math.log(3))


class TestRepulsion:
    @pytest.mark.parametrize("width", [0.25, 4.0])
    def test_by_double_loop(self, z, width):
        values = z.numpy() * 0.3
        kernel = [
            math.exp(-sum((values[i, d] - values[j, d]) ** 2 for d in range(16)) / width)
            for i, j in itertools.permutations(range(N), 2)
        ]
        assert codes.repulsion(z * 0.3, width).item() == pytest.approx(sum(kernel) / len(kernel), rel=1e-9)

    def test_extremes(self):
        assert codes.repulsion(torch.ones(5, 16)).item() == pytest.approx(1)
        assert codes.repulsion(100 * torch.arange(5.0)[:, None].expand(5, 16)).item() == 0
        assert codes.repulsion(torch.ones(1, 16)).item() == 0

    def test_its_gradient_pushes_apart(self):
        z = torch.zeros(2, 16, dtype=torch.float64)
        z[1, 0] = 0.1
        z.requires_grad_()
        codes.repulsion(z).backward()
        descent = -z.grad
        assert descent[1, 0] > 0 > descent[0, 0]


class TestHistogramEntropy:
    def test_on_many_samples(self):
        """Standard normal: h − ln(bin width) = 1.4189 + 2.1203 = 3.5392 nats. 100,000 × 16 samples: the estimates' bias
        is below (bins − 1)/2N = 2.5e-4; 0.27% of the mass lies beyond ±3."""
        z = torch.randn(100_000, 16, generator=torch.Generator().manual_seed(5))
        closed_form = 0.5 * math.log(2 * math.pi * math.e) - math.log(6 / 50)
        found = information.histogram_entropy(z).item()
        assert found == pytest.approx(np.mean([_numpy_entropy(column) for column in z.numpy().T]), abs=1e-4)
        assert found == pytest.approx(closed_form, abs=0.03)

    def test_histogram_leaves_out_what_lies_outside(self):
        z = torch.full((10, 16), 50.0)
        z[:5] = 0.01
        z[5:9] = 0.20
        expected = -(5 / 9 * math.log(5 / 9) + 4 / 9 * math.log(4 / 9))
        assert information.histogram_entropy(z).item() == pytest.approx(expected, rel=1e-6)
        assert information.histogram_entropy(torch.full((10, 16), 50.0)).item() == 0


def _numpy_entropy(values):
    counts, _ = np.histogram(values, bins=50, range=(-3, 3))
    share = counts[counts > 0] / counts.sum()
    return -(share * np.log(share)).sum()


class TestSubspaceOverlap:
    """Codes are columns of a Hadamard matrix but its first: of mean 0, variance 1 and without correlation."""

    COLUMNS = torch.from_numpy(linalg.hadamard(32)[:, 1:]).double()

    def code(self, axes):
        """One that lies in these axes alone, spread alike in all of them."""
        mu = torch.zeros(32, 16, dtype=torch.float64)
        mu[:, axes] = self.COLUMNS[:, axes]
        return mu

    @pytest.mark.parametrize(
        ("axes_a", "axes_b", "expected"),
        [
            (range(8), range(8, 16), 0.0),
            (range(9), range(9), 1.0),
            (range(9), range(7, 16), 2 / 9),
            (range(16), range(16), 1.0),
            (range(16), range(4), 0.5),  # cosine of (1, …, 1) and four ones: 4 / √(16·4)
            ([0], [0], 1.0),
        ],
    )
    def test_closed_forms(self, axes_a, axes_b, expected):
        mu_a, mu_b = self.code(list(axes_a)), self.code(list(axes_b))
        assert codes.subspace_overlap(mu_a, mu_b).item() == pytest.approx(expected, abs=1e-11)
        # Other operations in the same directions: what overlaps is directions, not what is said in them.
        assert codes.subspace_overlap(mu_a, mu_b.flip(0)).item() == pytest.approx(expected, abs=1e-11)

    def test_nine_axes_of_sixteen_share_no_less_than_two(self):
        """Whichever two subspaces: tr(P_A·P_B) ≥ 9 + 9 − 16."""
        generator = np.random.default_rng(3)
        for _ in range(50):
            turned = self.code(list(range(9))) @ torch.from_numpy(stats.ortho_group.rvs(16, random_state=generator))
            assert codes.subspace_overlap(self.code(list(range(9))), turned).item() >= 2 / 9 - 1e-12

    def test_against_numpy(self, generator):
        mu_a, mu_b = torch.randn(2, N, 16, generator=generator, dtype=torch.float64)
        mu_b = mu_b * torch.linspace(0.1, 2, 16, dtype=torch.float64) - 3
        spreads = [np.cov(mu.numpy().T, bias=True) for mu in (mu_a, mu_b)]
        expected = np.trace(spreads[0] @ spreads[1]) / np.prod([np.linalg.norm(spread) for spread in spreads])
        assert 0.1 < expected < 0.9
        assert codes.subspace_overlap(mu_a, mu_b).item() == pytest.approx(expected, rel=1e-9)
        assert codes.subspace_overlap(mu_b, mu_a).item() == pytest.approx(expected, rel=1e-9)

    def test_invariances(self, generator):
        """One rotation of both codes, either's scale and place; not a rotation of one alone."""
        mu_a, mu_b = torch.randn(2, N, 16, generator=generator, dtype=torch.float64)
        before = codes.subspace_overlap(mu_a, mu_b).item()
        turn = torch.from_numpy(stats.ortho_group.rvs(16, random_state=1))
        for changed in ((mu_a @ turn, mu_b @ turn), (3 * mu_a, mu_b / 50), (mu_a + 2, mu_b - 9)):
            assert codes.subspace_overlap(*changed).item() == pytest.approx(before, rel=1e-9)
        assert codes.subspace_overlap(mu_a @ turn, mu_b).item() != pytest.approx(before, rel=1e-2)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("constant", ["both", "one"])
    def test_a_code_that_says_nothing_overlaps_with_nothing_and_does_no_harm(self, generator, constant, dtype):
        mu_a = torch.ones(N, 16, dtype=dtype, requires_grad=True)
        mu_b = torch.randn(N, 16, generator=generator, dtype=dtype) if constant == "one" else torch.ones_like(mu_a)
        mu_b.requires_grad_()
        value = codes.subspace_overlap(mu_a, mu_b)
        assert value.item() == 0
        for gradient in torch.autograd.grad(value, [mu_a, mu_b]):
            assert torch.isfinite(gradient).all()

    def test_descends_to_orthogonal_codes(self, generator):
        """Two codes of eight axes: there is room for both."""
        mu_a = self.code(list(range(8)))
        mu_b = (mu_a + 0.3 * torch.randn(mu_a.shape, generator=generator, dtype=torch.float64)).requires_grad_()
        optimizer = torch.optim.Adam([mu_b], lr=0.05)
        first = codes.subspace_overlap(mu_a, mu_b).item()
        for _ in range(200):
            optimizer.zero_grad()
            codes.subspace_overlap(mu_a, mu_b).backward()
            optimizer.step()
        assert first > 0.8
        assert codes.subspace_overlap(mu_a, mu_b).item() < 0.01

    def test_of_several_runs_each_ones_own(self, generator):
        mu_a, mu_b = torch.randn(2, 3, N, 16, generator=generator, dtype=torch.float64)
        alone = [codes.subspace_overlap(a, b).item() for a, b in zip(mu_a, mu_b)]
        assert codes.subspace_overlap(mu_a, mu_b).tolist() == pytest.approx(alone)


class TestTranslationError:
    def codes(self, generator, *runs):
        """z of A and of B, then μ."""
        return torch.randn(4, *runs, N, 16, generator=generator, dtype=torch.float64)

    @pytest.mark.parametrize("hidden_units", [0, 8])
    def test_by_loops(self, generator, in_double, hidden_units):
        z_a, z_b, mu_a, mu_b = self.codes(generator)
        injection = CrossInjection("translated", hidden_units)
        expected = 0.0
        for translation, source, target in ((injection.b_to_a, z_b, mu_a), (injection.a_to_b, z_a, mu_b)):
            for z, mu in zip(source, target):
                expected += sum(float(d) ** 2 for d in translation(z[None]).detach()[0] - mu) / N
        assert codes.translation_error(injection, z_a, z_b, mu_a, mu_b).item() == pytest.approx(expected)

    def test_a_perfect_translation_has_none_and_least_squares_finds_it(self, generator, in_double):
        """Codes that are each other turned: where it ends is a rotation and its inverse, in closed form."""
        turn = torch.from_numpy(stats.ortho_group.rvs(16, random_state=1))
        mu_a = torch.randn(200, 16, generator=generator)
        mu_b = mu_a @ turn.T
        injection = CrossInjection("translated")
        optimizer = torch.optim.LBFGS(injection.parameters(), max_iter=100, line_search_fn="strong_wolfe")

        def loss():
            optimizer.zero_grad()
            value = codes.translation_error(injection, mu_a, mu_b, mu_a, mu_b)
            value.backward()
            return value

        assert loss().item() > 1
        optimizer.step(loss)
        assert loss().item() < 1e-9
        assert torch.allclose(injection.a_to_b.weight, turn, atol=1e-5)
        assert torch.allclose(injection.b_to_a.weight, turn.T, atol=1e-5)

    def test_teaches_the_translations_alone(self, generator):
        model = double_model("translated")
        x, classes = batch(generator)
        settings = BARE.model_copy(update={"translation_error": 1.0})
        _, values = objective(model, x, classes, noise_for(generator), controls_with(), settings)
        names, weights = zip(*model.named_parameters())
        gradients = torch.autograd.grad(values["translation_error"], weights, allow_unused=True)
        taught = {name for name, gradient in zip(names, gradients) if gradient is not None}
        assert taught == {"injection.b_to_a.weight", "injection.a_to_b.weight"}
        assert all(gradient.abs().max() > 0 for gradient in gradients if gradient is not None)

    def test_weighs_a_share_of_beta(self, generator):
        model, noise = double_model("translated"), noise_for(generator)
        x, classes = batch(generator)
        settings = BARE.model_copy(update={"translation_error": 0.3})
        plain, _ = objective(model, x, classes, noise, controls_with(), BARE)
        loss, values = objective(model, x, classes, noise, controls_with(), settings)
        assert values["translation_error"].item() > 1
        assert loss.item() == pytest.approx((plain + 0.3 * 0.4 * values["translation_error"]).item())
        _, values = objective(model, x, classes, noise, controls_with(beta_a=0.0), settings)
        assert "translation_error" not in values

    def test_of_several_runs_each_ones_own(self, generator):
        models = [double_model("translated", seed) for seed in range(3)]
        stack = Stack(models, [torch.optim.AdamW(model.parameters()) for model in models])
        given = self.codes(generator, 3)
        alone = [codes.translation_error(model.injection, *given[:, run]) for run, model in enumerate(models)]
        together = codes.translation_error(stack.model.injection, *given)
        assert together.tolist() == pytest.approx([each.item() for each in alone])


class TestBestOfTwo:
    def slow(self, logits_a, logits_b, classes):
        """An operation and an entry at a time."""
        losses = []
        for i in range(len(classes)):
            exact = [
                math.prod(
                    math.exp(logits[i, j, classes[i, j]]) / sum(math.exp(logits[i, j, k]) for k in range(3))
                    for j in range(9)
                )
                for logits in (logits_a, logits_b)
            ]
            losses.append(-math.log(1 - (1 - exact[0]) * (1 - exact[1])))
        return sum(losses) / len(losses)

    @pytest.fixture
    def answers(self, logits, generator):
        _, classes = batch(generator)
        right = 3 * torch.nn.functional.one_hot(classes, 3)
        return logits + right, torch.randn(logits.shape, generator=generator, dtype=torch.float64) + right, classes

    def test_by_loops_and_from_either_side(self, answers):
        logits_a, logits_b, classes = answers
        expected = self.slow(logits_a, logits_b, classes)
        assert 0.1 < expected < 5
        assert likelihood.best_of_two_loss(logits_a, logits_b, classes).item() == pytest.approx(expected, rel=1e-9)
        assert likelihood.best_of_two_loss(logits_b, logits_a, classes).item() == pytest.approx(expected, rel=1e-9)

    def test_no_worse_than_either_alone(self, answers):
        for row in range(N):
            one = [each[row : row + 1] for each in answers]
            alone = [likelihood.entry_cross_entropy(each, one[2]).item() for each in one[:2]]
            assert 0 <= likelihood.best_of_two_loss(*one).item() <= min(alone)

    def test_each_learns_most_where_the_other_fails(self, answers):
        """With p and q the probabilities of being exact, the slope by ln p is −p·(1 − q) / (p + q − p·q)."""
        logits_a, logits_b, classes = answers
        logits_a = logits_a.clone().requires_grad_()
        cross_entropy = likelihood.entry_cross_entropy(logits_a, classes)
        (found,) = torch.autograd.grad(likelihood.best_of_two_loss(logits_a, logits_b, classes), logits_a)
        p, q = (-cross_entropy.detach()).exp(), (-likelihood.entry_cross_entropy(logits_b, classes)).exp()
        (expected,) = torch.autograd.grad((p * (1 - q) / (p + q - p * q) * cross_entropy).mean(), logits_a)
        torch.testing.assert_close(found, expected)

    def certain(self, classes):
        return 500.0 * torch.nn.functional.one_hot(classes, 3).float()

    @pytest.mark.parametrize(("right_a", "right_b"), list(itertools.product([False, True], repeat=2)))
    def test_certain_answers(self, generator, right_a, right_b):
        """In single precision, where probabilities are exactly 0 or 1."""
        _, classes = batch(generator)
        wrong = (classes + 1) % 3
        answers = [self.certain(classes if right else wrong).requires_grad_() for right in (right_a, right_b)]
        value = likelihood.best_of_two_loss(*answers, classes)
        assert value.item() == pytest.approx(0 if right_a or right_b else -math.log(1e-12), rel=1e-5)
        for gradient in torch.autograd.grad(value, answers):
            assert torch.isfinite(gradient).all()

    def test_of_several_runs_each_ones_own(self, answers):
        logits_a, logits_b, classes = answers
        shape = (3, N // 3, 9)
        alone = [
            self.slow(*(each.view(*shape, *each.shape[2:])[run] for each in (logits_a, logits_b, classes)))
            for run in range(3)
        ]
        together = likelihood.best_of_two_loss(logits_a.view(*shape, 3), logits_b.view(*shape, 3), classes.view(shape))
        assert together.tolist() == pytest.approx(alone)


class TestAlignment:
    def test_adds_the_squared_distance_of_the_means(self, generator):
        x, classes = batch(generator)
        model, noise = double_model(), noise_for(generator)
        settings = Objective(entropy_alignment=0.0)
        losses = [
            objective(model, x, classes, noise, controls_with(), each)
            for each in (settings, settings.model_copy(update={"alignment": 0.3}))
        ]
        (mu_a, _), (mu_b, _) = model.encoder_A(x), model.encoder_B(x)
        expected = sum(float((a - b) ** 2) for a, b in zip(mu_a.detach().flatten(), mu_b.detach().flatten())) / N
        assert losses[1][1]["alignment"].item() == pytest.approx(expected)
        assert (losses[1][0] - losses[0][0]).item() == pytest.approx(0.3 * expected)
        assert "alignment" not in losses[0][1]


def entropies(logits, subsets):
    """Of the joint distribution, and the mean one given the draw; the first less the second is what is informed of."""
    log_probability = likelihood.class_log_probability(logits)
    return information.prior_entropies(log_probability, log_probability.exp(), torch.as_tensor(subsets))


def information_of(logits, subsets):
    joint, conditional = entropies(logits, subsets)
    return joint - conditional


def by_enumerating(logits, subset):
    """H(x_S), H(x_S | z) and I(z; x_S) = Σ_z Σ_cells p(z) p(cell|z) ln(p(cell|z)/p(cell)), a cell at a time."""
    p = logits.softmax(-1).numpy()
    cells = list(itertools.product(range(3), repeat=len(subset)))
    given = np.array([[math.prod(row[j, k] for j, k in zip(subset, cell)) for cell in cells] for row in p])
    marginal = given.mean(axis=0)
    joint, conditional = -(marginal * np.log(marginal)).sum(), -(given * np.log(given)).sum() / len(p)
    return joint, conditional, (given * np.log(given / marginal)).sum() / len(p)


class TestPriorEntropies:
    @pytest.mark.parametrize("subset", [[0], [4, 7], [8, 0, 3], [1, 2, 4, 6, 8], [0, 1, 2, 3, 5, 7, 8]])
    def test_by_enumerating_every_cell(self, logits, subset):
        joint, conditional, informed_of = by_enumerating(logits, subset)
        found = entropies(logits, [subset])
        assert found[0].item() == pytest.approx(joint, rel=1e-9)
        assert found[1].item() == pytest.approx(conditional, rel=1e-9)
        assert (found[0] - found[1]).item() == pytest.approx(informed_of, rel=1e-9)

    def test_averages_over_subsets(self, logits):
        subsets = [[0, 1, 2], [3, 5, 8]]
        alone = np.array([by_enumerating(logits, subset) for subset in subsets])
        assert [each.item() for each in entropies(logits, subsets)] == pytest.approx(alone.mean(axis=0)[:2])

    def test_of_several_runs_each_by_its_own_subsets(self, generator):
        logits = torch.randn(3, N, 9, 3, generator=generator, dtype=torch.float64)
        subsets = [[[0, 1, 2], [3, 5, 8]], [[8, 7, 6], [0, 4, 2]], [[2, 3, 4], [1, 6, 0]]]
        together = entropies(logits, subsets)
        for run in range(3):
            alone = entropies(logits[run], subsets[run])
            assert [each[run].item() for each in together] == pytest.approx([each.item() for each in alone])

    @pytest.mark.parametrize("entries", [1, 5, 7])
    def test_a_uniform_deterministic_decoder_reaches_the_limit(self, entries):
        logits = 200 * torch.nn.functional.one_hot(all_operations().long() + 1, 3).double()
        joint, conditional = (each.item() for each in entropies(logits, torch.arange(9)[None, :entries]))
        assert joint == pytest.approx(entries * math.log(3), rel=1e-6)
        assert conditional == pytest.approx(0, abs=1e-9)

    def test_joint_entropy_tells_what_is_met_too_often(self):
        """Half of the draws one operation, the other half all alike: entropy ln 2 + ½ ln(3^S) but for that one."""
        tables = all_operations().long() + 1
        logits = 200 * torch.nn.functional.one_hot(torch.cat([tables, tables[:1].expand_as(tables)]), 3).double()
        share = np.array([0.5 + 0.5 / 27, *[0.5 / 27] * 26])
        assert entropies(logits, [[6, 7, 8]])[0].item() == pytest.approx(-(share * np.log(share)).sum(), rel=1e-6)

    def test_a_decoder_that_ignores_z_informs_of_nothing(self, generator):
        one = torch.randn(1, 9, 3, generator=generator, dtype=torch.float64)
        for logits in (one.expand(64, 9, 3), torch.zeros(64, 9, 3, dtype=torch.float64)):
            assert information_of(logits, [[0, 2, 4, 6, 8]]).item() == pytest.approx(0, abs=1e-9)

    def test_probabilities_of_exactly_zero_give_finite_gradients(self):
        logits = torch.zeros(8, 9, 3)
        logits[..., 0] = 500.0  # softmax underflows to 1, 0, 0 in float32
        logits[4:] = logits[4:].roll(1, dims=-1)
        logits.requires_grad_()
        assert logits.softmax(-1).min().item() == 0
        joint, conditional = entropies(logits, [[0, 1, 2, 3, 4]])
        for value in (joint, conditional, information.output_entropy(logits)):
            (gradient,) = torch.autograd.grad(value, logits, retain_graph=True)
            assert torch.isfinite(value)
            assert torch.isfinite(gradient).all()


PRIOR_ENTROPY = 8 * math.log(2 * math.pi * math.e)
"""Of N(0, I) in sixteen dimensions, in nats."""


class Cells:
    """A decoder and an encoder by hand: entry j is −1, 0 or 1 by the cell that axis j of z lies in, one of three of
    equal probability; an operation's code has the exact mean and variance of its cell. Axes from 9 on say nothing."""

    BORDERS = stats.norm.ppf([0, 1 / 3, 2 / 3, 1])
    MEANS, VARIANCES = np.transpose([stats.truncnorm.stats(low, high) for low, high in itertools.pairwise(BORDERS)])
    INFORMATION = 9 * math.log(3)
    """I(z; x) = H(x): the decoder is deterministic and its 19,683 operations are equally likely."""
    KNOWN = -9 * 0.5 * np.log(VARIANCES).mean()
    """The prior's entropy less E −log q(z|x), that of a Gaussian of a cell's variance: ½ ln(2πe·v) an axis."""

    def __init__(self, shift=0.0, scale=1.0):
        self.means = torch.from_numpy(self.MEANS + shift).requires_grad_()
        self.logvars = torch.from_numpy(np.log(self.VARIANCES * scale)).requires_grad_()

    def probability(self, draws):
        values = torch.bucketize(draws[:, :9].contiguous(), torch.from_numpy(self.BORDERS[1:3]))
        return likelihood.class_log_probability(200 * torch.nn.functional.one_hot(values, 3).double()).exp()

    def as_read(self, x):
        return x

    def __call__(self, x):
        cell, nothing = (x + 1).round().long(), x.new_zeros(*x.shape[:-1], 7)
        return torch.cat([self.means[cell], nothing], dim=-1), torch.cat([self.logvars[cell], nothing], dim=-1)


def moments_by_loops(probability):
    """A pair of entries, then a draw at a time; of the counts as of one entry whose values are counted in a table."""
    values, draws, entries = probability.shape
    p = [[probability[:, draw, entry] for entry in range(entries)] for draw in range(draws)]
    mean = [sum(p[draw][entry] for draw in range(draws)) / draws for entry in range(entries)]
    found = sum(values / 2 * ((each - 1 / values) ** 2).sum() for each in mean)
    together = np.zeros((values, values))
    for one, other in itertools.permutations(range(entries), 2):
        covariance = sum(np.outer(row[one] - mean[one], row[other] - mean[other]) for row in p) / draws
        found += values**2 / 4 * (covariance**2).sum()
        together += covariance
    excess = sum(each - 1 / values for each in mean)
    of_counts = values / 2 * (excess**2).sum() / entries + (values / entries) ** 2 / 4 * (together**2).sum()
    return found + 3 * of_counts


class TestMomentDivergence:
    def certain(self, tables, values=3):
        """Of shape (values, draws, entries)."""
        return torch.nn.functional.one_hot(torch.as_tensor(tables), values).double().movedim(-1, 0)

    @pytest.mark.parametrize("shape", [(3, 11, 9), (2, 40, 4), (5, 7, 2), (4, 1, 3), (3, 6, 1)])
    def test_by_loops(self, generator, shape):
        probability = torch.randn(*shape, generator=generator, dtype=torch.float64).softmax(dim=0)
        found = information.moment_divergence(probability)
        assert found.item() == pytest.approx(moments_by_loops(probability.numpy()), rel=1e-9)

    def test_of_all_operations_it_is_nothing(self):
        assert information.moment_divergence(self.certain(all_operations().long() + 1)).item() < 1e-12

    @pytest.mark.parametrize(("values", "entries"), [(2, 3), (3, 9), (4, 16)])
    def test_of_entries_that_are_all_the_same(self, values, entries):
        """C = 1 − 1/values of every two, in closed form."""
        tables = torch.arange(values)[:, None].expand(values, entries)
        expected = (values - 1) / 4 * (entries * (entries - 1) + 3 * (entries - 1) ** 2)
        assert information.moment_divergence(self.certain(tables, values)).item() == pytest.approx(expected)

    @pytest.mark.parametrize("excess", [0.002, -0.004])
    def test_it_begins_as_the_mutual_information_of_a_pair(self, excess):
        """The second value follows the first around the cycle a little more often than it precedes it, which leaves
        the counts as they are: I = ln 9 − H, by enumerating the nine cells."""
        joint = np.full((3, 3), 1 / 9)
        for value in range(3):
            joint[value, (value + 1) % 3] += excess
            joint[value, (value + 2) % 3] -= excess
        often = np.rint(joint.flatten() * 9000).astype(int)
        share = often / often.sum()
        assert often.sum() == 9000
        assert len(set(often)) == 3
        tables = np.repeat(np.array(list(itertools.product(range(3), repeat=2))), often, axis=0)
        informed_of = math.log(9) + (share * np.log(share)).sum()
        assert information.moment_divergence(self.certain(tables)).item() == pytest.approx(informed_of, rel=0.01)

    def test_what_all_entries_share_shows_in_the_counts(self, generator):
        """Sixteen entries that all are outer a little more often in the same draws. Of C between two of them the 240
        ordered pairs have |C|²/4 each, and the counts |15·C|²/4, three times."""
        tilt = torch.rand(4000, 1, generator=generator).double() * 0.2 - 0.1
        outer = (0.25 + tilt / 2).expand(-1, 16)
        probability = torch.stack([outer, 0.5 - outer, 0.5 - outer, outer])
        centred = probability - probability.mean(dim=1, keepdim=True)
        one = (4 * torch.einsum("vd,wd->vw", centred[..., 0], centred[..., 0]) / 4000).square().sum() / 4
        mean = 4 / 2 * (probability.mean(dim=1)[:, 0] - 0.25).square().sum()
        expected = (16 + 3 * 16) * mean + (16 * 15 + 3 * 15**2) * one
        assert information.moment_divergence(probability).item() == pytest.approx(expected.item())

    def test_weighs_what_the_schedule_says(self, generator):
        model, noise = double_model(), noise_for(generator, prior=True)
        x, classes = batch(generator)
        settings = BARE.model_copy(update={"prior_information": PriorInformation(moment_weight=3.0)})
        plain, values = objective(model, x, classes, noise, controls_with(), settings)
        assert not {"prior_moments_a", "prior_moments_b"} & set(values)
        loss, values = objective(model, x, classes, noise, controls_with(moment_weight=2.0), settings)
        costs = values["prior_moments_a"] + values["prior_moments_b"]
        assert loss.item() == pytest.approx((plain + 2.0 * costs).item())

    def test_of_several_runs_each_ones_own(self, generator):
        probability = torch.randn(3, 4, 20, 6, generator=generator, dtype=torch.float64).softmax(dim=0)
        alone = [information.moment_divergence(each).item() for each in probability.unbind(dim=1)]
        assert information.moment_divergence(probability).tolist() == pytest.approx(alone)


class TestRecognition:
    M = 20

    @pytest.fixture
    def many(self):
        """200,000 draws. A draw's −log q has a standard deviation of at most 5 nats, so 0.05 is over four standard
        errors of the mean."""
        return torch.randn(200_000, 16, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def test_reaches_the_known_value_below_the_true_information(self, many):
        cells = Cells()
        bound = PRIOR_ENTROPY - information.recognition(cells, many, cells.probability(many)).item()
        assert bound == pytest.approx(Cells.KNOWN, abs=0.05)
        assert 0.8 * Cells.INFORMATION < Cells.KNOWN < Cells.INFORMATION - 0.2

    @pytest.mark.parametrize(("shift", "scale"), [(0.3, 1.0), (0.0, 1.5), (0.0, 0.6), (-0.2, 2.0)])
    def test_a_worse_code_recognises_less(self, many, shift, scale):
        """By 9·½(ln scale + (1 + shift²/v) / scale − 1) averaged over the cells."""
        worse = Cells(shift, scale)
        loss = 4.5 * (math.log(scale) + (1 + shift**2 / Cells.VARIANCES).mean() / scale - 1)
        bound = PRIOR_ENTROPY - information.recognition(worse, many, worse.probability(many)).item()
        assert loss > 0.1
        # Means that are off add at most 2·shift/v times a draw's distance: five times the standard error from above.
        assert bound == pytest.approx(Cells.KNOWN - loss, abs=0.25)
        assert bound < Cells.KNOWN - 0.05

    def test_no_code_of_this_kind_recognises_more(self, many):
        """At the cells' own means and variances the slopes are 0."""
        cells = Cells()
        terms = information.recognition(cells, many, cells.probability(many))
        for slope in torch.autograd.grad(terms, [cells.means, cells.logvars]):
            assert slope.abs().max() < 0.05

    @pytest.mark.parametrize("middle_value", [-1, 0, 1])
    def test_never_above_the_true_information(self, many, middle_value):
        """Whatever the encoder. One that takes every operation for the prior is told of nothing."""
        probability = Cells().probability(many[:5000])
        encoder = encoder_of(middle_value)
        for _ in range(3):
            bound = PRIOR_ENTROPY - information.recognition(encoder, many[:5000], probability).item()
            assert bound <= Cells.INFORMATION
            with torch.no_grad():
                encoder.fc_mu.weight *= 3
        for head in (encoder.fc_mu, encoder.fc_logvar):
            torch.nn.init.zeros_(head.weight)
            torch.nn.init.zeros_(head.bias)
        surprise = information.recognition(encoder, many[:5000], probability).item()
        assert surprise == pytest.approx(PRIOR_ENTROPY, abs=0.25)  # standard error √8 / √5000 = 0.04
        expected = -stats.norm.logpdf(many[:5000].numpy()).sum(axis=1).mean()
        assert surprise == pytest.approx(expected, rel=1e-9)

    @pytest.mark.parametrize("middle_value", [-1, 0, 1])
    def test_by_a_draw_at_a_time(self, generator, middle_value):
        """log q by scipy, for the most likely operation of each draw, read as the encoder reads any operation."""
        encoder, draws, logits = encoder_of(middle_value), *self.draws_and_logits(generator)
        expected = 0.0
        for z, answer in zip(draws.numpy(), logits.numpy()):
            table = torch.tensor([[int(np.argmax(entry)) - 1 for entry in answer]], dtype=torch.float64)
            mu, logvar = (each.detach().numpy()[0] for each in encoder(table))
            expected -= stats.multivariate_normal.logpdf(z, mu, np.diag(np.exp(logvar))) / self.M
        found = information.recognition(encoder, draws, likelihood.class_log_probability(logits).exp())
        assert found.item() == pytest.approx(expected, rel=1e-9)

    @pytest.mark.parametrize("middle_value", [-1, 0, 1])
    def test_its_gradient_is_that_of_the_probabilities(self, generator, middle_value):
        """One-hot in value, softmax in slope, times what the encoder reads the three values as: its value in the middle
        as 0, the next in the cycle −1 → 0 → 1 → −1 as 1, the one before as −1."""
        encoder, draws, logits = encoder_of(middle_value), *self.draws_and_logits(generator)
        logits.requires_grad_()
        found = self.gradients(
            information.recognition(encoder, draws, likelihood.class_log_probability(logits).exp()), logits, encoder
        )
        read = {-1: {-1: 0, 0: 1, 1: -1}, 0: {-1: -1, 0: 0, 1: 1}, 1: {-1: 1, 0: -1, 1: 0}}[middle_value]
        as_read = torch.tensor([read[value] for value in (-1, 0, 1)], dtype=torch.float64)
        plain = encoder_of(0)  # reads values as they are
        plain.load_state_dict(encoder.state_dict())
        probability = logits.softmax(dim=-1)
        chosen = torch.nn.functional.one_hot(logits.argmax(dim=-1), 3) + probability - probability.detach()
        mu, logvar = plain((chosen * as_read).sum(dim=-1))
        log_q = torch.distributions.Normal(mu, (0.5 * logvar).exp()).log_prob(draws).sum(dim=-1)
        expected = self.gradients(-log_q.mean(), logits, plain)
        for mine, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)
        assert (found[0].abs().amax(dim=-1) > 1e-9).all()  # every entry of every draw is told something

    def test_of_several_runs_each_by_its_own_encoder(self, generator, in_double):
        models = [double_model("translated", seed) for seed in range(3)]
        optimizers = [torch.optim.AdamW(list(model.encoder_B.parameters())) for model in models]
        stacked = Stack(models, optimizers).model.encoder_B
        draws = torch.randn(3, self.M, 16, generator=generator, dtype=torch.float64)
        logits = torch.randn(3, self.M, 9, 3, generator=generator, dtype=torch.float64, requires_grad=True)
        together = information.recognition(stacked, draws, likelihood.class_log_probability(logits).exp())
        (gradients,) = torch.autograd.grad(together.sum(), logits)
        assert together.shape == (3,)
        for run, model in enumerate(models):
            own = logits[run].detach().requires_grad_()
            alone = information.recognition(model.encoder_B, draws[run], likelihood.class_log_probability(own).exp())
            assert together[run].item() == pytest.approx(alone.item(), rel=1e-9)
            torch.testing.assert_close(gradients[run], torch.autograd.grad(alone, own)[0], rtol=1e-9, atol=1e-12)

    def test_needs_no_list_of_operations(self, generator):
        """No tensor is larger than a layer's answer to the draws."""
        encoder, draws, logits = encoder_of(1), *self.draws_and_logits(generator)
        probability = likelihood.class_log_probability(logits.requires_grad_()).exp()
        with _Largest() as largest:
            information.recognition(encoder, draws, probability).backward()
        assert largest.elements == max(self.M * 256, 256 * 128)  # hidden units, or weights between two layers

    def draws_and_logits(self, generator):
        draws = torch.randn(self.M, 16, generator=generator, dtype=torch.float64)
        return draws, 2 * torch.randn(self.M, 9, 3, generator=generator, dtype=torch.float64)

    def gradients(self, value, logits, encoder):
        return torch.autograd.grad(value, [logits, *encoder.parameters()])


def encoder_of(middle_value):
    with torch.random.fork_rng():
        torch.manual_seed(8)
        return Encoder(middle_value).double()


class _Largest(TorchDispatchMode):
    """How many elements the largest tensor has that an operation makes."""

    elements = 0

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        made = operation(*arguments, **(options or {}))
        for tensor in made if isinstance(made, tuple | list) else [made]:
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.numel())
        return made


class TestIsolatedShare:
    @pytest.mark.parametrize("injection", ["plain", "translated"])
    @pytest.mark.parametrize(("share", "isolated"), [(0.0, 0), (0.5, 6), (0.25, 3), (1.0, 12)])
    def test_rows_before_the_split_equal_no_injection(self, generator, injection, share, isolated):
        model = double_model(injection)
        z_a, z_b = torch.randn(2, N, 16, generator=generator, dtype=torch.float64)
        mixed = codes.inject(model, z_a, z_b, 0.7, share)
        full = model.injection(z_a, z_b, 0.7)
        for ours, own, injected in zip(mixed, (z_a, z_b), full):
            assert torch.equal(ours[:isolated], own[:isolated])
            # Products of fewer rows may be rounded otherwise.
            torch.testing.assert_close(ours[isolated:], injected[isolated:], rtol=1e-12, atol=1e-12)
            assert not torch.isclose(injected, own).all(dim=1).any()


class TestWholeObjective:
    def test_the_plans_formula(self, generator):
        """Loss = λ1·gA·(CE_A + βA·KL_A) + λ2·gB·(CE_B + βB·KL_B − 0.05·H + 0.01·repulsion), terms recomputed here."""
        model, noise = double_model(), noise_for(generator)
        x, classes = batch(generator)
        controls = controls_with(repulsion_b=0.01)
        settings = Objective()
        loss, terms = objective(model, x, classes, noise, controls, settings, (0.5, 1.7))

        mu_a, logvar_a = model.encoder_A(x)
        mu_b, logvar_b = model.encoder_B(x)
        z_a = mu_a + 0.9 * (0.5 * logvar_a).exp() * noise.epsilon_a
        z_b = mu_b + 0.7 * (0.5 * logvar_b).exp() * noise.epsilon_b
        logits_a, logits_b = model.decoder_A(0.7 * z_a + 0.3 * z_b), model.decoder_B(0.7 * z_b + 0.3 * z_a)
        outputs = [torch.distributions.Categorical(logits=each) for each in (logits_a, logits_b)]
        cross_entropies = [-output.log_prob(classes).sum(1).mean() for output in outputs]
        side_a = cross_entropies[0] + 0.4 * codes.kl_divergence(mu_a, logvar_a, 0.5)
        side_b = cross_entropies[1] + 0.25 * codes.kl_divergence(mu_b, logvar_b, 0.5)
        side_b = side_b - 0.05 * information.output_entropy(logits_b) + 0.01 * codes.repulsion(z_b, 0.25)
        expected = 0.6 * 0.5 * side_a + 0.8 * 1.7 * side_b
        alignment = (information.histogram_entropy(z_a) - information.histogram_entropy(z_b)).abs()
        assert loss.item() == pytest.approx((expected + 0.3 * alignment).item(), rel=1e-9)
        assert terms["entropy_alignment"].item() == pytest.approx(alignment.item())
        assert terms["reconstruction_a"].item() == pytest.approx(cross_entropies[0].item())
        assert terms["loss"] is loss

    def test_a_term_added_to_another_is_scaled_with_it(self, generator):
        """Whatever VAE it names itself: at 0 it changes no bit, else λ and the scale are those of the other."""
        model, noise = double_model(), noise_for(generator)
        x, classes = batch(generator)

        def loss(*more):
            among = (*TERMS, *more)
            return objective(model, x, classes, noise, controls_with(), BARE, (0.5, 1.7), among=among)[0].item()

        def worth(value, vae=None):
            value = torch.tensor(value, dtype=torch.float64)
            return Term("more", lambda _: value, lambda *_: 1.0, vae=vae, added_to="reconstruction_a")

        plain = loss()
        assert loss(worth(0.0)) == loss(worth(0.0, "B")) == plain
        assert loss(worth(3.0)) == pytest.approx(plain + 0.6 * 0.5 * 3.0, rel=1e-12)

    def test_entropy_alignment_changes_no_gradient(self, generator):
        model, noise = double_model(), noise_for(generator)
        x, classes = batch(generator)
        found = []
        for weight in (0.0, 1.0):
            settings = BARE.model_copy(update={"entropy_alignment": weight})
            loss, _ = objective(model, x, classes, noise, controls_with(), settings)
            found.append(torch.autograd.grad(loss, model.encoder_A.fc_mu.weight)[0])
        assert torch.equal(*found)
        for temperatures in ((0.1, 2.0), (2.0, 0.1)):  # whichever has the larger entropy
            controls = controls_with(**dict(zip(("temperature_a", "temperature_b"), temperatures)))
            assert objective(model, x, classes, noise, controls, settings)[1]["entropy_alignment"] > 0

    def test_no_gradient_crosses_from_one_vae_into_the_others_encoder(self, generator):
        model = double_model("translated")
        x, classes = batch(generator)
        loss, _ = objective(model, x, classes, noise_for(generator), controls_with(lambda2=0.0), BARE)
        gradients = torch.autograd.grad(loss, list(model.encoder_B.parameters()), allow_unused=True)
        assert all(gradient is None or gradient.abs().max() == 0 for gradient in gradients)

    def test_balance_shifts_weight_between_the_reconstructions_only(self, generator):
        model, noise = double_model(), noise_for(generator)
        x, classes = batch(generator)
        settings = BARE.model_copy(update={"balancing": 1.0})
        loss, terms = objective(model, x, classes, noise, controls_with(balance=torch.tensor(0.4)), settings)
        side_a = math.exp(0.4) * terms["reconstruction_a"] + 0.4 * terms["kl_a"]
        side_b = math.exp(-0.4) * terms["reconstruction_b"] + 0.25 * terms["kl_b"]
        assert loss.item() == pytest.approx((0.6 * side_a + 0.8 * side_b).item(), rel=1e-7)

    def test_prior_information_is_gained_by_both(self, generator):
        model, noise = double_model(), noise_for(generator, prior=True)
        x, classes = batch(generator)
        settings = BARE.model_copy(update={"prior_information": PriorInformation(weight=2.0)})
        loss, terms = objective(model, x, classes, noise, controls_with(), settings)
        without, _ = objective(model, x, classes, Noise(noise.epsilon_a, noise.epsilon_b), controls_with(), settings)
        gain = 2.0 * (terms["prior_information_a"] + terms["prior_information_b"])
        assert loss.item() == pytest.approx((without - gain).item())
        assert terms["prior_information_a"].item() != terms["prior_information_b"].item()

    def test_the_default_recipes_formula(self, in_double):
        """Every term that the plan lacks, and two that longer tables have, put together here from slow versions. Of 20
        rows 12 are isolated, and the first 4 and the last 2 are means under noise."""
        settings = Objective.model_validate({
            "output_entropy_b": 0.05, "repulsion_b": 0.0, "entropy_alignment": 0.0, "mean_share": 0.3,
            "mean_noise": 0.4, "best_of_two": 1.5, "balancing": 0.01, "subspace_overlap": 2.5,
            "recognition": 0.7, "translation_error": 0.9,
            "prior_information": {
                "weight": 1.3, "entropy_weight": 20.0, "draws": 30, "subset_entries": 4, "subsets": 3,
                "widened_share": 0.5,
            },
        })  # fmt: skip
        torch.manual_seed(12)
        model = DualVAE.of(load_recipe("resolution"))
        generator = torch.Generator().manual_seed(11)
        x, classes = batch(generator, 20)
        noise = draw_noise(20, settings, generator, torch.device("cpu"), with_prior=True)
        controls = controls_with(balance=torch.tensor(0.2), moment_weight=7.0)
        loss, terms = objective(model, x, classes, noise, controls, settings, (1.0, 1.0), 0.6, 0.0)

        (mu_a, logvar_a), (mu_b, logvar_b) = model.encoder_A(x), model.encoder_B(x)
        z_a = mu_a + 0.9 * (0.5 * logvar_a).exp() * noise.epsilon_a + noise.mean_noise_a
        z_b = mu_b + 0.7 * (0.5 * logvar_b).exp() * noise.epsilon_b + noise.mean_noise_b
        mixed = model.injection(z_a[12:], z_b[12:], 0.3)
        logits = [
            model.decode(torch.cat([z[:12], rest]), side) for z, rest, side in zip((z_a, z_b), mixed, "AB", strict=True)
        ]
        best_of_two = TestBestOfTwo().slow(*(each.detach()[:4] for each in logits), classes[:4])
        overlap = codes.subspace_overlap(mu_a, mu_b).item()
        apart = model.injection.b_to_a(z_b) - mu_a, model.injection.a_to_b(z_a) - mu_b
        error = sum(each.square().sum(dim=1).mean().item() for each in apart)
        expected = 1.5 * best_of_two + 2.5 * 0.4 * overlap + 0.9 * 0.4 * error
        sides = zip("AB", (mu_a, mu_b), (logvar_a, logvar_b), logits, (0.6, 0.8), (0.4, 0.25), (0.2, -0.2))
        for side, mu, logvar, answers, weight, beta, balance in sides:
            cross_entropy = -torch.distributions.Categorical(logits=answers).log_prob(classes).sum(1).mean().item()
            divergence = codes.kl_divergence(mu, logvar).item()
            expected += weight * (math.exp(balance) * cross_entropy + beta * divergence)
            if side == "B":
                expected -= weight * 0.05 * information.output_entropy(answers).item()
            answers = model.decode(noise.prior_draws, side).detach()
            joint, _, informed_of = np.mean([by_enumerating(answers, each) for each in noise.subsets.tolist()], axis=0)
            encoder = model.encoder_A if side == "A" else model.encoder_B
            mean, log_variance = encoder(answers.argmax(dim=-1).double() - 1)
            q = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
            surprise = -q.log_prob(noise.prior_draws).sum(dim=-1).mean().item()
            moments = moments_by_loops(answers.softmax(dim=-1).movedim(-1, 0).numpy())
            expected += 0.7 * surprise + 7.0 * moments - 1.3 * informed_of - 20.0 * joint
            names = ("prior_information", "prior_entropy", "prior_moments", "recognition")
            found = [terms[f"{name}_{side.lower()}"].item() for name in names]
            assert found == pytest.approx([informed_of, joint, moments, surprise], rel=1e-9)
        assert loss.item() == pytest.approx(expected, rel=1e-9)
        assert terms["best_of_two"].item() == pytest.approx(best_of_two, rel=1e-9)
        assert terms["subspace_overlap"].item() == pytest.approx(overlap)
        assert set(terms) == {
            "loss", "best_of_two", "subspace_overlap", "translation_error", "output_entropy_b",
            *(f"{name}_{side}" for name in ("reconstruction", "kl", *names) for side in "ab"),
        }  # fmt: skip

    @pytest.mark.parametrize("rows", [1, 2])
    def test_a_batch_too_small_for_the_ensembles_loss_has_none(self, generator, rows):
        """Three tenths of one row are none; of two one, which is isolated."""
        x, classes = batch(generator, rows)
        settings = BARE.model_copy(update={"mean_share": 0.3, "best_of_two": 1.0})
        noise = noise_for(generator, rows)
        loss, terms = objective(double_model(), x, classes, noise, controls_with(), settings)
        assert ("best_of_two" in terms) == (rows == 2)
        assert math.isfinite(loss.item())

    def test_recognition_alone_needs_no_entropies(self, generator, monkeypatch):
        monkeypatch.setattr(forward, "prior_entropies", lambda *_: pytest.fail("computed"))
        model, noise = double_model(), noise_for(generator, prior=True)
        x, classes = batch(generator)
        plain, _ = objective(model, x, classes, Noise(noise.epsilon_a, noise.epsilon_b), controls_with(), BARE)
        settings = BARE.model_copy(update={"recognition": 2.0})
        loss, terms = objective(model, x, classes, noise, controls_with(), settings)
        assert loss.item() == pytest.approx((plain + 2.0 * (terms["recognition_a"] + terms["recognition_b"])).item())

    def test_recognition_teaches_its_own_vae_alone(self, generator):
        model, noise = double_model(), noise_for(generator, prior=True)
        x, classes = batch(generator)
        _, values = objective(model, x, classes, noise, controls_with(), Objective(recognition=1.0))
        loss = values["recognition_a"]
        parts = {name: list(getattr(model, name).parameters()) for name in ("encoder_A", "decoder_A")}
        others = [*model.encoder_B.parameters(), *model.decoder_B.parameters()]
        for parameters in parts.values():
            gradients = torch.autograd.grad(loss, parameters, retain_graph=True)
            assert all(gradient.abs().max() > 0 for gradient in gradients)
        assert torch.autograd.grad(loss, others, allow_unused=True) == (None,) * len(others)


class TestWeightZeroCostsNothing:
    def test_absent_terms(self, generator):
        model = double_model()
        x, classes = batch(generator)
        _, terms = objective(model, x, classes, noise_for(generator), controls_with(), BARE)
        assert set(terms) == {"loss", "reconstruction_a", "reconstruction_b", "kl_a", "kl_b"}

    def test_nothing_is_called_for_them(self, generator, monkeypatch):
        monkeypatch.setattr(forward, "prior_entropies", lambda *_: pytest.fail("computed"))
        for name in ("repulsion", "output_entropy", "histogram_entropy", "recognition", "moment_divergence",
                     "best_of_two_loss", "subspace_overlap", "translation_error"):  # fmt: skip
            monkeypatch.setattr(terms, name, lambda *_: pytest.fail("computed"))
        model = double_model()
        seen = []
        for decoder in (model.decoder_A, model.decoder_B):
            decoder.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
        x, classes = batch(generator)
        objective(model, x, classes, noise_for(generator), controls_with(), BARE)
        assert seen == [N, N]  # no decoder has seen prior draws

    def test_no_prior_draws_are_drawn(self):
        generator, other = (torch.Generator().manual_seed(4) for _ in range(2))
        settings = load_recipe("resolution").objective
        noise = draw_noise(7, settings, generator, torch.device("cpu"), with_prior=False)
        assert noise.prior_draws is None
        torch.randn(2, 7, 16, generator=other)
        torch.randn(2, 7, 16, generator=other)  # noise on means
        assert torch.equal(generator.get_state(), other.get_state())

    def test_a_share_of_the_rows_has_no_noise(self):
        """Ten of forty: the first seven, and the last three, which are mixed."""
        settings = Objective(mean_share=0.25)
        drawn = [
            draw_noise(40, each, torch.Generator().manual_seed(3), torch.device("cpu"), with_prior=False)
            for each in (Objective(), settings)
        ]
        for name in ("epsilon_a", "epsilon_b"):
            plain, some = (getattr(noise, name) for noise in drawn)
            assert (some[:7] == 0).all()
            assert (some[37:] == 0).all()
            assert torch.equal(some[7:37], plain[7:37])
            assert (plain != 0).all()

    def test_noise_on_means_is_of_its_width_and_on_means_alone(self):
        """Of 1,000 rows of 4,000 the first 667 and the last 333. The other random numbers are those without it."""
        plain, noisy = (Objective(mean_share=0.25, mean_noise=width) for width in (0.0, 0.3))
        drawn = [
            draw_noise(4000, each, torch.Generator().manual_seed(3), torch.device("cpu"), with_prior=False)
            for each in (plain, noisy)
        ]
        assert drawn[0].mean_noise_a is drawn[0].mean_noise_b is None
        for name in ("epsilon_a", "epsilon_b"):
            assert torch.equal(getattr(drawn[0], name), getattr(drawn[1], name))
        by_hand = torch.Generator().manual_seed(3)
        torch.randn(2, 4000, 16, generator=by_hand)
        expected = 0.3 * torch.randn(2, 4000, 16, generator=by_hand)
        expected[:, 667:3667] = 0
        noise = torch.stack([drawn[1].mean_noise_a, drawn[1].mean_noise_b])
        assert torch.equal(noise, expected)
        # 10,672 numbers: a standard deviation has a relative error of 0.7%, a correlation one of 1%.
        for each in noise[:, :667]:
            assert each.std().item() == pytest.approx(0.3, rel=0.03)
        assert abs(torch.corrcoef(noise[:, :667].flatten(1))[0, 1].item()) < 0.04

    @pytest.mark.parametrize("runs", [(), (2,)])
    def test_noise_on_means_is_each_vaes_own(self, generator, runs):
        x, classes = (each.expand(*runs, -1, -1) for each in batch(generator, 40))
        generators = [torch.Generator().manual_seed(seed) for seed in (4, 5)]
        settings, cpu = Objective(mean_share=0.3, mean_noise=0.2), torch.device("cpu")
        noise = draw_noise(40, settings, generators if runs else generators[0], cpu, with_prior=False)
        one_pass = ForwardPass(double_model(), x, classes, noise, controls_with(), settings, isolated_share=1.0)
        latents, posteriors = one_pass.latents, one_pass.posteriors
        moved_a, moved_b = latents.z_a - posteriors.mu_a, latents.z_b - posteriors.mu_b
        for moved, own in ((moved_a, noise.mean_noise_a), (moved_b, noise.mean_noise_b)):
            torch.testing.assert_close(moved[..., :8, :], own[..., :8, :].double())
            torch.testing.assert_close(moved[..., 36:, :], own[..., 36:, :].double())  # means that are mixed
        assert (moved_a != moved_b).all()
        assert torch.equal(latents.mixed_a, latents.z_a)

    @pytest.mark.parametrize("with_prior", [False, True])
    def test_without_noise_on_means_the_random_numbers_are_those_of_before(self, with_prior):
        """Of the plan's recipes and of any other: posterior noise, prior draws, and what subsets are sorted by."""
        settings = Objective.model_validate(
            {"mean_share": 0.2, "prior_information": {"weight": 1.0, "draws": 30, "subsets": 4}}
        )
        generator, by_hand = (torch.Generator().manual_seed(6) for _ in range(2))
        noise = draw_noise(20, settings, generator, torch.device("cpu"), with_prior)
        epsilon = torch.randn(2, 20, 16, generator=by_hand)
        epsilon[:, :3] = epsilon[:, 19:] = 0
        assert torch.equal(torch.stack([noise.epsilon_a, noise.epsilon_b]), epsilon)
        assert noise.mean_noise_a is noise.mean_noise_b is None
        if with_prior:
            assert torch.equal(noise.prior_draws, torch.randn(30, 16, generator=by_hand))
            assert torch.equal(noise.subsets, torch.rand(4, 9, generator=by_hand).argsort(dim=-1)[:, :5])
        assert torch.equal(generator.get_state(), by_hand.get_state())

    @pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
    def test_some_prior_draws_are_as_wide_as_the_plans_sum(self, share):
        fair, widened = (
            Objective.model_validate({"prior_information": {"weight": 1.0, "draws": 40, "widened_share": each}})
            for each in (0.0, share)
        )
        before, after = (
            draw_noise(5, each, torch.Generator().manual_seed(8), torch.device("cpu"), with_prior=True)
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
        noise = draw_noise(7, settings, generator, torch.device("cpu"), with_prior=True)
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
        loss, terms = objective(model, x, classes, noise_for(generator), controls, BARE)
        assert math.isinf(terms["kl_b"].item())
        assert math.isfinite(loss.item())
