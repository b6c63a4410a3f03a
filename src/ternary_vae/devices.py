"""Where to compute, and with how many cores."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from ternary_vae.errors import UserError

if TYPE_CHECKING:
    import torch

_DEVICE = re.compile("auto|cpu|cuda(:[0-9]{1,3})?")


def require_device_name(name: str) -> str:
    """The name, if a device may be called so. Does not import torch.

    Raises:
        UserError: it is none.
    """
    if not _DEVICE.fullmatch(name):
        raise UserError(f"--device {name!r}: expected auto, cpu, cuda or cuda:N, such as cuda:1")
    return name


def choose_device(name: torch.device | str) -> str:
    """ "cpu", "cuda" or "cuda:N" for one of these or for "auto". Here too PyTorch learns how many cores it has, see
    `follow_quota`: whoever computes chooses a device first.

    Raises:
        UserError: no device's name, or a GPU that this machine has not.
    """
    import torch

    name = require_device_name(str(name))
    follow_quota()
    kind, _, index = name.partition(":")
    if kind == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if kind == "cuda":
        if not torch.cuda.is_available():
            raise UserError(
                f"--device {name}: this machine or this build of torch has no CUDA; use --device cpu or auto"
            )
        count = torch.cuda.device_count()
        if index and int(index) >= count:
            known = "one GPU, cuda:0" if count == 1 else f"{count} GPUs, cuda:0 to cuda:{count - 1}"
            raise UserError(f"--device {name}: this machine has {known}")
    return name


def device_to_go_on_with(name: torch.device | str, before: object) -> str:
    """As `choose_device`; "auto" is where the run was before, if this machine has that.

    Args:
        before: the device in the run's description.

    Raises:
        UserError: as `choose_device`.
    """
    if name == "auto" and isinstance(before, str):
        try:
            return choose_device(before)
        except UserError:
            pass
    return choose_device(name)


def follow_quota() -> None:
    """Lets PyTorch use no more threads than a CPU quota of a container has cores. It knows how many cores there are and
    which of them it may use, but of no quota, and threads above that wait in turn. Without a quota nothing changes."""
    import torch

    granted = granted_cores()
    if granted < _cores():
        torch.set_num_threads(min(torch.get_num_threads(), granted))


def granted_cores() -> int:
    """Cores that the process may keep busy: those it may use, no more than a quota or LOKY_MAX_CPU_COUNT allows.

    Raises:
        UserError: that variable is no number.
    """
    from joblib.externals.loky import cpu_count

    try:
        return cpu_count()
    except ValueError:
        given = os.environ.get("LOKY_MAX_CPU_COUNT")
        raise UserError(f"LOKY_MAX_CPU_COUNT={given!r}: expected a number of cores; correct it or unset it") from None


def _cores() -> int:
    """Cores that the process may use, quotas aside."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
