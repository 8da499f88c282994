"""The processes: a worker that is killed comes back, SIGHUP reloads, SIGTERM ends all in order."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from nbdt.errors import InputError
from nbdt.server.settings import Settings
from nbdt.server.supervisor import Supervisor
from tests.server.conftest import b64, eventually, png, save_model

PROGRAM = """
import sys
from nbdt.server.settings import read_settings
from nbdt.server.supervisor import Supervisor

if __name__ == "__main__":
    settings = read_settings(models=[sys.argv[1]], port=0, threads=1, workers=int(sys.argv[2]))
    Supervisor(settings, on_ready=lambda address: print(address, flush=True)).run()
"""
PREDICT = "/api/v1/models/digits/predict"


def workers_of(process):
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [
        int(pid) for pid in listed if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


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
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        body = {"instances": [b64(png())]}
        first = httpx.post(url + PREDICT, json=body, trust_env=False, timeout=60).json()
        eventually(lambda: len(workers_of(process)) == 2, 60)

        def all_answer():
            answers = [httpx.get(f"{url}/readyz", trust_env=False, timeout=60) for _ in range(8)]
            return all(answer.status_code == 200 for answer in answers)

        eventually(all_answer, 60)

        # One worker is killed: the other answers, and soon there are two again.
        (killed, other) = workers_of(process)
        os.kill(killed, signal.SIGKILL)
        begun = time.monotonic()
        answers = 0
        while killed in workers_of(process) or len(workers_of(process)) < 2:
            assert time.monotonic() - begun < 30
            try:
                # A connection of its own each, as one to the worker that was killed is lost.
                found = httpx.post(url + PREDICT, json=body, trust_env=False, timeout=60)
                if found.status_code == 503:
                    continue  # from the new worker, which is still loading
                assert found.json()["predictions"] == first["predictions"]
                answers += 1
            except httpx.TransportError:
                continue
        assert other in workers_of(process)
        assert answers

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
    import multiprocessing

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
