"""Where the weights of a completed run come from, for the card of the model that is made of it."""

from __future__ import annotations

from collections.abc import Iterator

from ternary_vae.errors import UserError
from ternary_vae.model import DualVAE
from ternary_vae.pretrained.configuration import Criterion, Figure, Origin
from ternary_vae.recipe import Recipe, load_recipe
from ternary_vae.reports.measurements import command_that_measures, measurements_of_run, training_command
from ternary_vae.resolution.criteria import judge
from ternary_vae.resolution.figures import MEASURES
from ternary_vae.resolution.records import CoupledRecord, IsolatedRecord
from ternary_vae.storage.checkpoints import load_checkpoint, model_of
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.terminal import quoted


def model_of_run(run: RunDirectory) -> DualVAE:
    """The model at the end of a completed run, with what its records and its verdict say of it.

    Raises:
        UserError: the run is not completed, or its last checkpoint or the records of it are missing or do not belong
            together.
    """
    facts, recipe = run.facts(), run.recipe()
    if facts.get("status") != "completed":
        raise UserError(f"{run.path}: is not completed; `ternary-vae resume {quoted(run.path)}` goes on with it")
    measured = measurements_of_run(run)
    epoch = recipe.epochs
    if epoch not in measured.complete_milestones:
        raise UserError(
            f"{run.path}: epoch {epoch} has no records; measure it first (`{command_that_measures(run, epoch)}`)"
        )
    isolated, coupled = measured.isolated[epoch], measured.coupled[epoch]
    checkpoint = load_checkpoint(run.checkpoint(epoch))
    if checkpoint.content_hash != isolated.header.checkpoint_hash:
        raise UserError(f"{run.checkpoint(epoch)}: its records are of another checkpoint; measure it again")
    model = model_of(checkpoint)
    held_out = isolated.vae_a.held_out
    verdict = judge(isolated, coupled, measured.metrics)
    model.origin = Origin(
        weights_sha256=model.to_files().configuration.weights_sha256,
        recipe=recipe.name,
        fingerprint=recipe.fingerprint(),
        seed=recipe.seed,
        epochs=epoch,
        command=None if facts.get("started_from") else _command(recipe),
        code_version=str(facts.get("code_version") or "unknown"),
        operations_held_out=held_out.validation_count + held_out.test_count if checkpoint.split_known else None,
        seconds=facts.get("seconds"),
        environment=facts.get("environment") or {},
        checkpoint_sha256=checkpoint.content_hash,
        figures=tuple(_figures(isolated, coupled)),
        verdict=tuple(
            Criterion(level=line.level, name=line.name, required=line.required, measured=line.shown, met=line.met)
            for line in verdict.lines
        ),
    )
    return model


def _command(recipe: Recipe) -> str | None:
    command = training_command(recipe)
    if command is None or recipe.epochs == load_recipe(recipe.name).epochs:
        return command
    return f"{command} --epochs {recipe.epochs}"


def _figures(isolated: IsolatedRecord, coupled: CoupledRecord) -> Iterator[Figure]:
    """All figures of a milestone, but for times, which are those of the machine."""
    for measure in MEASURES.values():
        record = next((each for each in (isolated, coupled) if measure.read(each) is not None), None)
        if record is None or measure.key == "time_overhead":
            continue
        bounds = measure.bounds(record)
        yield Figure(
            key=measure.key,
            name=measure.name,
            value=measure.read(record),
            unit=measure.unit,
            low=bounds and bounds.low,
            high=bounds and bounds.high,
            uniform=measure.read_uniform(record),
        )
