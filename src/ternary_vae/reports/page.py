"""The page: one self-contained HTML file a run, which opens without a network."""

from __future__ import annotations

from typing import Any

from ternary_vae.errors import UserError
from ternary_vae.formats import NOTHING, UNIFORM_MODEL, counted, duration, in_unit, listed, number, percent
from ternary_vae.reports.latent_map import LatentMap, latent_map_of_checkpoint, latest_model
from ternary_vae.reports.measurements import Measurements
from ternary_vae.reports.networks import MOST_NUMBERS, networks_data, numbers_of
from ternary_vae.reports.page_data import event_row, page_data
from ternary_vae.reports.self_contained import asset, rendered
from ternary_vae.reports.structure import MARGIN, VAES, compared_with_table
from ternary_vae.reports.structure_data import claim_rows
from ternary_vae.reports.verdict import VerdictView
from ternary_vae.resolution.figures import MEASURES, registered
from ternary_vae.resolution.structure.records import StructureRecord
from ternary_vae.space import TWO_INPUT_TERNARY, Space
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.terminal import quoted

_PARTS = (
    "base", "layout", "evolution", "events", "resolution", "structure", "truth_tables", "networks", "reading",
    "operations", "map", "neighbourhood", "explore", "theme", "start",
)  # fmt: skip


def page_html(run: RunDirectory, measured: Measurements, verdict: VerdictView) -> str:
    """The page's text; everything a run wrote is escaped."""
    space = measured.recipe.space.as_space()
    latent_map, networks, map_note = _latent_space(run, space)
    return rendered(
        "ternary_vae.reports",
        "page.html.j2",
        (asset(f"{name}.js") for name in _PARTS),
        page_data(measured, latent_map, networks),
        title=measured.title,
        subtitle=_subtitle(measured),
        verdict=verdict,
        phase_names=listed(f"{span.number} {span.name}" for span in measured.phases),
        missing="; ".join(f"epoch {epoch} ({listed(names)})" for epoch, names in sorted(measured.missing.items())),
        milestone_table=_milestone_table(measured),
        is_mapped=_is_mapped(space),
        has_map=latent_map is not None,
        has_networks=networks is not None,
        map_note=map_note,
        operations=f"{space.operations:,}",
        search_example=f"{space.operations // 2}{', or consensus' if space == TWO_INPUT_TERNARY else ''}",
        is_listed=space.is_enumerable(),
        events=[event_row(event) for event in measured.events if event.get("kind") != "milestone"],
        events_lead=_events_lead(measured),
        description=measured.recipe.description,
        environment=_environment(measured),
        recipe_yaml=measured.recipe.to_yaml(),
        structure=_structure(measured),
        directory=quoted(measured.directory),
        **_chart_lists(measured),
    )


def _is_mapped(space: Space) -> bool:
    """Whether the page shows all operations of a space, rather than a few at a time."""
    return space.operations <= TWO_INPUT_TERNARY.operations


def _latent_space(run: RunDirectory, space: Space) -> tuple[LatentMap | None, dict[str, Any] | None, str]:
    """The map of all operations, or the networks to explore a larger space with; and a sentence on what is shown or
    why nothing is."""
    try:
        model, checkpoint, name = latest_model(run)
    except UserError as failure:
        return None, None, f"{'No map' if _is_mapped(space) else 'Nothing to explore'}: {failure}."
    after = f"after {counted(checkpoint.epochs_completed, 'epoch')}"
    if _is_mapped(space):
        latent_map = latent_map_of_checkpoint(model, checkpoint)
        return latent_map, None, f"Every point is an operation, as {name} places it {after}."
    if (count := numbers_of(model)) > MOST_NUMBERS:
        return None, None, (
            f"Nothing to explore: the networks are {count:,} numbers, and the page holds at most {MOST_NUMBERS:,}. "
            "Ask for single gates with ternary-vae gate NAME --model MODEL."
        )  # fmt: skip
    return None, networks_data(model), (
        f"The page computes what the networks of {name} answer {after}. A gate's code is its posterior mean; each VAE "
        "decodes its own."
    )  # fmt: skip


def _subtitle(measured: Measurements) -> str:
    facts = measured.facts
    parts = [
        counted(measured.epochs, "epoch"),
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
    guards = measured.guards_fired
    known = {None: "Whether guards fired is not known.", 0: "No guard fired.", 1: "One guard fired."}
    fired = known.get(guards, f"Guards fired {guards} times.")
    return fired + (" StateNet's corrections lie in [−1, 1]." if _corrected(measured) else " StateNet was off.")


def _corrected(measured: Measurements) -> bool:
    return any(value is not None for value in measured.column("statenet.corrections.learning_rate"))


def _milestone_table(measured: Measurements) -> dict[str, Any]:
    further = [measure for measure in registered() if measure.source != "metrics"]
    exact = ("exact_match_a", "exact_match_b", "exact_match_best_of_two")
    shares = ("effective_share_a", "effective_share_b")
    enumerable = measured.recipe.space.as_space().is_enumerable()
    even = ("coverage_rho_07",) if enumerable else shares
    keys = (
        *exact, *even, "complementarity_score", "half_sigma_a", "half_sigma_b", *(measure.key for measure in further),
    )  # fmt: skip
    heads = {key: MEASURES[key].head for key in keys}
    rows = []
    for epoch in measured.milestones:
        expected = MEASURES["exact_match_a"].expected_at(epoch, measured.recipe.schedule_epochs)
        sampled = measured.part("coverage_rho_07", epoch)
        drawn = [] if enumerable else [("95%", _between(measured, "complementarity_score", epoch))]
        more = {
            "exact_match_a": [("plan", expected.text() if expected else NOTHING)],
            "coverage_rho_07": [
                ("95%", _between(measured, "coverage_rho_07", epoch)),
                (UNIFORM_MODEL, percent(sampled.coverage_limit) if sampled else NOTHING),
            ],
            "complementarity_score": [("A : B", _homes(measured, epoch)), *drawn],
            **{key: [("95%", _between(measured, key, epoch))] for key in shares},
        }  # fmt: skip
        row = [("Epoch", str(epoch))]
        for key in keys:
            shown = measured.in_context if key in exact else measured.shown
            row += [(heads[key], shown(key, epoch)), *more.get(key, [])]
        rows.append(row)
    return {"header": [name for name, _ in rows[0]], "rows": [[text for _, text in row] for row in rows]}


def _between(measured: Measurements, key: str, epoch: int) -> str:
    """The 95% interval of a figure."""
    bounds, unit = measured.bounds(key, epoch), MEASURES[key].unit
    if bounds is None:
        return NOTHING
    low = in_unit(bounds.low, unit)
    return f"at least {low}" if bounds.high is None else f"{low} – {in_unit(bounds.high, unit)}"


def _homes(measured: Measurements, epoch: int) -> str:
    homes = measured.part("complementarity_score", epoch)
    return f"{homes.home_a:,} : {homes.home_b:,}" if homes else NOTHING


def _chart_lists(measured: Measurements) -> dict[str, list[dict[str, str]]]:
    """The charts of each section, with a sentence a reader who cannot see them is given."""
    epoch = measured.milestones[-1]
    end = f"At epoch {epoch}: "
    exact = half = covered = score = ""
    if epoch in measured.isolated:
        exact_a, exact_b = (measured.in_context(f"exact_match_{side}", epoch) for side in "ab")
        exact = f"{end}VAE-A {exact_a}, VAE-B {exact_b}"
        half = f"{end}VAE-A {_half(measured, 'a', epoch)}, VAE-B {_half(measured, 'b', epoch)}"
    if epoch in measured.coupled:
        homes = measured.part("complementarity_score", epoch)
        covered = f"{end}{measured.in_context('coverage_rho_07', epoch)}"
        score = (
            f"{end}{measured.shown('complementarity_score', epoch)}, {homes.home_a:,} operations at home in A, "
            f"{homes.home_b:,} in B"
        )

    enumerable = measured.recipe.space.as_space().is_enumerable()
    evolution = [
        _chart("reconstruction", "Exact reconstruction", exact or "Exact match by epoch"),
        *([_chart("coverage", "Decoded coverage, both VAEs", covered or "Coverage by epoch")] if enumerable else []),
        _chart("complementarity", "Complementarity and homes", score or "Complementarity by epoch"),
        _chart("half-sigma", "Noise a code bears: half σ", half or "Half σ by epoch"),
    ]
    if measured.metrics:
        evolution += [
            _chart("permeability", "Permeability ρ and schedules", "ρ, gate, temperature and β by epoch"),
            _chart("loss", "Loss and its terms", "Mean over each epoch's steps"),
        ]
    events = []
    if _corrected(measured) or any(event.get("kind") != "milestone" for event in measured.events):
        events.append(_chart("statenet", "StateNet's corrections, and events", _events_lead(measured).rstrip(".")))
    if measured.metrics:
        events.append(_chart("lambda", "Weights λ and balance", "λ1, λ2, λ3 and the balance by epoch"))
    return {
        "evolution_charts": evolution,
        "curve_charts": [_chart("curve", "Exact match against latent noise", half or "Resolution curves", "noise")]
        if measured.isolated
        else [],
        "coverage_charts": [
            _chart("draws", "Coverage", covered or "Coverage against draws", "draws"),
            _chart("gap", "Less than a uniform model", "What that covers on average, less what was measured", "draws"),
        ],
        "event_charts": events,
    }


def _chart(name: str, title: str, caption: str, axis: str = "time") -> dict[str, str]:
    return {
        "id": f"chart-{name}",
        "title": title,
        "caption": f"{caption}.",
        "axis": axis,
    }


def _structure(measured: Measurements) -> dict[str, Any] | None:
    """What the manifold knows, by the last of the structure records; None without any."""
    if not measured.structure:
        return None
    epoch, record = max(measured.structure.items())
    end = f"At epoch {epoch}: "
    ranks = listed(
        f"{in_unit(record.codes[name].distances.hamming, 'score')} {where}"
        for name, where in (*((name, f"in {vae}") for name, vae in VAES.items()), ("ideal_axes_a", "on ideal axes"))
    )
    charts = [
        _chart(
            "distances",
            "Distance in the code by Hamming distance",
            f"{end}rank correlation {ranks}. Bands hold 5% to 95% of pairs",
            "hamming",
        ),
        *(
            [_chart("probes", "Properties read by linear probes", f"{end}{_probes(record)}", "accuracy")]
            # A milestone that is only followed over epochs has none, nor has a space of a few operations.
            if any(probe.balanced_accuracy for probe in record.probes.values())
            else []
        ),
        *(
            _chart(
                f"carried-{name[-1]}",
                f"What each dimension of {vae} carries",
                f"{end}{counted(record.codes[name].axes.active_units, 'active unit')}; the entry that most explains an "
                f"active one explains {percent(record.codes[name].axes.one_entry_share)} of its variance on average",
                "entry",
            )
            for name, vae in VAES.items()
        ),
    ]
    if len(measured.structure) > 1:
        charts += [
            _chart(
                f"claims-{name[-1]}",
                f"{vae} over milestones",
                f"Measured at epochs {listed(sorted(measured.structure))}",
            )
            for name, vae in VAES.items()
        ]
    looked = f"{record.operations:,} operations"
    return {
        "epoch": epoch,
        "looked_at": f"all {looked}" if record.all_operations else f"a uniform sample of {looked}",
        "charts": charts,
        "claims": claim_rows(record),
    }


def _probes(record: StructureRecord) -> str:
    probed = sum(bool(probe.balanced_accuracy) for probe in record.probes.values())
    better, worse = (len(names) for names in compared_with_table([record], "both"))
    return (
        f"of {probed} properties {better} are read better from both codes than from the one-hot table, {worse} worse, "
        f"by more than {number(100 * MARGIN, 0)} points"
    )


def _half(measured: Measurements, side: str, epoch: int) -> str:
    key = f"half_sigma_{side}"
    unknown = measured.value(key, epoch) is None
    return "crosses one half nowhere on the grid" if unknown else measured.shown(key, epoch)
