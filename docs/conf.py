"""How Sphinx makes the site: `pip install -e '.[site]' && sphinx-build -W -b html docs build/site`.

Why Sphinx: see CONTRIBUTING.md.
"""

import sys
from pathlib import Path

from mnmf import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "mnmf"
author = "The mnmf authors"
copyright = author
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "outside", "sounds"]
exclude_patterns = ["_build", "_ext"]
myst_heading_anchors = 4  # as GitHub names them
myst_links_external_new_tab = False
default_role = "literal"  # single backticks in docstrings

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say more
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

templates_path = ["_templates"]
html_theme = "furo"
html_title = "mnmf"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["access.js"]
html_show_sourcelink = False
html_copy_source = False
