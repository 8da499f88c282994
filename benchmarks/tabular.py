"""What a tree adds to a scikit-learn classifier's own predict_proba, on the census data Adult.

NBDT_DATA=… python benchmarks/tabular.py [--rows 10000]
"""

from __future__ import annotations

import argparse
import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from timing import compare, machine

import nbdt

COLUMNS = (
    *("age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation"),
    *("relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week"),
    *("native-country", "income"),
)
WORDS = make_column_selector(dtype_include=object)
NUMBERS = make_column_selector(dtype_include="number")


def adult(name: str) -> tuple[pd.DataFrame, pd.Series]:
    path = Path(os.environ["NBDT_DATA"]) / "tabular" / f"adult-{name}.csv"
    table = pd.read_csv(path, header=None, names=COLUMNS, skipinitialspace=True, na_values="?")
    return table.drop(columns="income"), table["income"].str.rstrip(".")


def boosting() -> Any:
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    columns = make_column_transformer((codes, WORDS), remainder="passthrough")
    return make_pipeline(columns, HistGradientBoostingClassifier(random_state=0))


def linear() -> Any:
    words = make_pipeline(
        SimpleImputer(strategy="constant"), OneHotEncoder(handle_unknown="ignore")
    )
    columns = make_column_transformer((words, WORDS), (StandardScaler(), NUMBERS))
    return make_pipeline(columns, LogisticRegression(max_iter=1000))


def answered(pipeline: Any, rows: Any, *models: nbdt.NBDT) -> list[float]:
    """Seconds of the classifier's own answers, then of each model's, measured in turn."""
    trees = [partial(model.predict, rows) for model in models]
    return compare(partial(pipeline.predict_proba, rows), *trees)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000)
    options = parser.parse_args()
    table, labels = adult("train")
    rows = adult("test")[0][: options.rows]
    print(f"{machine()}\n\n{len(rows):,} rows of Adult          predict_proba    NBDT.predict")
    for build in (boosting, linear):
        pipeline = build().fit(table, labels)
        start = time.perf_counter()
        typed = nbdt.convert(pipeline, table, labels)
        taken = time.perf_counter() - start
        own, *trees = answered(pipeline, rows, nbdt.NBDT(pipeline, typed.hierarchy), typed)
        for name, seconds in zip(("NBDT(pipeline)", "convert(…, X, y)"), trees, strict=True):
            print(
                f"{build.__name__:9} {name:17} {1e3 * own:9.1f} ms {1e3 * seconds:12.1f} ms"
                f"   × {seconds / own:.2f}"
            )
        print(f"{build.__name__:9} convert itself    {taken:9.2f} s")
    print("\na classifier under a millisecond predict_proba    NBDT.predict     added")
    numbers = table.select_dtypes("number").to_numpy(np.float64)
    for estimator in (LogisticRegression(max_iter=1000), GaussianNB()):
        small = make_pipeline(StandardScaler(), estimator).fit(numbers, labels)
        model = nbdt.convert(small, numbers, labels)
        for count in (1, 100):
            own, tree = answered(small, numbers[:count], model)
            print(
                f"{type(estimator).__name__:20} {count:4} rows {1e3 * own:9.3f} ms "
                f"{1e3 * tree:12.3f} ms {1e3 * (tree - own):9.3f} ms"
            )


if __name__ == "__main__":
    main()
