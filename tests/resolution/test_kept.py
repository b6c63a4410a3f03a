"""What benchmarks keep in the tensor cache: the same figures with and without it, and never those of another
checkpoint."""

from __future__ import annotations

import io
import json
import platform
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ternary_vae.errors import UserError
from ternary_vae.operations import all_operations
from ternary_vae.resolution import isolated, kept, measure
from ternary_vae.resolution.kept import DISTANCES, ENCODINGS, PURPOSES, UNDER_NOISE, WRONG_ENTRIES, Kept, save_kept
from ternary_vae.resolution.measure import (
    answers,
    encoded,
    keepable_tensors,
    measure_both,
    measure_coupled,
    measure_isolated,
)
from ternary_vae.resolution.records import CoupledRecord, IsolatedRecord, comparable
from ternary_vae.storage.checkpoints import load_checkpoint, save_checkpoint
from ternary_vae.storage.tensor_cache import TensorCache

CPU = torch.device("cpu")
Records = tuple[IsolatedRecord, CoupledRecord]


def refuse(*_: object) -> None:
    raise AssertionError("computed again")


@pytest.mark.usefixtures("few_draws")
def test_a_benchmark_that_reads_everything_gives_the_same_bytes_as_one_that_computes_it(
    small_checkpoint_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    store, filled = TensorCache(tmp_path / "made", report=said.append), TensorCache(tmp_path / "filled")
    checkpoint = load_checkpoint(small_checkpoint_file)
    computed = measure_isolated(checkpoint, cache=filled), measure_coupled(checkpoint)
    names = {entry.key.partition("_epoch3-")[0] for entry in filled.list_cache()}
    assert names == {*ENCODINGS.values(), *DISTANCES.values(), WRONG_ENTRIES}
    kept = Kept(checkpoint, CPU)
    model, posteriors = encoded(kept)
    keepable = keepable_tensors(model, posteriors, kept.operations)
    assert list(keepable) == list(PURPOSES)
    assert answers(model, {"with gradients": torch.is_grad_enabled}, CPU) == {"with gradients": False}
    for name, tensor in answers(model, keepable, CPU).items():
        save_kept(store, checkpoint, CPU, name, tensor)
    before = {path.name: path.stat().st_mtime_ns for path in store.directory.iterdir()}
    monkeypatch.setattr(isolated, "wrong_entries", refuse)
    monkeypatch.setattr(isolated, "pair_distances", refuse)
    started = time.perf_counter()
    measured = measure_both(checkpoint, cache=store)
    assert sum(record.header.elapsed_seconds for record in measured) < time.perf_counter() - started
    assert said == []
    assert {path.name: path.stat().st_mtime_ns for path in store.directory.iterdir()} == before
    for one, another in zip(measured, computed):
        assert one.space == checkpoint.recipe.space
        assert json.dumps(comparable(one)) == json.dumps(comparable(another))


@pytest.mark.usefixtures("few_draws")
def test_noise_is_read_only_where_it_is_that_of_the_seed(small_checkpoint_file: Path, tmp_path: Path) -> None:
    checkpoint, store = load_checkpoint(small_checkpoint_file), TensorCache(tmp_path)
    save_kept(store, checkpoint, CPU, UNDER_NOISE, torch.tensor([7]))
    kept = Kept(checkpoint, CPU, store)
    answered = encoded(kept)
    for seed, counts in ((0, 1), (1, 4 * 256)):
        assert measure._coupled(kept, *answered, seed).parts[UNDER_NOISE]().numel() == counts


def test_encodings_are_read_where_they_are_kept(
    checkpoint_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, store = load_checkpoint(checkpoint_file), TensorCache(tmp_path)
    _, expected = encoded(Kept(checkpoint, CPU))
    encoded(Kept(checkpoint, CPU, store))
    with monkeypatch.context() as patch:
        patch.setattr("ternary_vae.model.DualVAE.encode", refuse)
        _, found = encoded(Kept(checkpoint, CPU, store))
        for part, wanted in zip(found, expected):
            assert torch.equal(part, wanted)
            assert part.is_contiguous()
            assert part.data_ptr() % 64 == 0
        other = {name: tensor.clone() for name, tensor in checkpoint.model.items()}
        other["encoder_A.fc_mu.bias"] += 1
        with pytest.raises(AssertionError, match="computed again"):
            encoded(Kept(replace(checkpoint, model=other), CPU, store))
        with patch.context() as rougher:
            rougher.setattr(torch, "get_float32_matmul_precision", lambda: "medium")
            with pytest.raises(AssertionError, match="computed again"):
                encoded(Kept(checkpoint, CPU, store))
        patch.setattr(kept, "code_fingerprint", lambda: "another version")
        with pytest.raises(AssertionError, match="computed again"):
            encoded(Kept(checkpoint, CPU, store))


def test_a_changed_checkpoint_has_the_hash_of_the_file_that_it_would_be(checkpoint_file: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(checkpoint_file)
    changed = replace(checkpoint, model={name: -tensor for name, tensor in checkpoint.model.items()})
    save_checkpoint(tmp_path / "changed.safetensors", changed)
    assert kept.checkpoint_hash(changed) == load_checkpoint(tmp_path / "changed.safetensors").content_hash
    assert kept.checkpoint_hash(changed) != kept.checkpoint_hash(checkpoint)
    checkpoint.content_hash = "that of a v5.5 file"
    assert kept.checkpoint_hash(checkpoint) == "that of a v5.5 file"


def test_what_is_missing_or_damaged_is_computed_again(checkpoint_file: Path, tmp_path: Path) -> None:
    said: list[str] = []
    checkpoint, store = load_checkpoint(checkpoint_file), TensorCache(tmp_path, report=said.append)
    _, expected = encoded(Kept(checkpoint, CPU, store))
    key_a, key_b = (kept.kept_key(name, checkpoint) for name in ENCODINGS.values())
    made_from = kept.kept_made_from(checkpoint, CPU)
    path = store.path(key_a, made_from)
    path.write_bytes(path.read_bytes()[:-1000])
    store.remove(key_b, made_from=made_from)
    _, found = encoded(Kept(checkpoint, CPU, store))
    assert all(torch.equal(part, wanted) for part, wanted in zip(found, expected))
    assert len(said) == 1
    assert "set aside" in said[0]
    for key, pair in ((key_a, expected[:2]), (key_b, expected[2:])):
        loaded = store.load(key, made_from=made_from)
        assert loaded is not None
        assert torch.equal(loaded[0], torch.stack(pair))


def test_a_task_computes_once_and_is_read_from_then_on(checkpoint_file: Path, tmp_path: Path) -> None:
    """Nothing is written before the tasks are done, by whatever threads they ran in."""
    checkpoint, store = load_checkpoint(checkpoint_file), TensorCache(tmp_path)
    wrong = torch.arange(6, dtype=torch.int8).reshape(2, 3)
    first = Kept(checkpoint, CPU, store)
    assert torch.equal(first.task(WRONG_ENTRIES, lambda: wrong)(), wrong)
    assert store.list_cache() == []
    first.keep_computed()
    assert torch.equal(Kept(checkpoint, CPU, store).task(WRONG_ENTRIES, refuse)(), wrong)  # type: ignore[arg-type]
    (entry,) = store.list_cache()
    assert entry.key.startswith("wrong_entries_epoch3-")
    assert entry.metadata["remake"] == f"ternary-vae cache build {checkpoint_file}"
    remade = [
        kept.described_entry(ENCODINGS["B"], each).get("remake")
        for each in (checkpoint, replace(checkpoint, path=None))
    ]
    command = "python scripts/cache/encode_all.py --vae B --epoch 3"
    assert remade == [f"{command} --checkpoint {checkpoint_file}", command]
    before = store.path(entry.key).stat().st_mtime_ns
    first.keep_computed()
    assert store.path(entry.key).stat().st_mtime_ns == before


def test_what_one_device_computed_is_not_read_on_another(
    checkpoint_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Devices round differently. What a CUDA device would be asked for is watched; there need not be one."""
    checkpoint, store = load_checkpoint(checkpoint_file), TensorCache(tmp_path)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"accelerator {device.index}")
    wrong, asked = torch.zeros(2, 3, dtype=torch.int8), []
    device = torch.device("cuda:1")
    save_kept(store, checkpoint, device, WRONG_ENTRIES, wrong)
    assert store.list_cache()[0].made_from["machine"] == "accelerator 1"
    assert Kept(checkpoint, CPU, store).recall(WRONG_ENTRIES) is None
    assert Kept(checkpoint, torch.device("cuda:0"), store).recall(WRONG_ENTRIES) is None
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, place: asked.append(place) or tensor)
    assert torch.equal(Kept(checkpoint, device, store).recall(WRONG_ENTRIES), wrong)
    assert asked == [device]


@pytest.mark.parametrize(
    ("told", "name"), [("flags : fpu\nmodel name\t: Maker: No. 7\nmodel name\t: No. 8\n", "Maker: No. 7"), ("", "ARM")]
)
def test_a_processor_is_known_by_its_model(told: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or, where Linux does not tell it, by its kind."""
    monkeypatch.setattr(platform, "processor", lambda: "ARM")
    monkeypatch.setattr(kept, "open", lambda path, **_: io.StringIO(told), raising=False)
    assert kept.machine.__wrapped__(CPU) == f"cpu {platform.machine()} {torch.backends.cpu.get_cpu_capability()} {name}"


def test_encodings_that_are_not_finite_are_not_kept(checkpoint_file: Path, tmp_path: Path) -> None:
    checkpoint, store = load_checkpoint(checkpoint_file), TensorCache(tmp_path)
    overflowing = {name: torch.full_like(tensor, 1e30) for name, tensor in checkpoint.model.items()}
    with pytest.raises(UserError, match="NaN or infinity"):
        encoded(Kept(replace(checkpoint, model=overflowing), CPU, store))
    assert store.list_cache() == []


def test_the_fingerprint_follows_all_code_that_a_kept_tensor_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = Path(kept.__file__).parents[1]
    before = kept.code_fingerprint()
    names = ("operations.py", "pretrained/codes.py", "storage/checkpoints.py", "model/networks.py")
    for name in (*names, "resolution/isolated.py"):
        copy = tmp_path / name.replace("/", "_")
        for path in package.rglob("*.py"):
            place = copy / path.relative_to(package)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
        monkeypatch.setattr(kept, "__file__", str(copy / "resolution" / "kept.py"))
        assert kept.code_fingerprint.__wrapped__() == before
        with open(copy / name, "a") as file:
            file.write("# changed\n")
        assert kept.code_fingerprint.__wrapped__() != before


def test_the_table_of_all_operations_is_kept_when_asked_for(tmp_path: Path) -> None:
    store = TensorCache(tmp_path)
    kept.keep_operations(store)
    found = store.load(kept.OPERATIONS_KEY, made_from={"code": kept.code_fingerprint()})
    assert found is not None
    assert torch.equal(found[0], all_operations())
    assert store.list_cache()[0].metadata["remake"] == "python scripts/cache/regenerate_ops.py"


def test_a_cache_that_cannot_be_used_stops_nothing(checkpoint_file: Path, tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    checkpoint = load_checkpoint(checkpoint_file)
    _, found = encoded(Kept(checkpoint, CPU, TensorCache(tmp_path / "link", report=said.append)))
    assert torch.equal(found.mu_a, encoded(Kept(checkpoint, CPU))[1].mu_a)
    assert len(said) == 1
    assert said[0].endswith("going on without the tensor cache")
    assert list((tmp_path / "real").iterdir()) == []
