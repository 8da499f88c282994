import base64
import io

import numpy as np
import pytest
from PIL import Image

from nbdt.errors import InputError
from nbdt.view.svg.pictures import data_uri


def read(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


@pytest.mark.parametrize(
    ("mode", "size", "kind", "result"),
    [
        ("RGB", (400, 200), "JPEG", (80, 40)),
        ("L", (400, 400), "JPEG", (80, 80)),
        ("RGBA", (400, 200), "PNG", (80, 40)),
        ("RGB", (8, 8), "PNG", (80, 80)),
        ("1", (8, 16), "PNG", (40, 80)),
        ("P", (1, 4000), "JPEG", (1, 80)),
        ("I;16", (100, 100), "JPEG", (80, 80)),
    ],
)
def test_an_image_becomes_as_large_as_it_is_drawn(
    mode: str, size: tuple[int, int], kind: str, result: tuple[int, int]
) -> None:
    image = read(data_uri(Image.new(mode, size), 40))
    assert (image.format, image.size) == (kind, result)


@pytest.mark.parametrize("side", [8, 100])
@pytest.mark.parametrize("mode", ["I;16", "I"])
def test_sixteen_bits_are_drawn_as_the_network_sees_them(side: int, mode: str) -> None:
    values = np.linspace(0, 65535, side * side).reshape(side, side)
    deep = Image.fromarray(values.astype(np.uint16))
    deep.info["transparency"] = 65535  # white, as transparent areas become
    drawn = read(data_uri(deep.convert(mode), side // 2)).convert("L")
    expected = (values.astype(int) >> 8).astype(np.uint8)
    assert np.abs(np.asarray(drawn).astype(int) - expected).max() <= 3


def test_pixels_without_a_range_are_refused() -> None:
    with pytest.raises(InputError, match="no stated range"):
        data_uri(Image.new("F", (4, 4)), 40)


def test_tiny_images_keep_their_pixels_square() -> None:
    image = Image.new("RGB", (2, 2), "red")
    image.putpixel((1, 1), (0, 0, 255))
    large = read(data_uri(image, 20)).convert("RGB")
    assert large.size == (40, 40)
    assert len(large.getcolors() or []) == 2
    assert large.getpixel((19, 19)) == (255, 0, 0)
    assert large.getpixel((20, 20)) == (0, 0, 255)


def test_the_image_itself_stays_as_it_is() -> None:
    image = Image.new("L", (8, 8))
    data_uri(image, 40)
    assert (image.mode, image.size) == ("L", (8, 8))


def test_an_address_is_passed_on() -> None:
    assert data_uri("data:image/svg+xml,%3Csvg/%3E", 40) == "data:image/svg+xml,%3Csvg/%3E"


@pytest.mark.parametrize(
    "image",
    [
        "https://example.com/a.png",
        "file:///etc/passwd",
        "data:text/html,<script>",
        "data:image/png;base64,AA AA",
        'data:image/png;base64,A" onload="x\n',
        "javascript:alert(1)",
        3,
        None,
        Image.new("L", (0, 5)),
    ],
)
def test_anything_else_is_refused(image: object) -> None:
    with pytest.raises(InputError, match="image"):
        data_uri(image, 40)  # type: ignore[arg-type]
