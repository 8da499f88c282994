"""Colors can be read, a drawing styles only itself, and in templates text stays text."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

import nbdt
from nbdt.hierarchy.text import one_line
from nbdt.view.assets import DARK, LIGHT, counted, svg_style, templates

NBDT = Path(nbdt.__file__).parent


def luminance(color: str) -> float:
    """WCAG 2.2, relative luminance."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    low, high = sorted([luminance(a), luminance(b)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("text", "ground", "least"),
    [
        *[("text", "surface", 4.5), ("text", "tint", 4.5)],
        *[("muted", ground, 4.5) for ground in ("surface", "tint", "path-tint", "rival-tint")],
        *[("path", "surface", 4.5), ("path", "path-tint", 4.5), ("on-path", "path", 4.5)],
        *[("rival", "surface", 4.5), ("rival", "rival-tint", 4.5), ("line", "surface", 3)],
    ],
)
def test_text_can_be_read_and_lines_seen(
    palette: dict[str, str], text: str, ground: str, least: float
) -> None:
    assert contrast(palette[text], palette[ground]) >= least


def test_every_rule_of_a_drawing_stays_inside_it() -> None:
    light, dark = svg_style().split("@media (prefers-color-scheme:dark){")
    assert dark.endswith("}}")
    for rule in (light + dark[:-1]).split("}")[:-1]:
        selectors = rule.partition("{")[0]
        assert all(one.startswith(".nbdt-svg ") for one in selectors.split(",")), rule
    for name, color in DARK.items():
        assert LIGHT[name] in light, name
        assert color in dark, name
    assert "var(" not in light + dark
    assert "font" not in dark


def test_colors_stand_in_one_place() -> None:
    sheets = [*NBDT.rglob("*.css"), *NBDT.rglob("*.html"), *NBDT.rglob("*.js")]
    sheets += [*(NBDT / "view").rglob("*.py"), *(NBDT / "report").rglob("*.py")]
    named = r"#[0-9a-fA-F]{3,8}\b(?=[;\"' ,)])|\brgba?\(|\bhsla?\("
    found = [sheet.name for sheet in sheets if re.search(named, sheet.read_text(encoding="utf-8"))]
    assert found == ["tokens.css"]


class Texts(HTMLParser):
    """What a parser sees: the elements, the text and the values of attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.values: list[str | None] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.values += [value for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


TEMPLATE = templates().from_string('<p title="{{ text }}">{{ text }}</p>')


@given(st.text() | st.text(alphabet="<>&\"'/! -=abc\n\r\0", max_size=20))
def test_whatever_a_text_holds_it_stays_text(text: str) -> None:
    seen = Texts(TEMPLATE.render(text=text))
    shown = "\n".join(map(one_line, text.split("\n")))
    assert (seen.tags, seen.text, seen.values) == (["p"], shown, [shown])


def test_what_commands_or_turns_a_line_is_written_out() -> None:
    seen = Texts(TEMPLATE.render(text="ab\u202ecd\n\x1b[31m\x9b"))
    assert seen.text == "ab\\u202ecd\n\\x1b[31m\\x9b"


def test_what_a_template_misses_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        TEMPLATE.render()


def test_one_is_no_plural() -> None:
    assert [counted(n, "mistake") for n in (0, 1, 2, 1000)] == [
        "0 mistakes", "1 mistake", "2 mistakes", "1,000 mistakes",
    ]  # fmt: skip
