"""How StateNet learns: a one-step hypergradient, once an epoch.

The question is how the validation objective V would have changed, had a setting h been slightly different
at the epoch's last step. That step was θ' = θ − P∘g(θ, h), with g the gradient of the training loss and P
the step sizes: each parameter group's learning rate times Adam's diagonal preconditioner, taken as constant.
Hence

    dV/dh = −d/dh ⟨P∘∇V(θ'), g(θ, h)⟩   for h = λ1, λ2, λ3, ρ   (one double backward gives all four)
    dV/dη = ⟨∇V(θ'), (θ' − θ)/η⟩

after Baydin et al. 2018, "Online learning rate adaptation with hypergradient descent", with the
preconditioned and general-setting form of Chandra et al. 2022, "Gradient descent: the ultimate optimizer".
StateNet's loss is the first-order change of V that its corrections caused, each setting's share divided by
its running root mean square, plus a penalty on the size of the corrections. Unlike V itself, it is
differentiable in StateNet's weights.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ternary_vae.model import LATENT_DIMENSIONS, DualVAE, StateNet
from ternary_vae.model.statenet import CORRECTIONS, STATE
from ternary_vae.operations import ENTRIES
from ternary_vae.recipe import Recipe
from ternary_vae.splits import training_split
from ternary_vae.storage.transfer import in_a_row
from ternary_vae.training.objective import Controls, Number, drawn, entry_cross_entropy, prior_information

LossUnder = Callable[[DualVAE, Controls], tuple[Tensor, dict[str, Tensor]]]

VALIDATION_NOISE = 0.3
_AVERAGE_MOMENTUM = 0.9
SETTINGS = ("lambda1", "lambda2", "lambda3", "rho")


class Controller:
    """StateNet with what it needs to answer and to learn.

    Args:
        recipe: says whether it is enabled and whether it learns.
        state_net: the network, part of the model and of its checkpoints.
        device: where the network lives.
    """

    def __init__(self, recipe: Recipe, state_net: StateNet, device: torch.device) -> None:
        self.settings = recipe.statenet
        self.rho_bound = recipe.permeability.adaptive_bound
        self.net = state_net
        self.device = device
        self.learns = self.settings.enabled and self.settings.learning == "hypergradient"
        split = training_split(recipe)
        self.validation_index = (split.validation if len(split.validation) else split.train).to(device)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=self.settings.learning_rate)
        self.mean_squares = torch.zeros(len(CORRECTIONS), device=device)
        self.hypergradients: Float[Tensor, "5"] | None = None
        self._shadow: DualVAE | None = None
        self._probe: tuple[tuple[Tensor | None, ...], list[Tensor], list[Tensor]] | None = None

    @property
    def validation_size(self) -> int:
        """How many operations it looks at."""
        return min(self.settings.validation_batch, len(self.validation_index))

    def validation_batch(self, generator: torch.Generator) -> Int[Tensor, " n"]:
        """Which they are."""
        count = len(self.validation_index)
        return self.validation_index[
            torch.randint(count, (self.validation_size,), generator=generator, device=self.device)
        ]

    def corrections(self, state: dict[str, float] | None) -> dict[str, float]:
        """Corrections in [−1, 1] for the state at the end of the last epoch; all zero when switched off or
        before there is a state."""
        if not self.settings.enabled or state is None:
            return dict.fromkeys(self.net.outputs, 0.0)
        with torch.no_grad():
            return dict(zip(self.net.outputs, self.net(self._as_tensor(state)).tolist()))

    def before_last_step(self, model: DualVAE, loss_under: LossUnder, controls: Controls) -> None:
        """Records g(θ, h) as a function of the settings."""
        if not self.learns:
            return
        shadow = self._shadow_of(model)
        settings = [
            torch.tensor(float(getattr(controls, name)), device=self.device, requires_grad=True) for name in SETTINGS
        ]
        loss, _ = loss_under(shadow, replace(controls, **dict(zip(SETTINGS, settings))))
        parameters = trainable(shadow)
        gradients = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True)
        self._probe = (gradients, parameters, settings)

    @torch.no_grad()
    def _shadow_of(self, model: DualVAE) -> DualVAE:
        """A model of the same weights, which the coming step leaves as they are."""
        if self._shadow is None:
            self._shadow = copy.deepcopy(model)
        for own, weight in zip(trainable(self._shadow), trainable(model)):
            own.copy_(weight)
        return self._shadow

    def after_last_step(
        self,
        model: DualVAE,
        optimizer: torch.optim.Optimizer,
        inputs: Float[Tensor, "19683 9"],
        classes: Int[Tensor, "19683 9"],
        controls: Controls,
        generator: torch.Generator,
    ) -> None:
        """Computes the hypergradients of `validation_objective` at the new weights."""
        if self._probe is None:
            return
        gradients, before, settings = self._probe
        self._probe = None
        batch = self.validation_batch(generator)
        value = validation_objective(model, inputs[batch], classes[batch], float(controls.rho), generator)
        after = trainable(model)
        slopes = torch.autograd.grad(value, after, allow_unused=True)
        sizes = step_sizes(optimizer, after)
        self.hypergradients = hypergradients(gradients, slopes, before, after, sizes, settings, controls.learning_rate)

    def learn(self, state: dict[str, float] | None) -> dict[str, Any] | None:
        """One step on StateNet's weights for the corrections it gave from `state`.

        Returns:
            this epoch's corrections, hypergradients and loss for the log; None when switched off.
        """
        if not self.settings.enabled:
            return None
        log: dict[str, Any] = {"corrections": self.corrections(state), "hypergradients": None, "loss": None}
        if self.hypergradients is None:
            return log
        slopes, self.hypergradients = self.hypergradients, None
        log["hypergradients"] = dict(zip(self.net.outputs, slopes.tolist()))
        if state is None or not bool(torch.isfinite(slopes).all()):
            return log
        started = self.mean_squares > 0
        averaged = torch.lerp(slopes.square(), self.mean_squares, _AVERAGE_MOMENTUM)
        self.mean_squares = torch.where(started, averaged, slopes.square())
        normalised = slopes / self.mean_squares.sqrt().clamp(min=1e-20)
        answer = self.net(self._as_tensor(state))
        loss = (normalised[: len(answer)] * answer).sum() + self.settings.correction_penalty * answer.square().sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        log["loss"] = loss.item()
        return log

    def optimizer_tensors(self) -> dict[str, Tensor]:
        """Adam's moments and the running averages, by dotted name, for a checkpoint."""
        tensors = {
            f"state_net.{name}.{key}": value
            for name, parameter in self.net.named_parameters()
            for key, value in self.optimizer.state.get(parameter, {}).items()
        }
        return {**tensors, "state_net.mean_squares": self.mean_squares}

    def restore_optimizer(self, tensors: dict[str, Tensor]) -> None:
        """The inverse of `optimizer_tensors`."""
        self.mean_squares = tensors["state_net.mean_squares"].to(self.device, copy=True)
        self.optimizer.state.clear()
        for name, parameter in self.net.named_parameters():
            prefix = f"state_net.{name}."
            # Adam keeps its step count on the CPU.
            entry = {
                key: tensors[prefix + key].to("cpu" if key == "step" else self.device, copy=True)
                for key in ("step", "exp_avg", "exp_avg_sq")
                if prefix + key in tensors
            }
            if entry:
                self.optimizer.state[parameter] = entry

    def _as_tensor(self, state: dict[str, float]) -> Float[Tensor, "9"]:
        return torch.tensor([state[name] for name in STATE], device=self.device)


def trainable(model: DualVAE) -> list[Tensor]:
    """Every parameter but the controller's."""
    return [parameter for name, parameter in model.named_parameters() if not name.startswith("state_net.")]


def validation_objective(
    model: DualVAE,
    x: Float[Tensor, "*runs n 9"],
    classes: Int[Tensor, "*runs n 9"],
    rho: Number,
    generator: torch.Generator | Sequence[torch.Generator],
    noise: float = VALIDATION_NOISE,
) -> Float[Tensor, "*runs"]:
    """What StateNet steers towards, in nats, free of λ and temperatures: reconstruction of both VAEs under
    fixed latent noise, alone and coupled, less the information between prior draws and decoded operations
    (five random entries). On operations held out for validation; where a recipe trains on all, on those
    under fresh noise."""
    mu_a, _ = model.encoder_A(x)
    mu_b, _ = model.encoder_B(x)
    count = x.shape[-2]
    epsilon = drawn(torch.randn, 3, count, LATENT_DIMENSIONS, generator=generator, device=x.device)
    epsilon_a, epsilon_b, prior_draws = epsilon.unbind(dim=-3)
    z_a, z_b = mu_a + noise * epsilon_a, mu_b + noise * epsilon_b
    # As `model.injection`, but nothing is detached: how V would change counts through both encoders.
    mixed_a = z_a + rho * (model.injection.b_to_a(z_b) - z_a)
    mixed_b = z_b + rho * (model.injection.a_to_b(z_a) - z_b)
    value, twice = x.new_zeros(()), torch.cat([classes, classes], dim=-2)
    for decoder, own, mixed in ((model.decoder_A, z_a, mixed_a), (model.decoder_B, z_b, mixed_b)):
        logits = decoder(torch.cat([own, mixed, prior_draws], dim=-2))
        from_codes, from_prior = logits.split([2 * count, count], dim=-3)
        value = value + 2 * entry_cross_entropy(from_codes, twice).mean(dim=-1)
        subset = drawn(torch.rand, 1, ENTRIES, generator=generator, device=x.device).argsort(dim=-1)[..., :5]
        value = value - prior_information(from_prior, subset)
    return value


def hypergradients(
    gradients: tuple[Tensor | None, ...],
    slopes: tuple[Tensor | None, ...],
    before: list[Tensor],
    after: list[Tensor],
    sizes: list[Tensor | None],
    settings: list[Tensor],
    learning_rate: float,
) -> Float[Tensor, "5"]:
    """dV/d(learning rate, λ1, λ2, λ3, ρ), in the order of `CORRECTIONS`.

    Args:
        gradients: g(θ, h) a parameter, with a graph back to `settings`.
        slopes: ∇V(θ') a parameter.
        before, after: θ and θ'.
        sizes: P a parameter; None where the optimizer has no state.
        settings: λ1, λ2, λ3, ρ as tensors.
        learning_rate: η.
    """
    known = [row for row in zip(slopes, after, before, sizes, gradients) if row[0] is not None]
    reached = [
        (slope, size, gradient) for slope, _, _, size, gradient in known if size is not None and gradient is not None
    ]
    slope, new, old = (in_a_row(column) for column in list(zip(*known))[:3])
    moved = torch.dot(slope, (new - old).detach())
    reach = settings[0].new_zeros(())
    if reached:
        slope, size, gradient = (in_a_row(column) for column in zip(*reached))
        reach = torch.dot(size * slope, gradient)
    found = torch.autograd.grad(reach, settings, allow_unused=True) if reach.requires_grad else [None] * len(settings)
    rows = [moved / learning_rate]
    rows += [settings[0].new_zeros(()) if slope is None else -slope for slope in found]
    return torch.stack(rows).detach()


def step_sizes(optimizer: torch.optim.Optimizer, parameters: list[Tensor]) -> list[Tensor | None]:
    """η/(√v̂ + ε) of every parameter, from AdamW's state after its step and the parameter's own group."""
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    result: list[Tensor | None] = []
    for parameter in parameters:
        state = optimizer.state.get(parameter)
        if not state:
            result.append(None)
            continue
        group = groups[id(parameter)]
        correction = 1 - group["betas"][1] ** state["step"]
        result.append(group["lr"] / ((state["exp_avg_sq"] / correction).sqrt() + group["eps"]))
    return result
