"""The process that starts the workers, and starts again those that die."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from prometheus_client.multiprocess import mark_process_dead

from nbdt.errors import InputError

from .logs import logger
from .settings import GRACE, METRICS_FOLDER, Settings

_TICK = 0.25
# A worker that dies young is started again later and later, in seconds.
_YOUNG = 10.0
_DELAYS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
# How often each may end before any was ready, until it is given up.
_TRIES = 3


@dataclass(eq=False)
class _Process:
    """A worker as the supervisor sees it."""

    process: BaseProcess
    pipe: Connection
    started_at: float
    ready: bool = False


class Supervisor:
    """Runs workers until it is told to stop; signals reach them through it.

    Args:
        settings: see there.
        on_ready: is called once, with the address, when the first worker has its models.

    Attributes:
        listener: the socket that all workers share. It is the supervisor's, so while a worker is
            started again, connections wait instead of being refused.

    Raises:
        InputError: it cannot listen at that address.
    """

    def __init__(
        self, settings: Settings, on_ready: Callable[[str], None] = lambda address: None
    ) -> None:
        self.settings = settings
        self.listener = _listening(settings)
        self._on_ready = on_ready
        self._ever_ready = False
        self._failure = ""
        self._lost = 0
        self._deaths = [0] * settings.workers
        self._due = [0.0] * settings.workers
        self._workers: list[_Process | None] = [None] * settings.workers
        self._signals: list[int] = []
        # A fresh process each: torch's threads do not survive a fork.
        self._context = multiprocessing.get_context("spawn")

    @property
    def address(self) -> str:
        """Where the service is, as http://127.0.0.1:8000."""
        host, port = self.listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def run(self) -> None:
        """Serves until SIGTERM or SIGINT.

        Raises:
            InputError: no worker was ever ready; the message says why.
        """
        minded = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = {one: signal.signal(one, self._note_signal) for one in minded}
        folder = tempfile.mkdtemp(prefix="nbdt-metrics-") if self.settings.workers > 1 else None
        if folder is not None:
            os.environ[METRICS_FOLDER] = folder  # for the workers, which inherit it
        try:
            while not self._failure and not self._stops():
                self._start_missing()
                self._watch()
        finally:
            self._stop_all()
            for one, handler in before.items():
                signal.signal(one, handler)
            if folder is not None:
                os.environ.pop(METRICS_FOLDER)
                shutil.rmtree(folder, ignore_errors=True)
        if self._failure:
            raise InputError(self._failure)

    def _note_signal(self, number: int, _: object) -> None:
        self._signals.append(number)

    def _stops(self) -> bool:
        """Passes on what came as signals; whether one of them was to stop."""
        while self._signals:
            number = self._signals.pop(0)
            if number != signal.SIGHUP:
                return True
            self._send(signal.SIGHUP)
        return False

    def _start_missing(self) -> None:
        now = time.monotonic()
        for place, worker in enumerate(self._workers):
            if worker is None and self._due[place] <= now:
                ours, theirs = self._context.Pipe()
                # The first listens at once, so that probes hear that it is not ready; whoever comes
                # to others leaves the requests to them until it can answer any.
                patient = any(self._workers)
                process = self._context.Process(
                    target=_work,
                    args=(self.settings, self.listener, theirs, patient),
                    name=f"nbdt-{place}",
                )
                process.start()
                theirs.close()
                self._workers[place] = _Process(process, ours, now)

    def _watch(self) -> None:
        """Waits for a moment for workers that have something to say, or have ended."""
        alive = [worker for worker in self._workers if worker is not None]
        wait([*(w.process.sentinel for w in alive), *(w.pipe for w in alive)], _TICK)
        for place, worker in enumerate(self._workers):
            if worker is None:
                continue
            self._listen(worker)
            if not worker.process.is_alive() and not self._failure:
                self._bury(place, worker)

    def _listen(self, worker: _Process) -> None:
        try:
            if not worker.pipe.poll():
                return
            failure = worker.pipe.recv()
        except (EOFError, OSError):
            return
        if failure:
            if self._ever_ready:  # so it may serve again when that is put right
                logger.error("a worker cannot serve: %s", failure)
            else:
                self._failure = failure
            return
        worker.ready = True
        if not self._ever_ready:
            self._ever_ready = True
            self._on_ready(self.address)

    def _bury(self, place: int, worker: _Process) -> None:
        lived = time.monotonic() - worker.started_at
        self._deaths[place] = self._deaths[place] + 1 if lived < _YOUNG else 0
        delay = _DELAYS[min(max(self._deaths[place] - 1, 0), len(_DELAYS) - 1)]
        self._due[place] = time.monotonic() + delay
        fields = {"worker": worker.process.pid, "exit": worker.process.exitcode, "delay": delay}
        self._lost += 1
        if not self._ever_ready and self._lost >= _TRIES * self.settings.workers:
            self._failure = (
                f"workers were started {self._lost} times, and each ended before it could serve "
                f"(exit status {worker.process.exitcode}); what is above says why."
            )
            logger.error("a worker has ended", extra={"fields": fields})
        else:
            logger.error("a worker has ended; another is started", extra={"fields": fields})
        if METRICS_FOLDER in os.environ:
            # What was on its way in this worker no longer counts as such.
            mark_process_dead(worker.process.pid, os.environ[METRICS_FOLDER])  # type: ignore[no-untyped-call]
        worker.pipe.close()
        worker.process.close()
        self._workers[place] = None

    def _send(self, number: int) -> None:
        for worker in self._workers:
            if worker is not None and worker.process.pid and worker.process.is_alive():
                os.kill(worker.process.pid, number)

    def _stop_all(self) -> None:
        """Has all workers drain and end, and ends those that do not come to an end."""
        self.listener.close()
        self._send(signal.SIGTERM)
        until = time.monotonic() + patience(self.settings)
        for worker in self._workers:
            if worker is not None:
                worker.process.join(max(0.0, until - time.monotonic()))
                if worker.process.is_alive():
                    worker.process.kill()
                    worker.process.join()
                worker.pipe.close()


def patience(settings: Settings) -> float:
    """How many seconds workers have to come to their end, before they are ended.

    They serve on for a while, and then end what is in flight; see `nbdt.server.worker.Worker`.

    Example:
        >>> patience(Settings(drain=5, body_seconds=30, deadline=30))
        75.0
    """
    return settings.drain + settings.body_seconds + settings.deadline + 2 * GRACE


def _work(settings: Settings, listener: socket.socket, pipe: Connection, patient: bool) -> None:
    """What a worker process does."""
    # Until the worker minds them, a reload is nothing to do, and Ctrl+C is the supervisor's.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        # Imported in the worker only: the supervisor needs no torch.
        worker = import_module(".worker", __package__)
    except ImportError as error:
        pipe.send(f"nbdt serve cannot start: {error}; pip install 'nbdt-toolkit[serve]'.")
        return
    worker.run(settings, listener, pipe, patient)


def _listening(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"cannot listen at {settings.host}, port {settings.port}: {reason}; choose another "
            "--host or --port."
        ) from None
