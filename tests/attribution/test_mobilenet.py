"""A network that wants its input upside down: the map is on the object all the same."""

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import nbdt
from nbdt.attribution import decision_saliency, on_picture
from nbdt.classifiers import build
from nbdt.inputs.image import Preprocessing

TURNED = Preprocessing(
    resize=256, crop=224, mean=(128 / 255,) * 3, std=(128 / 255,) * 3, rotate=180
)
ZEBRA = "n02391049"


@pytest.fixture(scope="module")
def model(nbdt_data):
    network = build("torchvision:mobilenet_v2", num_classes=1000)
    network.load_state_dict(load_file(nbdt_data / "weights" / "imagenet_mobilenet_v2.safetensors"))
    tree = nbdt.load_hierarchy("imagenet1k/wordnet")
    return nbdt.NBDT(network, tree, preprocessing=TURNED).eval()


@pytest.mark.parametrize("corner", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_the_map_is_on_the_object(model, nbdt_data, corner):
    """On a grey picture with a zebra in one corner, that corner speaks for the zebra."""
    across, down = corner
    zebra = Image.open(nbdt_data / "imagenet_samples" / f"{ZEBRA}.jpg").resize((200, 160))
    image = Image.new("RGB", (480, 320), (128, 128, 128))
    image.paste(zebra, (40 + 200 * across, 160 * down))
    x = model.preprocessing(image)[None]
    decision = next(d for d in model.explain(x)[0].path if d.node_name == "placental")
    found = decision_saliency(model, x, decision, method="grad_cam")
    placed = on_picture(found, image).nan_to_num(0)
    corners = torch.stack(
        [placed[160 * v : 160 * v + 160, 240 * h : 240 * h + 240].sum() for v in (0, 1)
         for h in (0, 1)]
    )  # fmt: skip
    assert corners.argmax() == 2 * down + across
    assert corners.max() > 2 * corners.sort().values[-2]
