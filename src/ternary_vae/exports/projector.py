"""The codes of all gates for TensorBoard's projector, or for projector.tensorflow.org."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ternary_vae.exports.embeddings import codes_of_all, gates_of_all
from ternary_vae.pretrained.networks import SIDES, Networks
from ternary_vae.storage.files import require_absent, write_together

CONFIGURATION, METADATA = "projector_config.pbtxt", "gates.tsv"


def write_projector(networks: Networks, directory: Path) -> None:
    """Writes `codes_a.tsv` and `codes_b.tsv` (a gate a line, 16 numbers), `gates.tsv` (names, properties and classes,
    with a heading) and the configuration with which `tensorboard --logdir DIRECTORY` shows them.

    Raises:
        UserError: one of the files is there already, or they cannot be written.
    """
    directory = Path(directory)
    require_absent(*(directory / name for name in (METADATA, *map(_codes_file, SIDES), CONFIGURATION)))
    texts = {METADATA: _rows(gates_of_all(networks), heading=True)}
    for name, codes in codes_of_all(networks).items():
        if name.startswith("mean_"):
            columns = {str(number): column.tolist() for number, column in enumerate(codes.T)}
            texts[_codes_file(name.removeprefix("mean_"))] = _rows(columns)
    texts[CONFIGURATION] = "\n".join(
        f'embeddings {{\n  tensor_name: "VAE-{vae}"\n  tensor_path: "{_codes_file(vae)}"\n'
        f'  metadata_path: "{METADATA}"\n}}'
        for vae in SIDES
    )
    write_together({directory / name: text + "\n" for name, text in texts.items()}, new=True)


def _codes_file(vae: str) -> str:
    return f"codes_{vae.lower()}.tsv"


def _rows(columns: dict[str, Iterable[Any]], heading: bool = False) -> str:
    rows = ["\t".join(map(str, row)) for row in zip(*columns.values())]
    return "\n".join(["\t".join(columns), *rows] if heading else rows)
