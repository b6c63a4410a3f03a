"""Where the weights of a completed run come from, for the card of the model that is made of it."""

from __future__ import annotations

from ternary_vae.errors import UserError
from ternary_vae.model import DualVAE
from ternary_vae.pretrained.configuration import Criterion, Figure, Origin
from ternary_vae.recipe import Recipe, load_recipe, recipe_names
from ternary_vae.reports.measurements import measurements_of_run
from ternary_vae.resolution.criteria import judge, verdict_rows
from ternary_vae.resolution.records import CoupledRecord, Coverage, CrossInjectedSampling, IsolatedRecord
from ternary_vae.storage.checkpoints import load_checkpoint, model_of
from ternary_vae.storage.runs import RunDirectory


def model_of_run(run: RunDirectory) -> DualVAE:
    """The model at the end of a completed run, with what its records and its verdict say of it.

    Raises:
        UserError: the run is not completed, or its last checkpoint or the records of it are missing or do not belong
            together.
    """
    facts, recipe = run.facts(), run.recipe()
    if facts.get("status") != "completed":
        raise UserError(f"{run.path}: is not completed; `ternary-vae resume {run.path}` goes on with it")
    measured = measurements_of_run(run)
    epoch = recipe.epochs
    if epoch not in measured.complete_milestones:
        raise UserError(f"{run.path}: epoch {epoch} has no records; measure {run.checkpoint(epoch)} first")
    isolated, coupled = measured.isolated[epoch], measured.coupled[epoch]
    checkpoint = load_checkpoint(run.checkpoint(epoch))
    if checkpoint.content_hash != isolated.header.checkpoint_hash:
        raise UserError(f"{run.checkpoint(epoch)}: its records are of another checkpoint; measure it again")
    model = model_of(checkpoint)
    verdict = judge(isolated, coupled, measured.metrics)
    model.origin = Origin(
        weights_sha256=model.to_files().configuration.weights_sha256,
        recipe=recipe.name,
        fingerprint=recipe.fingerprint(),
        seed=recipe.seed,
        epochs=epoch,
        command=_command(recipe),
        code_version=str(facts.get("code_version") or "unknown"),
        operations_held_out=isolated.vae_a.held_out.validation_count + isolated.vae_a.held_out.test_count,
        seconds=facts.get("seconds"),
        environment=facts.get("environment") or {},
        checkpoint_sha256=checkpoint.content_hash,
        figures=tuple(_figures(isolated, coupled)),
        verdict=tuple(
            Criterion(level=row.level, name=row.criterion, required=row.required, measured=row.measured, met=row.met)
            for row in verdict_rows(verdict)
        ),
    )
    return model


def _command(recipe: Recipe) -> str | None:
    """The command that trains a recipe of the package; None where the recipe is another."""
    if recipe.name not in recipe_names():
        return None
    if load_recipe(recipe.name, seed=recipe.seed).fingerprint() != recipe.fingerprint():
        return None
    return f"ternary-vae train --config {recipe.name} --seed {recipe.seed}"


def _figures(isolated: IsolatedRecord, coupled: CoupledRecord) -> list[Figure]:
    sides = {"VAE-A": isolated.vae_a, "VAE-B": isolated.vae_b}
    noise, rho = coupled.complementary_coverage, coupled.coupled_reconstruction.rho
    under_noise = f"exact under latent noise of {noise.noise_sigma:g}"
    return [
        *(Figure(name=f"{name} exact", value=vae.reconstruction.exact_match_rate) for name, vae in sides.items()),
        Figure(name=f"VAE-A exact, coupled (ρ = {rho:g})", value=coupled.coupled_reconstruction.exact_match_rate_a),
        Figure(name=f"VAE-B exact, coupled (ρ = {rho:g})", value=coupled.coupled_reconstruction.exact_match_rate_b),
        *(
            Figure(name=f"ensemble exact, {strategy}", value=match.exact_match_rate)
            for strategy, match in coupled.ensemble_reconstruction
        ),
        *(_coverage(f"coverage, {name} alone", vae.sampling_coverage.decoded) for name, vae in sides.items()),
        _coverage("coverage, both at ρ = 0.5", coupled.cross_injected_sampling_rho_05),
        _coverage("coverage, both at ρ = 0.7", coupled.cross_injected_sampling_rho_07),
        *(
            Figure(
                name=f"bits between prior and gate, {name}",
                value=vae.information.mutual_information_bits,
                unit="number",
                uniform=vae.information.limit_bits,
            )
            for name, vae in sides.items()
        ),
        Figure(name=f"VAE-A {under_noise}", value=noise.exact_under_noise_a),
        Figure(name=f"VAE-B {under_noise}", value=noise.exact_under_noise_b),
        Figure(name=f"ensemble {under_noise}, best_of_two", value=noise.exact_under_noise_ensemble),
        *(
            Figure(name=f"latent noise at which half is exact, {name}", value=half, unit="number")
            for name, vae in sides.items()
            if (half := vae.resolution_curve.half_sigma) is not None
        ),
        Figure(name="complementarity", value=noise.complementarity_score, unit="number"),
        *(
            Figure(name=f"nearest code differs in one entry, {name}", value=vae.nearest_neighbor.hamming_1_rate)
            for name, vae in sides.items()
        ),
        Figure(
            name="correlation of the codes (mean absolute)",
            value=coupled.latent_coupling.mean_absolute_correlation,
            unit="number",
        ),
    ]


def _coverage(name: str, measured: Coverage | CrossInjectedSampling) -> Figure:
    return Figure(
        name=f"{name}, {measured.draws:,} draws",
        value=measured.coverage_rate,
        low=measured.interval.low,
        high=measured.interval.high,
        uniform=measured.coverage_limit,
    )
