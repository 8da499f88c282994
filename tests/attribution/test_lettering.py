import pytest
from PIL import ImageFont, features

from nbdt.attribution import lettering as module
from nbdt.attribution.lettering import lettering

OWN = ImageFont.load_default(module.SIZE).getname()
needs_a_font = pytest.mark.skipif(
    not module._system_fonts(), reason="none of the fonts that names are set in is installed"
)


@pytest.fixture
def no_fonts(monkeypatch):
    """A system without any font."""
    module._system_fonts.cache_clear()
    monkeypatch.setattr(module, "SYSTEM_FONTS", ("absent.ttf",))
    yield
    module._system_fonts.cache_clear()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("German short-haired pointer (71 %)", "German short-haired pointer (71 %)"),
        ("two\nlines", "two lines"),
        ("wide\u3000and\xa0narrow", "wide and narrow"),
        ("\u202eturned", "\\u202eturned"),
        ("", ""),
    ],
)
def test_english_names_look_the_same_everywhere(name, text):
    drawn = lettering(name)
    assert (drawn.text, drawn.code) == (text, "")
    assert drawn.font.getname() == OWN


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("猫", r"\u732b", r"\u732b"),
        ("🐈 cat", r"\U0001f408 cat", r"\U0001f408"),
        ("Жар", r"\u0416\u0430\u0440", r"\u0440"),
        ("ø", r"\xf8", r"\xf8"),
    ],
)
def test_what_no_font_has_is_written_as_its_code(no_fonts, name, text, code):
    assert lettering(name)[::2] == (text, code)


@pytest.mark.parametrize(
    ("name", "text"),
    [("naïve café", "naive cafe"), ("e\u0301", "e"), ("Łódź", r"\u0141odz"), ("c\u200dt", "ct")],
)
def test_accents_that_no_font_has_are_left_out(no_fonts, name, text):
    assert lettering(name).text == text


@needs_a_font
@pytest.mark.parametrize("name", ["naïve café", "Журавль", "кот и cat"])
def test_other_letters_are_set_in_a_font_that_has_them(name):
    drawn = lettering(name)
    assert (drawn.text, drawn.code) == (name, "")
    assert drawn.font.getname() != OWN
    absent = drawn.font.getmask(module._ABSENT)
    for char in set(name) - {" "}:
        assert bytes(drawn.font.getmask(char)) != bytes(absent)


def test_letters_from_right_to_left_need_a_pillow_that_can_write_so(monkeypatch):
    module._has.cache_clear()
    monkeypatch.setattr(module, "_turns", lambda: False)
    try:
        assert lettering("חתול").text == r"\u05d7\u05ea\u05d5\u05dc"
    finally:
        module._has.cache_clear()


def test_whether_pillow_can_write_from_right_to_left_is_asked_of_pillow():
    assert module._turns() == (features.check("raqm") and features.check("fribidi"))
