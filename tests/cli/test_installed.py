"""The program as users run it: another process, pipes, exit codes."""

import os
import subprocess
import sys
from pathlib import Path

# What a user's shell would start, wherever the tests run from.
PROGRAM = [sys.executable, "-c", "from nbdt.cli import main; main()"]


def nbdt(*arguments: object, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [*PROGRAM, *map(str, arguments)], capture_output=True, timeout=120, **options
    )


def test_what_needs_no_network_imports_no_torch(tmp_path: Path) -> None:
    for arguments in (["--help"], ["tree", "list"], ["tree", "show", "digits/shape"]):
        code = (
            f"import sys; sys.argv[1:] = {arguments!r}\n"
            "from nbdt.cli import main\n"
            "try: main()\n"
            "finally: assert not {'torch', 'sklearn'} & set(sys.modules), 'heavy'\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120)
        assert b"heavy" not in done.stderr
        assert done.returncode == 0


def test_piped_output_has_no_colour(model: Path, images: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "PY_COLORS")}
    done = nbdt("explain", model, images / "one", "gone.png", env=environment)
    assert done.returncode == 1
    assert b"\x1b" not in done.stdout + done.stderr
    assert done.stdout.count(b"Predicted") == 2
    assert done.stderr == b"nbdt: gone.png: there is no such file.\n"


def test_no_colour_on_a_terminal_either_where_that_is_asked_for() -> None:
    done = nbdt("tree", "list", env={**os.environ, "FORCE_COLOR": "1", "NO_COLOR": "1"})
    assert b"\x1b[3" not in done.stdout


def test_exit_codes(model: Path) -> None:
    assert nbdt("tree", "show", "digits/shape").returncode == 0
    assert nbdt("tree", "show", "digits/shapes").returncode == 2
    assert nbdt("tree", "shows").returncode == 2


def test_a_reader_that_leaves_early_is_no_error() -> None:
    with subprocess.Popen(
        [*PROGRAM, "tree", "show", "imagenet1k/wordnet", "--max-lines", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 1


def test_an_interrupt_is_quiet(model: Path) -> None:
    code = (
        "import os, signal, sys, threading\n"
        "from nbdt.cli import main\n"
        # A shell that runs the tests in the background has them ignore interrupts.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Stdin:\n"
        "    buffer = property(lambda self: self)\n"
        "    def read(self, *_):\n"
        "        interrupt = lambda: os.kill(os.getpid(), signal.SIGINT)\n"
        "        threading.Timer(0.2, interrupt).start()\n"
        "        return sys.__stdin__.buffer.read()\n"
        "sys.stdin = Stdin()\n"
        f"sys.argv[1:] = ['explain', {str(model)!r}, '-']\n"
        "main()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.wait(120) == 130
        assert process.stderr is not None
        assert process.stderr.read() == b""
