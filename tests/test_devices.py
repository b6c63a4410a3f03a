"""Devices by name, with machines of none, one and several GPUs, and cores under a quota."""

from __future__ import annotations

import pytest
import torch

from ternary_vae import devices
from ternary_vae.devices import choose_device, device_to_go_on_with, granted_cores, require_device_name
from ternary_vae.errors import UserError
from ternary_vae.experiments.task import Task
from ternary_vae.model import DualVAE
from ternary_vae.recipe import load_recipe
from ternary_vae.storage.checkpoints import load_model
from ternary_vae.storage.runs import RunDirectory


@pytest.fixture
def gpus(monkeypatch):
    """A function: how many GPUs the machine has."""

    def have(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return have


@pytest.mark.parametrize("name", ["auto", "cpu", "cuda", "cuda:0", "cuda:12"])
def test_what_a_device_may_be_called(name):
    assert require_device_name(name) == name


@pytest.mark.parametrize("name", ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "CUDA", "cuda:1\n", "mps", "cuda:²"])
def test_what_it_may_not(name):
    with pytest.raises(UserError, match="expected auto, cpu, cuda or cuda:N"):
        choose_device(name)


def test_the_second_of_two(gpus):
    gpus(2)
    assert [choose_device(name) for name in ("auto", "cpu", "cuda", "cuda:0", "cuda:1")] == [
        "cuda", "cpu", "cuda", "cuda:0", "cuda:1",
    ]  # fmt: skip
    assert choose_device(torch.device("cuda", 1)) == "cuda:1"


@pytest.mark.parametrize(
    ("count", "message"), [(2, "has 2 GPUs, cuda:0 to cuda:1"), (1, "has one GPU, cuda:0"), (0, "no CUDA")]
)
def test_a_gpu_that_is_not_there_is_one_line_that_says_what_is(gpus, count, message):
    gpus(count)
    with pytest.raises(UserError, match=message):
        choose_device("cuda:7")


@pytest.mark.parametrize("load", [load_model, DualVAE.from_pretrained])
def test_a_model_is_not_loaded_to_a_gpu_that_is_not_there(load, gpus, tmp_path):
    gpus(0)
    with pytest.raises(UserError, match="--device cuda: this machine or this build of torch has no CUDA"):
        load(tmp_path / "gone", device="cuda")


def test_a_run_goes_on_where_it_was(gpus):
    gpus(2)
    assert [device_to_go_on_with("auto", before) for before in ("cpu", "cuda", "cuda:1", "cuda:5", "x", None)] == [
        "cpu", "cuda", "cuda:1", "cuda", "cuda", "cuda",
    ]  # fmt: skip
    assert device_to_go_on_with("cuda:0", "cuda:1") == "cuda:0"
    gpus(0)
    assert device_to_go_on_with("auto", "cuda:1") == "cpu"


@pytest.mark.parametrize(
    ("begun_on", "device", "own"),
    [("cpu", "auto", "cpu"), ("cuda:1", "auto", "cuda:1"), ("cuda", "auto", "auto"), ("cpu", "cuda:1", "cuda:1")],
)
def test_runs_of_an_experiment_are_bundled_by_where_they_were_begun(tmp_path, begun_on, device, own):
    RunDirectory(tmp_path).create(load_recipe(), {"device": begun_on})
    assert Task("a", load_recipe(), str(tmp_path), "", "", device=device).own_device == own


@pytest.mark.parametrize(
    ("threads", "cores", "granted", "left"), [(8, 8, 2, 2), (1, 8, 2, 1), (8, 8, 8, 8), (16, 8, 8, 16), (4, 4, 8, 4)]
)
def test_threads_follow_a_quota_and_nothing_else(monkeypatch, threads, cores, granted, left):
    """More threads than cores, where somebody has asked for them and there is no quota, stay."""
    number = [threads]
    monkeypatch.setattr(torch, "get_num_threads", lambda: number[0])
    monkeypatch.setattr(torch, "set_num_threads", lambda count: number.__setitem__(0, count))
    monkeypatch.setattr(devices, "_cores", lambda: cores)
    monkeypatch.setattr(devices, "granted_cores", lambda: granted)
    assert choose_device("cpu") == "cpu"
    assert number == [left]


def test_a_number_of_cores_that_is_none_is_one_line(monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "many")
    with pytest.raises(UserError, match="LOKY_MAX_CPU_COUNT='many': expected a number"):
        granted_cores()
