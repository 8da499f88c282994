from dataclasses import fields

import pytest

from nbdt.view.palette import DARK, LIGHT, Palette, svg_style


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    low, high = sorted([luminance(a), luminance(b)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("text", "ground"),
    [
        *[("text", "surface"), ("text", "tint"), ("muted", "surface"), ("muted", "tint")],
        *[("muted", "path_tint"), ("muted", "rival_tint")],
        *[("path", "surface"), ("path", "path_tint"), ("on_path", "path")],
        *[("rival", "surface"), ("rival", "rival_tint")],
    ],
)
def test_text_can_be_read(palette: Palette, text: str, ground: str) -> None:
    assert contrast(getattr(palette, text), getattr(palette, ground)) >= 4.5


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("line", ["line", "path", "rival"])
def test_lines_can_be_seen(palette: Palette, line: str) -> None:
    assert contrast(getattr(palette, line), palette.surface) >= 3


def test_every_rule_stays_inside_the_drawing() -> None:
    style = svg_style()
    dark = style.index("@media (prefers-color-scheme:dark){")
    assert style.endswith("}}")
    rules = style[:dark] + style[style.index("{", dark) + 1 : -1]
    for rule in rules.split("}")[:-1]:
        selectors = rule.partition("{")[0]
        assert all(one.startswith(".nbdt-svg ") for one in selectors.split(",")), rule


def test_every_colour_is_used_in_its_scheme() -> None:
    light, dark = svg_style().split("@media")
    for field in fields(Palette):
        assert getattr(LIGHT, field.name) in light, field.name
        assert getattr(DARK, field.name) in dark, field.name
