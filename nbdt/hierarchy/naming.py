"""Names for the inner nodes of a tree: from a taxonomy, or from the node's most central classes.

A name never claims more than is true. A node is called just ``dog`` only if it holds all the dogs
and nothing else; ``dog: beagle, basset, +7`` holds only dogs, but not all of them;
``mostly dog: beagle, wolf, +8`` holds other things too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nbdt.errors import InputError
from nbdt.hierarchy.classes import canonical
from nbdt.hierarchy.lookup import quoted
from nbdt.hierarchy.rebuild import attributes_by_node, relabelled
from nbdt.hierarchy.tree import Hierarchy
from nbdt.hierarchy.validation import Attributes, FloatArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Groups of up to three classes are named by all of them, larger ones by two and a count.
LISTED_IN_FULL = 3
LISTED = 2
# In groups of more classes, only this many of each child are compared with the group's mean.
CANDIDATES = 32
# A concept that fits a node worse than this (F1) says less than its classes do.
WORST_FIT = 0.1
NAMING_KEYS = ("name_source", "concept", "concept_wnid", "precision", "recall")
BY_LEAVES: Attributes = MappingProxyType({"name_source": "leaves"})
BY_HAND: Attributes = MappingProxyType({"name_source": "hand"})
# Sparse entries per block, so that memory stays bounded for chains of thousands of nodes.
BLOCK_ENTRIES = 2_000_000


def name_by_leaves(tree: Hierarchy, rows: npt.ArrayLike | None = None) -> Hierarchy:
    """Names every inner node after its most central classes: ``"cat, dog, +3"``.

    A class called ``"tench, Tinca tinca"`` is listed by its first synonym unless another class
    shares it. All names are unique and replace the old ones, and ``name_source`` of each inner node
    becomes ``"leaves"``. O(nodes).

    With `rows`, one row per class, shape (C, d), such as those the tree was induced from, the
    central classes are those closest to the mean row of the node's classes (for nodes with more
    than 32 classes, among the 32 most central of each child); without, those with the fewest edges
    down from the node. Ties go to the lower class.
    """
    return renamed_by_leaves(tree, tree.inner, rows)


def renamed_by_leaves(
    tree: Hierarchy, nodes: Iterable[int], rows: npt.ArrayLike | None = None
) -> Hierarchy:
    """Names only some inner nodes, as `name_by_leaves` does for all."""
    every = _leaf_labels(tree, rows)
    labels = {node: every[node] for node in nodes}
    return _renamed(tree, labels, dict.fromkeys(labels, BY_LEAVES))


def name_by_taxonomy(
    tree: Hierarchy, taxonomy: Hierarchy, rows: npt.ArrayLike | None = None
) -> Hierarchy:
    """Names every inner node after the concept of a taxonomy that fits its classes best.

    Precision is the share of the node's classes that belong to the concept, recall the share of
    the concept's classes (those that the tree has) that are under the node.

    * Where both are 1, the node is the concept and gets its name: ``"dog"``.
    * Else the concept with the highest F1, their harmonic mean, is chosen among those with a
      precision over 1/2 (ties: the higher precision, then the deeper concept). Its name is followed
      by the node's most central classes, and preceded by "mostly" if the precision is not 1:
      ``"dog: beagle, basset, +7"``, ``"mostly dog: beagle, wolf, +8"``.
    * Where the best F1 is under 0.1, or the concept is the root of the taxonomy, the node is
      named as in `name_by_leaves`, which also explains `rows`.

    The attributes of each inner node get ``name_source`` (``"taxonomy"`` or ``"leaves"``) and, with
    a concept, ``concept``, ``precision``, ``recall`` and, if known, ``concept_wnid``.

    The taxonomy has the same classes or more. Classes are matched by their ``wnid`` attributes if
    all classes of both trees have one, else by name.

    Example:
        >>> taxonomy = Hierarchy(
        ...     [5, 5, 5, 6, 6, 7, 7, -1],
        ...     ["cat", "dog", "frog", "car", "bus", "animal", "vehicle", "thing"],
        ... )
        >>> tree = Hierarchy([5, 5, 7, 6, 6, 8, 7, 8, -1], taxonomy.classes)
        >>> named = name_by_taxonomy(tree, taxonomy)
        >>> named.names[5:]
        ('animal: cat, dog', 'vehicle', 'mostly vehicle: frog, car, bus', 'thing')
        >>> dict(named.attributes(5))
        {'name_source': 'taxonomy', 'concept': 'animal', 'precision': 1.0, 'recall': 0.6667}
    """
    labels = _leaf_labels(tree, rows)
    attributes: dict[int, dict[str, Any]] = {}
    for node, concept, precision, recall in _best_concepts(tree, taxonomy):
        pure = precision == recall == 1
        fit = 2 * precision * recall / (precision + recall) if concept >= 0 else 0.0
        if not pure and (fit < WORST_FIT or concept == taxonomy.root):
            attributes[node] = dict(BY_LEAVES)
            continue
        name = taxonomy.names[concept]
        if not pure:
            mostly = "mostly " if precision < 1 else ""
            labels[node] = f"{mostly}{name}: {labels[node]}"
        else:
            labels[node] = name
        attributes[node] = {"name_source": "taxonomy", "concept": name}
        if "wnid" in taxonomy.attributes(concept):
            attributes[node]["concept_wnid"] = taxonomy.attributes(concept)["wnid"]
        attributes[node] |= {"precision": round(precision, 4), "recall": round(recall, 4)}
    return _renamed(tree, labels, attributes)


def without_naming(attributes: Attributes) -> dict[str, Any]:
    """The attributes of a node without those that say how it got its name.

    Example:
        >>> without_naming({"name_source": "taxonomy", "concept": "dog", "note": "ours"})
        {'note': 'ours'}
    """
    return {key: value for key, value in attributes.items() if key not in NAMING_KEYS}


# ── the most central classes ──────────────────────────────────────────────────────────────────


def _leaf_labels(tree: Hierarchy, rows: npt.ArrayLike | None) -> dict[int, str]:
    """For each inner node its most central classes and how many more there are."""
    array = None if rows is None else _checked_rows(rows, tree.num_classes)
    short = _first_synonyms(tree.classes)
    labels = {}
    for node, central in _central_leaves(tree, array):
        size = int(tree.sizes[node])
        shown = [short[leaf] for leaf in central[: size if size <= LISTED_IN_FULL else LISTED]]
        if len(shown) < size:
            shown.append(f"+{size - len(shown)}")
        labels[node] = ", ".join(shown)
    return labels


def _checked_rows(rows: npt.ArrayLike, num_classes: int) -> FloatArray:
    try:
        array = np.asarray(rows, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError("rows must be an array of numbers with a row a class.") from None
    if array.ndim != 2 or len(array) != num_classes:
        raise InputError(
            f"a tree of {num_classes} classes needs rows of shape ({num_classes}, features); "
            f"got {array.shape}."
        )
    wrong = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(wrong):
        raise InputError(f"row {wrong[0]} contains NaN or infinity and has no distance to a mean.")
    return array


def _first_synonyms(classes: Sequence[str]) -> list[str]:
    """Each class's name up to the first comma, or in full where that would be ambiguous."""
    first = [name.split(",")[0].strip() or name for name in classes]
    uses = Counter(name.casefold() for name in first)
    return [
        short if uses[short.casefold()] == 1 else name
        for short, name in zip(first, classes, strict=True)
    ]


def _central_leaves(tree: Hierarchy, rows: FloatArray | None) -> Iterator[tuple[int, list[int]]]:
    """Yields each inner node with its most central leaves, most central first."""
    kept: dict[int, list[int]] = {}
    sums: dict[int, FloatArray] = {}
    depths = tree.depths.tolist()
    for node in tree.postorder():
        children = tree.children(node)
        if not children:
            kept[node] = [node]
            if rows is not None:
                sums[node] = rows[node]
            continue
        leaves = sorted(leaf for child in children for leaf in kept.pop(child))
        if rows is None:
            leaves.sort(key=depths.__getitem__)
            kept[node] = leaves[:LISTED_IN_FULL]
        else:
            sums[node] = np.sum([sums.pop(child) for child in children], axis=0)
            away = rows[leaves] - sums[node] / tree.sizes[node]
            distances = np.einsum("ij,ij->i", away, away)
            # Rounded, so that two classes, always equally far from their mean, tie on any machine.
            scale = float(distances.max()) * 1e-6 or 1.0
            order = np.argsort(np.rint(distances / scale), kind="stable")
            kept[node] = [leaves[i] for i in order[:CANDIDATES].tolist()]
        yield node, kept[node]


# ── the best concepts ─────────────────────────────────────────────────────────────────────────


def _best_concepts(tree: Hierarchy, taxonomy: Hierarchy) -> Iterator[tuple[int, int, float, float]]:
    """Yields (inner node, concept or −1, precision, recall), nodes in order."""
    from scipy.sparse import csr_array

    leaf_of = _matched_leaves(tree, taxonomy)
    concepts = [c for c in taxonomy.inner if taxonomy.names[c]]
    depths = taxonomy.depths[concepts]
    column = {concept: i for i, concept in enumerate(concepts)}
    # Row i: the named concepts of the taxonomy over class i.
    above = [[column[c] for c in taxonomy.ancestors(leaf) if c in column] for leaf in leaf_of]
    membership = csr_array(
        (
            np.ones(sum(map(len, above)), dtype=np.int64),
            np.concatenate([np.array(row, dtype=np.int64) for row in above]),
            np.cumsum([0, *map(len, above)]),
        ),
        shape=(tree.num_classes, len(concepts)),
    )
    concept_sizes = np.asarray(membership.sum(axis=0))
    for nodes, under in _leaf_matrices(tree):
        shared = (under @ membership).tocsr()
        for i, node in enumerate(nodes):
            entries = slice(shared.indptr[i], shared.indptr[i + 1])
            found, counts = shared.indices[entries], shared.data[entries]
            size = tree.sizes[node]
            enough = 2 * counts > size
            found, counts = found[enough], counts[enough]
            if not len(found):
                yield node, -1, 0.0, 0.0
                continue
            f1 = 2 * counts / (size + concept_sizes[found])
            best = np.lexsort((found, -depths[found], -counts, -f1))[0]
            overlap = counts[best]
            yield (
                node,
                concepts[found[best]],
                float(overlap / size),
                float(overlap / concept_sizes[found[best]]),
            )


def _matched_leaves(tree: Hierarchy, taxonomy: Hierarchy) -> list[int]:
    """For each class of the tree, the leaf of the taxonomy that is the same class."""
    keys = [_wnids(tree), _wnids(taxonomy)]
    if not all(len(set(wnids)) == len(wnids) and None not in wnids for wnids in keys):
        keys = [list(map(canonical, one.classes)) for one in (tree, taxonomy)]
    leaf_of = {key: leaf for leaf, key in enumerate(keys[1])}
    missing = [name for key, name in zip(keys[0], tree.classes, strict=True) if key not in leaf_of]
    if missing:
        raise InputError(
            f"the taxonomy lacks {len(missing)} of the tree's {tree.num_classes} classes: "
            f"{quoted(missing)}; classes are matched by their wnids where both trees have them, "
            "else by name."
        )
    return [leaf_of[key] for key in keys[0]]


def _wnids(tree: Hierarchy) -> list[str | None]:
    # Attributes from a file may be anything.
    known = (tree.attributes(leaf).get("wnid") for leaf in range(tree.num_classes))
    return [wnid if isinstance(wnid, str) else None for wnid in known]


def _leaf_matrices(tree: Hierarchy) -> Iterator[tuple[list[int], csr_array]]:
    """Yields blocks of inner nodes with their (nodes, classes) membership matrix."""
    from scipy.sparse import csr_array

    nodes: list[int] = []
    entries = 0
    for node in tree.inner:
        nodes.append(node)
        entries += int(tree.sizes[node])
        if entries >= BLOCK_ENTRIES or node == tree.root:
            starts = tree.leaf_start[nodes]
            stops = starts + tree.sizes[nodes]
            leaves = [
                tree.leaf_order[start:stop] for start, stop in zip(starts, stops, strict=True)
            ]
            row_ends = np.concatenate([[0], np.cumsum(tree.sizes[nodes])])
            ones = np.ones(entries, dtype=np.int64)
            yield (
                nodes,
                csr_array(
                    (ones, np.concatenate(leaves), row_ends), shape=(len(nodes), tree.num_classes)
                ),
            )
            nodes, entries = [], 0


# ── a name of its own for each ────────────────────────────────────────────────────────────────


def _renamed(
    tree: Hierarchy, labels: Mapping[int, str], found: Mapping[int, Mapping[str, Any]]
) -> Hierarchy:
    """The tree with new unique names for some nodes, and attributes on how they were found."""
    names = ["" if node in labels else name for node, name in enumerate(tree.names)]
    attributes = attributes_by_node(tree)
    taken = set(names)
    for node in sorted(labels):
        name = labels[node]
        if name in taken:
            name = f"{name} ({tree.sizes[node]} classes)"
        if name in taken:
            name = f"{name[:-1]}, node {node})"
        taken.add(name)
        names[node] = name
        attributes[node] = without_naming(attributes[node]) | dict(found[node])
    return relabelled(tree, names, attributes)
