"""Logs: lines that nothing can break, and that break nothing."""

import io
import json
import logging
from contextlib import suppress
from pathlib import Path

import pytest

from nbdt.server.logs import JSONFormatter, LogHandler, checked_id, configure


@pytest.mark.parametrize("given", ["", "a\r\nSet-Cookie: x", "a" * 65, "ä", "a b"])
def test_ids_that_may_not_stand_in_a_header_are_replaced(given):
    made = checked_id(given)
    assert made != given
    assert checked_id(made) == made


def test_a_line_of_the_log_is_one_line_of_ascii():
    record = logging.makeLogRecord({"msg": "a\nb\u2028\x1b[31m", "fields": {"path": "\n"}})
    line = JSONFormatter().format(record)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["path"] == "\n"


def test_errors_are_logged_with_their_traceback():
    try:
        raise KeyError("x")
    except KeyError as error:
        info = (type(error), error, error.__traceback__)
    line = JSONFormatter().format(logging.makeLogRecord({"msg": "a", "exc_info": info}))
    assert "KeyError" in json.loads(line)["traceback"]


def test_a_full_disk_loses_lines_and_nothing_else():
    with suppress(OSError), Path("/dev/full").open("w") as full:
        handler = LogHandler(full)
        for _ in range(3):
            handler.emit(logging.makeLogRecord({"msg": "a"}))
        assert handler.lost == 3


def test_the_logs_of_the_server_go_to_one_stream(monkeypatch):
    names = ("nbdt.server", "uvicorn", "uvicorn.error", "uvicorn.access")
    for name in names:
        logger = logging.getLogger(name)
        for attribute in ("handlers", "level", "propagate"):
            monkeypatch.setattr(logger, attribute, getattr(logger, attribute))
    stream = io.StringIO()
    configure("info", stream)
    for name in names:
        logging.getLogger(name).info("hello")
    loggers = [json.loads(line)["logger"] for line in stream.getvalue().splitlines()]
    assert loggers == ["nbdt.server"]  # of the others, only what went wrong
    logging.getLogger("uvicorn.error").warning("oh")
    assert "oh" in stream.getvalue()
