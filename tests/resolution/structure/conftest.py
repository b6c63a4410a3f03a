"""One record of a checkpoint with random weights, measured once."""

from __future__ import annotations

from pathlib import Path

import pytest

from ternary_vae.resolution.structure.measure import measure_structure
from ternary_vae.resolution.structure.records import StructureRecord
from ternary_vae.storage.checkpoints import load_checkpoint


@pytest.fixture(scope="session")
def record(checkpoint_file: Path) -> StructureRecord:
    return measure_structure(load_checkpoint(checkpoint_file))
