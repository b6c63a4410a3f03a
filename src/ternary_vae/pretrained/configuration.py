"""`config.json` of a trained model: what its network is, and where its weights come from and what they were measured
to do."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ternary_vae.descriptions import Number, Section, Switch, Whole
from ternary_vae.formats import Unit
from ternary_vae.recipe import Model

FORMAT = "ternary-vae model"
FORMAT_VERSION = "1"
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Architecture(Model):
    """What `DualVAE` is made with: the recipe's section on the networks, whether StateNet corrects ρ, and the space."""

    adaptive_rho: Switch = False
    values: Whole = 3
    inputs: Whole = 2


class Figure(Section):
    """One measured figure.

    Attributes:
        key: its name in files, as in the table of figures (`resolution.figures`).
        name: what was measured.
        value: the figure, or its mean over repeats.
        unit: as in that table.
        low, high: its 95% interval; None where all operations were measured and nothing was drawn.
        uniform: what a perfectly uniform model reaches on average.
    """

    key: str
    name: str
    value: Number
    unit: Unit
    low: Number | None = None
    high: Number | None = None
    uniform: Number | None = None


class Criterion(Section):
    """One line of the verdict."""

    level: str
    name: str
    required: str
    measured: str
    met: Switch


class Origin(Section):
    """Where weights come from, and what was measured of them.

    Attributes:
        weights_sha256: of the weights that were measured.
        fingerprint: of the recipe.
        command: that trains them again; None where the recipe is none of the package's.
        operations_held_out: how many operations training did not see; None where it is not known.
        seconds: that the run took.
        environment: Python, torch, platform, device and threads of the run.
        checkpoint_sha256: of the checkpoint that they were taken from.
    """

    weights_sha256: Digest
    recipe: str
    fingerprint: str
    seed: Whole
    epochs: Whole
    command: str | None
    code_version: str
    operations_held_out: Whole | None
    seconds: Number | None
    environment: dict[str, str | int]
    checkpoint_sha256: Digest
    figures: tuple[Figure, ...]
    verdict: tuple[Criterion, ...]


class Configuration(Section):
    """All of `config.json`.

    Attributes:
        permeability: the ρ of coupled decoding.
        weights_sha256: of `model.safetensors`.
        origin: None where nothing is known of the weights.
    """

    format: Literal["ternary-vae model"] = FORMAT
    format_version: Literal["1"] = FORMAT_VERSION
    architecture: Architecture
    permeability: Annotated[Number, Field(ge=0, le=1)]
    weights_sha256: Digest
    origin: Origin | None = None
