"""`ternary-vae experiment …`: parses and calls. Everything heavy is imported when the command runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ternary_vae.options import DeviceOption


def experiment(
    target: Annotated[
        str | None, typer.Argument(help="An experiment by name, or a YAML file; without one, what there is.")
    ] = None,
    directory: Annotated[
        Path | None,
        typer.Option("--directory", "-d", help="Directory of the experiment.", show_default="experiments/NAME"),
    ] = None,
    backend: Annotated[
        str, typer.Option("--backend", "-b", help="Where runs are done: joblib (local processes), inprocess or ray.")
    ] = "joblib",
    workers: Annotated[
        int | None,
        typer.Option(help="Local processes, one thread each.", show_default="one a core, on a GPU four at most"),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster, such as 10.0.0.1:6379.", show_default="the one on this machine")
    ] = None,
    together: Annotated[
        int | None,
        typer.Option(
            help="Runs of one shape that a process trains at once, as one batched program.",
            show_default="1, on a GPU up to 50",
        ),
    ] = None,
    device: DeviceOption = "auto",
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be done.")] = False,
    report: Annotated[bool, typer.Option("--report", help="Run nothing; report on what there is.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the report elsewhere, without links to runs: to publish it."),
    ] = None,
) -> None:
    """Run recipes with many seeds, compare them pair by pair, and write a report and a page.

    What is complete is not run again, what broke off goes on. Exit code 1 if a run failed.
    """
    from ternary_vae import experiment_commands

    if target is None:
        experiment_commands.overview()
        return
    experiment_commands.experiment(
        target, directory, backend=backend, workers=workers, address=address, together=together,
        device=device,
        plan=plan, report=report, output=output,
    )  # fmt: skip
