"""Trees and explanations in the forms that a client can ask for: JSON, DOT, SVG, HTML.

All are made by `nbdt.view`; an HTML answer is one file that needs nothing beside itself.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence

from nbdt.attribution import strip
from nbdt.hierarchy.formats import to_dict
from nbdt.view import to_graphviz, to_html, to_svg
from nbdt.view.html import content_security_policy, script, style
from nbdt.view.html.data import IMAGE_SIZE
from nbdt.view.svg.headline import SAMPLE

from .images import read_image
from .inference import Answer
from .inputs import ShownFile, Source
from .models import ServedModel
from .settings import Settings

JSON, DOT, SVG, HTML = "application/json", "text/vnd.graphviz", "image/svg+xml", "text/html"
TREE_FORMS = (JSON, DOT, SVG, HTML)
EXPLANATION_FORMS = (JSON, HTML, SVG)
SIDES = {HTML: IMAGE_SIZE, SVG: int(SAMPLE)}
"""How wide and high an image is shown in an explanation, in pixels."""

# What a browser is to let a form do; in a sandbox, as the names in it come from strangers.
POLICIES = {
    HTML: content_security_policy([style()], [script()]) + "; sandbox allow-scripts",
    SVG: "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox",
}


def tree_as(form: str, served: ServedModel) -> str:
    """A model's tree in one of `TREE_FORMS`; drawn once."""
    if form not in served.drawn:
        served.drawn[form] = _drawn(form, served)
    return served.drawn[form]


def _drawn(form: str, served: ServedModel) -> str:
    tree = served.model.hierarchy
    if form == DOT:
        return str(to_graphviz(tree).source)
    if form == SVG:
        return to_svg(tree, title=served.name)
    if form == HTML:
        return to_html(tree, title=served.name)
    return json.dumps(to_dict(tree))


def explanations_as(
    form: str, served: ServedModel, sources: Sequence[Source], found: Answer
) -> str:
    """Explanations as HTML, or the first as SVG, with the images that they are of."""
    tree = served.model.hierarchy
    images = [source.picture if isinstance(source, ShownFile) else None for source in sources]
    if form == HTML:
        return to_html(tree, found.explanations, images=images)
    return to_svg(tree, found.explanations[0], image=images[0])


def saliency_strips(sources: Sequence[Source], found: Answer, settings: Settings) -> list[str]:
    """Which pixels made each decision: one picture a path, as ``data:image/png`` addresses."""
    strips = []
    for source, maps in zip(sources, found.saliencies, strict=True):
        assert isinstance(source, bytes), "saliency is asked for images only"
        image = read_image(
            source, "RGB", max_bytes=settings.image_bytes, max_pixels=settings.image_pixels
        )
        file = io.BytesIO()
        strip(maps, image).save(file, "PNG")
        strips.append(f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}")
    return strips
