"""Measures of both VAEs together. Each function returns its section of the coupled record; complementarity has a
file of its own."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, get_args

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ternary_vae.acceleration.parallel import on_one_core
from ternary_vae.model import STRATEGIES, DualVAE, Posteriors, combine, logits_to_tables, mix_prior_draws
from ternary_vae.model.injection import Mix
from ternary_vae.operations import Operations
from ternary_vae.resolution.coverage import (
    Decoder,
    counts_by_draws,
    coverage_points,
    coverage_record,
    indices_of_latents,
    prior_draws,
)
from ternary_vae.resolution.records import (
    CoupledReconstruction,
    CrossInjectedSampling,
    EnsembleReconstruction,
    ExactMatch,
    InferenceOverhead,
    LatentCoupling,
)
from ternary_vae.resolution.uniformity import sampled

COVERAGE_DRAWS = 100_000
CURVE_DRAWS = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
REPEATS = 8


@torch.no_grad()
def reconstructions(
    model: DualVAE, posteriors: Posteriors, operations: Operations
) -> tuple[EnsembleReconstruction, CoupledReconstruction]:
    """Exact match over the operations of every ensemble strategy, and of each VAE decoding cross-injected posterior
    means at the model's own permeability."""
    tables = operations.tables
    logits = model.decode(posteriors.mu_a, "A"), model.decode(posteriors.mu_b, "B")
    coupled = model.decode_coupled(posteriors.mu_a, posteriors.mu_b)

    def exact(answers: Tensor) -> ExactMatch:
        count = int((answers == tables).all(dim=1).sum())
        return ExactMatch(exact_match_rate=count / len(tables), sampled=sampled(count, len(tables), model.space))

    matches = {strategy: exact(combine(tables, *logits, strategy, coupled)) for strategy in STRATEGIES}
    exact_a, exact_b = (exact(logits_to_tables(answers)) for answers in coupled)
    return EnsembleReconstruction(**matches), CoupledReconstruction(
        rho=model.permeability,
        exact_match_rate_a=exact_a.exact_match_rate,
        exact_match_rate_b=exact_b.exact_match_rate,
        sampled_a=exact_a.sampled,
        sampled_b=exact_b.sampled,
    )


def cross_injected_sampling(
    model: Decoder,
    rho: float,
    generator: torch.Generator,
    draws: int = COVERAGE_DRAWS,
    repeats: int = REPEATS,
    curve: Sequence[int] = CURVE_DRAWS,
) -> CrossInjectedSampling:
    """Decoded coverage of both VAEs together: half of the draws are z_A mixed with z_B and decoded by A, half z_B
    mixed with z_A and decoded by B, both from prior draws. The plan's additive mix and the prior-preserving one are
    fed the same prior draws.

    Args:
        draws, curve: of both VAEs; of an odd number the last is left out. So are points of the curve with more draws.
    """
    half = draws // 2
    draws, curve = 2 * half, sorted({2 * (total // 2) for total in curve if 2 <= total <= draws})
    additive, preserving = [], []
    operations = model.sizes.space.operations
    for _ in range(repeats):
        z_a, z_b = prior_draws(model, half, generator), prior_draws(model, half, generator)
        met = {mix: _mixed_indices(model, z_a, z_b, rho, mix) for mix in get_args(Mix)}
        additive.append(counts_by_draws([*curve, draws], *met["additive"], operations=operations))
        preserving += counts_by_draws([draws], *met["preserving"], operations=operations)
    by_draws = coverage_points(curve, additive, operations)
    coverage = coverage_record([counts[-1] for counts in additive], draws, operations)
    return CrossInjectedSampling(
        rho=rho,
        prior_preserving=coverage_record(preserving, draws, operations),
        by_draws=by_draws,
        **dict(coverage),
    )


def latent_coupling(mu_a: Float[Tensor, "n latent"], mu_b: Float[Tensor, "n latent"]) -> LatentCoupling:
    """Pearson correlation of the posterior means, dimension by dimension, averaged with and without its sign, and
    the mean Euclidean distance between an operation's two means. A dimension in which either does not vary counts
    as uncorrelated."""
    distance = (mu_a - mu_b).norm(dim=1).mean()
    first, second = mu_a.double(), mu_b.double()
    first, second = first - first.mean(dim=0), second - second.mean(dim=0)
    scale = first.norm(dim=0) * second.norm(dim=0)
    products = (first * second).sum(dim=0)
    correlation = torch.where(scale > 0, products / scale.clamp(min=torch.finfo(scale.dtype).tiny), 0.0)
    return LatentCoupling(
        mean_correlation=float(correlation.mean()),
        mean_absolute_correlation=float(correlation.abs().mean()),
        mean_distance=float(distance),
    )


@torch.no_grad()
def inference_overhead(model: DualVAE, tables: Shaped[Tensor, "n entries"], repeats: int = 5) -> InferenceOverhead:
    """Cost of a forward pass with the ensemble (best of two) over one without, all of the tables in one batch.

    The two are one pass, after which the ensemble combines what it answered: timed apart in the same pass, since the
    difference of two whole passes varies by more than combining costs. Each is the fastest of its repeats, after the
    passes that measure memory: what else runs only ever adds to it. On a CPU it is the processor's time on one core,
    which does not count that which others have the core.
    Memory is the most bytes of tensors alive at once during the pass, without weights and inputs.
    """
    device = model.encoder_A.fc_mu.weight.device

    def forward(use_ensemble: bool = False) -> Any:
        return model(tables, use_ensemble)

    seconds: list[tuple[float, float]] = []
    with on_one_core(device):
        peaks = [peak_tensor_bytes(partial(forward, use), [tables, *model.parameters()]) for use in (False, True)]
        for _ in range(repeats):
            answered, plain = _timed(forward, device)
            logits = answered["logits_A"], answered["logits_B"]
            _, combining = _timed(partial(combine, tables, *logits, "best_of_two"), device)
            seconds.append((plain, combining))
    plain, combining = (1_000 * min(times) for times in zip(*seconds))
    return InferenceOverhead(
        plain_milliseconds=plain,
        ensemble_milliseconds=plain + combining,
        time_overhead=combining / plain,
        memory_overhead=peaks[1] / peaks[0] - 1 if peaks[0] else None,
    )


def peak_tensor_bytes(call: Callable[[], Any], existing: Sequence[Tensor] = ()) -> int:
    """Most bytes of tensor storage that were alive at once while `call` ran, not counting what `existing` tensors
    hold. Storage inside a single operator of the framework is not seen."""
    with _LiveBytes(existing) as live:
        result = call()
    del result
    return live.peak


class _LiveBytes(TorchDispatchMode):
    """Counts the bytes of every storage that an operator makes until the storage is freed."""

    def __init__(self, existing: Sequence[Tensor]) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known = weakref.WeakSet[Any]()
        self._kept = [tensor.untyped_storage() for tensor in existing]
        for storage in self._kept:
            self._known.add(storage)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled here, and to be left out by the compiler would import it, which takes a second."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._watch(leaf.untyped_storage())
        return result

    def _watch(self, storage: torch.UntypedStorage) -> None:
        if storage in self._known:
            return
        size = storage.nbytes()
        self._known.add(storage)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._free, size)

    def _free(self, size: int) -> None:
        self.live -= size


def _mixed_indices(
    model: Decoder, z_a: Float[Tensor, "n latent"], z_b: Float[Tensor, "n latent"], rho: float, mix: Mix
) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"]]:
    return (
        indices_of_latents(model, "A", mix_prior_draws(z_a, z_b, rho, mix)),
        indices_of_latents(model, "B", mix_prior_draws(z_b, z_a, rho, mix)),
    )


def _timed(call: Callable[[], Any], device: torch.device) -> tuple[Any, float]:
    """What a call answers, and the seconds it took."""
    clock = time.thread_time if device.type == "cpu" else time.perf_counter
    start = clock()
    answered = call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return answered, clock() - start
