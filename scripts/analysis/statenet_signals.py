"""Other signals for StateNet than the loss one step ahead: a longer look-ahead, and evolution over short runs.

    python scripts/analysis/statenet_signals.py horizons --seeds 0 1 2
    python scripts/analysis/statenet_signals.py compare --seeds 0 1 2 3 4

`horizons` holds the learning rate at half and at one and a half times its schedule from some epoch on and asks, ever
further ahead, which of the two is better. `compare` lets StateNet learn in three ways, with ten times the default
recipe's reach, and compares what the runs become, paired by seed, with runs that have no StateNet at all.

Everything is the default recipe, scaled to 100 epochs. As in training, what is measured after an epoch is taken in;
here at once, not one epoch later.
"""

from __future__ import annotations

import argparse
import copy
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import torch
from jaxtyping import Float
from joblib import cpu_count
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from ternary_vae.experiments.statistics import compare_pairs
from ternary_vae.model import LATENT_DIMENSIONS, DualVAE, StateNet
from ternary_vae.model.statenet import CORRECTIONS
from ternary_vae.operations import OPERATION_COUNT, all_operations
from ternary_vae.recipe import Recipe, load_recipe
from ternary_vae.resolution.complementarity import decode_under_noise, home_under_noise, ratio_of_homes
from ternary_vae.resolution.coverage import indices_of_latents
from ternary_vae.storage.checkpoints import Checkpoint
from ternary_vae.training.evaluation import evaluate
from ternary_vae.training.hypergradient import Controller, validation_objective
from ternary_vae.training.objective import WIDENING
from ternary_vae.training.trainer import Trainer

EPOCHS = 100
REACH = {"statenet.learning_rate_scale": 0.5, "statenet.lambda_scale": 0.1}  # ten times the default's

# Epochs from which a learning rate is held, and how many later it is judged.
HELD_FROM = (5, 20, 50)
AHEAD = (1, 3, 10, 30)

# Every so many epochs, every correction is tried both ways for so many epochs.
LOOK_EVERY = 20
LOOK_AHEAD = 10

# A generation tries so many directions both ways, each in a whole run of so many epochs.
SHORT_EPOCHS = 40
GENERATIONS = 6
PAIRS = 4
SPREAD = 0.1
STEP = 2.0

# Draws a VAE: what coverage is of, and from how many it is estimated.
DRAWS = 50_000
DRAWS_COUNTED = 500_000
NOISE_DRAWS = 32

ARMS: dict[str, dict[str, Any]] = {
    "none": {"statenet.enabled": False},
    "random": {"statenet.learning": "none"},
    "one step": {"statenet.learning": "hypergradient"},
    "look-ahead": {"statenet.learning": "none"},
    "evolution": {"statenet.learning": "none"},
}
"""By the name of StateNet's signal. The last two are steered by this file."""

Corrections = Mapping[str, float]


class Held(Controller):
    """A controller that answers the same whatever the state."""

    def __init__(self, trainer: Trainer, answer: Corrections) -> None:
        super().__init__(trainer.recipe, trainer.model.state_net, trainer.device)
        self.learns = False
        self.answer = dict(answer)

    def corrections(self, state: dict[str, float] | None) -> dict[str, float]:
        return dict(self.answer)


def recipe_of(seed: int, epochs: int = EPOCHS, **settings: Any) -> Recipe:
    return load_recipe(overrides={**REACH, **settings}, seed=seed, epochs=epochs, scale_phases=True)


def train(trainer: Trainer, until: int) -> Iterator[dict[str, Any]]:
    """Trains and measures up to an epoch; yields every epoch's row."""
    while trainer.epochs_completed < until:
        row = trainer.train_epoch()
        trainer.take_measurement(evaluate(trainer.averaged, trainer.recipe, trainer.epochs_completed))
        yield row


def branch(checkpoint: Checkpoint, answer: Corrections) -> Trainer:
    """Another run from here on, under constant corrections."""
    trainer = Trainer(checkpoint.recipe)
    trainer.restore(copy.deepcopy(checkpoint))
    trainer.controller = Held(trainer, answer)
    return trainer


@torch.no_grad()
def objective_of(trainer: Trainer, model: DualVAE) -> float:
    """What StateNet steers towards, in nats, over the whole space and always under the same noise."""
    generator = torch.Generator().manual_seed(0)
    model.eval()
    return validation_objective(model, trainer.inputs, trainer.classes, trainer.rho or 0.0, generator).item()


@torch.no_grad()
def shares(model: DualVAE, width: float) -> dict[str, Float[Tensor, "19683"]]:
    """By VAE, how often each operation was decoded from `DRAWS_COUNTED` draws of a prior of that width."""
    generator = torch.Generator().manual_seed(1)
    found = {side: torch.zeros(OPERATION_COUNT, dtype=torch.double) for side in ("A", "B")}
    for _ in range(DRAWS_COUNTED // DRAWS):
        for side, count in found.items():
            z = width * torch.randn(DRAWS, LATENT_DIMENSIONS, generator=generator)
            count += torch.bincount(indices_of_latents(model, side, z), minlength=OPERATION_COUNT)
    return found


def expected_coverage(counted: Float[Tensor, "19683"]) -> float:
    """Coverage of `DRAWS` draws a VAE, from what `DRAWS_COUNTED` met: every draw counted is among them with the same
    chance."""
    return float(1 - ((1 - DRAWS / DRAWS_COUNTED) ** counted).mean())


@torch.no_grad()
def outcome(trainer: Trainer) -> dict[str, float]:
    """What a run has become."""
    model = trainer.averaged.eval()
    own, wide = shares(model, 1.0), shares(model, WIDENING)
    measured = evaluate(model, trainer.recipe, trainer.epochs_completed).row
    posteriors = model.encode(all_operations())
    noise = decode_under_noise(model, posteriors, torch.Generator().manual_seed(2), draws=NOISE_DRAWS)
    home = home_under_noise(noise)
    ensemble = (noise.only_a + noise.only_b + noise.both).sum() / (OPERATION_COUNT * NOISE_DRAWS)
    return {
        "exact match A": measured["exact_match_a"],
        "exact match B": measured["exact_match_b"],
        "coverage, plan's sum": expected_coverage(wide["A"] + wide["B"]),
        "coverage, A alone": expected_coverage(own["A"]),
        "coverage, B alone": expected_coverage(own["B"]),
        "homes, smaller share to larger": ratio_of_homes(int((home > 0).sum()), int((home < 0).sum())) or 0.0,
        "ensemble under noise": float(ensemble),
    }


# ---------------------------------------------------------------- how far ahead to look


def horizon_row(start: int, seed: int) -> dict[tuple[str, int], float]:
    """By measure and epoch: the higher rate less the lower one."""
    trainer = branch(Trainer(recipe_of(seed)).checkpoint(), dict.fromkeys(CORRECTIONS, 0.0))
    for _ in train(trainer, start):
        pass
    begun = trainer.checkpoint()
    looks = [start + ahead for ahead in AHEAD if start + ahead < EPOCHS] + [EPOCHS]
    ends: list[dict[tuple[str, int], float]] = []
    for correction in (1.0, -1.0):
        held = branch(begun, {**dict.fromkeys(CORRECTIONS, 0.0), "learning_rate": correction})
        found = {}
        for look in looks:
            for _ in train(held, look):
                pass
            ahead = look - start
            found["objective, trained weights (nats)", ahead] = objective_of(held, held.model)
            found["objective, averaged weights (nats)", ahead] = objective_of(held, held.averaged)
            wide = shares(held.averaged.eval(), WIDENING)
            found["coverage, plan's sum (points)", ahead] = 100 * expected_coverage(wide["A"] + wide["B"])
        ends.append(found)
    return {key: ends[0][key] - ends[1][key] for key in ends[0]}


def horizons(seeds: Sequence[int], jobs: int) -> None:
    cases = [(start, seed) for start in HELD_FROM for seed in seeds]
    rows = dict(zip(cases, on_processes(jobs, horizon_row, cases)))
    print("One and a half times the learning rate less half of it; a column for each seed.")
    for start in HELD_FROM:
        for measure, ahead in rows[start, seeds[0]]:
            found = "  ".join(f"{rows[start, seed][measure, ahead]:+8.4f}" for seed in seeds)
            print(f"from epoch {start:<3} {ahead:>3} epochs ahead  {measure:<36}{found}")


# ---------------------------------------------------------------- other signals


def look_ahead(trainer: Trainer) -> Float[Tensor, "5"]:
    """Change of the objective for a correction of 1, held for `LOOK_AHEAD` epochs; zeros for what is not corrected."""
    checkpoint, held = trainer.checkpoint(), trainer.controller.corrections(trainer.last_state)
    slopes = torch.zeros(len(CORRECTIONS))
    for place, name in enumerate(trainer.controller.net.outputs):
        ends = []
        for correction in (1.0, -1.0):
            ahead = branch(checkpoint, {**held, name: correction})
            for _ in train(ahead, trainer.epochs_completed + LOOK_AHEAD):
                pass
            ends.append(objective_of(ahead, ahead.averaged))
        slopes[place] = (ends[0] - ends[1]) / 2
    return slopes


def trained(arm: str, seed: int, net: dict[str, Tensor] | None, epochs: int) -> tuple[Trainer, list[Corrections]]:
    """One run of an arm, and what StateNet said in every epoch; `net` replaces its first weights."""
    trainer = Trainer(recipe_of(seed, epochs, **ARMS[arm]))
    if net is not None:
        trainer.model.state_net.load_state_dict(net)
    slopes, said = None, []
    while trainer.epochs_completed < epochs:
        if arm == "look-ahead":
            if trainer.epochs_completed and trainer.epochs_completed % LOOK_EVERY == 0:
                slopes = look_ahead(trainer)
            trainer.controller.hypergradients = slopes
        (row,) = train(trainer, trainer.epochs_completed + 1)
        said.append((row["statenet"] or {}).get("corrections", {}))
    return trainer, said


def run(arm: str, seed: int, net: dict[str, Tensor] | None) -> dict[str, float]:
    """What a whole run of an arm becomes, by measure, and what StateNet says in its second half."""
    trainer, said = trained(arm, seed, net, EPOCHS)
    last = said[EPOCHS // 2 :]
    means = {f"correction of {name}": statistics.mean(row.get(name, 0.0) for row in last) for name in CORRECTIONS[:-1]}
    return {**outcome(trainer), "objective (nats)": objective_of(trainer, trainer.averaged), **means}


def short_run(net: dict[str, Tensor], seed: int) -> float:
    """The objective that a short run under this StateNet ends with."""
    trainer, _ = trained("evolution", seed, net, SHORT_EPOCHS)
    return objective_of(trainer, trainer.averaged)


def evolved(jobs: int) -> dict[str, Tensor]:
    """StateNet's weights after some generations of short runs. Every generation has a seed of its own, none of those
    that are judged."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = StateNet()
    weights = parameters_to_vector(net.parameters()).detach()
    generator = torch.Generator().manual_seed(0)

    def state(vector: Tensor) -> dict[str, Tensor]:
        vector_to_parameters(vector, net.parameters())
        return {name: tensor.clone() for name, tensor in net.state_dict().items()}

    for generation in range(GENERATIONS):
        directions = torch.randn(PAIRS, len(weights), generator=generator)
        tried = mirrored(weights, directions)
        values = on_processes(jobs, short_run, [(state(candidate), 1000 + generation) for candidate in tried])
        weights = moved(weights, directions, values)
        print(f"generation {generation + 1}: objective {min(values):.4f} to {max(values):.4f} nats", flush=True)
    return state(weights)


def mirrored(weights: Float[Tensor, " p"], directions: Float[Tensor, "pairs p"]) -> Float[Tensor, "2*pairs p"]:
    """What one generation tries: every direction forth, then every one back."""
    return torch.cat([weights + SPREAD * directions, weights - SPREAD * directions])


def moved(
    weights: Float[Tensor, " p"], directions: Float[Tensor, "pairs p"], values: Sequence[float]
) -> Float[Tensor, " p"]:
    """A step towards lower values by their ranks alone, from what `mirrored` tried (Salimans et al. 2017, "Evolution
    strategies as a scalable alternative to reinforcement learning")."""
    ranks = torch.tensor(values).argsort().argsort().double() / (len(values) - 1) - 0.5
    forth, back = ranks.chunk(2)
    slope = ((forth - back)[:, None] * directions).mean(dim=0)
    return weights - STEP * SPREAD * slope.float()


def compare(seeds: Sequence[int], jobs: int) -> None:
    cases = [(arm, seed) for arm in ARMS for seed in seeds]
    cases.sort(key=lambda case: case[0] != "look-ahead")  # by far the longest
    nets = {"evolution": evolved(jobs)}
    rows = dict(zip(cases, on_processes(jobs, run, [(*case, nets.get(case[0])) for case in cases])))
    for arm in ARMS:
        print(f"\n{arm}; a column for each seed, then the difference from no StateNet with its 95% interval")
        for measure in rows[arm, seeds[0]]:
            found = [rows[arm, seed][measure] for seed in seeds]
            line = f"  {measure:<32}" + "".join(f"{value:>9.4f}" for value in found)
            if arm != "none" and not measure.startswith("correction"):
                line += "   " + difference(found, [rows["none", seed][measure] for seed in seeds])
            print(line)


def difference(first: Sequence[float], second: Sequence[float]) -> str:
    """Mean of paired differences with its 95% interval."""
    found = compare_pairs(first, second).summary
    if found.low is None or found.high is None:
        return f"{found.mean:+.4f}"
    return f"{found.mean:+.4f} [{found.low:+.4f} to {found.high:+.4f}]"


def on_processes(jobs: int, work: Callable[..., Any], cases: Sequence[tuple[Any, ...]]) -> list[Any]:
    """`work` on every case's arguments, in processes of one thread each."""
    with ProcessPoolExecutor(jobs, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        return list(pool.map(work, *zip(*cases)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("horizons", "compare"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--jobs", type=int, default=cpu_count(), help="processes of one thread each")
    arguments = parser.parse_args()
    {"horizons": horizons, "compare": compare}[arguments.what](arguments.seeds, arguments.jobs)


if __name__ == "__main__":
    main()
