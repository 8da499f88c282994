"""A process that serves: uvicorn, and the signals that it minds.

SIGTERM  drains and ends: /readyz says 503, requests go on to be answered for a while, then no
         more connections are taken, and what is in flight is answered
SIGINT   the same without the while
SIGHUP   reads the file of keys again, and loads the models that have changed
"""

from __future__ import annotations

import asyncio
import gc
import math
import signal
import time
import warnings
from multiprocessing.connection import Connection
from socket import socket
from types import FrameType

import torch
import uvicorn

from nbdt.errors import NBDTError

from . import logs
from .app import create_app, start_loading
from .connections import TimedProtocol
from .keys import KeyRing, read_keys
from .logs import logger
from .models import Reload
from .service import Service
from .settings import GRACE, Settings


class Worker(uvicorn.Server):
    """Serves one application.

    Args:
        settings: see there.
        supervisor: a pipe to the process that started this one. It is told "" when the models are
            loaded, or why they cannot be; when it ends, so does the worker.
        patient: whether it takes no connection until the models are loaded; else it answers 503
            meanwhile.
    """

    def __init__(
        self, settings: Settings, supervisor: Connection | None = None, *, patient: bool = False
    ) -> None:
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
                # Of a request that has just begun to come, the body may take its time, too.
                timeout_graceful_shutdown=math.ceil(
                    settings.body_seconds + settings.deadline + GRACE
                ),
            )
        )
        self._drain = settings.drain
        self._patient = patient
        self._supervisor = supervisor
        self._exit_at: float | None = None
        self._reloading: asyncio.Task[None] | None = None

    @property
    def service(self) -> Service:
        """The service that it serves."""
        service: Service = self.app.state.service
        return service

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Begins to mind SIGHUP and the end of the supervisor, and to serve."""
        loop = asyncio.get_running_loop()
        if self._supervisor is not None:
            # Before the models are loaded, as one may be replaced while it is read.
            loop.add_signal_handler(signal.SIGHUP, self._start_reload)
            loop.add_reader(self._supervisor.fileno(), self._supervisor_ended)
        if self._patient:
            await start_loading(self.app)
        if not self.should_exit:
            await super().startup(sockets)

    async def reload(self) -> list[Reload]:
        """Loads again the models that have changed; see `Service.reload`."""
        await start_loading(self.app)  # first things first
        outcomes = await self.service.reload()
        self._settle()
        return outcomes

    async def on_tick(self, counter: int) -> bool:
        """Whether to end now; asked ten times a second."""
        if self._exit_at is not None and time.monotonic() >= self._exit_at:
            self.should_exit = True
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Minds SIGTERM and SIGINT."""
        self.service.draining = True
        if sig == signal.SIGTERM and self._drain and self._exit_at is None:
            self._exit_at = time.monotonic() + self._drain
            return
        super().handle_exit(sig, frame)

    def _on_loaded(self, error: Exception | None) -> None:
        if error is None:
            self._settle()
        else:
            self.should_exit = True
        if self._supervisor is not None:
            self._supervisor.send("" if error is None else str(error))

    def _settle(self) -> None:
        """Has the garbage collector pass over what stays: the libraries and the models.

        To walk through all of their objects takes tenths of a second, in which nothing is
        answered; left alone, it happens every few seconds under load.
        """
        if self._supervisor is not None:  # else the process is not the worker's own
            gc.unfreeze()  # what a replaced model has left behind may go
            gc.collect()
            gc.freeze()

    def _supervisor_ended(self) -> None:
        asyncio.get_running_loop().remove_reader(self._supervisor.fileno())  # type: ignore[union-attr]
        logger.warning("the supervisor has ended; so does this worker")
        self.handle_exit(signal.SIGTERM, None)

    def _start_reload(self) -> None:
        self._reloading = asyncio.create_task(self._read_and_reload())

    async def _read_and_reload(self) -> None:
        self._read_keys()
        await self.reload()

    def _read_keys(self) -> None:
        """Lets in the keys that are now in the file of keys, if it is valid."""
        ring: KeyRing | None = self.app.state.keys
        path = self.service.settings.keys
        if ring is None or path is None:
            return
        try:
            ring.replace(read_keys(path))
            logger.info("keys read again")
        except NBDTError as error:
            logger.warning("keys kept as they were", extra={"fields": {"reason": str(error)}})


def run(settings: Settings, listener: socket, supervisor: Connection, patient: bool) -> None:
    """What a worker process does, from its beginning to its end; see `Worker`."""
    # What libraries tell their programmers is nothing that an operator can act on.
    warnings.simplefilter("ignore")
    logs.configure(settings.log_level)
    torch.set_num_threads(settings.torch_threads)
    try:
        worker = Worker(settings, supervisor, patient=patient)
    except NBDTError as error:
        supervisor.send(str(error))
        return
    worker.run([listener])
    gc.unfreeze()  # else libraries take for lost what the collector does not find at the end
