"""Writes into docs/cli.md what its commands print: `python docs/render.py`.

Every example that needs no more than the demo's model and scikit-learn's data is run, and so is
the page's Python, in order, in an empty folder. Examples that need other data (`NEED_DATA`) stay as
they are. A demo is trained, so its numbers depend on the machine's arithmetic; the page notes whose
it shows.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

from typer.testing import CliRunner

from nbdt.cli import app

PAGE = Path(__file__).parent / "cli.md"
NEED_DATA = (
    *("demo", "convert nbdt:", "convert torchvision:", "train", "serve", "report", "verify"),
    *("tree build wordnet", "evaluate my-model", "evaluate eight", "tree support my-model"),
)
DEMO = "nbdt-demo"
_MARK = re.compile(r"<!-- demo: (\w*) -->")
_BLOCK = re.compile(r"(?<=```)(console|python)\n(.*?)(?=```)", re.DOTALL)


def examples(page: str) -> Iterator[tuple[str, str]]:
    """Each command on the page with the output shown below it."""
    for language, block in _BLOCK.findall(page):
        for example in block.split("$ ")[1:] if language == "console" else ():
            command, _, output = example.partition("\n")
            yield command, output


def printed(command: str, shown: str) -> str:
    """What the command prints, run in the current folder; ``cat`` makes the file that it shows."""
    program, *arguments = shlex.split(command)
    if program == "cat":
        path = Path(arguments[0])
        if not path.exists():
            path.write_text(shown, encoding="utf-8")
        return path.read_text(encoding="utf-8")
    if " ".join(arguments).startswith(NEED_DATA):
        return shown
    result = CliRunner().invoke(app, arguments)
    lines = (result.stdout + result.stderr).splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines).rstrip("\n") + "\n" * bool(lines)


def rendered(page: str) -> str:
    """The page with what its commands print in the current folder."""

    def filled(block: re.Match[str]) -> str:
        if block[1] == "python":
            exec(block[2], {})  # our own page
            return block[0]
        before, *shown = block[0].split("$ ")
        parts = [example.partition("\n") for example in shown]
        return before + "".join(f"$ {cmd}\n{printed(cmd, output)}" for cmd, _, output in parts)

    return _BLOCK.sub(filled, page)


def demo_weights() -> str:
    """Which weights the demo in the current folder has."""
    return hashlib.sha256(Path(DEMO, "model.safetensors").read_bytes()).hexdigest()[:12]


def shown_weights(page: str) -> str:
    """Which weights the demo had whose numbers the page shows."""
    found = _MARK.search(page)
    return found[1] if found else ""


def main() -> None:
    """Rewrites the page."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        CliRunner().invoke(app, ["demo"])
        page = rendered(PAGE.read_text(encoding="utf-8"))
        page = _MARK.sub(f"<!-- demo: {demo_weights()} -->", page)
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    os.environ["COLUMNS"] = "100"
    main()
