"""How terms, guards, ensemble strategies and measures of other packages come into every process of a command, also into
those that an experiment starts."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

from ternary_vae.errors import UserError

GROUP = "ternary_vae.extensions"


@cache
def load_extensions() -> None:
    """Imports what installed packages name as entry points of the group `ternary_vae.extensions`: modules that register
    something. Does nothing the second time.

    Raises:
        UserError: one cannot be imported.
    """
    for entry in entry_points(group=GROUP):
        try:
            entry.load()
        except Exception as failure:  # whatever another package's code does
            raise UserError(
                f"extension {entry.name!r} ({entry.value}) cannot be loaded: {failure!r}; mend or uninstall its package"
            ) from None
