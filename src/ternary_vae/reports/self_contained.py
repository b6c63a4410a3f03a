"""Pages that are one file each and open without a network: template, style, script, plots and data in one."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

from ternary_vae.reports.page_data import script_safe_json


def rendered(
    package: str,
    template: str,
    parts: Iterable[str],
    data: Any,
    *,
    with_plots: bool = True,
    styles: Iterable[str] = (),
    **content: Any,
) -> str:
    """A page's text. Everything in `content` and `data` is escaped; what is inlined as script is the package's own, and
    a content security policy names it by hash, so that nothing else runs and nothing is fetched.

    Args:
        package: whose `assets` hold the template.
        parts: texts that make up the page's own script, in order, after how numbers are written.
        data: what the script draws.
        with_plots: whether the page holds the library of plots, of 5 MB.
        styles: further style sheets.
        content: what the template shows.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    # In one function, so that nothing of it is global.
    own = "\n".join([asset("formats.js"), *parts])
    script = _inline(f'"use strict";\n(() => {{\n{own}}})();\n')
    libraries = []
    if with_plots:
        from plotly.offline import get_plotlyjs

        libraries = [_inline(get_plotlyjs())]
    environment = Environment(
        loader=PackageLoader(package, "assets"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template(template).render(
        policy=_policy([*libraries, script], compiles=with_plots),
        style=Markup("\n".join([asset("page.css"), *styles])),
        script=Markup(script),
        plotly=Markup("".join(libraries)),
        data=Markup(script_safe_json(data)),
        **content,
    )


def asset(name: str, package: str = "ternary_vae.reports") -> str:
    """The text of a part of a page."""
    return files(package).joinpath("assets", name).read_text(encoding="utf-8")


def _inline(script: str) -> str:
    """A script as it may stand in HTML, with line ends as an HTML parser leaves them, so that its hash holds."""
    return script.replace("\r\n", "\n").replace("\r", "\n").replace("</script", "<\\/script")


def _policy(scripts: Iterable[str], *, compiles: bool) -> str:
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    # 'unsafe-eval': the plots' WebGL layer compiles its draw calls. Inline styles are the plots' own.
    allowed += " 'unsafe-eval'" if compiles else ""
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
