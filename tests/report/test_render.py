"""What a report says, part by part; how it looks and works is tested in tests/browser."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import nbdt
from nbdt.classifiers import induce
from nbdt.data import LabelledImages
from nbdt.errors import InputError
from nbdt.evaluation.prototypes import KINDS
from nbdt.evaluation.tables import percent, percent_range
from nbdt.inputs.image import Preprocessing
from nbdt.model import NBDT
from nbdt.report import Measurement, Origin, measure, report, to_page
from nbdt.report.samples import Album, node_details, ranked
from nbdt.rules import Temperature
from nbdt.selective import SelectiveNBDT
from tests.report.test_measure import broken
from tests.strategies import random_hierarchy


def part(page: str, key: str) -> str:
    """The text of a section, as it can be read without scripts."""
    found = re.search(rf'<section id="{key}".*?</section>', page, re.DOTALL)
    assert found, key
    return plain(found[0])


def plain(markup: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", markup))).strip()


def data(page: str) -> Any:
    found = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


# ── one file, closed to the world ─────────────────────────────────────────────────────────────


def test_the_same_arguments_give_the_same_bytes(
    model: NBDT, digits: LabelledImages, page: str
) -> None:
    assert report(model, digits, origin=Origin(model="nearest mean", data="450 digits")) == page


def test_the_policy_allows_its_own_styles_and_script_only(page: str) -> None:
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert (len(styles), len(scripts)) == (2, 1)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    for text in (*styles, *scripts):
        assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in policy
    assert policy.startswith("default-src 'none'; ")
    assert policy.count("sha256-") == 3
    assert not re.search(r'\bstyle="|url\(|@import|<link|<iframe|\bsrc="(?!data:)', page)
    assert not re.findall(r'href="(?!#)[^"]*"', page)


def test_links_lead_somewhere(page: str) -> None:
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(set(ids)) == len(ids)
    assert set(re.findall(r'href="#([^"]*)"', page.split("<script")[0])) <= set(ids)


def test_pictures_are_bounded(found: Measurement, page: str) -> None:
    for most in (0, 7, 200):
        made = to_page(found, pictures=most)
        assert made.count("data:image/") <= most
        assert f"of at most {most} pictures" in plain(made)
    assert made.count("data:image/") > 100
    assert len(to_page(found, pictures=0)) < len(page)
    with pytest.raises(InputError, match="0 or more"):
        to_page(found, pictures=-1)


def test_a_thousand_classes_fit() -> None:
    torch.manual_seed(0)
    tree = random_hierarchy(1000, branching=3)
    noise = np.random.default_rng(0).integers(0, 255, (500, 8, 8), np.uint8)
    images = LabelledImages(
        [Image.fromarray(one) for one in noise],
        np.arange(500) * 2,
        tree.classes,
        Preprocessing(mode="L"),
    )
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 1000))
    made = report(NBDT(network, tree), images)
    assert len(made) < 2_000_000
    assert "500 of 1,000 classes have no sample" in part(made, "verdict")
    assert "None is ranked: of all 1,000, 500 have fewer than 30 samples, 500 have no" in part(
        made, "weakest"
    )


# ── what it says ──────────────────────────────────────────────────────────────────────────────


def test_the_verdict(found: Measurement, page: str) -> None:
    row = found.evaluation.accuracy.row("soft", "logsumexp")
    said = part(page, "verdict")
    assert f"Of 450 images of 450 digits , the tree classifies {row.correct} correctly" in said
    assert (
        "the network alone classifies as many. Both give the same answers by construction" in said
    )
    assert f"Tree accuracy {percent(row.accuracy)} 95 % interval" in said
    assert percent_range(row.interval) in said
    assert f"{percent(found.evaluation.calibration.answer.error)} expected calibration" in said
    assert "The model does not say what data it was trained on." in said
    assert "fewer than 30" not in said


def test_a_tree_that_differs_from_its_network(model: NBDT, digits: LabelledImages) -> None:
    tuned = NBDT(model.network, model.hierarchy, score="mean", rule="hard")
    tuned.provenance = {"data": "all <digits>"}
    found = measure(tuned, digits)
    row, network = found.evaluation.accuracy.row("hard", "mean"), found.evaluation.accuracy.network
    assert row.correct != network.correct
    made = to_page(found)
    said = part(made, "verdict")
    assert f"the tree classifies {row.correct} correctly (hard rule, mean score);" in said
    assert f"the network alone classifies {network.correct}." in said
    assert "by construction" not in said
    assert "The model says that it was trained on “all <digits>” ." in said
    assert "needs the soft rule" in part(made, "guarantee")


def test_temperatures_of_nodes_are_no_construction(model: NBDT, digits: LabelledImages) -> None:
    hot = NBDT(model.network, model.hierarchy, temperature=Temperature(2.0, {18: 3.0}))
    noted = {"data": "held out", "temperature": hot.temperature.to_dict()}
    hot.provenance = {"temperature": noted}
    found = measure(hot, digits)
    said = part(to_page(found, Origin(data="held out")), "verdict")
    assert "by construction" not in said
    assert "temperature was fitted to data of this name" in said
    made = to_page(found)
    assert "fitted to data" not in part(made, "verdict")
    assert "Temperature 2, times 3 to 3 at 1 node" in part(made, "about")
    noted["temperature"] = Temperature(3.0).to_dict()  # it has another one by now
    assert "fitted to data" not in part(to_page(found, Origin(data="held out")), "verdict")


def test_the_facts(model: NBDT, digits: LabelledImages, found: Measurement) -> None:
    origin = Origin(
        model="m", data="d", files={"model.safetensors": "ab12"}, versions={"nbdt": "9.9"},
        command="nbdt report m d", notes={"Date": "1 July 2026"},
    )  # fmt: skip
    made = to_page(found, origin)
    said = part(made, "about")
    for text in (
        "Network Sequential , 650 parameters", "Score logsumexp Temperature 1 Rule soft",
        "SHA-256 of model.safetensors ab12", "Written by nbdt 9.9", "Samples 450 Classes 10",
        f"SHA-256 of inputs and labels {found.fingerprint}", "Nodes 19, 9 of them decisions",
        "Named 9 after some of their classes", "Notes Date 1 July 2026",
        "not by nbdt train, as far as the model records",
        "records nothing else about how it was made",
    ):  # fmt: skip
        assert text in said, text
    assert "Made by nbdt report m d ; the same command reproduces it." in plain(made)
    other = to_page(measure(model, digits, rule="hard"))
    assert "Rule hard, as requested; the model’s own is soft" in part(other, "about")


def test_what_the_model_says_of_its_training(found: Measurement) -> None:
    told = NBDT(found.model.network, found.model.hierarchy)
    told.provenance = {
        "training": {
            "config": {"loss": "soft", "score": "mean", "epochs": 3, "tree_weight": 10.0},
            "epoch": 3,
            "accuracy": {"soft mean": 0.875, "odd": "x"},
        }
    }
    said = part(to_page(replace(found, model=told)), "about")
    assert "Loss soft Score mean Tree weight 10.0 Epochs 3 Accuracy then, soft mean 87.5 %" in said
    assert '"tree_weight": 10.0' in said
    told.provenance = {"training": "by hand", "long": "x" * 30_000}
    said = part(to_page(replace(found, model=told)), "about")
    assert "Tuned to the tree not by nbdt train" in said
    assert len(said) < 25_000


def test_images_left_out_are_named(model: NBDT, digits: LabelledImages) -> None:
    made = to_page(measure(model, broken(digits, set(range(60)))))
    assert "60 of 450 images could not be read" in part(made, "verdict")
    said = part(made, "about")
    assert "60 images left out" in said
    assert "sample 7: 7.png: the image is broken." in said
    assert "and 10 more" in said
    assert "sample 55:" not in said


def test_accuracy_by_rule(found: Measurement, page: str) -> None:
    said = part(page, "accuracy")
    for row in found.evaluation.accuracy.rows:
        who = "the network itself" if row.rule is None else f"tree, {row.rule} {row.score}"
        own = " this report" if (row.rule, row.score) == ("soft", "logsumexp") else ""
        counted = f"{row.correct} of 450 {percent(row.accuracy)} {percent_range(row.interval)}"
        assert f"{who}{own} {counted}" in said
        if row.top5_accuracy is not None:
            assert percent(row.top5_accuracy) in said


def test_the_weakest_come_first(found: Measurement, page: str) -> None:
    said = part(page, "weakest")
    for shares in (found.evaluation.nodes, found.evaluation.classes):
        rows = [f"{one.name} {one.correct} of {one.samples}" for one in ranked(shares)]
        places = [said.index(row) for row in rows]
        assert places == sorted(places)
        least = min((one for one in shares if one.samples), key=lambda one: one.accuracy or 0)
        assert ranked(shares)[0].accuracy == least.accuracy


def test_mistakes(found: Measurement, page: str) -> None:
    said = part(page, "mistakes")
    mistakes = found.evaluation.mistakes
    for node in mistakes.nodes[:6]:
        made = "1 mistake" if node.mistakes == 1 else f"{node.mistakes} mistakes"
        assert f"At {node.name} {made}, {percent(node.share)} of all" in said
        own = [one for one in mistakes.confusions if one.node == node.node]
        for one in own[:3]:
            told = f"{one.count} × {one.true_child_name} taken for {one.taken_child_name}"
            assert told in said
    for height, count in enumerate(mistakes.by_height[1:-1], start=1):
        assert f" {height} {count} {percent(count / mistakes.count)}" in said
    assert f"mistake is {mistakes.mean_height:.2f}" in said


def test_many_ways_to_go_wrong_at_one_node_are_summed_up(digits: LabelledImages) -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    found = measure(NBDT(network, nbdt.hierarchy.shapes.flat(list(digits.classes))), digits)
    confusions = found.evaluation.mistakes.confusions
    rest = sum(one.count for one in confusions[3:])
    assert f"{rest} in other ways" in part(to_page(found), "mistakes")


def test_a_model_that_is_always_right(found: Measurement) -> None:
    answers = found.model.predict(torch.stack([x for x, _ in found.data])).numpy()  # type: ignore[attr-defined]
    right = measure(found.model, found.data.select(answers == found.data.targets))
    made = to_page(right)
    assert "answers are right: there is nothing to show" in part(made, "mistakes")
    assert "None is ranked: of all 10, 10 are always right" in part(made, "weakest")


def test_calibration(found: Measurement, page: str) -> None:
    said = part(page, "calibration")
    calibration = found.evaluation.calibration
    assert f"Here it is {percent(calibration.answer.error)} for the answers" in said
    assert f"{percent(calibration.node_error)} for the decisions" in said
    enough = {v: one for v, one in calibration.nodes.items() if one.samples.sum() >= 100}
    worst = sorted(enough, key=lambda v: -enough[v].error)[:3]
    places = [said.index(f"{found.model.hierarchy.name(v)} error") for v in worst]
    assert places == sorted(places)
    few = part(to_page(measure(found.model, found.data.select(range(40)))), "calibration")
    assert "No decision is passed by 100 samples" in few


def test_a_guarantee_is_held_against_what_was_found(model: NBDT, digits: LabelledImages) -> None:
    fitting, judging = digits.split(0.5, seed=0)
    calibration = SelectiveNBDT(model).calibrate(fitting).calibration
    found = measure(model, judging, calibration=calibration)
    assert found.stopping is not None
    made = to_page(found)
    said = part(made, "guarantee")
    assert "Promised at least 95 % of answers contain the true class" in said
    counted = f"({found.stopping.valid} of 225; 95 % interval"
    assert f"Found here {percent(found.stopping.validity)} {counted}" in said
    assert "very samples" not in part(made, "verdict")
    assert "not calibrated" not in said
    same = to_page(measure(model, fitting, calibration=calibration))
    assert "calibrated with these very samples" in part(same, "verdict")
    assert "not calibrated to stop" in part(to_page(measure(model, judging)), "guarantee")


def test_names_lead_to_their_nodes(found: Measurement, page: str) -> None:
    tree = found.model.hierarchy
    links = re.findall(r'<a href="#view" data-node="(\d+)"><bdi>(.*?)</bdi></a>', page)
    assert {tree.name(int(node)) == name for node, name in links} == {True}
    for key in ("weakest", "mistakes", "calibration", "samples"):
        section = re.findall(rf'<section id="{key}".*?</section>', page, re.DOTALL)[0]
        assert section.count("data-node=") >= 3, key


def test_one_is_told_as_one(model: NBDT, digits: LabelledImages) -> None:
    answers = model.predict(torch.stack([x for x, _ in digits])).numpy()  # type: ignore[attr-defined]
    right, *more = np.flatnonzero(answers == digits.targets).tolist()
    wrong = np.flatnonzero(answers != digits.targets).tolist()[0]
    alone = to_page(measure(model, digits.select([right])), pictures=1)
    for key, text in {
        "verdict": "Of 1 image of", "mistakes": "The one answer is right",
        "calibration": "1 sample",
    }.items():  # fmt: skip
        assert text in part(alone, key)
    assert "at most 1 picture," in plain(alone)
    some = part(to_page(measure(model, digits.select([wrong, right, *more[:40]]))), "mistakes")
    assert "One such node accounts for 1 of 1 mistake (100.0 %)." in some
    assert "1 mistake, 100.0 % of all" in some
    left = to_page(measure(model, broken(digits, {5})))
    assert "1 of 450 images could not be read or answered and is left out" in part(left, "verdict")
    assert "1 image left out" in part(left, "about")
    for made in (alone, left):
        read = re.sub(r"<(style|script|pre|svg)\b.*?</\1>", " ", made, flags=re.DOTALL)
        assert not re.findall(r"(?<![\d,.])1 (?:samples|images|mistakes|pictures|are|have)\b",
                              plain(read))  # fmt: skip


def test_nothing_in_it_turns_a_line_around(model: NBDT, digits: LabelledImages) -> None:
    classes = [f"{name}\u202e\x1b{index}" for index, name in enumerate(digits.classes)]
    images = LabelledImages(
        [digits.image(index) for index in range(100)], digits.targets[:100], classes,
        digits.preprocessing,
    )  # fmt: skip
    odd = NBDT(model.network, induce(model.network, classes))
    odd.provenance = {"\u2066": "\u202b"}
    evil = "a\u202eb\x07"
    made = report(
        odd, images, origin=Origin(
            model=evil, data=evil, files={evil: evil}, versions={evil: evil}, command=evil,
            notes={evil: evil},
        ),
    )  # fmt: skip
    turning = [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]
    assert not set(made) & set(map(chr, [*range(10), *range(11, 32), *range(127, 160), *turning]))
    assert "a\\u202eb\\x07" in made


def test_every_node_says_how_good_it_is(found: Measurement, page: str) -> None:
    details = data(page)["details"]
    assert len(details) == len(found.model.hierarchy)
    for share in (*found.evaluation.nodes, *found.evaluation.classes):
        told = details[str(share.node)]
        facts = dict(told["facts"])
        assert (told["accuracy"], told["samples"]) == (percent(share.accuracy), share.samples)
        assert facts["95 % interval"] == percent_range(share.interval)
        assert ("Times answered" in facts) == (share.node < 10)
        assert ("Calibration error" in facts) == (share.node >= 10)
    root = details[str(found.model.hierarchy.root)]
    assert [one["caption"].split(":")[0] for one in root["prototypes"]] == [
        *("most confident",) * 2,
        *("borderline",) * 2,
        *("misrouted",) * 2,
    ]
    first = found.evaluation.prototypes.of(found.model.hierarchy.root, KINDS[0])[0]
    truth = found.data.classes[int(found.data.targets[first.index])]
    taken = found.model.hierarchy.name(first.child)
    told = f"most confident: {truth} → {taken}, {percent(first.probability)}"
    assert root["prototypes"][0]["caption"] == told


def test_a_class_without_samples_has_no_accuracy(found: Measurement) -> None:
    some = measure(found.model, found.data.select(found.data.targets != 4))
    details = node_details(some.evaluation, Album(some.data, 0))
    assert details[4].accuracy is None
    assert (details[4].samples, details[4].prototypes) == (0, ())


def test_hostile_names_stay_text(digits: LabelledImages, model: NBDT) -> None:
    evil = "</script><script>x()</script>"
    classes = [f"{evil}{index}" for index in range(10)]
    images = LabelledImages(
        [digits.image(index) for index in range(100)],
        digits.targets[:100],
        classes,
        digits.preprocessing,
    )
    hostile = NBDT(model.network, induce(model.network, classes))
    hostile.provenance = {"data": evil, evil: evil}
    origin = Origin(
        model=evil, data=evil, files={evil: evil}, versions={evil: evil}, command=evil,
        notes={evil: evil},
    )  # fmt: skip
    made = report(hostile, images, origin=origin)
    assert "<script>x" not in made
    assert made.count("<script") == 2
    assert f"How {evil} decides" in unescape(made)


def test_photographs_of_a_thousand_classes(nbdt_data: Path) -> None:
    images = nbdt.data.load_dataset("imagenet_samples", root=nbdt_data).select(range(0, 500, 25))
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(), torch.nn.Linear(48, 1000)
    )
    made = report(NBDT(network, nbdt.load_hierarchy("imagenet1k/wordnet")), images, pictures=40)
    assert len(made) < 1_500_000
    assert "n01440764.jpg" in made
