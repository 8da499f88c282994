"""Every kind of classifier gets the whole product: the table in docs/classifiers.md, cell by cell.

Each cell is tested: that it works, or that it is refused for the reason that the table's footnote
gives. `python -m tests.test_kinds` writes the table.
"""

import base64
import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import nbdt
from nbdt.attribution import attribute_path
from nbdt.errors import NBDTError
from nbdt.evaluation import evaluate
from nbdt.inputs import ArrayInput, Preprocessing, TextInput
from nbdt.server import models
from nbdt.server.settings import Settings

PAGE = Path(__file__).parents[1] / "docs" / "classifiers.md"
TABLE = re.compile(r"(?<=<!-- table -->\n).*?(?=<!-- end -->)", re.DOTALL)
NAMES = ("sad", "joy", "anger")
WORDS = ["so sad today", "joy and joy", "anger and rage", "a sad day", "pure joy", "what anger"]
FEELINGS = [NAMES[index % 3] for index in range(len(WORDS))]
SQUARE = Preprocessing(resize=(32, 32))


@dataclass
class Kind:
    """A classifier as its users have it, samples in their own form, and labels; a row of the table.

    Attributes:
        convert: options of `nbdt.convert`.
        refusals: by column, what the error says where a cell is refused.
        notes: by column, the note of a cell.
    """

    make: Callable[[], tuple[Any, list[Any], Any]]
    needs: str = ""
    convert: dict[str, Any] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def flowers(estimator: Any, *, frame: bool = True) -> tuple[Any, Any, Any]:
    iris = load_iris(as_frame=True)
    labels = iris.target if not frame else iris.target_names[iris.target]
    values = iris.data if frame else iris.data.to_numpy(np.float32)
    return estimator.fit(values, labels), values[::5], labels[::5]


def pictures(network: nn.Module) -> tuple[Any, Any, Any]:
    numbers = np.random.default_rng(0).integers(0, 256, (6, 40, 40, 3), dtype=np.uint8)
    return network.eval(), [Image.fromarray(one) for one in numbers], [*NAMES, *NAMES]


def rows(network: Any) -> tuple[Any, Any, Any]:
    samples = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)).numpy()
    return network, list(samples), [*NAMES, *NAMES]


def mlp(*last: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3), *last).eval()


def torchvision() -> tuple[Any, Any, Any]:
    from torchvision.models import mobilenet_v3_small

    torch.manual_seed(0)
    return pictures(mobilenet_v3_small(num_classes=3))


def timm() -> tuple[Any, Any, Any]:
    import timm

    torch.manual_seed(0)
    return pictures(timm.create_model("test_vit", num_classes=3, img_size=32))


def transformers(family: str) -> tuple[Any, Any, Any]:
    from tests.classifiers.test_transformers import FAMILIES

    torch.manual_seed(0)
    network, config, processor, samples = FAMILIES[family]
    samples = [samples[index % 2] for index in range(6)]
    return (network(config).eval(), processor()), samples, [*NAMES, *NAMES]


def text_pipeline() -> tuple[Any, Any, Any]:
    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression())
    return pipeline.fit(WORDS, FEELINGS), WORDS, FEELINGS


def numbers(outputs: str) -> dict[str, Any]:
    return {"classes": NAMES, "preprocessing": ArrayInput(row=(4,)), "outputs": outputs}


def boosted(library: str, name: str, **options: Any) -> Callable[[], tuple[Any, Any, Any]]:
    def make() -> tuple[Any, Any, Any]:
        return flowers(getattr(pytest.importorskip(library), name)(**options), frame=False)

    return make


def skorch() -> tuple[Any, Any, Any]:
    from skorch import NeuralNetClassifier

    torch.manual_seed(0)
    network = NeuralNetClassifier(
        lambda: mlp(nn.Softmax(1)), max_epochs=2, verbose=0, train_split=None
    )
    return flowers(network, frame=False)


def onnx() -> tuple[Any, Any, Any]:
    import tempfile

    path = Path(tempfile.mkdtemp(), "model.onnx")
    torch.onnx.export(
        mlp(), (torch.zeros(2, 4),), path, dynamic_shapes=({0: torch.export.Dim("batch")},),
        verbose=False,
    )  # fmt: skip
    return rows(str(path))


def probabilities(batch: Any) -> Any:
    scores = np.asarray(batch, dtype=np.float64)[:, :3]
    return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)


OWN = "does not say how its network is built"
UNTRUSTED = "holds types that skops does not trust"
AS_NETWORK = "skops does not trust skorch's types; take its network, `nbdt.NBDT(net.module_, tree)`"
NOT_ALONE = "pass the network: `from_pretrained(folder, network=…)`, `--network FILE.py:FUNCTION`"

KINDS = {
    "torch, a network of your own": Kind(
        lambda: rows(mlp()),
        convert=numbers("logits"),
        refusals={"saved alone": OWN, "service": OWN},
        notes={"saved alone": NOT_ALONE, "service": NOT_ALONE},
    ),
    "torchvision": Kind(torchvision, convert={"classes": NAMES, "preprocessing": SQUARE}),
    "timm": Kind(timm, "timm", convert={"classes": NAMES, "preprocessing": SQUARE}),
    "transformers, text": Kind(lambda: transformers("Bert"), "transformers"),
    "transformers, images": Kind(lambda: transformers("ViT"), "transformers"),
    "transformers, audio": Kind(lambda: transformers("Wav2Vec2"), "transformers"),
    "scikit-learn, linear": Kind(
        lambda: flowers(make_pipeline(StandardScaler(), LogisticRegression()))
    ),
    "scikit-learn, forest": Kind(lambda: flowers(RandomForestClassifier(10, random_state=0))),
    "scikit-learn, text": Kind(text_pipeline),
    "XGBoost": Kind(boosted("xgboost", "XGBClassifier", n_estimators=3), "xgboost"),
    "LightGBM": Kind(boosted("lightgbm", "LGBMClassifier", n_estimators=3, verbose=-1), "lightgbm"),
    "CatBoost": Kind(
        boosted("catboost", "CatBoostClassifier", iterations=3, verbose=False,
                allow_writing_files=False),
        "catboost",
    ),
    "skorch": Kind(
        skorch,
        "skorch",
        refusals={"saved alone": UNTRUSTED, "service": UNTRUSTED},
        notes={"saved alone": AS_NETWORK, "service": AS_NETWORK},
    ),
    "ONNX": Kind(onnx, "onnxruntime", convert={"classes": NAMES}),
    "a function": Kind(
        lambda: rows(probabilities),
        convert=numbers("probabilities"),
        refusals={"saved alone": OWN, "service": OWN},
        notes={"saved alone": NOT_ALONE, "service": NOT_ALONE},
    ),
    "a text function": Kind(
        lambda: (lambda texts: probabilities([[len(t), 3.0, t.count("a")] for t in texts]), WORDS,
                 FEELINGS),
        convert={"classes": NAMES, "outputs": "probabilities", "preprocessing": TextInput()},
        refusals={"saved alone": OWN, "service": OWN},
        notes={"saved alone": NOT_ALONE, "service": NOT_ALONE},
    ),
    "TorchScript": Kind(
        lambda: rows(torch.jit.trace(mlp(), torch.zeros(2, 4))),
        convert=numbers("logits"),
        refusals={"saved alone": OWN, "service": OWN},
        notes={"saved alone": NOT_ALONE, "service": NOT_ALONE},
    ),
}  # fmt: skip


def converted(name: str, tmp_path: Path) -> tuple[nbdt.NBDT, list[Any], list[int]]:
    kind = KINDS[name]
    if kind.needs:
        pytest.importorskip(kind.needs)
    source, samples, labels = kind.make()
    options = dict(kind.convert)
    if isinstance(source, tuple):
        source, options["preprocessing"] = source
    model = nbdt.convert(source, samples, None, **options)
    places = {label: index for index, label in enumerate(model.classes)}
    return model.eval(), samples, [places[str(label)] for label in labels]


def one_by_one(samples: Any) -> list[Any]:
    """The samples as single ones: a frame's rows by name."""
    return samples.to_dict("records") if hasattr(samples, "to_dict") else list(samples)


def as_json(sample: Any) -> Any:
    """A sample as clients of the service send it."""
    if isinstance(sample, Image.Image):
        file = io.BytesIO()
        sample.save(file, "png")
        return {"b64": base64.b64encode(file.getvalue()).decode()}
    return sample.tolist() if isinstance(sample, np.ndarray) else sample


def tree(model: Any, samples: Any, labels: Any, folder: Path) -> None:
    assert len(model.hierarchy) > model.hierarchy.num_classes == 3


def answers(model: Any, samples: Any, labels: Any, folder: Path) -> None:
    probabilities = model.predict_proba(samples)
    assert probabilities.shape == (len(samples), 3)
    # logsumexp, soft: the classifier's own answer, but for ties within float32's precision
    logits = model.logits(samples)
    chosen = logits.gather(1, model.predict(samples)[:, None])[:, 0]
    torch.testing.assert_close(chosen, logits.amax(1), rtol=0, atol=1e-6)


def explanation(model: Any, samples: Any, labels: Any, folder: Path) -> None:
    one = one_by_one(samples)[0]
    (found,) = model.explain(one)
    assert found.prediction == model.predict(samples)[0]
    assert "Predicted" in str(found)


def attribution(model: Any, samples: Any, labels: Any, folder: Path) -> None:
    found = attribute_path(model, one_by_one(samples)[0])
    assert len(found) == len(model.explain(one_by_one(samples)[0])[0].path)


def saved_alone(model: Any, samples: Any, labels: Any, folder: Path) -> None:
    model.save_pretrained(folder / "model")
    again = nbdt.NBDT.from_pretrained(folder / "model")
    torch.testing.assert_close(again.predict_proba(samples), model.predict_proba(samples))


def evaluation(model: Any, samples: Any, labels: Any, folder: Path) -> None:
    data = list(zip(one_by_one(samples), labels, strict=True))
    share = evaluate(model, data, batch_size=4).to_dict()["samples"]
    assert share == len(labels)


def service(model: Any, samples: Any, labels: Any, folder: Path) -> None:
    model.save_pretrained(folder / "served")
    served = models.load_model(folder / "served", "served", Settings())
    sources = [as_json(one) for one in one_by_one(samples)[:3]]
    found = models._answered(served, sources)
    assert found.predictions.tolist() == model.predict(samples)[:3].tolist()


COLUMNS = {
    "tree": tree,
    "answers": answers,
    "explanation": explanation,
    "attribution": attribution,
    "saved alone": saved_alone,
    "evaluation": evaluation,
    "service": service,
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.filterwarnings("ignore")  # of many libraries
def test_every_cell_of_the_table(name: str, tmp_path: Path) -> None:
    model, samples, labels = converted(name, tmp_path)
    for column, check in COLUMNS.items():
        refusal = KINDS[name].refusals.get(column)
        if refusal is None:
            check(model, samples, labels, tmp_path)
        else:
            with pytest.raises(NBDTError, match=refusal):
                check(model, samples, labels, tmp_path)


def table() -> str:
    """The table of docs/classifiers.md."""
    notes: list[str] = []
    lines = ["| classifier | " + " | ".join(COLUMNS) + " |", "| --- " * (len(COLUMNS) + 1) + "|"]
    for name, kind in KINDS.items():
        cells = []
        for column in COLUMNS:
            note = kind.notes.get(column)
            if note and note not in notes:
                notes.append(note)
            mark = "no" if column in kind.refusals else "yes"
            cells.append(mark + (f" ({notes.index(note) + 1})" if note else ""))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", *(f"{number}. {note}." for number, note in enumerate(notes, 1))]
    return "\n".join(lines) + "\n"


def test_the_page_shows_this_table() -> None:
    found = TABLE.search(PAGE.read_text(encoding="utf-8"))
    assert found is not None
    assert found[0] == table(), "run python -m tests.test_kinds"


if __name__ == "__main__":
    PAGE.write_text(
        TABLE.sub(lambda _: table(), PAGE.read_text(encoding="utf-8")), encoding="utf-8"
    )
