"""What pages draw of the structure of codes, as plain JSON and rows of a table. The page of a run takes it from
structure records, the atlas from the model that it shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ternary_vae.formats import in_unit
from ternary_vae.gates.names import table_text
from ternary_vae.reports.structure import VAES, claims_of_codes, judged
from ternary_vae.resolution.structure.records import Axes, DistanceAtHamming, StructureRecord
from ternary_vae.space import Space

_HOLDS = {(True, True): "✓ both", (True, False): "A only", (False, True): "B only", (False, False): "✗ neither"}


def entry_names(space: Space) -> list[str]:
    """The inputs that each entry answers: `−0` is −1 for the first and 0 for the second."""
    return [table_text(space, arguments).replace("-", "−") for arguments in space.arguments()]


def side_data(found: Axes, curve: Sequence[DistanceAtHamming]) -> dict[str, Any]:
    """What is drawn of one code: its dimensions, those that vary most first, with the share of their variance that each
    entry explains; and distance by Hamming distance."""
    order = sorted(range(len(found.variances)), key=lambda dimension: -found.variances[dimension])
    return {
        "dimensions": order,
        "variances": [found.variances[dimension] for dimension in order],
        "carried": [found.carried[dimension] for dimension in order],
        "by_hamming": curve_data(curve),
    }


def curve_data(curve: Sequence[DistanceAtHamming]) -> dict[str, list[float]]:
    """Distance by Hamming distance in columns."""
    return {name: [getattr(point, name) for point in curve] for name in ("hamming", "mean", "low", "high")}


def structure_data(records: dict[int, StructureRecord]) -> dict[str, Any] | None:
    """What the page of a run draws of its structure records, by epoch; None without any. What is drawn of one record is
    that of the last."""
    if not records:
        return None
    epochs = sorted(records)
    last = records[epochs[-1]]
    codes = {name[-1]: last.codes[name] for name in VAES}
    return {
        "entries": entry_names(last.space.as_space()),
        **{side: side_data(code.axes, code.distances.by_hamming) for side, code in codes.items()},
        "ideal": curve_data(last.codes["ideal_axes_a"].distances.by_hamming),
        "probes": [
            {
                "name": name,
                "share": probe.shares.get(1) if set(probe.shares) <= {0, 1} else None,
                "chance": probe.chance,
                **{key: accuracy.mean for key, accuracy in probe.balanced_accuracy.items()},
            }
            for name, probe in last.probes.items()
            if probe.balanced_accuracy
        ],
        "epochs": epochs,
        "claims": [
            {
                "name": claim.legend,
                "unit": claim.unit,
                **{name[-1]: [claim.read(records[epoch], name) for epoch in epochs] for name in VAES},
            }
            for claim in claims_of_codes(last.space.values)
            if claim.legend
        ],
    }


def claim_rows(record: StructureRecord) -> list[dict[str, str]]:
    """Every claim that was measured, those that hold in neither VAE first."""
    rows = []
    for row in judged([[record]]):
        claim = row.claim
        a, b, ideal = (in_unit(claim.read(record, name), claim.unit) for name in (*VAES, "ideal_axes_a"))
        holds = _HOLDS[claim.holds(record, "vae_a"), claim.holds(record, "vae_b")]
        rows.append(
            {
                "text": claim.text, "figure": claim.figure, "required": claim.required_text(),
                "a": a, "b": b, "ideal": ideal, "holds": holds,
            }
        )  # fmt: skip
    return rows
