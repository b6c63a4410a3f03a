"""The map: where every operation lies in the latent space of each VAE, and what became of it there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int, Int8
from torch import Tensor

from ternary_vae.acceleration.parallel import Tasks
from ternary_vae.errors import UserError
from ternary_vae.model import DualVAE, Posteriors
from ternary_vae.operations import Operations, all_operations, hamming_distance
from ternary_vae.resolution.complementarity import NOISE_SIGMA, NoiseOutcome, home_table
from ternary_vae.resolution.kept import DISTANCES, UNDER_NOISE, WRONG_ENTRIES, Kept
from ternary_vae.resolution.measure import answers, keepable_tensors
from ternary_vae.storage.checkpoints import Checkpoint, load_model
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.storage.tensor_cache import TensorCache, cache_directory

COMPONENTS = 3


@dataclass(frozen=True)
class SideMap:
    """One VAE's view of the operations, row i of each array being operation i.

    Attributes:
        means: (n, latent) posterior means, float32.
        centre: (latent,) mean of them.
        axes: (latent, 3) their first three principal components.
        positions: (n, 3) posterior means on these components.
        variance: (3,) share of variance of each component.
        errors: (n,) wrong entries of the decoded posterior mean.
        neighbour_distance: (n,) Hamming distance of the operation with the nearest posterior mean.
        exact_under_noise: (n,) share of draws, 0 … 1, decoded exactly under the latent noise of `LatentMap`.
    """

    means: np.ndarray
    centre: np.ndarray
    axes: np.ndarray
    positions: np.ndarray
    variance: np.ndarray
    errors: np.ndarray
    neighbour_distance: np.ndarray
    exact_under_noise: np.ndarray


@dataclass(frozen=True)
class LatentMap:
    """Both views. `home` is 1 where an operation is at home in A, −1 in B, 0 in neither. Noise is
    Gaussian of standard deviation `noise_sigma` in each dimension, drawn `noise_draws` times."""

    home: np.ndarray
    a: SideMap
    b: SideMap
    noise_sigma: float
    noise_draws: int


def latest_model(run: RunDirectory) -> tuple[DualVAE, Checkpoint, str]:
    """The model of a run's latest checkpoint, or else its best, the checkpoint, and the name of its file.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    for name in ("latest", "best"):
        path = run.checkpoint(name)
        if path.exists():
            return *load_model(path), path.name
    raise UserError("the run has no checkpoint")


def latent_map_of_checkpoint(model: DualVAE, checkpoint: Checkpoint) -> LatentMap:
    """The map of a checkpoint and its model. What the checkpoint's benchmarks have kept is read, nothing written."""
    settings = checkpoint.recipe.cache
    store = TensorCache(cache_directory(configured=settings.directory)) if settings.enabled else None
    return latent_map(model, Kept(checkpoint, torch.device("cpu"), store))


@torch.no_grad()
def latent_map(model: DualVAE, kept: Kept | None = None) -> LatentMap:
    """Where the model places every operation. What is kept of its checkpoint is read instead of computed."""

    tables = all_operations(space=model.space)
    operations = Operations(tables, torch.arange(len(tables)))

    def encode() -> Posteriors:
        return model.encode(tables)

    posteriors = encode() if kept is None else kept.posteriors(encode)
    keepable = keepable_tensors(model, posteriors, operations)
    names = (UNDER_NOISE, *DISTANCES.values(), WRONG_ENTRIES)
    tasks: Tasks = {name: keepable[name] if kept is None else kept.task(name, keepable[name]) for name in names}
    tensors = answers(model, tasks, tables.device)
    wrong = tensors[WRONG_ENTRIES].long()
    # Of the coupled benchmark, so that the map counts the homes that the record reports.
    noise = NoiseOutcome.of_counts(tensors[UNDER_NOISE])
    a = _side(tables, posteriors.mu_a, wrong[0], tensors[DISTANCES["A"]], noise.only_a + noise.both, noise.draws)
    b = _side(tables, posteriors.mu_b, wrong[1], tensors[DISTANCES["B"]], noise.only_b + noise.both, noise.draws)
    return LatentMap(home_table(*wrong, noise).numpy(), a, b, NOISE_SIGMA, noise.draws)


def _side(
    tables: Int8[Tensor, "n entries"],
    mu: Float[Tensor, "n latent"],
    wrong: Int[Tensor, " n"],
    pairs: Float64[Tensor, "2 n"],
    exact: Int[Tensor, " n"],
    draws: int,
) -> SideMap:
    axes, variance = principal_axes(mu)
    centre = mu.double().mean(dim=0)
    return SideMap(
        means=mu.numpy(),
        centre=centre.numpy(),
        axes=axes.numpy(),
        positions=((mu.double() - centre) @ axes).numpy(),
        variance=variance.numpy(),
        errors=wrong.numpy(),
        neighbour_distance=hamming_distance(tables, tables[pairs[0].long()]).numpy(),
        exact_under_noise=(exact.double() / draws).numpy(),
    )


def principal_axes(
    mu: Float[Tensor, "n latent"],
) -> tuple[Float64[Tensor, "latent components"], Float64[Tensor, "components"]]:
    """First principal components of points, and the share of variance of each; of fewer dimensions nothing varies along
    the others. The sign of a component is fixed by its largest loading being positive, so that the same points give the
    same picture."""
    centred = mu.double() - mu.double().mean(dim=0)
    eigenvalues, vectors = torch.linalg.eigh(centred.T @ centred / len(mu))
    vectors = vectors.flip(1)[:, :COMPONENTS]
    largest = vectors.abs().argmax(dim=0)
    vectors = vectors * vectors[largest, torch.arange(vectors.shape[1])].sign()
    share = eigenvalues.flip(0)[:COMPONENTS] / eigenvalues.sum().clamp(min=1e-30)
    lacking = (0, COMPONENTS - len(share))
    return torch.nn.functional.pad(vectors, lacking), torch.nn.functional.pad(share, lacking)
