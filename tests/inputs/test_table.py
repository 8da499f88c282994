"""Tables of every library become one frame; what does not fit is named in one sentence."""

import json
import math
import warnings

import numpy as np
import pytest
from PIL import Image
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from nbdt.errors import InputError, NBDTError, SampleWarning
from nbdt.inputs import Input, TableInput
from nbdt.inputs.frames import as_table, read_table

pd = pytest.importorskip("pandas")

ROWS = [
    {"age": 39, "pay": 1.5, "job": "clerk", "member": True},
    {"age": 50, "pay": 2.25, "job": "?", "member": False},
    {"age": 38, "pay": -3.0, "job": "tech", "member": True},
    {"age": 61, "pay": 0.0, "job": "clerk", "member": False},
]
FRAME = pd.DataFrame(ROWS)
TABLE = TableInput.from_frame(FRAME)
LACKING = TableInput.from_frame(
    pd.DataFrame(
        {"a": [1.0, math.nan], "b": ["x", None], "c": pd.Series(["u", "v"], dtype="category")}
    )
)


def same(batch, expected=FRAME):
    pd.testing.assert_frame_equal(batch.reset_index(drop=True), expected.reset_index(drop=True))


def test_what_training_data_says_of_columns():
    said = [(c.type, c.dtype, c.categories, c.missing) for c in TABLE.columns]
    assert said == [
        ("integer", "int64", (), "refused"),
        ("number", "float64", (), "refused"),
        ("category", "object", ("?", "clerk", "tech"), "refused"),
        ("boolean", "bool", (), "refused"),
    ]
    assert [c.missing for c in LACKING.columns] == ["nan", "none", "refused"]
    assert LACKING.columns[2].dtype == "category"
    # Medians and the most frequent: a row that need not be anybody's.
    assert TABLE.example_row == {"age": 50, "pay": 1.5, "job": "clerk", "member": True}


@pytest.mark.parametrize("table", [TABLE, LACKING, TableInput.from_names(3)])
def test_stored_and_read(table):
    assert Input.from_config(json.loads(json.dumps(table.to_config()))) == table


def tables(folder):
    """The same table in every form."""
    polars, pyarrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    shuffled = FRAME[["member", "age", "job", "pay"]]
    yield from (FRAME, shuffled, FRAME.astype({"age": "int32", "job": "category", "pay": object}))
    yield from (polars.from_pandas(FRAME), pyarrow.Table.from_pandas(shuffled))
    yield from (FRAME.to_records(index=False), FRAME.to_numpy(), FRAME.to_numpy().tolist())
    yield from (FRAME.to_dict("list"), ROWS, [dict(reversed(row.items())) for row in ROWS])
    yield TABLE.samples(FRAME)
    yield list(TABLE.samples(shuffled))
    FRAME.to_csv(folder / "index.csv")
    FRAME.to_csv(folder / "blanks.tsv", sep="\t", index=False, encoding="utf-8-sig")
    FRAME.to_csv(folder / "semicolons.csv", sep=";", index=False)
    text = FRAME.to_csv(index=False).replace(",", ", ").replace("\n", "\n\n")
    (folder / "spaces.csv").write_text(text)
    FRAME.to_parquet(folder / "rows.parquet")
    FRAME.to_json(folder / "rows.jsonl", orient="records", lines=True)
    FRAME.to_json(folder / "rows.json", orient="records")
    yield from sorted(folder.iterdir())
    yield str(folder / "index.csv")
    yield from ((folder / "spaces.csv").read_bytes(), (folder / "rows.jsonl").read_bytes())
    yield json.dumps(ROWS)


def test_every_form_of_a_table_gives_the_same_frame(tmp_path):
    forms = list(tables(tmp_path))
    assert len(forms) > 20
    for form in forms:
        same(TABLE.prepared(form))


@pytest.mark.parametrize(
    "row", [ROWS[0], [39, 1.5, "clerk", True], FRAME.iloc[0], json.dumps(ROWS[0]), FRAME[:1]]
)
def test_every_form_of_a_row(row):
    assert TABLE.read(row) == ROWS[0]
    same(TABLE.prepared(row), FRAME[:1])


def test_a_frame_that_fits_is_passed_on_as_it_is():
    assert TABLE.prepared(FRAME) is FRAME


def test_arrays_by_place():
    table = TableInput.from_frame(np.arange(6, dtype=np.float32).reshape(2, 3))
    batch = table.prepared([[1, 2, 3.5]])
    assert batch.dtype == np.float32
    assert batch.tolist() == [[1, 2, 3.5]]
    assert table.prepared(np.ones(3)).shape == (1, 3)


def test_sparse_rows_stay_sparse():
    sparse = pytest.importorskip("scipy.sparse")
    matrix = sparse.random_array((4, 3), density=0.5, rng=np.random.default_rng(0), format="csr")
    table = TableInput.from_names(3)
    again = table.batch(list(table.samples(matrix)))
    assert (table.prepared(matrix) != matrix).nnz == (again != matrix).nnz == 0
    with pytest.raises(InputError, match="3 columns"):
        table.prepared(matrix[:, :2])


def test_missing_values_are_what_they_were_in_training():
    batch = LACKING.prepared([{"a": None, "b": "x", "c": "v"}, {"a": 1, "b": None, "c": "u"}])
    assert math.isnan(batch["a"][0])
    assert batch["b"][1] is None
    assert list(batch["c"].cat.categories) == ["u", "v"]


def changed(**cells):
    return ROWS[0] | cells


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (changed(age="old"), "column 'age' takes a whole number; got 'old'."),
        (changed(age=3.5), "column 'age' takes a whole number; got 3.5."),
        (changed(age=True), "takes a whole number; got True."),
        (changed(pay=math.inf), "column 'pay' takes a number; got inf."),
        (changed(pay=None), "column 'pay' has no value; give it a number."),
        (changed(member="yes"), "column 'member' takes true or false; got 'yes'."),
        (changed(job="Clerk"), r"'Clerk', which the model has never seen; did you mean 'clerk'\?"),
        (changed(job="priest"), r"never seen; give one of '\?', 'clerk', 'tech'."),
        (changed(job=[1]), "column 'job' takes a single value; got a list."),
        ([ROWS[0], changed(age="old")], "^sample 1: column 'age'"),
        (FRAME.assign(job="priest"), "^sample 0: column 'job'"),
        (changed(agee=1), r"the row has the column 'agee', which the model does not read \(did"),
        ([*ROWS[:2], changed(extra=1)], "^sample 2: the table has the column 'extra'"),
        ([ROWS[0], {"age": 1, "pay": 1, "job": "?"}], "sample 1: the row lacks the column 'mem"),
        (FRAME.drop(columns=["age", "pay"]), "the table lacks the columns 'age', 'pay'; the model"),
        (FRAME.rename(columns={"pay": "Pay"}), r"lacks the column 'pay'; .*'Pay'.*mean 'pay'"),
        ([1, 2], "the row has 2 columns; the model reads 4: 'age', 'pay', 'job', 'member'."),
        ([[39, 1.5, "?", True], [1, 2]], "sample 1: expected a row of 4 values"),
        (np.zeros((2, 2, 2)), r"got an array of shape \(2, 2, 2\)"),
        ({"age": [1, 2], "pay": [1]}, "one length; 'age' has 2 values and 'pay' has 1."),
        (FRAME[:0], "no row"),
        ([], "no rows were given"),
        (Image.new("L", (2, 2)), "this model reads a row of columns; got a PIL image."),
        (3, "this model reads a row of columns; got a number."),
        ("gone.csv", "gone.csv: no such file."),
        ("[1, 2", "not valid JSON"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(value, words):
    with pytest.raises(NBDTError, match=words) as caught:
        TABLE.prepared(value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "age,pay\n1\n", "line 2 has 1 cells; the first line names 2 columns"),
        ("a.csv", "age,age\n1,2\n", "two columns called 'age'"),
        ("a.csv", "", "is empty"),
        ("a.csv", 'a,b\n"x', "not valid CSV"),
        ("a.csv", "age,pay,job,member\n", "no row"),
        ("a.csv", b"age\n\xff\n", "not UTF-8"),
        ("a.jsonl", '{"a": 1}\n{', "line 2 is not valid JSON"),
        ("a.parquet", "PAR1", "cannot be read as Parquet"),
        ("a.xlsx", "", "a table is one of .csv"),
    ],
)
def test_files_that_are_no_tables(tmp_path, name, text, words):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    if path.suffix == ".parquet":
        pytest.importorskip("pyarrow")
    with pytest.raises(NBDTError, match=words) as caught:
        TABLE.prepared(path)
    assert str(caught.value).startswith(str(path))


def test_read_opens_nothing(tmp_path):
    FRAME[:1].to_csv(tmp_path / "row.csv", index=False)
    with pytest.raises(InputError, match="reads a row of columns; got text"):
        TABLE.read(str(tmp_path / "row.csv"))


def test_sources_of_the_command_line(tmp_path):
    path = tmp_path / "rows.csv"
    FRAME.to_csv(path, index=False)
    FRAME[:1].to_csv(tmp_path / "one.csv", index=False)
    rows = TABLE.sources(str(path))
    assert [one.name for one in rows] == [f"{path}, row {i}" for i in (1, 2, 3, 4)]
    assert [one.open() for one in rows] == ROWS
    names = [one.name for one in TABLE.sources(str(tmp_path))]
    assert names == [str(tmp_path / "one.csv"), *(one.name for one in rows)]
    [row] = TABLE.sources(json.dumps(ROWS[2]))
    assert row.open() == ROWS[2]


def test_spaces_that_training_kept_are_found_again(tmp_path):
    # pandas keeps the blanks after Adult's commas.
    table = TableInput.from_frame(pd.DataFrame({"job": [" clerk", " ?"] * 2}))
    (tmp_path / "a.csv").write_text("job\nclerk\n ?\n")
    assert table.prepared(tmp_path / "a.csv")["job"].tolist() == [" clerk", " ?"]


@pytest.mark.parametrize("unseen", ["refused", "passed on"])
def test_what_the_classifier_takes_decides_on_unseen_and_missing_values(unseen):
    handling = {} if unseen == "refused" else {"handle_unknown": "ignore"}
    pipeline = make_pipeline(
        make_column_transformer(
            (OneHotEncoder(sparse_output=False, **handling), ["job"]), remainder="passthrough"
        ),
        HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=1),
    ).fit(FRAME, [0, 1, 0, 1])
    table = TABLE.accepted_by(pipeline.predict_proba)
    assert table.columns[2].unseen == unseen
    assert [table.columns[i].missing for i in (0, 1)] == ["nan", "nan"]
    rows = [ROWS[0], changed(job="priest", age=None)]
    if unseen == "refused":
        with pytest.raises(InputError, match="sample 1: column 'job'"):
            table.prepared(rows)
    else:
        with pytest.warns(SampleWarning, match="sample 1: column 'job' has .*'priest'"):
            batch = table.prepared(rows)
        assert pipeline.predict_proba(batch).shape == (2, 2)


def test_a_known_category_gives_no_warning():
    columns = [one.replace(unseen="passed on") for one in TABLE.columns]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(TABLE.replace(columns=tuple(columns)).prepared(ROWS))


def test_wide_and_long_tables_are_bounded():
    with pytest.raises(InputError, match="columns"):
        TableInput.from_names(10_001)
    many = [f"word {i}" for i in range(2000)] * 2
    assert TableInput.from_frame({"a": many}).columns[0].type == "text"


def test_typed_columns_of_a_text_file(tmp_path):
    (tmp_path / "a.csv").write_text("a,b,c,d\n1,1.5,true,x\n2,,false,1_0\n")
    typed = read_table(tmp_path / "a.csv").typed().columns
    assert typed == {"a": [1, 2], "b": [1.5, None], "c": [True, False], "d": ["x", "1_0"]}
    assert as_table(ROWS).without(["age"]).columns.keys() == {"pay", "job", "member"}
