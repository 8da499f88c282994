"""Maps lie on the picture where the network looked, whatever the preprocessing did to it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nbdt.attribution import on_picture
from nbdt.errors import InputError
from nbdt.inputs.image import Preprocessing
from tests.attribution.test_result import made

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
        (Image.new("L", (9, 8)), {}, "9×8 pixels becomes an input of 9×8, but the map is of one"),
    ],
)
def test_what_cannot_be_placed(image, arguments, said):
    one = made(attribution=torch.zeros(8, 8), preprocessing=Preprocessing(mode="L", rotate=90))
    with pytest.raises(InputError, match=said):
        on_picture(one, image, **arguments)
