"""A model made of a run: its last checkpoint's weights, with what the run's records and verdict say of them."""

from __future__ import annotations

import sys

import pytest
import torch

from ternary_vae import DualVAE, UserError, cli
from ternary_vae.recipe import load_recipe
from ternary_vae.reports import origin as origins
from ternary_vae.reports.measurements import measurements_of_run, training_command
from ternary_vae.reports.origin import model_of_run
from ternary_vae.reports.verdict import verdict_of
from ternary_vae.resolution.records import read_coupled_record, read_isolated_record, write_record
from ternary_vae.storage.checkpoints import Checkpoint, load_checkpoint, save_checkpoint


@pytest.fixture
def run(make_run):
    """A synthetic run of the default recipe, whose last records are of its last checkpoint."""
    recipe = load_recipe("resolution", seed=3)
    run = make_run(recipe)
    torch.manual_seed(6)
    weights = DualVAE.of(recipe).state_dict()
    other = {name: tensor + 1 for name, tensor in weights.items()}
    saved = Checkpoint(
        400, 400, recipe, weights, state={"rho": 0.7}, training={f"weight.{name}": other[name] for name in other}
    )
    save_checkpoint(run.checkpoint(400), saved)
    digest = load_checkpoint(run.checkpoint(400)).content_hash
    for path, read in (
        (run.isolated_record(400), read_isolated_record),
        (run.coupled_record(400), read_coupled_record),
    ):
        record = read(path)
        header = record.header.model_copy(update={"checkpoint_hash": digest})
        write_record(path, record.model_copy(update={"header": header}))
    return run


def test_weights_and_figures(run):
    model = model_of_run(run)
    checkpoint = load_checkpoint(run.checkpoint(400))
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in checkpoint.model.items())
    origin = model.origin
    assert (origin.recipe, origin.seed, origin.epochs, origin.seconds) == ("resolution", 3, 400, 180.0)
    assert origin.command == "ternary-vae train --config resolution --seed 3"
    assert origin.checkpoint_sha256 == checkpoint.content_hash
    isolated, coupled = read_isolated_record(run.isolated_record(400)), read_coupled_record(run.coupled_record(400))
    assert origin.operations_held_out == isolated.vae_a.held_out.validation_count + isolated.vae_a.held_out.test_count
    figures = {figure.key: figure for figure in origin.figures}
    sampling = coupled.cross_injected_sampling_rho_07
    coverage = figures["coverage_rho_07"]
    assert (coverage.value, coverage.uniform) == (sampling.coverage_rate, sampling.coverage_limit)
    assert (coverage.low, coverage.high) == (sampling.interval.low, sampling.interval.high)
    assert figures["half_sigma_b"].value == isolated.vae_b.resolution_curve.half_sigma
    assert figures["exact_match_a"].low is None
    assert "time_overhead" not in figures
    rows = verdict_of(measurements_of_run(run)).verdict.lines
    judged = [(row.level, row.name, row.required, row.shown, row.met) for row in rows]
    assert [tuple(line.model_dump().values()) for line in origin.verdict] == judged


def test_as_a_command(run, tmp_path, monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["ternary-vae", "export", "model", *map(str, arguments)])
        monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
        with pytest.raises(SystemExit) as ending:
            cli.main()
        assert ending.value.code == 0, capsys.readouterr()

    call(run.path, tmp_path / "model")
    model = DualVAE.from_pretrained(tmp_path / "model")
    assert model.origin == model_of_run(run).origin
    assert model.permeability == 0.7
    # Of a checkpoint nothing is known but its weights.
    call(run.checkpoint(400), tmp_path / "alone")
    alone = DualVAE.from_pretrained(tmp_path / "alone")
    assert alone.origin is None
    assert all(torch.equal(alone.state_dict()[name], tensor) for name, tensor in model.state_dict().items())


def test_the_command_trains_the_run_again(run):
    recipe = run.recipe()
    assert origins._command(recipe) == "ternary-vae train --config resolution --seed 3"
    assert origins._command(recipe.of_length(50)) == "ternary-vae train --config resolution --seed 3 --epochs 50"
    run.update({"started_from": "/runs/epoch_21.pt"})
    assert model_of_run(run).origin.command is None  # the checkpoint that it began with is not the recipe's


def test_a_recipe_that_is_none_of_the_package_s_has_no_command(run):
    recipe = run.recipe()
    changed = recipe.model_copy(update={"model": recipe.model.model_copy(update={"middle_value_b": 0})})
    assert training_command(recipe) is not None
    assert training_command(changed) is None
    assert training_command(recipe.model_copy(update={"name": "mine"})) is None


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda run: run.update({"status": "interrupted"}), "is not completed; `ternary-vae resume"),
        (lambda run: run.coupled_record(400).unlink(), "epoch 400 has no records"),
        (lambda run: run.checkpoint(400).unlink(), "checkpoint not found"),
        (
            lambda run: save_checkpoint(
                run.checkpoint(400), Checkpoint(400, 400, run.recipe(), DualVAE.of(run.recipe()).state_dict())
            ),
            "its records are of another checkpoint",
        ),
    ],
)
def test_a_run_of_which_no_model_can_be_made(run, damage, said):
    damage(run)
    with pytest.raises(UserError, match=said):
        model_of_run(run)
