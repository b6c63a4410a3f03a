"""A figure that a notebook shows. Imported where figures are made, since it imports matplotlib."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure


class ShownFigure(Figure):
    """A figure that is a picture as the last value of a notebook's cell, though pyplot knows nothing of it."""

    def _repr_png_(self) -> bytes:
        drawn = BytesIO()
        self.savefig(drawn, format="png", dpi=80)
        return drawn.getvalue()
