"""Comparisons as sentences that say what was measured and no more."""

from __future__ import annotations

from ternary_vae.experiments.results import Comparison
from ternary_vae.formats import counted, number


def sentence(one: Comparison) -> str:
    """A comparison in plain words. An interval that holds zero shows no difference; it does not show that there is
    none, only that larger ones than its ends are not compatible with the data."""
    measure, summary = one.measure, one.paired.summary
    of = f"{measure.title} after {one.epoch} epochs"
    pair = f"{one.arm} and {one.against}"
    if summary.count == 1:
        told = _difference(one)
        return f"{of}: {told}, with the one seed {one.seeds[0]}; a single pair says nothing about other seeds."
    seeds = f"{summary.count} seeds"
    if summary.mean == 0 and summary.deviation == 0:
        return f"{of}: {pair} are equal with each of {seeds}; no spread, so no interval can be given."
    if summary.deviation == 0:
        return (
            f"{of}: {_difference(one)}, by exactly as much with each of {seeds}; no spread, so no interval can be "
            f"given ({_p(one)})."
        )
    low, high = measure.difference(summary.low), measure.difference(summary.high)
    interval = f"95% interval {low} to {high}, {seeds}"
    if one.certain:
        return f"{of}: {_difference(one)} ({interval}, {_p(one)})."
    if (summary.low or 0) > 0 or (summary.high or 0) < 0:
        return (
            f"{of}: {_difference(one)} ({interval}), but with {one.family} comparisons that may be chance ({_p(one)})."
        )
    return (
        f"{of}: no difference shown between {pair} ({interval}); what lies outside the interval is excluded, smaller "
        "differences are not."
    )


def p_value(p: float | None) -> str:
    """`p = 0.012`, `p < 0.001`."""
    if p is None:
        return "no p"
    return "p < 0.001" if p < 0.001 else f"p = {number(p, 3)}"


def _difference(one: Comparison) -> str:
    measure, mean = one.measure, one.paired.summary.mean
    if mean == 0:
        return f"{one.arm} is equal to {one.against}"
    unit = f" {measure.unit_word}" if measure.unit_word else ""
    return f"{one.arm} is {measure.size(mean)}{unit} {'above' if mean > 0 else 'below'} {one.against}"


def _p(one: Comparison) -> str:
    return f"{p_value(one.p_corrected)} corrected for {counted(one.family, 'comparison')}"
