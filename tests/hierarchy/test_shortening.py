import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from nbdt.hierarchy.text import shorten, wrap
from nbdt.view.labels import clean, text_width
from tests.view.samples import HOSTILE

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
