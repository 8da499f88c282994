"""The program as users run it: another process, pipes, exit codes."""

import os
import subprocess
import sys

# What a user's shell would start, wherever the tests run from.
PROGRAM = [sys.executable, "-c", "from nbdt.cli import main; main()"]


def nbdt(*arguments, **options):
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)], capture_output=True, timeout=120, **options
    )


def test_what_needs_no_network_imports_no_torch():
    code = (
        "import sys\n"
        "from nbdt.cli import main\n"
        "for line in ('--help', 'tree list', 'tree show digits/shape', 'tree show digits/x'):\n"
        "    sys.argv[1:] = line.split()\n"
        "    try: main()\n"
        "    except SystemExit as end: code = end.code\n"
        "    assert code in (0, 2 if line.endswith('x') else 0), line\n"
        "assert not {'torch', 'sklearn'} & set(sys.modules), 'heavy'\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(b"nbdt: ")


def test_piped_output_has_no_color(model, images):
    environment = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "PY_COLORS")}
    done = nbdt("explain", model, images / "one", "gone.png", env=environment)
    assert done.returncode == 1
    assert b"\x1b" not in done.stdout + done.stderr
    assert done.stdout.count(b"Predicted") == 2
    assert done.stderr == b"nbdt: gone.png: no such file.\n"


def test_no_color_on_a_terminal_either_where_that_is_asked_for():
    done = nbdt("tree", "list", env={**os.environ, "FORCE_COLOR": "1", "NO_COLOR": "1"})
    assert done.returncode == 0
    assert b"\x1b[3" not in done.stdout


def test_a_reader_that_leaves_early_is_no_error():
    with subprocess.Popen(
        [*PROGRAM, "tree", "show", "imagenet1k/wordnet", "--max-lines", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 1


def test_an_interrupt_is_quiet(model):
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
