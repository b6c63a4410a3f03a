"""Measures a checkpoint: the two benchmarks, each one record."""

from __future__ import annotations

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
from ternary_vae.resolution.encodings import cached_posteriors, checkpoint_hash
from ternary_vae.resolution.parallel import Tasks, side_by_side
from ternary_vae.resolution.records import (
    CoupledRecord,
    Environment,
    Header,
    HeldOut,
    IsolatedRecord,
    Reconstruction,
    VaeResolution,
)
from ternary_vae.resolution.statistics import named_generator
from ternary_vae.splits import Split, training_split
from ternary_vae.storage.checkpoints import Checkpoint, model_of
from ternary_vae.storage.runs import code_version, environment
from ternary_vae.storage.tensor_cache import TensorCache

GeneratorFor = Callable[[str], torch.Generator]


@torch.no_grad()
def measure_isolated(
    checkpoint: Checkpoint, *, seed: int = 0, device: torch.device | str = "cpu", cache: TensorCache | None = None
) -> IsolatedRecord:
    """Measures each VAE of a checkpoint alone, over all operations. The same checkpoint, seed and device give the
    same figures, whatever has been drawn before, however many cores there are, and with or without a cache for the
    encodings.

    Raises:
        UserError: device not available, weights that do not fit the model, or figures that are not finite.
    """
    device = available_device(device)
    started = time.perf_counter()
    model, posteriors = encoded(checkpoint, device, cache)
    split = None if checkpoint.source == "v5.5" else training_split(checkpoint.recipe)
    generator_for = partial(named_generator, seed, device=device)
    tasks = {
        (vae, name): task
        for vae in ("A", "B")
        for name, task in _tasks_of_vae(model, vae, posteriors, split, generator_for).items()
    }
    with _finite(checkpoint):
        results = side_by_side(tasks, device)
        vae_a, vae_b = (_vae_resolution({name: results[vae, name] for _, name in tasks}) for vae in ("A", "B"))
    return IsolatedRecord(header=_header(checkpoint, seed, device, started), vae_a=vae_a, vae_b=vae_b)


@torch.no_grad()
def measure_coupled(
    checkpoint: Checkpoint, *, seed: int = 0, device: torch.device | str = "cpu", cache: TensorCache | None = None
) -> CoupledRecord:
    """Measures both VAEs of a checkpoint together; otherwise as `measure_isolated`."""
    device = available_device(device)
    started = time.perf_counter()
    model, posteriors = encoded(checkpoint, device, cache)
    generator_for = partial(named_generator, seed, device=device)
    tasks: Tasks = {
        "noise": lambda: complementarity.decode_under_noise(model, posteriors, generator_for("complementarity")),
        "rho_05": lambda: coupled.cross_injected_sampling(model, 0.5, generator_for("rho 0.5")),
        "rho_07": lambda: coupled.cross_injected_sampling(model, 0.7, generator_for("rho 0.7")),
        "covers_everything": lambda: covers_everything(model, coupled.FULL_COVERAGE_DRAWS, generator_for),
        "reconstructions": lambda: coupled.reconstructions(model, posteriors),
        "coupling": lambda: coupled.latent_coupling(posteriors.mu_a, posteriors.mu_b),
        "errors_a": lambda: isolated.wrong_entries(model, "A", posteriors.mu_a),
        "errors_b": lambda: isolated.wrong_entries(model, "B", posteriors.mu_b),
    }
    with _finite(checkpoint):
        results = side_by_side(tasks, device)
        ensemble_reconstruction, coupled_reconstruction = results["reconstructions"]
        sections: dict[str, Any] = {
            "ensemble_reconstruction": ensemble_reconstruction,
            "cross_injected_sampling_rho_05": results["rho_05"],
            "cross_injected_sampling_rho_07": results["rho_07"],
            "complementary_coverage": complementarity.complementary_coverage(
                results["errors_a"], results["errors_b"], results["noise"]
            ),
            "latent_coupling": results["coupling"],
            "coupled_reconstruction": coupled_reconstruction,
            "inference_overhead": coupled.inference_overhead(model),
            "covers_everything": results["covers_everything"],
        }
    return CoupledRecord(header=_header(checkpoint, seed, device, started), **sections)


def _tasks_of_vae(
    model: Decoder, vae: Side, posteriors: Posteriors, split: Split | None, generator_for: GeneratorFor
) -> Tasks:
    """The measures of one VAE alone, the longest first."""
    mu, logvar = posteriors[:2] if vae == "A" else posteriors[2:]

    def errors() -> tuple[Reconstruction, HeldOut]:
        wrong = isolated.wrong_entries(model, vae, mu)
        return isolated.reconstruction(wrong), isolated.held_out(wrong, split)

    return {
        "distances": lambda: isolated.distances(mu, logvar),
        "sampling": lambda: isolated.sampling(model, vae, generator_for(f"sampling {vae}")),
        "curve": lambda: isolated.resolution_curve(model, vae, mu, generator_for(f"resolution curve {vae}")),
        "interpolation": lambda: isolated.interpolation(model, vae, mu, generator_for(f"interpolation {vae}")),
        "errors": errors,
        "dimensionality": lambda: isolated.dimensionality(mu),
    }


def _vae_resolution(results: dict[str, Any]) -> VaeResolution:
    """What the tasks of one VAE answered, by their names."""
    separation, neighbours = results["distances"]
    coverage, information = results["sampling"]
    reconstruction, held_out = results["errors"]
    return VaeResolution(
        reconstruction=reconstruction,
        latent_separation=separation,
        sampling_coverage=coverage,
        interpolation=results["interpolation"],
        nearest_neighbor=neighbours,
        dimensionality=results["dimensionality"],
        held_out=held_out,
        information=information,
        resolution_curve=results["curve"],
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


@torch.no_grad()
def encoded(
    checkpoint: Checkpoint, device: torch.device, cache: TensorCache | None = None
) -> tuple[DualVAE, Posteriors]:
    """A checkpoint's model and its posteriors of all operations, on one core: they depend on no number of cores.

    Raises:
        UserError: weights that do not fit the model, or encodings that are not finite.
    """
    with torch.random.fork_rng(devices=[]):  # a new model draws initial weights
        model = model_of(checkpoint, device).requires_grad_(False)

    def encode() -> Posteriors:
        return side_by_side({"": lambda: model.encode(all_operations(device))}, device)[""]

    posteriors = cached_posteriors(checkpoint, device, cache, encode)
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
        checkpoint_hash=checkpoint_hash(checkpoint),
        code_version=code_version(),
        environment=Environment(**environment(str(device))),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        elapsed_seconds=time.perf_counter() - started,
    )
