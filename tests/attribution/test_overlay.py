"""A map is drawn on its picture where the network looked, whatever the preprocessing did."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nbdt.attribution import on_picture, overlay
from nbdt.attribution.overlay import AGAINST, FOR, _smoothed
from nbdt.errors import InputError
from nbdt.inputs.image import Preprocessing
from tests.attribution.conftest import made


def lightness(colour):
    """CIE L* of an sRGB colour."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in
              (value / 255 for value in colour)]  # fmt: skip
    luminance = np.dot((0.2126, 0.7152, 0.0722), linear)
    return 116 * luminance ** (1 / 3) - 16


def test_neither_side_looks_stronger():
    assert lightness(FOR) == pytest.approx(lightness(AGAINST), abs=3)


def halves(side=100):
    """For the child above, against it below, in the middle of the left half."""
    map_ = torch.zeros(side, side)
    map_[10:40, 10:40], map_[60:90, 10:40] = 1, -1
    return map_


def test_colours_tell_sides_and_grey_tells_the_picture():
    image = Image.new("RGB", (100, 100), (200, 30, 30))
    drawn = np.asarray(overlay(made(attribution=halves()), image)).astype(int)
    grey = drawn[50, 80]
    assert len(set(grey)) == 1, "where nothing was contributed the picture is grey"
    assert np.abs(drawn[25, 25] - FOR).max() < np.abs(grey - FOR).max() / 4
    assert np.abs(drawn[75, 25] - AGAINST).max() < np.abs(grey - AGAINST).max() / 4


def test_depth_grows_with_the_contribution():
    map_ = torch.linspace(0, 1, 100).expand(100, 100)
    drawn = np.asarray(overlay(made(attribution=map_), Image.new("L", (100, 100), 255)))
    red = drawn[50, :, 0].astype(int)
    assert (np.diff(red) <= 0).all()
    assert red[0] - red[-1] > 100


def test_one_wild_pixel_does_not_drown_the_others():
    tame = halves()
    wild = tame.clone()
    wild[50, 80] = 1000
    image = Image.new("L", (100, 100), 255)
    calm, shaken = (np.asarray(overlay(made(attribution=m), image)) for m in (tame, wild))
    assert np.abs(calm[25, 25].astype(int) - shaken[25, 25]).max() < 40


def test_a_map_of_nothing_is_the_picture_in_grey():
    drawn = np.asarray(overlay(made(attribution=torch.zeros(8, 8)), Image.new("L", (8, 8), 0)))
    assert drawn.min() == drawn.max()


def test_what_the_network_did_not_see_is_paler_and_without_colour():
    how = Preprocessing(mode="L", crop=20)
    image = Image.new("L", (40, 20), 100)
    one = made(attribution=torch.ones(20, 20), preprocessing=how)
    drawn = np.asarray(overlay(one, image)).astype(int)
    assert len(set(drawn[10, 5])) == 1
    assert drawn[10, 5].min() > drawn[10, 20].min()
    assert np.ptp(drawn[10, 20]) > 50
    assert overlay(one, image, seen_only=True).size == (20, 20)
    assert overlay(one, image, height=60).size == (120, 60)


def test_the_picture_under_the_map_is_the_part_seen():
    pixels = np.zeros((20, 40), np.uint8)
    pixels[:, 10:30] = 255
    one = made(attribution=torch.zeros(20, 20), preprocessing=Preprocessing(mode="L", crop=20))
    drawn = np.asarray(overlay(one, Image.fromarray(pixels), seen_only=True))
    assert drawn.min() == 255


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "CMYK", "1"])
def test_pictures_of_all_kinds(mode):
    drawn = overlay(made(attribution=torch.ones(4, 4)), Image.new(mode, (9, 7)))
    assert (drawn.mode, drawn.size) == ("RGB", (9, 7))


def test_a_map_of_a_single_pixel():
    assert overlay(made(attribution=torch.ones(1, 1)), Image.new("L", (3, 3))).size == (3, 3)


def test_smoothing_keeps_the_sum_of_a_large_map():
    map_ = torch.zeros(224, 224)
    map_[100, 100] = 1
    smooth = _smoothed(map_)
    assert smooth.sum().item() == pytest.approx(1, abs=1e-5)
    assert smooth[100, 100].item() == pytest.approx(1 / (2 * math.pi * 2.24**2), rel=0.05)
    assert torch.equal(_smoothed(map_[96:104, 96:104]), map_[96:104, 96:104])


def test_tiny_pictures_keep_square_pixels():
    pixels = np.random.default_rng(0).integers(0, 255, (4, 5), np.uint8)
    map_ = torch.randn(4, 5)
    small, large = (
        np.asarray(overlay(made(attribution=map_), Image.fromarray(pixels), height=height))
        for height in (4, 40)
    )
    assert np.array_equal(large, small.repeat(10, 0).repeat(10, 1))


# ── where the map lies ────────────────────────────────────────────────────────────────────────

sides = st.integers(30, 60)


def slanted(width, height):
    """Lighter to the right and to the bottom: each place has its own brightness."""
    across = np.linspace(0, 100, width)[None] + np.linspace(0, 150, height)[:, None]
    return Image.fromarray(across.round().astype(np.uint8))


def check_back(how, image, *, edge=0, tolerance=1e-3):
    """An input put back on its picture gives the picture, where the network saw it."""
    back = on_picture(made(attribution=how(image)[0], preprocessing=how), image)
    assert back.shape == (image.height, image.width)
    seen = ~back.isnan()
    rows, columns = seen.nonzero().T
    inner = torch.zeros_like(seen)
    inner[
        rows.min() + edge : rows.max() + 1 - edge, columns.min() + edge : columns.max() + 1 - edge
    ] = True
    picture = torch.from_numpy(np.asarray(image).copy()).float()
    wrong = (back - picture)[inner & seen].abs()
    assert len(wrong)
    assert wrong.max() <= tolerance
    return seen


@given(
    width=sides,
    height=sides,
    resize=st.integers(24, 60) | st.tuples(sides, sides),
    crop=st.none() | st.integers(20, 70) | st.tuples(st.integers(20, 70), st.integers(20, 70)),
    rotate=st.sampled_from((0, 90, 180, 270)),
    hflip=st.booleans(),
)
def test_an_input_put_back_is_the_picture(width, height, resize, crop, rotate, hflip):
    how = Preprocessing(mode="L", resize=resize, crop=crop, scale=1.0, rotate=rotate, hflip=hflip)
    # Resampled pixels at an edge are means of what lies on one side of them only.
    check_back(how, slanted(width, height), edge=3, tolerance=3.5)


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("hflip", [False, True])
def test_turning_alone_is_undone_exactly(rotate, hflip):
    image = slanted(30, 20)
    how = Preprocessing(mode="L", crop=(10, 14), scale=1.0, rotate=rotate, hflip=hflip)
    seen = check_back(how, image)
    assert seen.sum() == 140
    assert seen[5:15, 8:22].all()


def test_what_is_padded_is_left_out():
    image = slanted(20, 30)
    how = Preprocessing(mode="L", crop=26, scale=1.0)
    seen = check_back(how, image)
    assert seen[2:28].all()
    assert not seen[:2].any()
    part = on_picture(made(attribution=how(image)[0], preprocessing=how), image, seen_only=True)
    assert part.shape == (26, 20)
    assert not part.isnan().any()


def test_without_preprocessing_the_map_covers_the_picture():
    map_ = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    placed = on_picture(made(attribution=map_), Image.new("L", (4, 2)))
    assert placed.tolist() == [[1, 1.25, 1.75, 2], [3, 3.25, 3.75, 4]]


@pytest.mark.parametrize("seen_only", [False, True])
def test_the_height_scales_the_result(seen_only):
    image = slanted(72, 48)
    how = Preprocessing(mode="L", resize=32, crop=24, scale=1.0)
    one = made(attribution=how(image)[0], preprocessing=how)
    own, twice = (on_picture(one, image, height=h, seen_only=seen_only) for h in (None, 96))
    assert own.shape == ((36, 36) if seen_only else (48, 72))
    assert twice.shape == ((96, 96) if seen_only else (96, 144))
    middle = own.shape[0] // 2
    share = twice.shape[0] / own.shape[0]
    found = twice[round(middle * share), round(middle * share)]
    assert found == pytest.approx(own[middle, middle].item(), abs=4)


@pytest.mark.parametrize(
    ("image", "arguments", "said"),
    [
        ("cat.jpg", {}, "Pillow image, got str"),
        (Image.new("L", (8, 8)), {"height": 0}, "whole number of pixels, got 0"),
        (Image.new("L", (8, 8)), {"height": 2.5}, "got 2.5"),
        (Image.new("L", (9, 8)), {}, "9×8 pixels becomes an input of 9×8, but the map has"),
    ],
)
def test_what_cannot_be_placed(image, arguments, said):
    one = made(attribution=torch.zeros(8, 8), preprocessing=Preprocessing(mode="L", rotate=90))
    with pytest.raises(InputError, match=said):
        on_picture(one, image, **arguments)
