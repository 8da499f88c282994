"""What is told of models and answers, as values that JSON can hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from .inference import Answer
from .models import ServedModel


def summary_of(served: ServedModel) -> dict[str, Any]:
    """A model in a list of models."""
    return {
        "name": served.name,
        "version": served.version,
        "generation": served.generation,
        "num_classes": served.model.hierarchy.num_classes,
        "score": served.model.score,
        "rule": served.model.rule,
    }


def description_of(served: ServedModel) -> dict[str, Any]:
    """All that there is to know of a model but its tree."""
    model = served.model
    preprocessing, builder = model.preprocessing, model.builder
    shape = served.read.shape
    return summary_of(served) | {
        "classes": list(model.classes),
        "num_nodes": len(model.hierarchy),
        "input": {
            "images": preprocessing is not None,
            "shape": None if shape is None else list(shape),
            "preprocessing": preprocessing and preprocessing.to_dict(),
        },
        "network": builder and builder.to_dict(),
        "files": dict(served.files),
        "provenance": model.provenance,
    }


def predictions_of(served: ServedModel, answer: Answer) -> list[dict[str, Any]]:
    """The predicted class of each row.

    Its probability is the product of the decisions on its path, whatever the rule.
    """
    names = served.model.hierarchy.names
    probabilities = np.exp(np.take_along_axis(answer.log_probs, answer.predictions[:, None], 1))
    return [
        {
            "prediction": prediction,
            "prediction_name": names[prediction],
            "probability": probability,
        }
        for prediction, probability in zip(
            answer.predictions.tolist(), probabilities[:, 0].tolist(), strict=True
        )
    ]


def likeliest(served: ServedModel, answer: Answer, count: int) -> list[list[dict[str, Any]]]:
    """The likeliest classes of each row, the likeliest first; ties: the lower index."""
    names = served.model.hierarchy.names
    order = np.argsort(-answer.log_probs, axis=1, kind="stable")[:, :count]
    probabilities = np.exp(np.take_along_axis(answer.log_probs, order, 1))
    return [
        [
            {"class": leaf, "name": names[leaf], "probability": probability}
            for leaf, probability in zip(leaves, shares, strict=True)
        ]
        for leaves, shares in zip(order.tolist(), probabilities.tolist(), strict=True)
    ]


def explanations_of(answer: Answer) -> list[dict[str, Any]]:
    """The explanation of each row: schema ``nbdt.explanation/1``."""
    return [explanation.to_dict() for explanation in answer.explanations]
