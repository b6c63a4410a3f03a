"""What manifolds know, as a person reads it: from structure records of one or several recipes, each of some seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf, nextafter
from pathlib import Path

from ternary_vae.errors import UserError
from ternary_vae.formats import NOTHING, Unit, code, in_unit, listed, percent, table
from ternary_vae.recipe import TruthTables
from ternary_vae.reports.markdown import markdown
from ternary_vae.resolution.records import ResolutionCurve
from ternary_vae.resolution.structure.records import CodeStructure, StructureRecord
from ternary_vae.storage.files import require_own, require_writable, write_text

_HEADING = "# What the manifold knows, and what it does not"
EPOCHS_FIGURE_NAME = "structure_over_epochs.png"
VAES = {"vae_a": "VAE-A", "vae_b": "VAE-B"}
KNOWN = {
    "ideal_axes_a": "ideal axes, ordered as A's",
    "ideal_axes_b": "ideal axes, ordered as B's",
    "random_orthogonal": "random orthogonal",
}
_PROBED = {"ideal_axes_a": "table_values", "random_orthogonal": "random_orthogonal"}
"""The codes of known structure that probes read too, and what they are called there."""
MARGIN = 0.02
"""Balanced accuracies that differ by less count as equal."""

Group = Sequence[StructureRecord]
"""Records of one recipe, one a seed."""


@dataclass(frozen=True)
class Claim:
    """Something that may be said of a code.

    Attributes:
        figure: what is measured.
        read: the figure of one code of a record; None where it was not measured.
        least: what it must at least be for the claim to hold.
        least_of: the same where it differs from code to code, for a record and a code's name; `required` says it.
        legend: what a legend calls it where its figure, between 0 and 1, is drawn over milestones; else it is not.
    """

    text: str
    figure: str
    unit: Unit
    read: Callable[[StructureRecord, str], float | None]
    least: float = 0.99
    least_of: Callable[[StructureRecord, str], float] | None = None
    required: str = ""
    legend: str = ""

    def holds(self, record: StructureRecord, name: str) -> bool:
        """Whether it may be said of one code; not where nothing was measured."""
        value = self.read(record, name)
        return value is not None and value >= (self.least if self.least_of is None else self.least_of(record, name))

    def required_text(self) -> str:
        """What is required, as a person reads it."""
        return self.required or f"≥ {in_unit(self.least, self.unit, 2 if self.unit == 'score' else 0)}"


@dataclass(frozen=True)
class Judged:
    """A claim and in how many of how many trained codes it holds.

    Attributes:
        least, most: its figure over these codes.
        ideal: its figure of ideal axes in the values' own order, where it was measured.
    """

    claim: Claim
    holds: int
    of: int
    least: float
    most: float
    ideal: float | None

    @property
    def where(self) -> str:
        """In how many of the codes it holds."""
        return "in no code" if not self.holds else "in every code" if self.holds == self.of else "in some"

    @property
    def figures(self) -> str:
        """`1.70% to 10.17%; ideal axes 10.30%`."""
        least, most, ideal = (in_unit(value, self.claim.unit) for value in (self.least, self.most, self.ideal))
        return (least if least == most else f"{least} to {most}") + (
            "" if self.ideal is None else f"; ideal axes {ideal}"
        )


def _of_code(read: Callable[[CodeStructure], float]) -> Callable[[StructureRecord, str], float]:
    return lambda record, name: read(record.codes[name])


def _probe(property_name: str) -> Callable[[StructureRecord, str], float | None]:
    def read(record: StructureRecord, name: str) -> float | None:
        found = record.probes.get(property_name)
        accuracy = found.balanced_accuracy.get(_PROBED.get(name, name)) if found else None
        return None if accuracy is None else accuracy.mean

    return read


def _best_without(record: StructureRecord, property_name: str) -> float:
    probe = record.probes[property_name]
    return max(probe.chance, probe.balanced_accuracy["table_one_hot"].mean)


def claims_of_codes(values: int) -> list[Claim]:
    """What is said of the codes themselves, for so many values."""
    return [
        Claim(
            f"a {values}-adic tree organises it, beyond what Hamming distance explains",
            "partial rank correlation of distance in the code and adic distance of the indices",
            "score",
            _of_code(lambda one: one.distances.adic_given_hamming),
            # Just above: of a code in which all distances are equal every order says the same.
            least_of=_of_code(lambda one: nextafter(one.distances.adic_given_hamming_other_digit_orders.most, inf)),
            required="more than with any of 20 other orders of digits",
        ),
        Claim(
            "operations with few different entries are near", "rank correlation with Hamming distance", "score",
            _of_code(lambda one: one.distances.hamming), 0.9,
        ),
        Claim(
            "operations that differ by few steps of values are near", "rank correlation with the number of steps",
            "score", _of_code(lambda one: one.distances.class_steps), 0.9,
        ),
        Claim(
            "it adds where no sum wraps around: z(f) + z(g) − z(0) is f + g", "tables decoded exactly", "share",
            _of_code(lambda one: one.arithmetic.sum_in_range.exact_rate), legend="sums, no wrap-around",
        ),
        Claim(
            f"it adds modulo {values}", "tables decoded exactly", "share",
            _of_code(lambda one: one.arithmetic.sum_modulo.exact_rate),
        ),
        Claim(
            "−z(f) is −f", "tables decoded exactly", "share",
            _of_code(lambda one: one.arithmetic.negation.exact_rate), legend="negation",
        ),
        *(
            Claim(
                f"{change} is an affine map of it", "tables decoded exactly, drawn anew", "share",
                lambda record, name, key=key: _map_rate(record.codes[name], key),
            )
            for key, change in (
                ("inputs_exchanged", "exchanging the inputs"),
                ("answer_negated", "negating the answer"),
                ("answer_raised", "raising the answer by one, the highest to the lowest,"),
            )
        ),
        Claim(
            "straight lines pass only through operations between their ends", "points on lines", "share",
            _of_code(lambda one: one.paths.between_rate), legend="lines pass between",
        ),
        Claim(
            "straight lines change one entry at a time", "changes", "share",
            _of_code(lambda one: one.paths.single_entry_rate),
        ),
        Claim(
            "it is a sum of what each entry says", "variance", "share",
            _of_code(lambda one: one.axes.additive_share), legend="a sum of entries",
        ),
        Claim(
            "the values of every entry lie on a line", "variance of the least straight entry", "share",
            _of_code(lambda one: min(entry.line_share for entry in one.axes.entries)), 0.95,
        ),
        Claim(
            "entries are at right angles", "one less the largest cosine between two", "score",
            _of_code(lambda one: 1 - one.axes.largest_cosine), 0.9, legend="right angles",
        ),
        Claim(
            "a dimension carries one entry", "variance of active dimensions", "share",
            _of_code(lambda one: one.axes.one_entry_share), 0.95, legend="one entry a dimension",
        ),
        Claim(
            "it bears as much noise as ideal axes", "σ at which half is exact", "sigma",
            _of_code(lambda one: _borne(one.noise.measured)),
            least_of=_of_code(lambda one: _borne(one.noise.ideal_axes)),
            required="≥ that of ideal axes, in closed form",
        ),
    ]  # fmt: skip


def _borne(curve: ResolutionCurve) -> float:
    """The σ at which half is exact; at least the largest that was tried where more than half is exact at every one, and
    0 where less is without noise."""
    if curve.half_sigma is not None:
        return curve.half_sigma
    return curve.points[-1].sigma if curve.points[-1].exact_match_rate > 0.5 else 0.0


def claims_of_probes() -> list[Claim]:
    """What is said of what linear probes read."""
    return [
        Claim(
            f"a linear probe tells {word} gates from others better than from their tables",
            "balanced accuracy", "share", _probe(name),
            least_of=lambda record, _, name=name: _best_without(record, name) + MARGIN,
            required=f"{100 * MARGIN:.0f} points more than from one-hot tables, and than chance",
        )
        for name, word in (
            ("commutative", "commutative"), ("monotone", "monotone"), ("self_dual", "self-dual"),
            ("associative", "associative"), ("sheffer", "Sheffer"),
        )
    ]  # fmt: skip


def judged(groups: Sequence[Group]) -> list[Judged]:
    """Every claim that was measured, those that hold in the fewest trained codes first."""
    found = []
    for claim in (*claims_of_codes(groups[0][0].space.values), *claims_of_probes()):
        codes = [(record, name) for group in groups for record in group for name in VAES]
        values = [value for one in codes if (value := claim.read(*one)) is not None]
        if values:
            holds, ideal = sum(claim.holds(*one) for one in codes), claim.read(groups[0][0], "ideal_axes_a")
            found.append(Judged(claim, holds, len(values), min(values), max(values), ideal))
    return sorted(found, key=lambda one: one.holds / one.of)


def title_of(group: Group) -> str:
    """`resolution`, epoch 400, seeds 0, 1 and 2; or each seed's own epoch: epochs 177 and 161, seeds 0 and 1."""
    headers = sorted((record.header for record in group), key=lambda header: (header.training_seed, header.epoch))
    seeds = list(dict.fromkeys(header.training_seed for header in headers))
    epochs = sorted({header.epoch for header in headers})
    if len(epochs) > 1 and len(headers) == len(seeds):
        epochs = [header.epoch for header in headers]
    together = len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1))
    numbers = f"{seeds[0]} to {seeds[-1]}" if together else listed(map(str, seeds))
    named = f"epoch{'s' if len(epochs) > 1 else ''} {listed(map(str, epochs))}"
    return f"{code(headers[0].recipe)}, {named}, seed{'s' if len(seeds) > 1 else ''} {numbers}"


def claims_table(groups: Sequence[Group], rows: Sequence[Judged]) -> str:
    """A row a claim: in how many codes it holds, the mean and the worst of each recipe's VAEs, and known codes."""
    header = ["", "measured", "required", "holds in"]
    header += [f"{code(group[0].header.recipe)} {vae[-1]}" for group in groups for vae in VAES.values()]
    lines = []
    for row in rows:
        claim = row.claim
        line = [claim.text, claim.figure, claim.required_text(), f"{row.holds} of {row.of}"]
        for group in groups:
            line += [mean_and_worst([claim.read(record, name) for record in group], claim.unit) for name in VAES]
        line += [in_unit(claim.read(groups[0][0], name), claim.unit) for name in KNOWN]
        lines.append(line)
    return table([*header, *KNOWN.values()], lines, right_from=3)


def mean_and_worst(values: Sequence[float | None], unit: Unit) -> str:
    """`97.3% (worst 96.8%)`; one value alone as it is."""
    known = [value for value in values if value is not None]
    if not known:
        return NOTHING
    mean, worst = (in_unit(value, unit) for value in (sum(known) / len(known), min(known)))
    return mean if mean == worst else f"{mean} (worst {worst})"


def probes_table(groups: Sequence[Group]) -> str:
    """A row a property: how many operations have it, chance, and balanced accuracies."""
    first = groups[0][0]
    header = ["property", "operations that have it", "chance"]
    header += [f"{code(group[0].header.recipe)} {which}" for group in groups for which in ("A", "B", "both")]
    header += ["table, one-hot", "table, values", "random orthogonal"]
    lines = []
    for name, probe in first.probes.items():
        if not probe.balanced_accuracy:
            continue
        boolean = set(probe.shares) <= {0, 1}
        shares = percent(probe.shares.get(1, 0.0)) if boolean else _shares(probe.shares)
        line = [code(name), shares, percent(probe.chance, 0)]
        for group in groups:
            for which in ("vae_a", "vae_b", "both"):
                accuracies = [record.probes[name].balanced_accuracy[which].mean for record in group]
                line.append(mean_and_worst(accuracies, "share"))
        line += [
            percent(probe.balanced_accuracy[which].mean)
            for which in ("table_one_hot", "table_values", "random_orthogonal")
        ]
        lines.append(line)
    return table(header, lines)


def compared_with_table(group: Group, which: str) -> tuple[list[str], list[str]]:
    """Properties that probes read better, and worse, from a code than from the one-hot table, in every seed and by
    more than `MARGIN`, where the better one is above chance by as much. Those that gain or lose most come first."""
    gains: dict[str, list[float]] = {}
    for record in group:
        for name, probe in record.probes.items():
            if probe.balanced_accuracy:
                own, raw = (max(probe.balanced_accuracy[key].mean, probe.chance) for key in (which, "table_one_hot"))
                gains.setdefault(name, []).append(own - raw)
    better = sorted((name for name, each in gains.items() if min(each) > MARGIN), key=lambda name: -min(gains[name]))
    worse = sorted((name for name, each in gains.items() if max(each) < -MARGIN), key=lambda name: max(gains[name]))
    return better, worse


@dataclass(frozen=True)
class Part:
    """What is said of one space.

    Attributes:
        groups: its recipes.
        figure: name of the file that shows it.
    """

    groups: Sequence[Group]
    figure: str

    @property
    def first(self) -> StructureRecord:
        """Says of which space and of how many operations."""
        return self.groups[0][0]

    @property
    def titles(self) -> list[str]:
        """A recipe each, with epochs and seeds."""
        return [title_of(group) for group in self.groups]

    @property
    def codes(self) -> int:
        """How many were trained."""
        return len(VAES) * sum(map(len, self.groups))

    def rows(self) -> list[Judged]:
        """Every claim that was measured."""
        return judged(self.groups)

    def compared(self) -> list[tuple[str, str, list[str], list[str]]]:
        """Recipe, code, and the properties that probes read better and worse from it than from tables."""
        return [
            (title_of(group), VAES.get(which, "both"), *compared_with_table(group, which))
            for group in self.groups
            for which in ("vae_a", "vae_b", "both")
        ]


def parts_of(groups: Sequence[Group]) -> list[Part]:
    """A part a space, in the order in which spaces are met."""
    spaces: dict[TruthTables, list[Group]] = {}
    for group in groups:
        spaces.setdefault(group[0].space, []).append(group)
    return [
        Part(own, f"structure_{space.values}_values_{space.inputs}_inputs.png" if place else "structure.png")
        for place, (space, own) in enumerate(spaces.items())
    ]


def structure_markdown(groups: Sequence[Group], command: str, over_epochs: Sequence[Group] = ()) -> str:
    """The report's text.

    Args:
        groups, over_epochs, command: as `write_structure_report` has them.

    Raises:
        UserError: nothing to report on.
    """
    if not groups or not all(groups):
        raise UserError("no structure records to report on; make one with `ternary-vae structure CHECKPOINT`")
    parts = parts_of(groups)
    return markdown(
        "structure",
        parts=parts,
        first=groups[0][0],
        not_additive=max(1 - found.axes.additive_share for group in groups for _, _, found in codes_of(group)),
        claims_table=claims_table,
        probes_table=probes_table,
        further_table=further_table,
        epochs=[(title_of(group), epochs_table(group)) for group in over_epochs],
        margin=MARGIN,
        epochs_figure=EPOCHS_FIGURE_NAME,
        command=command,
    )


def epochs_table(group: Group) -> str:
    """A row a claim, an epoch a column: the mean over seeds and both VAEs, the worst in brackets."""
    epochs = sorted({record.header.epoch for record in group})
    lines = []
    for claim in claims_of_codes(group[0].space.values):
        by_epoch = [
            [claim.read(record, name) for record in group if record.header.epoch == epoch for name in VAES]
            for epoch in epochs
        ]
        if any(value is not None for values in by_epoch for value in values):
            lines.append([claim.text, claim.required_text(), *(mean_and_worst(one, claim.unit) for one in by_epoch)])
    return table(["", "required", *map(str, epochs)], lines, right_from=2)


def further_table(groups: Sequence[Group]) -> str:
    """What is neither good nor bad: units, spread, levels, paths; the mean over seeds, with the least and the most."""
    read: dict[str, tuple[Callable[[CodeStructure], float], Unit, int]] = {
        "active units": (lambda one: one.axes.active_units, "number", 0),
        "variance an entry": (lambda one: one.axes.variance_an_entry, "number", 2),
        "entries whose values lie on a line (95% of their variance)": (
            lambda one: sum(entry.line_share >= 0.95 for entry in one.axes.entries), "number", 0,
        ),
        "entry's variance in its main dimension, mean": (
            lambda one: sum(entry.aligned_share for entry in one.axes.entries) / len(one.axes.entries), "share", 0,
        ),
        "distance of operations that differ in one entry": (lambda one: one.distances.by_hamming[0].mean, "number", 2),
        "of those that differ in all": (lambda one: one.distances.by_hamming[-1].mean, "number", 2),
        "rank correlation with steps, at equal Hamming distance": (
            lambda one: one.distances.class_steps_given_hamming, "score", 2,
        ),
        "rank correlation with adic distance, whole": (lambda one: one.distances.adic, "score", 2),
        "same, other orders of digits, mean": (lambda one: one.distances.adic_other_digit_orders.mean, "score", 2),
        "same, operations numbered at random, mean": (
            lambda one: one.distances.adic_random_numbering.mean, "score", 2,
        ),
        "entries added rightly, no wrap-around": (lambda one: one.arithmetic.sum_in_range.entry_rate, "share", 1),
        "entries added rightly, modulo the number of values": (
            lambda one: one.arithmetic.sum_modulo.entry_rate, "share", 1,
        ),
        "sums cut at the ends, tables exact": (lambda one: one.arithmetic.sum_cut.exact_rate, "share", 1),
        "operations met on a line, besides its ends": (lambda one: one.paths.operations_between, "number", 1),
        "unevenness of a line": (lambda one: one.paths.unevenness, "number", 3),
    }  # fmt: skip
    header = ["", *(f"{code(group[0].header.recipe)} {vae[-1]}" for group in groups for vae in VAES.values())]
    lines = []
    for text, (figure, unit, digits) in read.items():
        line = [text]
        for group in groups:
            line += [_mean_and_range([figure(record.codes[name]) for record in group], unit, digits) for name in VAES]
        line += [in_unit(figure(groups[0][0].codes[name]), unit, digits) for name in KNOWN]
        lines.append(line)
    return table([*header, *KNOWN.values()], lines)


def write_structure_report(
    groups: Sequence[Group], output: Path, command: str, over_epochs: Sequence[Group] = ()
) -> list[Path]:
    """Writes the report and, beside it, its figures. Returns the files.

    Args:
        groups: records of each recipe, of any seeds and of any spaces, which are told apart.
        output: the report's place.
        command: what repeats it.
        over_epochs: for each recipe that is followed over its runs, records of each seed at several epochs.

    Raises:
        UserError: as `structure_markdown` or `require_own_report`, or a place that cannot be written.
    """
    require_own_report(output)
    from ternary_vae.reports.figures import write_figure
    from ternary_vae.reports.structure_figure import structure_figure, structure_over_epochs_figure

    text = structure_markdown(groups, command, over_epochs)
    written = [write_figure(structure_figure(part.groups), output.with_name(part.figure)) for part in parts_of(groups)]
    if over_epochs:
        written.append(write_figure(structure_over_epochs_figure(over_epochs), output.with_name(EPOCHS_FIGURE_NAME)))
    write_text(output, text)
    return [output, *written]


def require_own_report(output: Path) -> None:
    """Says before anything is measured that a report could not be written, or would overwrite what is none.

    Raises:
        UserError: it is so.
    """
    require_writable(output)
    require_own(output, _HEADING, "report on structure", instead="directory")


def by_recipe(records: Sequence[StructureRecord]) -> list[Group]:
    """Records of the same recipe together, in the order in which recipes are met."""
    groups: dict[str, list[StructureRecord]] = {}
    for record in records:
        groups.setdefault(record.header.recipe_fingerprint, []).append(record)
    return list(groups.values())


def last_of_each_seed(group: Group) -> Group:
    """Of records of one recipe at several epochs, each seed's last."""
    last = {record.header.training_seed: record for record in sorted(group, key=lambda one: one.header.epoch)}
    return [last[seed] for seed in sorted(last)]


def followed(groups: Sequence[Group]) -> list[Group]:
    """Of records grouped by recipe those groups that hold several epochs."""
    return [group for group in groups if len({record.header.epoch for record in group}) > 1]


def codes_of(group: Group) -> Iterator[tuple[str, StructureRecord, CodeStructure]]:
    """The trained codes of a group: the VAE's name, the record, and what was measured."""
    for name in VAES:
        for record in group:
            yield name, record, record.codes[name]


def _map_rate(one: CodeStructure, name: str) -> float | None:
    found = one.arithmetic.affine_maps.get(name)
    return None if found is None else found.exact_rate


def _mean_and_range(values: Sequence[float], unit: Unit, digits: int) -> str:
    mean, low, high = (in_unit(value, unit, digits) for value in (sum(values) / len(values), min(values), max(values)))
    return mean if low == high else f"{mean} ({low} to {high})"


def _shares(shares: dict[int, float]) -> str:
    return ", ".join(f"{value}: {percent(share)}" for value, share in shares.items())
