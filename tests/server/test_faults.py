"""Hostile and broken clients: refused in bounded time and memory, and nobody else notices."""

import json
import socket
import time

import httpx
import pytest

from nbdt.server import page, worker
from nbdt.server.settings import Settings
from tests.server.conftest import b64, eventually, png, serving
from tests.server.test_rows import png_of_size

PREDICT = "/api/v1/models/digits/predict"
HEAD = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def small(models):
    """A service with small limits."""
    settings = Settings(
        models=(models / "digits",), body_bytes=100_000, body_seconds=0.5, image_bytes=50_000
    )
    with serving(settings) as running:
        yield running


@pytest.fixture
def client(small):
    with small.client() as one:
        yield one
        # Whatever was done to it, it goes on to answer.
        assert one.post(PREDICT, json={"instances": [b64(png())]}).status_code == 200
        assert small.worker.service.capacity.used == 0
        assert small.worker.app.state.bodies.buffered == 0


def raw(running, *pieces, pause=0.0, seconds=10.0, first=False):
    """Sends bytes as they are, and gives all that comes back, or what comes first."""
    host, port = running.url.removeprefix("http://").split(":")
    answer = b""
    with socket.create_connection((host, int(port)), timeout=seconds) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece if isinstance(piece, bytes) else piece.encode())
                time.sleep(pause)
            while chunk := connection.recv(65536):
                answer += chunk
                if first:
                    break
        except (TimeoutError, ConnectionError):
            pass
    return answer.decode("latin-1")


def test_a_slow_body_is_given_up(small, client):
    answer = raw(small, HEAD + "Connection: close\r\nContent-Length: 100\r\n\r\n", "{", seconds=5)
    assert answer.startswith("HTTP/1.1 408")
    assert "within 0.5 s" in answer


def test_a_body_cut_short_harms_nobody(small, client):
    host, port = small.url.removeprefix("http://").split(":")
    for _ in range(20):
        connection = socket.create_connection((host, int(port)))
        connection.sendall((HEAD + "Content-Length: 100\r\n\r\n{").encode())
        connection.close()
    eventually(lambda: small.worker.app.state.bodies.buffered == 0)


def test_an_endless_chunked_body_is_cut(small, client):
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    head = HEAD + "Transfer-Encoding: chunked\r\n\r\n"
    answer = raw(small, head, *[chunk] * 30, first=True)
    assert answer.startswith("HTTP/1.1 413")


def test_a_body_that_says_it_is_too_long_is_refused_before_it_comes(small, client):
    answer = raw(small, HEAD + "Content-Length: 99999999999\r\n\r\n", first=True)
    assert answer.startswith("HTTP/1.1 413")


@pytest.mark.parametrize(
    "head",
    [
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
        "GET /\r\nX-Evil: 1 HTTP/1.1\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01",
        "GET / HTTP/1.1\r\n" + "X: " + "a" * 200_000 + "\r\n\r\n",
    ],
)
def test_heads_that_are_not_valid(small, client, head):
    answer = raw(small, head, first=True)
    assert not answer or answer.startswith(("HTTP/1.1 400", "HTTP/1.1 4"))


def test_connections_without_a_request_are_cut(models, monkeypatch):
    monkeypatch.setattr(worker, "HEAD_SECONDS", 0.2)
    with serving(Settings(models=(models / "digits",))) as running:
        for start in ("", "GET / HT", "GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET"):
            begun = time.monotonic()
            raw(running, start, seconds=30)
            assert time.monotonic() - begun < 20, start


def test_between_requests_a_connection_stays_for_as_long_as_is_set(models, monkeypatch):
    monkeypatch.setattr(worker, "HEAD_SECONDS", 0.1)
    ask = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    with serving(Settings(models=(models / "digits",), keep_alive=1)) as running:
        begun = time.monotonic()
        assert raw(running, ask, ask, pause=0.4, seconds=10).count("HTTP/1.1 200") == 2
        assert 1 < time.monotonic() - begun < 9


def test_a_body_that_goes_on_after_its_refusal_is_cut(models, monkeypatch):
    monkeypatch.setattr(worker, "HEAD_SECONDS", 0.2)
    with serving(Settings(models=(models / "digits",))) as running:
        host, port = running.url.removeprefix("http://").split(":")
        head = HEAD.replace("digits", "nope") + "Content-Length: 1000\r\n\r\n"
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(head.encode())
            assert connection.recv(65536).startswith(b"HTTP/1.1 404")

            def is_cut():
                try:
                    connection.sendall(b"{")
                except ConnectionError:
                    return True
                return False

            eventually(is_cut, 20)


@pytest.mark.parametrize("times", [1, 400])
def test_whoever_takes_no_answer_is_cut(models, monkeypatch, times):
    """A long answer, or many that wait behind it."""
    monkeypatch.setattr(worker, "STALL_SECONDS", 0.2)
    with serving(Settings(models=(models / "digits",), keep_alive=1)) as running:
        monkeypatch.setattr(page, "_read", lambda name: "x" * (8 << 20 if times == 1 else 20_000))
        host, port = running.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            ask = "GET /page/script.js HTTP/1.1\r\nHost: x\r\n\r\n"
            connection.sendall(ask.encode() * times)
            there = running.worker.server_state.connections
            eventually(lambda: len(there) == 1)
            eventually(lambda: not there, 20)


def test_whoever_takes_an_answer_slowly_gets_all_of_it(models, monkeypatch):
    monkeypatch.setattr(worker, "STALL_SECONDS", 0.3)
    with serving(Settings(models=(models / "digits",), keep_alive=1)) as running:
        monkeypatch.setattr(page, "_read", lambda name: "x" * (16 << 20))
        host, port = running.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            head = "GET /page/style.css HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            connection.sendall(head.encode())
            length, begun = 0, time.monotonic()
            while chunk := connection.recv(1 << 20):
                length += len(chunk)
                time.sleep(0.05)
        assert length > 16 << 20
        assert time.monotonic() - begun > 0.6


def test_a_bomb_is_refused_before_it_is_unpacked(small, client):
    bomb = png_of_size(13_000, 13_000)
    assert len(bomb) < 50_000
    begun = time.process_time()
    answers = [
        client.post(PREDICT, json={"instances": [b64(bomb)]}),
        client.post(PREDICT, files={"image": ("a.png", bomb)}),
    ]
    assert time.process_time() - begun < 2
    for answer in answers:
        assert answer.status_code == 413
        assert "pixels" in answer.json()["detail"]


def test_deep_json_is_refused(client):
    for deep in (b"[" * 10_000, b'{"instances": ' + b"[" * 10_000 + b"]" * 10_000 + b"}"):
        answer = client.post(PREDICT, content=deep)
        assert answer.status_code == 400
        assert "nested too deeply" in answer.json()["detail"]


def test_forms_of_endless_parts_are_refused(client):
    part = b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\n\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = client.post(PREDICT, content=part * 1000 + b"--x--", headers=headers)
    assert answer.status_code == 413
    assert "more than 64 files" in answer.json()["detail"]


def test_a_file_that_is_too_long_is_refused(client):
    answer = client.post(PREDICT, files={"image": ("a.png", bytes(60_000))})
    assert answer.status_code == 413
    assert "60,000 bytes exceed the limit of 50,000" in answer.json()["detail"]


def test_many_pairs_of_one_key_take_no_longer(client):
    pairs = ",".join(f'"k{n}": 1' for n in range(8_000))
    answer = client.post(PREDICT, content=f'{{{pairs}, "k0": 2}}')
    assert "twice" in answer.json()["detail"]


def test_memory_stays_flat(small, client):
    """A short soak; the long one is in benchmarks/service.py."""
    import resource

    def resident():
        with open("/proc/self/statm") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * resource.getpagesize()

    body = json.dumps({"instances": [b64(png(seed)) for seed in range(16)]})
    for _ in range(30):
        client.post(PREDICT, content=body)
    before = resident()
    for _ in range(60):
        assert client.post(PREDICT, content=body).status_code == 200
    assert resident() - before < 20 * 2**20


def test_disconnects_in_the_middle_harm_nobody(small, client):
    body = json.dumps({"instances": [b64(png(seed)) for seed in range(16)]}).encode()
    host, port = small.url.removeprefix("http://").split(":")
    for wait in range(30):
        connection = socket.create_connection((host, int(port)))
        connection.sendall((HEAD + f"Content-Length: {len(body)}\r\n\r\n").encode() + body)
        time.sleep(wait / 3000)
        connection.close()
    eventually(lambda: small.worker.service.capacity.used == 0)


def test_no_address_is_ever_fetched(client):
    caught = socket.create_server(("127.0.0.1", 0))
    caught.settimeout(0.3)
    url = f"http://127.0.0.1:{caught.getsockname()[1]}/x.png"
    for instance in (url, {"url": url}, {"b64": url}, {"image_url": {"url": url}}):
        assert client.post(PREDICT, json={"instances": [instance]}).status_code == 400
    with pytest.raises(TimeoutError):
        caught.accept()
    caught.close()


def test_the_service_answers_others_while_one_sends_slowly(small, client):
    host, port = small.url.removeprefix("http://").split(":")
    slow = [socket.create_connection((host, int(port))) for _ in range(20)]
    for one in slow:
        one.sendall((HEAD + "Content-Length: 100\r\n\r\n{").encode())
    assert httpx.get(f"{small.url}/livez", trust_env=False, timeout=5).status_code == 200
    for one in slow:
        one.close()
