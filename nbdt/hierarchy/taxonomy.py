"""Trees from "is a kind of": WordNet's nouns, or any table of parents.

Concepts above the classes with at least two branches become the inner nodes. Concepts with a single
branch decide nothing and are left out, so the root is the deepest concept over all classes. A class
that is above other classes, such as "dog" above "beagle", becomes a leaf next to them, under its
own concept, "dog (all kinds)".
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from nbdt.errors import FormatError, InputError, NotFoundError
from nbdt.hierarchy.classes import canonical, checked_distinct
from nbdt.hierarchy.classfile import read_table
from nbdt.hierarchy.lookup import quoted
from nbdt.hierarchy.tree import Hierarchy
from nbdt.hierarchy.validation import class_list
from nbdt.hierarchy.wordnet import WordNet

ALL_KINDS = "all kinds"


def from_wordnet(
    classes: Sequence[str],
    wordnet: WordNet | str | Path | None = None,
    names: Sequence[str] | None = None,
) -> Hierarchy:
    """The tree of WordNet's concepts over some classes.

    Of several hypernyms, the *first* in the synset's entry counts as its parent, the one that the
    lexicographers thought of first. (The shortest path to the top would make a dog a domestic
    animal rather than a canine, and a car a container; the longest would separate fruit from
    food.) The choice depends on the synset alone, so a tree over fewer classes is this tree
    restricted to them.

    Inner nodes are named by their first lemma, and each node has the attributes ``wnid`` and
    ``gloss``.

    Args:
        classes: a wnid (``"n02084071"``) or an unambiguous noun (``"beagle"``) for each class.
        wordnet: the database or its folder; default: its usual places.
        names: the names of the classes. By default a noun keeps its spelling, and a wnid gets the
            first lemma of its synset, with its hypernym where the lemma alone is ambiguous:
            ``"crane (wading bird)"``.

    Raises:
        NotFoundError: there is no database, or it lacks a class.
        InputError: a noun has several meanings, or the number of names is wrong.
    """
    classes = class_list(classes)
    _check_texts(classes, "classes")
    wordnet = wordnet if isinstance(wordnet, WordNet) else WordNet(wordnet)
    synsets = {}
    parent_of: dict[str, str | None] = {}
    keys = []
    for noun_or_wnid in classes:
        synset = wordnet.find(noun_or_wnid)
        keys.append(synset.wnid)
        while synset.wnid not in synsets:
            synsets[synset.wnid] = synset
            parent_of[synset.wnid] = synset.hypernyms[0] if synset.hypernyms else None
            if synset.hypernyms:
                try:
                    synset = wordnet.synset(synset.hypernyms[0])
                except NotFoundError:
                    raise FormatError(
                        f"{wordnet!r} is damaged: {synset.wnid} is a kind of "
                        f"{synset.hypernyms[0]}, which is missing."
                    ) from None

    cycle = _on_cycle(parent_of)
    if cycle is not None:
        raise FormatError(f"{wordnet!r} is damaged: {cycle} is its own ancestor.")

    labels = {wnid: synset.lemmas[0] for wnid, synset in synsets.items()}
    if names is None:
        wanted = [
            labels[key] if given == key else given for given, key in zip(classes, keys, strict=True)
        ]
        clashes = Counter(wanted)
        names = [
            name if clashes[name] == 1 else _qualified(name, key, parent_of, labels)
            for name, key in zip(wanted, keys, strict=True)
        ]
    elif len(names := class_list(names)) != len(classes):
        raise InputError(f"{len(classes)} classes need {len(classes)} names; got {len(names)}.")
    else:
        names = checked_distinct(names, keys)
    parents, concepts = _grown(keys, parent_of)
    return Hierarchy(
        parents,
        [*names, *_concept_names(concepts, keys, names, parent_of, labels)],
        attributes={
            node: {"wnid": wnid, "gloss": synsets[wnid].gloss}
            for node, wnid in enumerate([*keys, *concepts])
        },
    )


def from_parents(
    table: Mapping[str, str | None] | Iterable[tuple[str, str | None]],
    classes: Sequence[str] | None = None,
) -> Hierarchy:
    """The tree of a table that gives, for each thing, what it is a kind of.

    Args:
        table: parents by child, or (child, parent) pairs, such as `read_parents` reads. A root
            may be omitted, or have None or ``""`` as its parent.
        classes: any things in the table, in the classifier's order. Default: all things that are
            nobody's parent, in order of first appearance.

    Raises:
        InputError: a child has two parents, something is its own ancestor, or classes are not in
            the table, are given twice or have no common root.

    Example:
        >>> table = {"cat": "animal", "dog": "animal", "pug": "dog", "car": "thing",
        ...          "animal": "thing"}
        >>> print(from_parents(table, ["pug", "dog", "car"]))
        thing
        ├─ car
        └─ dog (all kinds)
           ├─ pug
           └─ dog
    """
    parent_of = _checked_table(table)
    if classes is None:
        with_kinds = set(parent_of.values())
        classes = [key for key in parent_of if key not in with_kinds]
    else:
        classes = class_list(classes)
        _check_texts(classes, "classes")
        key_of = {canonical(key): key for key in parent_of}
        classes = [key_of.get(canonical(key), key) for key in classes]
        missing = [key for key in classes if key not in parent_of]
        if missing:
            raise InputError(f"the table of parents lacks the classes {quoted(missing)}.")
    parents, concepts = _grown(classes, parent_of)
    labels = {key: key for key in parent_of}
    names = _concept_names(concepts, classes, classes, parent_of, labels)
    return Hierarchy(parents, [*classes, *names])


def read_parents(path: str | os.PathLike[str]) -> list[tuple[str, str | None]]:
    """Reads a table of parents for `from_parents` from a file in UTF-8: CSV, or with ``;`` or tabs.

    Its header has the columns ``child`` and ``parent``; an empty parent marks a root.
    """
    table = []
    for number, row in read_table(path, ["child", "parent"]):
        if not row["child"]:
            raise FormatError(f"{path}: line {number}: expected a child.")
        table.append((row["child"], row["parent"] or None))
    return table


# ── growing the tree ──────────────────────────────────────────────────────────────────────────


def _grown(keys: Sequence[str], parent_of: Mapping[str, str | None]) -> tuple[list[int], list[str]]:
    """The parents of a tree whose leaves are the keys, and the concepts at its inner nodes."""
    # Every leaf hangs from its own concept, which has one child and is left out if nothing else
    # hangs from it.
    if len(keys) < 2:
        raise InputError(f"a tree needs at least two classes; got {len(keys)}.")
    branches = Counter(keys)
    roots: dict[str, str] = {}
    reached: set[str] = set()
    for key in keys:
        concept: str | None = key
        while concept is not None and concept not in reached:
            reached.add(concept)
            above = parent_of[concept]
            if above is None:
                roots[concept] = key
            else:
                branches[above] += 1
            concept = above
    if len(roots) > 1:
        found = ", ".join(f"{root!r} (over {key!r})" for root, key in list(roots.items())[:5])
        raise InputError(
            f"the classes have no common root; found {len(roots)}: {found}; add one thing that "
            "all of these are kinds of."
        )

    def nearest_kept(concept: str | None) -> str | None:
        while concept is not None and branches[concept] < 2:
            concept = parent_of[concept]
        return concept

    above_of = {
        concept: nearest_kept(parent_of[concept])
        for concept, count in branches.items()
        if count > 1
    }
    below: dict[str | None, list[str]] = {}
    for concept, above in above_of.items():
        below.setdefault(above, []).append(concept)
    # Deepest first, so that every parent comes after its children and the root last.
    depths: dict[str | None, int] = {None: 0}
    level_order = below[None].copy()
    for concept in level_order:
        depths[concept] = depths[above_of[concept]] + 1
        level_order += below.get(concept, ())
    concepts = sorted(level_order, key=lambda concept: -depths[concept])

    node_of = {concept: len(keys) + i for i, concept in enumerate(concepts)} | {None: -1}
    over_leaves = [node_of[nearest_kept(key)] for key in keys]
    return over_leaves + [node_of[above_of[concept]] for concept in concepts], concepts


def _concept_names(
    concepts: Sequence[str],
    keys: Sequence[str],
    names: Sequence[str],
    parent_of: Mapping[str, str | None],
    labels: Mapping[str, str],
) -> list[str]:
    """A unique name for each inner node."""
    uses = Counter([*names, *(labels[concept] for concept in concepts)])
    own_classes = set(keys)
    taken = set(names)
    chosen = []
    for concept in concepts:
        name = labels[concept]
        if uses[name] > 1 and concept in own_classes:
            name = f"{name} ({ALL_KINDS})"
        elif uses[name] > 1:
            name = _qualified(name, concept, parent_of, labels)
        while name in taken:
            name = f"{name} ({concept})"
        taken.add(name)
        chosen.append(name)
    return chosen


def _qualified(
    name: str, key: str, parent_of: Mapping[str, str | None], labels: Mapping[str, str]
) -> str:
    """The name with its parent's: "crane (wading bird)"."""
    above = parent_of[key]
    return f"{name} ({key if above is None else labels[above]})"


# ── checks ────────────────────────────────────────────────────────────────────────────────────


def _checked_table(
    table: Mapping[str, str | None] | Iterable[tuple[str, str | None]],
) -> dict[str, str | None]:
    """The parent of every thing in the table, in order of first appearance."""
    parent_of: dict[str, str | None] = {}
    for child, parent in _pairs(table):
        _check_texts([child] if parent in (None, "") else [child, parent], "things")
        if not parent:
            parent_of.setdefault(child, None)
            continue
        earlier = parent_of.get(child)
        if earlier not in (None, parent):
            raise InputError(
                f"{child!r} has two parents, {earlier!r} and {parent!r}; a tree needs one."
            )
        parent_of[child] = parent
        parent_of.setdefault(parent, None)
    cycle = _on_cycle(parent_of)
    if cycle is not None:
        raise InputError(f"{cycle!r} is its own ancestor in the table of parents.")
    return parent_of


def _pairs(
    table: Mapping[str, str | None] | Iterable[tuple[str, str | None]],
) -> Iterator[tuple[str, str | None]]:
    rows = table.items() if isinstance(table, Mapping) else table
    try:
        for row in rows:
            child, parent = row
            yield child, parent
    except (TypeError, ValueError):
        raise InputError(
            "a table of parents must be a dict, or a list of pairs of a child and its parent."
        ) from None


def _on_cycle(parent_of: Mapping[str, str | None]) -> str | None:
    """Something that is its own ancestor, if anything is."""
    checked: set[str | None] = {None}
    for key in parent_of:
        climb: set[str] = set()
        current: str | None = key
        while current is not None and current not in checked:
            checked.add(current)
            climb.add(current)
            current = parent_of[current]
        if current in climb:
            return current
    return None


def _check_texts(values: Sequence[str], what: str) -> None:
    for value in values:
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{what} must be texts that are not blank; got {value!r}.")
