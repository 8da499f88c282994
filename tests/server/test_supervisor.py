"""The processes: a worker that is killed comes back, SIGHUP reloads, SIGTERM ends all in order."""

import multiprocessing
import os
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

from nbdt.errors import InputError
from nbdt.server.settings import METRICS_FOLDER, Settings
from nbdt.server.supervisor import Supervisor, _work
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
        eventually(lambda: any(line.startswith(start) for line in self.lines), 60)
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
        eventually(lambda: said.loaded == set(workers_of(process)) and len(said.loaded) == 2, 60)
        body = {"instances": [b64(png())]}
        first = httpx.post(url + PREDICT, json=body, trust_env=False, timeout=60).json()
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
                begun = time.monotonic()
                eventually(lambda: len(said.loaded) == 3, 30)
                come_back = time.monotonic() - begun
                count = len(found)
                eventually(lambda: len(found) > count + 10)
            finally:
                stop.set()
            for one in asking:
                one.result()
        assert set(workers_of(process)) == said.loaded - {killed}
        assert other in said.loaded
        assert come_back < 30
        assert set(found) <= {0, 200}
        assert found.count(0) <= 2  # one in flight for each that asks

        # A reload reaches all workers.
        save_model(folder, seed=1)
        process.send_signal(signal.SIGHUP)

        def versions():
            answers = [
                httpx.post(url + PREDICT, json=body, trust_env=False, timeout=60) for _ in range(6)
            ]
            return {one.json()["version"] for one in answers if one.status_code == 200}

        eventually(lambda: first["version"] not in versions(), 60)
        numbers = httpx.get(f"{url}/metrics", trust_env=False, timeout=60).text
        assert "nbdt_queue_rows 0.0" in numbers  # what was in the dead worker is not on its way
        assert "nbdt_requests_in_flight 1.0" in numbers
        assert 'nbdt_reloads_total{model="digits",outcome="replaced"}' in numbers

        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
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
    """A worker process that only tells how it is."""

    def __init__(self):
        self.alive, self.pid, self.exitcode = True, None, -9
        self.sentinel, self._end = os.pipe()

    def is_alive(self):
        return self.alive

    def close(self):
        os.close(self.sentinel)
        os.close(self._end)

    def join(self, timeout=None):
        self.alive = False


@pytest.fixture
def supervisor(monkeypatch):
    """A supervisor of one worker that is no process; gives both ends of its pipe."""
    supervisor = Supervisor(Settings(port=0))
    ends = []

    def start_missing():
        from nbdt.server.supervisor import _Process

        if supervisor._workers[0] is None and supervisor._due[0] <= time.monotonic():
            ours, theirs = multiprocessing.Pipe()
            ends.append((FakeProcess(), theirs))
            supervisor._workers[0] = _Process(ends[-1][0], ours, time.monotonic())

    monkeypatch.setattr(supervisor, "_start_missing", start_missing)
    yield supervisor, ends
    supervisor.listener.close()
    for _, theirs in ends:
        theirs.close()


def test_a_failure_before_anything_was_served_ends_it_with_the_reason(supervisor):
    one, ends = supervisor
    one._start_missing()
    ends[0][1].send("models: there is no such folder.")
    with pytest.raises(InputError, match="there is no such folder"):
        one.run()


def test_a_worker_that_dies_young_comes_back_later_and_later(supervisor):
    told = []
    one, ends = supervisor
    one._on_ready = told.append
    one._start_missing()
    ends[0][1].send("")
    one._watch()
    assert told == [one.address]
    delays = []
    for _ in range(9):
        if one._workers[0] is None:
            one._due[0] = 0.0
            one._start_missing()
        ends[-1][0].alive = False
        os.write(ends[-1][0]._end, b"x")
        before = time.monotonic()
        one._watch()
        delays.append(one._due[0] - before)
    assert delays[0] < delays[1] < delays[3]
    assert max(delays) <= 17
    # Once it has served, a failure is no reason to end.
    one._due[0] = 0.0
    one._start_missing()
    ends[-1][1].send("changed weights")
    one._watch()
    assert not one._failure
    one._workers[0].process.alive = False


def die(supervisor, ends):
    supervisor._due[0] = 0.0
    supervisor._start_missing()
    ends[-1][0].alive = False
    os.write(ends[-1][0]._end, b"x")
    supervisor._watch()


def test_a_worker_that_dies_is_started_again_at_first_at_once(supervisor):
    one, ends = supervisor
    one._ever_ready = True
    now = time.monotonic()
    die(one, ends)
    assert one._due[0] - now < 0.3
    now = time.monotonic()
    die(one, ends)
    assert one._due[0] - now >= 0.5


def test_it_is_given_up_where_no_worker_was_ever_ready(supervisor, monkeypatch):
    one, ends = supervisor
    watch = one._watch

    def watch_them_die():
        if one._workers[0] is not None:
            ends[-1][0].alive = False
            os.write(ends[-1][0]._end, b"x")
        watch()

    monkeypatch.setattr(one, "_watch", watch_them_die)
    with pytest.raises(InputError, match=r"started 3 times, and each ended .* \(exit status -9\)"):
        one.run()
    assert len(ends) == 3


def test_a_library_that_cannot_be_imported_is_told(monkeypatch):
    ours, theirs = multiprocessing.Pipe()
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setitem(sys.modules, "nbdt.server.worker", None)
    _work(Settings(), None, theirs, False)
    assert ours.poll()
    assert "nbdt-toolkit[serve]" in ours.recv()


def test_only_the_first_worker_listens_before_it_is_loaded(monkeypatch):
    started = []

    class Context:
        def Pipe(self):
            return multiprocessing.Pipe()

        def Process(self, target, args, name):
            started.append((name, args[-1]))
            process = FakeProcess()
            process.start = lambda: None
            return process

    supervisor = Supervisor(Settings(port=0, workers=3))
    supervisor._context = Context()
    supervisor._start_missing()
    assert started == [("nbdt-0", False), ("nbdt-1", True), ("nbdt-2", True)]

    def die(*places):
        for place in places:
            supervisor._workers[place].process.alive = False
            os.write(supervisor._workers[place].process._end, b"x")
        supervisor._watch()
        supervisor._due = [0.0] * 3
        started.clear()
        supervisor._start_missing()
        return started

    assert die(0) == [("nbdt-0", True)]
    assert die(0, 1, 2) == [("nbdt-0", False), ("nbdt-1", True), ("nbdt-2", True)]
    die(0, 1, 2)
    supervisor.listener.close()


def test_a_dead_worker_has_nothing_on_its_way(supervisor, monkeypatch, tmp_path):
    one, ends = supervisor
    monkeypatch.setenv(METRICS_FOLDER, str(tmp_path))
    one._start_missing()
    process = ends[0][0]
    process.pid = 4321
    for name in ("gauge_livesum_4321.db", "gauge_livesum_99.db", "counter_4321.db"):
        (tmp_path / name).touch()
    process.alive = False
    os.write(process._end, b"x")
    one._watch()
    assert {file.name for file in tmp_path.iterdir()} == {"gauge_livesum_99.db", "counter_4321.db"}
