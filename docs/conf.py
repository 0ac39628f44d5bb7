"""Settings of the site. Its sources are laid out by ``docs.site``; ``make docs`` does both."""

from earfilt.version import __version__

project = "earfilt"
author = "The earfilt developers"
version = release = __version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
]
root_doc = "index"
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
smartquotes = False  # would make dashes of the hyphens of --option
nitpicky = True
nitpick_ignore_regex = [("py:obj", r"torch\..*")]  # described elsewhere
default_role = "autolink"  # a link where the name is public, and else emphasis

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # numpydoc's sections say types, shapes and units
autodoc_member_order = "bysource"
autosummary_generate = False
toc_object_entries_show_parents = "hide"  # names fit the margin
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_title = f"earfilt {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_context = {"default_mode": "light"}  # figures are black on white
html_show_sphinx = False
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_align": "left",
    "navbar_persistent": ["search-button"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "pygments_light_style": "tango",
    "pygments_dark_style": "github-dark",
}
copyright = "The earfilt developers, MIT"
