"""Single samples with the decisions that led to their answers."""

from __future__ import annotations

import math

from nbdt.errors import InputError
from nbdt.explain import Decision, Explanation, explain_logits
from nbdt.explain.percent import percent
from nbdt.report.album import Album
from nbdt.report.choose import Group
from nbdt.report.markup import (
    Content,
    Markup,
    counted,
    element,
    join,
    more,
    name,
    node_name,
    section,
    table,
)
from nbdt.report.measure import Measurement
from nbdt.run import answers


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
    model = found.model
    run = answers(model, found.data.select(group.indices), on_failure="keep")
    explanations = [
        explanation
        for block in run
        for explanation in explain_logits(
            block.logits,
            model.layout,
            score=model.score,
            rule=found.evaluation.rule,
            geometry=model.geometry(),
            temperature=model.temperature,
        )
    ]
    if run.failures:
        raise InputError("; ".join(run.failures.values()))
    return explanations


def _card(found: Measurement, index: int, explanation: Explanation, album: Album) -> Markup:
    label = int(found.data.targets[index])
    right = explanation.prediction == label
    truth = node_name(label, album.class_name(index))
    verdict = "right" if right else "wrong"
    picture = album.thumbnail(index)
    return element(
        "article",
        picture,
        element(
            "div",
            element("p", name(album.sample_name(index)), class_="hint"),
            element(
                "p",
                element("strong", node_name(explanation.prediction, explanation.prediction_name)),
                f" ({_share(explanation.probability)}) ",
                element("span", verdict, class_=f"tag {verdict}"),
            ),
            None if right else element("p", "True class: ", truth, "."),
            None if explanation.agrees else _disagreement(explanation),
            element("p", _closest(explanation)),
            more(
                f"The path: {counted(len(explanation.path), 'decision')}",
                _path(explanation, index),
            ),
        ),
    )


# What follows says it in the sentences of Explanation.to_text, with the names as links.


def _disagreement(explanation: Explanation) -> Markup:
    network = node_name(explanation.network_prediction, explanation.network_prediction_name)
    return element("p", "The network says ", network, ".")


def _closest(explanation: Explanation) -> Markup:
    closest = explanation.closest
    taken, other = _child(closest, closest.child), _child(closest, closest.nearest_sibling)
    where = node_name(closest.node, closest.node_name)
    if len(explanation.path) > 1:
        if closest.contrary:
            end = ", as the whole path is likelier."
            return join("At ", where, " it takes ", taken, " against ", other, end)
        return join("Closest decision: ", taken, " over ", other, " at ", where, ".")
    others = len(closest.children) - 2
    more = f" and {others} more" if others else ""
    if closest.contrary:
        end = ", as no class there is as likely."
        return join("One decision: ", taken, " against ", other, more, end)
    return join("One decision: ", taken, " over ", other, more, ".")


def _path(explanation: Explanation, index: int) -> Markup:
    rows = [_step(decision) for decision in explanation.path]
    start = explanation.path[0]
    taken = join("taken, from ", node_name(start.node, start.node_name), " on")
    headings: list[Content] = [taken, "rather than", "lead"]
    return join(
        table(f"The path of sample {index}", headings, rows, words=2),
        element(
            "p",
            "Runner-up: ",
            _sure(
                explanation.runner_up,
                explanation.runner_up_name,
                explanation.runner_up_probability,
            ),
            "; the paths diverge at ",
            node_name(explanation.diverges_at, explanation.diverges_at_name),
            ".",
        ),
    )


def _step(decision: Decision) -> list[Content]:
    lead = f"{decision.margin:.2f}" if math.isfinite(decision.margin) else "∞"
    return [
        element("strong", _child(decision, decision.child)),
        _child(decision, decision.nearest_sibling),
        lead.replace("-", "−"),
    ]


def _child(decision: Decision, child: int) -> Markup:
    return _sure(child, decision.name_of(child), decision.probability_of(child))


def _sure(node: int, called: str, probability: float) -> Markup:
    return join(node_name(node, called), f" ({_share(probability)})")


def _share(probability: float) -> str:
    return percent(probability).replace(" ", "\N{NO-BREAK SPACE}")
