"""Tables, texts and arrays go from a file to explanations, measures, a guarantee and a report."""

import json

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import nbdt
from nbdt.classifiers import build
from nbdt.hierarchy import Hierarchy
from nbdt.model import NBDT
from tests.cli.conftest import is_one_sentence, refused

pd = pytest.importorskip("pandas")
pytest.importorskip("skops")

RANDOM = np.random.default_rng(0)
KINDS = np.array(["low", "middle", "high"])
FRAME = pd.DataFrame(RANDOM.normal(size=(90, 2)).round(3), columns=["width", "height"])
LABELS = KINDS[np.digitize(FRAME["width"], [-0.5, 0.5])]
WORDS = {"low": "cheap bad", "middle": "fair usual", "high": "dear great"}
TEXTS = [f"it is {RANDOM.choice(WORDS[label].split())}" for label in LABELS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Saved models of a table, of texts and of arrays, each with labeled samples in a file."""
    top = tmp_path_factory.mktemp("kinds")
    scaled = make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME, LABELS)
    nbdt.convert(scaled, FRAME).save_pretrained(top / "table")
    said = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, LABELS)
    nbdt.convert(said).save_pretrained(top / "text")
    torch.manual_seed(0)
    network = build("nbdt:lenet", num_classes=3, in_channels=1)
    tree = Hierarchy([3, 3, 4, 4, -1], tuple(KINDS))
    NBDT(network, tree).save_pretrained(top / "array")
    FRAME.assign(kind=LABELS).to_csv(top / "table.csv", index=False)
    pd.DataFrame({"said": TEXTS, "kind": LABELS}).to_csv(top / "text.csv", index=False)
    pixels = RANDOM.normal(size=(90, 1, 28, 28)).astype(np.float32)
    np.savez(top / "array.npz", x=pixels, y=LABELS)
    return top


CASES = {
    "table": ("table.csv", ("--label", "kind"), ("--ignore", "kind"), "table.csv, row 1"),
    "text": ("text.csv", ("--label", "kind"), ("--ignore", "kind"), "text.csv, row 1"),
    "array": ("array.npz", (), (), "array.npz[0]"),
}


@pytest.mark.parametrize("kind", CASES)
def test_from_a_file_to_everything(run, folder, kind):
    data, labelled, plain, first = CASES[kind]
    model, data = folder / kind, folder / data
    result = run("explain", model, data, *plain, "--json", "--html", "page.html")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert (result.exit_code, len(lines)) == (0, 90), result.stderr
    assert lines[0]["sample"] == str(folder / first)
    predicted = [line["explanation"]["prediction_name"] for line in lines]

    document = json.loads(run("evaluate", model, data, *labelled, "--json").stdout)
    assert document["samples"] == 90
    wrong = sum(one != label for one, label in zip(predicted, LABELS, strict=True))
    assert document["mistakes"]["count"] == wrong
    assert "images" not in document

    result = run("calibrate", model, data, *labelled, "--guarantee", "0.5")
    assert result.exit_code == 0, result.stderr
    assert f"explain {model} SAMPLE …" in result.stdout
    assert run("explain", model, data, *plain, "--guarantee", "0.5").exit_code == 0

    result = run("report", model, data, *labelled, "-o", "report.html")
    assert (result.exit_code, result.stdout) == (0, "Wrote report.html: measured 90 samples.\n")
    with open("report.html", encoding="utf-8") as file:  # noqa: PTH123
        assert "90 images" not in file.read()
    result = run("tree", "try", model, data, *labelled, "--suggest", "--tries", "2")
    assert result.exit_code == 0, result.stderr
    assert "image" not in result.stdout


def test_a_text_and_a_row_as_arguments(ask, run, folder):
    found = ask("explain", folder / "text", "it is great")
    assert found["sample"] == "it is great"
    assert found["explanation"]["prediction_name"] == "high"
    row = json.dumps({"height": 0.0, "width": -3.0})
    assert ask("explain", folder / "table", row)["explanation"]["prediction_name"] == "low"
    piped = run("explain", folder / "table", "-", stdin=b"width,height\n-3,0\n3,0\n")
    assert [line for line in piped.stdout.splitlines() if line.startswith("Predicted")] != []
    assert piped.stdout.count("Predicted") == 2
    for data in (
        b"width,height,kind\n-3,0,low\n3,0,high\n",
        b'[{"width": -3, "height": 0, "kind": "low"}, {"width": 3, "height": 0, "kind": "high"}]',
    ):
        piped = run("explain", folder / "table", "-", "--ignore", "kind", stdin=data)
        assert (piped.exit_code, piped.stdout.count("Predicted")) == (0, 2), piped.stderr


def test_a_bad_row_fails_alone(run, folder, tmp_path):
    (tmp_path / "rows.csv").write_text("width,height\n1,2\nwide,3\n-1,\n0,0\n")
    result = run("explain", folder / "table", "rows.csv")
    assert (result.exit_code, result.stdout.count("Predicted")) == (1, 2)
    assert result.stderr.splitlines() == [
        "nbdt: rows.csv, row 2: column 'width' takes a number; got 'wide'.",
        "nbdt: rows.csv, row 3: column 'height' has no value; give it a number.",
    ]


@pytest.mark.parametrize(("arguments", "words"), [
    (("evaluate", "table", "table.csv"), ("say which column has the classes", ": kind.")),
    (("evaluate", "table", "table.csv", "--label", "kinds"), ("did you mean 'kind'?",)),
    (("evaluate", "text", "digits"), ("digits has images; the model reads text",)),
    (("evaluate", "array", "digits"), ("does not say how an image becomes its input",)),
    (("report", "table", "gone.csv", "--label", "kind"), ("no such file",)),
], ids=str)  # fmt: skip
def test_what_cannot_be_done_is_refused(run, folder, arguments, words):
    command, model, data, *options = arguments
    path = data if data == "digits" else folder / data
    refused(run(command, folder / model, path, *options), *words)


def test_columns_that_the_model_does_not_read_are_named(run, folder):
    result = run("explain", folder / "table", folder / "table.csv")
    assert result.exit_code == 1
    assert is_one_sentence(result.stderr)
    assert "does not read the column 'kind'; leave it out: --ignore kind" in result.stderr


def test_convert_a_file_with_samples(run, folder, tmp_path):
    import skops.io
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(5, random_state=0).fit(FRAME, LABELS)
    skops.io.dump(forest, tmp_path / "forest.skops")
    refused(run("convert", "forest.skops", "-o", "bare"), "samples")
    data = folder / "table.csv"
    result = run("convert", "forest.skops", "--samples", data, "--label", "kind", "-o", "made")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[1] == "Next: nbdt explain made SAMPLE …"
    model = NBDT.from_pretrained(tmp_path / "made")
    assert [column.type for column in model.preprocessing.columns] == ["number", "number"]
    assert run("explain", "made", data, "--ignore", "kind").stdout.count("Predicted") == 90
    refused(run("convert", "torchvision:resnet18", "-o", "x"), "give the network's weights")
    assert isinstance(model, nn.Module)
