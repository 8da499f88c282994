import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from nbdt.errors import FormatError, HierarchyError
from nbdt.hierarchy.formats import (
    from_dict,
    to_dict,
)
from nbdt.hierarchy.tree import Hierarchy
from tests.hierarchy.formats.samples import pets
from tests.strategies import (
    hierarchies,
    random_hierarchy,
)
from tests.timing import cpu_seconds


@given(hierarchies())
def test_dict_round_trip_through_json_is_the_identity(tree: Hierarchy) -> None:
    assert from_dict(json.loads(json.dumps(to_dict(tree)))) == tree


def test_dict_shares_nothing_with_the_tree() -> None:
    tree = pets(attributes={0: {"seen": [1, {"deep": [2]}]}})
    document = to_dict(tree)
    again = from_dict(document)
    document["attributes"]["0"]["seen"][1]["deep"].append(3)
    document["names"][0] = "changed"
    assert again == tree == pets(attributes={0: {"seen": [1, {"deep": [2]}]}})


def test_dict_makes_numpy_and_tuples_plain() -> None:
    values = {"a": np.float32(0.5), "b": np.int64(3), "c": (1, 2), "d": np.bool_(True)}
    plain = to_dict(pets(attributes={3: values}))["attributes"]["3"]
    assert json.loads(json.dumps(plain)) == {"a": 0.5, "b": 3, "c": [1, 2], "d": True}


@pytest.mark.parametrize(
    "value",
    [{1, 2}, float("nan"), float("inf"), 2**64, b"bytes", np.zeros(2), {1: "a"}, "\ud800"],
)
def test_dict_refuses_attributes_that_json_cannot_hold(value: object) -> None:
    with pytest.raises(FormatError, match="node 3"):
        to_dict(pets(attributes={3: {"key": value}}))


def test_dict_refuses_attributes_without_end() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(FormatError, match="deeper than 32"):
        to_dict(pets(attributes={3: {"key": endless}}))


def test_dict_refuses_names_that_no_file_can_hold() -> None:
    with pytest.raises(FormatError, match=r"the name of node 1 .* surrogate"):
        to_dict(Hierarchy([2, 2, -1], ["cat", "\udc00"]))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"schema": "nbdt.hierarchy/2"}, FormatError, "'nbdt.hierarchy/2'.* reads"),
        ({"schema": None}, FormatError, "the schema is None"),
        ({"extra": 1}, FormatError, "an unknown key 'extra'"),
        ({"parents": None}, FormatError, "parents: .* valid list; got None"),
        ({"parents": [3, 3, 4, 4, "-1"]}, FormatError, r"parents\[4\]: .*; got '-1'"),
        ({"parents": [3, 3, 4, 4, -2]}, HierarchyError, "node 4 has parent -2"),
        ({"parents": [3, 3, 4, 5, -1]}, HierarchyError, "node 3 has parent 5; .*0 to 4"),
        ({"parents": [3, 3, 4, True, -1]}, FormatError, r"parents\[3\]: .*; got True"),
        ({"parents": [3, 3, 4, 4.0, -1]}, FormatError, r"parents\[3\]: .*; got 4.0"),
        ({"parents": [3, 3, 4, 10**50, -1]}, HierarchyError, "node 3 has parent 1000"),
        ({"parents": [3, 3, 4, -1, -1]}, HierarchyError, "one root"),
        ({"parents": [3, 3, 4, 3, -1]}, HierarchyError, "only one child"),
        ({"parents": [], "names": []}, HierarchyError, "at least two classes"),
        ({"names": ["cat", "dog", "car"]}, FormatError, "5 nodes need 5 names"),
        ({"names": ["cat", "dog", "car", None, ""]}, FormatError, r"names\[3\]: .*; got None"),
        ({"names": ["cat", "cat", "car", "", ""]}, HierarchyError, "both called 'cat'"),
        ({"names": ["", "dog", "car", "", ""]}, HierarchyError, "class 0 has no name"),
        ({"names": ["\ud800", "dog", "car", "", ""]}, FormatError, r"names\[0\] has half"),
        ({"names": "names"}, FormatError, "names: .* valid list; got 'names'"),
        ({"merge_heights": [0, 0, 0, 1]}, HierarchyError, "one number a node"),
        ({"merge_heights": [0, 0, 0, 1, "2"]}, FormatError, r"merge_heights\[4\]: .*; got '2'"),
        ({"merge_heights": [0, 0, 0, 1, False]}, FormatError, r"merge_heights\[4\]: .*; got False"),
        ({"merge_heights": [0, 0, 0, 1, 10**400]}, FormatError, "a huge integer"),
        ({"merge_heights": [0, 0, 0, 1, float("nan")]}, FormatError, "finite number; got nan"),
        ({"merge_heights": None}, FormatError, "merge_heights: .* valid list; got None"),
        ({"attributes": []}, FormatError, "attributes: .*; got a list"),
        ({"attributes": {"5": {}}}, FormatError, "'5'.*0 to 4"),
        ({"attributes": {"-1": {}}}, FormatError, "'-1'"),
        ({"attributes": {"03": {}}}, FormatError, "'03'"),
        ({"attributes": {"٣": {}}}, FormatError, "'٣'"),
        ({"attributes": {"9" * 5000: {}}}, FormatError, "'9999"),
        ({"attributes": {"3": "wnid"}}, FormatError, r"attributes\.3: .*; got 'wnid'"),
        ({"attributes": {"3": {"a": float("nan")}}}, FormatError, "node 3 is nan"),
        ({"attributes": {"3": {"\ud800": 1}}}, FormatError, "surrogate"),
    ],
)
def test_dict_names_what_is_wrong_with_a_document(
    change: dict[str, Any], error: type[Exception], message: str
) -> None:
    document = to_dict(pets(merge_heights=[0, 0, 0, 1, 2])) | change
    with pytest.raises(error, match=message) as caught:
        from_dict(document)
    assert len(str(caught.value)) <= 300


@pytest.mark.parametrize("key", ["schema", "parents", "names"])
def test_dict_needs_its_keys(key: str) -> None:
    document = to_dict(pets())
    del document[key]
    with pytest.raises(FormatError, match=key):
        from_dict(document)


def test_dict_is_told_from_other_documents() -> None:
    with pytest.raises(FormatError, match="got a list"):
        from_dict([])  # type: ignore[arg-type]
    with pytest.raises(FormatError, match="from_2020"):
        from_dict({"nodes": [], "links": []})


def test_dict_of_a_huge_tree_takes_well_under_a_second() -> None:
    tree = random_hierarchy(21_841)
    assert from_dict(to_dict(tree)) == tree
    assert cpu_seconds(lambda: from_dict(to_dict(tree))) < 1
