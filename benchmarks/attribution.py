"""How long it takes to say what spoke for one decision: columns of Adult, words of a small network.

    python benchmarks/attribution.py [ADULT.csv]

Prints the median of seven runs beside the time of one prediction, in seconds. Without the file it
makes 14 columns up. The aim is under 1 s on two cores.
"""

from __future__ import annotations

import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from nbdt import NBDT, Hierarchy
from nbdt.attribution import attribute
from nbdt.inputs.table import TableInput
from nbdt.inputs.text import TextInput

RUNS = 7
TEXT = " ".join(["a really good film with terrible actors"] * 3)


def timed(task: Callable[[], Any]) -> float:
    """The median of `RUNS` runs after one that is not counted."""
    task()
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        task()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def adult(file: str | None) -> tuple[pd.DataFrame, Any]:
    """Columns and labels: of the file, whose last column is the label, or made up."""
    if file is not None:
        frame = pd.read_csv(file, header=None, skipinitialspace=True, nrows=8000)
        frame.columns = pd.Index([f"column {i}" for i in range(frame.shape[1])])
        return frame.iloc[:, :-1], frame.iloc[:, -1].astype(str)
    random = np.random.default_rng(0)
    frame = pd.DataFrame({f"number {i}": random.normal(size=4000) for i in range(6)})
    for i in range(8):
        frame[f"category {i}"] = random.choice(list("abcd"), 4000)
    score = frame["number 0"] * frame["number 1"] + (frame["category 0"] == "a")
    return frame, np.where(score > 0, "yes", "no")


def rows(file: str | None) -> None:
    """Columns, by a linear model, boosting and a forest."""
    frame, labels = adult(file)
    numbers = list(frame.select_dtypes("number").columns)
    others = [name for name in frame.columns if name not in numbers]
    unknown: dict[str, Any] = {"handle_unknown": "use_encoded_value", "unknown_value": -1}
    one_hot = make_column_transformer(
        (StandardScaler(), numbers), (OneHotEncoder(handle_unknown="ignore"), others)
    )
    codes = make_column_transformer((OrdinalEncoder(**unknown), others), remainder="passthrough")
    for before, estimator in (
        (one_hot, LogisticRegression(max_iter=1000)),
        (codes, HistGradientBoostingClassifier()),
        (codes, RandomForestClassifier(100, n_jobs=1)),
    ):
        pipeline = make_pipeline(before, estimator).fit(frame, labels)
        tree = Hierarchy([2, 2, -1], [str(name) for name in pipeline.classes_])
        model = NBDT(pipeline, tree, preprocessing=TableInput.from_frame(frame))
        row = frame.iloc[[5]]
        found = attribute(model, row, tree.root)
        kind = "exact" if found.is_exact else f"± {max(found.errors):.3f}"
        report(type(estimator).__name__, model, row, f"{found.method}, {kind}")


def words() -> None:
    """21 words, by gradients and by leaving words out."""
    import tokenizers
    import transformers

    vocabulary = {
        word: i for i, word in enumerate(["[PAD]", "[UNK]", *dict.fromkeys(TEXT.split())])
    }
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, "[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[UNK] $A", special_tokens=[("[UNK]", 1)]
    )
    tokenizer.enable_padding()
    config = transformers.BertConfig(
        vocab_size=100,
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=512,
        num_labels=3,
    )
    network = transformers.BertForSequenceClassification(config).eval()
    reader = TextInput.with_tokenizer(tokenizer, ("input_ids", "attention_mask"))
    model = NBDT(
        network, Hierarchy([3, 3, 4, 4, -1], ["a", "b", "c", "d", "e"]), preprocessing=reader
    )
    for method in ("integrated_gradients", "shapley", "ablation"):
        report("BERT, 2 layers", model, TEXT, method, method=method)


def report(name: str, model: NBDT, sample: Any, said: str, **options: Any) -> None:
    """One line of the table."""
    root = model.hierarchy.root
    once = timed(lambda: model.predict(sample))
    whole = timed(lambda: attribute(model, sample, root, **options))
    print(f"{name:32} {said:26} {once:8.4f} {whole:8.3f}")


def main() -> None:
    """Prints the table."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(2)
    print(f"{'classifier':32} {'method':26} {'predict':>8} {'attribute':>8}")
    rows(sys.argv[1] if len(sys.argv) > 1 else None)
    words()


if __name__ == "__main__":
    main()
