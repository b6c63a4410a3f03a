"""Native checkpoints keep every bit; damaged, foreign and malicious files are refused in one line."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save as safetensors_bytes

from ternary_vae.errors import UserError
from ternary_vae.model import DualVAE
from ternary_vae.operations import all_operations
from ternary_vae.recipe import load_recipe
from ternary_vae.storage import checkpoints
from ternary_vae.storage.checkpoints import (
    Checkpoint,
    checkpoint_bytes,
    load_checkpoint,
    load_model,
    model_of,
    save_checkpoint,
)
from v5_5_files import v5_5_content


def example(injection="translated", adaptive=True, seed=0):
    """A checkpoint with something of every kind, odd numbers included."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = DualVAE(injection, adaptive)
    recipe = load_recipe(
        "ternary_v5_5", overrides={"model.injection": injection, "permeability.adaptive": adaptive}, seed=7
    )
    name = "encoder_A.fc_mu.weight"
    return Checkpoint(
        epoch=120,
        epochs_completed=120,
        recipe=recipe,
        model=model.state_dict(),
        optimizer={
            f"{name}.exp_avg": torch.randn(16, 64, generator=generator) * 1e-30,
            f"{name}.step": torch.tensor(5187.0),
        },
        generators={"cpu": generator.get_state()},
        training={
            "odd": torch.tensor([float("nan"), float("inf"), -0.0, 1e-45]),
            "table": torch.arange(6, dtype=torch.int16).reshape(2, 3).T,  # not contiguous
            "flag": torch.tensor(True),
            "none": torch.zeros(0, 16, dtype=torch.float64),
        },
        state={"rho": 0.1 + 0.2, "gate_open": False, "last": None, "guards": {"λ": [1, 2.5e-17]}},
        code_version="1.2.3+abc",
    )


def bits(tensor):
    return tensor.dtype, tuple(tensor.shape), tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def same_bits(first, second):
    return {name: bits(tensor) for name, tensor in first.items()} == {
        name: bits(tensor) for name, tensor in second.items()
    }


def refusal(path):
    with pytest.raises(UserError) as caught:
        load_model(path)
    message = str(caught.value)
    assert str(path) in message
    return message


class TestNative:
    def test_round_trip_is_exact(self, tmp_path):
        saved = example()
        save_checkpoint(tmp_path / "epoch_120.safetensors", saved)
        loaded = load_checkpoint(tmp_path / "epoch_120.safetensors")
        for group in ("model", "optimizer", "generators", "training"):
            assert same_bits(getattr(saved, group), getattr(loaded, group)), group
        assert loaded.state == saved.state
        assert loaded.recipe == saved.recipe
        assert (loaded.epoch, loaded.epochs_completed, loaded.source) == (120, 120, "native")
        assert loaded.code_version == "1.2.3+abc"
        assert loaded.rho == 0.1 + 0.2

    def test_the_same_state_gives_the_same_bytes_in_any_order(self):
        saved = example()
        expected = checkpoint_bytes(saved)
        assert checkpoint_bytes(example()) == expected
        saved.training = dict(reversed(saved.training.items()))
        saved.model = dict(reversed(saved.model.items()))
        assert checkpoint_bytes(saved) == expected

    def test_saving_what_was_loaded_gives_the_same_bytes(self, tmp_path):
        path = tmp_path / "latest.safetensors"
        save_checkpoint(path, example())
        assert checkpoint_bytes(load_checkpoint(path)) == path.read_bytes()

    def test_another_state_gives_other_bytes_and_another_hash(self, tmp_path):
        save_checkpoint(tmp_path / "a.safetensors", example(seed=0))
        save_checkpoint(tmp_path / "b.safetensors", example(seed=1))
        first, second = (load_checkpoint(tmp_path / f"{name}.safetensors") for name in "ab")
        assert first.content_hash != second.content_hash
        assert len(first.content_hash) == 64

    def test_random_numbers_go_on_where_they_were(self, tmp_path):
        generator = torch.Generator().manual_seed(3)
        torch.randn(5, generator=generator)
        saved = example()
        saved.generators = {"cpu": generator.get_state()}
        save_checkpoint(tmp_path / "x.safetensors", saved)
        expected = torch.randn(5, generator=generator)
        other = torch.Generator()
        other.set_state(load_checkpoint(tmp_path / "x.safetensors").generators["cpu"])
        assert torch.equal(torch.randn(5, generator=other), expected)

    @pytest.mark.parametrize(
        ("injection", "adaptive"), [("plain", False), ("plain", True), ("translated", False), ("translated", True)]
    )
    def test_model_is_rebuilt_as_the_recipe_says(self, tmp_path, injection, adaptive):
        saved = example(injection, adaptive)
        save_checkpoint(tmp_path / "x.safetensors", saved)
        model, checkpoint = load_model(tmp_path / "x.safetensors")
        assert same_bits(model.state_dict(), saved.model)
        assert model.permeability == checkpoint.rho == saved.state["rho"]
        assert not model.training

    def test_tensors_that_share_memory_are_saved(self, tmp_path):
        saved = example()
        both = torch.randn(2, 3)
        saved.training = {"first": both[0], "second": both[1], "again": both[0]}
        path = tmp_path / "x.safetensors"
        save_checkpoint(path, saved)
        assert same_bits(load_checkpoint(path).training, saved.training)

    def test_a_header_holds_finite_numbers_only(self):
        saved = example()
        saved.state = {"rho": float("nan")}
        with pytest.raises(ValueError, match="not JSON compliant"):
            checkpoint_bytes(saved)

    def test_a_failed_write_leaves_the_old_checkpoint(self, tmp_path, monkeypatch):
        path = tmp_path / "latest.safetensors"
        save_checkpoint(path, example(seed=0))
        before = path.read_bytes()

        def full(*arguments):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match="no space left"):
            save_checkpoint(path, example(seed=1))
        monkeypatch.undo()
        assert path.read_bytes() == before
        assert os.listdir(tmp_path) == [path.name]

    def test_weights_that_do_not_fit_or_are_not_finite(self, tmp_path):
        wrong = example("plain", False)
        wrong.recipe = load_recipe("ternary_v5_5", overrides={"model.injection": "translated"})
        with pytest.raises(UserError, match="do not fit the model: Missing key"):
            model_of(wrong)
        broken = example("plain", False)
        broken.model["decoder_A.decoder.0.bias"][3] = float("nan")
        save_checkpoint(tmp_path / "x.safetensors", broken)
        assert "NaN or infinity" in refusal(tmp_path / "x.safetensors")


@pytest.fixture(scope="module")
def content():
    return checkpoint_bytes(example())


@pytest.mark.parametrize("name", ["epoch_120.safetensors", "epoch_20.pt"])
def test_loading_draws_no_random_numbers(name, tmp_path):
    if name.endswith(".pt"):
        torch.save(v5_5_content()[0], tmp_path / name)
    else:
        save_checkpoint(tmp_path / name, example())
    before = torch.random.get_rng_state()
    load_model(tmp_path / name)
    assert torch.equal(torch.random.get_rng_state(), before)


class TestDamagedNative:
    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "epoch_3.safetensors"

    def test_missing_directory_and_unreadable(self, tmp_path, monkeypatch):
        assert "not found" in refusal(tmp_path / "none.safetensors")
        assert "is a directory; name one file in it" in refusal(tmp_path)
        (tmp_path / "config.json").touch()
        (tmp_path / "model.safetensors").touch()
        assert "is a saved model" in refusal(tmp_path)
        (tmp_path / "run.json").touch()
        assert f"is a run; name one of its checkpoints, in {tmp_path / 'checkpoints'}" in refusal(tmp_path)
        (tmp_path / "x.safetensors").write_bytes(b"")

        def closed(*arguments):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(checkpoints.Path, "read_bytes", closed)
        assert "no permission" in refusal(tmp_path / "x.safetensors")

    def test_cut_at_every_kind_of_place(self, path, content):
        header = int.from_bytes(content[:8], "little")
        cuts = [0, 1, 4, 7, 8, 9, 100, header // 2, 8 + header - 1, 8 + header, 8 + header + 1]
        for cut in [*cuts, len(content) // 2, len(content) - 1]:
            path.write_bytes(content[:cut])
            assert "truncated or not a checkpoint" in refusal(path), cut

    def test_more_than_there_should_be(self, path, content):
        path.write_bytes(content + b"\0")
        assert "truncated or not a checkpoint" in refusal(path)

    def test_a_byte_changed_in_the_header_is_refused_or_changes_nothing(self, path, content):
        path.write_bytes(content)
        whole = load_checkpoint(path)
        header = int.from_bytes(content[:8], "little")
        chance = random.Random(0)
        refused = 0
        for _ in range(150):
            damaged = bytearray(content)
            damaged[chance.randrange(8 + header)] = chance.randrange(256)
            path.write_bytes(damaged)
            try:
                actual = load_checkpoint(path)
            except UserError:
                refused += 1
                continue
            assert (actual.recipe, actual.state, actual.epoch) == (whole.recipe, whole.state, whole.epoch)
            assert same_bits(actual.model, whole.model)
        assert refused > 130

    def test_a_bit_flipped_in_a_tensor_is_refused(self, path, content):
        start = 8 + int.from_bytes(content[:8], "little")
        chance = random.Random(1)
        for place in [start, len(content) - 1, *(chance.randrange(start, len(content)) for _ in range(20))]:
            damaged = bytearray(content)
            damaged[place] ^= 1 << chance.randrange(8)
            path.write_bytes(damaged)
            assert "its content has changed since it was written" in refusal(path), place

    def test_tensors_that_have_changed_places_are_refused(self, path, content):
        """Every byte is there, under another name of the same length."""
        path.write_bytes(content.replace(b'"model.encoder_A.', b'"model.encoder_X.'
                                         ).replace(b'"model.encoder_B.', b'"model.encoder_A.'
                                         ).replace(b'"model.encoder_X.', b'"model.encoder_B.'))  # fmt: skip
        assert "its content has changed" in refusal(path)

    def test_a_file_from_before_there_was_a_checksum_is_read(self, path):
        saved = example()
        tensors = checkpoints.tensors_of_bytes(checkpoint_bytes(saved))
        header = json.loads(checkpoints._safetensors_metadata(checkpoint_bytes(saved))["checkpoint"])
        assert len(header.pop("sha256")) == 64
        path.write_bytes(safetensors_bytes(tensors, metadata={"checkpoint": json.dumps(header)}))
        loaded = load_checkpoint(path)
        assert same_bits(loaded.model, saved.model)
        assert loaded.state == saved.state

    @pytest.mark.parametrize(("rho", "read"), [(None, 0.0), (1, 1.0), ("x", None), (1.5, None), ([], 0.0), ([1], None)])
    def test_a_permeability_that_is_no_number(self, path, rho, read):
        """In a file from before there was a checksum, which a changed header would not fit."""
        tensors = checkpoints.tensors_of_bytes(checkpoint_bytes(example()))
        header = json.loads(checkpoints._safetensors_metadata(checkpoint_bytes(example()))["checkpoint"])
        header = {**header, "sha256": None, "state": {**header["state"], "rho": rho}}
        path.write_bytes(safetensors_bytes(tensors, metadata={"checkpoint": json.dumps(header)}))
        if read is None:
            assert "damaged header" in refusal(path)
        else:
            assert load_checkpoint(path).rho == read

    def test_foreign_safetensors(self, path):
        weights = {"model.x": torch.zeros(3)}
        for metadata in (None, {}, {"format": "pt"}, {"checkpoint": "no JSON"}, {"checkpoint": "[1]"}):
            path.write_bytes(safetensors_bytes(weights, metadata=metadata))
            assert "another program" in refusal(path), metadata
        path.write_bytes(safetensors_bytes(weights, metadata={"checkpoint": '{"format": "another"}'}))
        assert "another program" in refusal(path)

    def test_another_format_version(self, path):
        header = {"format": checkpoints.FORMAT, "format_version": "99"}
        path.write_bytes(safetensors_bytes({}, metadata={"checkpoint": json.dumps(header)}))
        assert "format '99'; this program reads '1'" in refusal(path)

    @pytest.mark.parametrize(
        "change",
        [{"epoch": None}, {"epoch": "x"}, {"epochs_completed": []}, {"state": 5}, {"recipe": None}, {"recipe": {}}],
        ids=str,
    )
    def test_a_header_with_something_wrong_in_it(self, path, content, change):
        header = json.loads(checkpoints._safetensors_metadata(content)["checkpoint"]) | change
        path.write_bytes(safetensors_bytes({}, metadata={"checkpoint": json.dumps(header)}))
        told = refusal(path)
        assert "damaged header" in told or "recipe" in told, told

    @pytest.mark.parametrize("missing", ["epoch", "epochs_completed", "state", "recipe", "code_version"])
    def test_a_header_with_something_missing(self, path, content, missing):
        header = json.loads(checkpoints._safetensors_metadata(content)["checkpoint"])
        del header[missing]
        path.write_bytes(safetensors_bytes({}, metadata={"checkpoint": json.dumps(header)}))
        assert "damaged header" in refusal(path)

    def test_a_recipe_of_a_later_program_names_the_key(self, path):
        saved = example("plain", False)
        content = checkpoint_bytes(saved)
        header = json.loads(checkpoints._safetensors_metadata(content)["checkpoint"])
        header["recipe"]["beta"]["gamma"] = 1
        path.write_bytes(safetensors_bytes(saved.model, metadata={"checkpoint": json.dumps(header)}))
        assert "unknown key 'beta.gamma'" in refusal(path)

    def test_hash_is_of_the_bytes_that_were_read(self, path, monkeypatch):
        """A run may replace `latest` between two reads of it; the file is read once."""
        save_checkpoint(path, example(seed=0))
        first = path.read_bytes()
        second = example(seed=1)
        real = checkpoints.Path.read_bytes
        reads = []

        def read_then_replace(self):
            content = real(self)
            reads.append(self)
            save_checkpoint(path, second)
            return content

        monkeypatch.setattr(checkpoints.Path, "read_bytes", read_then_replace)
        loaded = load_checkpoint(path)
        monkeypatch.undo()
        assert len(reads) == 1
        assert checkpoint_bytes(loaded) == first


class Marker:
    """Unpickling this would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


class TestMalicious:
    @pytest.mark.parametrize("zipped", [True, False])
    @pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
    @pytest.mark.parametrize("place", ["whole", "model", "plain"])
    def test_nothing_is_ever_run(self, tmp_path, suffix, zipped, place):
        marker = Marker(tmp_path / "marker")
        content = {
            "whole": marker,
            "model": {"epoch": 3, "model": {"x": torch.zeros(2), "y": marker}},
            "plain": {"epoch": 3, "model": DualVAE().state_dict(), "rho": marker},
        }[place]
        path = tmp_path / f"evil{suffix}"
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        message = refusal(path)
        assert not marker.path.exists()
        if zipped or suffix != ".safetensors":
            assert "could run code" in message
        else:
            assert "not a checkpoint" in message

    @pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
    def test_a_plain_pickle_is_not_run(self, tmp_path, suffix):
        marker = Marker(tmp_path / "marker")
        path = tmp_path / f"evil{suffix}"
        path.write_bytes(pickle.dumps({"epoch": 3, "model": marker}))
        refusal(path)
        assert not marker.path.exists()

    def test_the_marker_would_have_been_made(self, tmp_path):
        pickle.loads(pickle.dumps(Marker(tmp_path / "marker")))
        assert (tmp_path / "marker").is_dir()


def renamed(content, old, new, zipped):
    """A torch file whose pickle names a module otherwise."""
    if not zipped:
        return content.replace(old, new)
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(result, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(old, new))
    return result.getvalue()


@pytest.fixture(scope="module")
def made():
    """A v5.5 file's content, its model, and AdamW's moments by parameter name."""
    return v5_5_content()


class TestVersion5_5:
    @pytest.fixture
    def path(self, made, tmp_path):
        torch.save(made[0], tmp_path / "epoch_20.pt")
        return tmp_path / "epoch_20.pt"

    def test_everything_that_is_needed_is_read(self, path, made):
        _, model, _ = made
        checkpoint = load_checkpoint(path)
        assert (checkpoint.epoch, checkpoint.epochs_completed) == (20, 21)
        assert checkpoint.source == "v5.5"
        assert checkpoint.recipe == load_recipe("ternary_v5_5")
        assert same_bits(checkpoint.model, model.state_dict())
        assert checkpoint.rho == 0.1
        assert checkpoint.state == {
            "lambda1": 0.95,
            "lambda2": 0.5,
            "lambda3": 0.43,
            "rho": 0.1,
            "grad_balance_achieved": False,
        }
        assert {name: float(value) for name, value in checkpoint.training.items()} == {
            "gradient_norm_a": 1.25,
            "gradient_norm_b": 0.5,
        }

    def test_moments_belong_to_the_parameters_they_were_measured_on(self, path, made):
        _, model, moments = made
        actual = load_checkpoint(path).optimizer
        trained = [name for name, _ in model.named_parameters() if not name.startswith("state_net.")]
        assert set(moments) == set(trained)
        assert len(trained) == 38
        expected = {
            f"{name}.{key}": moments[name][key] for name in trained for key in ("step", "exp_avg", "exp_avg_sq")
        }
        assert same_bits(actual, expected)

    def test_it_can_be_saved_as_a_native_one(self, path, tmp_path):
        checkpoint = load_checkpoint(path)
        save_checkpoint(tmp_path / "epoch_21.safetensors", checkpoint)
        again = load_checkpoint(tmp_path / "epoch_21.safetensors")
        assert same_bits(again.model, checkpoint.model)
        assert same_bits(again.optimizer, checkpoint.optimizer)

    @pytest.mark.parametrize("rho", [1.5, -0.1, 7])
    def test_a_permeability_that_is_none(self, made, path, rho):
        torch.save({**made[0], "rho": rho}, path)
        message = refusal(path)
        assert "damaged or not of v5.5" in message
        assert f"ρ is {float(rho)}" in message

    @pytest.mark.parametrize(
        "weights",
        [
            {3: torch.ones(1)},
            {"encoder_A.fc_mu.bias": torch.zeros(16).to(torch.float8_e4m3fn)},
            {"encoder_A.fc_mu.bias": torch.zeros(16, device="meta")},
            {"encoder_A.fc_mu.bias": torch.zeros(16).to_sparse()},
        ],
        ids=["name", "float8", "meta", "sparse"],
    )
    def test_weights_that_are_none(self, made, path, weights):
        torch.save({**made[0], "model": {**made[0]["model"], **weights}}, path)
        assert "damaged or not of v5.5" in refusal(path)

    def test_an_epoch_before_the_first(self, made, path):
        torch.save({**made[0], "epoch": -5}, path)
        with pytest.raises(UserError, match=r"damaged or not of v5\.5 .*the epoch is -5"):
            load_checkpoint(path)

    def test_the_older_file_format_is_read_too(self, made, tmp_path):
        path = tmp_path / "legacy.pt"
        torch.save(made[0], path, _use_new_zipfile_serialization=False)
        assert same_bits(load_checkpoint(path).model, made[1].state_dict())

    def test_a_zip_by_another_name_is_read(self, made, tmp_path):
        torch.save(made[0], tmp_path / "renamed.safetensors")
        assert load_checkpoint(tmp_path / "renamed.safetensors").source == "v5.5"

    @pytest.mark.parametrize("zipped", [True, False])
    @pytest.mark.parametrize("module", ["numpy._core.multiarray", "numpy.core.multiarray"])  # of numpy 2, of numpy 1
    def test_scalars_of_numpy_and_tensors_without_dimensions_are_plain(self, made, tmp_path, zipped, module):
        values = {
            "epoch": np.int64(20),
            "lambda1": np.float64(0.95),
            "lambda2": np.float32(0.5),
            "lambda3": torch.tensor(0.25),
            "rho": np.dtype(">f8").type(0.1),
            "best_val_loss": np.float16(1.5),
            "grad_balance_achieved": np.bool_(True),
            "more": [np.uint8(7), OrderedDict(a=torch.Size([3]))],
        }
        written = io.BytesIO()
        torch.save({**made[0], **values}, written, _use_new_zipfile_serialization=zipped)
        path = tmp_path / "epoch_20.pt"
        path.write_bytes(renamed(written.getvalue(), b"numpy._core.multiarray", module.encode(), zipped))
        checkpoint = load_checkpoint(path)
        assert checkpoint.epoch == 20
        assert same_bits(checkpoint.model, made[1].state_dict())
        expected = {"lambda1": 0.95, "lambda2": 0.5, "lambda3": 0.25, "rho": 0.1, "best_val_loss": 1.5}
        assert checkpoint.state == {**expected, "grad_balance_achieved": True}
        assert {type(value) for value in checkpoint.state.values()} == {float, bool}
        checkpoint_bytes(checkpoint)

    def test_either_order_of_bytes(self, made, tmp_path):
        class Scalar:
            def __reduce__(self):
                return np.float64(1).__reduce__()[0], (np.dtype(">f8"), np.array(0.3, ">f8").tobytes())

        torch.save({**made[0], "rho": Scalar()}, tmp_path / "x.pt")
        assert load_checkpoint(tmp_path / "x.pt").rho == 0.3

    @pytest.mark.parametrize("kind", ["objects", "arrays", "text", "dates", "too short", "functions"])
    def test_nothing_else_of_numpy_is_read(self, made, tmp_path, kind):
        scalar = np.float64(1).__reduce__()[0]

        class Odd:
            def __reduce__(self):
                return {
                    "objects": (scalar, (np.dtype("O"), b"")),
                    "text": (scalar, (np.dtype("U1"), b"a\0\0\0")),
                    "dates": (scalar, (np.dtype("M8[s]"), b"\0" * 8)),
                    "too short": (scalar, (np.dtype("f8"), b"\0")),
                    "functions": (np.load, (str(tmp_path / "x.npy"), None, True)),
                    "arrays": np.ones(2).__reduce__(),
                }[kind]

        torch.save({**made[0], "rho": Odd()}, tmp_path / "x.pt")
        assert "expected a v5.5 checkpoint" in refusal(tmp_path / "x.pt")

    def test_without_optimizer(self, made, tmp_path):
        content = {name: value for name, value in made[0].items() if name != "optimizer"}
        torch.save(content, tmp_path / "x.pt")
        assert load_checkpoint(tmp_path / "x.pt").optimizer == {}

    @pytest.mark.parametrize("zipped", [True, False])
    def test_cut_and_damaged_files_are_refused_or_harmless(self, made, tmp_path, zipped):
        whole = io.BytesIO()
        torch.save(made[0], whole, _use_new_zipfile_serialization=zipped)
        content, path = whole.getvalue(), tmp_path / "x.pt"
        for cut in (0, 1, 2, 3, 10, 64, 500, 5000, len(content) // 2, len(content) - 100, len(content) - 1):
            path.write_bytes(content[:cut])
            assert "expected a v5.5 checkpoint" in refusal(path), cut
        chance = random.Random(1)
        refused = 0
        for _ in range(100):
            damaged = bytearray(content)
            for _ in range(3):
                damaged[chance.randrange(8000)] = chance.randrange(256)
            path.write_bytes(damaged)
            try:
                load_model(path)
            except UserError:
                refused += 1
        assert refused > 50

    @pytest.mark.parametrize(
        "content",
        [
            5,
            [1, 2],
            {},
            {"model": {}},
            {"epoch": 3},
            {"epoch": 3, "model": [1]},
            {"epoch": None, "model": {}},
            {"epoch": "three", "model": {}},
            {"epoch": 3, "model": {"weight": torch.zeros(3)}},
            {"epoch": 3, "model": {"grad_norm_A_ema": torch.zeros(3)}},
        ],
        ids=lambda content: str(content)[:40],
    )
    def test_torch_files_of_another_program(self, tmp_path, content):
        torch.save(content, tmp_path / "x.pt")
        refusal(tmp_path / "x.pt")

    @pytest.mark.parametrize(
        "change",
        [
            {"state": [1]},
            {"state": {"a": {}}},
            {"state": {0: {}}},
            {"state": {0: None}},
            {"state": {99: {"step": 1, "exp_avg": torch.zeros(1), "exp_avg_sq": torch.zeros(1)}}},
            {"state": {0: {"step": 1, "exp_avg": torch.zeros(1), "exp_avg_sq": torch.zeros(1)}}},
            {"state": {0: {"step": 1, "exp_avg": "x", "exp_avg_sq": torch.zeros(1)}}},
        ],
        ids=str,
    )
    def test_an_optimizer_state_that_does_not_fit(self, made, tmp_path, change):
        torch.save({**made[0], "optimizer": change}, tmp_path / "x.pt")
        refusal(tmp_path / "x.pt")


REFERENCE = Path(__file__).parents[2] / "../shared/reference/v5_5_epoch_20.pt"


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference checkpoint is not here")
class TestReference:
    """A checkpoint that v5.5 itself wrote."""

    def test_it_reconstructs_what_it_is_known_to(self):
        model, checkpoint = load_model(REFERENCE)
        operations = all_operations()
        exact = {
            vae: int((model.reconstruct(operations, strategy=None, vae=vae) == operations).all(1).sum()) for vae in "AB"
        }
        assert exact == {"A": 549, "B": 19_683}
        assert (checkpoint.epoch, checkpoint.epochs_completed) == (20, 21)
        assert model.permeability == 0.1
        assert checkpoint.state["lambda1"] == pytest.approx(0.95)

    def test_moments_fit_their_parameters_by_shape_and_by_size(self):
        checkpoint = load_checkpoint(REFERENCE)
        parameters = dict(DualVAE().named_parameters())
        names = {name.rpartition(".")[0] for name in checkpoint.optimizer}
        assert names == {name for name in parameters if not name.startswith("state_net.")}
        for name in names:
            for key in ("exp_avg", "exp_avg_sq"):
                assert checkpoint.optimizer[f"{name}.{key}"].shape == parameters[name].shape
            # 21 epochs of ⌈15,746 / 64⌉ = 247 steps.
            assert float(checkpoint.optimizer[f"{name}.step"]) == 21 * 247

        def size(prefix):
            return sum(
                float(tensor.sum())
                for name, tensor in checkpoint.optimizer.items()
                if name.startswith(prefix) and name.endswith("exp_avg_sq")
            )

        # Encoders have equal shapes, so sizes must tell them apart: the file's own averages say that B's
        # gradients have all but vanished beside A's (2e-5 to 1).
        norms = {side: float(checkpoint.training[f"gradient_norm_{side}"]) for side in "ab"}
        assert norms["b"] < 1e-4 * norms["a"]
        assert size("encoder_B.") < 1e-3 * size("encoder_A.")
        assert size("decoder_B.") < 1e-2 * size("decoder_A.")
