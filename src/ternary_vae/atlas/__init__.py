"""The atlas: one page on which every operation lies where a model has put it, to be searched, coloured and walked."""

from ternary_vae.atlas.page import atlas_html, write_atlas

__all__ = ["atlas_html", "write_atlas"]
