"""Measures a checkpoint: the two benchmarks, each one record."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import torch
from pydantic import ValidationError

from ternary_vae.errors import UserError
from ternary_vae.model import DualVAE, Posteriors
from ternary_vae.model.dual_vae import Side
from ternary_vae.operations import all_operations
from ternary_vae.resolution import complementarity, coupled, isolated
from ternary_vae.resolution.coverage import Decoder, covers_everything
from ternary_vae.resolution.records import CoupledRecord, Environment, Header, IsolatedRecord, VaeResolution
from ternary_vae.resolution.statistics import named_generator
from ternary_vae.splits import Split, training_split
from ternary_vae.storage.checkpoints import Checkpoint, checkpoint_bytes, model_of
from ternary_vae.storage.runs import code_version, environment

GeneratorFor = Callable[[str], torch.Generator]


@torch.no_grad()
def measure_isolated(checkpoint: Checkpoint, *, seed: int = 0, device: torch.device | str = "cpu") -> IsolatedRecord:
    """Measures each VAE of a checkpoint alone, over all operations. The same checkpoint, seed and device give the
    same figures, whatever has been drawn before.

    Raises:
        UserError: device not available, weights that do not fit the model, or figures that are not finite.
    """
    device = available_device(device)
    started = time.perf_counter()
    model, posteriors = _encoded(checkpoint, device)
    split = None if checkpoint.source == "v5.5" else training_split(checkpoint.recipe)
    generator_for = partial(named_generator, seed, device=device)
    with _finite(checkpoint):
        sections = {
            "vae_a": measure_vae(model, "A", posteriors, split, generator_for),
            "vae_b": measure_vae(model, "B", posteriors, split, generator_for),
        }
    return IsolatedRecord(header=_header(checkpoint, seed, device, started), **sections)


@torch.no_grad()
def measure_coupled(checkpoint: Checkpoint, *, seed: int = 0, device: torch.device | str = "cpu") -> CoupledRecord:
    """Measures both VAEs of a checkpoint together; otherwise as `measure_isolated`."""
    device = available_device(device)
    started = time.perf_counter()
    model, posteriors = _encoded(checkpoint, device)
    generator_for = partial(named_generator, seed, device=device)
    with _finite(checkpoint):
        ensemble, coupled_reconstruction = coupled.reconstructions(model, posteriors)
        sections: dict[str, Any] = {
            "ensemble_reconstruction": ensemble,
            "cross_injected_sampling_rho_05": coupled.cross_injected_sampling(model, 0.5, generator_for("rho 0.5")),
            "cross_injected_sampling_rho_07": coupled.cross_injected_sampling(model, 0.7, generator_for("rho 0.7")),
            "complementary_coverage": complementarity.complementary_coverage(
                isolated.wrong_entries(model, "A", posteriors.mu_a),
                isolated.wrong_entries(model, "B", posteriors.mu_b),
                complementarity.decode_under_noise(model, posteriors, generator_for("complementarity")),
            ),
            "latent_coupling": coupled.latent_coupling(posteriors.mu_a, posteriors.mu_b),
            "coupled_reconstruction": coupled_reconstruction,
            "inference_overhead": coupled.inference_overhead(model),
            "covers_everything": covers_everything(model, coupled.FULL_COVERAGE_DRAWS, generator_for),
        }
    return CoupledRecord(header=_header(checkpoint, seed, device, started), **sections)


def measure_vae(
    model: Decoder, vae: Side, posteriors: Posteriors, split: Split | None, generator_for: GeneratorFor
) -> VaeResolution:
    """Every measure of one VAE alone.

    Args:
        posteriors: of all operations, in order.
        split: what training saw; None where it is not known.
        generator_for: a generator for a measure's name.
    """
    mu, logvar = posteriors[:2] if vae == "A" else posteriors[2:]
    errors = isolated.wrong_entries(model, vae, mu)
    separation, neighbours = isolated.distances(mu, logvar)
    coverage, information = isolated.sampling(model, vae, generator_for(f"sampling {vae}"))
    return VaeResolution(
        reconstruction=isolated.reconstruction(errors),
        latent_separation=separation,
        sampling_coverage=coverage,
        interpolation=isolated.interpolation(model, vae, mu, generator_for(f"interpolation {vae}")),
        nearest_neighbor=neighbours,
        dimensionality=isolated.dimensionality(mu),
        held_out=isolated.held_out(errors, split),
        information=information,
        resolution_curve=isolated.resolution_curve(model, vae, mu, generator_for(f"resolution curve {vae}")),
    )


def available_device(name: torch.device | str) -> torch.device:
    """The device of that name.

    Raises:
        UserError: no such kind of device, or not on this machine.
    """
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        kinds = "cpu, cuda" if torch.cuda.is_available() else "cpu"
        raise UserError(f"device {str(name)!r} is not available on this machine; available: {kinds}") from None
    return device


def _encoded(checkpoint: Checkpoint, device: torch.device) -> tuple[DualVAE, Posteriors]:
    model = model_of(checkpoint, device)
    posteriors = model.encode(all_operations(device))
    if not all(bool(part.isfinite().all()) for part in posteriors):
        raise UserError(f"{_name(checkpoint)}: its encoders answer NaN or infinity; use an earlier checkpoint")
    return model, posteriors


@contextmanager
def _finite(checkpoint: Checkpoint) -> Iterator[None]:
    """Turns a figure that is NaN or infinite, which the schema refuses, into one clear line."""
    try:
        yield
    except ValidationError as failure:
        error = failure.errors()[0]
        figure = ".".join(map(str, (failure.title, *error["loc"])))
        raise UserError(
            f"{_name(checkpoint)}: {figure} came out as {error['input']}; use an earlier checkpoint"
        ) from None


def _name(checkpoint: Checkpoint) -> str:
    return str(checkpoint.path or f"checkpoint of epoch {checkpoint.epoch}")


def _header(checkpoint: Checkpoint, seed: int, device: torch.device, started: float) -> Header:
    recipe = checkpoint.recipe
    return Header(
        recipe=recipe.name,
        recipe_fingerprint=recipe.fingerprint(),
        training_seed=recipe.seed,
        benchmark_seed=seed,
        epoch=checkpoint.epoch,
        source=checkpoint.source,
        # A checkpoint that was never a file is hashed as the file it would be.
        checkpoint_hash=checkpoint.content_hash or hashlib.sha256(checkpoint_bytes(checkpoint)).hexdigest(),
        code_version=code_version(),
        environment=Environment(**environment(str(device))),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        elapsed_seconds=time.perf_counter() - started,
    )
