"""Guards: the plan's risk responses (section 7) as rules, watched every epoch, with actions that are really
taken. What is measured after epoch N is acted on from epoch N + 2 on, for epoch N + 1 is trained meanwhile; only
what is not finite is acted on at once."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from ternary_vae.recipe import Guard, Recipe

REPULSION_STEP = 0.01
RHO_STEP = 0.05
LAMBDA_STEP = 0.05
LARGEST_FACTOR = 1e12  # a guard may fire a million times, and a checkpoint holds finite numbers


@dataclass
class Interventions:
    """What guards have changed so far: factors and additions to what the schedules say, and how often each
    guard has fired."""

    learning_rate_factor: float = 1.0
    learning_rate_factor_a: float = 1.0
    temperature_factor: float = 1.0
    boost_factor: float = 1.0
    repulsion_bonus: float = 0.0
    rho_bonus: float = 0.0
    lambda1_bonus: float = 0.0
    fired: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Interventions:
        return cls(**values)

    @property
    def fired_count(self) -> int:
        return sum(self.fired.values())

    def act(self, guard: Guard, action: str) -> None:
        """Takes one action. "restore" is the loop's: here it halves the learning rate."""
        if action == "raise_temperature_a":
            self.temperature_factor = min(self.temperature_factor * guard.amount, LARGEST_FACTOR)
        elif action == "raise_lambda1":
            self.lambda1_bonus += LAMBDA_STEP
        elif action == "raise_learning_rate_a":
            self.learning_rate_factor_a = min(self.learning_rate_factor_a * guard.amount, LARGEST_FACTOR)
        elif action == "raise_repulsion":
            self.repulsion_bonus += REPULSION_STEP
        elif action == "raise_rho":
            self.rho_bonus += RHO_STEP
        elif action == "raise_temperature_boost":
            self.boost_factor = min(self.boost_factor * guard.amount, LARGEST_FACTOR)
        elif action == "restore":
            self.learning_rate_factor *= 0.5


def watch(
    recipe: Recipe, interventions: Interventions, row: dict[str, Any], history: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Checks every guard against the epoch just measured and takes the actions of those that fire.

    Args:
        row: the epoch's row of the log; `row["epoch"]` epochs are completed.
        history: the rows before it.

    Returns:
        one event a firing, for the log.
    """
    events = []
    for name, guard in recipe.guards.items():
        if not _is_due(guard, row["epoch"]) or interventions.fired.get(name, 0) >= guard.limit:
            continue
        value = _quantity(guard, row, history)
        if not _fires(guard, value):
            continue
        interventions.fired[name] = interventions.fired.get(name, 0) + 1
        for action in guard.actions:
            interventions.act(guard, action)
        threshold = guard.below if guard.below is not None else guard.above
        shown = "not finite" if value is None or not math.isfinite(value) else f"{value:.4g}"
        events.append(
            {
                "epoch": row["epoch"], "kind": "guard", "name": name, "quantity": guard.quantity,
                "value": value if value is not None and math.isfinite(value) else None, "threshold": threshold,
                "actions": list(guard.actions),
                "message": f"{guard.says or name.replace('_', ' ')} ({guard.quantity} {shown})",
            }
        )  # fmt: skip
    return events


def _is_due(guard: Guard, epoch: int) -> bool:
    after_end = guard.until_epoch is not None and epoch > guard.until_epoch
    # What is not finite ends the run there and then, so it is watched at every epoch.
    on_turn = guard.not_finite or (epoch - guard.from_epoch) % guard.every == 0
    return epoch >= guard.from_epoch and not after_end and on_turn


def _fires(guard: Guard, value: float | None) -> bool:
    if value is None:
        return False
    if guard.not_finite or not math.isfinite(value):
        return guard.not_finite and not math.isfinite(value)
    return value < guard.below if guard.below is not None else value > guard.above  # type: ignore[operator]


def _quantity(guard: Guard, row: dict[str, Any], history: list[dict[str, Any]]) -> float | None:
    if guard.quantity == "loss":
        return row["terms"]["loss"]
    if guard.quantity == "exact_match_ensemble":
        return row["exact_match_best_of_two"]
    if guard.quantity == "larger_share":
        return None if row["share_a"] is None else max(row["share_a"], 1 - row["share_a"])
    if guard.quantity == "coverage_plateau":
        return _coverage_plateau(guard, row, history)
    return row[guard.quantity]


def _coverage_plateau(guard: Guard, row: dict[str, Any], history: list[dict[str, Any]]) -> float | None:
    """How far coverage is below a uniform model's, if it has gained less than `gain` over the guard's window; else
    nothing."""
    earlier = [past["coverage"] for past in history[-guard.window :] if past["coverage"] is not None]
    if row["coverage"] is None or len(history) < guard.window or not earlier:
        return None
    if row["coverage"] - earlier[0] >= guard.gain:
        return None
    return row["coverage_limit"] - row["coverage"]
