"""Runs the notebooks, each from a clean kernel, and keeps what they show.

    python notebooks/run.py               # all of them, in place
    python notebooks/run.py quickstart    # one

NBDT_DATA is hidden from them, so that no picture is kept which is not ours to pass on.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parent
# Of one cell, in seconds: for a cell that hangs, as machines may be busy.
TIMEOUT = 300


def notebooks() -> list[Path]:
    """All notebooks, by name."""
    return sorted(FOLDER.glob("*.ipynb"))


def execute(path: Path, environment: Mapping[str, str]) -> NotebookNode:
    """A notebook with the outputs of a new run, in an empty folder that is removed afterwards.

    The kernel is that of the Python which runs this, and knows no one's IPython settings.

    Args:
        path: the notebook, which is only read.
        environment: the kernel's environment variables.

    Raises:
        CellExecutionError: a cell raised an error.
        CellTimeoutError: a cell took too long.
    """
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as scratch:
        kernels = Path(scratch, "kernels")
        spec = {
            "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": "Python 3",
            "language": "python",
        }
        (kernels / "python3").mkdir(parents=True)
        (kernels / "python3" / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
        manager = AsyncKernelManager(
            kernel_name="python3",
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(kernels)]),
            # Over TCP others on the machine could listen, of which the kernel warns.
            transport="ipc",
            ip=str(Path(scratch, "kernel")),
        )
        work = Path(scratch, "work")
        work.mkdir()
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=TIMEOUT,
            record_timing=False,
            resources={"metadata": {"path": str(work)}},
        )
        variables = {
            **environment,
            "IPYTHONDIR": str(Path(scratch, "ipython")),
            "OMP_NUM_THREADS": "1",  # what is learned depends on how sums are shared out
        }
        client.execute(cleanup_kc=True, env=variables)
    return cleaned(notebook)


def cleaned(notebook: NotebookNode) -> NotebookNode:
    """The notebook without what differs between machines and runs."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata = {}
    return notebook


def main(names: list[str]) -> None:
    """Runs the notebooks of these names, or all, and writes them with their outputs."""
    environment = {key: value for key, value in os.environ.items() if key != "NBDT_DATA"}
    for path in notebooks():
        if names and path.stem not in names:
            continue
        start = time.perf_counter()
        nbformat.write(execute(path, environment), path)
        kilobytes = path.stat().st_size / 1000
        print(f"{path.name}: {time.perf_counter() - start:.0f} s, {kilobytes:,.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
