"""Random trees for property tests, and seeded ones for large cases."""

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from nbdt.hierarchy.classes import canonical
from nbdt.hierarchy.tree import Hierarchy

ODD_NAMES = [
    "naïve café",
    "日本の猫",
    "e\u0301",  # é in two code points
    "🐈‍⬛",
    "שלום",
    "a'b\"c`",
    "(a,b);[c]:0.1",
    "<b>&amp;",
    "back\\slash",
    "tab\tand\nnewline",
    " padded ",
    "-1",
    "0",
    "null",
    "%s{}",
    "n02084071",
]


def names() -> st.SearchStrategy[str]:
    """What a class or an inner node may be called: any text that is not blank."""
    return st.sampled_from(ODD_NAMES) | st.text(min_size=1, max_size=8).filter(str.strip)


def shuffled(values: Iterable[int]) -> st.SearchStrategy[list[int]]:
    """The values in some order, that given being the simplest; one draw, however many they are."""

    def in_order(seed: int) -> list[int]:
        given = list(values)
        return np.random.default_rng(seed).permutation(given).tolist() if seed else given

    return st.integers(0, 2**32).map(in_order)


@st.composite
def hierarchies(
    draw: st.DrawFn,
    min_classes: int = 2,
    max_classes: int = 40,
    max_branching: int | None = None,
    heights: bool | None = None,
    attributes: bool | None = None,
) -> Hierarchy:
    """Any valid tree: binary, k-ary, a caterpillar, flat, and everything between.

    An inner node's id may be lower than its child's (only the root must be last). Merge
    heights never fall on the way up. Inner nodes may be nameless or share a name.

    Args:
        draw: given by Hypothesis.
        min_classes: the fewest classes.
        max_classes: the most classes.
        max_branching: the most children of one node; None for no limit.
        heights: whether the tree has merge heights; None for either.
        attributes: whether nodes may have attributes; None for either.
    """
    num_classes = draw(st.integers(min_classes, max_classes))
    widest = min(num_classes, max_branching or num_classes)
    kind = draw(st.sampled_from(["binary", "narrow", "any", "caterpillar", "flat"]))
    widest = min(widest, {"binary": 2, "narrow": 4, "caterpillar": 3}.get(kind, widest))

    # Neighbours are merged until one is left: over every order of the leaves, this is any tree.
    pool = draw(shuffled(range(num_classes)))
    groups: list[list[int]] = []
    while len(pool) > 1:
        most = min(widest, len(pool))
        count = most if kind == "flat" or most == 2 else draw(st.integers(2, most))
        first = 0 if kind == "caterpillar" else draw(st.integers(0, len(pool) - count))
        groups.append(pool[first : first + count])
        pool[first : first + count] = [num_classes + len(groups) - 1]

    n = num_classes + len(groups)
    new_id = [*range(num_classes), *draw(shuffled(range(num_classes, n - 1))), n - 1]
    parents = _parents(groups, num_classes, new_id)

    merge_heights = None
    if draw(st.booleans()) if heights is None else heights:
        # A few steps over and over: a draw for each node would take most of a test's time.
        steps = itertools.cycle(draw(st.lists(st.floats(0, 100), min_size=1, max_size=5)))
        merge_heights = [0.0] * n
        for position, group in enumerate(groups):
            below = max(merge_heights[new_id[child]] for child in group)
            merge_heights[new_id[num_classes + position]] = below + next(steps)

    known: dict[int, dict[str, Any]] = {}
    if draw(st.booleans()) if attributes is None else attributes:
        known = draw(st.dictionaries(st.integers(0, n - 1), node_attributes(), max_size=4))
    return Hierarchy(
        parents,
        draw(_all_names(num_classes, n)),
        merge_heights=merge_heights,
        attributes=known,
    )


def binary_hierarchies(
    min_classes: int = 2,
    max_classes: int = 40,
    heights: bool | None = None,
    attributes: bool | None = None,
) -> st.SearchStrategy[Hierarchy]:
    """Any valid tree whose inner nodes have two children each."""
    return hierarchies(min_classes, max_classes, 2, heights, attributes)


def node_attributes() -> st.SearchStrategy[dict[str, Any]]:
    """What may be known of one node: values that JSON holds."""
    values = st.one_of(
        names(),
        st.integers(-(2**53), 2**53),
        st.floats(allow_nan=False, allow_infinity=False),
        st.booleans(),
        st.none(),
        st.lists(names(), max_size=2),
    )
    keys = st.sampled_from(["wnid", "gloss", "purity"]) | names()
    return st.dictionaries(keys, values, min_size=1, max_size=3)


def random_hierarchy(num_classes: int, seed: int = 0, branching: int = 2) -> Hierarchy:
    """A tree of random merges of up to `branching` nodes; inner ids in no order but the root's."""
    generator = np.random.default_rng(seed)
    pool = list(range(num_classes))
    groups: list[list[int]] = []
    while len(pool) > 1:
        count = min(int(generator.integers(2, branching + 1)), len(pool))
        group = []
        for _ in range(count):
            position = int(generator.integers(len(pool)))
            pool[position], pool[-1] = pool[-1], pool[position]
            group.append(pool.pop())
        groups.append(group)
        pool.append(num_classes + len(groups) - 1)
    n = num_classes + len(groups)
    inner = generator.permutation(np.arange(num_classes, n - 1)).tolist()
    parents = _parents(groups, num_classes, [*range(num_classes), *inner, n - 1])
    return Hierarchy(parents, [f"class {i}" for i in range(num_classes)])


def caterpillar(num_classes: int) -> Hierarchy:
    """The deepest tree: every inner node has one leaf and the next inner node; depth C − 1."""
    n = 2 * num_classes - 1
    # The first inner node takes classes 0 and 1; each one after it takes one class more.
    leaf_parents = np.maximum(np.arange(num_classes) - 1, 0) + num_classes
    inner_parents = np.append(np.arange(num_classes + 1, n), -1)
    parents = np.concatenate([leaf_parents, inner_parents])
    return Hierarchy(parents, [f"class {i}" for i in range(num_classes)])


def _parents(groups: list[list[int]], num_classes: int, new_id: list[int]) -> list[int]:
    parents = [-1] * len(new_id)
    for position, group in enumerate(groups):
        for child in group:
            parents[new_id[child]] = new_id[num_classes + position]
    return parents


@st.composite
def _all_names(draw: st.DrawFn, num_classes: int, n: int) -> list[str]:
    """Names of all nodes, mostly plain ones: drawing dozens of texts a tree would be slow."""
    odd = draw(st.lists(names(), unique_by=canonical, max_size=min(4, num_classes)))
    plain = [f"class {i}" for i in range(num_classes)]
    leaves = [*odd, *plain[len(odd) :]]
    inner = draw(st.lists(st.sampled_from(["", "group", "animal", *odd]), max_size=5)) or [""]
    return [
        *(leaves if len(set(map(canonical, leaves))) == num_classes else plain),
        *itertools.islice(itertools.cycle(inner), n - num_classes),
    ]
