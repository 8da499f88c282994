"""What is drawn of a tree, and what an explanation says about it: the basis of all views.

A view draws *items*, one a node, in preorder. A large tree is *folded*: only some nodes are
*open*, with their children below them. Where an open node has too many children, the least
likely of them are drawn as one item, the *rest*.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from nbdt.errors import InputError
from nbdt.explain import Explanation, percent
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.lookup import Node, described, node_ids
from nbdt.hierarchy.support import TREES, support_of
from nbdt.hierarchy.text import join_names
from nbdt.hierarchy.validation import IntArray
from nbdt.view.assets import counted
from nbdt.view.labels import clean
from nbdt.view.marks import Marks, Role, in_names_of, marks_of

Kind = Literal["class", "open", "folded", "rest"]
Folded = Literal["auto"] | Collection[Node] | None

# A tree of at most this many nodes is drawn whole unless told otherwise.
MOST_ITEMS = 60
# Of a node in a tree that is folded, this many children are drawn; the others are the rest.
MOST_SIBLINGS = 4


@dataclass(frozen=True, slots=True)
class Item:
    """One node of a view, or the rest of a node's children.

    Attributes:
        node: the node's id; of a rest, the id of its first node.
        parent: the place of the item above among the items; −1 at the root.
        kind: "class" for a leaf; "open" or "folded" for an inner node; "rest". A node of which
            an explanation without its tree knows only the name counts as a class.
        contents: what a folded node or a rest holds, as ``"218 classes: cat, dog, …"``.
        classes: how many the item stands for; None where there is no tree to tell.
        role: "path" on the way to the answer, "answer" (the class or the node answered),
            "beyond" where the path goes on below an answer that is not a class, "rival" on the way
            to the runner-up, "runner_up", or "other".
        probability: of the node given its parent, where the explanation has it.
        differs: whether another explanation that it is compared with does not pass here.
        support: of the node's group, in percent, where a tree is drawn alone and knows it.
        uri: the picture of the class as a ``data:`` address, where there is one.
    """

    node: int
    parent: int
    name: str
    kind: Kind
    contents: str = ""
    classes: int | None = 1
    role: Role = "other"
    probability: float | None = None
    differs: bool = False
    support: str = ""
    uri: str = ""


@dataclass(frozen=True, slots=True)
class Folding:
    """The items that a view draws in preorder, and the tree and explanation they were made of.

    The tree is None where an explanation is drawn alone, the explanation where a tree is.
    """

    items: tuple[Item, ...]
    tree: Hierarchy | None
    explanation: Explanation | None

    @property
    def parents(self) -> IntArray:
        """The place of each item's parent among the items, −1 at the root."""
        return np.array([item.parent for item in self.items], dtype=np.int64)

    @property
    def depths(self) -> list[int]:
        """The number of edges from each item up to the root."""
        depths: list[int] = []
        for item in self.items:
            depths.append(depths[item.parent] + 1 if item.parent >= 0 else 0)
        return depths

    def __len__(self) -> int:
        """The number of items."""
        return len(self.items)


def fold(
    subject: Hierarchy | Explanation,
    explanation: Explanation | None = None,
    *,
    folded: Folded = "auto",
) -> Folding:
    """Chooses what is drawn of a tree, of an explanation in its tree, or of one alone.

    Args:
        subject: the tree; or an explanation, which alone is drawn as its path with the siblings.
        folded: the inner nodes that are drawn closed, by id or name; None for none. "auto" draws
            trees of up to 60 nodes whole. In larger ones it opens the paths to the prediction
            and to the runner-up, with the most likely siblings; without an explanation, it opens
            nodes level by level from the root until 60 are drawn. An explanation alone knows only
            the nodes of its path, and takes "auto" or, to draw all siblings, None.

    Example:
        >>> from nbdt.hierarchy import load_hierarchy
        >>> folding = fold(load_hierarchy("imagenet1k/wordnet"))
        >>> folding.items[6].name, folding.items[6].contents
        ('animal', '398 classes: barracouta, eel, …')
    """
    if isinstance(subject, Explanation):
        if explanation is not None:
            raise InputError("got two explanations; pass the tree first, or only one explanation.")
        marks = marks_of(subject, None)
        if folded is not None and not _is_auto(folded):
            raise InputError(
                "an explanation alone knows only the nodes of its path; pass its tree first, or "
                f'folded="auto" or None; got folded={folded!r:.60}.'
            )
        steps: Shown = {
            d.node: d.children if folded is None else _likeliest(d.children, marks)
            for d in subject.path
        }
        return Folding(tuple(_items(_Alone(subject), steps, marks)), None, subject)
    if not isinstance(subject, Hierarchy):
        raise InputError(
            f"a view draws a Hierarchy or an Explanation, got {type(subject).__name__}"
            f"{_hint(subject)}."
        )
    marks = Marks()
    if explanation is not None:
        explanation = in_names_of(subject, explanation)
        marks = marks_of(explanation, subject)
    items = _items(subject, _shown(subject, folded, marks), marks)
    if explanation is None:
        # Beside the decisions of an explanation, another percentage would mislead.
        known = support_of(subject)
        items = (
            replace(item, support=percent(known[item.node]))
            if item.kind in ("open", "folded") and item.node in known
            else item
            for item in items
        )
    return Folding(tuple(items), subject, explanation)


def _hint(subject: object) -> str:
    """What to pass instead of something that may be near at hand."""
    if isinstance(getattr(subject, "hierarchy", None), Hierarchy):
        return "; pass its hierarchy, or one of the explanations that it gives"
    if isinstance(subject, list | tuple):
        return "; draw one of them at a time, or several by nbdt.view.compare_svg"
    if isinstance(subject, str):
        return "; nbdt.load_hierarchy reads one by its name or from a file"
    return ""


def _is_auto(folded: Folded) -> bool:
    return isinstance(folded, str) and folded == "auto"


Shown = Mapping[int, Sequence[int]]
"""The children that are drawn of each node that is open; what is missing becomes the rest."""


def _shown(tree: Hierarchy, folded: Folded, marks: Marks) -> Shown:
    closed: Collection[int] = ()
    if _is_auto(folded):
        if len(tree) > MOST_ITEMS:
            opened = (node for node in marks.roles if not tree.is_leaf(node))
            on_path = {node: _likeliest(tree.children(node), marks) for node in opened}
            return on_path or _from_the_top(tree)
    elif isinstance(folded, str) or not isinstance(folded, Collection | None):
        raise InputError(f'folded is "auto", None or the inner nodes to close; got {folded!r:.60}.')
    else:
        closed = frozenset(node_ids(tree, folded or ()))
        for node in closed:
            if tree.is_leaf(node):
                raise InputError(f"{described(tree, node)} is a class and cannot be folded.")
    return {node: tree.children(node) for node in tree.inner if node not in closed}


def _from_the_top(tree: Hierarchy) -> Shown:
    """Opens nodes level by level while what they hold still fits in."""
    shown: dict[int, Sequence[int]] = {}
    left = MOST_ITEMS - 1
    queue = deque([tree.root])
    while queue and left > 1:
        node = queue.popleft()
        children = tree.children(node)
        if len(children) <= left:
            shown[node] = children
            left -= len(children)
            queue.extend(child for child in children if not tree.is_leaf(child))
        elif node == tree.root:
            return {node: children[: left - 1]}
    return shown


def _likeliest(children: Sequence[int], marks: Marks) -> Sequence[int]:
    """The children to draw on a path: those on a path themselves, then the likeliest."""
    most = MOST_SIBLINGS if children[0] in marks.probabilities else 1
    if len(children) <= most + 1:  # a rest of one would take as much room as itself
        return children
    first = sorted(
        children, key=lambda child: (child not in marks.roles, -marks.probabilities.get(child, 0))
    )
    return sorted(first[:most])


class _Alone:
    """What an explanation knows of its tree: the path and the siblings on it."""

    def __init__(self, explanation: Explanation) -> None:
        path = explanation.path
        self.root = path[0].node
        self._children = {d.node: d.children for d in path}
        self._names = {self.root: path[0].node_name}
        for d in path:
            self._names.update(zip(d.children, d.children_names, strict=True))

    def children(self, node: int) -> tuple[int, ...]:
        return self._children.get(node, ())

    def name(self, node: int) -> str:
        return self._names[node]


def _items(source: Hierarchy | _Alone, shown: Shown, marks: Marks) -> Iterator[Item]:
    """The items in preorder."""
    # A node with the place of its parent; a rest stands as the tuple of its nodes.
    stack: list[tuple[int | tuple[int, ...], int]] = [(source.root, -1)]
    place = -1
    while stack:
        node, parent = stack.pop()
        place += 1
        if isinstance(node, tuple):
            yield _rest(source, node, parent, marks)
            continue
        yield _item(source, node, parent, node in shown, marks)
        if node in shown:
            drawn = set(shown[node])
            hidden = tuple(child for child in source.children(node) if child not in drawn)
            stack += [(hidden, place)] if hidden else []
            stack += [(child, place) for child in reversed(shown[node])]


def _item(source: Hierarchy | _Alone, node: int, parent: int, opened: bool, marks: Marks) -> Item:
    kind: Kind = "open" if opened else "class"
    contents, size = "", None
    if isinstance(source, Hierarchy):
        start, size = int(source.leaf_start[node]), int(source.sizes[node])
        if size > 1 and not opened:
            kind = "folded"
            first = source.leaf_order[start : start + min(size, 3)]
            some = join_names((clean(source.names[leaf]) for leaf in first), size)
            contents = f"{size:,} classes: {some}"
    role, probability = marks.roles.get(node, "other"), marks.probabilities.get(node)
    return Item(node, parent, clean(source.name(node)), kind, contents, size, role, probability)


def _rest(source: Hierarchy | _Alone, nodes: Sequence[int], parent: int, marks: Marks) -> Item:
    known = [marks.probabilities[node] for node in nodes if node in marks.probabilities]
    size = int(source.sizes[list(nodes)].sum()) if isinstance(source, Hierarchy) else None
    names = join_names((clean(source.name(node)) for node in nodes), len(nodes))
    share = sum(known) if known else None
    more = f"{len(nodes):,} more"
    return Item(nodes[0], parent, more, "rest", names, size, probability=share)


def support_legend(folding: Folding) -> str:
    """What the numbers at the nodes mean; empty where there are none."""
    nodes = [item.node for item in folding.items if item.support]
    if not nodes or folding.tree is None:
        return ""
    count, *others = [folding.tree.attributes(node).get(TREES) for node in nodes]
    same = others == [count] * len(others)
    trees = counted(count, "tree") if same and isinstance(count, int) else "other trees"
    return f"number at a node: its support, the percentage of {trees} with the same group"
