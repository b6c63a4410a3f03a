"""The map: where every operation lies in the latent space of each VAE, and what became of it there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ternary_vae.errors import UserError
from ternary_vae.model import DualVAE
from ternary_vae.model.dual_vae import Side
from ternary_vae.operations import all_operations, hamming_distance
from ternary_vae.resolution.complementarity import NOISE_DRAWS, decode_under_noise, home_table
from ternary_vae.resolution.isolated import wrong_entries
from ternary_vae.resolution.statistics import named_generator
from ternary_vae.storage.checkpoints import load_model
from ternary_vae.storage.runs import RunDirectory

COMPONENTS = 3


@dataclass(frozen=True)
class SideMap:
    """One VAE's view of the operations, row i of each array being operation i.

    Attributes:
        positions: (19683, 3) posterior means on their first three principal components.
        variance: (3,) share of variance of each component.
        errors: (19683,) wrong entries, 0 … 9, of the decoded posterior mean.
        neighbour_distance: (19683,) Hamming distance, 1 … 9, of the operation with the nearest posterior mean.
    """

    positions: np.ndarray
    variance: np.ndarray
    errors: np.ndarray
    neighbour_distance: np.ndarray


@dataclass(frozen=True)
class LatentMap:
    """Both views, after `epoch` epochs. `home` is 1 where an operation is at home in A, −1 in B, 0 in neither."""

    epoch: int
    home: np.ndarray
    a: SideMap
    b: SideMap


def latent_map_of_run(run: RunDirectory) -> tuple[LatentMap | None, str]:
    """The map of a run's latest checkpoint, or else its best; and a sentence on what it shows or why there is none."""
    for name in ("latest", "best"):
        path = run.checkpoint(name)
        if not path.exists():
            continue
        try:
            model, checkpoint = load_model(path)
        except UserError as failure:
            return None, f"No map: {failure}."
        return (
            latent_map(model, checkpoint.epochs_completed),
            f"Every point is an operation, as {path.name} places it after {checkpoint.epochs_completed} epochs.",
        )
    return None, "No map: the run has no checkpoint."


@torch.no_grad()
def latent_map(model: DualVAE, epoch: int) -> LatentMap:
    """Where the model places every operation."""
    posteriors = model.encode(all_operations())
    a = _side(model, "A", posteriors.mu_a)
    b = _side(model, "B", posteriors.mu_b)
    # The coupled benchmark's own random numbers, so that the map counts the homes that the record reports.
    generator = named_generator(0, "complementarity", "cpu")
    noise = decode_under_noise(model, posteriors, generator, draws=NOISE_DRAWS)
    home = home_table(torch.from_numpy(a.errors), torch.from_numpy(b.errors), noise).numpy()
    return LatentMap(epoch, home, a, b)


def _side(model: DualVAE, vae: Side, mu: Float[Tensor, "19683 16"]) -> SideMap:
    positions, variance = principal_components(mu)
    tables = all_operations()
    return SideMap(
        positions=positions.numpy(),
        variance=variance.numpy(),
        errors=wrong_entries(model, vae, mu).numpy(),
        neighbour_distance=hamming_distance(tables, tables[nearest_neighbours(mu)]).numpy(),
    )


def nearest_neighbours(mu: Float[Tensor, "n 16"], rows: int = 128) -> Int[Tensor, "n"]:
    """Index of the nearest other point of each, Euclidean, exact, in double precision; of several equally near, the
    first."""
    points = mu.double()
    points = points - points.mean(dim=0)
    squares = points.square().sum(dim=1)
    nearest = []
    for start in range(0, len(points), rows):
        squared = torch.addmm(squares, points[start : start + rows], points.T, alpha=-2)
        squared.diagonal(start).fill_(torch.inf)
        nearest.append(squared.argmin(dim=1))
    return torch.cat(nearest)


def principal_components(
    mu: Float[Tensor, "n 16"], components: int = COMPONENTS
) -> tuple[Float[Tensor, "n components"], Float[Tensor, "components"]]:
    """Centred points on their first principal components, and the share of variance of each. The sign of a component
    is fixed by its largest loading being positive, so that the same points give the same picture."""
    centred = mu.double() - mu.double().mean(dim=0)
    eigenvalues, vectors = torch.linalg.eigh(centred.T @ centred / len(mu))
    vectors = vectors.flip(1)[:, :components]
    largest = vectors.abs().argmax(dim=0)
    vectors = vectors * vectors[largest, torch.arange(vectors.shape[1])].sign()
    share = eigenvalues.flip(0)[:components] / eigenvalues.sum().clamp(min=1e-30)
    return centred @ vectors, share
