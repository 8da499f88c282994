"""Bodies within limits of length and time, and of all together; and the preferred form."""

import asyncio

import pytest
from starlette.requests import Request

from nbdt.server.errors import NotAcceptableError, OverloadedError, SlowBodyError, TooLargeError
from nbdt.server.exchange import Bodies, preferred
from nbdt.server.settings import Settings


def read(*chunks, declared=None, pause=0.0, **limits):
    async def stream():
        for chunk in chunks:
            await asyncio.sleep(pause)
            yield chunk

    async def main():
        bodies = Bodies(Settings(**limits))
        try:
            with bodies.reading() as body:
                return await body.read(stream(), declared)
        finally:
            assert bodies.buffered == 0

    return asyncio.run(main())


def test_a_body_is_read_whole():
    assert read(b"a", b"", b"bc", declared=3) == b"abc"


@pytest.mark.parametrize("declared", [None, 2])
def test_a_body_that_grows_too_long_is_refused_on_the_way(declared):
    with pytest.raises(TooLargeError, match="exceeds the limit of 10 bytes"):
        read(b"a" * 6, b"a" * 6, declared=declared, body_bytes=10)


def test_a_body_that_says_it_is_too_long_is_not_read():
    with pytest.raises(TooLargeError):
        read(declared=11, body_bytes=10)


def test_a_slow_body_is_given_up():
    with pytest.raises(SlowBodyError, match=r"within 0\.05 s"):
        read(b"a", b"b", pause=1.0, body_seconds=0.05)


def test_all_bodies_together_are_bounded():
    async def stream():
        yield b"abcd"

    async def main():
        bodies = Bodies(Settings(buffered_bytes=6))
        with bodies.reading() as first:
            await first.read(stream())
            with bodies.reading() as second, pytest.raises(OverloadedError):
                await second.read(stream())
            assert bodies.buffered == 4
        assert bodies.buffered == 0

    asyncio.run(main())


JSON, HTML, SVG = "application/json", "text/html", "image/svg+xml"


def accepting(accept):
    return Request({"type": "http", "headers": [(b"accept", accept.encode())]})


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
    assert preferred(accepting(accept), [JSON, HTML, SVG]) == expected


@pytest.mark.parametrize("accept", ["audio/*", "application/json;q=0", "text/plain"])
def test_what_cannot_be_had(accept):
    with pytest.raises(NotAcceptableError, match="application/json, text/html"):
        preferred(accepting(accept), [JSON, HTML])
