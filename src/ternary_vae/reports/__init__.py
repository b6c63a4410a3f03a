"""Reports: a run as a person reads it. Evolution report and figure, page, verdict; comparisons; the final report."""

from __future__ import annotations

from pathlib import Path

from ternary_vae.storage.runs import RunDirectory

__all__ = ["write_reports"]


def write_reports(run: RunDirectory) -> list[Path]:
    """Writes everything for one run into `run.reports`: RESOLUTION_EVOLUTION.md, resolution_evolution.png, index.html
    and verdict.json.

    Returns:
        the files written.

    Raises:
        UserError: no run or no benchmark records there, mixed runs, a damaged record, or an unwritable directory.
            Nothing is written then.
    """
    from ternary_vae.errors import UserError
    from ternary_vae.reports.evolution import FIGURE_NAME, evolution_markdown
    from ternary_vae.reports.figures import evolution_figure, png_of
    from ternary_vae.reports.measurements import measurements_of_run
    from ternary_vae.reports.page import page_html
    from ternary_vae.reports.verdict import verdict_of
    from ternary_vae.storage.files import require_writable, write_bytes, write_text

    measured = measurements_of_run(run)
    view = verdict_of(measured)
    if view.verdict is None:
        missing = ", ".join(name for names in measured.missing.values() for name in names)
        raise UserError(f"{run.benchmarks}: no epoch has both its records (missing: {missing}); measure one again")
    evolution, figure = run.reports / "RESOLUTION_EVOLUTION.md", run.reports / FIGURE_NAME
    require_writable(figure)
    drawn = png_of(evolution_figure(measured))  # first: it takes the most memory
    texts = {
        evolution: evolution_markdown(measured, evolution),
        run.page: page_html(run, measured, view),
        run.reports / "verdict.json": view.verdict.model_dump_json(indent=1) + "\n",
    }
    write_bytes(figure, drawn)
    for path, text in texts.items():
        write_text(path, text)
    return [evolution, figure, *list(texts)[1:]]
