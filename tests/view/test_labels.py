import unicodedata
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdt.view.labels import clean, text_width
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


def test_wide_characters_count_as_wide() -> None:
    assert text_width("猫") > 13
    assert text_width("🐈") > 13
    assert text_width("e\u0301") == text_width("e")
    assert text_width("W") > text_width("w") > text_width("i")
    assert text_width("cat", 26) == pytest.approx(2 * text_width("cat", 13), abs=0.02)
    assert text_width("cat", bold=True) > text_width("cat")
