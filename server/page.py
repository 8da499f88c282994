"""The web page at ``/``, and Swagger UI at ``/docs``: nothing is loaded from elsewhere.

Programs that do not ask for HTML get the status of the service, as KServe defines it. The page is
made of the parts of `nbdt.view`; the files of Swagger UI are in the package fastapi-offline, of
which no code is run.
"""

from __future__ import annotations

import io
from functools import cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

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
_SWAGGER = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
_KEPT = {"Cache-Control": "max-age=86400"}
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
    parts = "".join(map(_read, ("rows.js", "more.js", "page.js")))
    return Response(script() + parts, media_type="text/javascript")


@router.get("/docs", include_in_schema=False)
async def docs() -> Response:
    """Swagger UI, which shows and tries the service's OpenAPI document."""
    _swagger_file("swagger-ui.css")  # a NotFoundError if the package is not installed
    text = templates(__package__, "web").get_template("docs.html").render()
    headers = {"Content-Security-Policy": POLICY}
    return Response(text, media_type="text/html", headers=headers)


@router.get("/docs/{name}", include_in_schema=False)
def docs_file(name: str) -> Response:
    """A file of Swagger UI, or the script that starts it."""
    if name == "start.js":
        return Response(_read("docs.js"), media_type="text/javascript")
    if name not in _SWAGGER:
        raise NotFoundError(f"there is no file {name!r:.80}.")
    return Response(_swagger_file(name), media_type=_SWAGGER[name], headers=_KEPT)


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
def _swagger_file(name: str) -> bytes:
    package = find_spec("fastapi_offline")
    folders = [] if package is None else package.submodule_search_locations or []
    for folder in folders:
        file = Path(folder) / "static" / name
        if file.is_file():
            return file.read_bytes()
    raise NotFoundError(
        "Swagger UI is not installed: pip install fastapi-offline, which the extra [serve] holds; "
        "/openapi.json describes the service."
    )


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
