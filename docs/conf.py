"""Configuration of Sphinx: Markdown pages (MyST), furo, no network."""

from __future__ import annotations

from importlib import metadata

project = "Mainspring"
author = "the Mainspring authors"
copyright = "2026, the Mainspring authors"  # noqa: A001 -- the name that Sphinx reads
release = metadata.version("mainspring")

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = "Mainspring"
html_copy_source = False
html_show_sphinx = False
