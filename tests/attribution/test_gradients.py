"""Integrated Gradients of words and values: complete, exact where the decision is linear."""

import numpy as np
import pytest
import torch
from torch import nn

import nbdt
from nbdt.attribution import attribute, attribute_path
from nbdt.errors import InputError
from nbdt.inputs import ArrayInput
from nbdt.inputs.text import TextInput
from tests.attribution.test_contributions import TREE

pytest.importorskip("captum.attr", reason="gradients need the extra [attribution], on Captum")
tokenizers = pytest.importorskip("tokenizers", reason="texts need the extra [transformers]")

TEXT = "a good film, isn't it"
PAIR = ("good film", "slow plot")


def tokenizer():
    """Pieces of words, two for most of them, between [CLS] and [SEP]."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "go", "##od", "fil", "##m", "slow", "plot"]
    pieces += [",", "is", "##n", "'", "t", "it"]
    made = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]")
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    made.enable_padding()
    return made


class Bag(nn.Module):
    """Logits that are the sum of a row for each token."""

    def __init__(self, hidden=False):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(20, 6, padding_idx=0)
        self.head = nn.Sequential(nn.Linear(6, 3), *([nn.Tanh(), nn.Linear(3, 3)] * hidden))

    def get_input_embeddings(self):
        return self.embedding

    def forward(self, input_ids, attention_mask):
        return self.head((self.embedding(input_ids) * attention_mask[..., None]).sum(1))


def text_model(network, score="mean"):
    reader = TextInput.with_tokenizer(tokenizer(), ("input_ids", "attention_mask"))
    return nbdt.NBDT(network, TREE, score=score, preprocessing=reader)


def test_in_a_linear_network_a_word_contributes_the_sum_of_its_tokens():
    network = Bag().double()
    model = text_model(network)
    found = attribute(model, TEXT, 3)
    assert found.parts == ("a", "good", "film", ",", "isn't", "it")
    rows = network.embedding.weight @ (
        network.head[0].weight[found.child] - network.head[0].weight[found.rival]
    )
    pieces = [[4], [5, 6], [7, 8], [11], [12, 13, 14, 15], [16]]
    expected = [rows[tokens].sum().item() for tokens in pieces]
    np.testing.assert_allclose(found.contributions, expected, atol=1e-6)
    assert found.convergence_delta == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("sample", [TEXT, PAIR])
@pytest.mark.parametrize("score", ["mean", "logsumexp"])
def test_words_share_out_the_rise_from_padding(sample, score):
    model = text_model(Bag(hidden=True), score)
    explanation = model.explain([sample])[0]
    for decision, found in zip(
        explanation.path, attribute_path(model, sample, explanation), strict=True
    ):
        assert found.method == "integrated_gradients"
        assert found.difference == pytest.approx(decision.margin, abs=1e-5)
        assert found.convergence_delta == pytest.approx(0, abs=1e-4)
    texts = (sample,) if isinstance(sample, str) else sample
    assert {place for place, _, _ in found.spans} == set(range(len(texts)))


def test_the_model_is_left_as_it_was():
    model = text_model(Bag(hidden=True)).train()
    attribute_path(model, TEXT)
    assert model.training
    assert not model.network.embedding._forward_hooks


def test_words_of_a_network_without_embeddings_are_left_out_one_by_one():
    class NoEmbeddings(Bag):
        get_input_embeddings = None

    network = NoEmbeddings()
    network.get_input_embeddings = lambda: None
    model = text_model(network)
    assert attribute(model, TEXT, 3).method == "shapley"
    with pytest.raises(InputError, match="needs a network that gives gradients for each word"):
        attribute(model, TEXT, 3, method="integrated_gradients")


def test_many_values_get_gradients_and_captums_classes_get_masks():
    import captum.attr

    layer = nn.Linear(100, 3)
    model = nbdt.NBDT(layer, TREE, score="mean", preprocessing=ArrayInput(row=(100,)))
    x = np.random.RandomState(0).randn(100)
    found = attribute(model, x, 3)
    assert found.method == "integrated_gradients"
    weight = (layer.weight[found.child] - layer.weight[found.rival]).detach().numpy()
    np.testing.assert_allclose(found.contributions, weight * x, atol=1e-5)

    small = nbdt.NBDT(nn.Linear(3, 3), TREE, preprocessing=ArrayInput(row=(3,)))
    exact = attribute(small, [1.0, 2.0, 3.0], 3)
    by_captum = attribute(small, [1.0, 2.0, 3.0], 3, method=captum.attr.ShapleyValues)
    np.testing.assert_allclose(by_captum.contributions, exact.contributions, atol=1e-5)
    with pytest.raises(InputError, match="Saliency of Captum can't attribute parts"):
        attribute(small, [1.0, 2.0, 3.0], 3, method=captum.attr.Saliency)
