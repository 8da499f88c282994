"""How a demo's result reads."""

import dataclasses
import shlex
from pathlib import Path

import pytest
import torch

from nbdt.demo import DemoResult, ExplainedDigit
from nbdt.demo.result import drawn
from nbdt.evaluation import accuracy_by_rule
from nbdt.explain import explain_logits
from nbdt.hierarchy import Hierarchy
from nbdt.rules import TreeLayout

TREE = Hierarchy([3, 3, 4, 4, -1], ["zero", "one", "two", "zero/one", "any digit"])


def digit(image, label=0):
    explanation = explain_logits(torch.tensor([[3.0, 2.0, 0.0]]), TreeLayout(TREE))[0]
    picture = "\n".join(f"{'█' * row:16}" for row in range(8))
    return ExplainedDigit(label, TREE.name(label), "answered so", picture, image, explanation)


def result(folder=Path("a folder")):
    images = folder / "digits"
    return DemoResult(
        folder=folder,
        images=images,
        seed=7,
        network="nbdt:digits-cnn",
        parameters=1234,
        training_samples=1000,
        epochs=3,
        training_seconds=1.26,
        seconds=2.5,
        hierarchy=TREE,
        accuracy=accuracy_by_rule([(torch.eye(3), torch.arange(3))], TREE),
        explained=(digit(images / "zero.png"), digit(images / "one.png", label=1)),
    )


def test_it_tells_all_that_was_done():
    text = str(result())
    for told in (
        "1,003 handwritten digits",
        "1,000 to learn from, 3 held out",
        "1,234 parameters, trained in 1.3 s",
        "3 epochs, seed 7",
        str(TREE),
        str(result().accuracy),
        *map(str, result().explained),
    ):
        assert told in text


def test_its_lines_fit_a_terminal():
    assert max(map(len, str(result()).splitlines())) <= 80


def test_its_commands_can_be_pasted():
    commands = [line for line in str(result()).splitlines() if line.startswith("  nbdt ")]
    assert [shlex.split(command) for command in commands] == [
        ["nbdt", "explain", "a folder", "a folder/digits/one.png"],
        ["nbdt", "explain", "a folder", "a folder/digits"],
        ["nbdt", "tree", "draw", "a folder", "-o", "tree.html"],
        ["nbdt", "serve", "a folder"],
    ]


def test_a_digit_stands_beside_its_explanation():
    assert str(digit(Path("zero.png"))) == "\n".join(
        [
            "“zero”, answered so (zero.png)",
            "",
            *(
                f"{'█' * row:16}   {line}".rstrip()
                for row, line in enumerate([*str(digit(Path()).explanation).splitlines(), *"    "])
            ),
        ]
    ).replace("\n" * 9, "")


def test_a_long_explanation_goes_on_below_the_digit():
    short = digit(Path("zero.png"))
    long = Hierarchy(TREE.parents, [*TREE.classes, "very " * 28 + "long", "any digit"])
    told = explain_logits(torch.tensor([[3.0, 2.0, 0.0]]), TreeLayout(long))[0]
    lines = str(dataclasses.replace(short, explanation=told)).splitlines()[2:]
    assert len(lines) > 8
    assert max(map(len, lines)) <= 80
    assert lines[-1].startswith(" " * 19)
    assert not any(line.strip().startswith("%") for line in lines)
    assert " ".join(line[16:].strip() for line in lines) == str(told).replace("\n", " ")


@pytest.mark.parametrize(("label", "correct"), [(0, True), (1, False)])
def test_a_digit_knows_whether_it_was_answered_right(label, correct):
    found = digit(Path("x.png"), label)
    assert found.correct is correct
    assert found.to_dict()["correct"] is correct
    assert found.to_dict()["explanation"] == found.explanation.to_dict()


def test_every_brightness_has_its_shade():
    ramp = torch.arange(17)[None] * 15 / 256
    assert drawn(ramp) == "".join(2 * " ░▒▓█"[round(value / 4)] for value in range(17))
