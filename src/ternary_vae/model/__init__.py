"""The networks, cross-injection, the dual VAE and its controller."""

from ternary_vae.model.dual_vae import DualVAE, Posteriors, draw_latents
from ternary_vae.model.ensemble import (
    STRATEGIES,
    EnsembleStrategy,
    combine,
    logits_to_tables,
    register_strategy,
    strategy_named,
)
from ternary_vae.model.injection import CrossInjection, mix_prior_draws
from ternary_vae.model.networks import Sizes
from ternary_vae.model.statenet import StateNet

__all__ = [
    "STRATEGIES",
    "CrossInjection",
    "DualVAE",
    "EnsembleStrategy",
    "Posteriors",
    "Sizes",
    "StateNet",
    "combine",
    "draw_latents",
    "logits_to_tables",
    "mix_prior_draws",
    "register_strategy",
    "strategy_named",
]
