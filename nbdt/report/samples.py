"""Single samples with the decisions that led to their answers."""

from __future__ import annotations

import math

import torch

from nbdt.data.batches import moved, weights_device
from nbdt.explain import Decision, Explanation
from nbdt.explain.percent import percent
from nbdt.report.album import Album
from nbdt.report.choose import Group
from nbdt.report.markup import Content, Markup, element, join, more, name, section, table
from nbdt.report.measure import Measurement


def samples(found: Measurement, groups: list[Group], album: Album) -> Markup:
    """The chosen samples, each with its picture, its answer and, folded, its path."""
    parts = []
    for group in groups:
        explanations = _explained(found, group)
        cards = [
            _card(found, index, explanation, album)
            for index, explanation in zip(group.indices, explanations, strict=True)
        ]
        parts += [
            element("h3", group.title),
            element("p", group.rule, class_="hint"),
            element("div", cards, class_="cards samples"),
        ]
    intro = element(
        "p", "Chosen by the rules stated, none by hand; a sample is shown where it fits first."
    )
    return section("samples", "Samples, explained", intro, parts)


def _explained(found: Measurement, group: Group) -> list[Explanation]:
    inputs = torch.stack([found.data[index][0] for index in group.indices])
    inputs = moved(inputs, weights_device(found.model))
    return list(found.model.explain(inputs, rule=found.evaluation.rule))


def _card(found: Measurement, index: int, explanation: Explanation, album: Album) -> Markup:
    right = explanation.prediction == int(found.data.targets[index])
    verdict = "right" if right else "wrong"
    picture = album.thumbnail(index)
    closest = explanation.closest
    sibling = closest.nearest_sibling
    return element(
        "article",
        picture,
        element(
            "div",
            element("p", name(album.sample_name(index)), class_="hint"),
            element(
                "p",
                element("strong", name(explanation.prediction_name)),
                f" ({percent(explanation.probability)}) ",
                element("span", verdict, class_=f"tag {verdict}"),
            ),
            None if right else element("p", "True class: ", name(album.class_name(index)), "."),
            element(
                "p",
                "Against the odds: " if closest.contrary else "Closest decision: ",
                name(closest.child_name),
                f" ({percent(closest.probability)}) over ",
                name(closest.name_of(sibling)),
                f" ({percent(closest.probability_of(sibling))}).",
            ),
            None if explanation.agrees else _disagreement(explanation),
            more(f"The path: {_count(len(explanation.path))}", _path(explanation, index)),
        ),
    )


def _disagreement(explanation: Explanation) -> Markup:
    return element(
        "p", "The network by itself says ", name(explanation.network_prediction_name), "."
    )


def _path(explanation: Explanation, index: int) -> Markup:
    rows = [_step(decision) for decision in explanation.path]
    runner_up = join(
        "Runner-up: ",
        name(explanation.runner_up_name),
        f" ({percent(explanation.runner_up_probability)}); the two part at ",
        name(explanation.parts_at_name),
        ".",
    )
    taken = join("taken, from ", name(explanation.path[0].node_name), " on")
    headings: list[Content] = [taken, "rather than", "lead"]
    return join(
        table(f"The path of sample {index}", headings, rows, words=2), element("p", runner_up)
    )


def _step(decision: Decision) -> list[Content]:
    sibling = decision.nearest_sibling
    lead = f"{decision.margin:.2f}" if math.isfinite(decision.margin) else "∞"
    return [
        join(element("strong", name(decision.child_name)), f" ({percent(decision.probability)})"),
        join(name(decision.name_of(sibling)), f" ({percent(decision.probability_of(sibling))})"),
        lead.replace("-", "−"),
    ]


def _count(decisions: int) -> str:
    return f"{decisions} decision{'s' * (decisions != 1)}"
