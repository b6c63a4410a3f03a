"""Many small tensors at once, copied into memory of their own or fetched from an accelerator. One by one each would
cost a call there, and a fetched one a wait as well."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping

import torch
from jaxtyping import Shaped
from torch import Tensor


def copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous copies where they lie, without graphs."""
    return _each(tensors, lambda tensor: tensor.clone(memory_format=torch.contiguous_format), lambda flat: flat)


def on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same values on the CPU, contiguous and without graphs. What is there already may be the tensor itself."""
    return _each(tensors, Tensor.contiguous, Tensor.cpu)


def _each(
    tensors: Mapping[str, Tensor], of_cpu: Callable[[Tensor], Tensor], elsewhere: Callable[[Tensor], Tensor]
) -> dict[str, Tensor]:
    """What `of_cpu` makes of each tensor on the CPU, and `elsewhere` of all others together, those of one device and
    number format in a row."""
    copies: dict[str, Tensor] = {}
    alike: dict[Hashable, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if tensor.device.type == "cpu":
            copies[name] = of_cpu(tensor.detach())
        else:
            alike.setdefault((tensor.device, tensor.dtype), {})[name] = tensor.detach()
    for parts in alike.values():
        pieces = elsewhere(in_a_row(parts.values())).split([part.numel() for part in parts.values()])
        copies |= {name: piece.view(part.shape) for (name, part), piece in zip(parts.items(), pieces)}
    return {name: copies[name] for name in tensors}


def in_a_row(tensors: Iterable[Tensor]) -> Shaped[Tensor, " n"]:
    """All their numbers, one tensor after another."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])
