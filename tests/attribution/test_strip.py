from importlib import import_module

import numpy as np
import pytest
import torch
from PIL import Image

from nbdt.attribution import overlay, strip
from nbdt.attribution.overlay import AGAINST, FOR
from nbdt.errors import InputError
from nbdt.inputs.image import Preprocessing
from tests.attribution.conftest import made

# The package has a function of this name.
module = import_module("nbdt.attribution.strip")
IMAGE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 50, 3), np.uint8))


def one(value=1.0, **changes):
    how = Preprocessing(crop=30)
    return made(attribution=torch.full((30, 30), value), preprocessing=how, **changes)


def tile(sheet, place, columns, side=100, gap=12):
    left = gap + place % columns * (120 + gap)
    top = gap + place // columns * (side + 3 * 20 + 2 * gap)
    return np.asarray(sheet.crop((left, top, left + side, top + side)))


def test_the_picture_comes_first_then_a_map_for_each_decision():
    maps = [one(1.0), one(-1.0)]
    sheet = strip(maps, IMAGE, height=100)
    assert sheet.size == (3 * 132 + 12, 100 + 60 + 24)
    seen = IMAGE.resize((100, 100), Image.Resampling.LANCZOS, (10, 0, 40, 30))
    assert np.array_equal(tile(sheet, 0, 3), np.asarray(seen))
    for place, map_ in enumerate(maps, start=1):
        expected = overlay(map_, IMAGE, height=100, seen_only=True)
        assert np.array_equal(tile(sheet, place, 3), np.asarray(expected))


def test_captions_show_both_colours():
    sheet = np.asarray(strip([one()], IMAGE, height=90))
    below = sheet[12 + 90 :].reshape(-1, 3)
    for colour in (FOR, AGAINST):
        assert (below == colour).all(1).sum() > 50
    assert (below[:, 0] < 60).any(), "there must be dark text"


def test_long_paths_go_on_in_the_next_row():
    maps = [one() for _ in range(6)]
    assert strip(maps, IMAGE, height=100, columns=3).size == (408, 3 * 184)
    assert strip(maps, IMAGE, height=100, columns=1).size == (144, 7 * 184)
    sheet = strip(maps, IMAGE, height=100, columns=3)
    last = np.asarray(overlay(maps[-1], IMAGE, height=100, seen_only=True))
    assert np.array_equal(tile(sheet, 6, 3), last)


def of_whole(width, height):
    """A map of a picture that is so large, all of which was seen."""
    names = {"node_name": "vertebrate, placental", "child_name": "German short-haired pointer"}
    image = Image.new("RGB", (width, height), "red")
    return made(attribution=torch.ones(height, width), preprocessing=None, **names), image


def ink(sheet):
    """Where the sheet is not white; shape (height, width)."""
    return (np.asarray(sheet) != 255).any(2)


@pytest.mark.parametrize(("width", "height"), [(33, 400), (1, 40), (40, 40), (60, 40)])
@pytest.mark.parametrize("columns", [1, 5])
def test_captions_keep_to_their_own_map(width, height, columns):
    saliency, image = of_whole(width, height)
    sheet = strip([saliency] * 3, image, columns=columns)
    room = max(round(160 * width / height), 120)
    gaps = np.ones(sheet.width, bool)
    for column in range(min(columns, 4)):
        gaps[12 + column * (room + 12) :][:room] = False
    assert gaps.sum() == 12 * (min(columns, 4) + 1)
    assert not ink(sheet)[:, gaps].any(), "nothing is written between the maps, nor at the edge"


def test_a_narrow_picture_has_room_for_its_caption():
    saliency, image = of_whole(33, 400)
    sheet = strip([saliency], image)
    assert sheet.size == (2 * 132 + 12, 244)
    child = ink(sheet)[172 + 4 + 20 : 172 + 4 + 40, 144 + 16 :]
    assert np.flatnonzero(child.any(0)).max() > 80, "the name is not cut to the map's 13 pixels"


@pytest.mark.parametrize(("width", "height", "rows"), [(900, 33, 11), (3000, 2, 1), (80, 40, 160)])
def test_a_wide_picture_is_made_smaller(width, height, rows):
    saliency, image = of_whole(width, height)
    sheet = strip([saliency], image)
    assert sheet.size == (2 * 332 + 12, rows + 60 + 24)
    assert (np.asarray(sheet)[12 : 12 + rows, 12:332] == (255, 0, 0)).all()


# ── letters ───────────────────────────────────────────────────────────────────────────────────

needs_a_font = pytest.mark.skipif(len(module._fonts()) < 2, reason="no system font is installed")
OWN = module._fonts()[0]


def clear():
    for one in (module._fonts, module._lettering, module._has):
        one.cache_clear()


@pytest.fixture
def no_fonts(monkeypatch):
    """A system without any font."""
    monkeypatch.setattr(module, "SYSTEM_FONTS", ("absent.ttf",))
    clear()
    yield
    clear()


def test_letters_of_any_script_are_drawn_or_written_as_codes(no_fonts):
    said = strip([one(child_name="猫")], IMAGE)
    code = strip([one(child_name=r"\u732b")], IMAGE)
    latin = strip([one()], IMAGE)
    assert latin.height == code.height == 244
    assert said.height > 244, "a line below says what the code is"
    assert ink(said)[244:].any()
    assert np.array_equal(np.asarray(said)[:244], np.asarray(code))


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
    said, font = module._lettering(name)
    assert said == text
    assert font.getname() == OWN.getname()


@pytest.mark.parametrize(
    ("name", "text"),
    [("猫", r"\u732b"), ("🐈 cat", r"\U0001f408 cat"), ("ø", r"\xf8"), ("c\u200dt", "c\u200dt")],
)
def test_what_no_font_has_is_written_as_its_code(no_fonts, name, text):
    assert module._lettering(name)[0] == text


@needs_a_font
@pytest.mark.parametrize("name", ["naïve café", "Журавль", "кот и cat"])
def test_other_letters_are_set_in_a_font_that_has_them(name):
    said, font = module._lettering(name)
    assert said == name
    assert font.getname() != OWN.getname()


def test_letters_from_right_to_left_need_a_pillow_that_can_write_so(monkeypatch):
    monkeypatch.setattr(module.features, "check", lambda name: False)
    clear()
    assert module._lettering("חתול")[0] == r"\u05d7\u05ea\u05d5\u05dc"
    clear()


@pytest.mark.parametrize(
    ("saliencies", "arguments", "said"),
    [
        ([], {}, "no map to draw"),
        ([one()], {"columns": 0}, "positive whole number, got 0"),
        ([one()], {"height": -1}, "whole number of pixels, got -1"),
        ([one()], {"height": None}, "whole number of pixels, got None"),
    ],
)
def test_what_cannot_be_drawn(saliencies, arguments, said):
    with pytest.raises(InputError, match=said):
        strip(saliencies, IMAGE, **arguments)
