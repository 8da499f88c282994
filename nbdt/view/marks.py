"""What an explanation marks in its tree: the path, the answer, the way to the runner-up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from nbdt.errors import InputError
from nbdt.explain import Explanation
from nbdt.hierarchy import Hierarchy

Role = Literal["path", "answer", "beyond", "rival", "runner_up", "other"]
"""What `nbdt.view.Item` says of a node."""


@dataclass(frozen=True, slots=True)
class Marks:
    """The roles of the nodes on a path, and the probabilities of their children given the parent.

    Nodes without a role are "other".
    """

    roles: Mapping[int, Role] = field(default_factory=dict)
    probabilities: Mapping[int, float] = field(default_factory=dict)


def marks_of(explanation: Explanation, tree: Hierarchy | None) -> Marks:
    """The roles and probabilities of the nodes; without a tree, of those it knows itself."""
    roles: dict[int, Role] = {}
    if tree is not None:
        check_belongs(explanation, tree)
        parting = tree.depth(explanation.diverges_at)
        roles.update((node, "rival") for node in tree.path(explanation.runner_up)[parting + 1 :])
    roles[explanation.runner_up] = "runner_up"
    path = [*(decision.node for decision in explanation.path), explanation.prediction]
    answered = path.index(explanation.answer)
    roles.update((node, "path") for node in path[:answered])
    roles.update((node, "beyond") for node in path[answered:])
    roles[explanation.answer] = "answer"
    probabilities: dict[int, float] = {}
    for decision in explanation.path:
        probabilities.update(zip(decision.children, decision.probabilities, strict=True))
    return Marks(roles, probabilities)


def in_names_of(tree: Hierarchy, explanation: Explanation) -> Explanation:
    """The explanation with this tree's current names of the inner nodes.

    They may have been renamed since it was made, and a view has one name for each node.
    """
    check_belongs(explanation, tree)
    path = tuple(
        replace(
            decision,
            node_name=tree.name(decision.node),
            children_names=tuple(map(tree.name, decision.children)),
        )
        for decision in explanation.path
    )
    return replace(explanation, path=path)


def check_belongs(explanation: Explanation, tree: Hierarchy) -> None:
    """Raises InputError for an explanation whose path or classes are not those of this tree.

    Classes need the same names; inner nodes may have been renamed.
    """
    if not isinstance(explanation, Explanation):
        hint = "; draw one of them at a time" if isinstance(explanation, list | tuple) else ""
        raise InputError(
            f"explanation must be an Explanation, got {type(explanation).__name__}{hint}."
        )
    differs = "" if _fits(explanation, tree) else f" ({tree!r})"
    for node, name in () if differs else _classes(explanation, tree.num_classes):
        if name != (own := tree.names[node]):
            differs = f": it calls class {node} {name!r:.60}, and this tree {own!r:.60}"
            break
    if differs:
        raise InputError(
            f"the explanation of {explanation.prediction_name!r:.60} was made with another tree "
            f"than this one{differs}; pass the tree it was made with."
        )


def _fits(explanation: Explanation, tree: Hierarchy) -> bool:
    """Whether the tree has the nodes of the explanation where it says that they are."""
    steps = explanation.path
    classes = (explanation.prediction, explanation.runner_up, explanation.network_prediction)
    return (
        steps[0].node == tree.root
        and all(d.node <= tree.root and tree.children(d.node) == d.children for d in steps)
        and max(classes) < tree.num_classes
        and tree.lca(explanation.prediction, explanation.runner_up) == explanation.diverges_at
    )


def _classes(explanation: Explanation, num_classes: int) -> Iterator[tuple[int, str]]:
    """The classes that the explanation names, with their names."""
    for decision in explanation.path:
        named = zip(decision.children, decision.children_names, strict=True)
        yield from ((node, name) for node, name in named if node < num_classes)
    yield explanation.runner_up, explanation.runner_up_name
    yield explanation.network_prediction, explanation.network_prediction_name
