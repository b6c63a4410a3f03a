"""Options and exit codes that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from ternary_vae.devices import require_device_name

BAD_INPUT = 2
INTERRUPTED = 130


DeviceOption = Annotated[
    str,
    typer.Option("--device", help="Where to compute: auto, cpu, cuda or cuda:N.", callback=require_device_name),
]
