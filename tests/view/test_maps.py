"""Maps as pictures: their nodes, their colors, and their legends in light and dark."""

import base64
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.view import decision_map, depth_map
from nbdt.view.assets import DARK, LIGHT
from nbdt.view.maps import node_colors
from tests.strategies import random_hierarchy

TREE = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
ANSWERS = np.array([[0, 1, 2], [0, 2, 2]])


def contrast(color, surface):
    """WCAG 2.2's contrast of two colors."""

    def luminance(rgb):
        linear = [c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    low, high = sorted((luminance(color), luminance(surface)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("count", [2, 11, 60])
def test_colors_stand_out_from_light_and_dark_pages(count):
    tree = random_hierarchy(count)
    colors = node_colors(tree, list(range(count)))
    assert len(set(colors.values())) == count
    for tokens in (LIGHT, DARK):
        surface = [int(tokens["surface"][i : i + 2], 16) for i in (1, 3, 5)]
        assert min(contrast(color, surface) for color in colors.values()) >= 2.9


def test_the_picture_has_a_pixel_for_each_site_in_its_nodes_color():
    picture = depth_map(TREE, torch.from_numpy(ANSWERS), depth=1)
    assert picture.nodes.tolist() == [[3, 3, 2], [3, 2, 2]]
    assert picture.legend.keys() == {"animal", "car"}
    assert picture.share(3) == 0.5
    pixels = np.asarray(picture.image)
    for place in np.ndindex(2, 3):
        assert tuple(pixels[place]) == (*picture.colors[picture.nodes[place]], 255)
    assert list(depth_map(TREE, ANSWERS).colors) == [2, 0, 1]  # most sites first


def test_sites_that_miss_a_decision_are_transparent():
    picture = decision_map(TREE, ANSWERS, "animal")
    assert picture.nodes.tolist() == [[0, 1, -1], [0, -1, -1]]
    assert np.asarray(picture.image)[..., 3].tolist() == [[255, 255, 0], [255, 0, 0]]
    assert "elsewhere" in picture.to_svg()
    assert picture.title == "The decision at animal"


def test_over_a_picture_the_map_is_as_large_as_the_picture():
    below = Image.new("RGB", (30, 20), "white")
    picture = decision_map(TREE, ANSWERS, 3, image=below).image
    assert picture.size == (30, 20)
    assert picture.getpixel((25, 15))[:3] == (191, 191, 191)  # nothing lies over it
    assert len(set(picture.getpixel((2, 2))[:3])) > 1


def test_the_svg_stands_alone_and_names_every_color():
    svg = depth_map(TREE, ANSWERS, title="A <b>title</b>").to_svg(width=400)
    for name in ("cat", "dog", "car", "&lt;b&gt;title", "prefers-color-scheme:dark"):
        assert name in svg
    data = re.search(r"data:image/png;base64,([^\"]+)", svg)
    assert data is not None
    image = Image.open(io.BytesIO(base64.b64decode(data[1])))
    # Whole squares, so that no program blurs the sites.
    assert image.width % 3 == 0
    assert image.width / 3 == image.height / 2 > 100
    assert svg.count('rx="3" fill="rgb(') == 3


def test_many_nodes_are_summed_up():
    tree = random_hierarchy(40)
    picture = depth_map(tree, np.arange(40).reshape(5, 8))
    assert "16 more" in picture.to_svg()
    assert len(picture.legend) == 40


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda: depth_map(TREE, [0, 1]), r"of shape \(height, width\), such as model.predict"),
        (lambda: depth_map(TREE, [[0.5]]), "whole numbers"),
        (lambda: depth_map(TREE, [[3]]), "an answer is 3; with 3 classes they go from 0 to 2"),
        (lambda: depth_map(TREE, [[0]], -1), "whole number from 0"),
        (lambda: depth_map(TREE, [[0]], image="cat.png"), "must be a PIL image, got str"),
        (lambda: decision_map(TREE, [[0]], "cat"), "is a class and decides nothing"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, said):
    with pytest.raises(InputError, match=said):
        draw()
