"""A tree and its explanations as one HTML file that needs nothing beside itself.

`to_html` makes the file. Whoever builds another page around the same view (a service, a report)
takes it in pieces: `style()` and `script()` are the style sheet and the script, `page_data` is
what the script shows, `as_json` writes that so that it can stand in a page, and
`content_security_policy` allows exactly the styles and scripts it is given. In such a page

    <div id="view"></div>
    <script type="application/json" data-nbdt-for="view">…as_json(page_data(tree, …))…</script>
    <script>…script()…</script>

is shown as it is loaded, and ``nbdt.mount(element, data)`` shows what was fetched later.
"""

from nbdt.view.html.data import as_json, page_data
from nbdt.view.html.details import NodeDetails, Prototype
from nbdt.view.html.page import content_security_policy, document, script, style, to_html

__all__ = [
    "NodeDetails",
    "Prototype",
    "as_json",
    "content_security_policy",
    "document",
    "page_data",
    "script",
    "style",
    "to_html",
]
