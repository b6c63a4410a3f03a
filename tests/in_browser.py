"""Pages as a reader meets them: opened from a file in headless Chromium, with no network. See `browser` and `open_page`
in conftest.py."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from json import loads
from typing import Any

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-quic",
    "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
READY = "document.documentElement.dataset.ready === 'true' || document.documentElement.dataset.failed"
DESKTOP = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def new_context(browser: Any, **options: Any) -> Any:
    """A browser's context without a network."""
    context = browser.new_context(**{**DESKTOP, **options}, offline=True)
    context.set_default_timeout(0)  # but for pytest's own, on the slowest machine too
    # A page whose script fails is never ready: its test goes on, and finds the error among the troubles.
    context.add_init_script("addEventListener('error', () => { document.documentElement.dataset.failed = 'true'; });")
    return context


def watched_page(context: Any, troubles: list[str], expected: str = "nothing") -> Any:
    """A new page, whose requests and errors, but for those that hold `expected`, are added to `troubles`."""

    def watch(request: Any) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            troubles.append(f"request: {request.url}")

    def said(message: Any) -> None:
        if message.type == "error" and expected not in message.text:
            troubles.append(f"console: {message.text}")

    page = context.new_page()
    page.on("request", watch)
    page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
    page.on("console", said)
    return page


@contextmanager
def scripted(browser: Any, json: str, parts: Iterable[str]) -> Iterator[Callable[..., Any]]:
    """A function: JavaScript of one argument and the argument → what it answers, in the scope of a page's script.

    Args:
        json: the data that the script finds in its page.
        parts: texts that make up the script.
    """
    context = new_context(browser)
    page = context.new_page()
    page.set_content(f'<script type="application/json" id="data">{json}</script>')
    page.evaluate(
        "(text) => { window.run = new Function(text)(); }", "\n".join([*parts, "return (code) => eval(code);"])
    )
    # One text is handed over in a hundredth of the time that as many numbers take.
    answer = "([code, given]) => JSON.stringify(window.run(code)(given))"
    yield lambda code, argument=None: loads(page.evaluate(answer, [code, argument]) or "null")
    context.close()


def contrast(one: str, other: str) -> float:
    """The contrast of two CSS colours `rgb(…)`, 1 to 21, as WCAG has it."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
