"""Writes the moving picture of README: the pretrained model's codes of all gates, turned from a view in which they are
one cloud to a view in which they lie on a grid, and back.

    python scripts/publish/publish_picture.py

Every frame is a linear projection of the 16 means of VAE-A. On the grid three entries of the truth table make the
place to the right and three others the place upwards, each with a third of the weight of the one before. Colour is the
value of the first of them. Needs nothing but what comes with the package.
"""

from __future__ import annotations

import argparse
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image
from scipy.ndimage import gaussian_filter

from ternary_vae.exports.embeddings import codes_of_all
from ternary_vae.pretrained import Networks, find_model
from ternary_vae.space import Space
from ternary_vae.storage.files import write_bytes
from ternary_vae.terminal import exit_code

OUTPUT = Path(__file__).resolve().parents[2] / "docs" / "_static" / "codes.webp"
SIZE, FRAMES, HELD, MILLISECONDS = 400, 30, 12, 80
COLOURS = np.array([[255, 128, 70], [235, 235, 245], [80, 165, 255]]) / 255  # of −1, 0, 1
GROUND = np.array([13, 17, 28]) / 255
RIGHT, UP = (0, 1, 2), (8, 7, 6)  # entries of the truth table


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes the moving picture of README.")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    output = parser.parse_args().output
    codes = codes_of_all(Networks(find_model("resolution")))["mean_a"].astype(float)
    codes = (codes - codes.mean(axis=0)) / codes.std()
    tables = Space().table(np.arange(len(codes)))
    entries, *_ = np.linalg.lstsq(codes, tables.astype(float), rcond=None)  # (16, 9): a direction for each entry
    first, last = np.linalg.qr(np.random.default_rng(4).normal(size=(16, 2)))[0], grid_view(entries)
    steps = (1 - np.cos(np.linspace(0, np.pi, FRAMES))) / 2
    turn = [picture(view(codes, first, last, step), tables[:, RIGHT[0]]) for step in steps]
    # Begins and ends on the grid, and stops there after three turns, since what moves for ever disturbs a reader.
    frames = [turn[-1]] * HELD + turn[::-1] + [turn[0]] * (HELD // 2) + turn
    made = BytesIO()
    frames[0].save(
        made, "WEBP", save_all=True, append_images=frames[1:], duration=MILLISECONDS, loop=3, quality=45, method=6
    )
    write_bytes(output, made.getvalue())
    print(f"wrote {output} ({len(made.getvalue()) / 1e6:.2f} MB)")


def grid_view(entries: Float[np.ndarray, "16 9"]) -> Float[np.ndarray, "16 2"]:
    """The projection in which six entries make the place."""
    weights = 3.0 ** -np.arange(3)
    return np.stack([entries[:, list(chosen)] @ weights for chosen in (RIGHT, UP)], axis=1)


def view(codes: np.ndarray, first: np.ndarray, last: np.ndarray, step: float) -> Float[np.ndarray, "gates 2"]:
    """Places between −1 and 1, on the way from the first projection to the last."""
    places = codes @ (np.cos(step * np.pi / 2) * first + np.sin(step * np.pi / 2) * last)
    return places / np.abs(places).max()


def picture(places: Float[np.ndarray, "gates 2"], values: np.ndarray) -> Image.Image:
    """Gates as points of light."""
    light = np.zeros((SIZE, SIZE, 3))
    pixels = np.rint((1 + 0.94 * places * [1, -1]) / 2 * (SIZE - 1)).astype(int)
    for value, colour in zip((-1, 0, 1), COLOURS):
        x, y = pixels[values == value].T
        counts = np.zeros((SIZE, SIZE))
        np.add.at(counts, (y, x), 1.0)
        light += gaussian_filter(counts, 0.8)[..., None] * colour
    shown = GROUND + (1 - GROUND) * (1 - np.exp(-1.6 * light))
    return Image.fromarray((shown * 255).astype(np.uint8))


if __name__ == "__main__":
    sys.exit(exit_code("publish_picture", main))
