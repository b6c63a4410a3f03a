"""All goals at once, in every seed: what the default recipe must reach and hold through 400 epochs, the worst seed
counting.

The goals go beyond the plan's stretch goals (plan, section 6). Each is judged from what a run wrote down: its rows of
`metrics.jsonl`, every epoch, and the benchmark records of its milestones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ternary_vae.errors import UserError
from ternary_vae.formats import number, percent, table
from ternary_vae.limits import coverage_limit
from ternary_vae.reports.many_seeds import milestone_tables
from ternary_vae.reports.measurements import Measurements
from ternary_vae.storage.files import write_text

Read = Callable[[Measurements], "float | None"]
_ENSEMBLES_ALWAYS = ("best_of_two", "majority")
_ENSEMBLES_LATER = ("voting", "confidence_weighted")


@dataclass(frozen=True)
class Goal:
    """One goal: the measured figure must lie in [low, high].

    Attributes:
        read: the run's figure; None where it was not measured, which counts as missed.
        unit: how the figure is shown.
    """

    name: str
    read: Read
    low: float | None = None
    high: float | None = None
    unit: Literal["share", "score", "epochs"] = "share"

    def met(self, value: float | None) -> bool:
        if value is None:
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def margin(self, value: float | None) -> float:
        """How far inside the interval the figure lies; negative outside, and least where nothing was measured."""
        if value is None:
            return -float("inf")
        return min(
            value - self.low if self.low is not None else float("inf"),
            self.high - value if self.high is not None else float("inf"),
        )

    def shown(self, value: float | None) -> str:
        if value is None:
            return "not measured"
        if self.unit == "share":
            return percent(value)
        return number(value, 0 if self.unit == "epochs" else 3)

    @property
    def required(self) -> str:
        if self.low is not None and self.high is not None:
            return f"{self.low:g} to {self.high:g}"
        if self.low is None:
            return f"≤ {self.shown(self.high)}"
        return self.shown(self.low) if self.low == 1.0 and self.unit == "share" else f"≥ {self.shown(self.low)}"


def goals() -> list[Goal]:
    """Every goal of a 400-epoch run."""
    return [
        Goal("Best of two and majority, lowest of any epoch from 10 on", _lowest_ensemble, low=1.0),
        Goal("Voting and confidence weighted, lowest of any milestone from 100 on", _lowest_later_ensemble, low=1.0),
        Goal("VAE-A alone, exact match at the end", _at_end("exact_match_a"), low=1.0),
        Goal("VAE-B alone, exact match at the end", _at_end("exact_match_b"), low=1.0),
        Goal("Epochs with both VAEs at 100%", _epochs_with_both, low=300, unit="epochs"),
        Goal("Coverage, ρ = 0.7, at the end", lambda run: _last_coupled(run, _additive), low=0.992),
        Goal("Coverage, ρ = 0.7, prior-preserving, at the end", lambda run: _last_coupled(run, _preserving), low=0.992),
        Goal("Coverage of both, lowest of any epoch after 60", _lowest_coverage, low=0.98),
        Goal("Coverage of VAE-A alone, 50,000 draws, at the end", _alone("vae_a"), low=0.915),
        Goal("Coverage of VAE-B alone, 50,000 draws, at the end", _alone("vae_b"), low=0.915),
        Goal("Complementarity at the end", lambda run: _last_coupled(run, _complementarity), low=0.9, unit="score"),
        Goal("Complementarity, lowest of any milestone from 250 on", _lowest_complementarity, low=0.7, unit="score"),
        Goal(
            "Ensemble's gain under noise, less that of the same VAEs were it chance what is hard for each",
            lambda run: _last_coupled(run, _gain_above("ensemble_gain_if_shuffled")),
            low=0.0,
        ),
        Goal(
            "Ensemble's gain under noise, less that of two VAEs that fail independently",
            lambda run: _last_coupled(run, _gain_above("ensemble_gain_by_chance")),
            low=0.0,
        ),
        Goal(
            "Mean latent correlation, largest of any milestone, without its sign", _correlation, high=0.26, unit="score"
        ),
        Goal("Nearest neighbours at distance 1, lowest of any milestone", _nearest, low=1.0),
        Goal("Effective dimensions of VAE-A at the end", _dimensions("vae_a"), low=8.0, high=9.5, unit="score"),
        Goal("Effective dimensions of VAE-B at the end", _dimensions("vae_b"), low=8.0, high=9.5, unit="score"),
        Goal("ρ at the end", _at_end("rho"), low=0.7, unit="score"),
        Goal("Coupled decoding at the end, lower of the two", _coupled, low=1.0),
    ]


def goals_table(runs: Sequence[Measurements], every_seed: bool = True) -> list[str]:
    """A Markdown table: each goal, the worst seed first, the mean, and every seed if it is wanted.

    Raises:
        UserError: no run, or one that is not complete.
    """
    if not runs:
        raise UserError("no runs to judge; name an experiment's directory or several run directories")
    for run in runs:
        if run.epochs < run.recipe.epochs or len(run.metrics) < run.recipe.epochs:
            raise UserError(f"{run.directory}: {run.epochs} of {run.recipe.epochs} epochs; finish it with resume")
    runs = sorted(runs, key=lambda run: run.seed)
    rows = []
    for goal in goals():
        values = [goal.read(run) for run in runs]
        worst = min(range(len(runs)), key=lambda index: goal.margin(values[index]))
        known = [value for value in values if value is not None]
        mean = goal.shown(sum(known) / len(known)) if len(known) == len(runs) else "–"
        met = [goal.met(value) for value in values]
        worst_shown = f"**{goal.shown(values[worst])}** {'✓' if met[worst] else '✗'} (seed {runs[worst].seed})"
        rows.append([goal.name, goal.required, worst_shown, f"{sum(met)} of {len(runs)}", mean])
        if every_seed:
            rows[-1] += [f"{goal.shown(value)} {'✓' if fine else '✗'}" for value, fine in zip(values, met)]
    header = ["goal", "required", "worst seed", "met by", "mean"]
    if every_seed:
        header += [f"seed {run.seed}" for run in runs]
    return table(header, rows, right_from=2).split("\n")


def missed_goals(runs: Sequence[Measurements]) -> list[str]:
    """Names of the goals that at least one run misses."""
    return [goal.name for goal in goals() if not all(goal.met(goal.read(run)) for run in runs)]


def write_goals(
    runs: Sequence[Measurements],
    output: Path,
    command: str,
    plan_runs: Sequence[Measurements] = (),
    plan_command: str = "",
) -> Path:
    """Writes the table as a page of its own, with the command that made its runs; and where there are runs of the
    plan's recipe, both recipes milestone by milestone, with the command that made those.

    Raises:
        UserError: as `goals_table` and `milestone_tables`, or the file cannot be written.
    """
    lines = goals_table(runs)
    missed = missed_goals(runs)
    first = runs[0]
    where = first.facts.get("environment", {})
    verdict = (
        "Every goal is met in every seed."
        if not missed
        else f"Missed by at least one seed: {'; '.join(name[0].lower() + name[1:] for name in missed)}."
    )
    text = [
        f"# All goals at once: `{first.recipe.name}`, {len(runs)} seeds, {first.recipe.epochs} epochs",
        "",
        f"**{verdict}** Worst seed first; a goal counts as met only where every seed meets it.",
        "",
        *lines,
        "",
        "Exact matches are shares of all 19,683 operations; coverage is of decoded operations. A uniform",
        f"model covers {percent(coverage_limit(100_000))} on average with 100,000 draws, and "
        f"{percent(coverage_limit(50_000))} with 50,000. The first, the fifth and the eighth",
        "line look at every epoch, the others at milestones.",
        "",
        "The ensemble's gain under noise is held against two references. Were it chance which operations are hard for",
        "either VAE, the same two under the same noise would gain what the first takes off; more is gained where what",
        "is hard for one is easy for the other. The second is stricter: two VAEs that fail independently of each",
        "other. Here both are given the same noise, and two codes of nine axes out of sixteen share two axes at least.",
        "",
        f"Made by `{command}`, recipe `{first.recipe.fingerprint()}`, on "
        f"{where.get('platform', 'an unknown machine')}, torch {where.get('torch', 'unknown')}.",
        "",
    ]
    if plan_runs:
        text += ["## Beside the plan's recipe, milestone by milestone", "", *milestone_tables(plan_runs, runs)]
        text += [f"The plan's by `{plan_command}`, recipe `{plan_runs[0].recipe.fingerprint()}`.", ""]
    write_text(output, "\n".join(text))
    return output


# ---------------------------------------------------------------- what a run wrote down


def _rows(run: Measurements, name: str, first: int = 1) -> list[float] | None:
    """A figure of every epoch from `first` on; None if any lacks it."""
    values = [row.get(name) for row in run.metrics if row["epoch"] >= first]
    return None if not values or any(value is None for value in values) else values


def _lowest(columns: Sequence[list[float] | None]) -> float | None:
    return None if any(column is None for column in columns) else min(min(column) for column in columns if column)


def _lowest_ensemble(run: Measurements) -> float | None:
    return _lowest([_rows(run, f"exact_match_{name}", first=10) for name in _ENSEMBLES_ALWAYS])


def _lowest_later_ensemble(run: Measurements) -> float | None:
    records = [record for epoch, record in run.coupled.items() if epoch >= 100]
    rates = [
        getattr(record.ensemble_reconstruction, name).exact_match_rate
        for record in records
        for name in _ENSEMBLES_LATER
    ]
    return min(rates, default=None)


def _at_end(name: str) -> Read:
    return lambda run: run.metrics[-1].get(name)


def _epochs_with_both(run: Measurements) -> float | None:
    return sum(row["exact_match_a"] == row["exact_match_b"] == 1.0 for row in run.metrics)


def _lowest_coverage(run: Measurements) -> float | None:
    return _lowest([_rows(run, "coverage", first=61)])


def _last_coupled(run: Measurements, read: Callable) -> float | None:
    return read(run.coupled[run.epochs]) if run.epochs in run.coupled else None


def _additive(record) -> float:
    return record.cross_injected_sampling_rho_07.coverage_rate


def _preserving(record) -> float:
    return record.cross_injected_sampling_rho_07.prior_preserving.coverage_rate


def _complementarity(record) -> float:
    return record.complementary_coverage.complementarity_score


def _gain_above(reference: str) -> Callable[..., float | None]:
    def read(record) -> float | None:
        found = record.complementary_coverage
        other = getattr(found, reference)
        return None if other is None else found.ensemble_gain - other

    return read


def _alone(vae: Literal["vae_a", "vae_b"]) -> Read:
    def read(run: Measurements) -> float | None:
        record = run.isolated.get(run.epochs)
        return None if record is None else getattr(record, vae).sampling_coverage.decoded.coverage_rate

    return read


def _dimensions(vae: Literal["vae_a", "vae_b"]) -> Read:
    def read(run: Measurements) -> float | None:
        record = run.isolated.get(run.epochs)
        return None if record is None else getattr(record, vae).dimensionality.participation_ratio

    return read


def _lowest_complementarity(run: Measurements) -> float | None:
    return min((_complementarity(record) for epoch, record in run.coupled.items() if epoch >= 250), default=None)


def _correlation(run: Measurements) -> float | None:
    return max((abs(record.latent_coupling.mean_correlation) for record in run.coupled.values()), default=None)


def _nearest(run: Measurements) -> float | None:
    rates = [
        vae.nearest_neighbor.hamming_1_rate for record in run.isolated.values() for vae in (record.vae_a, record.vae_b)
    ]
    return min(rates, default=None)


def _coupled(run: Measurements) -> float | None:
    record = run.coupled.get(run.epochs)
    if record is None:
        return None
    return min(record.coupled_reconstruction.exact_match_rate_a, record.coupled_reconstruction.exact_match_rate_b)
