"""An experiment whose runs are made up: what arms differ by is known. For the report tests only."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "reports"))

from synthetic_runs import ENVIRONMENT, synthetic_coupled, synthetic_isolated, synthetic_metrics, write_lines

from ternary_vae.experiments.arms import PlannedRun, arms_of
from ternary_vae.experiments.description import Experiment
from ternary_vae.experiments.directory import ExperimentDirectory
from ternary_vae.experiments.execution import Execution, state_of
from ternary_vae.resolution.records import write_record
from ternary_vae.storage.runs import RunDirectory

SPREAD = 0.002  # standard deviation of the noise


def made_up(experiment: Experiment, place: Path, gains: Mapping[str, float]) -> Execution:
    """Writes every run of an experiment that is not there yet. Coverage of an arm is a curve common to all, less 0.02,
    plus the arm's gain, plus noise of the seed and of the run; VAE-A of an arm with a negative gain collapses in
    phase 4.

    Args:
        gains: coverage that an arm gains, by name; 0 where absent.
    """
    directory = ExperimentDirectory(place)
    arms = arms_of(experiment)
    directory.freeze(experiment, arms, Path("made-up.yaml"))
    for arm in arms:
        for seed in experiment.seeds:
            run = PlannedRun(arm.name, arm.recipe.model_copy(update={"seed": seed}))
            if not directory.run(run).exists:
                _write(directory.run(run), run, gains.get(arm.name, 0.0), experiment.benchmarks != "none")
    return state_of(experiment, directory)


def _write(run: RunDirectory, planned: PlannedRun, gain: float, benchmarks: bool) -> None:
    common, own = random.Random(planned.seed), random.Random(planned.name)
    recipe = planned.recipe
    run.create(recipe, {"device": "cpu", "environment": ENVIRONMENT, "status": "completed", "seconds": 180.0})
    rows = synthetic_metrics(recipe, recipe.epochs, gain < 0)
    shifts = {row["epoch"]: gain - 0.02 + common.gauss(0, SPREAD) + own.gauss(0, SPREAD) for row in rows}
    for row in rows:
        for key in ("coverage", "coverage_a", "coverage_b"):
            row[key] += shifts[row["epoch"]]
    write_lines(run.metrics_file, rows)
    for epoch in recipe.evaluation.milestones if benchmarks else ():
        coupled = synthetic_coupled(epoch, recipe, gain < 0)
        sampling = coupled.cross_injected_sampling_rho_07
        moved = sampling.model_copy(update={"coverage_rate": sampling.coverage_rate + shifts[epoch]})
        homes = coupled.complementary_coverage
        score = homes.complementarity_score * (1 - 0.1 * own.random())
        coupled = coupled.model_copy(
            update={
                "cross_injected_sampling_rho_07": moved,
                "complementary_coverage": homes.model_copy(update={"complementarity_score": score}),
            }
        )
        write_record(run.coupled_record(epoch), coupled)
        write_record(run.isolated_record(epoch), synthetic_isolated(epoch, recipe, gain < 0))
