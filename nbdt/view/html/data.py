"""What the page's script shows, as plain data, and how that stands safely inside a page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nbdt.errors import InputError
from nbdt.explain import Explanation
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.formats import to_dict
from nbdt.hierarchy.text import one_line
from nbdt.view.html.details import NodeDetails
from nbdt.view.marks import in_names_of
from nbdt.view.svg.pictures import Picturable, data_uri

IMAGE_SIZE = 132  # as page.css shows it, in pixels
# These could end the element that the JSON stands in, or begin another one.
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def page_data(
    tree: Hierarchy,
    explanations: Explanation | Iterable[Explanation] | None = None,
    *,
    images: Sequence[Picturable | None] | None = None,
    captions: Sequence[str] | None = None,
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
        ``nbdt.explanation/1``) and, where given, ``images``, ``captions`` and ``details``. All
        texts in it are on one line, and none can reorder what stands around it.

    Raises:
        InputError: `tree` is no tree, an explanation belongs to another one, images or captions
            are not as many as the explanations, or details are given of a node that does not
            exist.

    Example:
        >>> tree = Hierarchy([2, 2, -1], ["cat", "dog", "pet"])
        >>> page_data(tree)["tree"]["parents"]
        [2, 2, -1]
    """
    given = checked(tree, explanations)
    for name, several in (("images", images), ("captions", captions)):
        if several is not None and (isinstance(several, str) or not isinstance(several, Sequence)):
            raise InputError(f"{name} has to be a list, got {type(several).__name__}.")
        if several and len(several) != len(given):
            raise InputError(
                f"{name} needs one entry an explanation, {len(given)}, or none; got {len(several)}."
            )
    document = to_dict(tree)
    document.pop("merge_heights", None)  # many digits, which the page does not show
    data: dict[str, Any] = {
        "tree": _on_one_line(document),
        "explanations": [_on_one_line(explanation.to_dict()) for explanation in given],
    }
    if images:
        data["images"] = [
            None if image is None else data_uri(image, IMAGE_SIZE) for image in images
        ]
    if captions:
        data["captions"] = [one_line(caption) for caption in captions]
    if details:
        for node, known in details.items():
            tree.name(node)  # which refuses a node that does not exist
            if not isinstance(known, NodeDetails):
                raise InputError(
                    f"details are NodeDetails by node; got {type(known).__name__} of node {node}."
                )
        data["details"] = {str(node): known.to_dict() for node, known in details.items()}
    return data


def checked(
    tree: Hierarchy, explanations: Explanation | Iterable[Explanation] | None
) -> list[Explanation]:
    """The explanations as a list, each of them of this tree and in its names.

    Raises:
        InputError: `tree` is no tree, or an explanation is none or belongs to another tree.
    """
    if not isinstance(tree, Hierarchy):
        raise InputError(
            "a page shows a tree to look around in, and explanations in it: pass a Hierarchy "
            "first, such as model.hierarchy, and then the explanations; got "
            f"{type(tree).__name__}."
        )
    if isinstance(explanations, Explanation):
        explanations = [explanations]
    if not isinstance(explanations, Iterable | None):
        raise InputError(
            f"explanations has to be one or several of them, got {type(explanations).__name__}."
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
    r"""JSON that can stand in a ``<script type="application/json">``, whatever names it holds.

    It is ASCII, and holds no ``<``, ``>`` or ``&``.

    Example:
        >>> as_json({"name": "</script>é"})
        '{"name":"\\u003c/script\\u003e\\u00e9"}'
    """
    return json.dumps(data, allow_nan=False, separators=(",", ":")).translate(_ESCAPES)
