"""Lists every cache on this machine, as `ternary-vae cache audit` does: place, size, files, purpose, safe to clean."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ternary_vae.terminal import exit_code


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, default=Path("."), help="directory of the project (default: this one)")
    parser.add_argument("--cache-dir", type=Path, help="of the tensor cache (default: models/cached_tensors)")
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    options = parser.parse_args()

    from ternary_vae.cli import cache

    cache.audit(options.project, options.cache_dir, as_json=options.json)


if __name__ == "__main__":
    sys.exit(exit_code("audit_caches", main))
