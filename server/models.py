"""The served models: found, loaded, tested, and replaced while others answer.

A model has the name of its folder, and never changes. A reload loads the folder alongside the old
model, tests the new one, and only then replaces the old one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import numpy as np
from pydantic import ConfigDict

from nbdt.classifiers import own_network
from nbdt.documents import checked
from nbdt.errors import FormatError, InputError, NBDTError, NotFoundError
from nbdt.files import error_context, read_json
from nbdt.model import NBDT
from nbdt.pretrained import CONFIG, ModelConfig, own_arguments

from .errors import NotReadyError
from .inference import Answer, Inference, Question
from .logs import logger
from .parsing import InstanceList, RequestDocument, sources_of
from .rows import RowReader, Source
from .settings import Settings

GOLDEN = "golden.json"
"""An optional file in a model folder: a request for ``predict`` and its answer, in one object."""

TOLERANCE = 1e-3
"""The greatest error of a golden answer's probability: machines round differently."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_VERSION_DIGITS = 12


@dataclass(frozen=True, eq=False)
class ServedModel:
    """One loaded model.

    Attributes:
        name: the name of its folder.
        version: the first 12 digits of the SHA-256 of its config.json, which holds the hashes of
            the other files; so it identifies the whole model.
        generation: how often this process has loaded a model with this name.
        files: the SHA-256 of each file.
        read: makes the network's input of what clients send.
        infer: makes answers of the network's input.
        drawn: its tree in the forms that clients asked for, by media type.
    """

    name: str
    version: str
    generation: int
    files: Mapping[str, str]
    read: RowReader
    infer: Inference
    drawn: dict[str, str] = field(default_factory=dict)

    @property
    def model(self) -> NBDT:
        """The loaded NBDT."""
        return self.infer.model


@dataclass(frozen=True)
class Reload:
    """What a reload did with one model.

    The outcome is "loaded" (it is new), "replaced", "unchanged", "kept" (the old one, as the new
    one cannot be served) or "failed" (it is new and cannot be served); then `reason` says why, in
    one sentence.
    """

    name: str
    outcome: str
    reason: str = ""


class Registry:
    """The served models, by name. Methods block, and may be called from any thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._served: dict[str, ServedModel] = {}
        self._order: list[str] = []
        self._failed: dict[str, str] = {}
        self._reloading = Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the models that are served, in the order in which they were given."""
        return tuple(name for name in self._order if name in self._served)

    @property
    def failed(self) -> dict[str, str]:
        """Why other models cannot be served, by name."""
        return dict(self._failed)

    def get(self, name: str) -> ServedModel:
        """The model that has that name now.

        Raises a NotFoundError if there is none, and a NotReadyError if it cannot be loaded.
        """
        if name in self._failed:
            raise NotReadyError(f"the model {name!r} cannot be loaded: {self._failed[name]}")
        try:
            return self._served[name]
        except KeyError:
            known = ", ".join(self.names[:5]) + (", …" if len(self._served) > 5 else "")
            raise NotFoundError(
                f"there is no model {name!r:.80}; available: {known or 'none yet'}."
            ) from None

    def load(self) -> None:
        """Loads all models; raises an NBDTError if none can be loaded.

        One that cannot be loaded is in `failed`; if the settings are strict, it is raised.
        """
        with self._reloading:
            failed: dict[str, NBDTError] = {}
            folders = find_models(self._settings.models, failed)
            for name in _own_sources(self._settings):
                if name and name not in folders:
                    raise InputError(
                        f"{name}=… builds the network of a model {name!r}; available: "
                        f"{', '.join(folders)}."
                    )
            self._order = list(folders)
            for name, folder in folders.items():
                try:
                    self._served[name] = load_model(folder, name, self._settings)
                except NBDTError as error:
                    failed[name] = error
                except Exception as error:  # whatever a network raises that does not fit
                    if self._settings.strict or len(folders) == 1:
                        raise
                    failed[name] = FormatError(f"unexpected {type(error).__name__}: {error!s:.200}")
                if failed and self._settings.strict:
                    break
            if failed and (self._settings.strict or not self._served):
                raise next(iter(failed.values()))
            for name, reason in failed.items():
                self._failed[name] = self._reason(reason, folders.get(name))
                logger.error("the model %s cannot be loaded: %s", name, reason)

    def reload(self) -> list[Reload]:
        """Loads what has changed, and what is new in the folders.

        A model whose folder is gone or not valid stays until the process ends.
        """
        with self._reloading:
            failed: dict[str, NBDTError] = {}
            try:
                folders = find_models(self._settings.models, failed)
            except NBDTError as error:
                reason = self._reason(error)
                return [Reload(name, "kept", reason) for name in self.names]
            reasons = {name: self._reason(error) for name, error in failed.items()}
            self._failed = {name: why for name, why in reasons.items() if name not in self._served}
            gone = [name for name in self._served if name not in folders]
            self._order = [*folders, *gone]
            found = [
                *(Reload(name, "kept", reasons.get(name, "its folder is gone.")) for name in gone),
                *(Reload(name, "failed", reason) for name, reason in self._failed.items()),
                *(self._reload(name, folder) for name, folder in folders.items()),
            ]
            self._failed |= {one.name: one.reason for one in found if one.outcome == "failed"}
            return found

    def _reason(self, error: Exception, folder: Path | None = None) -> str:
        """Why a model cannot be served, without paths, which clients should not learn."""
        own = (Path(source.rpartition(":")[0]) for source in _own_sources(self._settings).values())
        reason = str(error)
        if folder is not None and isinstance(error, NBDTError):
            reason = reason.replace(f"{folder}/", "")
        for place in (*([] if folder is None else [folder]), *own, *self._settings.models):
            if place.name:
                reason = reason.replace(str(place), place.name)
        return reason

    def _reload(self, name: str, folder: Path) -> Reload:
        old = self._served.get(name)
        lacking = "failed" if old is None else "kept"
        try:
            if old is not None and _config_digest(folder)[:_VERSION_DIGITS] == old.version:
                return Reload(name, "unchanged")
            generation = 1 if old is None else old.generation + 1
            self._served[name] = load_model(folder, name, self._settings, generation)
        except NBDTError as error:
            return Reload(name, lacking, self._reason(error, folder))
        except Exception as error:  # whatever a network raises that does not fit its weights
            reason = self._reason(error, folder)
            return Reload(name, lacking, f"unexpected {type(error).__name__}: {reason:.200}")
        return Reload(name, "loaded" if old is None else "replaced")


def find_models(
    sources: Sequence[Path], failed: dict[str, NBDTError] | None = None
) -> dict[str, Path]:
    """The model folders among these folders and in them, by name, in this order.

    Those inside of a folder are sorted. A folder without models, or with a name that cannot be part
    of a URL, is an `NBDTError`, or an entry of `failed`, if given; two models of one name are an
    error in any case.
    """
    found: dict[str, Path] = {}
    for source in sources:
        try:
            folders = _models_in(source)
        except NBDTError as error:
            if failed is None or len(sources) == 1:
                raise
            failed[source.name] = error
            continue
        for folder in folders:
            name = folder.resolve().name
            if not _NAME.fullmatch(name):
                odd = InputError(
                    f"{folder}: a model is called like its folder, so that may have letters, "
                    "digits, '.', '_' and '-' only, 100 at most."
                )
                if failed is None:
                    raise odd
                failed[name] = odd
                continue
            if name in found and found[name].resolve() != folder.resolve():
                raise InputError(f"{folder} and {found[name]} have one name; rename one of them.")
            found.setdefault(name, folder)
    if not found:
        if failed:
            raise next(iter(failed.values()))
        raise NotFoundError("no model is given; name the folder of one, or a folder of them.")
    return found


def _models_in(source: Path) -> list[Path]:
    if not source.is_dir():
        raise NotFoundError(f"{source}: no such folder.")
    try:
        inside = sorted(source.iterdir())
    except OSError as error:
        raise InputError(f"{source}: cannot be read: {error.strerror}.") from None
    folders = [source] if (source / CONFIG).is_file() else inside
    models = [folder for folder in folders if (folder / CONFIG).is_file()]
    # A folder whose name begins with a dot is one that is being written.
    models = [folder for folder in models if folder == source or folder.name[0] != "."]
    if not models:
        raise NotFoundError(f"{source}: neither it nor a folder in it holds a {CONFIG}.")
    return models


def load_model(folder: Path, name: str, settings: Settings, generation: int = 1) -> ServedModel:
    """Loads a model folder and tests it.

    Where its input's shape is known, the network must answer a random row alone as in a batch; and
    where the folder holds a `GOLDEN` file, the model must answer it as expected.
    """
    digest = _config_digest(folder)
    with error_context(folder / CONFIG):
        config = ModelConfig.from_dict(read_json(folder / CONFIG))
    own = _own_sources(settings)
    source = own.get(name, own.get("") if config.builder is None else None)
    network = None if source is None else own_network(source, **own_arguments(folder))
    model = NBDT.from_pretrained(folder, network=network)
    if _config_digest(folder) != digest:
        raise FormatError(f"{folder}: the model was replaced while it was read; try again.")
    served = ServedModel(
        name=name,
        version=digest[:_VERSION_DIGITS],
        generation=generation,
        files={CONFIG: digest} | {file: one.sha256 for file, one in config.files.items()},
        read=RowReader(model.preprocessing, settings),
        infer=Inference(model),
    )
    with error_context(folder):
        _try_out(served)
    if (folder / GOLDEN).exists():
        with error_context(folder / GOLDEN):
            golden = checked(_Golden, read_json(folder / GOLDEN))
            _compare(served, golden, settings.request_rows)
    return served


def _own_sources(settings: Settings) -> dict[str, str]:
    """The code that builds each model's network, by model name; "" is the default."""
    found: dict[str, str] = {}
    for entry in settings.networks:
        model, equals, source = entry.partition("=")
        if not equals or not _NAME.fullmatch(model):
            model, source = "", entry
        if model in found:
            whose = f"model {model!r}" if model else "all models, or all others"
            raise InputError(f"two networks are given for {whose}: {found[model]} and {source}.")
        found[model] = source
    return found


def _config_digest(folder: Path) -> str:
    try:
        return hashlib.sha256((folder / CONFIG).read_bytes()).hexdigest()
    except OSError as error:
        raise NotFoundError(f"{folder / CONFIG}: cannot be read: {error.strerror}.") from None


def _answered(
    served: ServedModel, sources: list[Source], at: tuple[int, ...] | None = None
) -> Answer:
    question = Question(served.read(sources), served.model.rule, explain=True, at=at)
    (answer,) = served.infer([question])
    if isinstance(answer, Exception):
        raise answer
    return answer


def _try_out(served: ServedModel) -> None:
    """Warms the model up, and checks that batching changes no answer."""
    sources = _samples_to_try(served.read)
    if not sources:
        return
    at = served.infer.first_site(served.read(sources[:1])[0])
    together, alone = _answered(served, sources, at), _answered(served, sources[-1:], at)
    if not np.allclose(np.exp(together.log_probs[-1]), np.exp(alone.log_probs[0]), atol=TOLERANCE):
        raise FormatError("the network answers a row otherwise in a batch than alone.")


def _samples_to_try(read: RowReader) -> list[Source]:
    """Examples of what a model reads, or random arrays of the network's own input."""
    schema = read.schema
    if examples := schema.get("examples"):
        return [examples[0]] * 4
    sides = [side for side in read.shape or () if side is not None]
    takes_arrays = read.reads_images or schema.get("type") == "array"
    if read.shape is None or len(sides) < len(read.shape) or not takes_arrays:
        return []
    return list(np.random.default_rng(0).standard_normal((4, *sides), dtype=np.float32))


class _GoldenPrediction(RequestDocument):
    prediction: int
    probability: float


class _Golden(RequestDocument):
    model_config = ConfigDict(title="the file")
    instances: InstanceList
    predictions: list[_GoldenPrediction]


def _compare(served: ServedModel, golden: _Golden, limit: int) -> None:
    """Refuses a model that does not answer its golden request as expected."""
    answer = _answered(served, sources_of(golden.instances, limit))
    if len(golden.predictions) != len(answer.predictions):
        raise FormatError(f"expected {len(answer.predictions)} predictions.")
    for index, (wanted, prediction) in enumerate(
        zip(golden.predictions, answer.predictions, strict=True)
    ):
        probability = float(np.exp(answer.log_probs[index, prediction]))
        off = abs(wanted.probability - probability)
        if wanted.prediction != prediction or off > TOLERANCE:
            raise FormatError(
                f"row {index} is predicted as class {prediction} ({probability:.4f}), not as "
                f"{wanted.prediction} ({wanted.probability:.4f})."
            )
