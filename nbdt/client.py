"""`Client`: asks a service of `nbdt serve`, and returns what the library itself would return.

client = nbdt.client.Client("http://127.0.0.1:8000")
print(client.explain("digits", "seven.png")[0])
print(client.explain("reviews", "a good film")[0])
print(client.explain("income", {"age": 39, "sex": "Male"})[0])      # or a frame of rows
"""

from __future__ import annotations

import base64
import io
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from PIL import Image

from nbdt.errors import InputError, NBDTError, NotFoundError, missing
from nbdt.explain import Explanation, Explanations
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.formats import from_dict
from nbdt.inputs.column import is_missing
from nbdt.inputs.frames import Table, as_table, read_table
from nbdt.inputs.image import to_mode

if TYPE_CHECKING:
    import httpx

Row = (
    str
    | os.PathLike[str]
    | bytes
    | Image.Image
    | np.ndarray[Any, Any]
    | Mapping[str, Any]
    | list[Any]
)
"""An image as a path, as the bytes of a file, or from Pillow; a text; the columns of a row by name;
or numbers, the network's own input. A string is text for a model that reads text, else a path."""
Rows = Any
"""A `Row`, a list of them, or a table: a frame of pandas, polars or pyarrow, or the path of one."""

# These pass; the service says when to try again.
_BUSY = (429, 503)
_LONGEST_WAIT = 10.0
_FRAMES = ("pandas", "polars", "pyarrow")


class ServiceError(NBDTError):
    """The service could not be reached (`status` is None), or refused to answer (HTTP's status)."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Client:
    """Asks a service for predictions and explanations.

    Args:
        url: its address, as "http://127.0.0.1:8000".
        key: an API key, if it needs one.
        timeout: how many seconds to wait for an answer.
        retries: how often to try again where it is busy.
        transport: replaces the network, in tests.

    Example:
        >>> with Client("http://127.0.0.1:1", retries=0) as client:
        ...     client.models()
        Traceback (most recent call last):
        nbdt.client.ServiceError: http://127.0.0.1:1 cannot be reached: ...
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout: float = 60.0,
        retries: int = 2,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        try:
            import httpx
        except ImportError:
            raise missing("httpx", "client", "the client") from None
        if not url.startswith(("http://", "https://")):
            raise InputError(f"an address begins with http:// or https://, got {url!r:.80}.")
        self._url = url.rstrip("/")
        self._retries = retries
        self._errors = (httpx.HTTPError, httpx.InvalidURL)
        self._reads: dict[str, str] = {}
        self._http = httpx.Client(
            base_url=f"{self._url}/api/v1/",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=timeout,
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes its connections."""
        self._http.close()

    def models(self) -> list[dict[str, Any]]:
        """The models that are served: name, version, number of classes, score and rule of each."""
        found: list[dict[str, Any]] = self._ask("GET", "models", holds="models")["models"]
        return found

    def describe(self, model: str) -> dict[str, Any]:
        """All that the service knows about a model but its tree."""
        return self._ask("GET", _path(model))

    def tree(self, model: str) -> Hierarchy:
        """A model's tree."""
        return from_dict(self._ask("GET", _path(model, "tree")))

    def predict(
        self,
        model: str,
        rows: Rows,
        *,
        rule: str | None = None,
        top: int = 0,
        at: Sequence[int] | None = None,
    ) -> list[dict[str, Any]]:
        """The predicted class of each row: ``prediction``, ``prediction_name``, ``probability``.

        Args:
            model: the model's name.
            rows: one row, or several; see `Row` and `Rows`.
            rule: "soft" or "hard"; by default the model's own.
            top: how many of the likeliest classes to add as ``top``.
            at: (row, column) of one site, of a model that gives maps of classes.

        Raises:
            NotFoundError: no such model.
            InputError: the model does not take a row.
            ServiceError: there is no answer.
        """
        answer = self._put(model, "predict", "predictions", rows, rule=rule, top=top, at=at)
        predictions: list[dict[str, Any]] = answer["predictions"]
        if "top" in answer:
            pairs = zip(predictions, answer["top"], strict=True)
            return [prediction | {"top": likeliest} for prediction, likeliest in pairs]
        return predictions

    def explain(
        self,
        model: str,
        rows: Rows,
        *,
        rule: str | None = None,
        at: Sequence[int] | None = None,
    ) -> Explanations:
        """The explanation of each row, as `NBDT.explain` gives it; see `predict`."""
        answer = self._put(model, "explain", "explanations", rows, rule=rule, at=at)
        return Explanations(map(Explanation.from_dict, answer["explanations"]))

    def _put(
        self,
        model: str,
        what: str,
        holds: str,
        rows: Rows,
        *,
        at: Sequence[int] | None,
        **options: Any,
    ) -> Any:
        json = {"instances": self._instances(model, rows)}
        params = {name: value for name, value in options.items() if value}
        if at is not None:
            params["at"] = ",".join(map(str, at))
        return self._ask("POST", _path(model, what), holds=holds, params=params, json=json)

    def _instances(self, model: str, rows: Rows) -> list[Any]:
        """Rows as JSON; where a string may be a text or a path, the service says what it reads."""
        if isinstance(rows, Mapping) or type(rows).__module__.partition(".")[0] in _FRAMES:
            return _records(as_table(rows))
        several = list(rows) if isinstance(rows, list | tuple) else [rows]
        reads = ""
        if any(isinstance(row, str) for row in several):
            if model not in self._reads:
                self._reads[model] = self.describe(model).get("input", {}).get("reads", "")
            reads = self._reads[model]
        if reads == "a row of columns" and len(several) == 1:
            return _records(read_table(several[0]).typed())
        return [
            row if isinstance(row, str) and reads == "text" else _instance(row) for row in several
        ]

    def _ask(self, method: str, path: str, *, holds: str = "", **options: Any) -> dict[str, Any]:
        """The JSON of an answer, which has a list of objects under the key `holds`."""
        for attempt in range(self._retries + 1):
            try:
                answer = self._http.request(method, path, **options)
            except self._errors as error:
                reason = str(error) or type(error).__name__
                raise ServiceError(f"{self._url} cannot be reached: {reason}.") from None
            if answer.status_code not in _BUSY or attempt == self._retries:
                break
            after = answer.headers.get("Retry-After", "")
            seconds = float(after) if after.isascii() and after.isdigit() else 1.0
            time.sleep(min(seconds, _LONGEST_WAIT))
        document = _checked(answer)
        listed = document.get(holds) if holds else []
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise ServiceError(
                f"the answer has no list of {holds}; is this a service of nbdt?", answer.status_code
            )
        return document


def _path(model: str, *rest: str) -> str:
    if not model or not all(one.isascii() and (one.isalnum() or one in "._-") for one in model):
        raise InputError(f"a model's name has letters, digits and . _ - only, got {model!r:.80}.")
    return "/".join(("models", model, *rest))


def _records(table: Table) -> list[dict[str, Any]]:
    """The rows of a table as JSON; what is missing is null, and times are texts."""
    columns = {name: [_cell(cell) for cell in cells] for name, cells in table.columns.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _cell(cell: Any) -> Any:
    cell = cell.item() if isinstance(cell, np.generic) else cell
    if is_missing(cell):
        return None
    return cell.isoformat() if hasattr(cell, "isoformat") else cell


def _instance(row: Row) -> Any:
    if isinstance(row, Mapping):
        return {name: _cell(cell) for name, cell in row.items()}
    if isinstance(row, list | tuple):  # numbers, or a pair of texts
        return list(row)
    if isinstance(row, np.ndarray):
        if row.dtype.kind not in "biuf" or not np.isfinite(row).all():
            raise InputError("an array must hold finite numbers, as JSON knows no others.")
        return row.tolist()
    if isinstance(row, Image.Image):
        data = _png(row)
    elif isinstance(row, bytes):
        data = row
    elif isinstance(row, str | os.PathLike):
        try:
            data = Path(row).read_bytes()
        except FileNotFoundError:
            raise NotFoundError(f"{row}: no such file.") from None
        except OSError as error:
            raise InputError(f"{row}: cannot be read: {error.strerror}.") from None
    else:
        raise InputError(
            "a row is a text, a path, bytes, a Pillow image, a mapping of columns or an array of "
            f"numbers; got {type(row).__name__}."
        )
    return {"b64": base64.b64encode(data).decode()}


def _png(image: Image.Image) -> bytes:
    """The image as a file, in the colors that the library would give it."""
    file = io.BytesIO()
    try:
        to_mode(image, "RGB").save(file, "PNG")
    except (OSError, ValueError) as error:
        if isinstance(error, NBDTError):
            raise
        raise InputError(f"a Pillow image cannot be sent: {error}.") from None
    return file.getvalue()


def _checked(answer: httpx.Response) -> dict[str, Any]:
    """The JSON of an answer, or the error that it describes."""
    try:
        document = answer.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ServiceError("the answer is not JSON; is this a service of nbdt?", answer.status_code)
    if answer.is_success:
        return document
    detail = str(document.get("detail", "the request was refused."))
    if answer.status_code == 404:
        raise NotFoundError(detail)
    if answer.status_code in (400, 413, 415, 422):
        raise InputError(detail)
    raise ServiceError(detail, answer.status_code)
