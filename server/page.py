"""The web page at ``/``, made of the parts of `nbdt.view` without external resources.

Programs that do not ask for HTML get the status of the service, as KServe defines it.
"""

from __future__ import annotations

import io
from functools import cache
from importlib import resources

from fastapi import APIRouter, Request
from PIL import Image
from starlette.responses import JSONResponse, Response

from nbdt.data.digits import load_digits
from nbdt.errors import NotFoundError
from nbdt.view.assets import templates
from nbdt.view.html import script, style

from .answers import Status
from .exchange import preferred
from .openapi import answer, errors

router = APIRouter(tags=["Page"], responses=errors())

# Only the service's own resources: no inline script, no style except element.style.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Handwritten digits and photographs from scikit-learn.
_DIGITS = {"three": 3, "seven": 7}
_PHOTOGRAPHS = {"flower": "flower.jpg", "temple": "china.jpg"}
_DIGIT_SIDE = 128


@router.get("/", responses=answer(Status, {"text/html": "The page."}))
async def index(request: Request) -> Response:
    """The page; for programs, which do not ask for HTML, the status of the service."""
    offers = ("application/json", "text/html")
    if preferred(request, offers) == "text/html":
        return Response(
            _index(),
            media_type="text/html",
            headers={"Content-Security-Policy": POLICY, "Vary": "Accept"},
        )
    return JSONResponse({"status": "alive"}, headers={"Vary": "Accept"})


@router.get("/page/style.css", include_in_schema=False)
async def style_sheet() -> Response:
    """The style sheet of the views and of this page."""
    return Response(style() + _read("page.css"), media_type="text/css")


@router.get("/page/script.js", include_in_schema=False)
async def page_script() -> Response:
    """The script of the views and of this page."""
    return Response(script() + _read("page.js"), media_type="text/javascript")


@router.get("/page/samples/{name}", include_in_schema=False)
def sample(name: str) -> Response:
    """An image to try."""
    if name in _DIGITS:
        return Response(_digit(_DIGITS[name]), media_type="image/png")
    if name in _PHOTOGRAPHS:
        file = resources.files("sklearn.datasets.images") / _PHOTOGRAPHS[name]
        return Response(file.read_bytes(), media_type="image/jpeg")
    raise NotFoundError(f"there is no sample {name!r:.80}.")


@cache
def _index() -> str:
    return templates(__package__, "web").get_template("index.html").render()


@cache
def _read(name: str) -> str:
    return (resources.files(__package__) / "web" / name).read_text(encoding="utf-8")


@cache
def _digit(digit: int) -> bytes:
    """The first handwritten digit with this value, enlarged."""
    digits = load_digits()
    picture = digits.image(digits.targets.tolist().index(digit))
    file = io.BytesIO()
    picture.resize((_DIGIT_SIDE, _DIGIT_SIDE), Image.Resampling.NEAREST).save(file, "PNG")
    return file.getvalue()
