"""Compares a run's benchmark records across epochs: RESOLUTION_EVOLUTION.md, and resolution_evolution.png beside it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ternary_vae.terminal import exit_code


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, nargs="+", required=True, metavar="N", help="milestones to compare")
    parser.add_argument("--output", type=Path, default=Path("reports/benchmarks/RESOLUTION_EVOLUTION.md"))
    parser.add_argument("--input", type=Path, help="directory of the records (default: beside the output)")
    options = parser.parse_args()

    from ternary_vae.reports.evolution import FIGURE_NAME, evolution_markdown
    from ternary_vae.reports.figures import evolution_figure, write_figure
    from ternary_vae.reports.measurements import measurements_of_records
    from ternary_vae.storage.files import write_text

    measured = measurements_of_records(options.input or options.output.parent, options.epochs)
    write_text(options.output, evolution_markdown(measured, options.output))
    print(options.output)
    print(write_figure(evolution_figure(measured), options.output.with_name(FIGURE_NAME)))


if __name__ == "__main__":
    sys.exit(exit_code("compare_epochs", main))
