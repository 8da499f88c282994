"""One HTML file: the data, the script that shows it, and what is read where scripts are blocked."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from jinja2 import Template
from markupsafe import Markup

from nbdt.attribution import Attribution
from nbdt.errors import InputError
from nbdt.evaluation.tables import percent
from nbdt.explain import Explanation
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.formats import to_dict
from nbdt.hierarchy.text import one_line
from nbdt.inputs import Preview
from nbdt.view.assets import TOKENS, read_asset, templates
from nbdt.view.evidence import attribution_text, evidence_of, preview_data
from nbdt.view.marks import in_names_of
from nbdt.view.svg.pictures import Picturable, data_uri

# As page.css shows them, in pixels.
IMAGE_SIZE = 132
PROTOTYPE_SIZE = 96
# These could end the element that the JSON stands in, or begin another one.
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
# Without scripts the whole tree stands on the page at once, so it has to end somewhere.
STATIC_LINES = 200

# In the order of what each builds on.
_SCRIPTS = (
    "elements",
    "tree",
    "evidence",
    "summary",
    "outline",
    "map",
    "details",
    "search",
    "mount",
)


@dataclass(frozen=True)
class Prototype:
    """A picture that shows what a node is about, with a caption such as "cat, 99 %"."""

    image: Picturable
    caption: str


@dataclass(frozen=True, kw_only=True)
class NodeDetails:
    """What a page says of a node when it is selected; whatever is not known is left out.

    Args:
        accuracy: how often the node is right, in [0, 1]: of a class, the share of its samples
            that are predicted; of an inner node, the share of the samples whose class lies under
            it that are sent to the right child.
        samples: how many samples that was measured on.
        facts: anything else, as {what: how much} in the order of reading.
        prototypes: pictures of typical samples.
    """

    accuracy: float | None = None
    samples: int | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    prototypes: tuple[Prototype, ...] = ()

    def __post_init__(self) -> None:
        if self.accuracy is not None and not 0 <= self.accuracy <= 1:
            raise InputError(f"accuracy must be from 0 to 1, got {self.accuracy!r:.60}.")
        if self.samples is not None and not (0 <= self.samples < math.inf):
            raise InputError(f"samples must be a count, got {self.samples!r:.60}.")

    def to_dict(self) -> dict[str, Any]:
        """The details as the plain data that the page's script reads."""
        known: dict[str, Any] = {}
        if self.accuracy is not None:
            known["accuracy"] = percent(float(self.accuracy))
        if self.samples is not None:
            known["samples"] = int(self.samples)
        if self.facts:
            known["facts"] = [[one_line(str(k)), one_line(str(v))] for k, v in self.facts.items()]
        if self.prototypes:
            known["prototypes"] = [
                {"image": data_uri(shown.image, PROTOTYPE_SIZE), "caption": one_line(shown.caption)}
                for shown in self.prototypes
            ]
        return known


def to_html(
    tree: Hierarchy,
    explanations: Explanation | Iterable[Explanation] | None = None,
    *,
    images: Sequence[Picturable | None] | None = None,
    captions: Sequence[str] | None = None,
    title: str | None = None,
    details: Mapping[int, NodeDetails] | None = None,
    samples: Sequence[Preview | None] | None = None,
    attributions: Sequence[Iterable[Attribution]] | None = None,
) -> str:
    """A tree, and the explanations of some samples in it, as one HTML file.

    The file needs nothing else, and its content security policy keeps it from loading anything, so
    it can be mailed and opened anywhere. It shows the predictions with their decisions, the tree as
    an outline that folds and as a map that zooms, and the classes, decision, name source and
    details of the selected node. It works by keyboard, with a screen reader, on paper and, as text
    alone, where scripts are blocked.

    Args:
        tree: the tree; of a model, its `hierarchy`. For an explanation without its tree use
            `to_svg` or `to_text`.
        explanations: one, several to choose from, or none; all made with this tree.
        images: the image of each explanation, or None; made small.
        captions: what each explanation is of, such as a file name.
        title: the heading; by default it says what the page holds.
        details: what else is known of single nodes, such as accuracy and typical samples.
        samples: what is shown of each sample, as a model's input gives it: its picture, text or
            columns.
        attributions: what spoke for the decisions of each explanation, as `attribute_path` gives
            it.
    """
    given = checked(tree, explanations)
    if not title:
        title = f"{len(given):,} predictions, explained" if given else "A tree of classes"
        if len(given) == 1:
            title = f"Why “{given[0].answer_name}”?"
    return render_page(
        templates().get_template("view.html"),
        title=title,
        data=page_data(
            tree,
            given,
            images=images,
            captions=captions,
            details=details,
            samples=samples,
            attributions=attributions,
        ),
        attributions=[attribution_text(few) for few in attributions or ()],
        tree=tree,
        explanations=given,
        captions=captions,
        most_lines=STATIC_LINES,
    )


def render_page(
    template: Template,
    *,
    title: str,
    data: Mapping[str, Any],
    more_styles: Sequence[str] = (),
    **context: Any,
) -> str:
    """A whole HTML file from a template that extends base.html and has an element ``view``.

    The script shows the `data` in that element (see `page_data`); `context` is for the template.
    """
    styles = [style(), *more_styles]
    return template.render(
        policy=Markup(content_security_policy(styles, [script()])),
        title=title,
        styles=map(Markup, styles),
        data=Markup(as_json(data)),
        script=Markup(script()),
        **context,
    )


def content_security_policy(styles: Iterable[str], scripts: Iterable[str]) -> str:
    """A policy for a page that holds these styles and scripts and uses nothing else.

    Images may be ``data:`` addresses; nothing is fetched, framed, submitted or evaluated. The
    texts are those between ``<style>`` and ``</style>``, character by character; likewise scripts.
    """
    return (
        f"default-src 'none'; style-src {_sources(styles)}; script-src {_sources(scripts)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _sources(texts: Iterable[str]) -> str:
    hashes = [hashlib.sha256(text.encode()).digest() for text in texts]
    return " ".join(f"'sha256-{base64.b64encode(one).decode()}'" for one in hashes) or "'none'"


@cache
def style() -> str:
    """The style sheet of all pages: tokens.css and page.css."""
    return f"{TOKENS}\n{read_asset('html/page.css')}"


@cache
def script() -> str:
    """The script of the page, which defines ``nbdt.mount(element, data)``: the files of script/."""
    parts = "\n".join(read_asset(f"html/script/{name}.js") for name in _SCRIPTS)
    # In a function of its own, so that it shares no names with other scripts of the page.
    return f'const nbdt = (() => {{\n"use strict";\n\n{parts}\nreturn {{ mount }};\n}})();\n'


def page_data(
    tree: Hierarchy,
    explanations: Explanation | Iterable[Explanation] | None = None,
    *,
    images: Sequence[Picturable | None] | None = None,
    captions: Sequence[str] | None = None,
    details: Mapping[int, NodeDetails] | None = None,
    samples: Sequence[Preview | None] | None = None,
    attributions: Sequence[Iterable[Attribution]] | None = None,
) -> dict[str, Any]:
    """What the page's script shows; the arguments are those of `to_html`.

    That is ``tree`` (a document ``nbdt.hierarchy/1``), ``explanations`` (documents
    ``nbdt.explanation/1``) and, where given, ``images``, ``captions``, ``details``, ``samples`` and
    ``attributions``. All names in it are on one line, and no text can reorder what stands around
    it.
    """
    given = checked(tree, explanations)
    count = len(given)
    for name, several in (
        ("images", images),
        ("captions", captions),
        ("samples", samples),
        ("attributions", attributions),
    ):
        if several is not None and (isinstance(several, str) or not isinstance(several, Sequence)):
            raise InputError(f"{name} must be a list, got {type(several).__name__}.")
        if several and len(several) != count:
            raise InputError(
                f"{name} needs {count} entries, one per explanation; got {len(several)}."
            )
    document = to_dict(tree)
    document.pop("merge_heights", None)  # many digits, which the page does not show
    data: dict[str, Any] = {
        "tree": _on_one_line(document),
        "explanations": [_on_one_line(explanation.to_dict()) for explanation in given],
    }
    if samples:
        data["samples"] = [None if one is None else preview_data(one) for one in samples]
        pictures = [None if one is None else one.picture for one in samples]
        if not images and any(pictures):
            images = pictures
    if attributions:
        data["attributions"] = [[one.to_dict() for one in evidence_of(few)] for few in attributions]
    if images:
        data["images"] = [None if one is None else data_uri(one, IMAGE_SIZE) for one in images]
    if captions:
        data["captions"] = [one_line(caption) for caption in captions]
    if details:
        for node, known in details.items():
            tree.name(node)  # which refuses a node that does not exist
            if not isinstance(known, NodeDetails):
                raise InputError(
                    f"details must be NodeDetails by node; node {node} has {type(known).__name__}."
                )
        data["details"] = {str(node): known.to_dict() for node, known in details.items()}
    return data


def checked(
    tree: Hierarchy, explanations: Explanation | Iterable[Explanation] | None
) -> list[Explanation]:
    """The explanations as a list, each checked to be of this tree and in its names."""
    if not isinstance(tree, Hierarchy):
        raise InputError(
            "a page shows a tree and explanations in it: pass a Hierarchy first, such as "
            f"model.hierarchy, then the explanations; got {type(tree).__name__}."
        )
    if isinstance(explanations, Explanation):
        explanations = [explanations]
    if not isinstance(explanations, Iterable | None):
        raise InputError(
            f"explanations must be one Explanation or several, got {type(explanations).__name__}."
        )
    given = list(explanations or ())
    for index, explanation in enumerate(given):
        try:
            given[index] = in_names_of(tree, explanation)
        except InputError as error:
            raise InputError(f"explanation {index}: {error}") from None
    return given


def _on_one_line(value: Any) -> Any:
    """A document with each of its texts on one line."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, Mapping):
        return {key: _on_one_line(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_on_one_line(one) for one in value]
    return value


def as_json(data: Mapping[str, Any]) -> str:
    r"""ASCII without ``<``, ``>`` or ``&``, to stand in a ``<script type="application/json">``."""
    return json.dumps(data, allow_nan=False, separators=(",", ":")).translate(_ESCAPES)
