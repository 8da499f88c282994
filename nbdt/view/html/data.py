"""What the page's script shows, as plain data, and how that stands safely inside a page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nbdt.errors import InputError
from nbdt.explain import Explanation
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.convert import to_dict
from nbdt.hierarchy.text import one_line
from nbdt.view.html.details import NodeDetails
from nbdt.view.marks import check_belongs
from nbdt.view.svg.pictures import Picturable, data_uri

IMAGE_SIZE = 132  # as page.css shows it, in pixels
# These could end the element that the JSON stands in, or begin another one.
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def page_data(
    tree: Hierarchy,
    explanations: Explanation | Iterable[Explanation] = (),
    *,
    images: Sequence[Picturable | None] = (),
    captions: Sequence[str] = (),
    details: Mapping[int, NodeDetails] | None = None,
) -> dict[str, Any]:
    """What the page's script shows: documents of the tree and the explanations, and the rest.

    Args:
        tree: the tree.
        explanations: one, several or none.
        images: the image that each explanation is of, or None; or none at all.
        captions: what each explanation is of, such as the name of a file; or none at all.
        details: what else is known of single nodes.

    Returns:
        ``tree`` (a document ``nbdt.hierarchy/1``), ``explanations`` (documents
        ``nbdt.explanation/1``) and, where given, ``images``, ``captions`` and ``details``.

    Raises:
        InputError: an explanation belongs to another tree, images or captions are not as many
            as the explanations, or details are given of a node that does not exist.

    Example:
        >>> tree = Hierarchy([2, 2, -1], ["cat", "dog", "pet"])
        >>> page_data(tree)["tree"]["parents"]
        [2, 2, -1]
    """
    given = [explanations] if isinstance(explanations, Explanation) else list(explanations)
    for index, explanation in enumerate(given):
        try:
            check_belongs(explanation, tree)
        except InputError as error:
            raise InputError(f"explanation {index}: {error}") from None
    for name, several in (("images", images), ("captions", captions)):
        if len(several) not in (0, len(given)):
            raise InputError(
                f"{name} needs one entry an explanation, {len(given)}, or none; got {len(several)}."
            )
    document = to_dict(tree)
    document.pop("merge_heights", None)  # many digits, which the page does not show
    data: dict[str, Any] = {
        "tree": document,
        "explanations": [explanation.to_dict() for explanation in given],
    }
    if images:
        data["images"] = [
            None if image is None else data_uri(image, IMAGE_SIZE) for image in images
        ]
    if captions:
        data["captions"] = [one_line(caption) for caption in captions]
    if details:
        # Asking for the name refuses a node that does not exist.
        data["details"] = {
            str(node): known.to_dict() for node, known in details.items() if tree.name(node)
        }
    return data


def as_json(data: Mapping[str, Any]) -> str:
    r"""JSON that can stand in a ``<script type="application/json">``, whatever names it holds.

    It is ASCII, and holds no ``<``, ``>`` or ``&``.

    Example:
        >>> as_json({"name": "</script>é"})
        '{"name":"\\u003c/script\\u003e\\u00e9"}'
    """
    return json.dumps(data, allow_nan=False, separators=(",", ":")).translate(_ESCAPES)
