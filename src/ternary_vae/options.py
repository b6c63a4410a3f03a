"""Options and exit codes that several commands share."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

BAD_INPUT = 2
INTERRUPTED = 130


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


DeviceOption = Annotated[Device, typer.Option("--device", help="Where to compute.")]
