"""The directory of a trained model: `config.json`, `model.safetensors` (float32) and `README.md`, its card."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as arrays_of_bytes
from safetensors.numpy import save as bytes_of_arrays

from ternary_vae.descriptions import validated
from ternary_vae.errors import UserError, nearest, shown
from ternary_vae.pretrained.configuration import FORMAT, FORMAT_VERSION, Architecture, Configuration, Origin
from ternary_vae.reading import file_bytes
from ternary_vae.space import Space
from ternary_vae.storage.files import json_text, read_json, reported, require_absent, write_together
from ternary_vae.terminal import quoted

CONFIGURATION, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
DEFAULT = "resolution"
_SHIPPED = Path(__file__).parent / "shipped"
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_MOST_BYTES = 2**30
_EXPECTED = f"a model's {CONFIGURATION}, as `save_pretrained` writes it"


@dataclass(frozen=True)
class ModelFiles:
    """A trained model as its files hold it.

    Attributes:
        configuration: what the network is and where its weights come from.
        weights: the content of `model.safetensors`.
        place: where it was read, for errors.
    """

    configuration: Configuration
    weights: bytes
    place: str = "model"

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """The weights by the names that `DualVAE.state_dict` gives them.

        Raises:
            UserError: the file holds no finite float32 tensors.
        """
        try:
            arrays = arrays_of_bytes(self.weights)
        except (SafetensorError, ValueError, KeyError, TypeError) as failure:
            raise UserError(f"{self.place}: {WEIGHTS} is damaged ({failure}); get the model again") from None
        if not all(array.dtype == np.float32 and np.isfinite(array).all() for array in arrays.values()):
            raise UserError(f"{self.place}: {WEIGHTS} holds more than finite float32 numbers; get the model again")
        return arrays


def model_files(
    arrays: dict[str, np.ndarray], architecture: dict[str, Any], permeability: float, origin: Origin | None
) -> ModelFiles:
    """A model as files. What was measured of other weights than these is left out.

    Raises:
        UserError: weights that are not finite in float32, or a configuration that could not be read again.
    """
    arrays = {name: np.ascontiguousarray(arrays[name], np.float32) for name in sorted(arrays)}
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise UserError(f"model: {name} contains NaN or infinity in float32; save weights that are finite")
    weights = bytes_of_arrays(arrays)
    digest = hashlib.sha256(weights).hexdigest()
    content = {
        "architecture": architecture,
        "permeability": permeability,
        "weights_sha256": digest,
        "origin": origin if origin is not None and origin.weights_sha256 == digest else None,
    }
    return ModelFiles(validated(Configuration, content, "the model cannot be saved", _EXPECTED, _known_keys), weights)


def shipped_model_of(space: Space) -> str | None:
    """The model that the package brings along for a space, if it brings one."""
    for name in shipped_models():
        architecture = read_json(_SHIPPED / name / CONFIGURATION, what="a model's configuration")["architecture"]
        if (architecture["values"], architecture["inputs"]) == (space.values, space.inputs):
            return name
    return None


def shipped_models() -> list[str]:
    """Names of the models that the package brings along."""
    return sorted(path.parent.name for path in _SHIPPED.glob(f"*/{CONFIGURATION}"))


def shipped_directory(name: str) -> Path:
    """Where a model that the package brings along lies."""
    return _SHIPPED / name


def find_model(name: str | Path = DEFAULT, *, revision: str | None = None) -> ModelFiles:
    """A model that the package brings along, of a directory, or of the Hugging Face hub, by `owner/name`.

    Raises:
        UserError: none of these, or as `read_model`; huggingface_hub is needed and not installed; no network.
    """
    if isinstance(name, str) and name in shipped_models():
        if revision is not None:
            raise UserError(f"revision {shown(revision)}: {name} comes with this package and has no revisions")
        return read_model(shipped_directory(name))
    with reported("read", Path(name)):
        there = Path(name).exists()
    if there:
        if revision is not None:
            raise UserError(f"revision {shown(revision)}: {name} is a directory here, which has no revisions")
        return read_model(Path(name))
    if isinstance(name, str) and _HUB_NAME.fullmatch(name):
        from ternary_vae.pretrained.hub import download

        return download(name, revision)
    raise UserError(
        f"{shown(str(name))}: no such model; {nearest(str(name), shipped_models())}; or "
        "name a directory that `save_pretrained` wrote, or owner/name on the Hugging Face hub"
    )


def read_model(directory: Path) -> ModelFiles:
    """Reads a model's directory.

    Raises:
        UserError: a missing, foreign, damaged or other version's file.
    """
    directory = Path(directory)
    if not directory.exists():
        raise UserError(f"{directory}: not found; name a model's directory")
    if not directory.is_dir():
        raise UserError(f"{directory}: is a file; name a model's directory, and load a checkpoint with `load_model`")
    if _is_run(directory):
        raise UserError(
            f"{directory}: is a run; `ternary-vae export model {quoted(directory)} DIRECTORY` makes a model of it"
        )
    content = read_json(directory / CONFIGURATION, what=_EXPECTED)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{directory}: is a model of another program; expected {_EXPECTED}")
    if content.get("format_version") != FORMAT_VERSION:
        raise UserError(
            f"{directory}: model format {shown(content.get('format_version'))}; this program reads "
            f"{FORMAT_VERSION!r}; use the program version that wrote it"
        )
    configuration = validated(Configuration, content, str(directory / CONFIGURATION), _EXPECTED, _known_keys)
    path = directory / WEIGHTS
    if not path.exists():
        raise UserError(f"{path}: not found; a model's directory holds {CONFIGURATION} and {WEIGHTS}")
    with reported("read", path):
        weights = file_bytes(path, _MOST_BYTES)
    if hashlib.sha256(weights).hexdigest() != configuration.weights_sha256:
        raise UserError(f"{path}: is damaged or of another model than {CONFIGURATION}; get the model again")
    return ModelFiles(configuration, weights, str(directory))


def _is_run(directory: Path) -> bool:
    return (directory / "run.json").exists()


def _known_keys(place: tuple[int | str, ...]) -> list[str]:
    inside = Architecture if place[:1] == ("architecture",) else Configuration if not place else Origin
    return list(inside.model_fields)


def write_model(files: ModelFiles, directory: Path) -> None:
    """Writes a model's directory; an earlier model in it is replaced once all files of this one are whole.

    Raises:
        UserError: it is a run's, holds something else by one of these names, or cannot be written.
    """
    from ternary_vae.pretrained.card import model_card

    directory = Path(directory)
    if _is_run(directory):
        raise UserError(f"{directory}: is a run, beside which no model is read; name another directory")
    existing = directory / CONFIGURATION
    new = not existing.exists()
    if not new:
        content = read_json(existing, what=_EXPECTED)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise UserError(f"{existing}: is not of a ternary-vae model and is not overwritten; name another directory")
    else:
        require_absent(directory / WEIGHTS, directory / CARD)
    content = json_text(files.configuration.model_dump(mode="json"))
    # Renamed in this order: an earlier model is as it was until its weights are, and without a configuration is none.
    write_together(
        {directory / CARD: model_card(files.configuration), directory / WEIGHTS: files.weights, existing: content}, new
    )
