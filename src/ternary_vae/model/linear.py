"""The linear layer that all networks are made of.

Its answers are those of `torch.nn.Linear`. Two things are its own, both for speed on a CPU:

- In training the gradient of its input comes with rows one after another in memory. Where autograd's own comes
  transposed, the derivative of a ReLU in front takes eight times as long. For several runs at once so does the gradient
  of the weights, as the optimizer's kernel reads it.
- Where float32 products may round their factors to bfloat16 (`torch.set_float32_matmul_precision("medium")`) and the
  processor multiplies bfloat16, hidden activations and their gradients stay bfloat16 from one product to the next,
  rather than rounded and widened again at each. That takes half the time of rounding every time.

And one where a model only answers: inside `answering` decoders go through oneDNN, whose float32 products take half the
time on processors that PyTorch's usual library does not use in full. Each library adds up in an order of its own: where
tried, networks of the plan's size answered the same, and others up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

_BFLOAT16_PRODUCTS = ("avx512_bf16", "amx_bf16")


class Linear(nn.Linear):
    """x·Wᵀ + b in the number format of x, whatever that of the weights."""

    _rounded: dict[torch.dtype, tuple[Tensor, Tensor | None]] | None = None  # see `answering`

    @property
    def answers_only(self) -> bool:
        """Whether it is inside `answering`, and no gradient is asked for."""
        return self._rounded is not None and not torch.is_grad_enabled()

    def forward(self, x: Float[Tensor, "*n in"]) -> Float[Tensor, "*n out"]:
        rounded = self._rounded  # once: the block may end in another thread
        if rounded is None or torch.is_grad_enabled():
            # Out of training every transform of `torch.func` goes through, which needs PyTorch's own product.
            product = linear if self.training else _plain
            return product(x, self.weight, self.bias)
        if x.dtype not in rounded:
            rounded[x.dtype] = _like(x, self.weight, self.bias)
        return F.linear(x, *rounded[x.dtype])


@contextmanager
def answering(model: nn.Module) -> Iterator[None]:
    """Inside the block, in which no weight may change, layers that answer without gradients convert their weights to a
    format once, not at every call, and decoders go through oneDNN where PyTorch has it. Its ReLU makes 0 of NaN, so
    weights have to be finite. A block inside another is part of it."""
    layers = [module for module in model.modules() if isinstance(module, Linear) and module._rounded is None]
    try:
        for layer in layers:
            layer._rounded = {}
        yield
    finally:
        for layer in layers:
            layer._rounded = None


def linear(
    x: Float[Tensor, "*runs n in"],
    weight: Float[Tensor, "out in"] | Float[Tensor, "*runs out in"],
    bias: Float[Tensor, " out"] | Float[Tensor, "*runs out"] | None,
) -> Float[Tensor, "*runs n out"]:
    """x·Wᵀ + b in the number format of x; for weights of several runs, stacked in front, every run's rows by its own.
    Gradients have the formats of what they are of."""
    stacked = weight.ndim > 2
    if torch.is_grad_enabled() and (stacked or (x.ndim == 2 and x.device.type == "cpu")):
        return _Product.apply(x, weight, bias)
    return _plain(x, weight, bias)


def _plain(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return _forward(x, *_like(x, weight, bias))


def as_factor(x: Float[Tensor, "*n in"], first: nn.Module | None = None) -> Float[Tensor, "*n in"]:
    """The rows as products here read them: bfloat16 where that is allowed and fast, else as they are; as oneDNN's where
    `first`, the layer that reads them, is inside `answering`: then what follows up to `as_answer` is oneDNN's too."""
    if _keeps_bfloat16(x):
        return x.to(torch.bfloat16)
    return x.to_mkldnn() if isinstance(first, Linear) and first.answers_only and _goes_to_onednn(x) else x


def as_answer(outputs: Float[Tensor, "*n out"]) -> Float[Tensor, "*n out"]:
    """What a decoder's last product answers, as a tensor of PyTorch's own again."""
    return outputs.to_dense() if outputs.is_mkldnn else outputs


def _goes_to_onednn(x: Tensor) -> bool:
    return (
        x.dtype == torch.float32
        and x.device.type == "cpu"
        and x.ndim == 2
        and len(x) > 0
        and torch.backends.mkldnn.is_available()
        and torch.backends.mkldnn.enabled
    )


def _keeps_bfloat16(x: Tensor) -> bool:
    return (
        x.dtype == torch.float32
        and x.device.type == "cpu"
        and torch.get_float32_matmul_precision() == "medium"
        and _multiplies_bfloat16()
    )


@cache
def _multiplies_bfloat16() -> bool:
    # Older versions of PyTorch do not tell what the processor can.
    able = getattr(torch.cpu, "get_capabilities", dict)()
    return any(able.get(name) for name in _BFLOAT16_PRODUCTS)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        factor, addend = _like(x, weight, bias)
        ctx.save_for_backward(x, factor)
        ctx.biased, ctx.weight_format = bias is not None, weight.dtype
        return _forward(x, factor, addend)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        x, weight = ctx.saved_tensors
        of_x = gradient @ weight if ctx.needs_input_grad[0] else None
        of_weight = (gradient.mT @ x).to(ctx.weight_format)
        return of_x, of_weight, gradient.sum(dim=-2, dtype=ctx.weight_format) if ctx.biased else None


def _like(x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
    return weight.to(x.dtype), None if bias is None else bias.to(x.dtype)


def _forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if weight.ndim == 2:
        return F.linear(x, weight, bias)
    return torch.bmm(x, weight.mT) if bias is None else torch.baddbmm(bias[:, None], x, weight.mT)
