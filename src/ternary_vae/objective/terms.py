"""The objective: a list of terms, each a named quantity with a weight; a term of weight 0 is not computed.

loss = λ1·gA·(w_A·CE_A + β_A·KL_A) + λ2·gB·(w_B·CE_B + β_B·KL_B − η·H(mean output of B) + κ·repulsion(z_B))
     + λ3·ζ·|H(z_A) − H(z_B)| + α·‖μ_A − μ_B‖² + ο·β_A·overlap of the codes
     + τ·β_A·error of the translations − υ·log P(A or B is exact under noise)
     + what A's and B's fresh prior draws cost: − ι·information − ε·entropy + μ·divergence of moments
     − ϱ·log q(z | what z was decoded to)
     + the terms that a recipe names in `objective.extra`, which other packages register

with g the gradient-balance scales and w = exp(±balance). Cross-entropies are sums over entries in nats, averaged
over the batch (plan, sections 2 and 7; the loss of v5.5).

Whatever has to do with terms (the log, TensorBoard, the page, stacked runs, recorded steps) goes by this list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from ternary_vae.errors import UserError, nearest
from ternary_vae.model.dual_vae import Side
from ternary_vae.objective.codes import repulsion, subspace_overlap, translation_error
from ternary_vae.objective.forward import Controls, ForwardPass
from ternary_vae.objective.information import histogram_entropy, moment_divergence, output_entropy, recognition
from ternary_vae.objective.likelihood import best_of_two_loss, entry_cross_entropy
from ternary_vae.objective.weighting import Number, counts, reconstruction_weight
from ternary_vae.recipe import Objective

LOSS = "loss"
"""The name under which the log has the sum of all terms."""


@dataclass(frozen=True)
class Term:
    """A term of the objective.

    Attributes:
        name: in the log, on TensorBoard and on the page.
        value: computes it, unweighted, for a batch: a scalar, or one number a run for several runs at once. It must not
            wait for the device.
        weight: what it is multiplied by in the loss, negative where more of it is better. Unless given, what the recipe
            says under `objective.extra`.
        vae: whose loss it belongs to, so that λ and gradient balance scale it too; None for neither's.
        on_prior_draws: whether it needs prior draws; it is then due every `prior_information.every_steps` steps.
        is_due: whether a batch has what it needs.
        is_logged: whether it is computed and logged even while its weight is 0.
        added_to: an earlier term with which it is summed up before both are scaled, by that one's `vae`, and added to
            the loss.
    """

    name: str
    value: Callable[[ForwardPass], Float[Tensor, "*runs"]]
    weight: Callable[[Controls, Objective], Number] | None = None
    vae: Side | None = None
    on_prior_draws: bool = False
    is_due: Callable[[ForwardPass], bool] = lambda forward: True
    is_logged: Callable[[Objective], bool] = lambda settings: False
    added_to: str | None = None


class WeighedTerm(NamedTuple):
    """A term and its weight in an epoch."""

    term: Term
    weight: Number


def weighed(terms: Sequence[Term], controls: Controls, settings: Objective) -> tuple[WeighedTerm, ...]:
    """The terms that are computed in an epoch, in steps in which they are due, with their weights in it."""
    weights = (settings.extra[term.name] if term.weight is None else term.weight(controls, settings) for term in terms)
    pairs = map(WeighedTerm, terms, weights)
    return tuple(pair for pair in pairs if counts(pair.weight) or pair.term.is_logged(settings))


def total_loss(
    forward: ForwardPass, terms: Iterable[WeighedTerm]
) -> tuple[Float[Tensor, "*runs"], dict[str, Float[Tensor, "*runs"]]]:
    """Loss of a batch, and its terms by name, unweighted, the loss among them.

    Raises:
        UserError: a term's value is not one number, or one a run.
    """
    runs = forward.x.shape[:-2]
    values: dict[str, Tensor] = {}
    parts: dict[str, tuple[Side | None, Tensor]] = {}
    for term, weight in terms:
        if not term.is_due(forward) or (term.on_prior_draws and forward.noise.prior_draws is None):
            continue
        value = values[term.name] = term.value(forward)
        if not isinstance(value, Tensor) or value.shape != runs:
            got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
            raise UserError(
                f"term {term.name!r}: expected a tensor of shape {tuple(runs)}, a number for each run trained at once, "
                f"got {got}; sum or average over all dimensions but those of runs, which come first"
            )
        if counts(weight):
            part, weighted = term.added_to or term.name, _times(weight, value)
            vae, before = parts.get(part, (term.vae, None))  # what is added to another is scaled as that is
            parts[part] = vae, weighted if before is None else before + weighted
    scaled = [part if vae is None else _times(forward.loss_weights[vae], part) for vae, part in parts.values()]
    loss = sum(scaled[1:], scaled[0])
    return loss, values | {LOSS: loss}


def _times(weight: Number, value: Float[Tensor, "*runs"]) -> Float[Tensor, "*runs"]:
    return value if isinstance(weight, float) and weight == 1 else weight * value


# -------------------------------------------------------------------- the terms that there are


def _kl(side: Side) -> Term:
    return Term(
        f"kl_{side.lower()}",
        lambda forward: forward.kl[side],
        lambda controls, _: controls.beta_a if side == "A" else controls.beta_b,
        vae=side,
        is_logged=lambda settings: True,
    )


def _decoding(side: Side) -> Iterator[Term]:
    """What is asked of a decoder's answers: to the batch, and to prior draws."""
    suffix = side.lower()
    reconstruction = f"reconstruction_{suffix}"
    yield Term(
        reconstruction,
        lambda forward: entry_cross_entropy(forward.answers[side].logits, forward.classes).mean(dim=-1),
        lambda controls, _: reconstruction_weight(side, controls.balance),
        vae=side,
        is_logged=lambda settings: True,
    )
    if side == "B":
        yield Term(
            "output_entropy_b",
            lambda forward: output_entropy(forward.answers[side].logits),
            lambda _, settings: -settings.output_entropy_b,
            vae=side,
            added_to=reconstruction,
        )
    information = f"prior_information_{suffix}"

    def informed_of(forward: ForwardPass) -> Tensor:
        joint, conditional = forward.answers[side].prior_entropies
        return joint - conditional

    def of_subsets(settings: Objective) -> bool:
        return bool(settings.prior_information.weight or settings.prior_information.entropy_weight)

    def surprise(forward: ForwardPass) -> Tensor:
        draws, answers = forward.noise.prior_draws, forward.answers[side].prior_probability
        return recognition(forward.encoder(side), draws, answers)

    yield Term(
        information,
        informed_of,
        lambda _, settings: -settings.prior_information.weight,
        on_prior_draws=True,
        is_logged=of_subsets,
    )
    yield Term(
        f"prior_entropy_{suffix}",
        lambda forward: forward.answers[side].prior_entropies[0],
        lambda _, settings: -settings.prior_information.entropy_weight,
        on_prior_draws=True,
        is_logged=of_subsets,
        added_to=information,
    )
    yield Term(
        f"prior_moments_{suffix}",
        lambda forward: moment_divergence(forward.answers[side].prior_probability),
        lambda controls, _: controls.moment_weight,
        on_prior_draws=True,
        added_to=information,
    )
    yield Term(
        f"recognition_{suffix}",
        surprise,
        lambda _, settings: settings.recognition,
        on_prior_draws=True,
        added_to=information,
    )


def _entropy_difference(forward: ForwardPass) -> Tensor:
    """A histogram has no gradient: the plan's alignment is seen in the loss and changes no weight."""
    latents, bins = forward.latents, forward.settings.entropy_bins
    return (histogram_entropy(latents.z_a, bins) - histogram_entropy(latents.z_b, bins)).abs()


def _translation_error(forward: ForwardPass) -> Tensor:
    latents, posteriors = forward.latents, forward.posteriors
    return translation_error(forward.model.injection, latents.z_a, latents.z_b, posteriors.mu_a, posteriors.mu_b)


def _ensemble_loss(forward: ForwardPass) -> Tensor:
    rows = forward.isolated_means
    logits = (forward.answers[side].logits[..., :rows, :, :] for side in ("A", "B"))
    return best_of_two_loss(*logits, forward.classes[..., :rows, :])


TERMS = (
    _kl("A"),
    _kl("B"),
    Term(
        "repulsion_b",
        lambda forward: repulsion(forward.latents.z_b, forward.settings.repulsion_width),
        lambda controls, _: controls.repulsion_b,
        vae="B",
    ),
    Term(
        "entropy_alignment",
        _entropy_difference,
        lambda controls, settings: controls.lambda3 * settings.entropy_alignment if settings.entropy_alignment else 0.0,
        is_logged=lambda settings: settings.entropy_alignment > 0,
    ),
    Term(
        "subspace_overlap",
        lambda forward: subspace_overlap(forward.posteriors.mu_a, forward.posteriors.mu_b),
        # Grows with β: codes that may not overlap from the first step on are learned far more slowly.
        lambda controls, settings: settings.subspace_overlap * controls.beta_a if settings.subspace_overlap else 0.0,
        is_logged=lambda settings: settings.subspace_overlap > 0,
    ),
    Term(
        "alignment",
        lambda forward: (forward.posteriors.mu_a - forward.posteriors.mu_b).square().sum(dim=-1).mean(dim=-1),
        lambda _, settings: settings.alignment,
    ),
    Term(
        "translation_error",
        _translation_error,
        # Grows with β: at first one VAE's decoder learns from the other's code, before its own is any good.
        lambda controls, settings: settings.translation_error * controls.beta_a if settings.translation_error else 0.0,
    ),
    *_decoding("A"),
    *_decoding("B"),
    Term(
        "best_of_two",
        _ensemble_loss,
        lambda _, settings: settings.best_of_two,
        is_due=lambda forward: forward.isolated_means > 0,  # the last batch of an epoch may be so small
    ),
)
"""In the order in which they are computed and added."""

_registered: dict[str, Term] = {}


def register_term(term: Term) -> Term:
    """Makes a term known, which a recipe then weighs under `objective.extra`.

    Raises:
        ValueError: the package has a term of that name.
    """
    if term.name in (LOSS, *(own.name for own in TERMS)):
        raise ValueError(f"the package has a term {term.name!r}; choose another name")
    _registered[term.name] = term
    return term


def terms_of(settings: Objective) -> tuple[Term, ...]:
    """The terms of a recipe: those of the package, and those that it names.

    Raises:
        UserError: it names one that nobody has registered.
    """
    for name in settings.extra:
        if name not in _registered:
            hint = nearest(name, _registered) if _registered else "none is registered"
            raise UserError(
                f"objective.extra.{name}: unknown term; {hint}; a term of your own is registered before training, "
                "with ternary_vae.objective.register_term, for a command by an entry point of 'ternary_vae.extensions'"
            )
    return TERMS + tuple(_registered[name] for name in settings.extra)
