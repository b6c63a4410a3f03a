"""The page: one self-contained HTML file a run, which opens without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ternary_vae.formats import NOTHING, UNIFORM_MODEL, beside_uniform, duration, listed, number, percent
from ternary_vae.reports.expectations import PHASE_NAMES, expected_at
from ternary_vae.reports.latent_map import latent_map_of_run
from ternary_vae.reports.measurements import Measurements, measurements_of_run
from ternary_vae.reports.page_data import event_row, page_data
from ternary_vae.reports.self_contained import asset, rendered
from ternary_vae.reports.verdict import VerdictView, verdict_of
from ternary_vae.resolution.records import VaeResolution
from ternary_vae.storage.files import write_text
from ternary_vae.storage.runs import RunDirectory

_PARTS = ("base", "layout", "evolution", "events", "resolution", "truth_tables", "operations", "map", "theme", "start")


def write_page(run: RunDirectory, output: str | Path, measured: Measurements | None = None) -> Path:
    """Writes a run's page.

    Args:
        measured: the run's measurements, if they have been read already.

    Raises:
        UserError: nothing to report on, mixed runs, a damaged record, or an unwritable output.
    """
    measured = measured or measurements_of_run(run)
    write_text(Path(output), page_html(run, measured, verdict_of(measured)))
    return Path(output)


def page_html(run: RunDirectory, measured: Measurements, verdict: VerdictView) -> str:
    """The page's text; everything a run wrote is escaped."""
    latent_map, map_note = latent_map_of_run(run)
    return rendered(
        "ternary_vae.reports",
        "page.html.j2",
        (asset(f"{name}.js") for name in _PARTS),
        page_data(measured, latent_map),
        title=measured.title,
        subtitle=_subtitle(measured),
        verdict=verdict,
        phase_names=listed(f"{span.number} {PHASE_NAMES[span.number - 1]}" for span in measured.phases),
        missing="; ".join(f"epoch {epoch} ({listed(names)})" for epoch, names in sorted(measured.missing.items())),
        milestone_table=_milestone_table(measured),
        has_map=latent_map is not None,
        map_note=map_note,
        map_description=f"Scatter plot of all 19,683 operations. {map_note}",
        events=[event_row(event) for event in measured.events if event.get("kind") != "milestone"],
        events_lead=_events_lead(measured),
        description=measured.recipe.description,
        environment=_environment(measured),
        recipe_yaml=measured.recipe.to_yaml(),
        **_chart_lists(measured),
    )


def _subtitle(measured: Measurements) -> str:
    facts = measured.facts
    parts = [
        f"{measured.epochs} epochs",
        f"in {duration(facts['seconds'])}" if facts.get("seconds") else "",
        str(facts.get("status", "")),
        str(facts.get("finished_at") or facts.get("started_at") or "")[:10],
        f"code {facts['code_version']}" if facts.get("code_version") else "",
    ]
    return " · ".join(filter(None, parts))


def _environment(measured: Measurements) -> list[tuple[str, str]]:
    facts = measured.facts
    rows = [
        ("Recipe", measured.recipe.name),
        ("Fingerprint", facts.get("fingerprint")),
        ("Seed", measured.seed),
        ("Epochs", f"{measured.epochs} of {facts.get('epochs', measured.epochs)}"),
        ("Status", facts.get("status")),
        ("Started", facts.get("started_at")),
        ("Finished", facts.get("finished_at")),
        ("Took", duration(facts.get("seconds"))),
        ("Code", facts.get("code_version")),
        *((name.capitalize(), value) for name, value in (facts.get("environment") or {}).items()),
        ("Directory", measured.directory),
    ]
    return [(name, str(value)) for name, value in rows if value is not None]


def _events_lead(measured: Measurements) -> str:
    guards = sum(event.get("kind") == "guard" for event in measured.events)
    told = {0: "No guard fired.", 1: "One guard fired."}.get(guards, f"Guards fired {guards} times.")
    statenet = any(value is not None for value in measured.column("statenet.corrections.learning_rate"))
    return told + (" StateNet's corrections lie in [−1, 1]." if statenet else " StateNet was off.")


def _milestone_table(measured: Measurements) -> dict[str, Any]:
    header = [
        "Epoch", "VAE-A", "plan", "VAE-B", "Ensemble", "Coverage ρ = 0.7", "95%", UNIFORM_MODEL, "Complementarity",
        "A : B", "half σ A", "half σ B",
    ]  # fmt: skip
    rows = []
    for epoch in measured.milestones:
        isolated, coupled = measured.isolated.get(epoch), measured.coupled.get(epoch)
        expectation = expected_at(epoch, "vae_a", measured.recipe.schedule_epochs)
        row = [str(epoch)] + [NOTHING] * 11
        row[2] = expectation.text if expectation else NOTHING
        if isolated:
            row[1] = percent(isolated.vae_a.reconstruction.exact_match_rate)
            row[3] = percent(isolated.vae_b.reconstruction.exact_match_rate)
            row[10] = number(isolated.vae_a.resolution_curve.half_sigma, 3)
            row[11] = number(isolated.vae_b.resolution_curve.half_sigma, 3)
        if coupled:
            mixed, homes = coupled.cross_injected_sampling_rho_07, coupled.complementary_coverage
            row[4] = percent(coupled.ensemble_reconstruction.best_of_two.exact_match_rate)
            row[5] = percent(mixed.coverage_rate)
            row[6] = f"{percent(mixed.interval.low)} – {percent(mixed.interval.high)}"
            row[7] = percent(mixed.coverage_limit)
            row[8] = number(homes.complementarity_score)
            row[9] = f"{homes.home_a:,} : {homes.home_b:,}"
        rows.append(row)
    return {"header": header, "rows": rows}


def _chart_lists(measured: Measurements) -> dict[str, list[dict[str, str]]]:
    """The charts of each section, with a sentence a reader who cannot see them is given."""
    epoch = measured.milestones[-1]
    isolated, coupled = measured.isolated.get(epoch), measured.coupled.get(epoch)
    end = f"At epoch {epoch}: "
    a = isolated.vae_a if isolated else None
    b = isolated.vae_b if isolated else None
    mixed = coupled.cross_injected_sampling_rho_07 if coupled else None
    homes = coupled.complementary_coverage if coupled else None
    exact = (
        f"{end}VAE-A {percent(a.reconstruction.exact_match_rate)}, VAE-B {percent(b.reconstruction.exact_match_rate)}"
        if a and b
        else ""
    )
    half = f"{end}VAE-A {_half(a)}, VAE-B {_half(b)}" if a and b else ""
    covered = f"{end}{beside_uniform(mixed.coverage_rate, mixed.coverage_limit)}" if mixed else ""
    score = (
        f"{end}{number(homes.complementarity_score)}, {homes.home_a:,} operations at home in A, {homes.home_b:,} in B"
        if homes
        else ""
    )

    def chart(name: str, title: str, told: str, axis: str = "time", wide: bool = False) -> dict[str, str]:
        return {"id": f"chart-{name}", "title": title, "told": f"{told}.", "axis": axis, "wide": "wide" if wide else ""}

    evolution = [
        chart("reconstruction", "Exact reconstruction", exact or "Exact match by epoch"),
        chart("coverage", "Decoded coverage, both VAEs", covered or "Coverage by epoch"),
        chart("complementarity", "Complementarity and homes", score or "Complementarity by epoch"),
        chart("half-sigma", "Noise a code bears: half σ", half or "Half σ by epoch"),
    ]
    if measured.metrics:
        evolution += [
            chart("permeability", "Permeability ρ and schedules", "ρ, gate, temperature and β by epoch"),
            chart("loss", "Loss and its terms", "Mean over each epoch's steps"),
        ]
    statenet = chart("statenet", "StateNet's corrections, and events", _events_lead(measured).rstrip("."))
    weights = chart("lambda", "Weights λ and balance", "λ1, λ2, λ3 and the balance by epoch")
    return {
        "evolution_charts": evolution,
        "curve_charts": [
            chart("curve", "Exact match against latent noise", half or "Resolution curves", "noise", wide=True)
        ]
        if measured.isolated
        else [],
        "coverage_charts": [
            chart("draws", "Coverage", covered or "Coverage against draws", "draws"),
            chart("gap", "Less than a uniform model", "What that covers on average, less what was measured", "draws"),
        ],
        "event_charts": [statenet, *([weights] if measured.metrics else [])],
    }


def _half(side: VaeResolution) -> str:
    sigma = side.resolution_curve.half_sigma
    return "crosses one half nowhere on the grid" if sigma is None else f"{sigma:.3f}"
