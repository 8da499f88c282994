"""Pictures: the same answers as HTML, SVG and DOT, sandboxed, with names as text."""

import io
import weakref

import numpy as np
import pytest
from PIL import Image

from nbdt.data import decode_image
from nbdt.view import to_graphviz, to_svg
from nbdt.view.svg.pictures import data_uri
from tests.server.conftest import MARKUP, b64, encoded, png

API = "/api/v1/models"


@pytest.mark.parametrize(
    ("form", "start"),
    [
        ("text/html", "<!DOCTYPE html>"),
        ("image/svg+xml", "<svg"),
        ("text/vnd.graphviz", "digraph"),
        ("application/json", "{"),
    ],
)
def test_trees_in_every_form(client, model, form, start):
    answer = client.get(f"{API}/digits/tree", headers={"Accept": form})
    assert answer.headers["content-type"].partition(";")[0] == form
    assert answer.headers["vary"] == "Accept"
    assert answer.text.startswith(start)
    tree = model.hierarchy
    if form == "image/svg+xml":
        assert answer.text == to_svg(tree, title="digits")
    if form == "text/vnd.graphviz":
        assert answer.text == to_graphviz(tree).source


def test_a_tree_is_drawn_once(client, monkeypatch):
    headers = {"Accept": "image/svg+xml"}
    first = client.get(f"{API}/digits/tree", headers=headers).text
    monkeypatch.setattr("nbdt.server.answers.to_svg", lambda *_, **__: pytest.fail("drawn again"))
    assert client.get(f"{API}/digits/tree", headers=headers).text == first


def test_other_forms_are_not_to_be_had(client):
    answer = client.get(f"{API}/digits/tree", headers={"Accept": "text/csv"})
    assert answer.status_code == 406
    assert "application/json, text/vnd.graphviz" in answer.json()["detail"]


@pytest.mark.parametrize("form", ["text/html", "image/svg+xml"])
def test_explanations_with_their_image(client, model, form):
    headers = {"Accept": form}
    answer = client.post(
        f"{API}/digits/explain", files={"image": ("a.png", png(3))}, headers=headers
    )
    assert answer.status_code == 200
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "data:image/" in answer.text
    array = [[[0.5] * 8] * 8]
    answer = client.post(f"{API}/digits/explain", json={"instances": [array]}, headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize(("form", "side"), [("text/html", 132), ("image/svg+xml", 84)])
def test_the_image_is_shown_in_its_own_colours(client, form, side):
    colours = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    image = encoded(Image.fromarray(colours), "PNG")
    answer = client.post(
        f"{API}/digits/explain", files={"image": ("a", image)}, headers={"Accept": form}
    )
    assert data_uri(Image.open(io.BytesIO(image)), side) in answer.text


def test_images_are_made_small_one_by_one_while_the_limits_hold(server, client, monkeypatch):
    seen, images = [], []

    def decode(*args, **options):
        alive = sum(image() is not None for image in images)
        seen.append((alive, server.worker.service.capacity.free))
        image = decode_image(*args, **options)
        images.append(weakref.ref(image))
        return image

    monkeypatch.setattr("nbdt.server.rows.decode_image", decode)
    body = {"instances": [b64(png(seed)) for seed in range(5)]}
    headers = {"Accept": "text/html"}
    answer = client.post(f"{API}/digits/explain", json=body, headers=headers)
    assert answer.text.count("data:image/png") == 5
    free = server.worker.service.capacity.free
    assert len(seen) >= 5
    assert set(seen) == {(0, free - 5)}


def test_an_svg_is_of_one_row(client):
    body = {"instances": [b64(png(1))] * 2}
    answer = client.post(f"{API}/digits/explain", json=body, headers={"Accept": "image/svg+xml"})
    assert answer.status_code == 400
    assert "text/html" in answer.json()["detail"]
    answer = client.post(f"{API}/digits/explain", json=body, headers={"Accept": "text/html"})
    assert answer.status_code == 200


@pytest.mark.parametrize("form", ["text/html", "image/svg+xml"])
def test_markup_in_names_stays_text(client, form):
    answer = client.post(
        f"{API}/markup/explain", files={"image": ("a", png(3))}, headers={"Accept": form}
    )
    assert answer.status_code == 200
    assert MARKUP not in answer.text
    tree = client.get(f"{API}/markup/tree", headers={"Accept": form})
    assert MARKUP not in tree.text
