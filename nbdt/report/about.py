"""What was measured, and on what: the model, its tree, its making, the data."""

from __future__ import annotations

import json
from collections import Counter
from importlib import metadata
from typing import Any

import torch

from nbdt.evaluation.text import percent
from nbdt.hierarchy import Hierarchy
from nbdt.report.album import file_of
from nbdt.report.markup import Content, Markup, counted, element, facts, join, more, name, section
from nbdt.report.measure import Measurement
from nbdt.report.origin import Origin

_LONGEST = 20_000  # characters of what a model says of itself
_LISTED = 50  # images that are named as left out


def about(found: Measurement, origin: Origin) -> Markup:
    """The facts about the model, its training and its tree, and about the data."""
    model = found.model
    left = [_group("The model", _model(found, origin)), _group("The tree", _tree(found))]
    right = [
        _group("The data", _data(found, origin)),
        _group("Training", _training(model.provenance)),
        _group("Notes", [(key, name(text)) for key, text in origin.notes.items()]),
    ]
    columns = [element("div", one) for one in (left, right)]
    return section(
        "about",
        "What was measured",
        element("div", columns, class_="columns-of-facts"),
        _said_by_model(model.provenance),
        _left_out(found),
    )


def _group(title: str, said: list[tuple[str, Content]]) -> Markup | None:
    return join(element("h3", title), facts(*said)) if said else None


def _model(found: Measurement, origin: Origin) -> list[tuple[str, Content]]:
    model = found.model
    builder = model.builder.name if model.builder else type(model.network).__name__
    parameters = sum(parameter.numel() for parameter in model.parameters())
    versions = ", ".join(f"{key} {value}" for key, value in origin.versions.items())
    return [
        ("Name", name(origin.model)),
        ("Network", join(name(builder), f", {parameters:,} parameters")),
        ("Score", model.score),
        ("Temperature", str(model.temperature).removeprefix("temperature ")),
        ("Rule", f"{found.evaluation.rule}{_not_its_own(found)}"),
        *((f"SHA-256 of {key}", element("code", value)) for key, value in origin.files.items()),
        ("Written by", versions),
        ("Measured by", f"nbdt {metadata.version('nbdt-toolkit')}, torch {torch.__version__}"),
    ]


def _not_its_own(found: Measurement) -> str:
    own = found.model.rule
    return "" if own == found.evaluation.rule else f", as asked for; the model’s own is {own}"


def _data(found: Measurement, origin: Origin) -> list[tuple[str, Content]]:
    shares = found.evaluation.classes
    sampled = sum(share.samples > 0 for share in shares)
    partly = "" if sampled == len(shares) else f", {sampled:,} with samples"
    steps = found.data.preprocessing.to_dict()
    return [
        ("Name", name(origin.data)),
        ("Samples", f"{found.evaluation.samples:,}"),
        ("Classes", f"{len(shares):,}{partly}"),
        ("Preprocessing", element("code", json.dumps(steps))),
        ("SHA-256 of inputs and labels", element("code", found.fingerprint)),
    ]


def _tree(found: Measurement) -> list[tuple[str, Content]]:
    tree = found.model.hierarchy
    sources = Counter(_naming(tree, node) for node in tree.inner)
    named = [f"{count:,} {source}" for source, count in sources.most_common()]
    clustered = tree.merge_heights is not None
    return [
        ("Nodes", f"{len(tree):,}, of them {len(tree.inner):,} that decide"),
        ("Decisions on a path", f"at most {int(tree.depths.max())}"),
        ("Made by", "clustering" if clustered else None),
        ("Named", name("; ".join(named))),
    ]


def _naming(tree: Hierarchy, node: int) -> str:
    if not tree.names[node]:
        return "by their classes, having no name of their own"
    source = tree.attributes(node).get("name_source")
    if source is None:
        return "by whoever made the tree"
    told = {
        "taxonomy": "after the nearest concept of a taxonomy",
        "leaves": "after some of their classes",
    }
    return told.get(str(source), f"by {source}")


def _training(provenance: dict[str, Any]) -> list[tuple[str, Content]]:
    """What the model says of its training, as `nbdt.training` notes it."""
    said = provenance.get("training")
    config = said.get("config") if isinstance(said, dict) else None
    if not isinstance(said, dict) or not isinstance(config, dict):
        return [("Tuned to the tree", "not by nbdt train, as far as the model says")]
    told: list[tuple[str, Content]] = [
        (key.replace("_", " ").capitalize(), str(config[key]).replace("_", " "))
        for key in ("loss", "score", "tree_weight", "epochs", "learning_rate", "seed")
        if config.get(key) is not None
    ]
    accuracy = said.get("accuracy")
    if isinstance(accuracy, dict):
        told += [
            (f"Accuracy then, {way}", f"{percent(share)}")
            for way, share in accuracy.items()
            if isinstance(share, float) and 0 <= share <= 1
        ]
    return told


def _said_by_model(provenance: dict[str, Any]) -> Markup:
    if not provenance:
        return element("p", "The model says nothing else of its making.", class_="hint")
    text = json.dumps(provenance, indent=1, ensure_ascii=False)
    cut = text if len(text) <= _LONGEST else text[:_LONGEST] + "\n…"
    return more(
        "All that the model says of its making (nothing of it was checked here)",
        element("pre", cut, tabindex="0"),
    )


def _left_out(found: Measurement) -> Markup | None:
    if not found.left_out:
        return None
    rows = [
        element("li", f"sample {index}: ", name(_without_folders(found, index, reason)))
        for index, reason in list(found.left_out.items())[:_LISTED]
    ]
    rest = len(found.left_out) - len(rows)
    return more(
        f"{counted(len(found.left_out), 'image')} left out",
        element("ul", rows, element("li", f"and {rest:,} more") if rest else None),
    )


def _without_folders(found: Measurement, index: int, reason: str) -> str:
    """The reason with the name of the sample's file for its path; see `Album.sample_name`."""
    path = file_of(found.data, index)
    return reason if path is None else reason.replace(str(path), path.name)
