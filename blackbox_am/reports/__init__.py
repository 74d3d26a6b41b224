"""Reports as HTML pages that need no other file: no script, font or picture from elsewhere.

`page` fills the templates in `templates/`, and `embedding` turns pictures and figures into data
URIs. Templates escape every text, because names of files, classes and models come from others.
"""

from blackbox_am.reports.embedding import data_uri, figure_png, figure_svg, inline_svg, png, shrunk
from blackbox_am.reports.page import render, render_script, write_page

__all__ = [
    "data_uri",
    "figure_png",
    "figure_svg",
    "inline_svg",
    "png",
    "render",
    "render_script",
    "shrunk",
    "write_page",
]
