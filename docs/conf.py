"""Settings of `make docs`: MyST pages, and a reference made from the docstrings."""

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))  # this checkout, not an installed copy

from fairseq_autoassist import __version__  # noqa: E402

project = "fairseq-autoassist"
author = "fairseq-autoassist authors"
copyright = author
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.apidoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
html_theme = "furo"
html_title = project
myst_heading_anchors = 3
napoleon_use_ivar = True  # an attribute is described once, in the docstring of its class
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"ignore-module-all": True}  # imported names are documented once

# These import fairseq or torch; the reference covers modules that import without them.
ADAPTERS = ("plugin", "pytorch")
apidoc_modules = [
    {
        "path": str(ROOT / "fairseq_autoassist"),
        "destination": "reference",
        "exclude_patterns": [str(ROOT / "fairseq_autoassist" / name) for name in ADAPTERS],
        "max_depth": 3,
    }
]


def name_outside(app, docname, source):
    """Replace a link to a file outside docs/, which the built pages lack, by the file's path."""
    source[0] = re.sub(r"\[[^\]]+\]\(\.\./([^)#]+)[^)]*\)", r"`\1`", source[0])


def setup(app):
    """Connect the hook; Sphinx calls this."""
    app.connect("source-read", name_outside)
