"""The codes of all gates, beside their names, properties and classes, as one file."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float32

from ternary_vae.errors import UserError, not_installed, shown
from ternary_vae.formats import rough
from ternary_vae.gates.frame import gate_columns
from ternary_vae.pretrained.networks import SIDES, Networks
from ternary_vae.space import MOST_LISTED, Space
from ternary_vae.storage.files import require_absent, write_atomically

FORMATS = (".parquet", ".npz", ".csv")


def codes_of_all(networks: Networks) -> dict[str, Float32[np.ndarray, "n latent"]]:
    """Means and variances of all gates: `mean_a`, `variance_a`, `mean_b`, `variance_b`."""
    space = listed_space(networks)
    tables = space.table(np.arange(space.operations))
    codes: dict[str, Float32[np.ndarray, "n latent"]] = {}
    for vae in SIDES:
        codes[f"mean_{vae.lower()}"], logvar = networks.encode(tables, vae)
        codes[f"variance_{vae.lower()}"] = np.exp(logvar)
    return codes


def listed_space(networks: Networks) -> Space:
    """The space of a model, if its gates can be listed.

    Raises:
        UserError: there are too many.
    """
    if not networks.space.is_enumerable(MOST_LISTED):
        raise UserError(
            f"{networks.place}: there are {rough(networks.space.operations)} gates of {networks.space}, too many to "
            "write each; take the codes that you need from FrozenEncoder"
        )
    return networks.space


def gates_of_all(networks: Networks) -> dict[str, Any]:
    """Index, names, properties and classes of all gates, a column each."""
    space = listed_space(networks)
    return {"index": np.arange(space.operations), **gate_columns(space)}


def write_embeddings(networks: Networks, path: Path) -> None:
    """Writes the codes of all gates. The suffix is the format: in .npz each part of `codes_of_all` is a matrix, in
    .parquet and .csv each dimension is a column (`mean_a_0`, …), and so is each column of `gates.data_frame`.

    Raises:
        UserError: another suffix, a file that is there already, or pyarrow is needed and not installed.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise UserError(f"{path}: suffix {shown(path.suffix)} is no format; expected {', '.join(FORMATS)}")
    require_absent(path, instead="file")
    parquet = _pyarrow() if path.suffix == ".parquet" else None
    gates, codes = gates_of_all(networks), codes_of_all(networks)
    if path.suffix == ".npz":
        arrays = {name: np.asarray(column) for name, column in gates.items()} | codes
        write_atomically(path, lambda file: np.savez_compressed(file, **arrays), new=True)
        return
    columns = {**gates, **_flat(codes)}
    if parquet is None:
        write_atomically(path, lambda file: _write_csv(file, columns), new=True)
    else:
        write_atomically(path, lambda file: parquet.parquet.write_table(parquet.table(columns), file), new=True)


def _flat(codes: dict[str, Float32[np.ndarray, "n d"]]) -> dict[str, Float32[np.ndarray, " n"]]:
    return {
        f"{name}_{number}": np.ascontiguousarray(column)
        for name, matrix in codes.items()
        for number, column in enumerate(matrix.T)
    }


def _write_csv(file: BinaryIO, columns: dict[str, Any]) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values()))
    text.detach()


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise not_installed("Parquet", "pyarrow", "export") from None
    return pyarrow
