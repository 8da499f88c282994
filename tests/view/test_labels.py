import unicodedata
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdt.view.labels import clean, shorten, text_width, wrap
from tests.view.samples import HOSTILE

ANY = st.text(st.characters(), max_size=20) | st.sampled_from(HOSTILE)


@given(ANY)
def test_a_clean_name_is_one_line_that_xml_and_utf8_take(name: str) -> None:
    text = clean(name)
    text.encode("utf-8")
    assert len(text.splitlines()) <= 1
    ET.fromstring(f"<a>{text.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')}</a>")
    assert not any(unicodedata.category(char) == "Cc" for char in text)


@given(ANY)
def test_cleaning_twice_changes_nothing_more(name: str) -> None:
    assert clean(clean(name)) == clean(name)


def test_what_is_cleaned_stays_readable() -> None:
    assert clean("  big\tcat\n") == "big cat"
    assert clean("a\x00b") == "a\\x00b"
    assert clean("\u202eabc") == "\\u202eabc"
    assert clean("\ufffe") == "\\ufffe"
    assert clean("naïve 猫 🐈‍⬛") == "naïve 猫 🐈‍⬛"


@given(ANY.map(clean), st.floats(13, 300))
def test_a_shortened_text_fits_and_keeps_both_ends(text: str, width: float) -> None:
    short = shorten(text, width)
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


def test_wide_characters_count_as_wide() -> None:
    assert text_width("猫") > 13
    assert text_width("🐈") > 13
    assert text_width("e\u0301") == text_width("e")
    assert text_width("W") > text_width("w") > text_width("i")
    assert text_width("cat", 26) == pytest.approx(2 * text_width("cat", 13), abs=0.02)
    assert text_width("cat", bold=True) > text_width("cat")


def test_lines_break_between_words() -> None:
    assert wrap("one two three", 7, len) == ["one two", "three"]
    assert wrap("one", 7, len) == ["one"]
    assert wrap("incomprehensible word", 7, len) == ["inc…ble", "word"]
