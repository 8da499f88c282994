"""The process that starts the workers, and replaces those that die or hang.

It extends uvicorn's supervisor: SIGHUP is passed on, since workers reload models and keys without a
restart; a worker that dies repeatedly restarts after growing delays; and the reason why no worker
can serve becomes an error.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from prometheus_client.multiprocess import mark_process_dead
from uvicorn import Config
from uvicorn.supervisors.multiprocess import SIGNALS, Multiprocess, Process

from nbdt.errors import InputError, NBDTError, missing

from .logs import logger
from .settings import GRACE, METRICS_FOLDER, Settings

if TYPE_CHECKING:
    from .worker import Worker

# A worker that dies young is started again later and later, in seconds.
_YOUNG = 10.0
_DELAYS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
# How often each may die before any was ready, until the service gives up.
_TRIES = 3
# How long a worker that has answered before may leave a ping unanswered, in seconds. Before, it
# imports libraries, which takes as long as the disk does.
_HUNG = 60.0
# How long to wait for the answer to a ping; the next turn looks for it again.
_WAIT = 0.1


class Supervisor:
    """Runs workers until it is stopped; it passes signals on to them.

    `on_ready` is called once, with the address, when the first worker has its models. The
    `listener` socket belongs to the supervisor: while a worker restarts, connections wait instead
    of being refused.
    """

    def __init__(
        self, settings: Settings, on_ready: Callable[[str], None] = lambda address: None
    ) -> None:
        self.settings = settings
        self.listener = _listening(settings)
        self._on_ready = on_ready

    @property
    def address(self) -> str:
        """The service's URL, such as http://127.0.0.1:8000."""
        host, port = self.listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def run(self) -> None:
        """Serves until SIGTERM or SIGINT; raises an InputError if no worker was ever ready."""
        before = {number: signal.getsignal(number) for number in SIGNALS}
        folder = tempfile.mkdtemp(prefix="nbdt-metrics-") if self.settings.workers > 1 else None
        if folder is not None:
            os.environ[METRICS_FOLDER] = folder  # for the workers, which inherit it
        try:
            workers = Workers(self.settings, self.listener, lambda: self._on_ready(self.address))
            workers.run()
        finally:
            self.listener.close()
            for number, handler in before.items():
                signal.signal(number, handler)
            if folder is not None:
                os.environ.pop(METRICS_FOLDER)
                shutil.rmtree(folder, ignore_errors=True)
        if workers.failure:
            raise InputError(workers.failure)


class WorkerProcess(Process):
    """A worker, in its own process and as the supervisor sees it.

    A `patient` worker leaves connections to others until its models are loaded.
    """

    def __init__(
        self, config: Config, listener: socket.socket, settings: Settings, *, patient: bool
    ) -> None:
        super().__init__(config, [listener])
        self.settings = settings
        self.patient = patient
        self.started_at = time.monotonic()
        self.restart_at: float | None = None  # set once it is dead
        self._pinged_at: float | None = None
        self._answers = False

    # ── in the supervisor ─────────────────────────────────────────────────────────────────────

    def state(self) -> bool | str | None:
        """Whether its models are loaded, or why they cannot be; None if it is dead or hung."""
        try:
            if not self.process.is_alive():
                return self.parent_conn.recv() if self.parent_conn.poll() else None
            if self._pinged_at is None:
                self.parent_conn.send(b"ping")
                self._pinged_at = time.monotonic()
            if self.parent_conn.poll(_WAIT):
                self._answers, self._pinged_at = True, None
                state: bool | str = self.parent_conn.recv()
                return state
        except (OSError, EOFError):
            return None
        return None if self._answers and time.monotonic() - self._pinged_at > _HUNG else False

    # ── in the worker ─────────────────────────────────────────────────────────────────────────

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """What the worker's process does."""
        # Until the worker handles them, a reload is nothing to do, and Ctrl+C the supervisor's.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=self.always_pong, daemon=True).start()
        failure = ""
        try:
            # Imported in the worker only: the supervisor needs no torch.
            worker: Worker = import_module(".worker", __package__).own_process(
                self.settings, patient=self.patient
            )
            self._server = worker
            worker.run(sockets)
            failure = worker.failure
        except ImportError as error:
            failure = f"{missing(error.name or str(error), 'serve', 'nbdt serve')}"
        except NBDTError as error:
            failure = str(error)
        if failure:
            self.child_conn.send(failure)

    def pong(self) -> None:
        """Answers one ping with whether the models are loaded."""
        self.child_conn.recv()
        self.child_conn.send(getattr(self._server, "loaded", False))


class Workers(Multiprocess):
    """All workers; `failure` says why none can serve, or is ""."""

    processes: list[WorkerProcess]  # type: ignore[assignment]
    # Another number of workers would need other settings.
    handle_ttin = handle_ttou = None  # type: ignore[assignment]

    def __init__(
        self, settings: Settings, listener: socket.socket, on_ready: Callable[[], None]
    ) -> None:
        super().__init__(Config("", workers=settings.workers, log_config=None), [listener])
        self.settings = settings
        self.failure = ""
        self._on_ready = on_ready
        self._ever_ready = False
        self._lost = 0
        self._deaths = [0] * settings.workers

    def init_processes(self) -> None:
        """Starts all workers."""
        for place in range(self.settings.workers):
            self.processes.append(self._started(patient=place > 0))

    def _started(self, *, patient: bool) -> WorkerProcess:
        # The first listens at once, so that probes hear that it is not ready; those beside others
        # leave the requests to them until they can answer any.
        process = WorkerProcess(self.config, self.sockets[0], self.settings, patient=patient)
        process.start()
        return process

    def keep_subprocess_alive(self) -> None:
        """Checks all workers, and replaces those that are dead or hung."""
        for place, process in enumerate(self.processes):
            if process.restart_at is None:
                self._look_after(place, process)
        if self.failure:
            self.should_exit.set()
            return
        for place, process in enumerate(self.processes):
            if process.restart_at is not None and time.monotonic() >= process.restart_at:
                patient = any(one.restart_at is None for one in self.processes)
                self.processes[place] = self._started(patient=patient)

    def _look_after(self, place: int, process: WorkerProcess) -> None:
        state = process.state()
        if state is None:
            self._bury(place, process)
        elif isinstance(state, str):
            if self._ever_ready:  # so it may serve again when the cause is fixed
                logger.error("a worker cannot serve: %s", state)
            else:
                self.failure = state
        elif state and not self._ever_ready:
            self._ever_ready = True
            self._on_ready()

    def _bury(self, place: int, process: WorkerProcess) -> None:
        process.kill()  # in case it hangs
        process.join()
        lived = time.monotonic() - process.started_at
        self._deaths[place] = self._deaths[place] + 1 if lived < _YOUNG else 0
        delay = _DELAYS[min(max(self._deaths[place] - 1, 0), len(_DELAYS) - 1)]
        process.restart_at = time.monotonic() + delay
        self._lost += 1
        if not self._ever_ready and self._lost >= _TRIES * self.settings.workers:
            self.failure = (
                f"workers were started {self._lost} times, and each ended before it could serve "
                f"(exit status {process.exitcode}); what is above says why."
            )
        fields = {"worker": process.pid, "exit": process.exitcode, "delay": delay}
        ending = "" if self.failure else "; another is started"
        logger.error("a worker has ended%s", ending, extra={"fields": fields})
        if METRICS_FOLDER in os.environ:
            # Requests in flight in this worker no longer count.
            mark_process_dead(process.pid, os.environ[METRICS_FOLDER])  # type: ignore[no-untyped-call]

    def handle_hup(self) -> None:
        """Has all workers reload, where uvicorn would replace them."""
        for process in self.processes:
            if process.pid and process.process.is_alive():
                os.kill(process.pid, signal.SIGHUP)

    def terminate_all(self) -> None:
        """Has all workers drain and end."""
        self.sockets[0].close()
        super().terminate_all()

    def join_all(self) -> None:
        """Waits for all workers, and kills those that do not end."""
        until = time.monotonic() + patience(self.settings)
        for process in self.processes:
            process.process.join(max(0.0, until - time.monotonic()))
            if process.process.is_alive():
                process.kill()
                process.join()


def patience(settings: Settings) -> float:
    """How many seconds workers have to drain and finish, before they are killed."""
    return settings.drain + settings.body_seconds + settings.deadline + 2 * GRACE


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
