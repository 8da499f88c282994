"""Which of several forms of an answer a client prefers (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence

from .errors import NotAcceptableError


def preferred(accept: str, offers: Sequence[str]) -> str:
    """The offer that an ``Accept`` header prefers; the first of several that it likes as much.

    Args:
        accept: the header; empty for anything.
        offers: media types, the default first.

    Raises:
        NotAcceptableError: it takes none of them.

    Example:
        >>> preferred("text/html, */*;q=0.8", ["application/json", "text/html"])
        'text/html'
        >>> preferred("*/*", ["application/json", "text/html"])
        'application/json'
    """
    wishes = [_wish(part) for part in accept.split(",") if part.strip()] or [("*/*", 1.0)]
    best = max(offers, key=lambda offer: _quality(offer, wishes))
    if _quality(best, wishes) <= 0:
        raise NotAcceptableError(f"the answer can be had as {', '.join(offers)}.")
    return best


def _wish(part: str) -> tuple[str, float]:
    kind, *parameters = (piece.strip() for piece in part.split(";"))
    quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
    try:
        return kind.lower(), float(quality)
    except ValueError:
        return kind.lower(), 1.0


def _quality(offer: str, wishes: Sequence[tuple[str, float]]) -> float:
    """What the most specific wish that covers the offer says of it."""
    family = offer.partition("/")[0]
    for pattern in (offer, f"{family}/*", "*/*"):
        found = [quality for kind, quality in wishes if kind == pattern]
        if found:
            return max(found)
    return 0.0
