"""Draws resolution_evolution.png from a run's benchmark records."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ternary_vae.terminal import exit_code

MILESTONES = (3, 100, 120, 150, 200, 250, 300, 350, 400)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, nargs="+", default=MILESTONES, metavar="N", help="milestones to draw")
    parser.add_argument("--output", type=Path, default=Path("reports/benchmarks/resolution_evolution.png"))
    parser.add_argument("--input", type=Path, help="directory of the records (default: beside the output)")
    options = parser.parse_args()

    from ternary_vae.reports.figures import evolution_figure, write_figure
    from ternary_vae.reports.measurements import measurements_of_records

    measured = measurements_of_records(options.input or options.output.parent, options.epochs)
    print(write_figure(evolution_figure(measured), options.output))


if __name__ == "__main__":
    sys.exit(exit_code("plot_resolution_evolution", main))
