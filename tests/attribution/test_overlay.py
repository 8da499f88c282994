import math

import numpy as np
import pytest
import torch
from PIL import Image

from nbdt.attribution import overlay
from nbdt.attribution.overlay import AGAINST, FOR
from nbdt.inputs.image import Preprocessing
from tests.attribution.test_result import made


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
    from nbdt.attribution.overlay import _smoothed

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
