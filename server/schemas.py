"""What answers look like, for the OpenAPI document; nothing is checked by these at run time."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from nbdt.rules import RuleName, ScoreName

EXPLANATION = "#/components/schemas/Explanation"

Share = Annotated[float, Field(ge=0, le=1.000001)]
Explanation = Annotated[dict[str, Any], WithJsonSchema({"$ref": EXPLANATION})]


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Problem(_Schema):
    """An error, as RFC 9457 has it."""

    type: Literal["about:blank"]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str


class PlainError(_Schema):
    """An error, as KServe and the Open Inference Protocol have it."""

    error: str


class ScoringError(_Schema):
    """An error, as MLflow has it."""

    error_code: str
    message: str


class ModelSummary(_Schema):
    """A model in a list of models."""

    name: str
    version: str
    generation: Annotated[int, Field(ge=1)]
    num_classes: Annotated[int, Field(ge=2)]
    score: ScoreName
    rule: RuleName


class ModelList(_Schema):
    """All models."""

    models: list[ModelSummary]


class ModelInput(_Schema):
    """What a model takes: the shape of an array (null: any length), and how images become one."""

    images: bool
    shape: list[int | None] | None
    preprocessing: dict[str, Any] | None


class ModelDescription(ModelSummary):
    """All of a model but its tree."""

    classes: list[str]
    num_nodes: Annotated[int, Field(ge=3)]
    input: ModelInput
    network: dict[str, Any] | None
    files: dict[str, Annotated[str, Field(pattern="^[0-9a-f]{64}$")]]
    provenance: dict[str, Any]


class Tree(BaseModel):
    """A tree of classes: schema ``nbdt.hierarchy/1``."""

    parents: list[Annotated[int, Field(ge=-1)]]
    names: list[str]


class Prediction(_Schema):
    """The predicted class of one row, with the product of the decisions on its path."""

    prediction: Annotated[int, Field(ge=0)]
    prediction_name: str
    probability: Share


class LikelyClass(_Schema):
    """One of the likeliest classes of a row."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    index: Annotated[int, Field(ge=0, alias="class")]
    name: str
    probability: Share


class _Answer(_Schema):
    model: str
    version: str
    rule: RuleName
    top: Annotated[
        list[list[LikelyClass]] | None, Field(description="If asked for: the likeliest classes.")
    ] = None


class Predictions(_Answer):
    """The predicted class of each row."""

    predictions: list[Prediction]


class Explanations(_Answer):
    """The path of each row."""

    explanations: list[Explanation]
    saliency: Annotated[
        list[str] | None,
        Field(description="If asked for: a picture of each path, as a data: address of a PNG."),
    ] = None


class ReloadOutcome(_Schema):
    """What became of one model."""

    name: str
    outcome: Literal["loaded", "replaced", "unchanged", "kept"]
    reason: str


class ReloadOutcomes(_Schema):
    """What became of each model."""

    models: list[ReloadOutcome]


class KServeModels(_Schema):
    """The names of the models."""

    models: list[str]


class KServeStatus(_Schema):
    """Whether a model is ready."""

    name: str
    ready: bool


class KServePredictions(_Schema):
    """The predicted class of each instance."""

    predictions: list[Prediction]


class KServeExplanations(_Schema):
    """The path of each instance."""

    explanations: list[Explanation]


class ServerMetadata(_Schema):
    """What the server is."""

    name: str
    version: str
    extensions: list[str]


class Live(_Schema):
    """Whether the server is alive."""

    live: bool


class Ready(_Schema):
    """Whether the server is ready."""

    ready: bool


class ModelReady(_Schema):
    """Whether a model is ready."""

    name: str
    ready: bool


class TensorMetadata(_Schema):
    """One input or output; −1 stands for any length."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(_Schema):
    """What a model takes and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class Tensor(_Schema):
    """One output; its data follow the JSON where binary data were asked for."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | None = None
    parameters: dict[str, int] | None = None


class InferenceAnswer(_Schema):
    """What the Open Inference Protocol answers."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[Tensor]


class ScoringAnswer(_Schema):
    """What MLflow's scoring protocol answers: explanations, where they were asked for."""

    predictions: list[Prediction | Explanation]


class Status(_Schema):
    """A word on how the service is."""

    status: str
