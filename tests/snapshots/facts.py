"""What a reader takes from a text, a picture or a page, without its wording and its markup.

Sentences may be written better and markup may change. Names and numbers, their order, and what
there is to click or to look at may not.
"""

import json
import re
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

BETWEEN = " | "
NUMBER = r"(?<![\w.#-])[-−]?\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?"

# Names of an earlier stage of the project, on either side.
RENAMED = {
    "parts_at": "diverges_at",
    "parts_at_name": "diverges_at_name",
    "parts_at*": "diverges_at*",
    "parts_at_name*": "diverges_at_name*",
    "surest": "confident",
    "barest": "borderline",
    "astray": "misrouted",
}
# What differs from run to run, or from machine to machine.
FLEETING = {"sha256", "fingerprint", "seconds", "images_per_second", "size", "created", "took",
            "versions"}  # fmt: skip


def plain(value: Any, hide: Iterable[tuple[str, str]] = ()) -> Any:
    """A JSON value with today's names, without what no two runs share."""
    if isinstance(value, dict):
        return {
            RENAMED.get(key, key): plain(inner, hide)
            for key, inner in value.items()
            if key not in FLEETING
        }
    if isinstance(value, list | tuple):
        return [plain(inner, hide) for inner in value]
    if isinstance(value, str):
        if value.startswith('{"schema"'):  # a document within a document
            return plain(json.loads(value), hide)
        for text, instead in hide:
            value = value.replace(text, instead)
        return RENAMED.get(value, value)
    return value


def facts(text: str, names: Iterable[str] = ()) -> list[str]:
    """The numbers and the names in a text, in order."""
    longest_first = sorted(map(re.escape, names), key=len, reverse=True)
    pattern = "|".join([*(rf"(?<!\w){name}(?!\w)" for name in longest_first), NUMBER])
    return [found.replace("−", "-").replace(",", "") if found[-1].isdigit() else found
            for found in re.findall(pattern, text)]  # fmt: skip


def joined(found: Iterable[str]) -> str:
    """Facts as one text, whose changes `differences` names fact by fact."""
    return BETWEEN.join(found)


def of_svg(source: str, names: Iterable[str]) -> dict[str, Any]:
    """What is seen of a drawing: its size, its lettering in order, its titles."""
    root = ElementTree.fromstring(source)
    texts = ["".join(one.itertext()) for one in _with_tag(root, "text")]
    titles = ["".join(one.itertext()) for one in _with_tag(root, "title")]
    names = [*names]
    width, height = (round(float(part)) for part in root.get("viewBox", "0 0 0 0").split()[2:])
    return {
        "width": width,
        "height": height,
        "texts": joined([fact for text in texts for fact in facts(text, names)]),
        "titles": joined([fact for text in titles for fact in facts(text, names)]),
        "images": sum(1 for _ in _with_tag(root, "image")),
        "labelled": bool(root.get("aria-label") or root.get("aria-labelledby") or titles),
    }


def _with_tag(root: ElementTree.Element, tag: str) -> Iterator[ElementTree.Element]:
    return (one for one in root.iter() if one.tag.rpartition("}")[2] == tag)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}
        self.links: list[str] = []
        self.texts: list[str] = []
        self.data: list[Any] = []
        self._in: list[str] = []
        self._json = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag in {"table", "tr", "img", "svg", "input", "button", "details", "image"}:
            self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag == "a":
            href = given.get("href") or ""
            self.links.append("#" if href.startswith("#") else href)
        if tag in {"script", "style"}:
            self._in.append(tag)
            self._json = tag == "script" and given.get("type") == "application/json"

    def handle_endtag(self, tag: str) -> None:
        if self._in and self._in[-1] == tag:
            self._in.pop()

    def handle_data(self, data: str) -> None:
        if not self._in:
            self.texts.append(data)
        elif self._json:
            self.data.append(json.loads(data))


def of_html(source: str, names: Iterable[str]) -> dict[str, Any]:
    """What is seen of a page: names and numbers in order, tables, pictures, links, its data."""
    page = _Page()
    page.feed(source)
    page.close()
    return {
        "counts": page.counts,
        "links": page.links,
        "facts": joined(facts(" ".join(page.texts), names)),
        "data": [_without_pictures(one) for one in page.data],
        "self_contained": not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", source),
    }


def _without_pictures(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_pictures(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_pictures(inner) for inner in value]
    if isinstance(value, str) and value.startswith("data:"):
        return value[:20]
    return value


def differences(golden: Any, found: Any, rtol: float, atol: float, at: str = "") -> Iterator[str]:
    """Where two JSON values differ, each place with both values."""
    if isinstance(golden, dict) and isinstance(found, dict):
        for key in [*golden, *(key for key in found if key not in golden)]:
            if key not in found:
                yield f"{at}.{key}: is gone, was {_short(golden[key])}"
            elif key not in golden:
                yield f"{at}.{key}: is new: {_short(found[key])}"
            else:
                yield from differences(golden[key], found[key], rtol, atol, f"{at}.{key}")
    elif isinstance(golden, list) and isinstance(found, list):
        if len(golden) != len(found):
            yield f"{at}: has {len(found)} entries, had {len(golden)}"
        for place, (before, now) in enumerate(zip(golden, found, strict=False)):
            yield from differences(before, now, rtol, atol, f"{at}[{place}]")
    elif _is_number(golden) and _is_number(found):
        whole = isinstance(golden, int) and isinstance(found, int)
        if golden != found and (whole or abs(golden - found) > atol + rtol * abs(golden)):
            yield f"{at}: was {golden!r}, is {found!r}"
    elif isinstance(golden, str) and isinstance(found, str) and BETWEEN in golden:
        yield from _facts_apart(golden.split(BETWEEN), found.split(BETWEEN), at)
    elif golden != found or isinstance(golden, bool) != isinstance(found, bool):
        yield f"{at}: was {_short(golden)}, is {_short(found)}"


def _facts_apart(golden: list[str], found: list[str], at: str) -> Iterator[str]:
    matcher = SequenceMatcher(None, golden, found, autojunk=False)
    for kind, start, end, first, last in matcher.get_opcodes():
        if kind != "equal":
            where = BETWEEN.join(golden[max(0, start - 4) : start])
            was, now = BETWEEN.join(golden[start:end]), BETWEEN.join(found[first:last])
            yield f"{at}: after “{where}” was {_short(was)}, is {_short(now)}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}…"
