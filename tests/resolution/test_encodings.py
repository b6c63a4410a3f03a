"""Encodings kept in the tensor cache: the same figures with and without it, and never those of another checkpoint."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ternary_vae.operations import all_operations
from ternary_vae.resolution import encodings
from ternary_vae.resolution.measure import encoded, measure_coupled, measure_isolated
from ternary_vae.resolution.records import CoupledRecord, IsolatedRecord, comparable
from ternary_vae.storage.checkpoints import load_checkpoint
from ternary_vae.storage.tensor_cache import TensorCache

CPU = torch.device("cpu")
Records = tuple[IsolatedRecord, CoupledRecord]


def test_a_benchmark_with_the_cache_gives_the_same_bytes_as_without(
    records: Records, checkpoint_file: Path, tmp_path: Path
) -> None:
    """One benchmark writes the encodings, the other reads them."""
    said: list[str] = []
    store = TensorCache(tmp_path, report=said.append)
    checkpoint = load_checkpoint(checkpoint_file)
    isolated = measure_isolated(checkpoint, cache=store)
    assert len(store.list_cache()) == 2
    coupled = measure_coupled(checkpoint, cache=store)
    assert said == []
    for measured, expected in zip((isolated, coupled), records):
        first, second = comparable(measured), comparable(expected)
        for header in (first["header"], second["header"]):
            del header["environment"]["threads"], header["code_version"]
        assert json.dumps(first) == json.dumps(second)


def test_encodings_are_read_where_they_are_kept(
    checkpoint_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, store = load_checkpoint(checkpoint_file), TensorCache(tmp_path)
    _, expected = encoded(checkpoint, CPU)
    encoded(checkpoint, CPU, store)

    def refuse(*_: object) -> None:
        raise AssertionError("computed again")

    with monkeypatch.context() as patch:
        patch.setattr("ternary_vae.model.DualVAE.encode", refuse)
        _, found = encoded(checkpoint, CPU, store)
        for part, wanted in zip(found, expected):
            assert torch.equal(part, wanted)
            assert part.is_contiguous()
            assert part.data_ptr() % 64 == 0
        other = {name: tensor.clone() for name, tensor in checkpoint.model.items()}
        other["encoder_A.fc_mu.bias"] += 1
        with pytest.raises(AssertionError, match="computed again"):
            encoded(replace(checkpoint, model=other, content_hash=""), CPU, store)
        patch.setattr(encodings, "code_fingerprint", lambda: "another version")
        with pytest.raises(AssertionError, match="computed again"):
            encoded(checkpoint, CPU, store)


def test_what_is_missing_or_damaged_is_computed_again(checkpoint_file: Path, tmp_path: Path) -> None:
    said: list[str] = []
    checkpoint, store = load_checkpoint(checkpoint_file), TensorCache(tmp_path, report=said.append)
    _, expected = encoded(checkpoint, CPU, store)
    key_a, key_b = (encodings.encodings_key(side, checkpoint) for side in ("A", "B"))
    made_from = encodings.encodings_made_from(checkpoint, CPU)
    path = store.path(key_a, made_from)
    path.write_bytes(path.read_bytes()[:-1000])
    store.remove(key_b, made_from=made_from)
    _, found = encoded(checkpoint, CPU, store)
    assert all(torch.equal(part, wanted) for part, wanted in zip(found, expected))
    assert len(said) == 1
    assert "set aside" in said[0]
    for key, pair in ((key_a, expected[:2]), (key_b, expected[2:])):
        kept = store.load(key, made_from=made_from)
        assert kept is not None
        assert torch.equal(kept[0], torch.stack(pair))


def test_the_table_of_all_operations_is_kept_when_asked_for(tmp_path: Path) -> None:
    store = TensorCache(tmp_path)
    encodings.keep_operations(store)
    found = store.load(encodings.OPERATIONS_KEY, made_from={"code": encodings.code_fingerprint()})
    assert found is not None
    assert torch.equal(found[0], all_operations())
    assert store.list_cache()[0].metadata["remake"] == "python scripts/cache/regenerate_ops.py"


def test_a_cache_that_cannot_be_used_stops_nothing(checkpoint_file: Path, tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    checkpoint = load_checkpoint(checkpoint_file)
    _, found = encoded(checkpoint, CPU, TensorCache(tmp_path / "link", report=said.append))
    assert torch.equal(found.mu_a, encoded(checkpoint, CPU)[1].mu_a)
    assert len(said) == 1
    assert said[0].endswith("going on without the tensor cache")
    assert list((tmp_path / "real").iterdir()) == []
