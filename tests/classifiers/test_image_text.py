import json

import pytest
import torch

import nbdt
from nbdt.classifiers import zero_shot
from nbdt.errors import FormatError, HeadError, InputError
from nbdt.hierarchy.shapes import balanced
from nbdt.inputs import Preprocessing
from nbdt.pretrained import reseal
from tests.classifiers.test_transformers import SQUARE, WORDS, photo, tokenizer

T = pytest.importorskip("transformers")

NAMES = ["cat", "dog", "red fox"]
TEXT = {key: value for key, value in WORDS.items() if key != "id2label"}
IMAGE = {key: value for key, value in SQUARE.items() if key != "id2label"}
PHOTOS = [photo(), photo(1)]


def clip():
    config = T.CLIPConfig(
        text_config=TEXT | {"eos_token_id": 3}, vision_config=IMAGE, projection_dim=8
    )
    size = {"size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16}}
    return T.CLIPModel(config), T.CLIPProcessor(T.CLIPImageProcessor(**size), tokenizer())


def siglip():
    config = T.SiglipConfig(text_config=TEXT | {"projection_size": 16}, vision_config=IMAGE)
    made = T.SiglipModel(config)
    images = T.SiglipImageProcessor(size={"height": 16, "width": 16})
    return made, T.SiglipProcessor(images, tokenizer())


@pytest.fixture(params=[clip, siglip])
def family(request):
    torch.manual_seed(0)
    model, processor = request.param()
    return model.eval(), processor


def test_logits_are_those_of_the_model(family):
    model, processor = family
    network = zero_shot(model, NAMES, "a {} in rain", processor)
    texts = [f"a {name} in rain" for name in NAMES]
    padding = {"padding": "max_length", "max_length": 24} if "Siglip" in str(type(model)) else {}
    options = {"padding": True, "return_tensors": "pt"} | padding
    encoding = processor(text=texts, images=PHOTOS, **options)
    with torch.no_grad():
        expected = model(**encoding).logits_per_image
        found = network(encoding["pixel_values"])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_prompts_are_averaged(family):
    model, processor = family
    both = zero_shot(model, NAMES, ["a {} in rain", "the {}"], processor)
    single = [zero_shot(model, NAMES, prompt, processor) for prompt in ("a {} in rain", "the {}")]
    units = [torch.nn.functional.normalize(one.head.weight, dim=-1) for one in single]
    expected = torch.nn.functional.normalize(sum(units), dim=-1) * single[0].head.weight[0].norm()
    torch.testing.assert_close(both.head.weight.data, expected.data)


def test_from_a_folder_to_explanations_and_back(family, tmp_path):
    model, processor = family
    model.save_pretrained(tmp_path / "source")
    processor.save_pretrained(tmp_path / "source")
    made = nbdt.convert(f"transformers:{tmp_path / 'source'}", classes=NAMES, prompts="the {}")
    assert made.classes == tuple(NAMES)
    assert made.head == "head"
    assert made.hierarchy == nbdt.induce(made.network)
    assert isinstance(made.preprocessing, Preprocessing)
    made.save_pretrained(tmp_path / "model")
    loaded = nbdt.NBDT.from_pretrained(tmp_path / "model")
    assert loaded.predict(PHOTOS).shape == (2,)
    assert torch.equal(loaded.predict_proba(PHOTOS), made.predict_proba(PHOTOS))
    assert loaded.network.classes == tuple(NAMES)


@pytest.mark.parametrize("changes", [{"classes": ["a"]}, {"classes": 3}])
def test_stored_rows_are_read_with_care(changes, tmp_path):
    model, processor = clip()
    nbdt.convert(model, classes=NAMES, preprocessing=processor).save_pretrained(tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    config["library"]["options"] |= changes
    path.write_text(json.dumps(config))
    reseal(tmp_path / "model")
    with pytest.raises(FormatError, match=r"classes.safetensors (holds no|does not hold a) row"):
        nbdt.NBDT.from_pretrained(tmp_path / "model")


def test_what_is_missing_is_said():
    model, processor = clip()
    with pytest.raises(HeadError, match=r"CLIPModel compares images with texts; name the classes"):
        nbdt.NBDT(model, balanced(NAMES))
    with pytest.raises(InputError, match="CLIPModel needs its processor, with a tokenizer"):
        nbdt.convert(model, classes=NAMES)
    for prompts in ("a photo", ["the {}", 3]):
        with pytest.raises(InputError, match=r"a text with \{\} where the name of a class goes"):
            zero_shot(model, NAMES, prompts, processor)
    with pytest.raises(InputError, match=r"the model reads 24 tokens, but the prompt .* shorten"):
        zero_shot(model, NAMES, "the cat sat on a mat " * 9 + "{}", processor)
    with pytest.raises(InputError, match="prompts are for models that compare images with texts"):
        nbdt.convert(torch.nn.Linear(2, 3), classes=NAMES, prompts="the {}")
