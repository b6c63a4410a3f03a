"""Writes the atlas: one HTML file that opens without a network."""

from __future__ import annotations

from pathlib import Path

from ternary_vae.atlas.data import atlas_data
from ternary_vae.errors import UserError
from ternary_vae.model import DualVAE
from ternary_vae.reports.latent_map import LatentMap
from ternary_vae.reports.self_contained import asset, rendered
from ternary_vae.space import TWO_INPUT_TERNARY, Space
from ternary_vae.storage.files import require_own, require_writable, write_text

PACKAGE = "ternary_vae.atlas"
SHARED_PARTS = ("base", "truth_tables", "networks", "reading", "theme")
"""Parts of the script that the page of a run has too."""
PARTS = ("unpack", "decode", "find", "colouring", "view", "pointing", "legend", "card", "walk", "structure", "start")
_GENERATOR = "ternary-vae atlas"


def write_atlas(model: DualVAE, latent_map: LatentMap, source: str, output: str | Path) -> Path:
    """Writes the atlas of a model, in place of an earlier atlas only.

    Args:
        latent_map: where the model places every operation, see `latent_map_of_checkpoint`.
        source: says in a few words which model it is.

    Raises:
        UserError: the place cannot be written, or another file lies there.
    """
    require_room(Path(output))
    write_text(Path(output), atlas_html(model, latent_map, source))
    return Path(output)


def require_two_input_ternary(space: Space) -> None:
    """Refuses a model of other gates than the atlas draws.

    Raises:
        UserError: so it is.
    """
    if space != TWO_INPUT_TERNARY:
        raise UserError(
            f"the atlas draws gates of {TWO_INPUT_TERNARY}, and this model knows those of {space}; ask for single ones "
            "with ternary-vae gate NAME --model MODEL"
        )


def require_room(output: Path) -> None:
    """Says before the map is made whether an atlas may be written to a path.

    Raises:
        UserError: a directory of that name, a file among its parents, no permission, or a file that is no atlas.
    """
    require_writable(output)
    require_own(output, f'content="{_GENERATOR}"', "atlas")


def atlas_html(model: DualVAE, latent_map: LatentMap, source: str) -> str:
    """The page's text."""
    return rendered(
        PACKAGE,
        "atlas.html.j2",
        [*(asset(f"{name}.js") for name in SHARED_PARTS), *(asset(f"{name}.js", PACKAGE) for name in PARTS)],
        atlas_data(model, latent_map),
        with_plots=False,
        styles=[asset("atlas.css", PACKAGE)],
        generator=_GENERATOR,
        source=source,
    )
