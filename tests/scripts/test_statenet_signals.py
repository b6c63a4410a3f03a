"""The parts of scripts/analysis/statenet_signals.py whose answers are known."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from scipy.stats import hypergeom

SCRIPT = Path(__file__).parents[2] / "scripts" / "analysis" / "statenet_signals.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("statenet_signals", SCRIPT)
    module = sys.modules["statenet_signals"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["statenet_signals"]


def trained(trainer, until, script):
    for _ in script.train(trainer, until):
        pass
    return trainer.averaged.state_dict()


def test_a_branch_is_what_the_run_itself_would_have_become_and_leaves_it_alone(script):
    answer = {"learning_rate": 0.5, "lambda1": -1.0, "lambda2": 0.0, "lambda3": 1.0}
    # Few steps of small batches: what is asked is whether every bit of state goes along.
    recipe = script.recipe_of(
        3, **{"data.train_share": 0.02, "optimizer.batch_size": 128, "evaluation.coverage_draws": 2000}
    )
    run = script.branch(script.Trainer(recipe).checkpoint(), answer)
    trained(run, 3, script)
    same, other = script.branch(run.checkpoint(), answer), script.branch(run.checkpoint(), {**answer, "lambda1": 1.0})
    same, other = trained(same, 5, script), trained(other, 5, script)
    weights = trained(run, 5, script)
    assert all(torch.equal(weights[name], same[name]) for name in weights)
    assert not all(torch.equal(weights[name], other[name]) for name in weights)


def test_expected_coverage_against_drawing_without_replacement(script):
    counted = torch.randint(0, 60, (script.OPERATION_COUNT,), generator=torch.Generator().manual_seed(0)).double()
    missed = hypergeom(script.DRAWS_COUNTED, counted.long().numpy(), script.DRAWS).pmf(0)
    # The one difference is that draws are taken one by one there, independently here: below 1e-5 for such counts.
    assert script.expected_coverage(counted) == pytest.approx(1 - missed.mean(), abs=1e-5)


def test_generations_go_down_to_a_known_minimum(script):
    generator = torch.Generator().manual_seed(1)
    goal, weights = torch.randn(20, generator=generator), torch.zeros(20)
    away = [(weights - goal).norm().item()]
    for _ in range(400):
        directions = torch.randn(script.PAIRS, 20, generator=generator)
        values = [float((tried - goal).norm()) for tried in script.mirrored(weights, directions)]
        weights = script.moved(weights, directions, values)
        away.append((weights - goal).norm().item())
    assert away[-1] < 0.15 * away[0]
    # A step depends on the order of the values alone.
    expected = script.moved(weights, directions, values)
    assert torch.equal(script.moved(weights, directions, [1000 * value - 7 for value in values]), expected)
