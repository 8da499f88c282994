"""The service under pressure: full, late, left, reloaded, stopped; and never wrong."""

import asyncio
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from nbdt.data import decode_image
from nbdt.errors import NotFoundError
from nbdt.server import models as models_module
from nbdt.server.errors import DeadlineError, NotReadyError, OverloadedError
from nbdt.server.inference import Inference
from nbdt.server.parsing import ParsedRequest
from nbdt.server.service import Service
from nbdt.server.settings import Settings
from tests.server.conftest import b64, eventually, png, save_model, serving

PREDICT = "/api/v1/models/digits/predict"


class Gate:
    """Holds batches up until it is opened."""

    def __init__(self, monkeypatch):
        self.open = threading.Event()
        self.held = threading.Event()
        answer = Inference.__call__

        def slow(infer, questions):
            self.held.set()
            assert self.open.wait(20)
            return answer(infer, questions)

        monkeypatch.setattr(Inference, "__call__", slow)


@pytest.fixture
def gate(monkeypatch):
    gate = Gate(monkeypatch)
    gate.open.set()  # for the models to be tried out
    yield gate
    gate.open.set()


def close(gate):
    gate.open.clear()
    gate.held.clear()


def body(seed=0, rows=1):
    return {"instances": [b64(png(seed))] * rows}


def expected_of(model, seeds):
    batch = model.preprocessing.batch([decode_image(png(seed), "L") for seed in seeds])
    return model.predict_proba(batch).numpy()


def test_a_full_queue_refuses_at_once_and_says_when_to_come_again(models, gate):
    settings = Settings(models=(models / "digits",), queue_rows=8, request_rows=8)
    with serving(settings) as running, running.client() as client, ThreadPoolExecutor(8) as pool:
        close(gate)
        waiting = [pool.submit(client.post, PREDICT, json=body(rows=4)) for _ in range(2)]
        service = running.worker.service
        eventually(lambda: service.capacity.free == 0)
        refused = client.post(PREDICT, json=body())
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert "8 of 8 rows are taken" in refused.json()["detail"]
        # Nothing of a body is read that cannot be taken.
        assert running.worker.app.state.bodies.buffered < 10_000
        gate.open.set()
        assert [one.result().status_code for one in waiting] == [200, 200]
        assert client.post(PREDICT, json=body()).status_code == 200
        assert service.capacity.free == 8
        numbers = client.get("/metrics").text
        assert 'nbdt_rejected_total{reason="overloaded"} 1.0' in numbers


def test_an_answer_that_comes_too_late_is_504_and_frees_its_rows(models, gate):
    with serving(Settings(models=(models / "digits",))) as running, running.client() as client:
        close(gate)
        late = client.post(PREDICT, params={"timeout": "0.1"}, json=body())
        assert late.status_code == 504
        assert "within 0.1 s" in late.json()["detail"]
        assert running.worker.service.capacity.used == 0
        gate.open.set()
        assert client.post(PREDICT, json=body()).status_code == 200


def test_whoever_leaves_takes_the_rows_along(models, gate):
    with serving(Settings(models=(models / "digits",))) as running:
        close(gate)
        service = running.worker.service
        with running.client() as busy, ThreadPoolExecutor(1) as pool:
            first = pool.submit(busy.post, PREDICT, json=body(1))
            assert gate.held.wait(20)
            with running.client() as leaving, pytest.raises(httpx.ReadTimeout):
                leaving.post(PREDICT, json=body(2, rows=5), timeout=0.3)
            eventually(lambda: service.capacity.used == 1)
            queue = service._queues["digits"].queue
            assert queue.waiting_rows == 0
            gate.open.set()
            assert first.result().status_code == 200


def test_answers_are_right_and_never_mixed_while_models_are_reloaded(tmp_path):
    folder = tmp_path / "digits"
    one = save_model(folder, seed=0)
    by_version = {}
    seeds = range(12)

    def remember(model):
        import hashlib

        version = hashlib.sha256((folder / "config.json").read_bytes()).hexdigest()[:12]
        by_version[version] = expected_of(model, seeds)

    remember(one)
    wrong, answered, stop = [], [], threading.Event()
    with serving(Settings(models=(folder,), batch_rows=8)) as running:

        def ask(place):
            with running.client() as client:
                turn = place
                while not stop.is_set():
                    seed, turn = turn % len(seeds), turn + 1
                    answer = client.post(PREDICT, params={"top": 10}, json=body(seed))
                    if answer.status_code != 200:
                        wrong.append(answer.text)
                        continue
                    document = answer.json()
                    wanted = by_version[document["version"]][seed]
                    found = {one["class"]: one["probability"] for one in document["top"][0]}
                    if max(abs(found[i] - wanted[i]) for i in range(10)) > 1e-5:
                        wrong.append((document["version"], seed, found, wanted))
                    answered.append(document["version"])

        def more():
            count = len(answered)
            eventually(lambda: len(answered) > count + 20)

        with ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(ask, place) for place in range(4)]
            for seed in (1, 2):
                more()
                remember(save_model(folder, seed=seed))
                loop = running.worker.app.state.reload
                done = asyncio.run_coroutine_threadsafe(loop(), running.loop).result(20)
                assert [one.outcome for one in done] == ["replaced"]
            (folder / "model.safetensors").write_bytes(b"")
            (folder / "config.json").write_bytes((folder / "config.json").read_bytes() + b"\n")
            done = asyncio.run_coroutine_threadsafe(loop(), running.loop).result(20)
            assert [one.outcome for one in done] == ["kept"]
            more()
            stop.set()
            for one in asking:
                one.result()
    assert not wrong
    assert set(answered) == set(by_version)
    assert len(by_version) == 3


def test_what_is_in_flight_is_answered_by_the_model_that_it_came_to(tmp_path, gate):
    folder = tmp_path / "digits"
    old = save_model(folder, seed=0)
    wanted = expected_of(old, [5])[0]
    with serving(Settings(models=(folder,))) as running, running.client() as client:
        close(gate)
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(client.post, PREDICT, params={"top": 10}, json=body(5))
            assert gate.held.wait(20)
            save_model(folder, seed=1)
            reload = asyncio.run_coroutine_threadsafe(
                running.worker.app.state.reload(), running.loop
            )
            gate.open.set()
            document = first.result().json()
            assert [one.outcome for one in reload.result(20)] == ["replaced"]
        found = {one["class"]: one["probability"] for one in document["top"][0]}
        assert found == pytest.approx(dict(enumerate(wanted.tolist())), abs=1e-5)
        assert client.post(PREDICT, json=body(5)).json()["version"] != document["version"]


def test_a_new_model_answers_while_others_are_still_being_loaded(tmp_path, monkeypatch):
    save_model(tmp_path / "digits")
    with serving(Settings(models=(tmp_path,))) as running, running.client() as client:
        begun, go_on = threading.Event(), threading.Event()
        load = models_module.load_model

        def load_slowly(folder, name, *others):
            if name == "zzz":
                begun.set()
                assert go_on.wait(20)
            return load(folder, name, *others)

        monkeypatch.setattr(models_module, "load_model", load_slowly)
        for name in ("aaa", "zzz"):
            save_model(tmp_path / name, seed=1)
        save_model(tmp_path / "digits", seed=2)
        reload = asyncio.run_coroutine_threadsafe(running.worker.app.state.reload(), running.loop)
        try:
            assert begun.wait(20)
            names = [one["name"] for one in client.get("/api/v1/models").json()["models"]]
            assert names == ["aaa", "digits"]
            for name in names:
                told = client.get(f"/api/v1/models/{name}").json()
                answer = client.post(PREDICT.replace("digits", name), json=body())
                assert answer.status_code == 200
                assert answer.json()["version"] == told["version"]
        finally:
            go_on.set()
        assert [one.outcome for one in reload.result(20)] == ["loaded", "replaced", "loaded"]
        assert client.post(PREDICT.replace("digits", "zzz"), json=body()).status_code == 200


def test_until_the_models_are_loaded_nothing_is_ready(models, monkeypatch):
    begin = threading.Event()
    load = Service.start

    async def late(service):
        await asyncio.get_running_loop().run_in_executor(None, begin.wait)
        await load(service)

    monkeypatch.setattr(Service, "start", late)
    with (
        serving(Settings(models=(models / "digits",)), wait=False) as running,
        running.client() as client,
    ):
        try:
            for path in ("/readyz", "/v2/health/ready", "/ping", "/v1/models", "/v1/models/digits"):
                answer = client.get(path)
                assert answer.status_code == 503, path
                assert answer.headers["retry-after"] == "1"
            assert client.post(PREDICT, json=body()).status_code == 503
            assert client.get("/livez").status_code == 200
        finally:
            begin.set()
        eventually(lambda: client.get("/readyz").status_code == 200)
        assert client.post(PREDICT, json=body()).status_code == 200


def test_stopping_answers_what_is_in_flight(models, gate):
    with serving(Settings(models=(models / "digits",), drain=0.5)) as running:
        close(gate)
        with running.client() as client, ThreadPoolExecutor(1) as pool:
            first = pool.submit(client.post, PREDICT, json=body())
            assert gate.held.wait(20)
            import signal

            running.worker.handle_exit(signal.SIGTERM, None)
            assert httpx.get(f"{running.url}/readyz", trust_env=False).status_code == 503
            assert httpx.get(f"{running.url}/livez", trust_env=False).status_code == 200
            eventually(lambda: running.worker.should_exit)
            gate.open.set()
            assert first.result().status_code == 200
        with pytest.raises(httpx.ConnectError):
            eventually(lambda: httpx.get(f"{running.url}/livez", trust_env=False) is None, 5)


def test_a_service_by_itself(models):
    async def main():
        service = Service(Settings(models=(models,), queue_rows=64))
        with pytest.raises(NotReadyError):
            service.model("digits")
        await service.start()
        try:
            with pytest.raises(NotFoundError):
                service.model("nope")
            served, _, found = await service.answer("digits", lambda _: ParsedRequest([png(1)]))
            assert served.name == "digits"
            assert found.explanations == ()
            with pytest.raises(DeadlineError):
                await service.answer("digits", lambda _: time.sleep(0.3), seconds=0.01)
            with service.capacity.reserved(60), pytest.raises(OverloadedError):
                await service.answer("digits", lambda _: ParsedRequest([png(1)] * 5))
        finally:
            await service.stop()

    asyncio.run(main())


def test_no_model_at_all():
    async def main():
        service = Service(Settings())
        with pytest.raises(NotFoundError, match="no model is given"):
            await service.start()
        await service.stop()

    asyncio.run(main())


def test_explanations_of_requests_that_share_a_batch_differ_by_rule(models, model, gate):
    with serving(Settings(models=(models / "digits",))) as running:
        close(gate)
        with running.client() as client, ThreadPoolExecutor(9) as pool:
            blocker = pool.submit(client.post, PREDICT, json=body())
            assert gate.held.wait(20)
            url = "/api/v1/models/digits/explain"
            asked = [
                (seed, rule, pool.submit(client.post, url, params={"rule": rule}, json=body(seed)))
                for seed in range(4)
                for rule in ("soft", "hard")
            ]
            eventually(lambda: running.worker.service.capacity.used == 9)
            gate.open.set()
            assert blocker.result().status_code == 200
            for seed, rule, answer in asked:
                batch = model.preprocessing.batch([decode_image(png(seed), "L")])
                (wanted,) = model.explain(batch, rule)
                (found,) = answer.result().json()["explanations"]
                assert found["rule"] == rule
                assert found["prediction_name"] == wanted.prediction_name
                assert json.dumps(found["path"][0]["children_names"]) == json.dumps(
                    list(wanted.path[0].children_names)
                )
            numbers = client.get("/metrics").text
    assert 'nbdt_batch_rows_bucket{le="8.0",model="digits"}' in numbers
