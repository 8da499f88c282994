"""The service under load: ``python benchmarks/service.py``, or one part of it by name.

overhead    median time of an explanation over that of a bare FastAPI forward of the same
            MobileNetV2; at most 1.10
kinds       the same of a text, by a transformer of 20 ms or more; at most 1.10. And of a row of
            columns by a small pipeline: the time added to a bare FastAPI predict; at most 2 ms
throughput  rows a second that clients get in batches over those of the network itself at the same
            batch size; at least 0.85
load        99th percentile of the accepted at 3 × the capacity over that at 1 ×; at most 3, all
            other answers 429, and none wrong. The model has a fixed delay, as client and server
            share the cores
soak        memory of the worker over time, at 70 % of the capacity: its slope in each third, as
            warming up wears off and a leak does not

NBDT_DATA may name the folder with the weights of the MobileNetV2; random weights take as long.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_server, socket
from typing import Any

import httpx
import numpy as np
import torch
import uvicorn
from fastapi import FastAPI, Request
from openloop import load, post
from PIL import Image

from nbdt import induce
from nbdt.classifiers import build
from nbdt.hierarchy import load_hierarchy
from nbdt.inputs.image import Preprocessing, decode_image
from nbdt.model import NBDT
from nbdt.server.inference import Inference
from nbdt.server.models import load_model
from nbdt.server.openapi import example_row
from nbdt.server.settings import Settings
from nbdt.server.worker import Worker

DIGITS = Preprocessing(mode="L", resize=(8, 8))
PHOTOS = Preprocessing(resize=256, crop=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
TEXT = (
    "the quick brown fox jumps over lazy dogs while we measure how long an answer takes when it "
    "comes with every decision that led there and what each of them was worth"
)
THREADS = 1
BATCH_DELAY = 0.05  # seconds
LOADED: dict[str, int] = {"batch_rows": 8, "request_rows": 8}


# ── models, images, servers ───────────────────────────────────────────────────────────────────


def save_digits(folder: Path) -> NBDT:
    torch.manual_seed(0)
    tree = load_hierarchy("digits/shape")
    model = NBDT(build("nbdt:digits-cnn"), tree, preprocessing=DIGITS).eval()
    with torch.no_grad():
        model.network.linear.weight *= 20
    model.save_pretrained(folder)
    return model


def save_mobilenet(folder: Path) -> NBDT:
    torch.manual_seed(0)
    tree = load_hierarchy("imagenet1k/wordnet")
    network = build("torchvision:mobilenet_v2")
    model = NBDT(network, tree, preprocessing=PHOTOS).eval()
    model.save_pretrained(folder)
    return model


def images(count: int, size: tuple[int, int], kind: str) -> list[bytes]:
    """Files of smooth random pictures."""
    random, files = np.random.default_rng(0), []
    for _ in range(count):
        small = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        file = io.BytesIO()
        small.resize(size, Image.Resampling.BICUBIC).save(file, kind)
        files.append(file.getvalue())
    return files


def instances(files: list[bytes]) -> dict[str, Any]:
    return {"instances": [{"b64": base64.b64encode(one).decode()} for one in files]}


def serve_models(settings: Settings, listener: socket, delay: float) -> None:
    """A worker; with a delay, each batch takes that long more, without using a core."""
    worker = Worker(settings, owns_process=True)  # as in a real service
    answer = Inference.__call__

    def slow(infer: Inference, questions: Any) -> Any:
        if worker.service.ready:
            time.sleep(delay)
        return answer(infer, questions)

    if delay:
        Inference.__call__ = slow  # type: ignore[method-assign]
    worker.run([listener])


def save_text(folder: Path) -> None:
    """A transformer with random weights that takes about 25 ms, and a tokenizer of words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForSequenceClassification

    from nbdt.inputs.text import TextInput

    torch.manual_seed(0)
    words = {word: place for place, word in enumerate(["[PAD]", "[UNK]", *TEXT.split()])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_padding()
    config = BertConfig(vocab_size=len(words), num_hidden_layers=4, num_labels=20)
    network = BertForSequenceClassification(config).eval()
    reader = TextInput.with_tokenizer(tokenizer, ("input_ids", "attention_mask"))
    NBDT(network, induce(network), preprocessing=reader).save_pretrained(folder)


def save_table(folder: Path) -> None:
    """A pipeline of scikit-learn on fourteen columns, as of the census."""
    import pandas
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    from nbdt.inputs.table import TableInput

    random = np.random.default_rng(0)
    words = [f"words{i}" for i in range(8)]
    frame = pandas.DataFrame(
        {f"number{i}": random.normal(size=1000) for i in range(6)}
        | {name: random.choice(["a", "b", "c", "d"], 1000) for name in words}
    )
    columns = make_column_transformer((OneHotEncoder(), words), remainder=StandardScaler())
    labels = random.integers(0, 5, 1000)
    pipeline = make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(frame, labels)
    model = NBDT(pipeline, induce(pipeline), preprocessing=TableInput.from_frame(frame))
    model.save_pretrained(folder)


def serve_bare(folder: Path, listener: socket, kind: str = "image") -> None:
    """What one would write without nbdt: decode, forward, argmax."""
    torch.set_num_threads(THREADS)
    model = NBDT.from_pretrained(folder)
    network, app = model.network, FastAPI()
    estimator = getattr(network, "model", None)

    def of_images(rows: list[Any]) -> Any:
        files = [base64.b64decode(one["b64"]) for one in rows]
        return network(PHOTOS.batch([decode_image(one) for one in files]))

    def of_texts(rows: list[Any]) -> Any:
        assert model.preprocessing is not None
        return network(**model.preprocessing.batch(rows)).logits

    def of_rows(rows: list[Any]) -> Any:
        import pandas

        return torch.from_numpy(estimator.predict_proba(pandas.DataFrame(rows)))

    answer = {"image": of_images, "text": of_texts, "row": of_rows}[kind]

    def predict(document: dict[str, Any]) -> dict[str, Any]:
        with torch.inference_mode():
            return {"predictions": answer(document["instances"]).argmax(-1).tolist()}

    @app.post("/predict")
    async def endpoint(request: Request) -> dict[str, Any]:
        document = await request.json()
        return await asyncio.get_running_loop().run_in_executor(None, predict, document)

    @app.get("/readyz")
    async def ready() -> dict[str, str]:
        return {}

    config = uvicorn.Config(app, log_level="warning", access_log=False, http="h11")
    uvicorn.Server(config).run([listener])


@contextmanager
def running(target: Any, *arguments: Any) -> Iterator[tuple[str, int]]:
    """A server in a process of its own; gives its port and process id as ``host:port``, pid."""
    with create_server(("127.0.0.1", 0), backlog=2048) as listener:
        port = listener.getsockname()[1]
        first, *rest = arguments
        process = multiprocessing.get_context("spawn").Process(
            target=target, args=(first, listener, *rest)
        )
        process.start()
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            try:
                url = f"http://127.0.0.1:{port}/readyz"
                if httpx.get(url, trust_env=False, timeout=5).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        yield f"127.0.0.1:{port}", process.pid or 0
    finally:
        process.terminate()
        process.join()


# ── the parts ─────────────────────────────────────────────────────────────────────────────────


def overhead(folder: Path, seconds: float) -> None:
    save_mobilenet(folder / "mobilenet")
    body = instances(images(1, (320, 240), "JPEG"))
    bare, ours, count = _medians(folder / "mobilenet", "image", body, seconds)
    ratio = ours / bare
    print(
        f"overhead, MobileNetV2, 1,000 classes, {count} requests each: bare forward "
        f"{1e3 * bare:.2f} ms, explain {1e3 * ours:.2f} ms; ratio {ratio:.3f} "
        f"({_mark(ratio <= 1.10)}, at most 1.10)"
    )


def kinds(folder: Path, seconds: float) -> None:
    save_text(folder / "text")
    bare, ours, count = _medians(folder / "text", "text", {"instances": [TEXT]}, seconds / 2)
    ratio = ours / bare
    print(
        f"kinds, a text of {len(TEXT.split())} words, {count} requests each: bare predict "
        f"{1e3 * bare:.2f} ms, explain {1e3 * ours:.2f} ms; ratio {ratio:.3f} "
        f"({_mark(ratio <= 1.10)}, at most 1.10)"
    )
    save_table(folder / "row")
    row = example_row(load_model(folder / "row", "row", Settings()).read)
    bare, ours, count = _medians(folder / "row", "row", {"instances": [row]}, seconds / 2)
    added = 1e3 * (ours - bare)
    print(
        f"kinds, a row of {len(row)} columns, {count} requests each: bare predict "
        f"{1e3 * bare:.2f} ms, explain {1e3 * ours:.2f} ms; added {added:.2f} ms "
        f"({_mark(added <= 2)}, at most 2 ms)"
    )


def _medians(folder: Path, kind: str, body: Any, seconds: float) -> tuple[float, float, int]:
    """The median seconds of the bare service and of an explanation, and the number of each."""
    settings = Settings(models=(folder,), threads=THREADS)
    times: dict[str, list[float]] = {"bare forward": [], "explain": []}
    with (
        running(serve_bare, folder, kind) as (bare, _),
        running(serve_models, settings, 0.0) as (ours, _),
        httpx.Client(trust_env=False, timeout=60) as client,
    ):
        urls = {
            "bare forward": f"http://{bare}/predict",
            "explain": f"http://{ours}/api/v1/models/{folder.name}/explain",
        }
        for url in urls.values():
            for _ in range(10):
                client.post(url, json=body).raise_for_status()
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            for name, url in urls.items():  # in turn, so that a drift hits both alike
                start = time.perf_counter()
                client.post(url, json=body).raise_for_status()
                times[name].append(time.perf_counter() - start)
    first, second = (statistics.median(taken) for taken in times.values())
    return first, second, len(times["explain"])


def throughput(folder: Path, seconds: float) -> None:
    model = save_mobilenet(folder / "mobilenet")
    torch.set_num_threads(THREADS)
    rows = 32
    batch = torch.rand(rows, 3, 224, 224)

    def own(duration: float) -> float:
        done, start = 0, time.perf_counter()
        with torch.inference_mode():
            while time.perf_counter() - start < duration:
                model.network(batch)
                done += rows
        return done / (time.perf_counter() - start)

    own(1.0)
    settings = Settings(models=(folder / "mobilenet",), threads=THREADS, batch_rows=rows)
    requests = [post("/api/v1/models/mobilenet/explain", instances(images(8, (224, 224), "JPEG")))]
    ours, alone = [], []
    for _ in range(3):  # in turn
        alone.append(own(seconds / 6))
        with running(serve_models, settings, 0.0) as (address, _):
            host, port = address.split(":")
            found = asyncio.run(
                load((host, int(port)), requests, alone[-1] / 8 * 1.3, seconds / 3, lambda *_: True)
            )
            ours.append(8 * found.rate)
    ratio = statistics.median(ours) / statistics.median(alone)
    print(
        f"throughput, MobileNetV2, batches of {rows}: network {statistics.median(alone):.1f} "
        f"rows/s, service {statistics.median(ours):.1f} rows/s; ratio {ratio:.3f} "
        f"({_mark(ratio >= 0.85)}, at least 0.85)"
    )


def _digit_load(folder: Path) -> tuple[NBDT, list[bytes], Any]:
    """A model, requests to it, and whether an answer is the offline one."""
    model = save_digits(folder / "digits")
    files = images(64, (12, 12), "PNG")
    batch = DIGITS.batch([decode_image(one, "L") for one in files])
    expected = model.predict_proba(batch).numpy()
    requests = [post("/api/v1/models/digits/predict?top=10", instances([one])) for one in files]

    def check(index: int, document: dict[str, Any]) -> bool:
        found = {one["class"]: one["probability"] for one in document["top"][0]}
        return max(abs(found[leaf] - expected[index][leaf]) for leaf in found) <= 1e-5

    return model, requests, check


def under_load(folder: Path, seconds: float) -> None:
    _, requests, check = _digit_load(folder)
    settings = Settings(models=(folder / "digits",), threads=THREADS, **LOADED)
    with running(serve_models, settings, BATCH_DELAY) as (address, _):
        host, port = address.split(":")
        target = (host, int(port))
        asyncio.run(load(target, requests, 50, 1, check))
        most = LOADED["batch_rows"] / BATCH_DELAY
        capacity = asyncio.run(load(target, requests, 2 * most, seconds / 2, check)).rate
        print(
            f"load: a batch of {LOADED['batch_rows']} takes {1e3 * BATCH_DELAY:.0f} ms more; "
            f"capacity {capacity:.0f} requests/s"
        )
        found = {
            factor: asyncio.run(load(target, requests, factor * capacity, seconds, check))
            for factor in (1, 3)
        }
    for factor, one in found.items():
        told = ", ".join(f"{count} × {status}" for status, count in sorted(one.statuses.items()))
        print(
            f"  {factor} ×: {told}; accepted p50 {1e3 * one.p50:.0f} ms, p99 {1e3 * one.p99:.0f} "
            f"ms; {one.wrong} wrong"
        )
    ratio = found[3].p99 / found[1].p99
    fine = ratio <= 3 and not found[1].wrong + found[3].wrong
    fine = fine and set(found[3].statuses) <= {200, 429}
    print(f"  p99 at 3 × over that at 1 ×: {ratio:.2f} ({_mark(fine)}, at most 3, none wrong)")


def soak(folder: Path, seconds: float) -> None:
    _, requests, check = _digit_load(folder)
    settings = Settings(models=(folder / "digits",), threads=THREADS)

    async def drive(target: tuple[str, int], pid: int, rate: float) -> Any:
        sizes: list[tuple[float, float]] = []

        async def watch() -> None:
            start = time.monotonic()
            while True:
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                sizes.append((time.monotonic() - start, pages * resource.getpagesize() / 2**20))
                await asyncio.sleep(1)

        watching = asyncio.create_task(watch())
        result = await load(target, requests, rate, seconds, check)
        watching.cancel()
        return result, np.array(sizes)

    with running(serve_models, settings, 0.0) as (address, pid):
        host, port = address.split(":")
        target = (host, int(port))
        # More than it can do, so that the network has seen batches of every size.
        capacity = asyncio.run(load(target, requests, 1000, min(5, seconds), check)).rate
        result, sizes = asyncio.run(drive(target, pid, 0.7 * capacity))
    slopes = [
        f"{60 * np.polyfit(part[:, 0], part[:, 1], 1)[0]:+.2f}" for part in np.array_split(sizes, 3)
    ]
    last = np.array_split(sizes, 3)[-1][:, 1]
    bytes_each = (last[-1] - last[0]) * 2**20 / (len(result.seconds) / 3)
    print(
        f"soak: {seconds:.0f} s at {0.7 * capacity:.0f} requests/s: {result.statuses}, "
        f"{result.wrong} wrong; resident {sizes[0, 1]:.1f} → {sizes[-1, 1]:.1f} MB, slope of each "
        f"third {', '.join(slopes)} MB a minute; in the last {bytes_each:+.0f} bytes an answer"
    )


def _mark(met: bool) -> str:
    return "met" if met else "MISSED"


PARTS = {
    "overhead": (overhead, 30.0),
    "kinds": (kinds, 30.0),
    "throughput": (throughput, 30.0),
    "load": (under_load, 20.0),
    "soak": (soak, 600.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; or all")
    parser.add_argument("--seconds", type=float, help="how long each part measures")
    arguments = parser.parse_args()
    print(f"torch {torch.__version__.split('+')[0]}, {THREADS} thread a process")
    for name in arguments.parts or PARTS:
        part, seconds = PARTS[name]
        with tempfile.TemporaryDirectory() as folder:
            part(Path(folder), arguments.seconds or seconds)


if __name__ == "__main__":
    main()
