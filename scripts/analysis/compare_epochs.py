"""Compares a run's benchmark records across epochs: RESOLUTION_EVOLUTION.md, and resolution_evolution.png beside it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, nargs="+", required=True, metavar="N", help="milestones to compare")
    parser.add_argument("--output", type=Path, default=Path("reports/benchmarks/RESOLUTION_EVOLUTION.md"))
    parser.add_argument("--input", type=Path, help="directory of the records (default: beside the output)")
    options = parser.parse_args()

    from ternary_vae.errors import UserError
    from ternary_vae.reports.evolution import FIGURE_NAME, write_evolution
    from ternary_vae.reports.figures import evolution_figure, write_figure
    from ternary_vae.reports.measurements import measurements_of_records

    try:
        measured = measurements_of_records(options.input or options.output.parent, options.epochs)
        print(write_evolution(measured, options.output))
        print(write_figure(evolution_figure(measured), options.output.with_name(FIGURE_NAME)))
    except UserError as error:
        print(f"compare_epochs: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
