"""Logs: one JSON object per line, with the id of the request."""

from __future__ import annotations

import json
import logging
import re
import sys
import uuid
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

logger = logging.getLogger("nbdt.server")

request_id: ContextVar[str] = ContextVar("request_id", default="")

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def checked_id(given: str) -> str:
    """The id that a client gave its request if it is safe in a header and a log, else a new one."""
    return given if _ID.fullmatch(given) else uuid.uuid4().hex


class JSONFormatter(logging.Formatter):
    """A record as one line of ASCII JSON, which cannot break a line or a terminal.

    Further fields are passed as ``extra={"fields": {…}}``.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        }
        if request_id.get():
            line["request_id"] = request_id.get()
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class LogHandler(logging.StreamHandler[TextIO]):
    """Writes to a stream (default: standard error); a full disk loses lines, counted in `lost`."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(stream or sys.stderr)
        self.setFormatter(JSONFormatter())
        self.lost = 0

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Counts a line that could not be written."""
        self.lost += 1


def configure(level: str, stream: TextIO | None = None) -> LogHandler:
    """Sends the logs of the service and of uvicorn to one stream (default: standard error)."""
    handler = LogHandler(stream)
    for name in ("nbdt.server", "uvicorn", "uvicorn.error", "uvicorn.access"):
        one = logging.getLogger(name)
        one.handlers = [handler]
        one.setLevel(level.upper())
        one.propagate = False
    # Requests, beginning and end are logged here, with more.
    logging.getLogger("uvicorn.access").setLevel(logging.ERROR)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).setLevel(max(logging.WARNING, getattr(logging, level.upper())))
    return handler
