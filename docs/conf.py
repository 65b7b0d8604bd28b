"""Sphinx settings.  Tables that repeat the code are generated from it when the documentation is built."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs"))

import docstrings  # noqa: E402 (needs the path above)
import generate  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402

import ccsds  # noqa: E402

project = "ccsds-link"
author = "the ccsds-link developers"
copyright = "the ccsds-link developers"
version = release = ccsds.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
INCLUDED = ("conformance-table", "pics", "guide-toctree")
exclude_patterns = ["_build", *(f"generated/{page}.md" for page in INCLUDED)]
html_theme = "furo"
html_title = f"ccsds-link {release}"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
suppress_warnings = [
    "misc.highlighting_failure",  # console blocks hold what commands print
]

generate.write_all(ROOT / "docs" / "generated")


def setup(app: Sphinx) -> None:
    """Docstrings are plain text; see docstrings.py."""
    app.connect("autodoc-process-docstring", docstrings.process)
