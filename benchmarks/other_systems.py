"""Variational autoencoders of pythae on the same work, trained on all operations and asked for all of them.

    python -m venv .pythae && .pythae/bin/pip install torch==2.13.0 pythae==0.1.2 .
    .pythae/bin/python benchmarks/other_systems.py

Each is one VAE with pythae's own networks, trainer and settings but for what is said in its name: 16 latent dimensions,
the truth table as 27 indicators, batches of 512, a learning rate of 0.001. Writes `reports/other_systems.json`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ternary_vae.operations import all_operations, operation_index
from ternary_vae.resolution.complementarity import NOISE_DRAWS, NOISE_SIGMA
from ternary_vae.storage.files import require_writable, write_json
from ternary_vae.terminal import exit_code

try:
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, BetaVAE, BetaVAEConfig, VAEConfig
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
except ModuleNotFoundError:
    print("other_systems: pythae is not installed; pip install pythae, in an environment of its own", file=sys.stderr)
    sys.exit(2)

DRAWS, LATENT = 100_000, 16
SHAPE: dict[str, Any] = {"input_dim": (27,), "latent_dim": LATENT}
SYSTEMS = {
    "VAE, squared error (its default)": lambda: VAE(VAEConfig(**SHAPE)),
    "VAE, cross-entropy": lambda: VAE(VAEConfig(**SHAPE, reconstruction_loss="bce")),
    "BetaVAE, cross-entropy, β = 0.1": lambda: BetaVAE(BetaVAEConfig(**SHAPE, reconstruction_loss="bce", beta=0.1)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42])
    parser.add_argument("--output", type=Path, default=Path("reports/other_systems.json"))
    arguments = parser.parse_args()
    require_writable(arguments.output)
    found = {
        "pythae": version("pythae"),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "epochs": arguments.epochs,
        "draws": DRAWS,
        "noise": NOISE_SIGMA,
        "systems": {
            name: [measured(make, arguments.epochs, seed) for seed in arguments.seeds] for name, make in SYSTEMS.items()
        },
    }
    write_json(arguments.output, found)
    for name, runs in found["systems"].items():
        print(name, *runs, sep="\n  ")


def measured(make: Any, epochs: int, seed: int) -> dict[str, float]:
    """Trains one; its exact match, alone and under latent noise, coverage, and seconds an epoch."""
    torch.manual_seed(seed)
    tables = all_operations()
    indicators = F.one_hot(tables.long() + 1, 3).float().flatten(1)
    model = make()
    with tempfile.TemporaryDirectory() as place:
        settings = BaseTrainerConfig(
            output_dir=place, num_epochs=epochs, per_device_train_batch_size=512, learning_rate=1e-3, seed=seed,
            no_cuda=True,
        )  # fmt: skip
        data = BaseDataset(indicators, torch.zeros(len(indicators)))
        trainer = BaseTrainer(model, train_dataset=data, training_config=settings)
        began = time.perf_counter()
        trainer.train()
        seconds = (time.perf_counter() - began) / epochs
    model.eval()
    with torch.no_grad():
        means = model.encoder(indicators).embedding

        def exact(noise: float) -> float:
            return (decoded(model, means + noise * torch.randn_like(means)) == tables).all(dim=1).float().mean().item()

        noisy = sum(exact(NOISE_SIGMA) for _ in range(NOISE_DRAWS)) / NOISE_DRAWS
        drawn = operation_index(decoded(model, torch.randn(DRAWS, LATENT)))
    return {
        "seed": seed,
        "exact_match": exact(0.0),
        "exact_under_noise": noisy,
        "coverage": len(drawn.unique()) / len(tables),
        "seconds_an_epoch": round(seconds, 2),
    }


def decoded(model: VAE, latents: Float[Tensor, "n 16"]) -> Float[Tensor, "n 9"]:
    """The most likely value of each entry."""
    return model.decoder(latents)["reconstruction"].reshape(-1, 9, 3).argmax(dim=-1).float() - 1


if __name__ == "__main__":
    sys.exit(exit_code("other_systems", main))
