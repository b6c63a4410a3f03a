"""Measures a checkpoint: the two benchmarks, each one record."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from pydantic import ValidationError
from torch import Tensor

from ternary_vae.acceleration.allocator import return_freed_memory
from ternary_vae.acceleration.parallel import Tasks, side_by_side
from ternary_vae.devices import choose_device
from ternary_vae.errors import UserError
from ternary_vae.model import STRATEGIES, DualVAE, Posteriors
from ternary_vae.model.dual_vae import Side
from ternary_vae.model.linear import answering
from ternary_vae.operations import Operations
from ternary_vae.recipe import FULL_COVERAGE_DRAWS
from ternary_vae.resolution import complementarity, coupled, isolated
from ternary_vae.resolution.complementarity import NoiseOutcome
from ternary_vae.resolution.coverage import covers_everything
from ternary_vae.resolution.kept import (
    DISTANCES,
    ENCODINGS,
    SIDES,
    UNDER_NOISE,
    WRONG_ENTRIES,
    Kept,
    checkpoint_hash,
    encodings_of,
)
from ternary_vae.resolution.records import (
    CoupledRecord,
    Environment,
    Header,
    HeldOut,
    IsolatedRecord,
    VaeResolution,
)
from ternary_vae.resolution.statistics import named_generator
from ternary_vae.resolution.uniformity import one_entry_step, uniformity
from ternary_vae.space import Space
from ternary_vae.splits import Split, hashed, part_bounds, training_split
from ternary_vae.storage.checkpoints import Checkpoint, model_of
from ternary_vae.storage.runs import code_version, environment
from ternary_vae.storage.tensor_cache import TensorCache

_FEW, FEW_UNDER_NOISE = 20_000, 5_000  # operations of a space that cannot be listed
GeneratorFor = Callable[[str], torch.Generator]


class _Benchmark(NamedTuple):
    """Independent parts, the longest first, and what makes the sections of the record of what they answered."""

    record: type[IsolatedRecord] | type[CoupledRecord]
    parts: Tasks
    sections: Callable[[dict[Hashable, Any]], dict[str, Any]]


def measure_isolated(
    checkpoint: Checkpoint, *, seed: int = 0, device: torch.device | str = "cpu", cache: TensorCache | None = None
) -> IsolatedRecord:
    """Measures each VAE of a checkpoint alone, over all operations or a sample (`Kept.operations`). The same
    checkpoint, seed and device give the same figures, whatever has been drawn before, however many cores there
    are, and with or without a cache.

    Raises:
        UserError: device not available, weights that do not fit the model, or figures that are not finite.
    """
    return _measured([_isolated], checkpoint, seed, device, cache)[0]


def measure_coupled(
    checkpoint: Checkpoint, *, seed: int = 0, device: torch.device | str = "cpu", cache: TensorCache | None = None
) -> CoupledRecord:
    """Measures both VAEs of a checkpoint together; otherwise as `measure_isolated`."""
    return _measured([_coupled], checkpoint, seed, device, cache)[0]


def measure_both(
    checkpoint: Checkpoint, *, seed: int = 0, device: torch.device | str = "cpu", cache: TensorCache | None = None
) -> tuple[IsolatedRecord, CoupledRecord]:
    """What `measure_isolated` and `measure_coupled` answer, measured side by side."""
    coupled_record, isolated_record = _measured([_coupled, _isolated], checkpoint, seed, device, cache)
    return isolated_record, coupled_record


@torch.no_grad()
def _measured(
    benchmarks: Sequence[Callable[[Kept, DualVAE, Posteriors, int], _Benchmark]],
    checkpoint: Checkpoint,
    seed: int,
    device: torch.device | str,
    cache: TensorCache | None,
) -> list[Any]:
    """The benchmarks' records. Parts of one name are computed once."""
    device = torch.device(choose_device(device))
    started = time.perf_counter()
    kept = Kept(checkpoint, device, cache)
    model, posteriors = encoded(kept)
    chosen = [benchmark(kept, model, posteriors, seed) for benchmark in benchmarks]
    with finite(checkpoint):
        results = answers(model, {name: part for each in chosen for name, part in each.parts.items()}, device)
        kept.keep_computed()
        return_freed_memory()  # of the threads: what follows is computed in this one
        sections = [benchmark.sections(results) for benchmark in chosen]
        header = header_of(checkpoint, seed, device, started)
        header = header.model_copy(update={"elapsed_seconds": header.elapsed_seconds / len(chosen)})
        return [
            benchmark.record(header=header, space=checkpoint.recipe.space, **each)
            for benchmark, each in zip(chosen, sections)
        ]


def _isolated(kept: Kept, model: DualVAE, posteriors: Posteriors, seed: int) -> _Benchmark:
    operations = kept.operations
    generator_for = partial(named_generator, seed, device=kept.device)
    keepable = keepable_tensors(model, posteriors, operations)
    some = _rows(posteriors, operations, _few(model.space, _FEW))
    of_vaes = {
        vae: _tasks_of_vae(model, vae, *some, kept.task(name, keepable[name]), generator_for)
        for vae, name in DISTANCES.items()
    }

    def sections(results: dict[Hashable, Any]) -> dict[str, Any]:
        wrong = results[WRONG_ENTRIES]
        vaes = (
            _vae_resolution(model, {name: results[vae, name] for name in of_vaes[vae]}, errors, unseen)
            for vae, errors, unseen in zip(SIDES, wrong.long(), _held_out(kept, model, wrong))
        )
        return dict(zip(("vae_a", "vae_b"), vaes))

    parts: Tasks = {(vae, name): task for vae, tasks in of_vaes.items() for name, task in tasks.items()}
    parts[WRONG_ENTRIES] = kept.task(WRONG_ENTRIES, keepable[WRONG_ENTRIES])
    return _Benchmark(IsolatedRecord, parts, sections)


def _coupled(kept: Kept, model: DualVAE, posteriors: Posteriors, seed: int) -> _Benchmark:
    operations = kept.operations
    few, under_noise = _few(model.space, _FEW), _few(model.space, FEW_UNDER_NOISE)
    generator_for = partial(named_generator, seed, device=kept.device)
    keepable = keepable_tensors(model, posteriors, operations, seed)
    parts: Tasks = {
        UNDER_NOISE: keepable[UNDER_NOISE] if seed else kept.task(UNDER_NOISE, keepable[UNDER_NOISE]),
        "ensembles": lambda: complementarity.ensembles_under_noise(
            model,
            *_rows(posteriors, operations, under_noise),
            generator_for("ensembles under noise"),
            tuple(STRATEGIES.values()),
        ),
        "reconstructions": lambda: coupled.reconstructions(model, posteriors, operations),
        "coupling": lambda: coupled.latent_coupling(posteriors.mu_a, posteriors.mu_b),
        WRONG_ENTRIES: kept.task(WRONG_ENTRIES, keepable[WRONG_ENTRIES]),
    }
    if model.space.is_enumerable():
        parts |= {
            "rho_05": lambda: coupled.cross_injected_sampling(model, 0.5, generator_for("rho 0.5")),
            "rho_07": lambda: coupled.cross_injected_sampling(model, 0.7, generator_for("rho 0.7")),
            "covers_everything": lambda: covers_everything(model, FULL_COVERAGE_DRAWS, generator_for),
        }

    def sections(results: dict[Hashable, Any]) -> dict[str, Any]:
        ensemble_reconstruction, coupled_reconstruction = results["reconstructions"]
        return {
            "ensemble_reconstruction": ensemble_reconstruction,
            "ensemble_under_noise": results["ensembles"],
            "cross_injected_sampling_rho_05": results.get("rho_05"),
            "cross_injected_sampling_rho_07": results.get("rho_07"),
            "complementary_coverage": complementarity.complementary_coverage(
                *results[WRONG_ENTRIES].long()[:, under_noise], NoiseOutcome.of_counts(results[UNDER_NOISE])
            ),
            "latent_coupling": results["coupling"],
            "coupled_reconstruction": coupled_reconstruction,
            "inference_overhead": coupled.inference_overhead(model, operations.tables[few]),
            "covers_everything": results.get("covers_everything"),
        }

    return _Benchmark(CoupledRecord, parts, sections)


def _tasks_of_vae(
    model: DualVAE,
    vae: Side,
    posteriors: Posteriors,
    operations: Operations,
    pairs: Callable[[], Tensor],
    generator_for: GeneratorFor,
) -> Tasks:
    """The measures of one VAE alone, the longest first. `pairs` answers the `pair_distances` of its means."""
    mu, logvar = posteriors.of(vae)
    sampling = isolated.sampling if model.space.is_enumerable() else uniformity
    return {
        "distances": lambda: isolated.distances(mu, logvar, pairs(), operations),
        "sampling": lambda: sampling(model, vae, generator_for(f"sampling {vae}")),
        "curve": lambda: isolated.resolution_curve(
            model, vae, mu, operations, generator_for(f"resolution curve {vae}")
        ),
        "interpolation": lambda: isolated.interpolation(
            model, vae, mu, operations, generator_for(f"interpolation {vae}")
        ),
        "step": lambda: one_entry_step(model, vae, mu, operations, generator_for(f"step {vae}")),
        "dimensionality": lambda: isolated.dimensionality(mu),
    }


def _vae_resolution(
    model: DualVAE, results: dict[str, Any], wrong: Int[Tensor, " n"], unseen: HeldOut
) -> VaeResolution:
    """What the tasks of one VAE answered, by their names, and what follows from its wrong entries."""
    separation, neighbours = results["distances"]
    if model.space.is_enumerable():
        coverage, even, information = results["sampling"]
    else:
        coverage, even, information, neighbours = None, results["sampling"], None, None
    return VaeResolution(
        reconstruction=isolated.reconstruction(wrong, model.space),
        latent_separation=separation,
        sampling_coverage=coverage,
        uniformity=even,
        interpolation=results["interpolation"],
        nearest_neighbor=neighbours,
        one_entry_step=results["step"],
        dimensionality=results["dimensionality"],
        held_out=unseen,
        information=information,
        resolution_curve=results["curve"],
    )


def _held_out(kept: Kept, model: DualVAE, wrong: Int[Tensor, "2 n"]) -> list[HeldOut]:
    """Both VAEs' exact match on what training never saw."""
    recipe = kept.checkpoint.recipe
    if not kept.checkpoint.split_known:
        split = None
    elif model.space.is_enumerable():
        split = training_split(recipe)
    else:
        place = hashed(kept.operations.indices, recipe.seed)
        parts = [part_bounds(recipe, part) for part in ("train", "validation", "test")]
        split = Split(*(((place >= low) & (place < high)).nonzero()[:, 0] for low, high in parts))
    return [isolated.held_out(errors, split) for errors in wrong.long()]


@torch.no_grad()
def encoded(kept: Kept) -> tuple[DualVAE, Posteriors]:
    """A checkpoint's model and its posteriors of the operations measured, on one core: they depend on no number of
    cores.

    Raises:
        UserError: weights that do not fit the model, or encodings that are not finite.
    """
    device = kept.device
    model = model_of(kept.checkpoint, device).requires_grad_(False)

    def encode() -> Posteriors:
        return answers(model, {"": lambda: model.encode(kept.operations.tables)}, device)[""]

    posteriors = kept.posteriors(encode)
    if not all(bool(part.isfinite().all()) for part in posteriors):
        raise UserError(f"{_name(kept.checkpoint)}: its encoders answer NaN or infinity; use an earlier checkpoint")
    kept.keep_computed()
    return model, posteriors


def keepable_tensors(
    model: DualVAE, posteriors: Posteriors, operations: Operations, seed: int = 0
) -> dict[str, Callable[[], Tensor]]:
    """How what is kept of a checkpoint is computed, by the names of `kept.PURPOSES`; with noise of a benchmark's
    seed, of which that of 0 is kept."""
    means = {"A": posteriors.mu_a, "B": posteriors.mu_b}
    few, under_noise = _few(model.space, _FEW), _few(model.space, FEW_UNDER_NOISE)
    return {
        **{name: partial(encodings_of, vae, posteriors) for vae, name in ENCODINGS.items()},
        WRONG_ENTRIES: lambda: torch.stack(
            [isolated.wrong_entries(model, vae, mu, operations).to(torch.int8) for vae, mu in means.items()]
        ),
        **{name: partial(isolated.pair_distances, means[vae][few]) for vae, name in DISTANCES.items()},
        UNDER_NOISE: lambda: complementarity.decode_under_noise(
            model,
            *_rows(posteriors, operations, under_noise),
            named_generator(seed, "complementarity", operations.tables.device),
        ).counts(),
    }


@torch.no_grad()
def answers(model: DualVAE, tasks: Tasks, device: torch.device) -> dict[Hashable, Any]:
    """What tasks answer that only ask `model`, side by side: the same on any number of cores, for any caller."""
    with answering(model):
        return side_by_side(tasks, device)


def _few(space: Space, count: int) -> slice:
    """What takes longer is measured on fewer, where operations had to be drawn anyway."""
    return slice(None) if space.is_enumerable() else slice(None, count)


def _rows(posteriors: Posteriors, operations: Operations, rows: slice) -> tuple[Posteriors, Operations]:
    return Posteriors(*(part[rows] for part in posteriors)), operations.rows(rows)


@contextmanager
def finite(checkpoint: Checkpoint) -> Iterator[None]:
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


def header_of(checkpoint: Checkpoint, seed: int, device: torch.device, started: float) -> Header:
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
