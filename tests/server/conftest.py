"""Small models in folders, images, and a service that runs in a thread of the tests' process."""

import asyncio
import base64
import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import create_server
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("fastapi", reason="the service needs the extra [serve]")

from nbdt.classifiers import build
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.library import load_hierarchy
from nbdt.inputs.image import Preprocessing
from nbdt.model import NBDT
from nbdt.server.settings import Settings
from nbdt.server.worker import Worker

MARKUP = "<img src=x onerror=alert(1)>"


def save_model(folder: Path, seed: int = 0, tree: Hierarchy | None = None, **options: Any) -> NBDT:
    """A saved model with random weights: the ten digits, from grey images of 8×8 pixels."""
    torch.manual_seed(seed)
    tree = load_hierarchy("digits/shape") if tree is None else tree
    options = {"preprocessing": Preprocessing(mode="L", resize=(8, 8))} | options
    network = build("nbdt:digits-cnn", num_classes=tree.num_classes)
    with torch.no_grad():  # so that answers differ: class i is what is like png(i)
        network.eval()
        images = torch.stack([_pixels(png(i)) for i in range(tree.num_classes)])
        features = network.features(images).mean(dim=(2, 3))
        apart = features - features.mean(dim=0)
        network.linear.weight[:] = 5 * apart / apart.square().sum(dim=1, keepdim=True)
        network.linear.bias[:] = -network.linear.weight @ features.mean(dim=0)
    model = NBDT(network, tree, **options).eval()
    model.provenance = {"made_by": "tests"}
    model.save_pretrained(folder)
    return model


def _pixels(image: bytes) -> torch.Tensor:
    return Preprocessing(mode="L", resize=(8, 8))(Image.open(io.BytesIO(image)))


def png(seed: int = 0, size: tuple[int, int] = (12, 10)) -> bytes:
    """A small image file with random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, size[::-1], dtype=np.uint8)
    return encoded(Image.fromarray(pixels), "PNG")


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def b64(data: bytes) -> dict[str, str]:
    """An instance: an image in JSON."""
    return {"b64": base64.b64encode(data).decode()}


@dataclass
class Running:
    """A service that runs in a thread."""

    worker: Worker
    url: str

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Where the service runs."""
        loop: asyncio.AbstractEventLoop = self.worker.app.state.loop
        return loop

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=20, trust_env=False, **options)


@contextmanager
def serving(settings: Settings, *, wait: bool = True) -> Iterator[Running]:
    """Runs a service until the block ends."""
    worker = Worker(settings)

    async def serve() -> None:
        worker.app.state.loop = asyncio.get_running_loop()
        await worker.serve([listener])

    listener = create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    try:
        eventually(lambda: worker.started and (worker.service.ready or not wait))
        yield Running(worker, url)
    finally:
        worker.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the service does not end"


def eventually(holds: Callable[[], object], seconds: float = 20) -> None:
    """Waits until something holds."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never came to hold"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two models: digits, and one whose class names are markup."""
    folder = tmp_path_factory.mktemp("served")
    save_model(folder / "digits")
    names = [MARKUP, "b\u2028</script>", 'c"&\r\nd']
    save_model(folder / "markup", seed=1, tree=Hierarchy([3, 3, 4, 4, -1], [*names, "", MARKUP]))
    return folder


@pytest.fixture(scope="session")
def model(models: Path) -> NBDT:
    """The model "digits", offline."""
    return NBDT.from_pretrained(models / "digits")


@pytest.fixture(scope="session")
def server(models: Path) -> Iterator[Running]:
    """A service with default settings."""
    with serving(Settings(models=(models,))) as running:
        yield running


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with server.client() as one:
        yield one
