"""Reports in Markdown, from templates."""

from __future__ import annotations

import re
from typing import Any

from ternary_vae import formats
from ternary_vae.resolution.figures import MEASURES
from ternary_vae.terminal import quoted

_FILTERS = (
    "cell", "code", "counted", "duration", "listed", "number", "percent", "shares_of_both", "uniform_level",
)  # fmt: skip


def markdown(template: str, *, package: str = "ternary_vae.reports", **content: Any) -> str:
    """A report's text from `templates/TEMPLATE.md.j2`, without the empty lines of parts that say nothing. What others
    wrote (names, messages, paths) goes through the filters `cell`, `code` or `quoted` there.

    Args:
        package: whose `templates` hold the template.
        content: what the template shows, besides the table of figures as `measures`.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(package, "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {name: getattr(formats, name) for name in _FILTERS} | {"quoted": quoted}
    text = environment.get_template(f"{template}.md.j2").render(measures=MEASURES, **content)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
