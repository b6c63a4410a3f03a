"""Checkpoints: one safetensors file each, with a JSON header, holding everything needed to go on.

Native files hold tensors under `model.`, `optimizer.`, `generator.` and `training.`, and JSON metadata:
recipe, seed, epoch, the training state's plain values, and a SHA-256 of the whole file that is checked on loading.
Version 5.5 `.pt` files are read with `weights_only=True`; nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import pickle
import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.numpy import save as safetensors_bytes  # the same bytes as safetensors.torch, in half the time
from safetensors.torch import load as tensors_of_bytes
from torch import Tensor

from ternary_vae.devices import choose_device
from ternary_vae.errors import UserError
from ternary_vae.model import DualVAE
from ternary_vae.reading import file_bytes, parse_json
from ternary_vae.recipe import Recipe, load_recipe, validate_recipe
from ternary_vae.storage.files import reported, write_bytes
from ternary_vae.storage.transfer import on_cpu

FORMAT = "ternary-vae checkpoint"
FORMAT_VERSION = "1"
_MOST_BYTES = 2**30
"""Of a checkpoint. A run's own have about 3 MB."""
_BYTES_OF_A_VALUE = 4  # float32
_NO_DIGEST = "0" * 64
TENSORS = {"model": "model", "optimizer": "optimizer", "generator": "generators", "training": "training"}
"""What names of tensors begin with in a file → the attribute of `Checkpoint` that has them."""


@dataclass
class Checkpoint:
    """The state of a run after `epochs_completed` epochs.

    Attributes:
        epoch: the number that names the file. Native files: epochs completed. Version 5.5 files: the index
            of the last epoch trained, as that version counted.
        model: state dict of `DualVAE`.
        optimizer: tensors by dotted name, as `training` left them; empty if the file has none.
        generators: random generator states by name.
        training: tensors of the training state that live on the device.
        state: plain JSON values of the training state (λ, ρ, gate, guards, controller).
        source: where the file comes from.
        content_hash: SHA-256 of the file, hexadecimal; empty in one that never was a file, as `replace` makes them.
    """

    epoch: int
    epochs_completed: int
    recipe: Recipe
    model: dict[str, Tensor]
    optimizer: dict[str, Tensor] = field(default_factory=dict)
    generators: dict[str, Tensor] = field(default_factory=dict)
    training: dict[str, Tensor] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    source: Literal["native", "v5.5"] = "native"
    code_version: str = ""
    content_hash: str = field(default="", init=False)
    path: Path | None = None

    @property
    def rho(self) -> float:
        """Permeability at this epoch."""
        return float(self.state.get("rho") or 0.0)

    @property
    def split_known(self) -> bool:
        """Whether the recipe says what was never trained on. It does not where the weights are of a v5.5 file or of a
        run with another split."""
        return self.source != "v5.5" and bool(self.state.get("split_known", True))


def require_readable(values: int) -> None:
    """Refuses checkpoints of so many numbers, before anything is trained, where they would be too large to be read.

    Raises:
        UserError: so it is.
    """
    if (size := _BYTES_OF_A_VALUE * values) > 0.99 * _MOST_BYTES:  # the rest is for what is no weight
        raise UserError(
            f"model: a checkpoint would have {size:,} bytes, and at most {_MOST_BYTES:,} are read; give narrower layers"
        )


def save_checkpoint(path: Path, checkpoint: Checkpoint, also: Sequence[Path] = ()) -> None:
    """Writes a native checkpoint atomically, and under further names in the same directory, see `write_atomically`.

    Raises:
        UserError: if the file cannot be written.
    """
    write_bytes(path, checkpoint_bytes(checkpoint), also)


def checkpoint_bytes(checkpoint: Checkpoint) -> bytes:
    """A native checkpoint as the bytes of its file. The same state gives the same bytes."""
    groups = {group: getattr(checkpoint, attribute) for group, attribute in TENSORS.items()}
    tensors = {f"{group}.{name}": tensor for group, named in groups.items() for name, tensor in named.items()}
    arrays = {name: tensor.numpy() for name, tensor in on_cpu(tensors).items()}
    header = {
        "sha256": _NO_DIGEST,
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "epoch": checkpoint.epoch,
        "epochs_completed": checkpoint.epochs_completed,
        "recipe": checkpoint.recipe.model_dump(mode="json"),
        "state": checkpoint.state,
        "code_version": checkpoint.code_version,
    }
    # One metadata key: safetensors writes several in no fixed order, and files are compared by bytes.
    content = safetensors_bytes(arrays, metadata={"checkpoint": json.dumps(header, allow_nan=False)})
    return _with_digest(content, _NO_DIGEST, _sha256(content))


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Reads a native checkpoint (`.safetensors`) or a version 5.5 one (`.pt`).

    Raises:
        UserError: missing, truncated, changed, foreign or malicious file.
    """
    path = Path(path)
    with reported("read", path):
        if not path.exists():
            raise UserError(f"{path}: checkpoint not found; expected a .safetensors or a v5.5 .pt file")
        if path.is_dir():
            raise UserError(f"{path}: {_instead_of_directory(path)}")
        # Read once: a run may replace `latest` meanwhile, and the hash must be that of what was read.
        content = file_bytes(path, _MOST_BYTES)
    of_v5_5 = content[:2] == b"PK" or path.suffix in (".pt", ".pth")
    checkpoint = (_load_v5_5 if of_v5_5 else _load_native)(path, content)
    checkpoint.content_hash = _sha256(content)
    return checkpoint


def _instead_of_directory(path: Path) -> str:
    if (path / "run.json").exists():
        return f"is a run; name one of its checkpoints, in {path / 'checkpoints'}"
    if (path / "config.json").exists() and (path / "model.safetensors").exists():
        return "is a saved model, which DualVAE.from_pretrained and --model read; this takes a run's checkpoint"
    return "is a directory; name one file in it, such as latest.safetensors"


def load_model(path: str | Path, device: torch.device | str = "cpu") -> tuple[DualVAE, Checkpoint]:
    """Reads a checkpoint and builds its model, in evaluation mode, with the checkpoint's own permeability. Random
    numbers are left as they are.

    Raises:
        UserError: as `load_checkpoint`, if the weights do not fit the model, and if there is no such device.
    """
    chosen = choose_device(device)
    checkpoint = load_checkpoint(path)
    return model_of(checkpoint, chosen), checkpoint


def model_of(checkpoint: Checkpoint, device: torch.device | str = "cpu") -> DualVAE:
    """The model that a checkpoint holds, in evaluation mode. Random numbers are left as they are.

    Raises:
        UserError: if the weights do not fit the recipe's model or are not finite.
    """
    recipe = checkpoint.recipe
    with torch.random.fork_rng(devices=[]):  # a new model draws initial weights
        model = DualVAE.of(recipe)
    where = checkpoint.path or "checkpoint"
    try:
        model.load_state_dict(checkpoint.model)
    except RuntimeError as failure:
        detail = str(failure).splitlines()[1].strip() if "\n" in str(failure) else str(failure)
        raise UserError(f"{where}: the weights do not fit the model: {detail}") from None
    if not all(bool(torch.isfinite(tensor).all()) for tensor in checkpoint.model.values()):
        raise UserError(f"{where}: the weights contain NaN or infinity; use an earlier checkpoint")
    model.permeability = checkpoint.rho
    return model.to(device).eval()


def _load_native(path: Path, content: bytes) -> Checkpoint:
    try:
        tensors = tensors_of_bytes(content)
    except (SafetensorError, ValueError, KeyError, TypeError) as failure:
        raise UserError(
            f"{path}: truncated or not a checkpoint ({failure}); expected a .safetensors file written by this program"
        ) from None
    try:
        header = parse_json(_safetensors_metadata(content)["checkpoint"])
        foreign = header["format"] != FORMAT
    except (KeyError, TypeError, ValueError):
        foreign = True
    if foreign:
        raise UserError(f"{path}: a safetensors file of another program; expected a ternary-vae checkpoint")
    if header.get("format_version") != FORMAT_VERSION:
        raise UserError(
            f"{path}: checkpoint format {header.get('format_version')!r}; "
            f"this program reads {FORMAT_VERSION!r}; use the program version that wrote it"
        )
    try:
        checkpoint = _native_checkpoint(path, header, tensors)
        _require_permeability(checkpoint.rho)
    except (KeyError, TypeError, ValueError) as failure:
        raise UserError(f"{path}: damaged header ({failure!r}); use another checkpoint of the run") from None
    stated = header.get("sha256")  # which older files have not
    if stated is not None and _sha256(_with_digest(content, str(stated), _NO_DIGEST)) != stated:
        raise UserError(f"{path}: damaged, its content has changed since it was written; use another checkpoint")
    return checkpoint


def _require_permeability(rho: float) -> None:
    if not 0 <= rho <= 1:
        raise ValueError(f"ρ is {rho}")


def _with_digest(content: bytes, old: str, new: str) -> bytes:
    """The file with another digest in its header. A digest is that of the file with zeros in its own place."""
    return content.replace(old.encode(), new.encode(), 1)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _safetensors_metadata(content: bytes) -> dict[str, str]:
    """The metadata of a safetensors file: the header's length in 8 bytes, then the header in JSON."""
    (length,) = struct.unpack_from("<Q", content)
    return parse_json(content[8 : 8 + length])["__metadata__"]


def _native_checkpoint(path: Path, header: dict[str, Any], tensors: dict[str, Tensor]) -> Checkpoint:
    groups: dict[str, dict[str, Tensor]] = {group: {} for group in TENSORS}
    for name, tensor in tensors.items():
        group, _, rest = name.partition(".")
        groups.setdefault(group, {})[rest] = tensor
    return Checkpoint(
        epoch=int(header["epoch"]),
        epochs_completed=int(header["epochs_completed"]),
        recipe=validate_recipe(header["recipe"], f"{path} (recipe)"),
        state=dict(header["state"]),
        code_version=header["code_version"],
        path=path,
        **{attribute: groups[group] for group, attribute in TENSORS.items()},
    )


def _load_v5_5(path: Path, content: bytes) -> Checkpoint:
    expected = "expected a v5.5 checkpoint (a torch.save dictionary of tensors and plain values)"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong is said below, in one line
            with torch.serialization.safe_globals(_NUMPY_SCALARS):
                saved = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as failure:
        raise UserError(
            f"{path}: refused, it is damaged or holds more than tensors and plain values and could run code; {expected}"
        ) from failure
    except Exception as failure:  # torch's reader fails on damage in many ways, all meaning the same
        raise UserError(f"{path}: truncated or not a torch file; {expected}") from failure
    if not isinstance(saved, dict) or not isinstance(saved.get("model"), dict) or "epoch" not in saved:
        raise UserError(f"{path}: a torch file of another program; {expected}")
    try:
        checkpoint = _v5_5_checkpoint(path, saved)
        _require_permeability(checkpoint.rho)
    except (AttributeError, LookupError, ArithmeticError, RuntimeError, TypeError, ValueError) as failure:
        raise UserError(f"{path}: damaged or not of v5.5 ({failure!r}); {expected}") from None
    return checkpoint


class _NumpyType:
    """What a file says of a numpy scalar's type, without numpy: its code, such as "f8", and its order of bytes."""

    def __init__(self, code: str, *_: Any) -> None:
        self.code = str(code)
        self.order = "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = ">" if state[1] == ">" else "<"


def _numpy_scalar(kind: _NumpyType, content: bytes) -> bool | int | float:
    """A numpy scalar as a plain value.

    Raises:
        UnpicklingError: it is neither number nor truth value.
    """
    if not isinstance(kind, _NumpyType) or kind.code not in _FORMATS or not isinstance(content, bytes):
        raise pickle.UnpicklingError("a numpy scalar that is no number")
    return struct.unpack(kind.order + _FORMATS[kind.code], content)[0]


_FORMATS = {
    "b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q",
    "f2": "e", "f4": "f", "f8": "d",
}  # fmt: skip
"""numpy's code of a type → that of `struct`."""
_NUMPY_SCALARS = [
    (_NumpyType, "numpy.dtype"),
    (_numpy_scalar, "numpy.core.multiarray.scalar"),
    (_numpy_scalar, "numpy._core.multiarray.scalar"),
]
"""What stands for numpy's own functions while a torch file is read: many trainers leave scalars of numpy in theirs,
which are plain values. Nothing of numpy is called with what a file says."""


def _plain(value: Any) -> Any:
    """The value of a tensor without dimensions; anything else as it is."""
    return value.item() if isinstance(value, Tensor) and not value.ndim else value


def _v5_5_checkpoint(path: Path, saved: dict[str, Any]) -> Checkpoint:
    weights = {name: value for name, value in saved["model"].items() if isinstance(value, Tensor)}
    for name, value in weights.items():
        if not isinstance(name, str):
            raise TypeError(f"a tensor's name is {name!r}")
        bool(torch.isfinite(value).all())  # an error for kinds of tensors that no model has, such as float8
    training = {
        f"gradient_norm_{side}": weights.pop(f"grad_norm_{side.upper()}_ema").reshape(())
        for side in ("a", "b")
        if f"grad_norm_{side.upper()}_ema" in weights
    }
    epoch = int(saved["epoch"])
    if epoch < 0:
        raise ValueError(f"the epoch is {epoch}")
    values = {name: _plain(value) for name, value in saved.items()}
    plain = ("lambda1", "lambda2", "lambda3", "rho", "best_val_loss", "grad_balance_achieved")
    return Checkpoint(
        epoch=epoch,
        epochs_completed=epoch + 1,
        recipe=load_recipe("ternary_v5_5"),
        model=weights,
        optimizer=_v5_5_optimizer(saved.get("optimizer"), path),
        training=training,
        # best_val_loss is infinite before the first validation; a native header holds finite numbers only.
        state={
            name: values[name]
            for name in plain
            if isinstance(values.get(name), int | float) and math.isfinite(values[name])
        },
        source="v5.5",
        code_version="v5.5",
        path=path,
    )


def _v5_5_optimizer(optimizer: Any, path: Path) -> dict[str, Tensor]:
    """AdamW's moments under the names of the parameters they belong to. v5.5 numbered parameters in the
    order of the model; its controller came last and has no moments, for it never had a gradient."""
    if not isinstance(optimizer, dict) or not optimizer.get("state"):
        return {}
    with torch.device("meta"):  # names and shapes alone
        parameters = dict(DualVAE().named_parameters())
    order = ("encoder_A.", "decoder_A.", "encoder_B.", "decoder_B.", "state_net.")
    names = [name for prefix in order for name in parameters if name.startswith(prefix)]
    moments: dict[str, Tensor] = {}
    for number, entry in optimizer["state"].items():
        name = names[int(number)]
        for key in ("step", "exp_avg", "exp_avg_sq"):
            tensor = torch.as_tensor(entry[key], dtype=torch.float32)
            if key != "step" and tensor.shape != parameters[name].shape:
                raise UserError(f"{path}: optimizer state of parameter {number} does not fit {name}")
            moments[f"{name}.{key}"] = tensor
    return moments
