"""Measures both VAEs of a checkpoint together: ensemble, cross-injected coverage, complementarity, coupling, cost."""

from __future__ import annotations

import sys

from ternary_vae.resolution.script import benchmark_script

if __name__ == "__main__":
    sys.exit(benchmark_script("coupled_resolution", __doc__))
