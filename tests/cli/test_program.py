import io
import sys
import warnings
from importlib import metadata

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from nbdt.cli import app, main
from nbdt.cli.program import Application
from nbdt.errors import InputError
from tests.cli.conftest import is_one_sentence, refused

COMMANDS = [
    "demo", "convert", "train", "explain", "evaluate", "calibrate", "report", "verify",
    "tree list",
    "tree show", "tree draw", "tree name", "tree compare", "tree support", "tree try",
    "tree convert", "tree build rows", "tree build wordnet", "tree build parents",
    "tree build shape",
]  # fmt: skip


def loaded(path):
    """The command that these words name."""
    command = get_command(app)
    for word in path.split():
        context = typer.Context(command)
        command = command.resolve_command(context, [word])[1]
    return command


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_says_what_it_does_and_has_an_example_and_json(path, run):
    result = run(*path.split(), "--help")
    assert result.exit_code == 0
    text = " ".join(result.stdout.replace("│", " ").split())
    assert f"nbdt {path}" in text.split("Example")[1]
    assert "--json" in text
    assert loaded(path).help.splitlines()[0].endswith(".")


def test_what_a_list_says_of_a_command_is_what_the_command_says_of_itself():
    groups = [("", get_command(app)), ("tree ", loaded("tree"))]
    for prefix, group in groups:
        for name, (_, summary) in group.modules.items():
            command = loaded(f"{prefix}{name}")
            assert command.help.splitlines()[0] == summary
            assert command.name == name


def test_a_group_alone_shows_its_commands_and_is_an_error(run):
    for group in ([], ["tree"], ["tree", "build"]):
        result = run(*group)
        assert (result.exit_code, result.stderr) == (2, "")
        assert "Commands" in result.stdout


def test_the_version(run):
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"nbdt {metadata.version('nbdt-toolkit')}\n")


@pytest.mark.parametrize(("arguments", "said"), [
    (["explian"], "No such command 'explian'. Did you mean 'explain'? (see 'nbdt --help')."),
    (["tree", "shw"], "Did you mean 'show'? (see 'nbdt tree --help')."),
    (["--colour"], "No such option: --colour"),
    (["explain"], "Missing argument 'MODEL' (see 'nbdt explain --help')."),
    (["tree", "show"], "Missing argument 'TREE' (see 'nbdt tree show --help')."),
    (["explain", "m", "x", "--rule", "firm"], "'--rule': 'firm' is not one of 'soft', 'hard'"),
    (["tree", "show", "x", "--max-lines", "many"], "'--max-lines'"),
    (["convert", "nbdt:small-cnn", "-o", "x"], "give the network's weights: --weights FILE"),
])  # fmt: skip
def test_wrong_usage_is_one_sentence_and_exit_code_2(arguments, said, run):
    refused(run(*arguments), said)


class Broken(Application):
    """Commands that end as a test wants them to."""


def outcome_of(error, *arguments):
    broken = typer.Typer(cls=Broken, add_completion=False)

    @broken.callback()
    def root(debug=False):
        """Takes --debug, as nbdt does."""

    @broken.command("fail")
    def fail():
        if error is not None:
            raise error

    return CliRunner().invoke(broken, [*arguments, "fail"])


@pytest.mark.parametrize(("error", "code", "said"), [
    (InputError("a tree\nhas \x1b[31m no root."), 2, "nbdt: a tree has \\x1b[31m no root.\n"),
    (typer.BadParameter("it is odd."), 2, "it is odd (see 'nbdt"),
    (ZeroDivisionError("no"), 1, "unexpected ZeroDivisionError: no ('nbdt --debug …'"),
], ids=repr)  # fmt: skip
def test_an_error_is_one_sentence_and_debug_shows_where_it_arose(error, code, said):
    result = outcome_of(error)
    assert (result.exit_code, result.stdout, is_one_sentence(result.stderr)) == (code, "", True)
    assert said in result.stderr
    result = outcome_of(error, "--debug")
    assert result.exit_code == code
    assert result.stderr.splitlines()[-1].startswith("nbdt: ")
    if not isinstance(error, typer.BadParameter):
        assert "Traceback (most recent call last)" in result.stderr


def test_interrupts_are_quiet_and_exit_codes_are_kept():
    result = outcome_of(KeyboardInterrupt())
    assert (result.exit_code, result.output) == (130, "")
    assert outcome_of(None).exit_code == 0
    assert outcome_of(typer.Exit(1)).exit_code == 1


def test_a_reader_that_has_left_is_no_error(monkeypatch):
    class Left(io.StringIO):
        def flush(self):
            raise BrokenPipeError

        def fileno(self):
            return 17

    silenced = []
    monkeypatch.setattr("nbdt.cli.program.os.dup2", lambda _, target: silenced.append(target))
    monkeypatch.setattr("sys.stdout", Left())
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with pytest.raises(SystemExit) as end:
        app(["tree", "list", "--json"])
    assert (end.value.code, silenced, sys.stderr.getvalue()) == (1, [17], "")


def test_the_program_prints_what_a_stream_cannot_show_in_another_way(monkeypatch):
    monkeypatch.setattr("sys.argv", ["nbdt", "tree", "show", "digits/shape"])
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    monkeypatch.setattr("sys.stderr", None)
    with warnings.catch_warnings(), pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    lines = sys.stdout.buffer.getvalue().splitlines()
    assert lines[1] == rb"\u251c\u2500 with a loop"


def test_the_program_keeps_warnings_that_were_asked_for(monkeypatch):
    silenced = []
    monkeypatch.setattr("nbdt.cli.program.warnings.simplefilter", silenced.append)
    monkeypatch.setattr("sys.argv", ["nbdt", "--version"])
    for options, expected in ((["error"], []), ([], ["ignore"])):
        monkeypatch.setattr("sys.warnoptions", options)
        with pytest.raises(SystemExit):
            main()
        assert silenced == expected
