"""Every ensemble strategy against a slow version of its own, one sample and one entry at a time; and a strategy of
another package, which needs no file of ours edited."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fault_injection.small_runs import QUICK
from ternary_vae.model import (
    STRATEGIES,
    DualVAE,
    EnsembleStrategy,
    combine,
    logits_to_tables,
    register_strategy,
    strategy_named,
)
from ternary_vae.operations import Operations, all_operations, operation_index
from ternary_vae.recipe import load_recipe
from ternary_vae.resolution import coupled as coupled_measures
from ternary_vae.resolution.complementarity import ensembles_under_noise
from ternary_vae.storage.checkpoints import load_model
from ternary_vae.training import loop

VALUES = (-1, 0, 1)


def softmax(logits):
    exponentials = [math.exp(value - max(logits)) for value in logits]
    return [value / sum(exponentials) for value in exponentials]


def first_largest(values):
    return max(range(len(values)), key=lambda k: (values[k], -k))


def slow_best_of_two(x, a, b, _):
    answer_a = [first_largest(entry) - 1 for entry in a]
    answer_b = [first_largest(entry) - 1 for entry in b]
    wrong_a = sum(found != wanted for found, wanted in zip(answer_a, x))
    wrong_b = sum(found != wanted for found, wanted in zip(answer_b, x))
    return answer_a if wrong_a <= wrong_b else answer_b


def slow_voting(_, a, b, __):
    votes = ((first_largest(one) - 1, first_largest(two) - 1) for one, two in zip(a, b))
    return [one if one == two else two for one, two in votes]


def slow_confidence_weighted(_, a, b, __):
    answer = []
    for one, two in zip(a, b):
        surer = one if max(softmax(one)) > max(softmax(two)) else two
        answer.append(first_largest(surer) - 1)
    return answer


def slow_product_of_experts(_, a, b, __):
    return [first_largest([p * q for p, q in zip(softmax(one), softmax(two))]) - 1 for one, two in zip(a, b)]


def slow_majority(_, a, b, coupled):
    answer = []
    for entries in zip(a, b, *coupled):
        votes = [0, 0, 0]
        probability = [0.0, 0.0, 0.0]
        for logits in entries:
            votes[first_largest(logits)] += 1
            probability = [total + p for total, p in zip(probability, softmax(logits))]
        answer.append(max(range(3), key=lambda k: (votes[k], probability[k])) - 1)
    return answer


SLOW = {
    "best_of_two": slow_best_of_two,
    "voting": slow_voting,
    "confidence_weighted": slow_confidence_weighted,
    "majority": slow_majority,
    "product_of_experts": slow_product_of_experts,
}


# Logits on a coarse grid, so that equal answers, equal errors and ties of votes are common. Two
# probabilities of the grid differ by far more than float32 rounds, or are equal exactly.
grid = st.sampled_from([-2.0, -0.5, 0.0, 1.0, 3.0])
table = st.lists(st.lists(grid, min_size=3, max_size=3), min_size=9, max_size=9)
truth = st.lists(st.sampled_from(VALUES), min_size=9, max_size=9)


@settings(max_examples=200)
@given(truth, table, table)
def test_two_voter_strategies_against_slow_versions(x, a, b):
    tensors = [torch.tensor([part]) for part in (x, a, b)]
    assert combine(*tensors, "best_of_two")[0].tolist() == slow_best_of_two(x, a, b, ())
    assert combine(*tensors, "voting")[0].tolist() == slow_voting(x, a, b, ())
    # Equal confidences may differ by a rounding: the comparison is made where they do not.
    fast, slow = combine(*tensors, "confidence_weighted")[0].tolist(), slow_confidence_weighted(x, a, b, ())
    for j in range(9):
        if abs(max(softmax(a[j])) - max(softmax(b[j]))) > 1e-6:
            assert fast[j] == slow[j]
        else:
            assert fast[j] in (first_largest(a[j]) - 1, first_largest(b[j]) - 1)


@settings(max_examples=200)
@given(truth, table, table, table, table)
def test_majority_against_a_slow_version(x, a, b, coupled_a, coupled_b):
    voters = (a, b, coupled_a, coupled_b)
    tensors = [torch.tensor([part], dtype=torch.float64) for part in voters]
    fast = combine(torch.tensor([x]), tensors[0], tensors[1], "majority", tuple(tensors[2:]))[0].tolist()
    slow = slow_majority(x, a, b, (coupled_a, coupled_b))
    for j in range(9):
        totals = [sum(softmax(voter[j])[k] for voter in voters) for k in range(3)]
        if all(abs(totals[k] - totals[m]) > 1e-9 for k in range(3) for m in range(k)):
            assert fast[j] == slow[j]
        else:
            votes = [sum(first_largest(voter[j]) == k for voter in voters) for k in range(3)]
            assert votes[fast[j] + 1] == max(votes)


@pytest.mark.parametrize("name", STRATEGIES)
@settings(max_examples=25)
@given(seed=st.integers(0, 2**31), n=st.integers(1, 20))
def test_every_strategy_on_random_logits(name, seed, n):
    generator = torch.Generator().manual_seed(seed)
    a, b, *coupled = torch.randn(4, n, 9, 3, generator=generator, dtype=torch.float64)
    x = torch.randint(-1, 2, (n, 9), generator=generator)
    expected = [
        SLOW[name](x[i].tolist(), a[i].tolist(), b[i].tolist(), [voter[i].tolist() for voter in coupled])
        for i in range(n)
    ]
    answer = combine(x, a, b, name, tuple(coupled))
    assert answer.tolist() == expected
    assert answer.dtype == torch.int8
    assert torch.equal(combine(x, a, b, strategy_named(name), tuple(coupled)), answer)


@pytest.mark.parametrize("name", [name for name, strategy in STRATEGIES.items() if strategy.unanimous])
@settings(max_examples=25)
@given(st.integers(0, 2**31))
def test_unanimous_strategies_follow_voters_that_agree(name, seed):
    generator = torch.Generator().manual_seed(seed)
    a, b, *coupled = torch.randn(4, 50, 9, 3, generator=generator).sort(dim=-1).values
    order = torch.rand(50, 9, 3, generator=generator).argsort(dim=-1)
    a, b, *coupled = (voter.gather(-1, order) for voter in (a, b, *coupled))
    x = torch.randint(-1, 2, (50, 9), generator=generator)
    assert torch.equal(combine(x, a, b, name, tuple(coupled)), logits_to_tables(a))


def entry(*logits):
    """Logits of nine entries, the given ones first, the rest sure of class 1."""
    return torch.tensor([[*logits, *[[0.0, 9.0, 0.0]] * (9 - len(logits))]])


def test_majority_tie_goes_to_the_larger_summed_probability():
    minus, plus, weak_plus = [3.0, 0.0, 0.0], [0.0, 0.0, 5.0], [0.0, 0.0, 0.5]
    x = torch.zeros(1, 9)

    def answer(*four):
        a, b, *coupled = (entry(logits) for logits in four)
        return int(combine(x, a, b, "majority", tuple(coupled))[0, 0])

    assert answer(minus, plus, minus, plus) == 1  # two votes each, plus is surer
    assert answer(minus, weak_plus, minus, weak_plus) == -1  # two votes each, minus is surer
    assert answer(minus, minus, minus, plus) == -1  # three weak votes beat a sure one
    # Two, one, one: the pair wins whatever the probabilities.
    assert answer([0.1, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 99.0, 0.0], [0.0, 0.0, 99.0]) == -1


def test_majority_decides_ties_by_differences_far_below_one_vote():
    x = torch.zeros(1, 9)
    one, other = [1.0, 0.0, 0.0], [0.0, 0.0, 1.0 + 1e-6]
    for first, second in ((one, other), (other, one)):
        assert int(combine(x, entry(first), entry(second), "majority")[0, 0]) == 1


def test_best_of_two_takes_a_on_equal_errors():
    a, b = entry([5.0, 0, 0]), entry([0, 0, 5.0])  # A says −1, B says +1 in entry 0; the rest is alike
    assert int(combine(torch.zeros(1, 9), a, b, "best_of_two")[0, 0]) == -1
    assert int(combine(torch.tensor([[1.0, *[0] * 8]]), a, b, "best_of_two")[0, 0]) == 1


def test_voting_is_b_always_and_confidence_ties_go_to_b():
    generator = torch.Generator().manual_seed(4)
    a, b = torch.randn(2, 500, 9, 3, generator=generator)
    x = torch.randint(-1, 2, (500, 9), generator=generator)
    assert torch.equal(combine(x, a, b, "voting"), logits_to_tables(b))
    # A margin of 40 leaves a probability of exactly 1 in float32: both are equally sure everywhere.
    sure_a, sure_b = (40 * torch.nn.functional.one_hot(logits.argmax(-1), 3).float() for logits in (a, b))
    assert not torch.equal(logits_to_tables(sure_a), logits_to_tables(sure_b))
    assert torch.equal(combine(x, sure_a, sure_b, "confidence_weighted"), logits_to_tables(sure_b))


def test_the_model_asks_every_strategy_with_what_it_needs():
    torch.manual_seed(0)
    model = DualVAE("translated").eval().requires_grad_(False)
    model.permeability = 0.4
    x = all_operations()[::397]
    posteriors = model.encode(x)
    coupled = model.decode_coupled(posteriors.mu_a, posteriors.mu_b, 0.4)
    voters = (model.decode(posteriors.mu_a, "A"), model.decode(posteriors.mu_b, "B"), *coupled)
    a, b, *coupled = (voter.tolist() for voter in voters)
    for name, slow in SLOW.items():
        expected = [slow(x[i].tolist(), a[i], b[i], [voter[i] for voter in coupled]) for i in range(len(x))]
        assert model.ensemble_reconstruct(x, name).tolist() == expected, name


def test_unknown_strategies_and_names_that_are_taken_are_refused():
    with pytest.raises(ValueError, match="unknown ensemble strategy 'best_of_too'; did you mean 'best_of_two'"):
        combine(torch.zeros(1, 9), entry(), entry(), "best_of_too")
    with pytest.raises(ValueError, match="unknown ensemble strategy 'median'"):
        DualVAE().ensemble_reconstruct(torch.zeros(1, 9), "median")
    for name in ("voting", "two words", "a", "b", "coupled_a", "coupled_b"):  # the log's own names among them
        with pytest.raises(ValueError, match=f"{name}': expected a new name"):
            register_strategy(EnsembleStrategy(name, "again", STRATEGIES["voting"].combine))
    assert STRATEGIES["voting"].combine.__name__ == "voting"


class TestAStrategyOfAnotherPackage:
    """Registered, and with no file of ours edited, it is used, evaluated, logged and recorded."""

    @pytest.fixture(autouse=True)
    def hinted(self):
        """Told the first seven entries, it leaves the last two to A: it does not follow voters that agree."""

        def combine_hinted(logits_a, logits_b, target):
            return torch.cat([target[:, :7].to(torch.int8), logits_to_tables(logits_a)[:, 7:]], dim=1)

        yield register_strategy(EnsembleStrategy("hinted", "A with a hint", combine_hinted, needs=("target",)))
        del STRATEGIES["hinted"]

    def test_is_evaluated_and_logged(self, tmp_path):
        outcome = loop.train(load_recipe(overrides=QUICK, epochs=1), tmp_path, device="cpu", benchmark_milestones=False)
        (row,) = outcome.directory.metrics()
        model, _ = load_model(outcome.directory.checkpoint("latest"))
        tables = all_operations()
        right = model.reconstruct(tables, strategy=None, vae="A")[:, 7:] == tables[:, 7:]
        assert 0 < row["exact_match_hinted"] < 1
        assert row["exact_match_hinted"] == pytest.approx(right.all(1).float().mean().item(), abs=1e-3)
        (board,) = outcome.directory.tensorboard.iterdir()
        assert b"exact_match_hinted" in board.read_bytes()

    def test_is_recorded_without_noise_and_under_noise(self):
        torch.manual_seed(0)
        model = DualVAE().eval().requires_grad_(False)
        everything = Operations(all_operations(), operation_index(all_operations()))
        posteriors = model.encode(all_operations())
        section, _ = coupled_measures.reconstructions(model, posteriors, everything)
        answer = model.ensemble_reconstruct(all_operations(), "hinted")
        exact = float((answer == all_operations()).all(1).double().mean())
        assert section.hinted.exact_match_rate == exact
        generator = torch.Generator().manual_seed(0)
        under_noise = ensembles_under_noise(
            model, posteriors, everything, generator, tuple(STRATEGIES.values()), draws=1
        )
        assert under_noise.model_dump().keys() == STRATEGIES.keys()
        assert section.model_dump().keys() == STRATEGIES.keys()
        again = type(section).model_validate_json(section.model_dump_json())
        assert again == section
        with pytest.raises(ValidationError):
            type(section).model_validate(section.model_dump() | {"hinted": {"exact_match_rate": 2.0}})
