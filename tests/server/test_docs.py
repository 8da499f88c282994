"""docs/service.md: its commands work, and it tells of every setting with its default."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from nbdt.server.settings import Settings
from tests.server.conftest import png, serving

PAGE = (Path(__file__).parents[2] / "docs" / "service.md").read_text("utf-8")


def commands():
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.S | re.M):
        yield from block.strip().splitlines()


@pytest.fixture(scope="module")
def server(models, tmp_path_factory):
    """The models of the page: digits, and those that it makes itself."""
    pytest.importorskip("skops", reason="estimators are stored by the extra [sklearn]")
    folder = tmp_path_factory.mktemp("page")
    code = next(
        code for code in re.findall(r"^```py\n(.*?)^```", PAGE, re.S | re.M) if "fit(" in code
    )
    exec(code.replace('"models/', f'"{folder}/'), {})
    with serving(Settings(models=(models / "digits", folder))) as running:
        yield running


@pytest.mark.parametrize("command", [*commands()], ids=lambda one: one[:60])
def test_commands_work_when_pasted(command, server, tmp_path):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    images = tmp_path / "nbdt-demo" / "digits"
    images.mkdir(parents=True)
    for name in ("seven.png", "three.png"):
        (images / name).write_bytes(png(7))
    command = command.replace("http://127.0.0.1:8000", server.url)
    command = command.replace("/models/nbdt-demo", "/models/digits")
    result = subprocess.run(
        [*shlex.split(command), "--fail", "--silent", "--show-error", "--noproxy", "*"],
        cwd=tmp_path, capture_output=True, timeout=30, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    written = [one for one in tmp_path.iterdir() if one.suffix in (".svg", ".html")]
    assert result.stdout or written[0].stat().st_size > 1000


def test_every_setting_is_told():
    for name in Settings.model_fields:
        assert f"`NBDT_{name.upper()}`" in PAGE, name
    told = dict(re.findall(r"^\| `NBDT_(\w+)` \| ([\d.,]+) \|", PAGE, re.M))
    assert len(told) > 10
    for name, value in told.items():
        assert float(value.replace(",", "")) == float(Settings.model_fields[name.lower()].default)


def test_every_route_and_metric_is_one(server):
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        paths = client.get("/openapi.json").json()["paths"]
        numbers = client.get("/metrics").text
    for path in re.findall(r"`(?:GET|POST) (/\S+)`", PAGE):
        assert path in paths, path
    for name in re.findall(r"`(nbdt_\w+?)`", PAGE):
        assert f"# TYPE {name}" in numbers, name
