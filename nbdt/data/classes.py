"""The classes of a data set: compared with a model's, filtered, merged into coarser ones.

Names in, arrays out: `LabelledImages` applies them to samples.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nbdt.errors import InputError, NotFoundError
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.classes import ambiguity, canonical
from nbdt.hierarchy.library import list_datasets, load_classes
from nbdt.hierarchy.lookup import Node, described, distinct_ids
from nbdt.hierarchy.text import join_names

_SHOWN = 5


class WithClasses(Protocol):
    """Anything with class names in an order: a data set, a model, a tree."""

    @property
    def classes(self) -> Sequence[str]:
        """The names."""


def check_own_classes(data: object, classes: Sequence[str]) -> None:
    """`check_classes` for any data, if it or the data set inside it names its classes."""
    while not hasattr(data, "classes") and hasattr(data, "dataset"):
        data = data.dataset
    names = getattr(data, "classes", None)
    if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
        check_classes(data, classes)  # type: ignore[arg-type]


def check_classes(
    dataset: WithClasses, classes: Sequence[str], *, owner: str = "the model"
) -> None:
    """Refuses a data set whose classes are not these, in this order.

    Label i has to mean output i, or correct answers would count as wrong. `owner` is what messages
    call the model or tree whose classes these are.

    Example:
        >>> tree = Hierarchy([2, 2, -1], ["cat", "dog"])
        >>> check_classes(tree, ["dog", "cat"])
        Traceback (most recent call last):
        nbdt.errors.InputError: the classes of the data set are in another order than the classes of
        the model: class 0 is 'cat' in the data set and 'dog' in the model. ...
    """
    mine, theirs = (tuple(map(canonical, names)) for names in (dataset.classes, classes))
    if mine == theirs:
        return
    if sorted(mine) == sorted(theirs):
        place = next(i for i in range(len(mine)) if mine[i] != theirs[i])
        raise InputError(
            f"the classes of the data set are in another order than the classes of {owner}: class "
            f"{place} is {mine[place]!r} in the data set and {theirs[place]!r} in {owner}. Bring "
            f"{owner} into the data set's order."
        )
    differences = [f"{len(mine)} in the data set, {len(theirs)} in {owner}"]
    for where, names, others in (("the data set", mine, theirs), (owner, theirs, mine)):
        only = [name for name in names if name not in set(others)]
        differences += [f"only in {where}: {join_names(only, len(only), most=_SHOWN)}"] * bool(only)
    raise InputError(
        f"the classes of the data set differ from the classes of {owner}: {'; '.join(differences)}."
    )


def bundled_wnids(classes: Sequence[str]) -> tuple[str, ...]:
    """The wnids of classes that are those of a bundled data set; ``""`` for all others."""
    for dataset in list_datasets():
        known = load_classes(dataset)
        if [info.name for info in known] == list(classes):
            return tuple(info.wnid for info in known)
    return ("",) * len(classes)


def filtered(
    classes: Sequence[str],
    wnids: Sequence[str],
    include: Iterable[str] | None,
    exclude: Iterable[str],
) -> list[int]:
    """The classes that a filter of names and wnids keeps, in their order."""
    kept = set(range(len(classes))) if include is None else _found(classes, wnids, include)
    kept -= _found(classes, wnids, exclude)
    if not kept:
        raise InputError("no class is left; include or exclude others.")
    return sorted(kept)


def cut(tree: Hierarchy, at: int | Iterable[Node]) -> tuple[list[int], npt.NDArray[np.int64]]:
    """The ids of nodes that cut a tree, and the place of each class's node among them; shape (C,).

    On each path from the root to a class lies exactly one of the nodes. `at` lists them, by id or
    name; or it is a depth, for the nodes at that depth and the classes above it, sorted by id.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "pet", "thing"])
        >>> cut(tree, 1), cut(tree, ["pet", "car"])
        (([2, 3], array([1, 1, 0])), ([3, 2], array([0, 0, 1])))
    """
    if isinstance(at, int):
        if at < 1:
            raise InputError(f"a depth to cut at is 1 or more, got {at}.")
        is_leaf = np.arange(len(tree)) < tree.num_classes
        nodes = np.flatnonzero((tree.depths == at) | (is_leaf & (tree.depths < at))).tolist()
    else:
        nodes = distinct_ids(tree, at)
    place_of = np.full(tree.num_classes, -1, dtype=np.int64)
    for place, node in enumerate(nodes):
        for leaf in tree.leaves(node):
            if place_of[leaf] >= 0:
                both = f"{described(tree, nodes[place_of[leaf]])} and {described(tree, node)}"
                raise InputError(
                    f"class {tree.name(leaf)!r} lies under {both}; leave out one of them."
                )
            place_of[leaf] = place
    uncovered = np.flatnonzero(place_of < 0)
    if len(uncovered):
        raise InputError(
            f"{len(uncovered)} classes lie under none of the nodes, "
            f"{tree.name(int(uncovered[0]))!r} for one; give a node above them too, or leave the "
            "classes out of data set and tree."
        )
    return nodes, place_of


def _found(classes: Sequence[str], wnids: Sequence[str], names: Iterable[str]) -> set[int]:
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise InputError(f"a list of classes is needed, got {names!r:.80}.")
    place = {wnid: index for index, wnid in enumerate(wnids) if wnid}
    place |= {canonical(name): index for index, name in enumerate(classes)}
    found = set()
    for given in names:
        name = canonical(given) if isinstance(given, str) else given
        if name not in place:
            if several := ambiguity(str(name), classes):
                raise NotFoundError(f"{several}.")
            close = " or ".join(map(repr, difflib.get_close_matches(str(name)[:100], classes)))
            known = f"it has {join_names(classes, len(classes), most=_SHOWN)}."
            hint = f"did you mean {close}?" if close else known
            raise NotFoundError(f"the data set has no class {name!r:.80}; {hint}")
        found.add(place[name])
    return found
