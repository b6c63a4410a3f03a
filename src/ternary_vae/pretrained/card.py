"""The card of a trained model: what it is, what was measured of it, and what it is not for."""

from __future__ import annotations

from ternary_vae.formats import cell, counted, duration, in_unit, rough
from ternary_vae.pretrained.configuration import Configuration, Figure
from ternary_vae.space import TWO_INPUT_TERNARY, Space, latent_dimensions_of


def model_card(configuration: Configuration) -> str:
    """`README.md` of a model's directory, with the metadata that the Hugging Face hub reads."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("ternary_vae.pretrained", "assets"), undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {"counted": counted, "duration": duration}
    architecture = configuration.architecture
    space = Space(architecture.values, architecture.inputs)
    is_default = space == TWO_INPUT_TERNARY
    return environment.get_template("model_card.md.j2").render(
        configuration=configuration,
        space=space,
        is_default=is_default,
        listed=space.is_enumerable(),
        gates=f"{space.operations:,}" if space.is_enumerable() else rough(space.operations),
        kind="two-input gates of three-valued logic" if is_default else f"gates of {space}",
        dimensions=architecture.latent_dimensions or latent_dimensions_of(space),
        origin=configuration.origin,
        figures=[
            (cell(figure.name), in_unit(figure.value, figure.unit), _interval(figure), _uniform(figure))
            for figure in (configuration.origin.figures if configuration.origin else ())
        ],
    )


def _interval(figure: Figure) -> str:
    ends = (figure.low, figure.high)
    return "" if None in ends else " to ".join(in_unit(end, figure.unit) for end in ends)


def _uniform(figure: Figure) -> str:
    return "" if figure.uniform is None else in_unit(figure.uniform, figure.unit)
