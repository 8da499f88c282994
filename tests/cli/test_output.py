import json

import pytest
from rich.console import Console

from nbdt.cli import output
from nbdt.cli.output import complain, note, progress, say, say_json, say_table, working


@pytest.fixture
def terminals(monkeypatch):
    """Makes both streams terminals, as far as rich can tell."""
    monkeypatch.setattr(
        output, "Console", lambda **options: Console(force_terminal=True, width=60, **options)
    )


def test_text_is_printed_as_it_is_but_for_what_commands_a_terminal(capsys):
    line = "[bold]:smile: " + "x" * 300
    say(f"{line}\n├─ \x1b[2Jcat\r\udcff")
    assert capsys.readouterr().out == f"{line}\n├─ \\x1b[2Jcat\\r\\udcff\n"


def test_json_is_one_line_of_ascii(capsys):
    say_json({"name": "café\n", "path": "\udcff"})
    out = capsys.readouterr().out
    assert out == '{"name": "caf\\u00e9\\n", "path": "\\udcff"}\n'
    assert json.loads(out)["name"] == "café\n"


def test_a_table_has_words_on_the_left_and_numbers_on_the_right(capsys):
    say_table(["tree", "classes"], [["[red]a", "10"], ["b" * 100, "1,000"]])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["tree", "classes"],
        ["[red]a", "10"],
        ["b" * 100, "1,000"],
    ]
    assert lines[1].rstrip().endswith("     10")
    assert len({len(line.rstrip()) for line in lines}) == 1


def test_messages_are_one_line_on_standard_error(capsys):
    complain("one\ntwo\x1b")
    note("three\n")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "nbdt: one two\\x1b\nnote: three\n"


def test_without_a_terminal_there_is_no_bar_and_no_color(capsys):
    with working("Loading"), progress("Explaining", 2) as advance:
        advance(1)
        say("cat", bold=True)
    assert capsys.readouterr() == ("cat\n", "")


@pytest.mark.usefixtures("terminals")
def test_on_a_terminal_a_bar_is_drawn_on_standard_error_and_taken_away(capsys):
    with progress("Explaining", 2) as advance:
        advance(1)
        say_json("cat")
        complain("no dog")
    captured = capsys.readouterr()
    assert captured.out == '"cat"\n'
    assert all(text in captured.err for text in ("Explaining", "1/2", "nbdt: no dog"))
    assert captured.err.endswith("\x1b[2K")
    # But not between results.
    with progress("Explaining", 2, between_results=True) as advance:
        advance(1)
        say("cat", bold=True)
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "\x1b[1mcat" in captured.out
    with working("Loading …"):
        pass
    captured = capsys.readouterr()
    assert (captured.out, "Loading …" in captured.err) == ("", True)
