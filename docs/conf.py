"""How Sphinx builds the documentation: `tox -e docs`, into docs/_build."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from evidence.pages.clause_pages import write_clause_pages  # noqa: E402 - found by the path set above

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

write_clause_pages(HERE / "clauses")
