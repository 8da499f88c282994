"""`ModelConfig`: what the config.json of a saved model says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, PlainSerializer, PlainValidator, field_validator

from nbdt.classifiers import Builder, OutputKind
from nbdt.documents import CompleteDocument, Document, described, json_value
from nbdt.errors import FormatError
from nbdt.hierarchy.text import one_line
from nbdt.inputs import Input
from nbdt.rules import RULES, SCORES, Temperature

SCHEMA = "nbdt.model/1"

_OWN = re.compile(r"[\w.-]{1,100}\.py:\w{1,100}")


class FileRecord(Document):
    """The expected length of a file in bytes and its SHA-256 in hexadecimal."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


def _read_by(kind: Any, read: Callable[[Any], Any]) -> PlainValidator:
    def validate(value: Any) -> Any:
        if isinstance(value, kind):
            return value
        try:
            return read(value)
        except FormatError as error:
            raise FormatError(f"is not valid: {error}") from None

    return PlainValidator(validate)


class LibraryRecord(Document):
    """What a `Library` needs to load a network from the files that it wrote itself."""

    name: str = Field(max_length=100)
    options: dict[str, Any] = Field(default_factory=dict)


class ModelConfig(CompleteDocument):
    """The config.json of a saved model.

    Attributes:
        builder: how the network is built; None if the caller provides it on loading.
        library: what loads the network, if its own library saved it.
        outputs: what the network returns; see `nbdt.classifiers.as_logits`.
        classes: the class names, in the network's order; the same as the tree's.
        head: the path of the last linear layer, if it was given and not found.
        versions: the versions of nbdt and torch that wrote the folder.
        files: the size and hash of the other files.
        provenance: free JSON values: data, accuracy, date.
    """

    optional: ClassVar[frozenset[str]] = frozenset({"temperature", "library", "outputs"})

    builder: Builder | None = None
    library: LibraryRecord | None = None
    outputs: OutputKind = "logits"
    preprocessing: Annotated[
        Input | None,
        _read_by(Input | None, Input.from_config),
        PlainSerializer(lambda value: value and value.to_config()),
    ] = None
    classes: tuple[str, ...]
    score: str
    rule: str
    head: str | None = None
    temperature: Annotated[
        Temperature,
        _read_by(
            Temperature,
            lambda value: Temperature() if value is None else Temperature.from_dict(value),
        ),
        PlainSerializer(lambda value: None if value == Temperature() else value.to_dict()),
    ] = Temperature()
    versions: dict[str, str] = Field(default_factory=dict)
    files: dict[str, FileRecord] = Field(default_factory=dict, max_length=200)
    provenance: dict[str, Any] = Field(default_factory=dict)

    @field_validator("score", "rule", mode="before")
    @classmethod
    def _check_choice(cls, value: object, info: Any) -> object:
        allowed = tuple(SCORES if info.field_name == "score" else RULES)
        if value not in allowed:
            raise ValueError(f"must be {' or '.join(allowed)}, got {described(value)}.")
        return value

    def to_dict(self) -> dict[str, Any]:
        """The config as JSON values; a FormatError if the provenance contains anything else."""
        fields = self.model_dump(mode="json", exclude={"provenance"})
        provenance = json_value(self.provenance, "provenance")
        return {"schema": SCHEMA, **fields, "provenance": provenance}

    @classmethod
    def from_dict(cls, document: object) -> ModelConfig:
        """The config of an untrusted `to_dict` document; a FormatError names what is invalid."""
        if not isinstance(document, Mapping):
            raise FormatError(f"a config is a JSON object, got {described(document)}.")
        if document.get("schema") != SCHEMA:
            raise FormatError(
                f"the schema is {described(document.get('schema'))}; this version of nbdt reads "
                f"{SCHEMA!r}."
            )
        return super().from_dict({k: v for k, v in document.items() if k != "schema"})


def own_function(provenance: Mapping[str, Any]) -> str | None:
    """The file and function of the user's own that made a model's network, if any did."""
    made = provenance.get("network")
    return made if isinstance(made, str) and _OWN.fullmatch(made) else None


def how_to_build(config: ModelConfig) -> str:
    """What to do about a model whose network only the user's code can build."""
    made = own_function(config.provenance)
    if made is None:
        return (
            "does not say how its network is built; build it yourself and pass it, by network=… "
            "or, to a command, --network FILE.py:FUNCTION."
        )
    return (
        f"was made from {made}, whose code is run only if you name it: give a command --network "
        f"{made}, with the folder of the file before it, and Python "
        f"network=nbdt.classifiers.own_network({made!r}{_keywords(config.provenance)})."
    )


def _keywords(provenance: Mapping[str, Any]) -> str:
    arguments = provenance.get("arguments")
    known = arguments.items() if isinstance(arguments, dict) else ()
    return one_line("".join(f", {key}={value!r}" for key, value in known))[:200]
