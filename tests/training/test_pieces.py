"""Steps computed in pieces, against the whole graph differentiated at once."""

from __future__ import annotations

import threading

import pytest
import torch

from ternary_vae.model import DualVAE
from ternary_vae.operations import all_operations
from ternary_vae.recipe import load_recipe
from ternary_vae.resolution.parallel import SharedTasks
from ternary_vae.training.hypergradient import trainable
from ternary_vae.training.objective import Controls, Noise, Weights, draw_noise, objective
from ternary_vae.training.pieces import Pieces, pays_in_pieces
from ternary_vae.training.trainer import Trainer

CPU = torch.device("cpu")
ROWS = 41


def alone(tasks):
    return SharedTasks().run(tasks, CPU)


def backwards(tasks):
    found = {name: tasks[name]() for name in reversed(tasks)}
    return {name: found[name] for name in tasks}


class Step:
    """A step of a recipe in double precision."""

    def __init__(self, name, with_prior, weighed=True, **changes):
        changes = {key.replace("__", "."): value for key, value in changes.items()}
        self.recipe = load_recipe(name, overrides={"objective.prior_information.draws": 30} | changes)
        generator = torch.Generator().manual_seed(5)
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.model = DualVAE.of(self.recipe).double()
        chosen = torch.randint(19_683, (ROWS,), generator=generator)
        self.x, self.classes = all_operations()[chosen].double(), all_operations()[chosen].long() + 1
        drawn = draw_noise(ROWS, self.recipe.objective, generator, CPU, with_prior)
        draws = drawn.prior_draws.double() if with_prior else None
        self.noise = Noise(drawn.epsilon_a.double(), drawn.epsilon_b.double(), draws, drawn.subsets)
        self.controls = Controls(
            learning_rate=1e-3, rho=0.4, temperature_a=0.8, temperature_b=0.6, beta_a=0.3, beta_b=0.2, lambda1=0.7,
            lambda2=0.6, lambda3=0.4, repulsion_b=self.recipe.objective.repulsion_b,
        )  # fmt: skip
        own = 1 + torch.rand(2, ROWS, generator=generator, dtype=torch.float64) if weighed else (None, None)
        self.weights = Weights(torch.tensor(0.9), torch.tensor(1.3), torch.tensor(0.2), *own)
        self.parameters = trainable(self.model)

    def at_once(self):
        loss, terms = objective(
            self.model, self.x, self.classes, self.noise, self.controls, self.weights, self.recipe.objective,
            self.recipe.permeability.isolated_share, self.recipe.beta.free_bits,
        )  # fmt: skip
        return torch.autograd.grad(loss, self.parameters, allow_unused=True), terms

    def in_pieces(self, run=alone):
        pieces = Pieces(self.model, self.recipe, self.parameters)
        return pieces.gradients(self.x, self.classes, self.noise, self.controls, self.weights, run)


@pytest.mark.parametrize("weighed", [True, False])
@pytest.mark.parametrize(
    ("name", "with_prior", "changes"),
    [
        ("resolution", True, {}),
        ("resolution", False, {}),
        ("resolution", False, {"permeability__isolated_share": 0.0, "model__translation_units": 0}),
        ("resolution", True, {"objective__alignment": 0.3, "objective__entropy_alignment": 0.5}),
        ("ternary_v5_5", False, {}),  # output entropy, repulsion, free bits, plain injection
    ],
)
def test_gradient_and_terms_are_those_of_the_whole(name, with_prior, changes, weighed):
    step = Step(name, with_prior, weighed, **changes)
    expected, expected_terms = step.at_once()
    found, terms = step.in_pieces()
    assert terms.keys() == expected_terms.keys()
    for term, value in expected_terms.items():
        assert terms[term].item() == pytest.approx(value.item(), rel=1e-12, abs=1e-12), term
        assert not terms[term].requires_grad
    assert len(found) == len(expected)
    moved = 0
    for gradient, truth in zip(found, expected):
        if truth is None:
            assert gradient is None
            continue
        assert torch.allclose(gradient, truth, rtol=1e-10, atol=1e-13)
        moved += bool(truth.any())
    assert moved > 20  # there was something to compare


@pytest.mark.parametrize("with_prior", [True, False])
def test_the_bits_do_not_depend_on_who_computes_what(with_prior):
    step = Step("resolution", with_prior)
    shared = SharedTasks()
    helper = threading.Thread(target=shared.help)
    helper.start()
    try:
        runs = [step.in_pieces(run) for run in (alone, backwards, lambda tasks: shared.run(tasks, CPU))]
    finally:
        shared.release()
        helper.join()
    for gradients, terms in runs[1:]:
        assert all(a is b is None or torch.equal(a, b) for a, b in zip(gradients, runs[0][0]))
        assert all(torch.equal(terms[name], value) for name, value in runs[0][1].items())


def test_a_single_row():
    """The last batch of an epoch may be one."""
    step = Step("resolution", with_prior=False)
    step.noise = Noise(step.noise.epsilon_a[:1], step.noise.epsilon_b[:1])
    step.weights = Weights()
    step.x, step.classes = step.x[:1], step.classes[:1]
    (expected, expected_terms), (found, terms) = step.at_once(), step.in_pieces()
    assert terms["loss"].item() == pytest.approx(expected_terms["loss"].item())
    for gradient, truth in zip(found, expected):
        assert truth is None or torch.allclose(gradient, truth, rtol=1e-10, atol=1e-13)


def test_only_where_it_pays(small_recipe):
    large, little = small_recipe(optimizer__batch_size=256), small_recipe(optimizer__batch_size=64)
    assert pays_in_pieces(large, CPU)
    assert not pays_in_pieces(little, CPU)
    assert not pays_in_pieces(large, torch.device("cuda"))
    assert Trainer(large)._pieces is not None
    assert Trainer(little)._pieces is None
