"""A worker: when it takes connections, what it tells its supervisor, what it leaves alone."""

import asyncio
import gc
import json
import multiprocessing
import threading
from socket import create_server

import httpx
import pytest

from nbdt.errors import InputError
from nbdt.server.keys import new_key
from nbdt.server.service import Service
from nbdt.server.settings import GRACE, Settings
from nbdt.server.supervisor import patience
from nbdt.server.worker import Worker
from tests.server.conftest import eventually, save_model, serving


@pytest.fixture
def gate(monkeypatch):
    """Models are not loaded until it is opened."""
    gate = threading.Event()
    load = Service.start

    async def late(service):
        await asyncio.get_running_loop().run_in_executor(None, gate.wait)
        await load(service)

    monkeypatch.setattr(Service, "start", late)
    yield gate
    gate.set()


def start(worker):
    """Runs a worker in a thread; gives its address, and the thread."""
    listener = create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    thread = threading.Thread(target=asyncio.run, args=(worker.serve([listener]),), daemon=True)
    thread.start()
    return url, thread, listener


def test_one_that_is_patient_takes_no_connection_until_the_models_are_loaded(models, gate):
    worker = Worker(Settings(models=(models / "digits",)), patient=True)
    url, thread, _ = start(worker)
    with httpx.Client(base_url=url, trust_env=False) as client:
        with pytest.raises(httpx.ReadTimeout):
            client.get("/livez", timeout=0.3)
        assert not worker.started
        threading.Timer(0.2, gate.set).start()
        # It has waited, and it is answered.
        assert client.get("/v1/models/digits", timeout=20).json()["ready"]
    worker.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


def test_one_that_is_patient_takes_none_at_all_where_the_models_cannot_be_loaded(tmp_path):
    worker = Worker(Settings(models=(tmp_path / "none",)), patient=True)
    _, thread, listener = start(worker)
    thread.join(20)
    assert not thread.is_alive()
    assert not worker.started
    listener.close()


def test_what_is_in_flight_may_take_as_long_as_the_settings_let_it():
    settings = Settings(body_seconds=7, deadline=10.5, drain=3)
    grace = Worker(settings).config.timeout_graceful_shutdown
    assert 7 + 10.5 < grace <= 7 + 10.5 + GRACE + 1
    assert 3 + grace < patience(settings)  # before the supervisor ends it


def test_a_reload_comes_after_the_load(tmp_path, gate):
    save_model(tmp_path / "digits")
    worker = Worker(Settings(models=(tmp_path,)))

    async def run():
        async with worker.app.router.lifespan_context(worker.app):
            reloading = asyncio.create_task(worker.app.state.reload())
            done, _ = await asyncio.wait([reloading], timeout=0.1)
            assert not done
            gate.set()
            return await reloading

    (outcome,) = asyncio.run(run())
    assert outcome.outcome == "unchanged"


def test_keys_are_read_again_and_stay_where_they_cannot_be(models, tmp_path, caplog):
    path = tmp_path / "keys.json"
    (first, one), (second, two) = new_key("one"), new_key("two")
    path.write_text(json.dumps({"keys": [one]}))
    with (
        serving(Settings(models=(models / "digits",), keys=path)) as running,
        httpx.Client(base_url=running.url, trust_env=False, timeout=20) as client,
    ):

        def let_in():
            heads = [{"X-API-Key": secret} for secret in (first, second)]
            return [client.get("/v1/models", headers=head).status_code for head in heads]

        def told():  # what a worker does on SIGHUP
            running.loop.call_soon_threadsafe(running.worker._start_reload)

        assert let_in() == [200, 401]
        path.write_text(json.dumps({"keys": [two]}))
        told()
        eventually(lambda: let_in() == [401, 200])
        path.write_text("{")
        told()
        eventually(lambda: "keys kept as they were" in caplog.text)
        assert let_in() == [401, 200]


class Collector:
    """Stands for the module gc; remembers what was called."""

    def __init__(self, monkeypatch):
        self.called = []
        for name in ("collect", "freeze", "unfreeze"):
            monkeypatch.setattr(gc, name, lambda name=name: self.called.append(name))


def test_the_garbage_collector_is_to_leave_alone_what_stays(models, monkeypatch):
    collector = Collector(monkeypatch)
    worker = Worker(Settings(models=(models / "digits",)), owns_process=True)
    once = ["unfreeze", "collect", "freeze"]

    async def run():
        async with worker.app.router.lifespan_context(worker.app):
            while not worker.loaded:
                await asyncio.sleep(0.01)
            assert collector.called == once
            await worker.reload()
            assert collector.called == 2 * once

    asyncio.run(run())
    assert not worker.should_exit


def test_in_a_process_of_others_the_garbage_collector_is_theirs(models, monkeypatch):
    collector = Collector(monkeypatch)
    Worker(Settings(models=(models / "digits",)))._on_loaded(None)
    assert collector.called == []


def test_it_ends_where_the_models_cannot_be_loaded(models, monkeypatch):
    collector = Collector(monkeypatch)
    worker = Worker(Settings(models=(models / "digits",)), owns_process=True)
    worker._on_loaded(InputError("no such folder."))
    assert worker.failure == "no such folder."
    assert worker.should_exit
    assert not worker.loaded
    assert collector.called == []


def test_it_ends_with_its_supervisor(models, monkeypatch):
    class Parent:
        def is_alive(self):
            return False

    monkeypatch.setattr(multiprocessing, "parent_process", Parent)
    worker = Worker(Settings(models=(models / "digits",), drain=9), owns_process=True)
    asyncio.run(worker.on_tick(0))
    assert worker.service.draining
    assert not worker.should_exit  # it drains, as after SIGTERM
