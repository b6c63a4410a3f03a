"""Measures of one VAE alone, each over all operations measured where that is affordable. Each function returns its
section of the isolated record."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from ternary_vae.model import logits_to_tables
from ternary_vae.model.dual_vae import Side
from ternary_vae.operations import Operations, hamming_distance, operation_table
from ternary_vae.pretrained.codes import half_crossing
from ternary_vae.resolution.coverage import (
    Decoder,
    counts_by_draws,
    coverage_points,
    coverage_record,
    decoded_and_categorical_indices,
    in_chunks,
    indices_of_latents,
)
from ternary_vae.resolution.records import (
    CurvePoint,
    Dimensionality,
    HeldOut,
    Information,
    Interpolation,
    LatentSeparation,
    NearestNeighbor,
    Reconstruction,
    ResolutionCurve,
    SamplingCoverage,
    Uniformity,
)
from ternary_vae.resolution.statistics import ENTROPY_ESTIMATOR, entropy_bits
from ternary_vae.resolution.uniformity import DISTANCE_ROWS, sampled, uniformity_of_counts
from ternary_vae.space import TWO_INPUT_TERNARY, Space
from ternary_vae.splits import Split

COVERAGE_DRAWS = 50_000
CURVE_DRAWS = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
REPEATS = 8
SIGMAS = tuple(round(0.1 * step, 1) for step in range(21))
WIDER_SIGMAS = (2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 16.0)


def wrong_entries(
    model: Decoder, vae: Side, mu: Float[Tensor, "n latent"], operations: Operations
) -> Int[Tensor, " n"]:
    """Number of wrong entries of each operation when its posterior mean is decoded alone."""
    answers = torch.cat([logits_to_tables(model.decode(chunk, vae)) for chunk in in_chunks(mu)])
    return hamming_distance(answers, operations.tables)


def reconstruction(errors: Int[Tensor, " n"], space: Space) -> Reconstruction:
    """Exact match and the distribution of wrong entries, from `wrong_entries`."""
    histogram, measured = torch.bincount(errors).tolist(), len(errors)
    return Reconstruction(
        exact_match_rate=histogram[0] / measured,
        sampled=sampled(histogram[0], measured, space),
        mean_bit_error=sum(wrong * count for wrong, count in enumerate(histogram)) / measured,
        median_bit_error=float(errors.double().quantile(0.5)),
        max_bit_error=len(histogram) - 1,
        zero_error_count=histogram[0],
        error_histogram={wrong: count for wrong, count in enumerate(histogram) if count},
    )


def pair_distances(mu: Float[Tensor, "n latent"]) -> Float64[Tensor, "2 n"]:
    """Distances between the posterior means of all pairs of operations, exact, in double precision: for each operation
    the index of the nearest other mean, of several equally near the first, and the sum of its distances to all
    others."""
    points = mu.double() - mu.double().mean(dim=0)
    squares = points.square().sum(dim=1)
    nearest = torch.full_like(squares, torch.inf)
    neighbours = torch.zeros(len(points), dtype=torch.long, device=points.device)
    sums = torch.zeros_like(squares)
    buffer = points.new_empty(DISTANCE_ROWS * len(points))
    for start in range(0, len(points), DISTANCE_ROWS):  # each pair is computed once, and counts for both
        rows, later = slice(start, start + DISTANCE_ROWS), slice(start, None)
        block, others = points[rows], points[later]
        out = buffer[: len(block) * len(others)].view(len(block), len(others))
        squared = torch.addmm(squares[later], block, others.T, alpha=-2, out=out).add_(squares[rows, None])
        squared.diagonal().fill_(torch.inf)
        for of, dim in ((later, 0), (rows, 1)):
            least, place = squared.min(dim=dim)
            nearer = least < nearest[of]
            nearest[of] = torch.where(nearer, least, nearest[of])
            neighbours[of] = torch.where(nearer, start + place, neighbours[of])
        squared[:, : len(block)].triu_(1)
        apart = squared.clamp_(min=0).sqrt_()
        for of, dim in ((later, 0), (rows, 1)):
            sums[of] += apart.sum(dim=dim)
    return torch.stack([neighbours.double(), sums])


def distances(
    mu: Float[Tensor, "n latent"],
    logvar: Float[Tensor, "n latent"],
    pairs: Float64[Tensor, "2 n"],
    operations: Operations,
) -> tuple[LatentSeparation, NearestNeighbor]:
    """Distances between posterior means, from `pair_distances`; and how far the operation of the nearest other mean is
    in truth-table entries."""
    points = mu.double() - mu.double().mean(dim=0)
    neighbour = pairs[0].long()
    nearest_distance = (points - points[neighbour]).norm(dim=1)
    deviation = torch.exp(0.5 * logvar.double()).mean()
    norms = mu.norm(dim=1)
    separation = LatentSeparation(
        mean_distance=float(pairs[1].sum() / (len(mu) * (len(mu) - 1))),
        minimum_distance=float(nearest_distance.min()),
        mean_nearest_distance=float(nearest_distance.mean()),
        mean_posterior_standard_deviation=float(deviation),
        separation_ratio=float(nearest_distance.mean() / deviation),
        latent_norm_mean=float(norms.mean()),
        latent_norm_standard_deviation=float(norms.std()),
    )
    hamming = hamming_distance(operations.tables, operations.tables[neighbour])
    return separation, NearestNeighbor(
        hamming_1_rate=float((hamming == 1).double().mean()), mean_hamming=float(hamming.double().mean())
    )


def dimensionality(mu: Float[Tensor, "n d"]) -> Dimensionality:
    """Participation ratio (Σλ)²/Σλ² of the covariance's eigenvalues λ, and how many of the largest make up 95% and
    99% of their sum. All are 0 where the means do not vary."""
    eigenvalues = torch.linalg.eigvalsh(torch.cov(mu.double().T)).clamp(min=0).flip(0)
    total = eigenvalues.sum()
    if total == 0:
        return Dimensionality(participation_ratio=0.0, dimensions_95=0, dimensions_99=0, efficiency=0.0)
    ratio = float(total**2 / eigenvalues.square().sum())
    shares = (eigenvalues / total).cumsum(0)
    return Dimensionality(
        participation_ratio=ratio,
        dimensions_95=int((shares < 0.95).sum()) + 1,
        dimensions_99=int((shares < 0.99).sum()) + 1,
        efficiency=ratio / mu.shape[1],
    )


def sampling(
    model: Decoder,
    vae: Side,
    generator: torch.Generator,
    draws: int = COVERAGE_DRAWS,
    repeats: int = REPEATS,
    curve: Sequence[int] = CURVE_DRAWS,
) -> tuple[SamplingCoverage, Uniformity, Information]:
    """Coverage over repeats of `draws` prior draws, decoded and categorical; and from the decoded draws of all
    repeats together how even they are, and the mutual information between prior and decoded operation.

    Decoding is deterministic, so that mutual information is the decoded operation's entropy. The estimate is cut at
    log2 of all operations, which it can exceed by its own noise only.

    Args:
        curve: points with more than `draws` are left out.
    """
    curve = [total for total in curve if total <= draws]
    decoded, drawn, curves = [], [], []
    space = model.sizes.space
    counts = torch.zeros(space.operations, dtype=torch.long, device=generator.device)
    for _ in range(repeats):
        indices, categorical = decoded_and_categorical_indices(model, vae, draws, generator)
        decoded.append(len(indices.unique()))
        drawn.append(len(categorical.unique()))
        curves.append(counts_by_draws(curve, indices, operations=space.operations))
        counts += torch.bincount(indices, minlength=space.operations)
    coverage = SamplingCoverage(
        decoded=coverage_record(decoded, draws, space.operations),
        categorical=coverage_record(drawn, draws, space.operations),
        by_draws=coverage_points(curve, curves, space.operations),
    )
    information = Information(
        mutual_information_bits=min(space.bits, entropy_bits(counts)),
        limit_bits=space.bits,
        draws=draws * repeats,
        estimator=ENTROPY_ESTIMATOR,
    )
    met = torch.arange(len(counts), device=counts.device)
    return coverage, uniformity_of_counts(met, counts, space), information


def interpolation(
    model: Decoder,
    vae: Side,
    mu: Float[Tensor, "n latent"],
    operations: Operations,
    generator: torch.Generator,
    pairs: int = 4_000,
    steps: int = 9,
) -> Interpolation:
    """Decodes `steps` inner points of the straight line between the posterior means of random pairs of different
    operations. An interpolated operation is between when each of its entries is no smaller than the smaller and no
    larger than the larger entry of the two operations themselves."""
    device, tables = mu.device, operations.tables
    first = torch.randint(len(tables), (pairs,), generator=generator, device=device)
    step = torch.randint(1, len(tables), (pairs,), generator=generator, device=device)
    second = (first + step) % len(tables)
    weight = torch.arange(1, steps + 1, device=device).to(mu) / (steps + 1)
    points = torch.lerp(mu[first][:, None], mu[second][:, None], weight[None, :, None])
    indices = indices_of_latents(model, vae, points.flatten(0, 1))
    answers = operation_table(indices, model.sizes.space).unflatten(0, (pairs, steps))
    ends = torch.stack([tables[first], tables[second]])
    inside = (answers >= ends.amin(0)[:, None]) & (answers <= ends.amax(0)[:, None])
    return Interpolation(
        valid_rate=1.0, between_rate=float(inside.all(dim=-1).double().mean()), pairs=pairs, steps=steps
    )


def held_out(errors: Int[Tensor, " operations"], split: Split | None) -> HeldOut:
    """Exact match on what training never saw, from `wrong_entries`. `split` is None where it is not known, see
    `Checkpoint.split_known`."""
    parts = (split.validation, split.test) if split else (errors.new_empty(0), errors.new_empty(0))
    rates = [float((errors[part.to(errors.device)] == 0).double().mean()) if len(part) else None for part in parts]
    return HeldOut(
        validation_exact_match_rate=rates[0],
        test_exact_match_rate=rates[1],
        validation_count=len(parts[0]),
        test_count=len(parts[1]),
    )


def resolution_curve(
    model: Decoder,
    vae: Side,
    mu: Float[Tensor, "n latent"],
    operations: Operations,
    generator: torch.Generator,
    sigmas: Sequence[float] = SIGMAS,
) -> ResolutionCurve:
    """Exact match of z = μ + σ·ε against σ, one ε an operation, or several where operations are fewer than the default
    space's, the same for every σ, which makes the curve smooth. A point's standard error is at most 1/(2√n) of n
    decodings, 0.0036 of the default space's. Where exact match is still above one half at the end of `sigmas`,
    as with codes that no prior holds together, the grid goes on through `WIDER_SIGMAS` until it is not."""
    times = decodings_an_operation(model.sizes.space.operations)
    means, indices = mu.repeat(times, 1), operations.indices.repeat(times)
    noise = torch.randn(means.shape, generator=generator, device=mu.device)
    points: list[CurvePoint] = []
    for sigma in (*sigmas, *WIDER_SIGMAS):
        if len(points) >= len(sigmas) and points[-1].exact_match_rate < 0.5:
            break
        exact = indices_of_latents(model, vae, means + sigma * noise) == indices
        points.append(CurvePoint(sigma=sigma, exact_match_rate=int(exact.sum()) / len(means)))
    return ResolutionCurve(points=points, half_sigma=half_sigma(points))


def decodings_an_operation(operations: int) -> int:
    """Of a curve under noise: as many as make that of fewer operations no less precise than the default space's."""
    return -(-TWO_INPUT_TERNARY.operations // operations)


def half_sigma(points: Sequence[CurvePoint]) -> float | None:
    """Where the exact match of a curve falls below one half, see `half_crossing`."""
    return half_crossing([(point.sigma, point.exact_match_rate) for point in points])
