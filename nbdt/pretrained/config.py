"""`ModelConfig`: what the config.json of a saved model says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nbdt.classifiers import Builder
from nbdt.documents import described, json_value
from nbdt.errors import FormatError
from nbdt.inputs.image import Preprocessing
from nbdt.rules import RULES, SCORES, Temperature

SCHEMA = "nbdt.model/1"

_KEYS = {
    "schema",
    "builder",
    "preprocessing",
    "classes",
    "score",
    "rule",
    "head",
    "versions",
    "files",
    "provenance",
}
# Folders written before there was such a thing lack it.
_OPTIONAL = {"temperature"}
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FileRecord:
    """What a file has to be: its length in bytes and its SHA-256 in hexadecimal.

    Example:
        >>> FileRecord(0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855").bytes
        0
    """

    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What the config.json of a saved model says.

    Args:
        classes: the class names, in the network's order; those of the tree.
        score: "mean" or "logsumexp".
        rule: "soft" or "hard".
        builder: how the network is built; None where the one who loads brings it along.
        preprocessing: how an image becomes its input, if that is known.
        head: the path of the last linear layer, where it was given and not found.
        temperature: what the logits, or the scores at single nodes, are divided by.
        versions: the versions of nbdt and torch that wrote the folder.
        files: the other files.
        provenance: whatever its makers want to say: data, accuracy, date.

    Example:
        >>> config = ModelConfig(classes=("cat", "dog"), score="mean", rule="soft")
        >>> ModelConfig.from_dict(config.to_dict()) == config
        True
    """

    classes: tuple[str, ...]
    score: str
    rule: str
    builder: Builder | None = None
    preprocessing: Preprocessing | None = None
    head: str | None = None
    temperature: Temperature = field(default_factory=Temperature)
    versions: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, FileRecord] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The config as values that JSON can hold.

        Raises:
            FormatError: the provenance holds something that JSON cannot.
        """
        return {
            "schema": SCHEMA,
            "builder": self.builder and self.builder.to_dict(),
            "preprocessing": self.preprocessing and self.preprocessing.to_dict(),
            "classes": list(self.classes),
            "score": self.score,
            "rule": self.rule,
            "head": self.head,
            "temperature": None
            if self.temperature == Temperature()
            else self.temperature.to_dict(),
            "versions": dict(self.versions),
            "files": {
                name: {"bytes": record.bytes, "sha256": record.sha256}
                for name, record in self.files.items()
            },
            "provenance": json_value(self.provenance, "provenance"),
        }

    @classmethod
    def from_dict(cls, document: object) -> ModelConfig:
        """The config that `to_dict` gave; the document may come from a stranger.

        Raises:
            FormatError: the schema is another, keys are missing or unknown, or a value is not
                valid; the message names it.
        """
        if not isinstance(document, Mapping):
            raise FormatError(f"a config is a JSON object, got {described(document)}.")
        if document.get("schema") != SCHEMA:
            raise FormatError(
                f"the schema is {described(document.get('schema'))}; this version of nbdt reads "
                f"{SCHEMA!r}."
            )
        wrong = sorted(map(str, _KEYS.symmetric_difference(document.keys() - _OPTIONAL)))
        if wrong:
            state = "unknown" if wrong[0] in document else "missing"
            raise FormatError(f"the key {described(wrong[0])} is {state}.")
        builder, preprocessing = document["builder"], document["preprocessing"]
        temperature = document.get("temperature")
        return cls(
            classes=_texts("classes", document["classes"]),
            score=_choice("score", document["score"], SCORES),
            rule=_choice("rule", document["rule"], RULES),
            builder=None if builder is None else Builder.from_dict(builder),
            preprocessing=(
                None if preprocessing is None else Preprocessing.from_dict(preprocessing)
            ),
            head=None if document["head"] is None else _text("head", document["head"]),
            temperature=(
                Temperature() if temperature is None else Temperature.from_dict(temperature)
            ),
            versions={
                key: _text("versions", value)
                for key, value in _mapping("versions", document["versions"]).items()
            },
            files={
                name: _record(name, value)
                for name, value in _mapping("files", document["files"]).items()
            },
            provenance=json_value(_mapping("provenance", document["provenance"]), "provenance"),
        )


def _mapping(key: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise FormatError(f"{key} has to be an object, got {described(value)}.")
    return value


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise FormatError(f"{key} has to be a text, got {described(value)}.")
    return value


def _texts(key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise FormatError(f"{key} has to be a list, got {described(value)}.")
    return tuple(_text(f"an entry of {key}", entry) for entry in value)


def _choice(key: str, value: object, allowed: Mapping[str, object]) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise FormatError(f"{key} has to be {' or '.join(allowed)}, got {described(value)}.")
    return value


def _record(name: str, value: object) -> FileRecord:
    entry = _mapping(f"files[{described(name)}]", value)
    length, digest = entry.get("bytes"), entry.get("sha256")
    if (
        set(entry) != {"bytes", "sha256"}
        or type(length) is not int
        or length < 0
        or not isinstance(digest, str)
        or not _SHA256.fullmatch(digest)
    ):
        raise FormatError(
            f"files[{described(name)}] needs bytes, a length, and sha256, 64 hexadecimal digits."
        )
    return FileRecord(length, digest)
