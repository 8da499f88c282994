import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from nbdt.errors import FormatError, InputError, NotFoundError, SampleWarning
from nbdt.inputs import Input
from nbdt.inputs.text import TextInput

tokenizers = pytest.importorskip("tokenizers")
transformers = pytest.importorskip("transformers")

TEXT = "the cat sat on a mat and dogs ran in rain while it was sunny"
NAMES = ("input_ids", "attention_mask", "token_type_ids")
PAIR = ("the cat sat", "dogs ran in rain")


def word_pieces(*, limit=None, pads=True):
    """A small tokenizer like BERT's."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {word: index for index, word in enumerate([*special, *TEXT.split()])}
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = tokenizers.normalizers.BertNormalizer()
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    if limit:
        made.enable_truncation(limit)
    if pads:
        made.enable_padding(pad_id=0, pad_token="[PAD]")
    return made


@pytest.fixture(params=["tokenizers", "transformers"])
def text_input(request):
    """Either kind of tokenizer, with at most nine tokens."""
    if request.param == "tokenizers":
        return TextInput.with_tokenizer(word_pieces(), NAMES).limited_to(9)
    return TextInput.with_tokenizer(transformers.CanineTokenizer(), NAMES).limited_to(9)


def by_transformers(batch, **options):
    """What transformers' own call gives, the oracle."""
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=word_pieces(), pad_token="[PAD]")
    first = [one if isinstance(one, str) else one[0] for one in batch]
    second = None if isinstance(batch[0], str) else [one[1] for one in batch]
    options |= {"padding": True, "return_tensors": "pt", "return_token_type_ids": True}
    return fast(first, second, **options)


@pytest.mark.parametrize("limit", [None, 6])
@pytest.mark.parametrize(
    "batch", [["the cat", "it was sunny and dogs ran"], [PAIR, ("a", "it was")]]
)
def test_tensors_are_those_of_transformers(batch, limit):
    made = TextInput.with_tokenizer(word_pieces(limit=limit), NAMES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SampleWarning)
        found = made.prepared(batch)
    options = {"truncation": True, "max_length": limit} if limit else {}
    expected = by_transformers(batch, **options)
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], expected[name]) for name in NAMES)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a cat", ["a cat"]),
        (b"a c\xc3\xa4t", ["a cät"]),
        (PAIR, [PAIR]),
        ([PAIR, "a"], [PAIR, "a"]),
        ([list(PAIR)], [PAIR]),
        ({"text": "a", "text_pair": None}, ["a"]),
        ([{"text": "a", "text_pair": "b"}], [("a", "b")]),
        ({"text": ["a", "b"], "text_pair": ["c", "d"]}, [("a", "c"), ("b", "d")]),
        (("a", "b", "c"), ["a", "b", "c"]),
        (np.array(["a", "b"]), ["a", "b"]),
        (pd.Series(["a", "b"]), ["a", "b"]),
        (pd.DataFrame({"review": ["a", "b"]}), ["a", "b"]),
        (pd.DataFrame({"text": ["a"], "stars": [3], "text_pair": ["b"]}), [("a", "b")]),
        ({"a": 0, "b": 1}.keys(), ["a", "b"]),
    ],
)
def test_what_is_read_as_texts(value, expected, text_input):
    assert list(text_input.samples(value)) == expected


def test_tables_of_other_libraries_have_the_same_column(text_input):
    for library in ("polars", "pyarrow"):
        module = pytest.importorskip(library)
        table = (module.DataFrame if library == "polars" else module.table)({"text": ["a", "b"]})
        assert text_input.samples(table) == ["a", "b"]
        assert text_input.samples(table["text"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "the text is empty; give at least one word."),
        (" \n", "the text is empty"),
        ([], "there is no text: the list is empty."),
        (["a", ""], "sample 1: the text is empty"),
        (("a", ""), "the text is empty"),
        (Image.new("L", (2, 2)), "this model reads text; got a PIL image."),
        ([3], "sample 0: this model reads text; got a number."),
        (None, "this model reads text; got None."),
        (pd.Series(["a", None]), "sample 1: this model reads text; got "),
        ([("a", "b", "c")], "sample 0: this model reads a text, or two as a pair; got 3 values."),
        ({"words": "a"}, "an object has the key 'text', .* got 'words'."),
        ({}, "got no key"),
        ({"text": ["a"], "text_pair": ["b", "c"]}, "have different numbers of texts"),
        (pd.DataFrame({"a": ["b"], "c": ["d"]}), "needs a column 'text', .* got 'a', 'c'."),
        ("\ud800", "half a surrogate pair"),
        (b"\xff", "not in UTF-8"),
    ],
)
def test_what_is_no_text_is_refused(value, message, text_input):
    with pytest.raises(InputError, match=message):
        text_input.prepared(value)


def test_numbers_are_no_texts_but_may_be_a_batch():
    with pytest.raises(InputError, match="this model reads text; got a tensor"):
        TextInput().samples(torch.zeros(2))


def test_without_a_tokenizer_texts_stay_as_they_are():
    assert TextInput().prepared("a cat") == ["a cat"]
    with pytest.raises(InputError, match=r"reads single texts; got a pair\."):
        TextInput().prepared(PAIR)


def test_what_is_cut_off_is_said(text_input):
    long = "it was sunny while it was sunny and dogs ran in rain"
    count = len(long) + 2 - 9 if text_input.tokenizer == "transformers" else 14 - 9
    with pytest.warns(SampleWarning, match=rf"the 9 tokens .*, {count} tokens, was cut off\."):
        batch = text_input.prepared(long)
    assert batch["input_ids"].shape == (1, 9)
    with pytest.warns(SampleWarning, match="sample 1 is .* so was the rest of 1 other"):
        text_input.prepared(["a cat", long, (long, long)])
    assert [text_input.cut(one) for one in ("a cat", long)] == [0, count]


def test_a_text_of_just_the_maximal_length_is_whole():
    made = TextInput.with_tokenizer(word_pieces(limit=5), NAMES)
    made.prepared("the cat sat")  # a warning would be an error
    with pytest.warns(SampleWarning, match="1 tokens"):
        made.prepared("the cat sat on")


def test_a_lower_limit_leaves_the_first_input_as_it_was():
    made = TextInput.with_tokenizer(word_pieces(limit=8), NAMES)
    assert made.limited_to(20) is made
    assert made.limited_to(4).max_length == 4
    assert made.prepared("the cat sat on a mat")["input_ids"].shape == (1, 8)


def test_the_tokenizer_is_saved_beside_the_config(text_input, tmp_path):
    text_input.save(tmp_path)
    loaded = Input.from_config(text_input.to_config()).load(tmp_path)
    assert isinstance(loaded, TextInput)
    batch = ["the cat", PAIR] if text_input.tokenizer == "tokenizers" else ["the", "a cat"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SampleWarning)
        found, expected = loaded.prepared(batch), text_input.prepared(batch)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    for file in (tmp_path / "tokenizer").iterdir():
        file.write_text("{}")
    with pytest.raises(FormatError, match=r"tokenizer: .*holds no tokenizer"):
        Input.from_config(text_input.to_config()).load(tmp_path)


def test_a_stored_tokenizer_may_not_pad_to_gigabytes(tmp_path):
    tokenizer = word_pieces()
    tokenizer.enable_padding(length=10**8)
    made = TextInput.with_tokenizer(tokenizer)
    made.save(tmp_path)
    with pytest.raises(FormatError, match="pads texts to more than 1,000,000 tokens"):
        made.load(tmp_path)


def test_a_code_that_a_tokenizer_names_is_not_run(tmp_path):
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "evil.py").write_text("raise SystemExit")
    (tmp_path / "tokenizer" / "evil.py").write_text("raise SystemExit")
    (tmp_path / "tokenizer" / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": ["evil.Evil", null]}}'
    )
    with pytest.raises(FormatError, match="holds no tokenizer of transformers"):
        TextInput(tokenizer="transformers").load(tmp_path)


def test_the_network_says_which_tensors_it_takes():
    class Own(nn.Module):
        def forward(self, input_ids, attention_mask=None):
            return input_ids

    made = TextInput.with_tokenizer(word_pieces(), NAMES)
    assert made.fitted_to(Own().forward).tensors == ("input_ids", "attention_mask")
    assert made.fitted_to(lambda **names: names).tensors == NAMES
    plain = made.fitted_to(nn.Embedding(9, 2).forward)
    assert torch.equal(plain.prepared("the cat"), made.prepared("the cat")["input_ids"])


def test_texts_of_several_lengths_need_padding():
    made = TextInput.with_tokenizer(word_pieces(pads=False), NAMES)
    made.prepared(["the cat", "it was"])
    with pytest.raises(InputError, match="need a tokenizer with a padding token"):
        made.prepared(["the cat", "it"])


def test_a_text_without_any_token_is_named():
    bare = word_pieces()
    bare.post_processor = tokenizers.processors.Sequence([])
    with pytest.raises(InputError, match=r"sample 1: the tokenizer finds no token in '\\x00'"):
        TextInput.with_tokenizer(bare, NAMES).prepared(["a", "\0"])


def test_an_encoding_stays_as_it_is():
    made = TextInput.with_tokenizer(word_pieces(), NAMES)
    encoding = by_transformers(["the cat", "it"])
    assert all(made.prepared(encoding)[name] is encoding[name] for name in NAMES)
    assert made.prepared(encoding["input_ids"]) is encoding["input_ids"]
    assert made.prepared({"input_ids": [2, 4, 3]})["input_ids"].tolist() == [[2, 4, 3]]
    with pytest.raises(InputError, match=r"input_ids must be numbers, .* padding=True"):
        made.prepared({"input_ids": [[2, 4, 3], [2, 3]]})


# ── files ─────────────────────────────────────────────────────────────────────────────────────


def test_only_a_path_is_opened(tmp_path, text_input):
    (tmp_path / "lines.txt").write_text("a cat\r\n\n  \ndogs ran\u2028away\n", encoding="utf-8")
    (tmp_path / "whole.md").write_text("a cat\n\nsat")
    assert text_input.samples(tmp_path / "lines.txt") == ["a cat", "dogs ran\u2028away"]
    assert text_input.samples(tmp_path / "whole.md") == ["a cat\n\nsat"]
    assert text_input.samples([tmp_path / "whole.md", "b"]) == ["a cat\n\nsat", "b"]
    assert text_input.samples(str(tmp_path / "whole.md")) == [str(tmp_path / "whole.md")]
    with pytest.raises(NotFoundError, match=r"absent\.txt: no such file"):
        text_input.samples(tmp_path / "absent.txt")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(InputError, match=r"empty\.txt: the file holds no text"):
        text_input.samples(tmp_path / "empty.txt")


def test_what_a_command_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("lines.txt").write_text("a cat\n\ndogs\n")
    Path("notes").mkdir()
    Path("notes/b.md").write_text("b\nb")
    Path("notes/a.TXT").write_text("a\na")
    Path("cat").write_text("not read: its name has no suffix")

    def read(argument, **options):
        return [(one.name, one.open()) for one in TextInput().sources(argument, **options)]

    assert read("lines.txt") == [("lines.txt:1", "a cat"), ("lines.txt:3", "dogs")]
    assert read("lines.txt", text=True) == [("lines.txt", "lines.txt")]
    assert read("notes") == [("notes/a.TXT", "a\na"), ("notes/b.md", "b\nb")]
    assert read("notes", text=True) == [("notes", "notes")]
    assert read("cat") == [("cat", "cat")]
    assert read("it is all in lines.txt") == [("it is all in lines.txt",) * 2]
    assert read("long " * 9999)[0][1] == "long " * 9999
    with pytest.raises(NotFoundError, match=r"absent\.txt: no such file; --text takes"):
        read("absent.txt")
    Path("empty").mkdir()
    with pytest.raises(NotFoundError, match=r"no file in this folder ends in \.txt, .*; --text"):
        read("empty")
