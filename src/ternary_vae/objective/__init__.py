"""What a run is trained for: the terms of the objective, what weighs them, and the random numbers of a step."""

from ternary_vae.objective.forward import Controls, ForwardPass
from ternary_vae.objective.noise import Noise, draw_noise
from ternary_vae.objective.terms import LOSS, TERMS, Term, WeighedTerm, register_term, terms_of, total_loss, weighed

__all__ = [
    "LOSS",
    "TERMS",
    "Controls",
    "ForwardPass",
    "Noise",
    "Term",
    "WeighedTerm",
    "draw_noise",
    "register_term",
    "terms_of",
    "total_loss",
    "weighed",
]
