import math

import pytest

from nbdt.errors import FormatError
from nbdt.explain.document import Part


def part(value: object, where: str = "$") -> Part:
    return Part({"key": value}, where, ["key"])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([1], "has to be an object, got a list"),
        (None, "has to be an object, got null"),
        ({"a": 1}, "lacks 'b'"),
        ({"a": 1, "b": 2, "c": 3}, "has an unknown key 'c'"),
        ({"a": 1, "b": 2, 3: 3}, "has an unknown key 3"),
    ],
)
def test_an_object_needs_exactly_its_keys(value, reason):
    with pytest.raises(FormatError, match=rf"^\$\.path\[0\] {reason}\.$"):
        Part(value, "$.path[0]", ["a", "b"])


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        ("text", "cat", "cat"),
        ("node", 0, 0),
        ("number", -3, -3.0),
        ("number", 1e300, 1e300),
        ("share", 1, 1.0),
        ("texts", ["a", "b"], ("a", "b")),
        ("nodes", [3, 1], (3, 1)),
        ("shares", [0.25, 0.75], (0.25, 0.75)),
    ],
)
def test_reads_what_is_valid(read, value, expected):
    got = getattr(part(value), read)("key")
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize(
    ("read", "value", "reason"),
    [
        ("text", "", "key has to be a text that is not empty, got ''"),
        ("text", 3, "key has to be a text that is not empty, got 3"),
        ("node", -1, "key has to be the id of a node, 0 or more, got -1"),
        ("node", True, "key has to be the id of a node, 0 or more, got True"),
        ("node", 1.0, "key has to be the id of a node, 0 or more, got 1.0"),
        ("number", "1", "key has to be a finite number, got '1'"),
        ("number", False, "key has to be a finite number, got False"),
        ("number", math.nan, "key has to be a finite number, got nan"),
        ("number", -math.inf, "key has to be a finite number, got -inf"),
        ("number", 10**400, "key has to be a finite number, got a huge integer"),
        ("share", 1.5, "key has to be from 0 to 1, got 1.5"),
        ("texts", {"a": 1}, "key has to be a list, got an object"),
        ("texts", ["a", ""], "key[1] has to be a text that is not empty, got ''"),
        ("nodes", [2, None], "key[1] has to be the id of a node, 0 or more, got null"),
        ("nodes", [2, 2], "key names a node twice"),
        ("shares", [0.5, 0.4], "key has to sum to 1, got 0.9"),
        ("shares", [2, -1], "key[0] has to be from 0 to 1, got 2.0"),
        ("text", ["x"], "key has to be a text that is not empty, got a list"),
        ("node", "x" * 100, f"key has to be the id of a node, 0 or more, got '{'x' * 56}…"),
    ],
)
def test_says_where_and_why_it_refuses(read, value, reason):
    with pytest.raises(FormatError) as error:
        getattr(part(value), read)("key")
    assert str(error.value) == f"$.{reason}."


def test_optional_takes_null():
    assert part(None).optional("key", part(None).node) is None
    assert part(3).optional("key", part(3).node) == 3


def test_a_choice_is_one_of_a_few_texts():
    assert part("soft").choice("key", ("soft", "hard")) == "soft"
    for other in ("both", None, ["soft"]):
        with pytest.raises(FormatError, match=r"key has to be 'soft' or 'hard', got "):
            part(other).choice("key", ("soft", "hard"))


def test_parts_say_their_place():
    with pytest.raises(FormatError, match=r"^\$\.key\[1\] lacks 'a'\.$"):
        list(part([{"a": 1}, {}]).parts("key", ["a"]))


@pytest.mark.parametrize(
    ("value", "expected"), [(0.5, 0.5 + 1e-9), (1, 1.0), (True, True), ("cat", "cat")]
)
def test_follows_takes_what_is_the_same_but_for_rounding(value, expected):
    part(value).follows("key", expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.5, 0.51), (1, True), (False, True), ("cat", "dog"), (0, 1), (None, "cat")],
)
def test_follows_refuses_a_contradiction(value, expected):
    with pytest.raises(FormatError, match=r"\$\.key is .*, but the rest of the document makes it"):
        part(value).follows("key", expected)
