"""Guards: the plan's risk responses (section 7) as rules, watched every epoch, with actions that are really
taken. What is measured after epoch N is acted on from epoch N + 2 on, for epoch N + 1 is trained meanwhile; only
what is not finite is acted on at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ternary_vae.errors import UserError, nearest
from ternary_vae.recipe import EXTRA, Guard, Recipe

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

    @property
    def fired_count(self) -> int:
        return sum(self.fired.values())

    def multiply(self, factor: str, by: float) -> None:
        """Raises one of the factors, within bounds."""
        setattr(self, factor, min(getattr(self, factor) * by, LARGEST_FACTOR))

    def add(self, bonus: str, step: float) -> None:
        """Raises one of the additions."""
        setattr(self, bonus, getattr(self, bonus) + step)


Quantity = Callable[[dict[str, Any], list[dict[str, Any]], Guard], float | None]
"""Of an epoch's row of the log and the rows before it. None where there is nothing to judge by."""
Action = Callable[[Interventions, Guard], None]


def _larger_share(row: dict[str, Any], _: list[dict[str, Any]], __: Guard) -> float | None:
    return None if row["share_a"] is None else max(row["share_a"], 1 - row["share_a"])


def _coverage_plateau(row: dict[str, Any], history: list[dict[str, Any]], guard: Guard) -> float | None:
    """How far coverage is below a uniform model's, if it has gained less than `gain` over the guard's window; else
    nothing."""
    earlier = [past["coverage"] for past in history[-guard.window :] if past.get("coverage") is not None]
    if row["coverage"] is None or len(history) < guard.window or not earlier:
        return None
    if row["coverage"] - earlier[0] >= guard.gain:
        return None
    return row["coverage_limit"] - row["coverage"]


_quantities: dict[str, Quantity] = {
    **{name: lambda row, _, guard: row[guard.quantity] for name in ("exact_match_a", "exact_match_b", "coverage")},
    "exact_match_ensemble": lambda row, _, __: row["exact_match_best_of_two"],
    "loss": lambda row, _, __: row["terms"]["loss"],
    "larger_share": _larger_share,
    "coverage_plateau": _coverage_plateau,
}
_actions: dict[str, Action] = {
    "raise_temperature_a": lambda acted, guard: acted.multiply("temperature_factor", guard.amount),
    "raise_learning_rate_a": lambda acted, guard: acted.multiply("learning_rate_factor_a", guard.amount),
    "raise_temperature_boost": lambda acted, guard: acted.multiply("boost_factor", guard.amount),
    "raise_lambda1": lambda acted, _: acted.add("lambda1_bonus", LAMBDA_STEP),
    "raise_repulsion": lambda acted, _: acted.add("repulsion_bonus", REPULSION_STEP),
    "raise_rho": lambda acted, _: acted.add("rho_bonus", RHO_STEP),
    "restore": lambda acted, _: acted.multiply("learning_rate_factor", 0.5),  # going back is the run's part
    "report": lambda _, __: None,
}


def register_quantity(name: str, quantity: Quantity) -> None:
    """Makes a quantity known, which guards then name as `extra.NAME`."""
    _quantities[EXTRA + name] = quantity


def register_action(name: str, action: Action) -> None:
    """Makes an action known, which guards then name as `extra.NAME`. It changes what guards have changed so far, by
    which the next epochs are planned."""
    _actions[EXTRA + name] = action


def require_known(guards: Mapping[str, Guard]) -> None:
    """Refuses guards that name what nobody has registered.

    Raises:
        UserError: so it is.
    """
    for name, guard in guards.items():
        for what, named, known in (("quantity", [guard.quantity], _quantities), ("actions", guard.actions, _actions)):
            for one in named:
                if one not in known:
                    raise UserError(
                        f"guards.{name}.{what}: unknown {one!r}; {nearest(one, known)}; what is not of this package "
                        "is registered before training, with register_quantity or register_action of "
                        "ternary_vae.training.guards, for a command by an entry point of 'ternary_vae.extensions'"
                    )


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
        value = _quantities[guard.quantity](row, history, guard)
        value = None if value is None else float(value)  # the log takes no number of numpy
        if not _fires(guard, value):
            continue
        interventions.fired[name] = interventions.fired.get(name, 0) + 1
        for action in guard.actions:
            _actions[action](interventions, guard)
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
