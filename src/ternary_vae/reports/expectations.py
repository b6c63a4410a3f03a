"""What the plan expected, as data: at each milestone, by the end, and of everything on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ternary_vae.formats import percent

PLAN_EPOCHS = 400
"""The length of run that the plan's milestones are written for."""

PHASE_NAMES = ("isolation", "consolidation", "resonant coupling", "ultra-exploration")

Quantity = Literal["vae_a", "vae_b", "ensemble", "coverage", "complementarity"]
Standing = Literal["below", "within", "above"]


@dataclass(frozen=True)
class Expected:
    """A value or band that the plan expects.

    Attributes:
        low, high: bounds; `high` is None where the plan says "or more".
        section: of the plan.
        kind: "share" is shown as a percentage, "number" as it is.
    """

    low: float
    high: float | None
    section: str
    kind: Literal["share", "number"] = "share"

    @property
    def text(self) -> str:
        """The expectation as a reader sees it."""

        def shown(value: float) -> str:
            return f"{value:.2f}" if self.kind == "number" else percent(value).replace(".00%", "%")

        if self.high is None:
            return f"≥ {shown(self.low)}"
        if self.low == self.high:
            return shown(self.low)
        return (
            f"{shown(self.low)[:-1]}–{shown(self.high)}"
            if self.kind == "share"
            else (f"{shown(self.low)}–{shown(self.high)}")
        )

    def standing(self, measured: float) -> Standing:
        """Where a measurement lies: below, within or above what was expected. A single expected value counts as
        reached to the digits the plan gives it with."""
        slack = 5e-5 if self.low == self.high else 0.0
        if measured < self.low - slack:
            return "below"
        return "within" if self.high is None or measured <= self.high + slack else "above"


_VAE_A = {
    3: (0.1487, 0.1487),
    100: (0.20, 0.30),
    120: (0.30, 0.50),
    150: (0.50, 0.60),
    200: (0.60, 0.75),
    250: (0.75, 0.85),
    300: (0.85, 0.90),
    350: (0.90, 0.95),
    400: (0.95, None),
}

AT_MILESTONE: dict[int, dict[Quantity, Expected]] = {
    epoch: {
        "vae_a": Expected(low, high, section="2"),
        "vae_b": Expected(1.0, 1.0, section="4"),
        "ensemble": Expected(1.0, 1.0, section="2"),
    }
    for epoch, (low, high) in _VAE_A.items()
}
"""Plan epoch → what is expected there. Epoch 3 is the plan's own baseline."""
AT_MILESTONE[3]["coverage"] = Expected(0.8480, 0.8480, section="3")
AT_MILESTONE[3]["complementarity"] = Expected(0.0, 0.0, section="4", kind="number")
AT_MILESTONE[400]["coverage"] = Expected(0.90, None, section="2")
AT_MILESTONE[400]["complementarity"] = Expected(0.60, None, section="4", kind="number")

THROUGHOUT: dict[str, Expected] = {
    "ensemble_alert": Expected(0.999, None, section="2"),
    "share_a": Expected(0.40, 0.60, section="2"),
    "latent_coupling": Expected(0.26, 0.26, section="4", kind="number"),
    "neighbor_consistency": Expected(1.0, 1.0, section="4"),
    "dimensionality_efficiency": Expected(0.50, 0.50, section="4"),
    "inference_overhead": Expected(0.0, 0.05, section="1"),
}
"""What the plan expects to hold all the way: the alert level of the ensemble, the share of VAE-A (40:60 to 60:40),
mean latent correlation, nearest-neighbour consistency, effective dimensions over 16, and the ensemble's cost."""


def expected_at(epoch: int, quantity: Quantity, schedule_epochs: int = PLAN_EPOCHS) -> Expected | None:
    """What the plan expects of `quantity` at a milestone, or None where it says nothing.

    Args:
        schedule_epochs: length the recipe's schedules are scaled to; the plan's milestones scale with them.
    """
    for plan_epoch, quantities in AT_MILESTONE.items():
        if max(1, round(plan_epoch * schedule_epochs / PLAN_EPOCHS)) == epoch:
            return quantities.get(quantity)
    return None


def expected_band(schedule_epochs: int = PLAN_EPOCHS) -> list[tuple[int, float, float]]:
    """(epoch, low, high) of VAE-A's expected exact match, as a band to draw; "or more" reaches up to 1."""
    ratio = schedule_epochs / PLAN_EPOCHS
    return [(max(1, round(epoch * ratio)), low, 1.0 if high is None else high) for epoch, (low, high) in _VAE_A.items()]
