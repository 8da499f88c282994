from dataclasses import replace

import pytest

from nbdt.view.folding import Item
from nbdt.view.svg.badge import Badge, tooltip
from nbdt.view.svg.shapes import Group, Picture, Rect, Stroke, texts

FOLDED = Item(9, 0, "mammal", "folded", "218 classes: cat, dog, …", 218, probability=0.25)
LEAF = Item(1, 0, "a rather long name of a class", "class")
PICTURE = "data:image/png;base64,AAAA"


def parts(badge: Badge) -> list[type]:
    return [type(shape) for shape in badge.at(0, 0).shapes]


def test_a_folded_node_says_how_much_it_holds() -> None:
    badge = Badge.of(FOLDED, 300)
    assert [text.text for text in texts([badge.at(0, 0)])] == ["mammal", "218 classes · 25 %"]
    assert parts(badge)[0] is Rect
    assert Badge.of(FOLDED, 300, with_percent=False).note == "218 classes"


def test_support_stands_behind_the_name() -> None:
    open_ = Item(9, -1, "mammal", "open", classes=218)
    assert Badge.of(replace(open_, support="87 %"), 300).note == "87 %"
    assert (
        Badge.of(replace(FOLDED, support="87 %"), 300, with_percent=False).note
        == "218 classes · 87 %"
    )
    narrow = Badge.of(replace(open_, support="87 %"), 60)
    assert narrow.note == ""
    assert narrow.at(0, 0).title.endswith("support 87 %")


def test_a_class_is_its_name_alone() -> None:
    assert [kind.__name__ for kind in parts(Badge.of(LEAF, 300))] == ["Text"]
    assert parts(Badge.of(replace(LEAF, uri=PICTURE), 300))[0] is Picture


@pytest.mark.parametrize("widest", [90, 120, 160, 220, 300])
@pytest.mark.parametrize("item", [FOLDED, LEAF], ids=["folded", "leaf"])
def test_a_badge_is_no_wider_than_it_may_be(item: Item, widest: float) -> None:
    badge = Badge.of(replace(item, uri=PICTURE), widest)
    assert badge.width <= widest
    last = list(texts([badge.at(5, 5)]))[-1].box
    assert last.right <= 5 + badge.width


def test_where_there_is_little_room_notes_go_first_and_thumbnails_next() -> None:
    assert Badge.of(replace(FOLDED, uri=PICTURE), 260).note
    middle = Badge.of(replace(FOLDED, uri=PICTURE), 130)
    assert (middle.note, middle.uri) == ("", PICTURE)
    small = Badge.of(replace(FOLDED, uri=PICTURE), 90)
    assert (small.note, small.uri) == ("", "")
    assert small.name.startswith("m")


@pytest.mark.parametrize("role", ["path", "answer", "beyond", "rival", "runner_up"])
def test_every_role_has_a_sign_and_a_box(role) -> None:  # type: ignore[no-untyped-def]
    badge = Badge.of(Item(1, 0, "cat", "class", role=role), 300)
    group = badge.at(0, 0)
    assert group.css == f"nb-{role}"
    assert [type(shape) for shape in group.shapes[:2]] == [Rect, Stroke]


def test_a_difference_has_a_sign_of_its_own() -> None:
    plain = Badge.of(Item(1, 0, "cat", "class", role="path"), 300)
    marked = Badge.of(Item(1, 0, "cat", "class", role="path", differs=True), 300)
    assert marked.width > plain.width
    *_, last = marked.at(0, 0).shapes
    assert isinstance(last, Stroke)
    assert "nb-differs" in last.css
    assert isinstance(marked.at(0, 0), Group)


def test_the_tooltip_says_what_the_badge_does_not() -> None:
    assert tooltip(FOLDED, "mammal") == "218 classes: cat, dog, …\n25.00 % of its parent"
    assert tooltip(LEAF, "a rather…class") == LEAF.name
    assert tooltip(LEAF, LEAF.name) == ""
