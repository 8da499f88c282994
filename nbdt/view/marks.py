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
    """What an explanation says of single nodes.

    Attributes:
        roles: those of the nodes on a path; "other" is what is not in it.
        probabilities: that of each node given its parent, for the children of the path.
    """

    roles: Mapping[int, Role] = field(default_factory=dict)
    probabilities: Mapping[int, float] = field(default_factory=dict)


NO_MARKS = Marks()


def marks_of(explanation: Explanation, tree: Hierarchy | None) -> Marks:
    """The roles and probabilities of the nodes; without a tree, of those it knows itself.

    Raises:
        InputError: the explanation is none, or was made with another tree.

    Example:
        >>> from nbdt.explain import Decision
        >>> step = Decision(2, "animal", 0, (0, 1), ("cat", "dog"), (0.75, 0.25), 1.1, 0.81)
        >>> explanation = Explanation((step,), 0, "cat", 1, "dog", 0.25, 2, "mean", "soft")
        >>> marks_of(explanation, None).roles
        {1: 'runner_up', 2: 'path', 0: 'answer'}
    """
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
    return Marks(
        roles,
        {
            child: probability
            for decision in explanation.path
            for child, probability in zip(decision.children, decision.probabilities, strict=True)
        },
    )


def in_names_of(tree: Hierarchy, explanation: Explanation) -> Explanation:
    """The explanation with the inner nodes called as this tree calls them, now.

    Inner nodes may have been renamed since it was made, and a view is to call each by one name.

    Raises:
        InputError: as in `check_belongs`.

    Example:
        >>> from nbdt.explain import Decision
        >>> step = Decision(2, "animal", 0, (0, 1), ("cat", "dog"), (0.75, 0.25), 1.1, 0.81)
        >>> explanation = Explanation((step,), 0, "cat", 1, "dog", 0.25, 2, "mean", "soft")
        >>> in_names_of(Hierarchy([2, 2, -1], ["cat", "dog", "pet"]), explanation).diverges_at_name
        'pet'
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
    """Refuses an explanation whose path or classes are not those of this tree.

    Classes have to have the same names; inner nodes may have been renamed.

    Raises:
        InputError: the explanation is none, or was made with another tree.
    """
    if not isinstance(explanation, Explanation):
        hint = "; draw one of them at a time" if isinstance(explanation, list | tuple) else ""
        raise InputError(
            f"explanation has to be an Explanation, got {type(explanation).__name__}{hint}."
        )
    if not _fits(explanation, tree):
        raise InputError(
            f"the explanation of {explanation.prediction_name!r:.60} was made with another tree "
            f"than this one ({tree!r}); pass the tree it was made with."
        )
    for node, name in _classes(explanation, tree.num_classes):
        if name != tree.names[node]:
            raise InputError(
                f"the explanation of {explanation.prediction_name!r:.60} was made with another "
                f"tree than this one: it calls class {node} {name!r:.60}, and this tree "
                f"{tree.names[node]!r:.60}; pass the tree it was made with."
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
