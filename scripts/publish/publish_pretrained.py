"""Makes a model that the package brings along from a completed run of its recipe.

    python scripts/publish/publish_pretrained.py runs/resolution-seed42

The last checkpoint's averaged weights, the run's records and verdict become
`src/ternary_vae/pretrained/shipped/RECIPE`; `tests/pretrained/test_shipped.py` measures them again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ternary_vae.pretrained.files import shipped_directory
from ternary_vae.reports.origin import model_of_run
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.terminal import exit_code


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, help="directory of a completed run")
    parser.add_argument("--name", help="of the model; the recipe's unless given")
    arguments = parser.parse_args()
    run = RunDirectory(arguments.run)
    directory = shipped_directory(arguments.name or run.recipe().name)
    model_of_run(run).save_pretrained(directory)
    print(f"{directory}: {sum(path.stat().st_size for path in directory.iterdir()):,} bytes")


if __name__ == "__main__":
    sys.exit(exit_code("publish_pretrained", main))
