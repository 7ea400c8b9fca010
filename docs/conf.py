"""Configuration of Sphinx, which builds the manual and the man page: `make docs`."""

import re
from pathlib import Path
from typing import Any

import noisegate_cli

ROOT = Path(__file__).parent.parent

project = "ngate"
author = "The ngate authors"
project_copyright = f"2026, {author}"
version = release = noisegate_cli.__version__
# The date of the man page must not depend on the day of the build.
today = re.findall(r'^date-released: "(.*)"', (ROOT / "CITATION.cff").read_text(), re.M)[0]

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
copybutton_prompt_text = "$ "
# Names in backticks in docstrings are code.
default_role = "literal"

napoleon_google_docstring = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True

html_theme = "furo"
html_math_renderer = "mathml"
html_title = f"ngate {release}"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["manual.css"]

man_pages = [("options", "ngate", "noise gate for recordings", author, 1)]
man_show_urls = True


def setup(app: Any) -> None:
    """Render formulas as MathML, which needs neither scripts nor a network."""
    from docutils.nodes import SkipNode
    from docutils.utils.math.latex2mathml import tex2mathml

    def render_inline(translator: Any, node: Any) -> None:
        translator.body.append(tex2mathml(node.astext()))
        raise SkipNode

    def render_block(translator: Any, node: Any) -> None:
        translator.body.append(tex2mathml(node.astext(), as_block=True))
        raise SkipNode

    app.add_html_math_renderer("mathml", (render_inline, None), (render_block, None))
