"""Comparisons as sentences that say what was measured and no more."""

from __future__ import annotations

from collections.abc import Sequence

from ternary_vae.experiments.results import Comparison, Results
from ternary_vae.formats import counted, duration, in_lines, listed, number

METHOD = (
    "The same seed in two arms is one pair. An effect is the mean of the differences over seeds, its 95% interval and "
    "its p that of the paired t test, which takes the differences to be about normal; where all seeds differ by "
    "exactly the same there is no spread to judge by, no interval is given, and p is that of the sign flips (2·2⁻ⁿ).",
    "What decides was fixed before the runs: the deciding measures at the last milestone that arms share. Their p are "
    "corrected for their number by Holm's rule, which keeps the chance of even one false claim among them at 5% "
    "however they depend on each other. All other comparisons are a family of their own, corrected in the same way: "
    "they show where to look, not what to conclude. Where there is a reference, the other arms compared with one "
    "another by what decides are a third family. Intervals are not corrected.",
    "“Could have seen” is the smallest true difference that this number of seeds, with the spread that they had, finds "
    "with a power of 80%: alone, in a single test at 5%, and among all, at the strictest level that the correction "
    "asks for. The spread is itself estimated from few seeds. “Beyond the scale”: no difference that there can be "
    "would have been seen.",
)


def brief(label: str) -> str:
    """A label as a chart has room for it: each of two arms in lines of its own."""
    return " –\n".join(in_lines(arm, 30) for arm in label.split(" – "))


def sentence(one: Comparison) -> str:
    """A comparison in plain words. An interval that holds zero shows no difference; it does not show that there is
    none, only that the data do not agree with differences beyond its ends."""
    measure, summary, digits = one.measure, one.paired.summary, one.measure.digits_for(one.spread)
    seeds = counted(summary.count, "seed")
    if summary.low is None or summary.high is None:
        return f"{_subject(one)}: {_without_interval(one, seeds)}."
    span = measure.span(summary.low, summary.high, digits)
    if one.certain:
        return f"{_subject(one)}: {_lead(one, digits)} (95% interval {span}, {seeds}; {_corrected(one)})."
    if summary.low > 0 or summary.high < 0:
        return (
            f"{_subject(one)}: {_lead(one, digits)} (95% interval {span}, {seeds}), which may be chance among "
            f"{counted(one.family, 'comparison')} ({_corrected(one)})."
        )
    shown = f"{_subject(one)}: no difference shown between {one.arm} and {one.against}"
    if min(summary.high, -summary.low) >= measure.room(one.means[1]):
        return f"{shown}; none is excluded (95% interval {span}, {seeds}, wider than the scale)."
    return f"{shown}; differences beyond {span} are excluded (95% interval, {seeds}), smaller ones are not."


def headlines(results: Results) -> list[str]:
    """What follows, arm by arm, from the measures that decide."""
    against = sorted({one.against for one in results.deciding}, key=[arm.name for arm in results.arms].index)
    return [
        line
        for other in against
        for arm in results.arms
        for line in _headline(
            arm.name, other, [one for one in results.deciding if (one.arm, one.against) == (arm.name, other)]
        )
    ]


def state(results: Results) -> str:
    """How many runs there are, and what became of them."""
    execution = results.execution
    done, planned = len(execution.complete), len(execution.runs)
    seconds = sum(facts.get("seconds") or 0.0 for facts in results.facts.values())
    text = f"{counted(len(results.arms), 'arm')}, {_seeds(results)}: {done} of {counted(planned, 'run')} complete"
    text += f", {duration(seconds)} of computing in all." if seconds else "."
    if done < planned:
        text += " What is missing of the others is not in the comparisons; a pair needs both its runs."
    return text + _additions(results)


def _additions(results: Results) -> str:
    added = results.execution.directory.additions()
    seeds = sorted({seed for each in added for seed in each["seeds"]})
    arms = list(dict.fromkeys(arm for each in added for arm in each["arms"]))
    what = [f"seeds {listed(seeds)}"] if seeds else []
    what += [f"arms {listed(arms)}"] if arms else []
    if not what:
        return ""
    return (
        f" Added after a report had been written: {' and '.join(what)}. Who adds until something stands finds more "
        "than there is; the correction does not cover that."
    )


def beyond(results: Results) -> list[Comparison]:
    """Comparisons that do not decide and still stand after correction, the last milestones first."""
    certain = [one for one in results.comparisons if one.certain and not one.decides]
    return sorted(certain, key=lambda one: -one.epoch)


def _headline(arm: str, against: str, comparisons: Sequence[Comparison]) -> list[str]:
    if not comparisons:
        return []
    directed = [one for one in comparisons if one.measure.better]
    better = [one.measure.title for one in directed if one.winner == arm]
    worse = [one.measure.title for one in directed if one.winner == against]
    parts = [f"better in {listed(better)}"] if better else []
    parts += [f"worse in {listed(worse)}"] if worse else []
    different = [one.measure.title for one in comparisons if one.certain and not one.winner]
    parts += [f"different in {listed(different)}"] if different else []
    constant = [one.measure.title for one in comparisons if not one.certain and one.constant]
    parts += [f"in every seed apart by exactly as much in {listed(constant)}"] if constant else []
    open_ones = len(comparisons) - sum(map(len, (better, worse, different, constant)))
    if not parts:
        return [f"{arm} and {against}: not told apart by any of {counted(len(comparisons), 'deciding measure')}."]
    parts += [f"not told apart in {open_ones} of {len(comparisons)}"] if open_ones else []
    return [f"{arm} against {against}: {'; '.join(parts)}."]


def _subject(one: Comparison) -> str:
    return f"{one.measure.title}, after {counted(one.epoch, 'epoch')}"


def _without_interval(one: Comparison, seeds: str) -> str:
    measure, summary = one.measure, one.paired.summary
    pair = f"{one.arm} and {one.against}"
    if summary.count == 1:
        lead = _lead(one, measure.digits_for(abs(summary.mean) or None)) if summary.mean else f"{pair} are equal"
        return f"{lead}, with the one seed {one.seeds[0]}; a single pair says nothing about other seeds"
    if summary.mean:
        lead = _lead(one, measure.digits_for(abs(summary.mean)))
        constant = f"{lead} with each of {seeds}, by exactly as much"
        return f"{constant}; without a spread there is no interval ({_corrected(one)})"
    if measure.limit is not None and one.means == (measure.limit, measure.limit):
        return f"{pair} both reach {measure.value(measure.limit)} with each of {seeds}; this measure can tell no more"
    return f"{pair} are equal with each of {seeds}; without a spread there is no interval"


def _lead(one: Comparison, digits: int) -> str:
    measure, mean = one.measure, one.paired.summary.mean
    verb = (measure.more if mean > 0 else measure.less).format(measure.size(mean, digits))
    return f"{one.arm} {verb} {one.against}"


def _corrected(one: Comparison) -> str:
    """`p = 0.012 corrected for 8 comparisons`; of two pairs or more, as a single one has no p."""
    assert one.p_corrected is not None
    p = "p < 0.001" if one.p_corrected < 0.001 else f"p = {number(one.p_corrected, 3)}"
    return f"{p} corrected for {counted(one.family, 'comparison')}"


def _seeds(results: Results) -> str:
    seeds = results.experiment.seeds
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    return f"seeds {listed(seeds)}" if len(seeds) <= 12 else f"{len(seeds):,} seeds from {min(seeds)} to {max(seeds)}"
