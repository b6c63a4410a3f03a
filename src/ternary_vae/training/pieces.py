"""The gradient of one step in pieces that two cores can share.

The graph of the objective is cut at the posteriors and at the latents that the decoders read. Between cuts every piece
is differentiated on its own, and the chain rule is applied by hand: first both encoders, then what reads the latents
(rows of the batch and prior draws, by either decoder; what the codes cost), then both encoders backwards. Which pieces
there are depends on the recipe, never on who is there to compute them, so that the bits are the same on any number of
cores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ternary_vae.model import DualVAE, Posteriors
from ternary_vae.model.dual_vae import Side
from ternary_vae.recipe import Recipe
from ternary_vae.resolution.parallel import Tasks
from ternary_vae.training.objective import (
    Controls,
    Noise,
    Part,
    Weights,
    latents_of,
    loss_of_codes,
    loss_of_decoding,
    loss_of_prior,
    sum_of_parts,
)

SMALLEST_BATCH = 256
"""Below it handing pieces over costs more than a second core gains."""

Run = Callable[[Tasks], dict]
"""Computes tasks, in any order and by anybody, and returns what each gave by its name."""


def pays_in_pieces(recipe: Recipe, device: torch.device) -> bool:
    """Whether steps of a recipe are computed in pieces: on a CPU, where the pieces are large enough."""
    return device.type == "cpu" and recipe.optimizer.batch_size >= SMALLEST_BATCH


class Pieces:
    """Loss and gradient of a model, as `objective` and autograd give them up to the rounding of sums.

    Args:
        model: of one run.
        recipe: says what the objective is.
        parameters: by which it is differentiated.
    """

    def __init__(self, model: DualVAE, recipe: Recipe, parameters: Sequence[Tensor]) -> None:
        self.model, self.recipe, self.parameters = model, recipe, parameters
        self._encoders = {"A": model.encoder_A, "B": model.encoder_B}
        self._decoders = {"A": model.decoder_A, "B": model.decoder_B}
        modules = {"encoder": self._encoders, "decoder": self._decoders}
        self._of = {
            (k, side): list(module.parameters()) for k, by_side in modules.items() for side, module in by_side.items()
        }
        self._of_injection = list(model.injection.parameters())

    def gradients(
        self,
        x: Float[Tensor, "n 9"],
        classes: Int[Tensor, "n 9"],
        noise: Noise,
        controls: Controls,
        weights: Weights,
        run: Run,
    ) -> tuple[list[Tensor | None], dict[str, Tensor]]:
        """The gradient by every parameter, None where there is none, and the objective's terms by name."""
        settings, with_prior = self.recipe.objective, noise.prior_draws is not None
        encoded = run({side: lambda side=side: self._encoders[side](x) for side in ("A", "B")})
        posteriors = Posteriors(*_cut(encoded["A"]), *_cut(encoded["B"]))
        latents = latents_of(self.model, posteriors, noise, controls, settings, self.recipe.permeability.isolated_share)
        read = {"A": latents.mixed_a.detach(), "B": latents.mixed_b.detach()}

        def prior(side: Side) -> Found:
            logits = self._decoders[side](noise.prior_draws)
            return _differentiated(loss_of_prior(side, logits, noise.subsets, settings), self._of["decoder", side])

        def rows(side: Side, some: slice) -> Found:
            latent = read[side][some].requires_grad_()
            logits = self._decoders[side](latent)
            loss, terms = loss_of_decoding(side, logits, classes[some], controls, _of_rows(weights, some), settings)
            share = len(latent) / len(x)
            part = loss * share, {name: value * share for name, value in terms.items()}
            return _differentiated(part, [*self._of["decoder", side], latent])

        def codes() -> Found:
            part = loss_of_codes(posteriors, latents, controls, weights, settings, self.recipe.beta.free_bits)
            return _differentiated(part, posteriors, keep=True)

        # The long ones first, so that no core is left waiting for the last.
        tasks: Tasks = {("prior", "B"): lambda: prior("B")} if with_prior else {}
        for number, some in enumerate(self._shared_rows(len(x), with_prior)):
            tasks["rows", "B", number] = lambda some=some: rows("B", some)
        if with_prior:
            tasks["prior", "A"] = lambda: prior("A")
        tasks["rows", "A"] = lambda: rows("A", slice(None))
        tasks["codes", "both"] = codes
        found = run(tasks)

        by_side = {side: [(key[0], of) for key, (of, _) in found.items() if key[1] == side] for side in ("A", "B")}
        of_read = [torch.cat([of[-1] for kind, of in by_side[side] if kind == "rows"]) for side in ("A", "B")]
        back = torch.autograd.grad(
            [latents.mixed_a, latents.mixed_b], [*posteriors, *self._of_injection], of_read, allow_unused=True
        )
        of_posteriors = [_sum(pair) for pair in zip(back, found["codes", "both"][0])]
        backwards = run(
            {
                "A": lambda: torch.autograd.grad(encoded["A"], self._of["encoder", "A"], of_posteriors[:2]),
                "B": lambda: torch.autograd.grad(encoded["B"], self._of["encoder", "B"], of_posteriors[2:]),
            }
        )
        pieces = [(self._of_injection, back[len(posteriors) :])]
        for side in ("A", "B"):
            pieces.append((self._of["encoder", side], backwards[side]))
            decoder = self._of["decoder", side]
            of_parts = zip(*(of[: len(decoder)] for _, of in by_side[side]))
            pieces.append((decoder, [_sum(each) for each in of_parts]))
        by_parameter = {id(one): gradient for parameters, of in pieces for one, gradient in zip(parameters, of)}
        _, terms = sum_of_parts([part for _, part in found.values()])
        return [by_parameter.get(id(parameter)) for parameter in self.parameters], terms

    def _shared_rows(self, count: int, with_prior: bool) -> list[slice]:
        """How the rows are shared that VAE-B decodes, whose decoder is sixteen times VAE-A's. Beside prior draws there
        is work enough for two cores; and some terms are of all rows at once."""
        if with_prior or self.recipe.objective.output_entropy_b or count < 2:
            return [slice(None)]
        return [slice(0, count // 2), slice(count // 2, count)]


Found = tuple[Sequence[Tensor | None], Part]
"""Gradients of a part, and the part without its graph."""


def _differentiated(part: Part, by: Sequence[Tensor], keep: bool = False) -> Found:
    loss, terms = part
    gradients = torch.autograd.grad(loss, by, retain_graph=keep, allow_unused=True)
    return gradients, (loss.detach(), {name: value.detach() for name, value in terms.items()})


def _cut(outputs: Iterable[Tensor]) -> list[Tensor]:
    """The same values as the beginning of a new graph."""
    return [output.detach().requires_grad_() for output in outputs]


def _of_rows(weights: Weights, rows: slice) -> Weights:
    own = {
        name: value[rows] for name in ("operation_a", "operation_b") if (value := getattr(weights, name)) is not None
    }
    return replace(weights, **own)


def _sum(gradients: Iterable[Tensor | None]) -> Tensor | None:
    present = [gradient for gradient in gradients if gradient is not None]
    return sum(present[1:], start=present[0]) if present else None
