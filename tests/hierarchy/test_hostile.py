"""Files that nobody should have written: each is refused with a reason, soon, and in little memory.

Fuzzing asserts one thing only: a tree comes out, or an `NBDTError` of readable length.
"""

import json
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nbdt.documents import (
    MAX_BRACKETS,
    MAX_BYTES,
    MAX_COMMAS,
    decoded,
    described,
    parsed_json,
)
from nbdt.errors import FormatError, HierarchyError, NBDTError
from nbdt.hierarchy.formats import from_2020, from_dict, from_newick, to_dict, to_newick
from nbdt.hierarchy.library import load_hierarchy, save_hierarchy
from nbdt.hierarchy.tree import Hierarchy
from tests.strategies import caterpillar, hierarchies

SECONDS = 10
MESSAGE = 600
VALID = {
    "schema": "nbdt.hierarchy/1",
    "parents": [3, 3, 4, 4, -1],
    "names": ["cat", "dog", "car", "animal", ""],
    "merge_heights": [0.0, 0.0, 0.0, 0.75, 1.5],
    "attributes": {"0": {"wnid": "n02121620"}, "3": {"purity": 0.9, "from": ["a", "b"]}},
}


@contextmanager
def bounded(megabytes: int | None = None) -> Iterator[None]:
    """Fails if what runs inside takes too long, or more memory than given (slow to measure)."""
    start = time.process_time()
    if megabytes is None:
        yield
        assert time.process_time() - start < SECONDS
        return
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < megabytes * 2**20
    finally:
        tracemalloc.stop()


def refuse(load: Callable[[], object], message: str, error: type[Exception] = FormatError) -> None:
    with pytest.raises(error, match=message) as caught:
        load()
    assert len(str(caught.value)) < MESSAGE
    # A reason, not the remains of what went wrong inside.
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def survive(load: Callable[[], object]) -> None:
    message = "none"
    try:
        load()
    except NBDTError as error:
        message = str(error)
    assert 0 < len(message) < MESSAGE


def encoded(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


# ── bytes that are no JSON in UTF-8 ───────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not valid JSON"),
        (encoded(VALID)[:-1], "not valid JSON: .* line 1"),
        (encoded(VALID)[:200], "not valid JSON"),
        (encoded(VALID) + b"{}", "not valid JSON: Extra data"),
        (json.dumps(VALID).encode("utf-16"), "UTF-16"),
        (json.dumps(VALID).encode("utf-16-le"), "UTF-16"),
        (json.dumps(VALID).encode("utf-16-be"), "UTF-16"),
        (json.dumps(VALID).encode("utf-32"), "UTF-16 or UTF-32"),
        (json.dumps(VALID).encode("utf-8-sig"), "byte order mark"),
        ('{"schema": "café"}'.encode("latin-1"), r"not UTF-8 text \(byte 0xe9 at position 15\)"),
        (b"\x89PNG\r\n\x1a\n\0\0", "not UTF-8"),
        (b'{"schema": "nbdt.hierarchy/1", "schema": "nbdt.hierarchy/1"}', "'schema' twice"),
        (b'{"a": {"b": [{"c": 1, "c": 1}]}}', "'c' twice"),
        (b'{"merge_heights": [NaN]}', "number NaN"),
        (b'{"merge_heights": [-Infinity]}', "number -Infinity"),
        (b'{"merge_heights": [1e999]}', "number that 64 bits cannot hold"),
        (b'{"parents": [9223372036854775808]}', "integer that 64 bits cannot hold"),
        (b'{"parents": [-' + b"9" * 1_000_000 + b"]}", "integer that 64 bits cannot hold"),
        (b'"' + b"x" * 1_000_000 + b'"', "got 'xxxxxx"),
        (
            b'{"' + b"x" * 1_000_000 + b'": 1, "schema": "nbdt.hierarchy/1"}',
            "the tree (lacks|has an unknown key)",
        ),
        (b'{"schema": "' + b"x" * 1_000_000 + b'"}', "schema is 'xxxxxx"),
        (b"[]", "got a list"),
        (b"17", "got 17"),
        (b"null", "got None"),
    ],
)
def test_file_is_refused_with_its_name_and_a_reason(
    tmp_path: Path, data: bytes, message: str
) -> None:
    path = tmp_path / "tree.json"
    path.write_bytes(data)
    with bounded():
        refuse(lambda: load_hierarchy(path), rf"tree\.json: .*{message}")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 2_000,
        "[" * 900_000,
        "[" * 900_000 + "]" * 900_000,
        '{"a":' * 900_000,
        '{"schema": "nbdt.hierarchy/1", "parents": ' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
)
def test_nesting_is_refused(text: str) -> None:
    with bounded():
        refuse(lambda: from_dict(parsed_json(text)), "nested too deeply")


@pytest.mark.parametrize("key", ["parents", "names", "merge_heights", "attributes"])
def test_nesting_that_json_can_hold_is_refused(key: str) -> None:
    nested: Any = 1
    for _ in range(500):
        nested = [nested]
    found = "attributes.*got a list" if key == "attributes" else rf"{key}.*a list"
    refuse(lambda: from_dict(VALID | {key: [nested] * 5}), found)
    if key == "attributes":
        refuse(lambda: from_dict(VALID | {key: {"3": {"a": nested}}}), "deeper than 32 levels")


def test_attributes_may_be_nested_32_levels_deep() -> None:
    # The object of a node's attributes is the first level.
    nested: Any = 1
    for _ in range(31):
        nested = [nested]
    tree = from_dict(VALID | {"attributes": {"3": {"a": nested}}})
    assert tree.attributes(3) == {"a": nested}
    document = VALID | {"attributes": {"3": {"a": [nested]}}}
    refuse(lambda: from_dict(document), "deeper than 32 levels")


def test_half_a_gigabyte_of_nesting_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    with path.open("wb") as file:
        file.write(b"[" * (MAX_BYTES + 2**20))
        # The rest is a hole, which takes no room on the disk.
        file.truncate(500 * 2**20)
    with bounded(megabytes=100):
        refuse(lambda: load_hierarchy(path), r"deep\.json: is longer than 64 MB")


@pytest.mark.parametrize(
    ("piece", "message"),
    [
        (b"[],", "commas or"),
        (b"{},", "commas or"),
        (b'"",', "commas or"),
        (b"1,", "commas or"),
        (b"[[[[[[[[[[1]]]]]]]]]],", "brackets"),
        (b"[", "brackets"),
        (b" ", "not valid JSON"),
    ],
)
def test_the_longest_files_take_little_time_and_memory(piece: bytes, message: str) -> None:
    data = b"[" + piece * ((MAX_BYTES - 10) // len(piece)) + b"1]"
    with bounded(), bounded(megabytes=200):
        refuse(lambda: parsed_json(decoded(data) + "x"), message)


def test_files_just_below_the_limits_are_bounded_too() -> None:
    with bounded():
        refuse(lambda: from_dict(parsed_json("[" + "1," * (MAX_COMMAS - 1) + "1]")), "a list")
    with bounded(), bounded(megabytes=200):
        refuse(lambda: from_dict(parsed_json("[" + "{}," * (MAX_BRACKETS - 3) + "1]")), "a list")


# ── documents that are no trees ───────────────────────────────────────────────────────────────


def test_a_chain_of_single_children_is_refused() -> None:
    n = 100_000
    document = VALID | {
        "parents": [2, 2, *range(3, n), -1],
        "names": ["a", "b"] + [""] * (n - 2),
        "merge_heights": [0] * n,
    }
    with bounded():
        refuse(lambda: from_dict(document), "node 3 has only one child", HierarchyError)


def test_a_caterpillar_of_100_000_classes_loads(tmp_path: Path) -> None:
    tree = caterpillar(100_000)
    save_hierarchy(tree, tmp_path / "deep.json")
    start = time.process_time()
    assert load_hierarchy(tmp_path / "deep.json") == tree
    assert time.process_time() - start < SECONDS


@pytest.mark.parametrize("n", [3, 5, 1_000, 100_000])
def test_a_long_cycle_is_refused(n: int) -> None:
    leaves = list(range(n))
    cycle = [n + (v + 1) % n for v in range(n)]
    # Every node of the cycle has a leaf; two more leaves hang below the root.
    parents = [*(n + v + 2 for v in leaves), 2 * n + 2, 2 * n + 2, *(v + 2 for v in cycle), -1]
    document = {"schema": VALID["schema"], "parents": parents}
    document["names"] = [f"c{v}" for v in range(n + 2)] + [""] * (n + 1)
    with bounded():
        refuse(lambda: from_dict(document), "its own ancestor", HierarchyError)


@pytest.mark.parametrize("where", ["names", "attributes"])
def test_errors_do_not_repeat_huge_texts(where: str) -> None:
    text = "x" * 10_000_000
    if where == "names":
        document = VALID | {"names": [text, text, "car", "animal", ""]}
    else:
        document = VALID | {"attributes": {text: {}}}
    with bounded():
        refuse(lambda: from_dict(document), "xxxxxx", NBDTError)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x" * 99, repr("x" * 60) + "…"),
        (True, "True"),
        (1.5, "1.5"),
        (-3, "-3"),
        (10**30, "a huge integer"),
        ([1], "a list"),
        (None, "None"),
    ],
)
def test_values_are_described_shortly(value: object, text: str) -> None:
    assert described(value) == text


# ── Newick ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(" * 100_000, "cut off"),
        ("(" * 100_000 + ")" * 100_000 + ";", "only one child"),
        ("(" * 2_000_000, "opening brackets"),
        ("," * 600_000, "commas"),
        ("(" + "a," * 100_000, "cut off"),
        ("(" + "[" * 900_000, "comment at character 2 does not end"),
        ("(" + "[]" * 100_000, "cut off"),
        ("'" * 50_000_001, "not closed"),
        ("(" + "'" * 50_000_000, "cut off"),
        ("'" + "x" * 50_000_000, "not closed"),
        ("(" + "''," * 100_000 + "a);", "class 0 has no name"),
        ("(" + "x," * 100_000 + "a);", "both called 'x'"),
        ("(" + "x" * 30_000_000 + "," + "x" * 30_000_000 + ");", "both called 'x"),
        ("x" * 60_000_000, "cut off"),
        ("(" + "x" * 30_000_000 + ",b:c);", "branch length"),
        (" " * 60_000_000, "cut off"),
        ("(a:" + "1" * 10_000_000 + ",b);", "branch length"),
        ("(a[&&NHX:nbdt_id=" + "1" * 10_000_000 + "],b", "cut off"),
        ("(a[&&NHX:nbdt_height=" + "1" * 10_000_000 + "],b", "cut off"),
        ("(a[&&NHX:nbdt_attributes=" + "%5B" * 900_000 + "],b);", "nested too deeply"),
        ("(a[&&NHX:" + ":" * 10_000_000 + "],b", "cut off"),
        ("x" * (MAX_BYTES + 1), "longer than"),
    ],
    ids=lambda text: f"{text[:12]}…{len(text)}",
)
def test_newick_is_refused_in_bounded_time(text: str, message: str) -> None:
    with bounded():
        refuse(lambda: from_newick(text), message, NBDTError)


# ── fuzzing ───────────────────────────────────────────────────────────────────────────────────

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["\ud800", "nbdt.hierarchy/1", 10**400, -1, 2**63]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=4) | st.sampled_from(list(VALID)), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_value_is_a_tree_or_refused(value: Any) -> None:
    survive(lambda: from_dict(value))
    survive(lambda: from_2020(value, ["n00000001", "n00000002"]))


@given(st.dictionaries(st.sampled_from(list(VALID)), json_values, min_size=1))
def test_any_change_to_a_document_is_a_tree_or_refused(change: dict[str, Any]) -> None:
    survive(lambda: from_dict(VALID | change))


@given(st.lists(st.integers(-2, 8), max_size=9), st.lists(st.text(max_size=2), max_size=9))
def test_any_parents_are_a_tree_or_refused(parents: list[int], names: list[str]) -> None:
    document = {"schema": VALID["schema"], "parents": parents, "names": names}
    survive(lambda: from_dict(document))


@given(
    st.lists(st.sampled_from("abcd"), max_size=5),
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), max_size=5),
    st.sets(st.sampled_from("abcd")),
)
def test_any_graph_of_2020_is_a_tree_or_refused(
    nodes: list[str], links: list[tuple[str, str]], wnids: set[str]
) -> None:
    graph = {
        "nodes": [{"id": node} for node in nodes],
        "links": [{"source": a, "target": b} for a, b in links],
    }
    survive(lambda: from_2020(graph, sorted(wnids)))


def mutated(data: bytes, seed: int) -> bytes:
    """The same bytes with a few of them changed, repeated, moved or left out."""
    generator = random.Random(seed)
    result = bytearray(data)
    for _ in range(generator.randint(1, 4)):
        start = generator.randrange(len(result) + 1)
        stop = min(len(result), start + generator.choice([1, 1, 1, 2, 8, 40]))
        kind = generator.randrange(4)
        if kind == 0:
            del result[start:stop]
        elif kind == 1:
            result[start:start] = result[start:stop]
        elif kind == 2:
            result[start:stop] = generator.randbytes(stop - start)
        else:
            result[start:stop] = bytes(
                generator.choice(b"[]{}(),:;'\"0123456789-+.eE \\_&ntf") for _ in range(start, stop)
            )
    return bytes(result)


@settings(max_examples=200)
@given(hierarchies(max_classes=6), st.integers(0, 2**32))
def test_a_mutated_file_is_a_tree_or_refused(tree: Hierarchy, seed: int) -> None:
    data = mutated(encoded(to_dict(tree)), seed)
    survive(lambda: from_dict(parsed_json(decoded(data))))


@settings(max_examples=200)
@given(hierarchies(max_classes=6), st.integers(0, 2**32), st.booleans())
def test_a_mutated_newick_text_is_a_tree_or_refused(
    tree: Hierarchy, seed: int, notes: bool
) -> None:
    data = mutated(to_newick(tree, notes=notes).encode(), seed)
    survive(lambda: from_newick(data.decode("utf-8", errors="replace")))


@given(st.binary(max_size=60))
@example(b"\0")
@example(b"\xff\xfe")
def test_any_bytes_are_a_tree_or_refused(data: bytes) -> None:
    survive(lambda: from_dict(parsed_json(decoded(data))))


@given(st.text(st.sampled_from("ab(),:;'[]1.e-_ \n&NHX=") | st.characters(), max_size=30))
def test_any_text_is_a_newick_tree_or_refused(text: str) -> None:
    survive(lambda: from_newick(text))
    survive(lambda: from_newick("(" + text + ",b);"))
