"""`Settings`: every limit and switch of the service, each with a safe default."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from nbdt.errors import InputError

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Count = Annotated[int, Field(ge=1)]

PREFIX = "NBDT_"
GRACE = 5.0
"""Seconds that answering and sending may take beside the deadline, before they are cut off."""
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus_client looks, when it is imported, for the folder that workers share."""


class Settings(BaseSettings):
    """What an operator can set, by name or by the environment variable ``NBDT_<NAME>``.

    Folders in the environment are separated as in ``PATH``: by ``:`` (``;`` on Windows); networks
    and origins by commas.

    Example:
        >>> Settings(models=["my-tree"], batch_rows=64).capacity_rows
        256
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    # ── what is served, and where ─────────────────────────────────────────────────────────────
    models: Annotated[tuple[Path, ...], NoDecode] = ()
    """Folders of saved models, or folders of such folders."""
    networks: Annotated[tuple[str, ...], NoDecode] = ()
    """What builds the networks of models whose folders do not say: FILE.py:FUNCTION, or, for one
    model, MODEL=FILE.py:FUNCTION. The file is run; see `nbdt.classifiers.own_network`."""
    strict: bool = False
    """Whether one model that cannot be loaded stops the service; else the others are served, and it
    is listed with the reason."""
    host: str = "127.0.0.1"
    """The address to listen at; 0.0.0.0 for all of the machine's."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    """The port; 0 for one that is free."""
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    """How many processes serve; each holds all models."""
    threads: Count | None = None
    """How many threads torch uses in a process; by default the cores shared among the workers."""

    # ── batching and overload ─────────────────────────────────────────────────────────────────
    batch_rows: Annotated[int, Field(ge=1, le=4096)] = 32
    """The most rows that a network is given at once."""
    batch_wait: Annotated[float, Field(ge=0, le=10)] = 0.0
    """How many seconds an idle model waits for more rows to come. Under load batches fill by
    themselves, as rows that come while the model works are its next batch."""
    queue_rows: Count | None = None
    """How many rows may be on their way in a worker; for more it answers 429. By default four
    batches, or the longest request if that is more: the longest wait is then about twice that of a
    service that is just busy."""
    deadline: Seconds = 30.0
    """How many seconds a request may take; after that it is answered 504."""
    keep_alive: Annotated[int, Field(ge=1, le=86_400)] = 75
    """How many seconds a connection is kept for the next request. It must be longer than a proxy
    in front keeps it, which would send requests into connections that are just being closed."""

    # ── input ─────────────────────────────────────────────────────────────────────────────────
    request_rows: Count = 64
    """The most rows in one request."""
    image_bytes: Count = 10_000_000
    """The longest file of a row: an image, or a text as a file."""
    image_pixels: Annotated[int, Field(ge=1, le=80_000_000)] = 25_000_000
    """The most pixels of an image, checked before it is decoded."""
    row_values: Count = 4_000_000
    """The most numbers that a network is given for one row."""
    row_columns: Count = 10_000
    """The most columns of a row of a table."""
    text_length: Count = 100_000
    """The most characters of a text, or of all texts in a row of columns."""
    body_bytes: Count = 64 * 2**20
    """The longest body of a request, compressed and not."""
    body_seconds: Seconds = 30.0
    """How long a client may take to send a body."""
    buffered_bytes: Count = 512 * 2**20
    """How much all bodies may take up together; for more the answer is 429."""
    decode_threads: Annotated[int, Field(ge=1, le=64)] = 2
    """How many images are decoded at the same time."""

    # ── access ────────────────────────────────────────────────────────────────────────────────
    keys: Path | None = None
    """The file of API keys; see `nbdt.server.keys`. None lets everybody in."""
    admin: bool = False
    """Whether keys marked "admin" may have the models reloaded over HTTP."""
    origins: Annotated[tuple[str, ...], NoDecode] = ()
    """The web origins whose pages may call the service (CORS), as https://example.com."""

    # ── operation ─────────────────────────────────────────────────────────────────────────────
    drain: Annotated[float, Field(ge=0, le=3600)] = 0.0
    """How many seconds to go on serving after SIGTERM while /readyz says 503, so that a load
    balancer has noticed before connections are refused."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important messages that are logged."""
    tracing: bool = False
    """Whether requests are traced by OpenTelemetry, configured by its own OTEL_… variables."""

    @field_validator("models", mode="before")
    @classmethod
    def _split_paths(cls, value: object) -> object:
        return (
            [part for part in value.split(os.pathsep) if part] if isinstance(value, str) else value
        )

    @field_validator("networks", "origins", mode="before")
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return [one.strip() for one in value.split(",") if one.strip()]

    @model_validator(mode="after")
    def _check_together(self) -> Settings:
        if self.admin and self.keys is None:
            raise ValueError("admin needs keys: without them, anybody could have models reloaded")
        if self.capacity_rows < self.request_rows:
            raise ValueError("queue_rows must be at least request_rows")
        return self

    @property
    def capacity_rows(self) -> int:
        """How many rows may be in flight in a worker."""
        return self.queue_rows or max(4 * self.batch_rows, self.request_rows)

    @property
    def torch_threads(self) -> int:
        """How many threads torch uses in a worker."""
        return self.threads or max(1, (os.cpu_count() or 1) // self.workers)


def read_settings(**given: object) -> Settings:
    """The settings given, else those of the environment, else the defaults.

    An `InputError` names the setting and its environment variable.
    """
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        where = f"{name} ({PREFIX}{name.upper()}): " if name else ""
        got = f", got {first['input']!r:.80}" if name else ""
        raise InputError(f"{where}{first['msg'].removeprefix('Value error, ')}{got}.") from None
