"""Edits of a tree as data, and what they do to its accuracy: `Edit` and `Trial`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from nbdt.errors import FormatError, InputError
from nbdt.evaluation.accuracy import NodeAccuracy
from nbdt.evaluation.intervals import PairedCounts
from nbdt.evaluation.tables import INTERVAL, Record, aligned, percent, short, signed, signed_range
from nbdt.hierarchy import Hierarchy, edit
from nbdt.hierarchy.rebuild import relabelled
from nbdt.hierarchy.validation import is_integer
from nbdt.rules import RuleName, ScoreName, keeps_network_answer

EditFunction = Callable[..., Hierarchy]

# Those that keep the classes, so that samples and logits still fit.
_FUNCTIONS: dict[str, EditFunction] = {
    function.__name__: function
    for function in (
        *(edit.rename, edit.move, edit.regraft, edit.group, edit.dissolve, edit.merge),
        *(edit.split, edit.collapse),
    )
}
_ORIGIN = "nbdt.evaluation.edits: node before"
_CHANGE = ("before", "after", "change", INTERVAL, "gained", "lost")


@dataclass(frozen=True)
class Edit:
    """A function of `nbdt.hierarchy.edit` that keeps the classes, with its arguments by name.

    It is called with a tree, and printed as such a call: ``dissolve(node='pet')``.
    """

    name: str
    arguments: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.name not in _FUNCTIONS:
            raise _unknown(self.name)
        _bound(self.name, (), self.arguments)
        for value in self.arguments.values():
            _plain(value)
        object.__setattr__(self, "arguments", MappingProxyType(dict(self.arguments)))

    @classmethod
    def of(cls, function: EditFunction, *arguments: Any, **named: Any) -> Edit:
        """The edit that calling the function with a tree and these arguments makes."""
        name = getattr(function, "__name__", str(function))
        if name not in _FUNCTIONS or _FUNCTIONS[name] is not function:
            raise _unknown(function)
        return cls(name, _bound(name, arguments, named))

    def __call__(self, tree: Hierarchy) -> Hierarchy:
        """The changed copy of a tree."""
        return _FUNCTIONS[self.name](tree, **self.arguments)

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{k}={v!r}' for k, v in self.arguments.items())})"

    def to_dict(self) -> dict[str, Any]:
        """The edit as values that JSON can hold; a mapping by node is a list of pairs."""
        return {
            "edit": self.name,
            "arguments": {key: _plain(value) for key, value in self.arguments.items()},
        }

    @classmethod
    def from_dict(cls, document: object) -> Edit:
        """The edit that `to_dict` gave; other entries are ignored."""
        try:
            if not isinstance(document, Mapping):
                raise InputError(f"got {document!r:.80}.")
            name, arguments = document.get("edit"), document.get("arguments")
            if not isinstance(name, str) or not isinstance(arguments, Mapping):
                raise InputError("it needs the name of an edit and its arguments.")
            values = dict(arguments)
            if name == edit.rename.__name__:
                values["names"] = dict(values["names"])
            return cls(name, values)
        except (InputError, KeyError, TypeError, ValueError) as error:
            raise FormatError(f"not an edit of a tree: {error}") from None


def changed_nodes(
    tree: Hierarchy, made: Edit
) -> tuple[Hierarchy, list[tuple[int | None, int | None]]]:
    """The tree after an edit, and the nodes that then decide between other groups of classes.

    All other nodes decide every sample as before. Nodes come as pairs (before, after), with None
    where the node does not exist; nodes that are gone come first.
    """
    # Attributes stay with their nodes through every edit, so they show where a node comes from.
    tags = {node: {**tree.attributes(node), _ORIGIN: node} for node in range(len(tree))}
    tagged = made(relabelled(tree, attributes=tags))
    attributes = {node: dict(tagged.attributes(node)) for node in range(len(tagged))}
    origins = [values.pop(_ORIGIN, None) for values in attributes.values()]
    after = relabelled(tagged, attributes=attributes)

    old, new = _decided_between(tree), _decided_between(after)
    same = set(old.values()) & set(new.values())
    left = {node for node, groups in old.items() if groups not in same}
    pairs = [
        (origins[node] if origins[node] in left else None, node)
        for node, groups in new.items()
        if groups not in same
    ]
    gone = sorted(left.difference(origin for origin, _ in pairs))
    return after, [*((node, None) for node in gone), *pairs]


@dataclass(frozen=True)
class AccuracyChange:
    """What an edit does to the accuracy under one rule and score."""

    rule: RuleName
    score: ScoreName
    counts: PairedCounts

    def to_dict(self) -> dict[str, Any]:
        """The change as values that JSON can hold."""
        return {"rule": self.rule, "score": self.score, **self.counts.to_dict()}

    def _cells(self) -> tuple[str, ...]:
        before, after = self.counts.before, self.counts.after
        shares = (percent(count / self.counts.samples) for count in (before, after))
        cells = _change_cells(self.counts)
        if keeps_network_answer(self.rule, self.score):
            cells = cells[0], "", *cells[2:]  # always the network's answers, so there is no chance
        return self.rule, self.score, *shares, *cells


@dataclass(frozen=True)
class NodeChange(Record):
    """What an edit does to one node that decides between other groups than before.

    `before` is None for a new node, `after` for one that is gone. The edit may change which samples
    the node is judged on, those whose class lies under it; `same_samples` compares those in both.
    """

    before: NodeAccuracy | None
    after: NodeAccuracy | None
    same_samples: PairedCounts | None

    @property
    def name(self) -> str:
        """The node's name, if possible the one after the edit."""
        share = self.after or self.before
        return share.name if share else ""

    def _cells(self) -> tuple[str, ...]:
        shares = (
            f"{share.correct}/{share.samples}" if share else otherwise
            for share, otherwise in ((self.before, "new"), (self.after, "gone"))
        )
        return short(self.name), *shares, *_change_cells(self.same_samples)


def _change_cells(counts: PairedCounts | None) -> tuple[str, ...]:
    if counts is None:
        return ("",) * 4
    change, interval = signed(counts.difference), signed_range(counts.interval)
    return change, interval, str(counts.gained), str(counts.lost)


@dataclass(frozen=True, eq=False)
class Trial:
    """An edit that was tried on labelled samples and changed nothing; `str` gives it as tables.

    `accuracy` says what it does under each rule and score, `nodes` what it does, by `score`, to the
    nodes that decide between other groups of classes than before, new and gone ones included.
    """

    edit: Edit
    before: Hierarchy
    after: Hierarchy
    score: ScoreName
    accuracy: tuple[AccuracyChange, ...]
    nodes: tuple[NodeChange, ...]

    def change(self, rule: RuleName, score: ScoreName) -> PairedCounts:
        """What the edit does to the accuracy under one rule and score."""
        return {(one.rule, one.score): one.counts for one in self.accuracy}[rule, score]

    def to_dict(self) -> dict[str, Any]:
        """The trial as values that JSON can hold, without the trees."""
        return {
            **self.edit.to_dict(),
            "accuracy": [change.to_dict() for change in self.accuracy],
            "score": self.score,
            "nodes": [change.to_dict() for change in self.nodes],
        }

    def __str__(self) -> str:
        rows = [change._cells() for change in self.accuracy]
        lines = [str(self.edit), *aligned(("rule", "score", *_CHANGE), rows, words=2)]
        if self.nodes:
            lines += ["", f"Nodes that decide otherwise, by {self.score}"]
            lines += aligned(("node", *_CHANGE), [change._cells() for change in self.nodes])
        samples = self.accuracy[0].counts.samples
        return "\n".join([*lines, f"{samples:,} samples; changes in percentage points"])


def _decided_between(tree: Hierarchy) -> dict[int, frozenset[frozenset[int]]]:
    """The groups of classes that each inner node decides between."""
    groups = [frozenset(tree.leaves(node)) for node in range(len(tree))]
    return {node: frozenset(groups[child] for child in tree.children(node)) for node in tree.inner}


def _bound(name: str, arguments: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call by name, without the tree."""
    try:
        # None stands for the tree.
        bound = inspect.signature(_FUNCTIONS[name]).bind(None, *arguments, **named)
    except TypeError as error:
        raise InputError(f"{name}: {error}.") from None
    return dict([*bound.arguments.items()][1:])


def _unknown(given: object) -> InputError:
    return InputError(
        f"an edit that can be tried is one of {', '.join(_FUNCTIONS)}, which keep the classes; got "
        f"{given!r:.60}."
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return [[_plain(key), _plain(one)] for key, one in value.items()]
    if isinstance(value, str) or value is None:
        return value
    if is_integer(value):
        return int(value)
    if isinstance(value, Sequence):
        return [_plain(one) for one in value]
    raise InputError(f"the arguments of an edit are nodes, names and lists; got {value!r:.60}.")
