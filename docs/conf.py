"""How Sphinx builds the documentation: `tox -e docs`, into docs/_build."""

from __future__ import annotations

import re
from importlib.metadata import version as version_of

from sphinx.application import Sphinx

project = "mockbroker"
author = "the mockbroker authors"
copyright = author  # noqa: A001 - Sphinx's name for it
version = release = version_of("mockbroker")

extensions = ["myst_parser", "sphinx.ext.autodoc"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]

myst_heading_anchors = 3
myst_url_schemes = ["http", "https"]

html_theme = "furo"
html_title = "mockbroker"
html_copy_source = False
html_show_sourcelink = False

# The checker reaches no broker on this machine.
linkcheck_ignore = [r"http://(127\.0\.0\.1|localhost)"]
linkcheck_anchors = False
linkcheck_timeout = 20
linkcheck_retries = 2


def _with_directives(_app: object, _name: str, source: list[str]) -> None:
    """Make directives of the comments that hold them, so that GitHub shows none of them."""
    source[0] = re.sub(r"<!-- (\{[a-z-]+\}\n.*?)-->", r"```\1```", source[0], flags=re.DOTALL)


def setup(app: Sphinx) -> None:
    """Connect what reads a page before its parser does."""
    app.connect("source-read", _with_directives)
