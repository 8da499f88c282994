"""`nbdt convert`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer
from torch import nn

from nbdt.classifiers import (
    OutputKind,
    build,
    find_head,
    induce,
    input_of,
    is_own,
    likely_info,
    open_classifier,
    own_network,
    own_source,
    weights_info,
)
from nbdt.classifiers.base import builders
from nbdt.cli.inputs import read_classes, read_options, read_tree
from nbdt.cli.labelled import LabelOption
from nbdt.cli.models import as_given
from nbdt.cli.options import (
    BranchingOption,
    ClassesOption,
    JsonOption,
    LinkageOption,
    MetricOption,
    NoNormalizeOption,
    argument,
    given,
    option,
    rule_option,
)
from nbdt.cli.output import note, say, say_json, working
from nbdt.cli.samples import ColumnOption, IgnoreOption
from nbdt.cli.tree.files import in_words, size_of
from nbdt.conversion import convert as convert_classifier
from nbdt.data import load_dataset
from nbdt.data.rows import is_rows, unlabelled_rows
from nbdt.documents import parsed_json
from nbdt.errors import FormatError, InputError, NBDTError
from nbdt.files import error_context
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.edit import reorder
from nbdt.hierarchy.naming import name_by_taxonomy
from nbdt.inputs import TableInput
from nbdt.inputs.frames import SUFFIXES, read_table
from nbdt.inputs.image import Preprocessing
from nbdt.model import NBDT
from nbdt.pretrained import load_checkpoint
from nbdt.rules import RuleName, ScoreName

# Names of published weights never end in these.
CHECKPOINTS = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".pkl", ".tar")

app = typer.Typer(add_completion=False)


@app.command(
    epilog="Examples: nbdt convert torchvision:resnet50 --weights DEFAULT -o resnet50-tree\n\n"
    "nbdt convert nbdt:cifar-resnet20 --weights cifar10.safetensors --classes cifar10 "
    """--preprocessing '{"resize": [32, 32]}' -o my-model\n\n"""
    "nbdt convert model.onnx -o my-model\n\n"
    "nbdt convert model.skops --samples adult.csv --label income -o my-model"
)
def convert(
    source: Annotated[
        str,
        argument(
            "CLASSIFIER",
            "A trained one: model.onnx, model.skops or transformers:FOLDER. Or a network, with "
            "--weights: torchvision:NAME, timm:NAME, nbdt:NAME (the project's own), or your own, "
            "built by FILE.py:FUNCTION.",
        ),
    ],
    output: Annotated[str, option("--output -o FOLDER", "The model's folder.")],
    weights: Annotated[
        str | None,
        option(
            "--weights FILE",
            "A network's: a safetensors file, or the name of published weights, such as DEFAULT, "
            "which are downloaded if missing.",
        ),
    ] = None,
    samples: Annotated[
        str | None,
        option(
            "--samples DATA",
            "Samples for the tree of a classifier without a row per class, and for the types of a "
            "table's columns: a table, texts, arrays, or a folder with a subfolder per class.",
        ),
    ] = None,
    label: LabelOption = None,
    column: ColumnOption = None,
    ignore: IgnoreOption = None,
    outputs: Annotated[
        OutputKind | None,
        option(
            "--outputs KIND",
            "What the classifier gives: logits, log_probs or probabilities.",
            shown="logits",
        ),
    ] = None,
    classes: ClassesOption = None,
    tree: Annotated[
        str | None,
        option(
            "--tree TREE",
            "A bundled tree or a file.",
            shown="induced from the last layer's weights",
        ),
    ] = None,
    linkage: LinkageOption = None,
    metric: MetricOption = None,
    branching: BranchingOption = None,
    no_normalize: NoNormalizeOption = False,
    name_by: Annotated[
        str | None, option("--name-by TREE", "Name inner nodes after the concepts of this tree.")
    ] = None,
    score: Annotated[
        ScoreName | None,
        option(
            "--score SCORE",
            "How a node is scored: logsumexp for an untuned network, mean for one tuned to "
            "its tree.",
            shown="logsumexp",
        ),
    ] = None,
    rule: Annotated[RuleName | None, rule_option("soft")] = None,
    preprocessing: Annotated[
        str | None,
        option(
            "--preprocessing JSON",
            'How an image becomes the network\'s input: JSON such as {"resize": 256, "crop": '
            "224}, a file of it, or the name of published weights that share it.",
        ),
    ] = None,
    head: Annotated[
        str | None, option("--head PATH", "The last linear layer, if it isn't found.")
    ] = None,
    argument: Annotated[
        list[str] | None,
        option(
            "--argument KEY=VALUE",
            "An argument of the network, such as in_channels=3; repeatable.",
        ),
    ] = None,
    trust_pickle: Annotated[
        bool,
        option(
            "--trust-pickle",
            "Read weights even from a pickle (torch.save), which can run any code.",
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Make a model folder from a trained classifier and a tree of its classes."""
    induction = given(
        linkage=linkage,
        metric=metric,
        branching=branching,
        normalize=False if no_normalize else None,
    )
    if tree is not None and induction:
        raise InputError(
            "--linkage, --metric, --branching and --no-normalize apply to induced trees; leave out "
            "them or --tree."
        )
    names: Sequence[str] | None = None if classes is None else read_classes(classes)
    own_tree = None if tree is None else read_tree(tree)
    if own_tree is not None:
        own_tree = own_tree if names is None else _in_order(own_tree, names, f"{tree}")
        names = own_tree.classes
    taxonomy = None if name_by is None else read_tree(name_by)
    steps = None if preprocessing is None else _preprocessing(preprocessing, source)
    arguments = dict(map(_argument, argument or ()))

    if weights is None:
        classifier = _opened(source)
        with working("Building the tree …"):
            X, y = _samples(samples, label, column, ignore or (), classifier)  # noqa: N806
            model = convert_classifier(
                classifier,
                X,
                y,
                tree=own_tree,
                classes=names,
                head=head,
                preprocessing=steps,
                **induction,
                **given(score=score, rule=rule, outputs=outputs),
            )
            model.provenance["network"] = Path(source).name
            _finish(model, output, tree, taxonomy, json)
        return
    if samples is not None or label is not None:
        raise InputError("--samples and --label go with a classifier in a file, without --weights.")
    if is_own(source):
        network = own_network(source, **arguments)
        load_checkpoint(network, Path(weights), trust_pickle=trust_pickle)
    elif _is_file(weights):
        arguments |= {} if names is None else {"num_classes": len(names)}
        network = build(source, **arguments)
        load_checkpoint(network, Path(weights), trust_pickle=trust_pickle)
        names, steps = _as_published(source, weights, arguments.get("num_classes"), names, steps)
    else:
        known = weights_info(source, weights)
        names = names or known.classes
        steps = steps or known.preprocessing
        # torch reports downloads on standard output, which is for results.
        with redirect_stdout(sys.stderr):
            network = build(source, weights=weights, **arguments)
    with working("Building the tree …"):
        hierarchy = own_tree or induce(network, names, head=head, **induction)
        if taxonomy is not None:
            rows = None if own_tree else _rows(network, head, hierarchy, not no_normalize)
            hierarchy = name_by_taxonomy(hierarchy, taxonomy, rows)
        model = NBDT(
            network,
            hierarchy,
            preprocessing=steps,
            head=head,
            **given(score=score, rule=rule),
        )
        model.provenance = {
            "network": source,
            **own_source(network),
            "weights": Path(weights).name,
        }
    _finish(model, output, tree, None, json, source if is_own(source) else None)


def _finish(
    model: NBDT,
    output: str,
    tree: str | None,
    taxonomy: Hierarchy | None,
    json: bool,
    own: str | None = None,
) -> None:
    """Saves the model and says what it is."""
    if taxonomy is not None:
        model.hierarchy = name_by_taxonomy(model.hierarchy, taxonomy)
    model.provenance["tree"] = tree or "induced"
    model.save_pretrained(output)
    if json:
        options = {"score": model.score, "rule": model.rule}
        say_json({"output": output, **size_of(model.hierarchy), **options})
    else:
        shown = f"{in_words(model.hierarchy)}; score {model.score}, rule {model.rule}"
        say(f"Wrote {output}: {shown}.")
        if model.preprocessing is not None:
            say(f"Next: nbdt explain {output} {model.preprocessing.noun.upper()} …{as_given(own)}")
    if model.preprocessing is None:
        note(
            "the model has no preprocessing from an image to its input, so nbdt explain cannot use "
            "it; give --preprocessing."
        )


def _opened(source: str) -> Any:
    """The classifier in a file or a library's folder."""
    if is_own(source) or source.partition(":")[0] in builders():
        raise InputError(
            f"{source}: give the network's weights: --weights FILE, or the name of published ones, "
            "such as DEFAULT."
        )
    return open_classifier(source)


def _samples(
    data: str | None, label: str | None, column: str | None, ignore: Sequence[str], classifier: Any
) -> tuple[Any, list[str] | None]:
    """Samples in any form that the classifier reads, and their classes if they are labeled."""
    if data is None:
        if label is not None:
            raise InputError("--label names a column of --samples; give both.")
        return None, None
    reader = input_of(classifier)
    if isinstance(reader, TableInput) and Path(data).suffix.lower() in SUFFIXES:
        # Only the file knows what its columns hold.
        table = read_table(data)
        with error_context(data):
            left = table.without([*([label] if label else []), *ignore]).typed()
            names = [str(cell).strip() for cell in table.columns[label]] if label else None
            return left.without_index(reader.names).to_frame(), names
    if label is None and is_rows(data):
        rows = unlabelled_rows(data, reader, column=column, ignore=ignore)
        return [rows[place] for place in range(len(rows))], None
    labelled = load_dataset(data, label=label, column=column, ignore=ignore, preprocessing=reader)
    samples = [labelled.sample(index) for index in range(len(labelled))]
    return samples, [labelled.classes[target] for target in labelled.targets]


def _as_published(
    source: str,
    file: str,
    num_classes: int | None,
    names: Sequence[str] | None,
    steps: Preprocessing | None,
) -> tuple[Sequence[str] | None, Preprocessing | None]:
    """The classes and the preprocessing that are not given, from the network's publisher."""
    weights, known = likely_info(source, Path(file).name) or (None, None)
    if known is None or known.classes is None or num_classes not in (None, len(known.classes)):
        return names, steps
    taken = [what for what, given in (("classes", names), ("preprocessing", steps)) if not given]
    if taken:
        is_what = "are those" if names is None else "is the one"
        note(
            f"the {' and the '.join(taken)} {is_what} published for {source} ({weights}); if they "
            f"are not yours, give {' and '.join(f'--{what}' for what in taken)}."
        )
    return names or known.classes, steps or known.preprocessing


def _is_file(weights: str) -> bool:
    return weights.endswith(CHECKPOINTS) or Path(weights).is_file()


def _argument(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--argument takes KEY=VALUE, such as in_channels=3; got {text!r}.")
    try:
        return key, parsed_json(value)
    except FormatError as error:
        raise InputError(
            f"--argument {key}: {error} Put text in quotes: '{key}=\"{value}\"'."
        ) from None


def _preprocessing(source: str, network: str) -> Preprocessing:
    """From JSON, a file of it, or a network's published weights."""
    if source.lstrip().startswith("{") or source.endswith(".json"):
        options, known = read_options(source), Preprocessing().to_dict()
        for key in options.keys() - known:
            raise InputError(f"preprocessing has no {key!r:.80}; it has {', '.join(known)}.")
        return Preprocessing(**options)
    return weights_info(network, source).preprocessing


def _in_order(tree: Hierarchy, names: Sequence[str], called: str) -> Hierarchy:
    try:
        return reorder(tree, names)
    except NBDTError as error:
        raise InputError(f"{called} is not a tree of these classes: {error}") from None


def _rows(
    network: nn.Module, head: str | None, tree: Hierarchy, normalize: bool
) -> npt.NDArray[np.float64] | None:
    """The rows that the tree was induced from; None if two classes share one."""
    rows = find_head(network, head, num_classes=tree.num_classes).rows.cpu().double().numpy()
    if len(rows) < tree.num_classes:
        return None
    unit: npt.NDArray[np.float64] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit if normalize else rows
