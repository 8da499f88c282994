"""What users see is what version 0.1.0 showed: documents, answers, pictures, commands, the service.

The golden files were written by `python -m tests.snapshots.make` on that version. Wording and
markup may change; names, numbers, their order, fields and exit codes may not.
"""

import json
from pathlib import Path

import pytest

from tests.snapshots.builders import BUILDERS
from tests.snapshots.facts import differences, facts, of_html, plain
from tests.snapshots.make import GOLDEN

SHOWN = 25


def golden(name: str) -> object:
    return plain(json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8")))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "name", [name for name in BUILDERS if name not in {"interface", "training"}]
)
def test_users_see_what_they_saw(name: str, tmp_path: Path) -> None:
    found = json.loads(json.dumps(BUILDERS[name].build(tmp_path)))
    assert_same(name, golden(name), found)


def assert_same(name: str, before: object, now: object) -> None:
    of = BUILDERS[name]
    different = list(differences(before, now, of.rtol, of.atol, name))
    more = f"\n… and {len(different) - SHOWN} more" if len(different) > SHOWN else ""
    assert not different, "\n".join(different[:SHOWN]) + more


def test_the_interface_stays(tmp_path: Path) -> None:
    """Every parameter that was there is there, in its place; new ones have a default."""
    before, now = golden("interface"), BUILDERS["interface"].build(tmp_path)
    assert isinstance(before, dict)
    for name, parameters in before["parameters"].items():
        known = [
            one
            if one in parameters or one.removesuffix("=None") not in parameters
            else one.removesuffix("=None")  # it may be left out now
            for one in now["parameters"][name]
        ]
        assert [one for one in known if one in parameters] == parameters, f"{name}: {known}"
        new = [one for one in known if one not in parameters]
        assert all("=" in one or one.startswith("variadic") for one in new), (
            f"{name} needs more than it did: {new}"
        )
    assert now["attributes"] == before["attributes"]
    assert set(before["trees"]) <= set(now["trees"])


def test_a_training_ends_where_it_ended(tmp_path: Path) -> None:
    before, now = golden("training"), BUILDERS["training"].build(tmp_path)
    assert isinstance(before, dict)
    if before["machine"] != now["machine"]:
        pytest.skip("this machine's arithmetic is not that of the golden file's")
    assert_same("training", before, now)


# ── that differences are found ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("before", "now", "said"), [
    ({"a": [1, 2]}, {"a": [1, 3]}, "x.a[1]: was 2, is 3"),
    ({"a": 1.0}, {"a": 1.0 + 1e-5}, "x.a: was 1.0, is 1.00001"),
    ({"a": 1}, {}, "x.a: is gone, was 1"),
    ({}, {"a": 1}, "x.a: is new: 1"),
    ([1], [1, 2], "x: has 2 entries, had 1"),
    ([True], [1], "x[0]: was True, is 1"),
    ("a", "b", "x: was 'a', is 'b'"),
])  # fmt: skip
def test_a_difference_is_named(before: object, now: object, said: str) -> None:
    assert said in list(differences(before, now, 1e-9, 1e-12, "x"))
    assert not list(differences(before, before, 1e-9, 1e-12, "x"))
    assert not list(differences(1.0, 1.0 + 1e-11, 1e-9, 0, "x"))


def test_facts_are_names_and_numbers_in_order() -> None:
    text = "Of 1,797 digits, “with a loop” (−0.5 %) is taken for seven; see seventy and n02."
    names = ["seven", "with a loop", "loop"]
    assert facts(text, names) == ["1797", "with a loop", "-0.5", "seven"]
    assert facts("1.5e-3 and 2", ()) == ["1.5e-3", "2"]


def test_pages_are_read_without_scripts_and_styles() -> None:
    page = of_html(
        "<style>p{top:3px}</style><p>cat 98 %<script>var x = 4</script><a href='#a'>dog</a>"
        "<script type='application/json'>{\"p\": 0.5}</script>", ["cat", "dog"],
    )  # fmt: skip
    assert page["facts"] == "cat | 98 | dog"
    assert (page["links"], page["data"], page["self_contained"]) == (["#"], [{"p": 0.5}], True)
    assert not of_html("<script src='https://a.example/x.js'></script>", ())["self_contained"]
