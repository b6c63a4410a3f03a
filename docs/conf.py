"""The documentation site: `make docs` builds it into docs/_build/html."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_extensions"), str(HERE.parent / "scripts" / "publish")]

from published import published_figures  # noqa: E402

from ternary_vae import __version__  # noqa: E402

# What pages run: this environment's commands, in lines of a width that a page has, on one core each.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
os.environ |= {"IPYTHONDIR": str(HERE / "_ipython"), "COLUMNS": "80", "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}

project = "Ternary VAE"
author = "The Ternary VAE authors"
project_copyright = "2026, The Ternary VAE authors"
release = __version__
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "generated",
    "local_links",
]
exclude_patterns = ["_build", "_ipython", "reference/generated"]
nitpicky = True
# What other packages define is not looked up: the site is built without a network.
nitpick_ignore_regex = [("py:.*", r"(?!ternary_vae).*"), ("py:.*", r"ternary_vae\..*\._.*")]
nitpick_ignore = [("py:class", "ternary_vae.recipe.increasing")]  # a validator in an annotation
suppress_warnings = ["ref.python"]  # a section of a recipe and a network are both called StateNet

myst_enable_extensions = ["colon_fence", "deflist", "substitution"]
myst_heading_anchors = 4
myst_links_external_new_tab = False
myst_substitutions = published_figures()
nb_execution_mode = os.environ.get("TERNARY_VAE_DOCS_EXECUTION", "force")
nb_execution_cache_path = str(HERE / "_build" / "executed")
nb_execution_in_temp = True
nb_execution_timeout = 600
nb_execution_show_tb = True
nb_merge_streams = True

default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False  # shapes such as "*batch 9" would be read as emphasis
copybutton_prompt_text = r"\$ |>>> "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_title = f"Ternary VAE {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1a5fb4", "color-brand-content": "#1a5fb4"},
    "dark_css_variables": {"color-brand-primary": "#7ab7ff", "color-brand-content": "#7ab7ff"},
}
html_show_sphinx = False
