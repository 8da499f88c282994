"""The style sheets and templates of all views; colors and sizes stand in tokens.css alone."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nbdt.hierarchy.text import one_line


@cache
def read_asset(name: str) -> str:
    """A style sheet, script or other text file of this package."""
    return (resources.files("nbdt.view") / name).read_text(encoding="utf-8")


def _tokens(style: str) -> dict[str, str]:
    declared = re.findall(r"--([a-z-]+):\s*([^;]+);", style)
    return {name: value.replace('"', "'") for name, value in declared}


TOKENS = read_asset("tokens.css")
LIGHT, DARK = map(_tokens, TOKENS.split("@media"))
"""The tokens by name, such as ``LIGHT["path-tint"]``; the dark ones are only those that differ."""


@cache
def svg_style() -> str:
    """The style sheet of the SVG drawings, for both color schemes."""
    dark = "".join(_drawing_rules(DARK, only=DARK))
    return f"{''.join(_drawing_rules(LIGHT))}@media (prefers-color-scheme:dark){{{dark}}}"


def _drawing_rules(tokens: dict[str, str], only: dict[str, str] | None = None) -> list[str]:
    """The rules with their tokens written out; with `only`, what depends on one of these."""
    rules = []
    sheet = re.sub(r"/\*.*?\*/", "", read_asset("svg/drawing.css"), flags=re.DOTALL)
    for selectors, body in re.findall(r"([^{}]+)\{([^{}]+)\}", sheet):
        scoped = ",".join(f".nbdt-svg {one.strip()}" for one in selectors.split(","))
        declarations = [
            re.sub(r"var\(--([a-z-]+)\)", lambda name: tokens[name[1]], one.strip())
            for one in body.split(";")
            if one.strip() and (only is None or any(f"--{name})" in one for name in only))
        ]
        if declarations:
            rules.append(f"{scoped}{{{';'.join(declarations).replace(': ', ':')}}}")
    return rules


@cache
def templates(package: str = "nbdt.view.html", folder: str = "templates") -> Environment:
    """The templates in a folder of a package, which may extend those of `nbdt.view.html`.

    Names come out of files and may be anything. They enter a page as text or as attributes, always
    escaped, and what commands a terminal or turns a line around is written out.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, folder), PackageLoader("nbdt.view.html")]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_readable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["one_line"] = one_line
    environment.globals["counted"] = counted
    return environment


def _readable(value: Any) -> Any:
    """A text with each of its lines as `one_line` gives it; nothing for None."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return "\n".join(map(one_line, value.split("\n")))
    return "" if value is None else value


def counted(number: int, noun: str, several: str | None = None) -> str:
    """How many there are of something."""
    return f"{number:,} {noun if number == 1 else several or noun + 's'}"
