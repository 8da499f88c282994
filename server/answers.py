"""Answers that several protocols give: their schemas, their JSON, and their pictures.

The schemas are for the OpenAPI document; nothing is checked against them at run time. Pictures come
from `nbdt.view`; an HTML answer is one self-contained file.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from nbdt.attribution import Saliency, strip
from nbdt.hierarchy.formats import to_dict
from nbdt.hierarchy.text import one_line
from nbdt.view import to_graphviz, to_html, to_svg
from nbdt.view.html import content_security_policy, script, style
from nbdt.view.html.page import IMAGE_SIZE
from nbdt.view.svg.frame import SAMPLE

from .inference import Answer
from .models import ServedModel
from .rows import Shown, Source, file_of

_CAPTION = 120  # characters
EXPLANATION = "#/components/schemas/Explanation"

Share = Annotated[float, Field(ge=0, le=1.000001)]
ExplanationSchema = Annotated[dict[str, Any], WithJsonSchema({"$ref": EXPLANATION})]


class Schema(BaseModel):
    """The base of the schemas of answers."""

    model_config = ConfigDict(extra="forbid")


class Prediction(Schema):
    """The predicted class of one row, with the product of the decisions on its path."""

    prediction: Annotated[int, Field(ge=0)]
    prediction_name: str
    probability: Share


class Status(Schema):
    """The state of the service, in one word."""

    status: str


# ── JSON ──────────────────────────────────────────────────────────────────────────────────────


def predictions_of(served: ServedModel, answer: Answer) -> list[dict[str, Any]]:
    """The predicted class of each row; see `Prediction`."""
    names = served.model.hierarchy.names
    probabilities = np.exp(np.take_along_axis(answer.log_probs, answer.predictions[:, None], 1))
    return [
        {
            "prediction": prediction,
            "prediction_name": names[prediction],
            "probability": probability,
        }
        for prediction, probability in zip(
            answer.predictions.tolist(), probabilities[:, 0].tolist(), strict=True
        )
    ]


def likeliest(served: ServedModel, answer: Answer, count: int) -> list[list[dict[str, Any]]]:
    """The likeliest classes of each row, in order; ties: the lower index."""
    names = served.model.hierarchy.names
    order = np.argsort(-answer.log_probs, axis=1, kind="stable")[:, :count]
    probabilities = np.exp(np.take_along_axis(answer.log_probs, order, 1))
    return [
        [
            {"class": leaf, "name": names[leaf], "probability": probability}
            for leaf, probability in zip(leaves, shares, strict=True)
        ]
        for leaves, shares in zip(order.tolist(), probabilities.tolist(), strict=True)
    ]


def explanations_of(answer: Answer) -> list[dict[str, Any]]:
    """The explanation of each row: schema ``nbdt.explanation/1``."""
    return [explanation.to_dict() for explanation in answer.explanations]


# ── pictures ──────────────────────────────────────────────────────────────────────────────────

JSON, DOT, SVG, HTML = "application/json", "text/vnd.graphviz", "image/svg+xml", "text/html"
TREE_FORMS = (JSON, DOT, SVG, HTML)
EXPLANATION_FORMS = (JSON, HTML, SVG)
SIDES = {HTML: IMAGE_SIZE, SVG: int(SAMPLE)}
"""The greatest width and height of an image in an explanation, in pixels."""

# What a form may do in a browser: sandboxed, since the names in it come from strangers.
POLICIES = {
    HTML: content_security_policy([style()], [script()]) + "; sandbox allow-scripts",
    SVG: "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox",
}


def tree_as(form: str, served: ServedModel) -> str:
    """A model's tree in one of `TREE_FORMS`, cached."""
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


def explanations_as(form: str, served: ServedModel, sources: Sequence[Shown], found: Answer) -> str:
    """Explanations as HTML, or the first one as SVG, with their images."""
    tree = served.model.hierarchy
    images = [source.picture or None for source in sources]
    if form == HTML:
        captions = None if any(images) else [_caption(source.source) for source in sources]
        return to_html(tree, found.explanations, images=images, captions=captions)
    return to_svg(tree, found.explanations[0], image=images[0])


def _caption(source: Source) -> str:
    """What a row is called that has no picture: the text, or the first values of its columns."""
    if isinstance(source, Mapping):
        source = ", ".join(f"{name} = {value}" for name, value in islice(source.items(), 8))
    elif isinstance(source, bytes):
        source = source.decode(errors="replace")
    return one_line(source)[:_CAPTION] if isinstance(source, str) else ""


def attributions_of(found: Answer) -> list[list[dict[str, Any]]]:
    """What spoke for each decision of each row's path."""
    return [[one.to_dict() for one in path] for path in found.attributions]


def saliency_strips(served: ServedModel, sources: Sequence[Source], found: Answer) -> list[str]:
    """Which pixels made each decision: one picture per path, as ``data:image/png`` addresses."""
    strips = []
    for source, path in zip(sources, found.attributions, strict=True):
        maps = [one for one in path if isinstance(one, Saliency)]
        file = io.BytesIO()
        strip(maps, served.read.image(file_of(source), "RGB")).save(file, "PNG")
        strips.append(f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}")
    return strips
