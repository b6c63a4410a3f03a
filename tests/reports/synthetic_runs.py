"""What a run leaves behind, made up: smooth curves, no measurement. For the report tests only."""

from __future__ import annotations

import json
import math
from pathlib import Path

from ternary_vae.limits import coverage_limit
from ternary_vae.recipe import Recipe
from ternary_vae.reports.measurements import measurements_of_run
from ternary_vae.reports.page import page_html
from ternary_vae.reports.verdict import verdict_of
from ternary_vae.resolution.records import CoupledRecord, IsolatedRecord
from ternary_vae.storage.runs import RunDirectory

COUNT = 19_683
MILESTONES = (3, 100, 120, 150, 200, 250, 300, 350, 400)
ENVIRONMENT = {
    "python": "3.12.1",
    "torch": "2.13.0",
    "platform": "Linux x86_64",
    "device": "cpu",
    "threads": 2,
}
DRAWS = (1_000, 5_000, 10_000, 20_000, 50_000, 100_000)


def rising(epoch: int, middle: float = 40, width: float = 12) -> float:
    """0 → 1, exactly 1 late."""
    value = 1 / (1 + math.exp(-(epoch - middle) / width))
    return 1.0 if value > 0.999 else value


def exact(epoch: int, fails: bool) -> tuple[float, float, float]:
    """Synthetic exact match of A, B and the ensemble."""
    b = rising(epoch, 2, 4)
    a = rising(epoch, 40, 10)
    if fails and epoch >= 245:
        a = 0.04 + 0.9 * math.exp(-(epoch - 245) / 20)
        b = 0.11 + 0.85 * math.exp(-(epoch - 245) / 20)
    return a, b, max(a, b)


def synthetic_isolated(epoch: int, recipe: Recipe, fails: bool = False, fingerprint: str = "") -> IsolatedRecord:
    """A valid record of made-up figures."""
    a, b, _ = exact(epoch, fails)
    return IsolatedRecord.model_validate(
        {
            "header": _header(epoch, recipe, fingerprint),
            "vae_a": _vae(a, epoch, 0.9),
            "vae_b": _vae(b, epoch, 1.0),
        }
    )


def synthetic_coupled(epoch: int, recipe: Recipe, fails: bool = False, fingerprint: str = "") -> CoupledRecord:
    """A valid record of made-up figures."""
    a, b, ensemble = exact(epoch, fails)
    score = 0.02 + 0.03 * rising(epoch, 60) if fails else 0.02 + 0.76 * rising(epoch, 130, 30)
    home_b = round(COUNT / (1 + score) * 0.95)
    home_a = round(home_b * score)
    return CoupledRecord.model_validate(
        {
            "header": _header(epoch, recipe, fingerprint),
            "ensemble_reconstruction": {
                strategy: {"exact_match_rate": ensemble}
                for strategy in ("best_of_two", "voting", "confidence_weighted", "majority")
            },
            "cross_injected_sampling_rho_05": _injected(0.5, epoch),
            "cross_injected_sampling_rho_07": _injected(0.7, epoch),
            "complementary_coverage": {
                "complementarity_score": home_a / home_b,
                "complementarity_score_by_errors": None if a == b == 1 else 0.05,
                "home_a": home_a,
                "home_b": home_b,
                "home_neither": COUNT - home_a - home_b,
                "share_a": home_a / (home_a + home_b),
                "errors_a_fewer": 0 if a == 1 else 12,
                "errors_b_fewer": 0 if a == 1 else 240,
                "noise_sigma": 0.3,
                "noise_draws": 100,
                "exact_under_noise_a": 0.7 * a,
                "exact_under_noise_b": 0.8 * b,
                "exact_under_noise_ensemble": 0.9 * ensemble,
                "ensemble_gain": 0.08,
                "ensemble_gain_by_chance": 0.07,
                "ensemble_gain_if_shuffled": 0.06,
            },
            "latent_coupling": {
                "mean_correlation": 0.1,
                "mean_absolute_correlation": 0.12 if not fails else 0.98,
                "mean_distance": 5.2,
            },
            "coupled_reconstruction": {
                "rho": 0.7 if epoch >= 200 else 0.3,
                "exact_match_rate_a": rising(epoch, 50),
                "exact_match_rate_b": rising(epoch, 30),
            },
            "inference_overhead": {
                "plain_milliseconds": 21.0,
                "ensemble_milliseconds": 22.5,
                "time_overhead": 22.5 / 21 - 1,
                "memory_overhead": 0.01,
            },
            "covers_everything": False,
        }
    )


def synthetic_metrics(recipe: Recipe, epochs: int, fails: bool = False) -> list[dict]:
    """One row an epoch with every key that training writes."""
    rows = []
    for epoch in range(1, epochs + 1):
        a, b, ensemble = exact(epoch, fails)
        rho = 0.1 + 0.6 * rising(epoch, 190, 20)
        covered = coverage_limit(100_000) * (0.8 + 0.19 * rising(epoch, 30))
        wave = math.sin(epoch / 7)
        corrections = {
            "learning_rate": 0.4 * wave,
            "lambda1": 0.2 * wave,
            "lambda2": -0.2 * wave,
            "lambda3": 0.1,
        }
        rows.append(
            {
                "epoch": epoch, "phase": recipe.phase_at(epoch - 1), "rho": rho, "rho_target": rho,
                "learning_rate": 1e-3 * (1 - epoch / (epochs + 1)), "temperature_a": 1 - 0.7 * epoch / epochs,
                "temperature_b": 0.9 - 0.7 * epoch / epochs, "beta_a": min(0.3, epoch / 160), "beta_b": 0.2,
                "lambda1": 0.7 + 0.05 * wave, "lambda2": 0.7 - 0.05 * wave, "lambda3": 0.3 + 0.15 * wave,
                "gradient_norm_a": 1.0, "gradient_norm_b": 1.05, "gradient_ratio": 1.05, "gate_open": epoch > 130,
                "balance": 0.1 * wave, "entropy_a": 2.9, "entropy_b": 2.8,
                "terms": {
                    "loss": 12 * math.exp(-epoch / 80) + 0.5, "reconstruction_a": 8 * math.exp(-epoch / 60) + 0.05,
                    "reconstruction_b": 6 * math.exp(-epoch / 40) + 0.02, "kl_a": 20.0, "kl_b": 19.0,
                    "output_entropy_b": None, "repulsion_b": 0.01, "entropy_alignment": 0.05,
                    "prior_information_a": 6.1, "prior_information_b": 6.3, "prior_entropy_a": 7.6,
                    "prior_entropy_b": 7.65, "recognition_a": 17.0, "recognition_b": 17.5, "best_of_two": 0.1,
                    "subspace_overlap": 0.22, "alignment": None,
                },
                "exact_match_a": a, "exact_match_b": b, "exact_match_best_of_two": ensemble,
                "exact_match_voting": b, "exact_match_confidence_weighted": ensemble,
                "exact_match_majority": ensemble, "exact_match_coupled_a": rising(epoch, 50),
                "exact_match_coupled_b": rising(epoch, 30),
                "share_a": 0.3 + 0.12 * rising(epoch, 130, 30),
                "complementarity": 0.02 if fails else 0.02 + 0.76 * rising(epoch, 130, 30),
                "coverage": covered, "coverage_draws": 100_000, "coverage_limit": coverage_limit(100_000),
                "coverage_a": covered * 0.92, "coverage_b": covered * 0.925,
                "coverage_single_limit": coverage_limit(50_000),
                "covered_all_a": epoch > 380 and not fails, "covered_all_b": epoch > 380 and not fails,
                "statenet": {"corrections": corrections} if recipe.statenet.enabled else None,
                "guard_events": int(epoch >= 150) if fails else 0,
                "seconds_training": 0.31, "seconds_evaluation": 0.12,
            }
        )  # fmt: skip
    return rows


def write_lines(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row, allow_nan=False) + "\n" for row in rows), encoding="utf-8")


def synthetic_events(fails: bool, epochs: int) -> list[dict]:
    events = [{"epoch": m, "kind": "milestone", "name": f"epoch {m}", "message": f"benchmarked at {m}"}
              for m in MILESTONES if m <= epochs]  # fmt: skip
    events.append({"epoch": 130, "kind": "resumed", "name": "resumed", "message": "continued after epoch 130"})
    if fails:
        events.append(
            {
                "epoch": 150, "kind": "guard", "name": "vae_a_slow", "quantity": "exact_match_a", "value": 0.21,
                "threshold": 0.3, "actions": ["raise_temperature_a"],
                "message": "VAE-A at 21.00%, below 30% at epoch 150",
            }
        )  # fmt: skip
    events.append({"epoch": epochs, "kind": "finished", "name": "finished", "message": "400 epochs in 3 min"})
    return sorted(events, key=lambda event: event["epoch"])


def _header(epoch: int, recipe: Recipe, fingerprint: str) -> dict:
    return {
        "recipe": recipe.name, "recipe_fingerprint": fingerprint or recipe.fingerprint(),
        "training_seed": recipe.seed, "benchmark_seed": 0, "epoch": epoch, "source": "native",
        "checkpoint_hash": f"{epoch:064x}", "code_version": "0.1.0", "environment": ENVIRONMENT,
        "measured_at": "2026-01-02T03:04:05+00:00", "elapsed_seconds": 4.2,
    }  # fmt: skip


def _interval(mean: float) -> dict:
    return {"mean": mean, "low": mean - 0.001, "high": min(1.0, mean + 0.001), "standard_deviation": 0.001,
            "repeats": 8}  # fmt: skip


def _coverage(share: float, draws: int) -> dict:
    covered = coverage_limit(draws) * share
    return {"coverage_rate": covered, "coverage_limit": coverage_limit(draws), "draws": draws,
            "unique_operations": covered * COUNT, "interval": _interval(covered)}  # fmt: skip


def _by_draws(share: float) -> list[dict]:
    return [{"draws": draws, "coverage_limit": coverage_limit(draws),
             "coverage_rate": coverage_limit(draws) * (1 - (1 - share) * min(1, draws / 50_000))}
            for draws in DRAWS]  # fmt: skip


def _injected(rho: float, epoch: int) -> dict:
    share = 0.855 + 0.14 * rising(epoch, 30)
    return {"rho": rho, **_coverage(share, 100_000), "prior_preserving": _coverage(share + 0.003, 100_000),
            "by_draws": _by_draws(share)}  # fmt: skip


def _vae(match: float, epoch: int, scale: float) -> dict:
    zero = round(match * COUNT)
    match = zero / COUNT
    half = scale * (0.15 + 0.35 * rising(epoch, 80, 30)) if match > 0.5 else None
    sigmas = [0.05 * step for step in range(21)]
    middle = half or 0.1
    share = 0.86 + 0.13 * rising(epoch, 30)
    return {
        "reconstruction": {
            "exact_match_rate": match, "mean_bit_error": 2 * (1 - match), "median_bit_error": 0.0,
            "max_bit_error": 0 if match == 1 else 6, "zero_error_count": zero,
            "error_histogram": {0: zero} if match == 1 else {0: zero, 2: COUNT - zero},
        },
        "latent_separation": {
            "mean_distance": 5.0, "minimum_distance": 0.4, "mean_nearest_distance": 1.1,
            "mean_posterior_standard_deviation": 0.3, "separation_ratio": 3.7, "latent_norm_mean": 3.6,
            "latent_norm_standard_deviation": 0.5,
        },
        "sampling_coverage": {"decoded": _coverage(share, 50_000), "categorical": _coverage(0.99, 50_000),
                              "by_draws": _by_draws(share - 0.1 * (1 - scale))},
        "interpolation": {"valid_rate": 1.0, "between_rate": 0.7 + 0.2 * rising(epoch), "pairs": 1000, "steps": 10},
        "nearest_neighbor": {"hamming_1_rate": 0.6 + 0.4 * rising(epoch, 20),
                             "mean_hamming": 1.4 - 0.4 * rising(epoch, 20)},
        "dimensionality": {"participation_ratio": 8.6, "dimensions_95": 9, "dimensions_99": 11, "efficiency": 8.6 / 16},
        "held_out": {"validation_exact_match_rate": match, "test_exact_match_rate": match, "validation_count": 1968,
                     "test_count": 1968},
        "information": {"mutual_information_bits": 14.26 * (0.8 + 0.19 * rising(epoch)), "limit_bits": 14.2647,
                        "draws": 1_000_000, "estimator": "synthetic"},
        "resolution_curve": {
            "points": [{"sigma": sigma, "exact_match_rate": match / (1 + (sigma / middle) ** 6)} for sigma in sigmas],
            "half_sigma": half,
        },
    }  # fmt: skip


def write_page(run: RunDirectory, output: Path) -> Path:
    """Writes a run's page, and nothing else of its reports."""
    measured = measurements_of_run(run)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(page_html(run, measured, verdict_of(measured)), encoding="utf-8")
    return output
