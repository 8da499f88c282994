import numpy as np
import pytest
import torch
from PIL import Image, ImageFont

from nbdt.errors import InputError
from nbdt.preprocessing import Preprocessing
from nbdt.saliency import overlay, strip
from nbdt.saliency.overlay import AGAINST, FOR
from nbdt.saliency.strip import _fitting
from tests.saliency.test_result import made

IMAGE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 50, 3), np.uint8))


def one(value=1.0, **changes):
    how = Preprocessing(crop=30)
    return made(attribution=torch.full((30, 30), value), preprocessing=how, **changes)


def tile(sheet, place, columns, side=90, gap=12):
    down = sheet.height // -(-(place + 1) // columns) if columns == 1 else None
    left = gap + place % columns * (side + gap)
    top = gap + place // columns * (down or side + 3 * 20 + 2 * gap)
    return np.asarray(sheet.crop((left, top, left + side, top + side)))


def test_the_picture_comes_first_then_a_map_for_each_decision():
    maps = [one(1.0), one(-1.0)]
    sheet = strip(maps, IMAGE, height=90)
    assert sheet.size == (3 * 102 + 12, 90 + 60 + 24)
    seen = IMAGE.resize((90, 90), Image.Resampling.LANCZOS, (10, 0, 40, 30))
    assert np.array_equal(tile(sheet, 0, 3), np.asarray(seen))
    for place, map_ in enumerate(maps, start=1):
        expected = overlay(map_, IMAGE, height=90, seen_only=True)
        assert np.array_equal(tile(sheet, place, 3), np.asarray(expected))


def test_captions_show_both_colours():
    sheet = np.asarray(strip([one()], IMAGE, height=90))
    below = sheet[12 + 90 :].reshape(-1, 3)
    for colour in (FOR, AGAINST):
        assert (below == colour).all(1).sum() > 50
    assert (below[:, 0] < 60).any(), "there has to be dark text"


def test_long_paths_go_on_in_the_next_row():
    maps = [one() for _ in range(6)]
    assert strip(maps, IMAGE, height=90, columns=3).size == (318, 3 * 174)
    assert strip(maps, IMAGE, height=90, columns=1).size == (114, 7 * 174)
    sheet = strip(maps, IMAGE, height=90, columns=3)
    last = np.asarray(overlay(maps[-1], IMAGE, height=90, seen_only=True))
    assert np.array_equal(tile(sheet, 6, 3), last)


def test_names_keep_to_their_own_map():
    name = "a most unusual vertebrate: " * 5
    sheet = np.asarray(strip([one(child_name=name, rival_name=name, node_name=name)], IMAGE))
    assert (sheet[:, -12:] == 255).all(), "nothing is written beyond the map"


@pytest.mark.parametrize(
    ("name", "rest", "expected"),
    [("cat", " (9 %)", "cat (9 %)"), ("two\nlines", "?", "two lines?"), ("", "", "")],
)
def test_names_that_fit_stay(name, rest, expected):
    assert _fitting(name, rest, 200, ImageFont.load_default(14)) == expected


def test_names_that_do_not_fit_are_cut_but_not_their_share():
    font = ImageFont.load_default(14)
    cut = _fitting("German short-haired pointer", " (71 %)", 120, font)
    assert cut.endswith("… (71 %)")
    assert cut.startswith("German")
    assert font.getlength(cut) <= 120
    assert _fitting("wide", " (71 %)", 3, font) == "… (71 %)"


@pytest.mark.parametrize(
    ("saliencies", "arguments", "said"),
    [
        ([], {}, "there is no map to draw"),
        ([one()], {"columns": 0}, "positive whole number, got 0"),
        ([one()], {"height": -1}, "whole number of pixels, got -1"),
    ],
)
def test_what_cannot_be_drawn(saliencies, arguments, said):
    with pytest.raises(InputError, match=said):
        strip(saliencies, IMAGE, **arguments)
