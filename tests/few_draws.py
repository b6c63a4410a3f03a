"""Benchmarks that draw a fiftieth and time once, figures of a sixth of the dots each way, and a space of a sixth of the
plan's operations, for tests of anything but their precision and its size."""

from __future__ import annotations

import builtins
import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

FEW_DOTS = 50  # an inch; those of a print take seconds to draw
SMALL_SPACE = {"space.values": 5, "space.inputs": 1, "data.train_share": 0.63}  # trains on as many as 0.1 of the plan's
FEW_OTHERS = 500  # operations that distances are measured to

# The package is imported where it is needed: `conftest` has first to see to it that annotations are checked, and to the
# number of threads.


def with_defaults(function: Callable[..., Any], **changes: Any) -> Callable[..., Any]:
    """The function with other defaults."""

    @functools.wraps(function)
    def changed(*given: Any, **named: Any) -> Any:
        return function(**changes | inspect.signature(function).bind(*given, **named).arguments)

    return changed


def draw_few(setattr: Callable[[object, str, object], None] = builtins.setattr) -> None:
    """Every operation is still measured, but for its distances: to few others. `setattr` is that of a `MonkeyPatch`, or
    Python's in a process of its own."""
    from ternary_vae.reports import figures
    from ternary_vae.resolution import complementarity, coupled, isolated, measure

    for module, name, changes in (
        (isolated, "sampling", {"draws": 1000, "repeats": 2, "curve": (1000,)}),
        (isolated, "resolution_curve", {"sigmas": (0.0, 0.3, 2.0)}),
        (isolated, "interpolation", {"pairs": 100}),
        (coupled, "cross_injected_sampling", {"draws": 2000, "repeats": 2, "curve": (2000,)}),
        (coupled, "inference_overhead", {"repeats": 1}),
        (complementarity, "decode_under_noise", {"draws": 2}),
        (complementarity, "ensembles_under_noise", {"draws": 1}),
    ):
        setattr(module, name, with_defaults(getattr(module, name), **changes))
    setattr(isolated, "pair_distances", distances_to_first)
    setattr(measure, "FULL_COVERAGE_DRAWS", 4000)
    setattr(figures, "DPI", FEW_DOTS)


@contextmanager
def noise_draws(draws: int) -> Iterator[None]:
    """Every operation is decoded under noise only so many times."""
    from ternary_vae.resolution import complementarity

    with pytest.MonkeyPatch.context() as patch:
        few = with_defaults(complementarity.decode_under_noise, draws=draws)
        patch.setattr(complementarity, "decode_under_noise", few)
        yield


def distances_to_first(mu: Any) -> Any:
    """`pair_distances` to the first `FEW_OTHERS` operations only, and sums as if the others were as far away: all pairs
    take most of a map's time. Of no more operations than that it is the same."""
    import torch

    points = mu.double() - mu.double().mean(dim=0)
    apart = torch.cdist(points, points[:FEW_OTHERS], compute_mode="donot_use_mm_for_euclid_dist")
    more = len(points) > FEW_OTHERS
    sums = apart.mean(dim=1) * (len(points) - 1) if more else apart.sum(dim=1)
    return torch.stack([apart.fill_diagonal_(torch.inf).argmin(dim=1).double(), sums])


@contextmanager
def distances_to_few() -> Iterator[None]:
    """Distances between operations are those to few others, see `distances_to_first`."""
    from ternary_vae.resolution import isolated

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(isolated, "pair_distances", distances_to_first)
        yield
