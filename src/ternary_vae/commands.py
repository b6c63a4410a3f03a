"""What each command of the command line does. Imported when a command runs."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ternary_vae.devices import choose_device
from ternary_vae.errors import UserError
from ternary_vae.formats import beside_uniform, duration, percent
from ternary_vae.options import INTERRUPTED
from ternary_vae.output import goes_on, say
from ternary_vae.recipe import (
    DEFAULT_RECIPE,
    Recipe,
    load_recipe,
    parse_override,
    recipe_directory,
    recipe_names,
)
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.terminal import quoted

console = Console()


def chosen_recipe(
    config: str,
    overrides: list[str],
    *,
    seed: int | None = None,
    epochs: int | None = None,
    scale_phases: bool = False,
) -> Recipe:
    """The recipe that a command line names.

    Raises:
        UserError: as `load_recipe`, and for `--scale-phases` without `--epochs`.
    """
    if scale_phases and epochs is None:
        raise UserError("--scale-phases: needs --epochs, the length to scale the phases to")
    changes = dict(map(parse_override, overrides))
    return load_recipe(config, overrides=changes, seed=seed, epochs=epochs, scale_phases=scale_phases)


def train(recipe: Recipe, run_dir: Path | None, *, device: str, require: str | None, start: Any = None) -> None:
    """Trains in a new run directory, then reports."""
    from ternary_vae.training import loop

    directory = RunDirectory(run_dir or _unused(f"{recipe.name}-seed{recipe.seed}"))
    with _saying_how_to_go_on(directory):
        outcome = loop.train(recipe, directory, device=device, start=start, progress=_progress())
        _finish(outcome, require)


def resume(
    target: Path, *, config: str | None, overrides: list[str], epochs: int | None, device: str, run_dir: Path | None,
    require: str | None,
) -> None:  # fmt: skip
    """Goes on with a run, or starts a new one from a checkpoint file."""
    from ternary_vae.storage.checkpoints import load_checkpoint
    from ternary_vae.training import loop

    if target.is_dir():
        if config or overrides or run_dir:
            raise UserError(
                "--config, --set and --run-dir: a run goes on with its own recipe in its own directory; "
                "name one of its checkpoints to start a new run from it"
            )
        directory = RunDirectory(target)
        with _saying_how_to_go_on(directory):
            outcome = loop.resume(directory, device=device, epochs=epochs, progress=_progress())
            _finish(outcome, require)
        return
    if not target.exists():
        raise UserError(f"{target}: not found; expected a run directory, or a checkpoint (.safetensors, v5.5 .pt)")
    checkpoint = load_checkpoint(target)
    if config:
        recipe = chosen_recipe(config, overrides, epochs=epochs)
    elif overrides:
        raise UserError("--set: name the recipe to change with --config")
    else:
        recipe = checkpoint.recipe if epochs is None else checkpoint.recipe.of_length(epochs)
    train(
        recipe,
        run_dir or _unused(f"{recipe.name}-from-{target.stem}"),
        device=device,
        require=require,
        start=checkpoint,
    )


def _unused(name: str) -> Path:
    """A directory for a new run under `runs/`: the name, or the name and the first free number."""
    candidates = (Path("runs") / (name if number == 1 else f"{name}-{number}") for number in itertools.count(1))
    return next(path for path in candidates if not path.exists())


def info(target: str | None, overrides: list[str]) -> None:
    """Prints an overview, a recipe, a run or a checkpoint."""
    if target is None:
        _overview()
    elif Path(target).is_dir():
        _run_info(RunDirectory(target))
    elif Path(target).suffix in (".safetensors", ".pt", ".pth"):
        _checkpoint_info(Path(target))
    else:
        _plain(chosen_recipe(target, overrides).to_yaml())


def benchmark(
    checkpoints: list[Path], output: Path | None, *, seed: int, device: str, cache: bool, cache_dir: Path | None
) -> None:
    """Measures checkpoints and writes their records. A checkpoint's own recipe does not say where the cache lies."""
    from ternary_vae.resolution.measure import measure_coupled, measure_isolated
    from ternary_vae.resolution.records import write_record
    from ternary_vae.storage.checkpoints import load_checkpoint
    from ternary_vae.storage.tensor_cache import TensorCache

    chosen = choose_device(device)
    loaded = [load_checkpoint(path) for path in checkpoints]
    epochs = [checkpoint.epoch for checkpoint in loaded]
    if len(set(epochs)) < len(epochs):
        raise UserError(
            f"two of the checkpoints are of the same epoch ({', '.join(map(str, epochs))}) and would share a "
            "record; measure them with different --output"
        )
    places = RunDirectory("reports") if output is None else None
    store = TensorCache(cache_dir) if cache else None
    for checkpoint in loaded:
        directory = places.benchmarks if places else output
        assert directory is not None
        isolated = measure_isolated(checkpoint, seed=seed, device=chosen, cache=store)
        coupled = measure_coupled(checkpoint, seed=seed, device=chosen, cache=store)
        write_record(directory / f"manifold_resolution_{checkpoint.epoch}.json", isolated)
        write_record(directory / f"coupled_resolution_{checkpoint.epoch}.json", coupled)
        sampling = coupled.cross_injected_sampling_rho_07
        _plain(
            f"{checkpoint.path}: epoch {checkpoint.epoch}  "
            f"A {percent(isolated.vae_a.reconstruction.exact_match_rate)}  "
            f"B {percent(isolated.vae_b.reconstruction.exact_match_rate)}  "
            f"ensemble {percent(coupled.ensemble_reconstruction.best_of_two.exact_match_rate)}  "
            f"coverage {beside_uniform(sampling.coverage_rate, sampling.coverage_limit)}  "
            f"complementarity {coupled.complementary_coverage.complementarity_score:.3f}"
        )
    _plain(f"records in {directory}")


def compare(runs: list[Path], output: Path) -> None:
    """Compares runs milestone by milestone."""
    from ternary_vae.reports import write_comparison

    for path in write_comparison([RunDirectory(run) for run in runs], output):
        _plain(f"wrote {path}")


def report(run: Path, plan_run: Path | None, *, require: str | None) -> None:
    """Writes a run's reports and prints its verdict."""
    from ternary_vae.reports.final import write_final_report

    directory = RunDirectory(run)
    verdict = _report(directory)
    if plan_run is not None:
        output = directory.reports / "FINAL_RESOLUTION_REPORT.md"
        write_final_report(RunDirectory(plan_run), directory, output)
        _plain(f"wrote {output}")
    _next_steps(directory)
    _gate(verdict, require)


def _finish(outcome: Any, require: str | None) -> None:
    if outcome.status == "interrupted":
        if any(outcome.directory.benchmarks.glob("*.json")):
            say(f"see what there is: ternary-vae report {quoted(outcome.directory.path)}")
        say(f"stopped after {outcome.epochs_completed} epochs, all saved; {_how_to_go_on(outcome.directory)}")
        raise SystemExit(INTERRUPTED)
    verdict = _report(outcome.directory)
    _next_steps(outcome.directory)
    _gate(verdict, require)


def _next_steps(directory: RunDirectory) -> None:
    """The last lines: what to do with a run that has been reported on."""
    best, latest = directory.checkpoint("best"), directory.checkpoint("latest")
    model = best if best.exists() else latest
    say(f"open the page: {directory.page.resolve().as_uri()}")
    say(f"use the model: model, _ = ternary_vae.load_model({str(model)!r})")


@contextmanager
def _saying_how_to_go_on(directory: RunDirectory) -> Iterator[None]:
    """What a second signal to stop, one outside the epochs, or a disk that is full ends with."""
    goes_on(f"the run in {directory.path}")
    try:
        yield
    except KeyboardInterrupt:
        if directory.exists:
            say(f"stopped at once; every epoch completed before is saved; {_how_to_go_on(directory)}")
        else:
            say("stopped before the first epoch; nothing was written")
        raise SystemExit(INTERRUPTED) from None
    except (UserError, OSError) as failure:
        cause = failure if isinstance(failure, OSError) else failure.__cause__
        if isinstance(cause, OSError) and directory.exists:
            raise UserError(f"{failure}; every epoch saved is kept; {_how_to_go_on(directory)}") from failure
        raise


def _how_to_go_on(directory: RunDirectory) -> str:
    return f"go on with: ternary-vae resume {quoted(directory.path)}"


def _report(directory: RunDirectory) -> Any:
    """Writes the reports of a run, prints its verdict and where the files are."""
    from ternary_vae.reports import write_reports
    from ternary_vae.resolution.criteria import Verdict

    written = write_reports(directory)
    verdict = Verdict.model_validate_json((directory.reports / "verdict.json").read_text(encoding="utf-8"))
    console.print(verdict_table(verdict))
    seconds = directory.facts().get("seconds")
    if seconds:
        _plain(f"trained, measured and watched for {duration(seconds)}; guards fired {verdict.guard_events} times")
    say("\n".join(["files:", f"  {directory.path}", *(f"  {path}" for path in written)]))
    return verdict


def verdict_table(verdict: Any) -> Table:
    """A verdict as a table: level, criterion, requirement, measured value, met or missed."""
    from ternary_vae.resolution.criteria import verdict_rows

    table = Table(title=f"{verdict.recipe}, seed {verdict.seed}, after {verdict.epoch} epochs", title_justify="left")
    for heading in ("level", "criterion", "required", "measured", ""):
        table.add_column(heading, justify="right" if heading == "measured" else "left")
    for row in verdict_rows(verdict):
        table.add_row(*row[:-1], "[green]met[/]" if row.met else "[bold red]missed[/]")
    return table


def _gate(verdict: Any, require: str | None) -> None:
    from ternary_vae.resolution.criteria import LEVELS

    if require is None:
        return
    reached = verdict.own_met if require == "own" else verdict.level in LEVELS[LEVELS.index(require) :]
    if not reached:
        _plain(f"level {require!r} is not met", error=True)
        raise SystemExit(1)


def _progress() -> Any:
    from ternary_vae.training.progress import watcher

    return watcher(True, console)


def _overview() -> None:
    _plain(f"recipes in {recipe_directory()}:")
    for name in recipe_names():
        recipe = load_recipe(name)
        default = " (default)" if name == DEFAULT_RECIPE else ""
        _plain(f"  {name}{default}: {recipe.description}")
    _plain("\nternary-vae info NAME prints one in full; a run directory or a checkpoint is described.")


def _run_info(directory: RunDirectory) -> None:
    facts = directory.facts()
    rows = directory.metrics()
    _plain("\n".join(f"{key}: {value}" for key, value in facts.items()))
    _plain(f"epochs completed: {rows[-1]['epoch'] if rows else 0}")
    _plain("")
    _plain(directory.recipe().to_yaml())


def _checkpoint_info(path: Path) -> None:
    from ternary_vae.storage.checkpoints import load_model

    model, checkpoint = load_model(path)
    count = sum(parameter.numel() for parameter in model.parameters())
    _plain(
        f"{path}: {checkpoint.source} checkpoint, epoch {checkpoint.epoch}, "
        f"{checkpoint.epochs_completed} epochs completed, ρ {checkpoint.rho:.3f}, {count:,} parameters, "
        f"written by {checkpoint.code_version}, SHA-256 {checkpoint.content_hash}"
    )
    _plain("")
    _plain(checkpoint.recipe.to_yaml())


def _plain(text: str, error: bool = False) -> None:
    print(text, file=sys.stderr if error else sys.stdout)
