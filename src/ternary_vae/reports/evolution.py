"""`RESOLUTION_EVOLUTION.md`: what was measured at each milestone, beside what the plan expected there."""

from __future__ import annotations

from pathlib import Path

from ternary_vae.formats import (
    NOTHING,
    UNIFORM_MODEL,
    cell,
    duration,
    listed,
    number,
    percent,
    points,
    table,
    uniform_level,
)
from ternary_vae.reports.expectations import THROUGHOUT, Quantity, expected_at
from ternary_vae.reports.measurements import Measurements, measurements_of_run
from ternary_vae.resolution.records import CoupledRecord, IsolatedRecord
from ternary_vae.storage.files import write_text
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.terminal import quoted

FIGURE_NAME = "resolution_evolution.png"
_EVENTS_SHOWN = 60
_UNIFORM = UNIFORM_MODEL[0].upper() + UNIFORM_MODEL[1:]


def write_evolution(source: RunDirectory | Measurements, output: str | Path) -> Path:
    """Writes the evolution report. A missing milestone is named in it.

    Args:
        source: a run directory, or measurements already read (`measurements_of_records` for bare records).

    Raises:
        UserError: nothing to report on, mixed runs, a damaged record, or an unwritable output.
    """
    measured = measurements_of_run(source) if isinstance(source, RunDirectory) else source
    write_text(Path(output), evolution_markdown(measured, Path(output)))
    return Path(output)


def evolution_markdown(measured: Measurements, output: Path) -> str:
    """The report's text; `output` is where it will be written, for the commands that repeat it."""
    sections = [
        f"# Resolution evolution: {cell(measured.title)}",
        _summary(measured),
        f"![Metrics by epoch, phases shaded]({FIGURE_NAME})",
        "## Reconstruction and its expectations",
        "Exact match over all 19,683 operations, posterior means decoded. In brackets what the plan expected "
        "(sections 2 and 4): ✓ reached, ✗ not reached.",
        _reconstruction_table(measured),
        "## Coverage and complementarity",
        "Coverage is decoded (argmax), of both VAEs together, with a 95% interval over repeats, beside what a "
        "perfectly uniform model covers on average with as many draws; a single measurement may cover more. The plan's "
        "mix adds ρ·z of the other VAE, which widens the prior; the prior-preserving mix does not.",
        _coverage_table(measured),
        "## Secondary metrics",
        _secondary_table(measured),
        _secondary_note(),
        "## Missing benchmarks",
        _missing(measured),
    ]
    if measured.metrics:
        sections += ["## Epoch by epoch", _epoch_counts(measured)]
    if measured.metrics or measured.events:
        sections += ["## Events", _events(measured)]
    sections += ["## How to repeat this", _commands(measured, output)]
    return "\n\n".join(filter(None, sections)) + "\n"


def _summary(measured: Measurements) -> str:
    sentences = []
    if measured.complete_milestones:
        epoch = measured.complete_milestones[-1]
        isolated, coupled = measured.isolated[epoch], measured.coupled[epoch]
        coverage = coupled.cross_injected_sampling_rho_07
        sentences.append(
            f"After {epoch} epochs VAE-A reconstructs **{percent(isolated.vae_a.reconstruction.exact_match_rate)}**, "
            f"VAE-B **{percent(isolated.vae_b.reconstruction.exact_match_rate)}** and the ensemble "
            f"**{percent(coupled.ensemble_reconstruction.best_of_two.exact_match_rate)}** of all operations exactly. "
            f"{coverage.draws:,} draws cover **{percent(coverage.coverage_rate)}** "
            f"({uniform_level(coverage.coverage_limit)}); complementarity is "
            f"**{number(coupled.complementary_coverage.complementarity_score, 3)}**."
        )
    facts = measured.facts
    if facts:
        seconds = f", {duration(facts['seconds'])} in all" if facts.get("seconds") else ""
        sentences.append(
            f"Run of {measured.epochs} epochs{seconds}, code {cell(facts.get('code_version', 'unknown'))}, "
            f"recipe {cell(facts.get('fingerprint', 'unknown'))}, status {cell(facts.get('status', 'unknown'))}."
        )
    return "\n\n".join(filter(None, [" ".join(sentences), cell(measured.note)]))


def _expected(measured: Measurements, epoch: int, quantity: Quantity, value: float | None) -> str:
    """` (expectation ✓)`, or nothing where the plan says nothing or there is no measurement."""
    expectation = expected_at(epoch, quantity, measured.recipe.schedule_epochs)
    if expectation is None:
        return ""
    mark = "" if value is None else (" ✗" if expectation.standing(value) == "below" else " ✓")
    return f" ({expectation.text}{mark})"


def _reconstruction_table(measured: Measurements) -> str:
    rows = []
    for epoch in _all_epochs(measured):
        isolated, coupled = measured.isolated.get(epoch), measured.coupled.get(epoch)
        a = isolated.vae_a.reconstruction.exact_match_rate if isolated else None
        b = isolated.vae_b.reconstruction.exact_match_rate if isolated else None
        ensemble = coupled.ensemble_reconstruction if coupled else None
        best = ensemble.best_of_two.exact_match_rate if ensemble else None
        alone = coupled.coupled_reconstruction if coupled else None
        rows.append(
            [
                str(epoch),
                str(measured.phase_at(epoch)),
                percent(a) + _expected(measured, epoch, "vae_a", a),
                percent(b) + _expected(measured, epoch, "vae_b", b),
                percent(best) + _expected(measured, epoch, "ensemble", best),
                percent(ensemble.majority.exact_match_rate) if ensemble else NOTHING,
                f"{percent(alone.exact_match_rate_a)} / {percent(alone.exact_match_rate_b)} at {alone.rho:.2f}"
                if alone
                else NOTHING,
            ]
        )
    return table(["Epoch", "Phase", "VAE-A", "VAE-B", "Ensemble, best of two", "Majority", "Coupled A / B at ρ"], rows)


def _coverage_table(measured: Measurements) -> str:
    rows = []
    for epoch in _all_epochs(measured):
        coupled = measured.coupled.get(epoch)
        if coupled is None:
            rows.append([str(epoch)] + [NOTHING] * 6)
            continue
        mixed, homes = coupled.cross_injected_sampling_rho_07, coupled.complementary_coverage
        score = homes.complementarity_score
        share = "0 : 0" if homes.share_a is None else f"{100 * homes.share_a:.0f} : {100 - 100 * homes.share_a:.0f}"
        rows.append(
            [
                str(epoch),
                f"{percent(mixed.coverage_rate)} [{percent(mixed.interval.low)}, {percent(mixed.interval.high)}]"
                + _expected(measured, epoch, "coverage", mixed.coverage_rate),
                percent(mixed.prior_preserving.coverage_rate),
                f"{percent(mixed.coverage_limit)} ({mixed.draws:,} draws)",
                number(score, 3) + _expected(measured, epoch, "complementarity", score),
                number(homes.complementarity_score_by_errors)
                if homes.complementarity_score_by_errors is not None
                else "0/0",
                share,
            ]
        )
    return table(
        [
            "Epoch",
            "Coverage, ρ = 0.7 [95%]",
            "Prior preserved",
            _UNIFORM,
            "Complementarity",
            "By errors alone",
            "Homes A : B",
        ],
        rows,
    )


def _secondary_table(measured: Measurements) -> str:
    rows = []
    for epoch in _all_epochs(measured):
        isolated, coupled = measured.isolated.get(epoch), measured.coupled.get(epoch)
        rows.append([str(epoch), *_coupled_secondary(coupled), *_isolated_secondary(isolated)])
    return table(
        [
            "Epoch",
            "Latent correlation, mean (absolute)",
            "Ensemble's gain under noise",
            "Ensemble's cost in time",
            "Neighbours one entry apart, A / B",
            "Effective dimensions of 16, A / B",
            "Half σ, A / B",
            "Information of 14.26 bits, A / B",
            "Held out, A / B",
        ],
        rows,
    )


def _coupled_secondary(record: CoupledRecord | None) -> list[str]:
    if record is None:
        return [NOTHING] * 3
    coupling = record.latent_coupling
    return [
        f"{number(coupling.mean_correlation)} ({number(coupling.mean_absolute_correlation)})",
        points(record.complementary_coverage.ensemble_gain),
        percent(record.inference_overhead.time_overhead, 1).replace("-", "−"),
    ]


def _isolated_secondary(record: IsolatedRecord | None) -> list[str]:
    if record is None:
        return [NOTHING] * 5
    a, b = record.vae_a, record.vae_b
    held_out = (a.held_out.test_exact_match_rate, b.held_out.test_exact_match_rate)
    return [
        f"{percent(a.nearest_neighbor.hamming_1_rate)} / {percent(b.nearest_neighbor.hamming_1_rate)}",
        f"{number(a.dimensionality.participation_ratio)} / {number(b.dimensionality.participation_ratio)}",
        f"{number(a.resolution_curve.half_sigma)} / {number(b.resolution_curve.half_sigma)}",
        f"{number(a.information.mutual_information_bits)} / {number(b.information.mutual_information_bits)}",
        NOTHING if held_out == (None, None) else f"{percent(held_out[0])} / {percent(held_out[1])}",
    ]


def _secondary_note() -> str:
    return (
        f"The plan expects a latent correlation of about {THROUGHOUT['latent_coupling'].text} throughout, "
        f"{THROUGHOUT['neighbor_consistency'].text} of nearest neighbours one entry apart, about "
        f"{THROUGHOUT['dimensionality_efficiency'].text} of the dimensions in effect (8 of 16), and an ensemble that "
        f"costs less than {percent(THROUGHOUT['inference_overhead'].high, 0)} more time. Held out: exact match on the "
        "test split, a dash where the recipe trains on everything."
    )


def _missing(measured: Measurements) -> str:
    if not measured.missing:
        return "None: every milestone has both its records."
    lines = [
        f"- epoch {epoch}: {listed(f'`{name}`' for name in names)}" for epoch, names in sorted(measured.missing.items())
    ]
    return "These milestones are left out above as far as their records are missing:\n\n" + "\n".join(lines)


def _epoch_counts(measured: Measurements) -> str:
    exact = list(zip(measured.column("exact_match_a"), measured.column("exact_match_b")))
    perfect = sum(a == 1 and b == 1 for a, b in exact)
    covered = [
        bool(a and b)
        for a, b in zip(measured.column("covered_all_a"), measured.column("covered_all_b"))
        if a is not None
    ]
    below = [
        epoch
        for epoch, value in zip(measured.column("epoch"), measured.column("exact_match_best_of_two"))
        if value is not None and value < THROUGHOUT["ensemble_alert"].low
    ]
    last = f", the last of them epoch {below[-1]}" if below else ""
    lines = [
        f"- Both VAEs exact on every operation at once: {perfect} of {len(exact)} epochs.",
        f"- Ensemble below the plan's alert level of 99.9%: {len(below)} epochs{last}.",
    ]
    if covered:
        lines.insert(
            1,
            f"- Both VAEs covering every operation, each with 195,000 decoded draws: {sum(covered)} of {len(covered)} "
            "epochs.",
        )
    return "\n".join(lines)


def _events(measured: Measurements) -> str:
    told = [event for event in measured.events if event.get("kind") != "milestone"]
    if not told:
        return "No guard fired, and the run was neither interrupted nor resumed."
    rows = [
        [
            cell(event.get("epoch", NOTHING)),
            cell(event.get("kind", "")),
            cell(event.get("name", "")),
            cell(event.get("message", "")),
            cell(", ".join(event.get("actions") or []) or NOTHING),
        ]
        for event in told[:_EVENTS_SHOWN]
    ]
    more = len(told) - _EVENTS_SHOWN
    rest = f"\n\n{more} more in `events.jsonl`." if more > 0 else ""
    return table(["Epoch", "Kind", "Name", "What happened", "Done about it"], rows, right_from=9) + rest


def _commands(measured: Measurements, output: Path) -> str:
    epochs = " ".join(map(str, _all_epochs(measured)))
    place = quoted(measured.directory)
    if not measured.facts:
        records = f"--epochs {epochs} --input {place}"
        lines = [
            f"python scripts/analysis/compare_epochs.py {records} --output {quoted(output)}",
            f"python scripts/analysis/plot_resolution_evolution.py {records} "
            f"--output {quoted(output.with_name(FIGURE_NAME))}",
        ]
        told = "This report with its figure, and the figure alone:"
    else:
        lines = [
            f"ternary-vae train --config {measured.recipe.name} --seed {measured.seed} --epochs {measured.epochs}",
            f"ternary-vae benchmark {place}/checkpoints/epoch_{{{epochs.replace(' ', ',')}}}.safetensors",
            f"ternary-vae report {place}",
            f"python scripts/analysis/plot_resolution_evolution.py --epochs {epochs} "
            f"--input {place}/benchmarks --output {FIGURE_NAME}",
        ]
        told = "The run, its records, this report with its figure and page, and the figure alone from the records:"
    return told + "\n\n```\n" + "\n".join(lines) + "\n```"


def _all_epochs(measured: Measurements) -> list[int]:
    return sorted({*measured.milestones, *measured.missing})
