"""A process that serves: uvicorn, and the signals that it handles.

SIGTERM  drains and ends: /readyz says 503, requests are still answered for a while, then no new
         connections are accepted, and requests in flight are finished
SIGINT   the same without the while
SIGHUP   reads the key file again, and loads the models that have changed
"""

from __future__ import annotations

import asyncio
import gc
import math
import multiprocessing
import signal
import time
import warnings
from socket import socket
from types import FrameType
from typing import Any

import torch
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from nbdt.errors import NBDTError

from . import logs
from .app import create_app, start_loading
from .keys import KeyRing, read_keys
from .logs import logger
from .models import Reload
from .service import Service
from .settings import GRACE, Settings

# How long a client may take to begin its first request, and to send the head of any.
HEAD_SECONDS = 15.0
# How long a client may read nothing of an answer that waits to be sent.
STALL_SECONDS = 15.0


class Worker(uvicorn.Server):
    """Serves one application.

    Args:
        settings: its limits and switches.
        patient: whether it accepts no connection until the models are loaded; else it answers 503
            meanwhile.
        owns_process: whether it may handle SIGHUP and configure the garbage collector; it then ends
            when its parent process does.

    Attributes:
        loaded: whether the models are loaded.
        failure: why they cannot be, or "".
    """

    def __init__(
        self, settings: Settings, *, patient: bool = False, owns_process: bool = False
    ) -> None:
        self.loaded = False
        self.failure = ""
        self.app = create_app(settings, on_loaded=self._on_loaded)
        self.app.state.reload = self.reload
        super().__init__(
            uvicorn.Config(
                self.app,
                http=TimedProtocol,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=settings.keep_alive,
                # The body of a request that has just begun to arrive needs time, too.
                timeout_graceful_shutdown=math.ceil(
                    settings.body_seconds + settings.deadline + GRACE
                ),
            )
        )
        self._drain = settings.drain
        self._patient = patient
        self._owns_process = owns_process
        self._exit_at: float | None = None
        self._reloading: asyncio.Task[None] | None = None

    @property
    def service(self) -> Service:
        """The service that it serves."""
        service: Service = self.app.state.service
        return service

    def run(self, sockets: list[socket] | None = None) -> None:
        """Serves until a signal or a failure ends it."""
        super().run(sockets)
        gc.unfreeze()  # else libraries report objects that the collector skips as leaked

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Starts to handle SIGHUP, and to serve."""
        if self._owns_process:
            # Before the models are loaded, since one may be replaced while it is read.
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGHUP, self._start_reload)
        if self._patient:
            loading = start_loading(self.app)
            while not loading.done():
                await asyncio.wait([loading], timeout=1.0)
                self._end_with_supervisor()
        if not self.should_exit:
            await super().startup(sockets)

    async def reload(self) -> list[Reload]:
        """Loads again the models that have changed; see `Service.reload`."""
        await start_loading(self.app)
        outcomes = await self.service.reload()
        self._settle()
        return outcomes

    async def on_tick(self, counter: int) -> bool:
        """Whether to end now; called ten times a second."""
        if counter % 10 == 0:
            self._end_with_supervisor()
        if self._exit_at is not None and time.monotonic() >= self._exit_at:
            self.should_exit = True
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handles SIGTERM and SIGINT."""
        self.service.draining = True
        if sig == signal.SIGTERM and self._drain and self._exit_at is None:
            self._exit_at = time.monotonic() + self._drain
            return
        super().handle_exit(sig, frame)

    def _on_loaded(self, error: Exception | None) -> None:
        if error is None:
            self._settle()
            self.loaded = True
        else:
            self.failure = str(error)
            self.should_exit = True

    def _settle(self) -> None:
        """Has the garbage collector ignore what stays: the libraries and the models.

        Scanning all of their objects takes tenths of a second, in which nothing is answered;
        otherwise, it happens every few seconds under load.
        """
        if self._owns_process:
            gc.unfreeze()  # so that a replaced model can be collected
            gc.collect()
            gc.freeze()

    def _end_with_supervisor(self) -> None:
        parent = multiprocessing.parent_process() if self._owns_process else None
        if parent is not None and not parent.is_alive() and not self.service.draining:
            logger.warning("the supervisor has ended; so does this worker")
            self.handle_exit(signal.SIGTERM, None)

    def _start_reload(self) -> None:
        self._reloading = asyncio.create_task(self._read_and_reload())

    async def _read_and_reload(self) -> None:
        self._read_keys()
        await self.reload()

    def _read_keys(self) -> None:
        """Accepts the keys that are now in the key file, if it is valid."""
        ring: KeyRing | None = self.app.state.keys
        path = self.service.settings.keys
        if ring is None or path is None:
            return
        try:
            ring.replace(read_keys(path))
            logger.info("keys read again")
        except NBDTError as error:
            logger.warning("keys kept as they were", extra={"fields": {"reason": str(error)}})


def own_process(settings: Settings, *, patient: bool) -> Worker:
    """A worker for a process that does nothing else."""
    # Warnings of libraries are for programmers; an operator cannot act on them.
    warnings.simplefilter("ignore")
    logs.configure(settings.log_level)
    torch.set_num_threads(settings.torch_threads)
    return Worker(settings, patient=patient, owns_process=True)


class TimedProtocol(H11Protocol):
    """HTTP/1.1 by h11, which limits the length of a request head, with a time limit as well.

    Without it, connections that send a byte now and then, or none, would stay forever. Between
    requests, when nothing of the next one has come, the limit is uvicorn's ``timeout_keep_alive``.

    A connection that is closing is also dropped if the client reads nothing for a while.
    """

    _head_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Starts to wait for the first head."""
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Handles received data; while a request is answered, no timer runs."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._wait_for_head()
        else:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """Waits for what has begun to come: the next head, or the rest of a body."""
        super().on_response_complete()
        begins = self.conn.their_state is self.conn.our_state  # else a body is still arriving
        idle = begins and not self.conn.trailing_data[0]
        if (self.cycle is None or self.cycle.response_complete) and not idle:
            self._wait_for_head()
        self._watch_sending()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the timers."""
        super().connection_lost(exc)
        self._stop_waiting()
        self._stop_watching()

    def _wait_for_head(self) -> None:
        if self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _watch_sending(self) -> None:
        """Checks later whether the client has read any of the data waiting to be sent."""
        self._stop_watching()
        if unsent := self.transport.get_write_buffer_size():
            self._stall_timer = self.loop.call_later(STALL_SECONDS, self._check_sending, unsent)

    def _check_sending(self, before: int) -> None:
        if self.transport.get_write_buffer_size() >= before:
            self.transport.abort()
        else:
            self._watch_sending()

    def _stop_watching(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
