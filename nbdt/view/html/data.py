"""What the page's script shows, as plain data, and how that stands safely inside a page."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nbdt.errors import InputError
from nbdt.evaluation.tables import percent
from nbdt.explain import Explanation
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.formats import to_dict
from nbdt.hierarchy.text import one_line
from nbdt.view.marks import in_names_of
from nbdt.view.svg.pictures import Picturable, data_uri

# As page.css shows them, in pixels.
IMAGE_SIZE = 132
PROTOTYPE_SIZE = 96
# These could end the element that the JSON stands in, or begin another one.
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


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
        facts: anything else, as {what: how much} in the order of reading, both as text.
        prototypes: pictures of typical samples.

    Example:
        >>> details = NodeDetails(accuracy=0.93, samples=1000, facts={"Calibration error": "2.1 %"})
        >>> details.to_dict()
        {'accuracy': '93.0 %', 'samples': 1000, 'facts': [['Calibration error', '2.1 %']]}
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


def page_data(
    tree: Hierarchy,
    explanations: Explanation | Iterable[Explanation] | None = None,
    *,
    images: Sequence[Picturable | None] | None = None,
    captions: Sequence[str] | None = None,
    details: Mapping[int, NodeDetails] | None = None,
) -> dict[str, Any]:
    """What the page's script shows: documents of the tree and the explanations, and the rest.

    The arguments are those of `to_html`.

    Returns:
        ``tree`` (a document ``nbdt.hierarchy/1``), ``explanations`` (documents
        ``nbdt.explanation/1``) and, where given, ``images``, ``captions`` and ``details``. All
        texts in it are on one line, and none can reorder what stands around it.
    """
    given = checked(tree, explanations)
    for name, several in (("images", images), ("captions", captions)):
        if several is not None and (isinstance(several, str) or not isinstance(several, Sequence)):
            raise InputError(f"{name} must be a list, got {type(several).__name__}.")
        if several and len(several) != len(given):
            raise InputError(
                f"{name} needs {len(given)} entries, one per explanation; got {len(several)}."
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
    r"""JSON that can stand in a ``<script type="application/json">``, whatever names it holds.

    It is ASCII, and holds no ``<``, ``>`` or ``&``.

    Example:
        >>> as_json({"name": "</script>é"})
        '{"name":"\\u003c/script\\u003e\\u00e9"}'
    """
    return json.dumps(data, allow_nan=False, separators=(",", ":")).translate(_ESCAPES)
