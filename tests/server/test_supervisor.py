"""The processes: a worker that is killed comes back, SIGHUP reloads, SIGTERM ends all in order."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from uvicorn import Config
from uvicorn.supervisors.multiprocess import SIGNALS

from nbdt.errors import InputError
from nbdt.server import supervisor
from nbdt.server.settings import METRICS_FOLDER, Settings
from nbdt.server.supervisor import Supervisor, WorkerProcess, Workers
from tests.server.conftest import b64, eventually, png, save_model

PROGRAM = """
import asyncio
import os
import sys
from nbdt.server.settings import read_settings
from nbdt.server.supervisor import Supervisor

if __name__ != "__main__":  # in the workers: models take a while
    from nbdt.server.service import Service

    load = Service.start

    async def load_slowly(service):
        await asyncio.sleep(1)
        await load(service)
        print("loaded", os.getpid(), flush=True)

    Service.start = load_slowly
else:
    settings = read_settings(models=[sys.argv[1]], port=0, threads=1, workers=int(sys.argv[2]))
    Supervisor(settings, on_ready=lambda address: print(address, flush=True)).run()
"""
PREDICT = "/api/v1/models/digits/predict"


def workers_of(process):
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [
        int(pid) for pid in listed if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


class Said:
    """What a service prints: its address, and the process ids of workers that are loaded."""

    def __init__(self, process):
        self.lines = []
        threading.Thread(target=self._read, args=(process.stdout,), daemon=True).start()

    def _read(self, stdout):
        for line in stdout:
            self.lines.append(line.strip())

    def first(self, start):
        eventually(lambda: any(line.startswith(start) for line in self.lines), 240)
        return next(line for line in self.lines if line.startswith(start))

    @property
    def loaded(self):
        return {int(line.split()[1]) for line in self.lines if line.startswith("loaded")}


@pytest.mark.slow
def test_the_life_of_a_service(tmp_path):
    folder = tmp_path / "models" / "digits"
    save_model(folder)
    script = tmp_path / "serve.py"
    script.write_text(PROGRAM)
    with open("/dev/full", "w") as full:  # noqa: PTH123
        # Its logs go to a disk that is full, and it is the healthier for not minding.
        process = subprocess.Popen(
            [sys.executable, str(script), str(folder.parent), "2"],
            stdout=subprocess.PIPE, stderr=full, text=True,
        )  # fmt: skip
    try:
        said = Said(process)
        url = said.first("http://")
        eventually(lambda: said.loaded == set(workers_of(process)) and len(said.loaded) == 2, 240)
        body = {"instances": [b64(png())]}
        first = httpx.post(url + PREDICT, json=body, trust_env=False, timeout=120).json()
        (expected,) = first["predictions"]

        # One worker is killed. But for what was in flight in it nobody notices, and soon there are
        # two again; the new one leaves the requests to the other until it has its models.
        (killed, other) = workers_of(process)
        found, stop = [], threading.Event()

        def ask():
            # A connection of its own each, as one to the worker that was killed is lost.
            client = httpx.Client(trust_env=False, timeout=60, headers={"Connection": "close"})
            while not stop.wait(0.02):
                try:
                    answer = client.post(url + PREDICT, json=body)
                except httpx.TransportError:
                    found.append(0)
                    continue
                found.append(answer.status_code)
                if answer.status_code == 200:
                    (prediction,) = answer.json()["predictions"]
                    # Two in a batch are reckoned in another order than one.
                    wanted = pytest.approx(expected["probability"], abs=1e-5)
                    assert prediction == expected | {"probability": wanted}

        with ThreadPoolExecutor(2) as pool:
            asking = [pool.submit(ask) for _ in range(2)]
            try:
                eventually(lambda: len(found) > 5)
                os.kill(killed, signal.SIGKILL)
                eventually(lambda: len(set(workers_of(process)) - {killed}) == 2)
                eventually(lambda: len(said.loaded) == 3, 240)
                count = len(found)
                eventually(lambda: len(found) > count + 10)
            finally:
                stop.set()
            for one in asking:
                one.result()
        assert set(workers_of(process)) == said.loaded - {killed}
        assert other in said.loaded
        assert set(found) <= {0, 200}
        assert found.count(0) <= 2  # one in flight for each that asks

        # A reload reaches all workers.
        save_model(folder, seed=1)
        process.send_signal(signal.SIGHUP)

        def versions():
            answers = [
                httpx.post(url + PREDICT, json=body, trust_env=False, timeout=120) for _ in range(6)
            ]
            return {one.json()["version"] for one in answers if one.status_code == 200}

        eventually(lambda: first["version"] not in versions(), 120)
        numbers = httpx.get(f"{url}/metrics", trust_env=False, timeout=120).text
        assert "nbdt_queue_rows 0.0" in numbers  # what was in the dead worker is not on its way
        assert "nbdt_requests_in_flight 1.0" in numbers
        assert 'nbdt_reloads_total{model="digits",outcome="replaced"}' in numbers

        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/livez", trust_env=False)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_an_address_that_is_taken_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"127\.0\.0\.1, port {port}: .*choose another"):
            Supervisor(Settings(port=port))


def test_the_address():
    supervisor = Supervisor(Settings(port=0))
    port = supervisor.listener.getsockname()[1]
    assert supervisor.address == f"http://127.0.0.1:{port}"
    supervisor.listener.close()


class FakeProcess:
    """A worker process that only tells how it is; `died` ends it at once or says why it failed."""

    pid, exitcode = None, -9

    def __init__(self, patient):
        self.patient = patient
        self.reports = [False]
        self.restart_at = None
        self.started_at = time.monotonic()

    def state(self):
        return self.reports[0] if len(self.reports) == 1 else self.reports.pop(0)

    def kill(self):
        pass

    join = terminate = kill

    @property
    def process(self):
        return Ended


class Ended:
    """The process itself, which has ended."""

    @staticmethod
    def join(timeout):
        pass

    @staticmethod
    def is_alive():
        return False


@pytest.fixture
def start(monkeypatch):
    """Makes workers that are no processes; `started` lists all that there ever were."""
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def make(count=1, on_ready=lambda: None):
        listener = socket.socket()
        listener.close()
        workers = Workers(Settings(port=0, workers=count), listener, on_ready)
        workers.started = []

        def started(*, patient):
            workers.started.append(FakeProcess(patient))
            return workers.started[-1]

        monkeypatch.setattr(workers, "_started", started)
        return workers

    yield make
    for number, handler in before.items():
        signal.signal(number, handler)


def die(workers, *places):
    """Has workers die, and gives how long each waits until it is started again."""
    now = time.monotonic()
    for place in places:
        workers.processes[place].restart_at = None
        workers.processes[place].reports = [None]
    dead = [workers.processes[place] for place in places]
    workers.keep_subprocess_alive()
    return [one.restart_at - now for one in dead]


def test_a_failure_before_anything_was_served_ends_it_with_the_reason(start, monkeypatch):
    workers = start()
    monkeypatch.setattr(FakeProcess, "state", lambda self: "models: no such folder.")
    workers.run()
    assert workers.failure == "models: no such folder."


def test_a_worker_that_dies_young_comes_back_at_once_and_then_later_and_later(start):
    ready = []
    workers = start(on_ready=lambda: ready.append(True))
    workers.init_processes()
    workers.processes[0].reports = [True]
    workers.keep_subprocess_alive()
    workers.keep_subprocess_alive()
    assert ready == [True]
    delays = [die(workers, 0)[0] for _ in range(9)]
    assert delays[0] < 0.3
    assert 0.5 <= delays[1] < delays[3]
    assert max(delays) <= 17
    assert len(workers.started) == 2  # the others are not due yet
    # Once it has served, a failure is no reason to end.
    workers.processes[0].restart_at = None
    workers.processes[0].reports = ["changed weights", None]
    workers.keep_subprocess_alive()
    assert not workers.failure


def test_it_is_given_up_where_no_worker_was_ever_ready(start, monkeypatch):
    workers = start()
    monkeypatch.setattr(supervisor, "_DELAYS", (0.0,))
    monkeypatch.setattr(FakeProcess, "state", lambda self: None)
    workers.run()
    assert re.search(r"started 3 times, and each ended .* \(exit status -9\)", workers.failure)
    assert len(workers.started) == 3


def test_only_the_first_worker_listens_before_it_is_loaded(start):
    workers = start(3)
    workers.init_processes()
    assert [one.patient for one in workers.started] == [False, True, True]
    workers._ever_ready = True
    for places, patient in (((0,), [True]), ((0, 1, 2), [False, True, True])):
        workers._deaths, workers.started = [0] * 3, []
        die(workers, *places)
        assert [one.patient for one in workers.started] == patient


def test_a_dead_worker_has_nothing_on_its_way(start, monkeypatch, tmp_path):
    monkeypatch.setenv(METRICS_FOLDER, str(tmp_path))
    workers = start()
    workers.init_processes()
    workers.processes[0].pid = 4321
    for name in ("gauge_livesum_4321.db", "gauge_livesum_99.db", "counter_4321.db"):
        (tmp_path / name).touch()
    die(workers, 0)
    assert {file.name for file in tmp_path.iterdir()} == {"gauge_livesum_99.db", "counter_4321.db"}


def test_running_leaves_signals_and_environment_as_they_were(monkeypatch):
    before = [signal.getsignal(number) for number in SIGNALS]
    seen = []

    def run(workers):
        seen.append((METRICS_FOLDER in os.environ, signal.getsignal(signal.SIGHUP)))
        workers.failure = "no"

    monkeypatch.setattr(Workers, "run", run)
    with pytest.raises(InputError, match="no"):
        Supervisor(Settings(port=0, workers=2)).run()
    assert seen[0][0]
    assert seen[0][1] not in before
    assert METRICS_FOLDER not in os.environ
    assert [signal.getsignal(number) for number in SIGNALS] == before


def one_process():
    with socket.socket() as listener:
        return WorkerProcess(Config("", log_config=None), listener, Settings(), patient=False)


def test_a_library_that_cannot_be_imported_is_reported(monkeypatch):
    process = one_process()
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(process, "always_pong", lambda: None)
    monkeypatch.setitem(sys.modules, "nbdt.server.worker", None)
    process.target()
    assert "[serve]" in process.parent_conn.recv()


def test_a_process_reports_its_last_words_once(monkeypatch):
    process = one_process()
    monkeypatch.setattr(process, "process", Ended)
    process.child_conn.send("no such folder.")
    assert process.state() == "no such folder."
    assert process.state() is None
