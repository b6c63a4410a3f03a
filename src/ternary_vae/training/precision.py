"""PyTorch's defaults, and the precision of float32 matrix products."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch


@contextmanager
def pytorch_defaults() -> Iterator[None]:
    """Inside the block new tensors are float32 and have gradients, whatever the caller has set: a run's bits are those
    of its recipe and seed."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def matrix_products(precision: Literal["highest", "high", "medium"]) -> Iterator[None]:
    """Inside the block, the whole process multiplies float32 matrices at this precision: "medium" rounds factors to
    bfloat16, and "high" to TensorFloat-32, where the processor is faster with them; elsewhere nothing changes."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
