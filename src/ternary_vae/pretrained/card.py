"""The card of a trained model: what it is, what was measured of it, and what it is not for."""

from __future__ import annotations

from ternary_vae.formats import cell, duration, number, percent, points
from ternary_vae.pretrained.configuration import Configuration, Figure


def model_card(configuration: Configuration) -> str:
    """`README.md` of a model's directory, with the metadata that the Hugging Face hub reads."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("ternary_vae.pretrained", "assets"), undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {"duration": duration, "percent": percent}
    return environment.get_template("model_card.md.j2").render(
        configuration=configuration,
        origin=configuration.origin,
        figures=[
            (cell(figure.name), _shown(figure, figure.value), _interval(figure), _shown(figure, figure.uniform))
            for figure in (configuration.origin.figures if configuration.origin else ())
        ],
    )


def _shown(figure: Figure, value: float | None) -> str:
    if value is None:
        return ""
    formats = {"share": percent, "points": points}
    return formats[figure.unit](value) if figure.unit in formats else number(value, 3)


def _interval(figure: Figure) -> str:
    return "" if figure.low is None else f"{_shown(figure, figure.low)} to {_shown(figure, figure.high)}"
