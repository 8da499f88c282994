"""Drawings, and texts made to fit; test_tree.py tests the drawing of a `Hierarchy`."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdt.errors import InputError
from nbdt.hierarchy.text import draw, join_names, one_line, shorten, wrap
from nbdt.hierarchy.tree import Hierarchy
from nbdt.view.labels import clean, text_width
from tests.view.samples import HOSTILE

#         9
#     7       8
#   0   6   3 4 5
#      1 2
BELOW: dict[int, tuple[int, ...]] = {9: (7, 8), 7: (0, 6), 8: (3, 4, 5), 6: (1, 2)}


def drawn(max_lines: int) -> list[str]:
    text = draw(9, lambda v: BELOW.get(v, ()), str, lambda v: f"{len(BELOW[v])} below", max_lines)
    return text.split("\n")


WHOLE = [
    *("9", "├─ 7", "│  ├─ 0", "│  └─ 6", "│     ├─ 1", "│     └─ 2"),
    *("└─ 8", "   ├─ 3", "   ├─ 4", "   └─ 5"),
]


@pytest.mark.parametrize(
    ("max_lines", "lines"),
    [
        (99, WHOLE),
        (10, WHOLE),
        (9, [*WHOLE[:3], "│  └─ 6 (2 below)", *WHOLE[6:]]),
        (7, [*WHOLE[:6], "└─ 8 (3 below)"]),
        (6, [*WHOLE[:3], "│  └─ 6 (2 below)", "└─ 8 (3 below)"]),
        (4, ["9", "├─ 7 (2 below)", "└─ 8 (3 below)"]),
        (3, ["9", "├─ 7 (2 below)", "└─ 8 (3 below)"]),
        (2, ["9 (2 below)"]),
        (1, ["9 (2 below)"]),
    ],
)
def test_nodes_are_opened_from_the_top_while_there_are_lines(
    max_lines: int, lines: list[str]
) -> None:
    assert drawn(max_lines) == lines


def test_a_root_too_wide_shows_its_first_children() -> None:
    below = {100: tuple(range(100)), 98: (200, 201)}
    text = draw(100, lambda v: below.get(v, ()), "└ {}".format, lambda v: "closed", 5)
    assert text == "└ 100\n├─ └ 0\n├─ └ 1\n├─ └ 2\n└─ … 97 more"


@pytest.mark.parametrize("max_lines", [0, -1])
def test_one_line_is_the_least(max_lines: int) -> None:
    with pytest.raises(InputError, match=f"at least 1, got {max_lines}"):
        drawn(max_lines)


TURNING = st.sampled_from("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@given(st.text(st.characters() | TURNING))
def test_a_label_stays_on_its_line(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert not any(unicodedata.category(char) in ("Cc", "Cs") for char in line)
    turning = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    assert not turning & set(map(unicodedata.bidirectional, line))
    line.encode()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("naïve 日本 🐈‍⬛", "naïve 日本 🐈‍⬛"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\ud800", r"\ud800"),
        ("a\u2028b", r"a\u2028b"),
        ("no\xa0break", "no\xa0break"),
        ("\u202ecat\u202c dog", r"\u202ecat\u202c dog"),
        ("\u2066\u2069\u202a\u202d", r"\u2066\u2069\u202a\u202d"),
        ("חתול\u200e (\u200fא\u061c)", "חתול\u200e (\u200fא\u061c)"),
    ],
)
def test_control_characters_are_written_out(text: str, line: str) -> None:
    assert one_line(text) == line


def test_hostile_names_cannot_break_a_drawing() -> None:
    tree = Hierarchy(
        [2, 2, -1],
        [
            "two\nlines",
            "\x1b]0;title\x07",
        ],
    )
    assert str(tree) == "node 2\n├─ two\\nlines\n└─ \\x1b]0;title\\x07"
    assert str(tree).count("\n") == 2
    assert "\x1b" not in repr(tree) + tree.to_text(max_lines=1)
    turned = Hierarchy([2, 2, -1], ["\u202ecat", "dog", "\u2067pet"])
    drawn = str(turned) + turned.to_text(max_lines=1)
    assert not {"\u202e", "\u2067"} & set(drawn)
    assert r"\u202ecat" in drawn


@pytest.mark.parametrize(
    ("names", "total", "text"),
    [
        (["cat"], 1, "cat"),
        (["cat", "dog", "fox"], 3, "cat, dog, fox"),
        (["cat", "dog", "fox"], 4, "cat, dog, …"),
        ([f"the {'very ' * 9}long name", "dog"], 2, "the very very very very ver…, dog"),
    ],
)
def test_lists_are_short(names: list[str], total: int, text: str) -> None:
    assert join_names(names, total) == text


ANY = st.text(st.characters(), max_size=20) | st.sampled_from(HOSTILE)


@given(ANY.map(clean), st.floats(13, 300))
def test_a_shortened_text_fits_and_keeps_both_ends(text: str, width: float) -> None:
    short = shorten(text, width, text_width)
    assert text_width(short) <= width
    if text_width(text) <= width:
        assert short == text
    else:
        head, _, tail = short.partition("…")
        assert text.startswith(head)
        assert text.endswith(tail) or "…" in text


def test_a_text_is_cut_no_shorter_than_it_has_to_be() -> None:
    for width in range(1, 12):
        assert len(shorten("abcdefghijkl", width, len)) == width


def test_letters_are_not_parted_from_their_accents() -> None:
    # One column a letter and accents none, so that five letters and … are what fits.
    text = "e\u0301" * 9

    def measure(part: str) -> int:
        return sum(not unicodedata.combining(char) for char in part)

    assert shorten(text, 6, measure) == "e\u0301" * 3 + "…" + "e\u0301" * 2


def test_an_emoji_is_not_taken_apart() -> None:
    family = "👩‍👩‍👧"
    assert shorten(family * 4, 10, len) == family + "…"


def test_lines_break_between_words() -> None:
    assert wrap("one two three", 7, len) == ["one two", "three"]
    assert wrap("one", 7, len) == ["one"]
    assert wrap("incomprehensible word", 7, len) == ["inc…ble", "word"]
