"""Negotiation: the form of an answer that a client prefers."""

import pytest

from nbdt.server.errors import NotAcceptableError
from nbdt.server.negotiation import preferred

JSON, HTML, SVG = "application/json", "text/html", "image/svg+xml"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("text/html", HTML),
        ("TEXT/HTML ; q=0.5", HTML),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", HTML),
        ("image/*", SVG),
        ("application/json;q=0.1, text/html;q=0.2", HTML),
        ("*/*, application/json;q=0", HTML),
        ("text/html;q=nonsense", HTML),
    ],
)
def test_the_preferred_form(accept, expected):
    assert preferred(accept, [JSON, HTML, SVG]) == expected


@pytest.mark.parametrize("accept", ["audio/*", "application/json;q=0", "text/plain"])
def test_what_cannot_be_had(accept):
    with pytest.raises(NotAcceptableError, match="application/json, text/html"):
        preferred(accept, [JSON, HTML])
