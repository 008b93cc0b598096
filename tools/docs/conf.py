"""Settings of Sphinx; ``build.py`` gathers the pages."""

project = "zato-lite"
copyright = "the zato-lite authors"  # noqa: A001 - Sphinx's name
html_title = "zato-lite"
extensions = ["myst_parser", "sphinx_copybutton"]
source_suffix = {".md": "markdown"}
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
html_theme = "furo"
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
html_extra_path = ["llms.txt"]
copybutton_prompt_text = r"^\$ "
copybutton_prompt_is_regexp = True
pygments_style = "friendly"
pygments_dark_style = "monokai"
suppress_warnings = ["misc.highlighting_failure"]
