"""The figure of the structure report: distances, numberings, probes, noise, and what each dimension carries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from ternary_vae.formats import in_lines
from ternary_vae.reports import panels
from ternary_vae.reports.figures import canvas, figure_title
from ternary_vae.reports.panels import BLUE, GREEN, INK, ORANGE, QUIET, SKY, VERMILION
from ternary_vae.reports.structure import VAES, Claim, Group, claims_of_codes, codes_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS, _MARKERS = {"vae_a": VERMILION, "vae_b": BLUE}, {"vae_a": "o", "vae_b": "s"}
_DASHES = ("-", "--", ":", "-.")
_DIMENSIONS = 30  # shown, those that vary most
_NAMED = 7  # properties far off the diagonal that are named


def structure_figure(groups: Sequence[Group]) -> Figure:
    """Six panels; lines are means over seeds, and the dimensions are those of the first record."""
    with canvas(3, 2, size=(11, 13.2)) as (figure, axes):
        _distances(axes[0, 0], groups)
        _noise(axes[0, 1], groups)
        _numberings(axes[1, 0], groups)
        _probes(axes[1, 1], groups)
        for axis, name in zip(axes[2], VAES):
            _carried(axis, groups[0], name)
        figure_title(figure, "What the manifold knows")
    return figure


def structure_over_epochs_figure(groups: Sequence[Group]) -> Figure:
    """A panel a claim about codes: its figure over epochs, the mean over seeds with a band from the lowest to the
    highest, and what the claim requires where that is one number."""
    shown = claims_of_codes(groups[0][0].space.values)
    columns = 3
    with canvas(-(-len(shown) // columns), columns, size=(12.5, 17)) as (figure, axes):
        for axis, claim in zip(axes.flat, shown):
            _over_epochs(axis, groups, claim)
        for axis in axes.flat[len(shown) :]:
            axis.remove()
        figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside upper right", ncols=len(groups))
        figure_title(figure, "What the manifold knows, over the run")
        figure.supxlabel("completed epochs", fontsize=8.5, color=QUIET)
    return figure


def _looks(groups: Sequence[Group]) -> Iterator[tuple[Group, str, dict[str, Any]]]:
    """Each VAE of each group, by the name of its code, and how its line is drawn."""
    for group, dash in zip(groups, cycle(_DASHES)):
        for name, vae in VAES.items():
            yield group, name, dict(color=_COLOURS[name], linestyle=dash, label=f"{group[0].header.recipe}, {vae}")


def _over_epochs(axis: Axes, groups: Sequence[Group], claim: Claim) -> None:
    axis.set_title(in_lines(claim.text, 46), fontsize=8, fontweight="normal", pad=5)
    for group, name, style in _looks(groups):
        by_epoch: dict[int, list[float]] = {}
        for record in group:
            value = claim.read(record, name)
            if value is not None:
                by_epoch.setdefault(record.header.epoch, []).append(value)
        epochs = sorted(by_epoch)
        mean, low, high = ([reduced(by_epoch[epoch]) for epoch in epochs] for reduced in (np.mean, min, max))
        axis.plot(epochs, mean, marker=_MARKERS[name], markersize=3, **style)
        axis.fill_between(epochs, low, high, color=_COLOURS[name], alpha=0.1, linewidth=0)
    if claim.least_of is None:
        axis.axhline(claim.least, color=INK, linewidth=0.7)
    axis.tick_params(labelsize=7.5)
    if claim.unit == "share":
        panels.share_axis(axis, 0, 1)
        panels.percent_axis(axis)


def _distances(axis: Axes, groups: Sequence[Group]) -> None:
    axis.set_title("Distance in the code by Hamming distance")
    for group, name, style in _looks(groups):
        curves = [record.codes[name].distances.by_hamming for record in group]
        hamming = [point.hamming for point in curves[0]]
        mean, low, high = (
            np.mean([[getattr(point, key) for point in curve] for curve in curves], axis=0)
            for key in ("mean", "low", "high")
        )
        axis.plot(hamming, mean, marker=_MARKERS[name], **style)
        if group is groups[0] and name == "vae_a":
            axis.fill_between(hamming, low, high, color=_COLOURS[name], alpha=0.12, linewidth=0)
    ideal = groups[0][0].codes["ideal_axes_a"].distances.by_hamming
    axis.plot(hamming, [point.mean for point in ideal], color=INK, linewidth=0.9, label="ideal axes")
    axis.set_xlabel(f"entries that differ (band: 5% to 95% of pairs, {groups[0][0].header.recipe}, VAE-A)")
    axis.set_ylim(bottom=0)
    panels.legend(axis)


def _noise(axis: Axes, groups: Sequence[Group]) -> None:
    axis.set_title("Exact match under latent noise")
    for group, name, style in _looks(groups):
        curves = [record.codes[name].noise.measured.points for record in group]
        mean = np.mean([[point.exact_match_rate for point in curve] for curve in curves], axis=0)
        axis.plot([point.sigma for point in curves[0]], mean, **style)
    limit = groups[0][0].codes["vae_a"].noise.ideal_axes.points
    axis.plot(
        [point.sigma for point in limit],
        [point.exact_match_rate for point in limit],
        color=INK,
        linewidth=0.9,
        marker="x",
        label="limit of ideal axes",
    )
    axis.set_xlabel("σ of the noise in each dimension")
    panels.share_axis(axis, 0, 1)
    panels.percent_axis(axis)
    panels.legend(axis)


def _numberings(axis: Axes, groups: Sequence[Group]) -> None:
    axis.set_title(f"{groups[0][0].space.values}-adic distance, given Hamming distance")
    labels = []
    for group in groups:
        for name, record, found in codes_of(group):
            place, own = len(labels), found.distances
            labels.append(f"{record.header.recipe} {record.header.training_seed}, {VAES[name][-1]}")
            orders, random = own.adic_given_hamming_other_digit_orders, own.adic_given_hamming_random_numbering
            first = place == 0
            axis.plot([orders.least, orders.most], [place, place], color=SKY, linewidth=6, solid_capstyle="butt",
                      label="other orders of digits" if first else None)  # fmt: skip
            axis.plot([random.least, random.most], [place, place], color=ORANGE, linewidth=6, solid_capstyle="butt",
                      label="numbered at random" if first else None)  # fmt: skip
            axis.plot(own.adic_given_hamming, place, color=INK, marker="D", linestyle="none",
                      label="the index" if first else None)  # fmt: skip
    axis.set_yticks(range(len(labels)), labels, fontsize=7.5)
    axis.invert_yaxis()
    reach = 1.15 * max(abs(end) for end in axis.get_xlim())
    axis.set_xlim(-reach, reach)
    axis.axvline(0, color=QUIET, linewidth=0.7)
    axis.set_xlabel("rank correlation with distance in the code")
    panels.legend(axis)


def _probes(axis: Axes, groups: Sequence[Group]) -> None:
    axis.set_title("Properties read by linear probes")
    looks = zip(groups, cycle("o^sv"), cycle((VERMILION, BLUE, GREEN, ORANGE)))
    for group, marker, colour in looks:
        names = [name for name, probe in group[0].probes.items() if probe.balanced_accuracy]
        raw = np.array([group[0].probes[name].balanced_accuracy["table_one_hot"].mean for name in names])
        own = np.mean(
            [[record.probes[name].balanced_accuracy["both"].mean for name in names] for record in group], axis=0
        )
        axis.plot(raw, own, linestyle="none", marker=marker, color=colour, alpha=0.8, label=group[0].header.recipe)
        if group is groups[0]:
            named: list[tuple[float, float]] = []
            for place in np.argsort(-np.abs(own - raw)):
                at = (raw[place], own[place])
                apart = all(max(abs(at[0] - x) / 5, abs(at[1] - y)) > 0.02 for x, y in named)
                if own[place] > 0.5 and len(named) < _NAMED and apart:
                    named.append(at)
                    axis.annotate(names[place], at, xytext=(5, -2), textcoords="offset points", fontsize=6.5,
                                  color=QUIET)  # fmt: skip
    axis.plot([0, 1], [0, 1], color=QUIET, linewidth=0.7)
    axis.set_xlim(0.25, 1.02)
    axis.set_ylim(0.25, 1.02)
    axis.set_xlabel("balanced accuracy from the one-hot table")
    axis.set_ylabel("from the codes of both VAEs")
    axis.axhspan(0, 0.5, color=QUIET, alpha=0.08, linewidth=0)
    panels.legend(axis)


def _carried(axis: Axes, group: Group, name: str) -> None:
    record = group[0]
    found = record.codes[name].axes
    order = np.argsort(found.variances)[::-1][:_DIMENSIONS]
    shares = np.array(found.carried)[order]
    axis.set_title(f"{VAES[name]}, {record.header.recipe}, seed {record.header.training_seed}: what dimensions carry")
    axis.imshow(shares, cmap="Greys", vmin=0, vmax=1, aspect="auto")
    for row, column in zip(*np.nonzero(shares >= 0.1)):
        share = shares[row, column]
        axis.text(column, row, f"{share:.0%}"[:-1], ha="center", va="center", fontsize=6.5,
                  color="white" if share > 0.5 else INK)  # fmt: skip
    axis.set_yticks(range(len(order)), [f"z{place}: {found.variances[place]:.2f}" for place in order], fontsize=7)
    numbers = range(shares.shape[1])
    axis.set_xticks(range(len(numbers)), numbers, fontsize=9 if len(numbers) < 16 else 6.5)
    axis.set_xlabel("entry, from 0; per cent of the dimension's variance (at the left)")
