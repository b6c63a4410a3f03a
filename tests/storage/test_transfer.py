"""Many tensors at once are as they were one by one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ternary_vae.storage.transfer import copied, on_cpu

FORMATS = [torch.float32, torch.float64, torch.int64, torch.uint8, torch.bool]
shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple)


@given(st.lists(st.tuples(shapes, st.sampled_from(FORMATS), st.booleans()), max_size=8))
def test_copies_are_equal_and_their_own(described):
    tensors = {}
    for number, (shape, format_, transposed) in enumerate(described):
        tensor = (torch.rand(shape) * 100).to(format_)
        tensors[f"{number}"] = tensor.mT if transposed and tensor.ndim >= 2 else tensor
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    for function in (copied, on_cpu):
        actual = function(tensors)
        assert list(actual) == list(tensors)
        for name, tensor in actual.items():
            assert tensor.dtype == tensors[name].dtype
            assert tensor.is_contiguous()
            assert torch.equal(tensor, tensors[name])
    own = copied(tensors)
    for tensor in tensors.values():
        tensor.zero_()
    assert all(torch.equal(own[name], before[name]) for name in tensors)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_from_a_cuda_device():
    shapes = [(3, 4), (), (0, 2), (5,)]
    here = {f"{shape} {kind}": (torch.rand(shape) * 100).to(kind) for shape in shapes for kind in FORMATS}
    there = {name: tensor.cuda() for name, tensor in here.items()} | {"stays": torch.ones(2)}
    for name, tensor in on_cpu(there).items():
        assert tensor.device.type == "cpu"
        assert torch.equal(tensor, here.get(name, torch.ones(2)))
    own = copied(there)
    for tensor in there.values():
        tensor.zero_()
    assert all(own[name].is_cuda and torch.equal(own[name].cpu(), tensor) for name, tensor in here.items())


def test_no_graph_is_carried_along():
    weight = torch.ones(3, requires_grad=True)
    for function in (copied, on_cpu):
        assert not function({"w": weight})["w"].requires_grad
