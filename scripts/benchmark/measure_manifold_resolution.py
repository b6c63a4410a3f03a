"""Measures each VAE of a checkpoint alone: reconstruction, coverage, neighbours, dimensions, resolution curve."""

from __future__ import annotations

import sys

from ternary_vae.resolution.script import benchmark_script

if __name__ == "__main__":
    sys.exit(benchmark_script("manifold_resolution", __doc__))
