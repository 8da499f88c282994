import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from nbdt import NBDT, induce
from nbdt.classifiers import as_input, input_of, open_classifier
from nbdt.errors import FormatError, HeadError, InputError, NotFoundError, SampleWarning
from nbdt.hierarchy.shapes import balanced
from nbdt.inputs import Preprocessing
from nbdt.inputs.processor import AudioInput, ImageProcessor
from nbdt.pretrained import reseal
from tests.inputs.test_text import PAIR, word_pieces

T = pytest.importorskip("transformers")

CLASSES = {0: "sad", 1: "joy", 2: "anger"}
TREE = balanced(tuple(CLASSES.values()))
TEXTS = ["the cat sat", "dogs ran in rain while it was sunny"]
SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
SMALL |= {"intermediate_size": 32, "id2label": CLASSES}
WORDS = SMALL | {"vocab_size": 40, "max_position_embeddings": 24, "pad_token_id": 0}
SQUARE = SMALL | {"image_size": 16, "patch_size": 8}


def tokenizer(**options):
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    made = word_pieces(pads=False)
    return T.PreTrainedTokenizerFast(tokenizer_object=made, **names | options)


def canine():
    return T.CanineTokenizer(model_max_length=64)


def squares():
    return T.ViTImageProcessor(size={"height": 16, "width": 16})


def sounds():
    return T.Wav2Vec2FeatureExtractor(sampling_rate=8000, return_attention_mask=True)


def photo(seed=0, size=(30, 20)):
    numbers = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    return Image.fromarray(numbers)


CANINE = WORDS | {
    "max_position_embeddings": 2048,
    "downsampling_rate": 2,
    "local_transformer_stride": 8,
}
GPT2 = {"vocab_size": 40, "n_positions": 24, "n_embd": 16, "n_layer": 1, "n_head": 2}
DISTIL = {"vocab_size": 40, "max_position_embeddings": 24, "dim": 16, "n_layers": 1, "n_heads": 2}
T5 = {"vocab_size": 40, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
WAVE = {
    "conv_dim": (8, 8),
    "conv_stride": (5, 4),
    "conv_kernel": (10, 8),
    "num_feat_extract_layers": 2,
}
CONVNEXT = {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2, "id2label": CLASSES}

FAMILIES = {
    "Bert": (T.BertForSequenceClassification, T.BertConfig(**WORDS), tokenizer, TEXTS),
    "Roberta": (T.RobertaForSequenceClassification, T.RobertaConfig(**WORDS), tokenizer, TEXTS),
    "DistilBert": (
        T.DistilBertForSequenceClassification,
        T.DistilBertConfig(**DISTIL, hidden_dim=32, id2label=CLASSES),
        tokenizer,
        [*TEXTS, PAIR],
    ),
    "GPT2": (
        T.GPT2ForSequenceClassification,
        T.GPT2Config(**GPT2, pad_token_id=0, id2label=CLASSES),
        tokenizer,
        TEXTS,
    ),
    "Canine": (T.CanineForSequenceClassification, T.CanineConfig(**CANINE), canine, TEXTS),
    "ViT": (T.ViTForImageClassification, T.ViTConfig(**SQUARE), squares, [photo(), photo(1)]),
    "ConvNext": (
        T.ConvNextForImageClassification,
        T.ConvNextConfig(**CONVNEXT),
        lambda: T.ConvNextImageProcessor(size={"shortest_edge": 32}),
        [photo(), photo(1, (20, 50))],
    ),
    "MobileViT-like": (
        T.ConvNextForImageClassification,
        T.ConvNextConfig(**CONVNEXT),
        lambda: T.MobileViTImageProcessor(size={"shortest_edge": 40}, crop_size=32),
        [photo(), photo(1, (20, 50))],
    ),
    "Wav2Vec2": (
        T.Wav2Vec2ForSequenceClassification,
        T.Wav2Vec2Config(
            **SMALL, **WAVE, num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2
        ),
        sounds,
        [np.sin(np.arange(900) / 7), np.sin(np.arange(700) / 3)],
    ),
    "AST": (
        T.ASTForAudioClassification,
        T.ASTConfig(
            **SMALL, patch_size=8, max_length=32, num_mel_bins=16, frequency_stride=8, time_stride=8
        ),
        lambda: T.ASTFeatureExtractor(sampling_rate=16000, max_length=32, num_mel_bins=16),
        [np.sin(np.arange(9000) / 7), np.sin(np.arange(7000) / 3)],
    ),
}


@pytest.fixture(params=FAMILIES)
def family(request):
    """A network with random weights, its tokenizer or processor, and samples."""
    cls, config, processor, samples = FAMILIES[request.param]
    torch.manual_seed(0)
    return cls(config).eval(), processor(), samples


def expected_logits(network, processor, samples):
    """What transformers gives for the samples: one at a time, but sounds as one batch."""
    rows = []
    for sample in [samples] if isinstance(samples[0], np.ndarray) else samples:
        if isinstance(sample, Image.Image):
            encoding = processor(images=[sample], return_tensors="pt")
        elif isinstance(sample, list):  # the padding of sounds changes their logits
            rate = processor.sampling_rate
            encoding = processor(sample, sampling_rate=rate, padding=True, return_tensors="pt")
        else:
            pair = sample if isinstance(sample, tuple) else (sample,)
            encoding = processor(*pair, return_tensors="pt")
        with torch.no_grad():
            rows.append(network(**encoding).logits)
    return torch.cat(rows)


def test_raw_samples_get_the_answer_of_transformers(family):
    network, processor, samples = family
    model = NBDT(network, TREE, preprocessing=processor)
    expected = expected_logits(network, processor, samples)
    with torch.no_grad():
        torch.testing.assert_close(model.logits(samples), expected, atol=1e-4, rtol=1e-4)
        alone = expected_logits(network, processor, samples[:1])
        torch.testing.assert_close(model.logits(samples[0]), alone, atol=1e-4, rtol=1e-4)
    assert [one.prediction for one in model.explain(samples)] == expected.argmax(1).tolist()


def test_a_saved_folder_needs_nothing_else(family, tmp_path):
    network, processor, samples = family
    model = NBDT(network, TREE, preprocessing=processor)
    model.save_pretrained(tmp_path / "model")
    loaded = NBDT.from_pretrained(tmp_path / "model")
    assert type(loaded.network) is type(network)
    assert loaded.head == model.head is not None
    with torch.no_grad():
        assert torch.equal(loaded.logits(samples), model.logits(samples))


def test_a_folder_of_transformers_is_a_classifier(family, tmp_path):
    network, processor, samples = family
    network.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    source = f"transformers:{tmp_path}"
    model = NBDT(source, TREE)
    expected = NBDT(network, TREE, preprocessing=processor)
    with torch.no_grad():
        assert torch.equal(model.logits(samples), expected.logits(samples))
    assert induce(source) == induce(network)
    assert induce(source).classes == ("sad", "joy", "anger")
    # A network that was loaded from such a folder finds its tokenizer there.
    assert input_of(type(network).from_pretrained(tmp_path)) is not None


# ── what does not fit ─────────────────────────────────────────────────────────────────────────


def bert(**changes):
    torch.manual_seed(0)
    return T.BertForSequenceClassification(T.BertConfig(**WORDS | changes)).eval()


def test_wrong_kinds_get_one_sentence(tmp_path):
    model = NBDT(bert(), TREE, preprocessing=tokenizer())
    with pytest.raises(InputError, match=r"^this model reads text; got a PIL image\.$"):
        model.explain(photo())
    with pytest.raises(InputError, match=r"^sample 1: the text is empty; give at least one word"):
        model.predict(["the cat", " "])
    seeing = NBDT(FAMILIES["ViT"][0](FAMILIES["ViT"][1]), TREE, preprocessing=squares())
    with pytest.raises(InputError, match="this model reads an image; got"):
        seeing.predict({"text": "the cat"})
    hearing = AudioInput.with_processor(sounds())
    for value, message in (
        ({"array": [0.5, 1.0], "sampling_rate": 44100}, "44100 samples a second, .* takes 8000"),
        ({"sound": [1]}, "the keys 'array', 'sampling_rate'"),
        (b"RIFF", "not a WAV file"),
        ([[0.5], [float("nan")]], "sample 1: .* holds NaN"),
        (np.zeros((1, 2, 3)), "sample 0: .* takes any numbers"),
    ):
        with pytest.raises(InputError, match=message):
            hearing.prepared(value)


def test_sounds_are_read_from_files(tmp_path):
    from scipy.io import wavfile

    hearing = AudioInput.with_processor(sounds())
    wave = (np.sin(np.arange(400) / 5) * 30000).astype(np.int16)
    wavfile.write(tmp_path / "one.wav", 8000, np.stack([wave, wave], axis=1))
    np.save(tmp_path / "one.npy", wave / 32767)
    for name in ("one.wav", "one.npy"):
        (sound,) = hearing.samples(tmp_path / name)
        np.testing.assert_allclose(sound, wave / 32767, atol=1e-6)
    as_bytes = hearing.read((tmp_path / "one.wav").read_bytes())
    assert as_bytes.shape == (400,)


@pytest.mark.parametrize(
    ("network", "processor", "message"),
    [
        (lambda: bert(vocab_size=5), tokenizer, "has 19 tokens, but Bert.* embeddings for 5; they"),
        (bert, squares, "reads text, but the preprocessing given reads an image"),
        (
            lambda: T.GPT2ForSequenceClassification(T.GPT2Config(**GPT2, num_labels=3)),
            tokenizer,
            "pads with token 0, but config.pad_token_id of GPT2.* is None; set it",
        ),
    ],
)
def test_a_processor_of_another_network_is_refused(network, processor, message):
    with pytest.raises(InputError, match=message):
        NBDT(network(), TREE, preprocessing=processor())


@pytest.mark.parametrize("family", ["Bert", "Roberta", "DistilBert", "GPT2"], indirect=True)
def test_the_network_limits_the_length(family):
    network, processor, _ = family
    model = NBDT(network, TREE, preprocessing=processor)
    assert processor.model_max_length > 10**9
    with pytest.warns(SampleWarning, match="longer than the 2[34] tokens that the model reads"):
        model.predict("the cat sat on a mat " * 9)


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_sides_of_padding_and_truncation_are_the_tokenizers(side):
    processor = tokenizer(padding_side=side, truncation_side=side)
    found = as_input(processor).limited_to(5)
    long = "the cat sat on a mat"
    with pytest.warns(SampleWarning):
        batch = found.prepared(["a", long])
    options = {"padding": True, "truncation": True, "max_length": 5, "return_tensors": "pt"}
    assert torch.equal(batch["input_ids"], processor(["a", long], **options)["input_ids"])


def test_encodings_of_every_form():
    network, processor = bert(), tokenizer()
    model = NBDT(network, TREE, preprocessing=processor)
    expected = model.predict_proba(TEXTS)
    encoding = processor(TEXTS, padding=True, return_tensors="pt")
    for found in (
        model.predict_proba(encoding),
        model.predict_proba(**encoding),
        NBDT(network, TREE).predict_proba(**encoding),
        model.predict_proba(processor(TEXTS, padding=True)),
    ):
        torch.testing.assert_close(found, expected)
    with pytest.raises(InputError, match="not both"):
        model.predict(TEXTS, **encoding)


def test_pipelines_and_joint_processors():
    network, processor = bert(), tokenizer()
    pipeline = T.pipeline("text-classification", model=network, tokenizer=processor)
    model = NBDT(pipeline, TREE)
    assert model.network is network
    assert model.predict("the cat").tolist() == [int(model.logits("the cat").argmax())]
    assert induce(pipeline) == induce(network)
    joint = T.CLIPProcessor(T.CLIPImageProcessor(), processor)
    assert isinstance(as_input(joint), Preprocessing)
    with pytest.raises(HeadError, match=r"transformers' .* is not a classifier; give"):
        NBDT(processor, TREE)


@pytest.mark.parametrize(
    ("processor", "steps"),
    [
        (T.ViTImageProcessor(), {"resize": (224, 224), "crop": None, "interpolation": "bilinear"}),
        (
            T.ConvNextImageProcessor(size={"shortest_edge": 224}),
            {"resize": 256, "crop": (224, 224)},
        ),
        (T.ConvNextImageProcessor(), {"resize": (384, 384), "crop": None}),
        (T.CLIPImageProcessor(), {"resize": 224, "crop": (224, 224), "interpolation": "bicubic"}),
        (T.EfficientNetImageProcessor(), {"resize": (346, 346)}),
        (T.MobileNetV2ImageProcessor(), {"resize": 256, "crop": (224, 224)}),
        (T.PoolFormerImageProcessor(), {"resize": 248, "crop": (224, 224)}),
        (
            T.ViTImageProcessor(do_resize=False, do_normalize=False),
            {"resize": None, "mean": (0, 0, 0)},
        ),
        (T.MobileViTImageProcessor(), None),  # it swaps red and blue
        (T.LevitImageProcessor(), None),
    ],
)
def test_image_processors_become_steps_where_steps_say_it_all(processor, steps):
    found = as_input(processor)
    if steps is None:
        assert isinstance(found, ImageProcessor)
        assert found.shape == (3, processor.crop_size.height, processor.crop_size.width)
        return
    assert type(found) is Preprocessing
    assert {name: getattr(found, name) for name in steps} == steps


# ── folders of others ─────────────────────────────────────────────────────────────────────────


def test_folders_that_hold_no_classifier(tmp_path):
    def refused(error, message):
        with pytest.raises(error, match=message):
            open_classifier(f"transformers:{tmp_path}")

    (tmp_path / "config.json").write_text("{}")
    refused(NotFoundError, "this folder has no safetensors")
    T.BertModel(T.BertConfig(**WORDS)).save_pretrained(tmp_path)
    refused(HeadError, "holds BertModel, which is not a classifier")
    settings = json.loads((tmp_path / "config.json").read_text())
    settings["architectures"] = ["BertForSequenceClassification"]
    (tmp_path / "config.json").write_text(json.dumps(settings))
    refused(HeadError, r"lacks weights of the classifier \(classifier.bias, classifier.weight\)")
    settings["model_type"] = "unheard"
    (tmp_path / "config.json").write_text(json.dumps(settings))
    refused(InputError, "transformers cannot load it")
    (tmp_path / "adapter_config.json").write_text("{}")
    refused(HeadError, "holds an adapter, .*; merge it first")
    with pytest.raises(NotFoundError, match="no such folder; transformers:FOLDER is"):
        open_classifier("transformers:absent")


def test_a_folder_without_a_tokenizer_reads_encodings(tmp_path):
    bert().save_pretrained(tmp_path)
    model = NBDT(f"transformers:{tmp_path}", TREE)
    assert model.preprocessing is None
    assert model.predict(input_ids=torch.tensor([[2, 4, 3]])).shape == (1,)


def saved(folder, network=None):
    NBDT(network or bert(), TREE, preprocessing=tokenizer()).save_pretrained(folder)
    return folder / "network"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"auto_map": {"AutoConfig": "evil.Evil"}}, "config.json asks for auto_map"),
        ({"attn_implementation": "someone/kernels"}, "asks for attn_implementation"),
        ({"inner": [{"use_pretrained_backbone": True}]}, "asks for use_pretrained_backbone"),
        ({"num_hidden_layers": 10**8}, "asks for 100,000,000 layers"),
        ({"vocab_size": 10**12}, r"bytes of weights, but its config.json needs"),
        ({"model_type": "unheard"}, "holds no network"),
        ({"num_hidden_layers": 0}, "network has unexpected weights"),
        ({"hidden_size": "wide"}, "holds no network"),
    ],
)
def test_a_stored_network_is_read_with_care(changes, message, tmp_path):
    folder = saved(tmp_path / "model")
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | changes))
    reseal(tmp_path / "model")  # as an attacker would
    with pytest.raises(FormatError, match=message):
        NBDT.from_pretrained(tmp_path / "model")


def test_files_that_were_not_saved_are_not_read(tmp_path):
    folder = saved(tmp_path / "model")
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(FormatError, match=r"adapter_config\.json does not belong"):
        NBDT.from_pretrained(tmp_path / "model")


def test_a_changed_network_is_not_saved_as_what_it_was(tmp_path):
    class Own(T.BertForSequenceClassification):
        pass

    changed = bert()
    changed.classifier = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3))
    torch.manual_seed(1)
    for number, network in enumerate((changed, Own(T.BertConfig(**WORDS)))):
        folder = saved(tmp_path / str(number), network).parent
        assert not (folder / "network").exists()
        with pytest.raises(InputError, match="does not say how its network is built"):
            NBDT.from_pretrained(folder)


def test_saving_keeps_the_type_of_numbers_and_the_random_state(tmp_path):
    model = NBDT(bert().to(torch.bfloat16), TREE, preprocessing=tokenizer())
    model.save_pretrained(tmp_path / "model")
    before = torch.random.get_rng_state()
    loaded = NBDT.from_pretrained(tmp_path / "model")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert {p.dtype for p in loaded.network.parameters()} == {torch.bfloat16}
    assert torch.equal(loaded.predict_proba(TEXTS), model.predict_proba(TEXTS))
