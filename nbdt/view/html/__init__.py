"""A tree and its explanations as one HTML file that needs nothing else.

`to_html` makes the file. Another page around the same view (a service, a report) uses the parts:
`style()` and `script()` are the style sheet and the script, `page_data` is what the script shows,
and `content_security_policy` allows exactly the styles and scripts it is given. `render_page` puts
them into a template that extends base.html. ``nbdt.mount(element, data)`` in the script shows data
that was fetched later.
"""

from nbdt.view.html.page import (
    NodeDetails,
    Prototype,
    content_security_policy,
    page_data,
    render_page,
    script,
    style,
    to_html,
)

__all__ = [
    "NodeDetails",
    "Prototype",
    "content_security_policy",
    "page_data",
    "render_page",
    "script",
    "style",
    "to_html",
]
