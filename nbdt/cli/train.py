"""`nbdt train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from nbdt.classifiers import Builder, induce, is_own
from nbdt.classifiers.base import split_name
from nbdt.cli.inputs import is_model, read_tree
from nbdt.cli.models import DeviceOption, NetworkOption, as_given, device_of, restored
from nbdt.cli.options import JsonOption, argument, given, option
from nbdt.cli.output import note, say, say_json, working
from nbdt.data import LabelledImages, check_classes, load_dataset
from nbdt.data.loading import training_split
from nbdt.documents import parsed_json
from nbdt.errors import InputError, NotFoundError
from nbdt.evaluation import AccuracyTable, accuracy_by_rule
from nbdt.losses import Ramp
from nbdt.model import NBDT
from nbdt.run import answers
from nbdt.training import EpochRecord, TrainingConfig, fit, started_by_torchrun
from nbdt.training.output import LAST
from nbdt.training.processes import Processes

# Settings with their own option; --set takes all others.
_OWN = (
    "epochs",
    "batch_size",
    "loss",
    "tree_weight",
    "learning_rate",
    "head_multiplier",
    "head_only",
    "seed",
)
OTHERS = [name for name in TrainingConfig.model_fields if name not in _OWN]

app = typer.Typer(add_completion=False)


@app.command(
    epilog="Examples: nbdt train my-model cifar10 --epochs 3 -o tuned\n\n"
    "nbdt train nbdt:lenet fashion_mnist --loss cross-entropy --learning-rate 0.05 -o start\n\n"
    "torchrun --nproc-per-node 4 -m nbdt train my-model photographs -o tuned"
)
def train(
    model: Annotated[
        str,
        argument(
            "MODEL",
            "A model's folder, as nbdt convert makes it; or a network to train from scratch: "
            "torchvision:NAME, timm:NAME or nbdt:NAME.",
        ),
    ],
    data: Annotated[
        str,
        argument(
            "DATA",
            "A data set's name, such as cifar10, or a folder with one subfolder of images per class"
            " (or with train and test subfolders of that kind).",
        ),
    ],
    output: Annotated[
        str,
        option(
            "--output -o FOLDER",
            "Where checkpoints, the log and the tuned models (last, best) are kept.",
        ),
    ],
    resume: Annotated[
        bool, option("--resume", "Continue from the folder's last checkpoint.")
    ] = False,
    epochs: Annotated[
        int | None, option("--epochs N", "How often each image is seen.", shown="3")
    ] = None,
    batch_size: Annotated[
        int | None, option("--batch-size N", "Images per step.", shown="128")
    ] = None,
    loss: Annotated[
        str | None,
        option(
            "--loss LOSS",
            "soft or hard tunes to the tree; cross-entropy trains the network alone.",
            shown="soft",
        ),
    ] = None,
    tree_weight: Annotated[
        str | None,
        option(
            "--tree-weight W",
            "The weight of the tree's loss; 0:3 goes from 0 to 3 linearly, 0:3:2 with the power 2.",
            shown="3",
        ),
    ] = None,
    learning_rate: Annotated[
        float | None, option("--learning-rate X", "The largest learning rate.", shown="0.01")
    ] = None,
    head_multiplier: Annotated[
        float | None,
        option(
            "--head-multiplier X",
            "Multiplies the learning rate of the last layer.",
            shown="1",
        ),
    ] = None,
    head_only: Annotated[
        bool, option("--head-only", "Train only the last layer, on features computed once.")
    ] = False,
    seed: Annotated[
        int | None,
        option("--seed N", "The seed of the order of images and all random changes.", shown="0"),
    ] = None,
    setting: Annotated[
        list[str] | None,
        option(
            "--set NAME=VALUE",
            "Any other setting, such as optimizer=adamw or network_weight=1:0.5; repeatable: "
            f"{', '.join(OTHERS)}.",
        ),
    ] = None,
    hold_out: Annotated[
        float,
        option(
            "--hold-out SHARE",
            "The share of training images that are held out to measure every epoch and choose "
            "the best; 0 trains on all and keeps only the last model.",
        ),
    ] = 0.1,
    tree: Annotated[
        str | None, option("--tree TREE", "A bundled tree or a file, instead of the model's tree.")
    ] = None,
    no_augment: Annotated[
        bool, option("--no-augment", "Train on the images without random changes.")
    ] = False,
    download: Annotated[
        bool, option("--download", "Download the data set if it is missing.")
    ] = False,
    workers: Annotated[int, option("--workers N", "Processes that load images.")] = 0,
    network_from: NetworkOption = None,
    device: DeviceOption = None,
    tensorboard: Annotated[
        bool, option("--tensorboard", "Also write logs for TensorBoard.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Tune a network to its tree, so that the tree decides as well as the network.

    Given a network's name instead of a model, it trains one from scratch. If the data set has
    test images, their accuracy is printed at the end.
    """
    config = _config(
        setting or [],
        epochs=epochs,
        batch_size=batch_size,
        loss=None if loss is None else loss.replace("-", "_"),
        tree_weight=None if tree_weight is None else _weight(tree_weight, "--tree-weight"),
        learning_rate=learning_rate,
        head_multiplier=head_multiplier,
        head_only=head_only or None,
        seed=seed,
    )
    if not 0 <= hold_out < 1:
        raise InputError(f"--hold-out takes a share of at least 0 and below 1; got {hold_out:g}.")
    with started_by_torchrun() as own_gpu:
        quiet = not Processes.current().first
        with working("Loading the model and the images …"):
            tuned = restored(model, network_from) if is_model(model) else None
            if tuned is None and tree is None:
                config = _following(config)
            images = load_dataset(
                data,
                training_split(data),
                augment=not (no_augment or config.head_only),
                download=download,
                classes=None if tuned is None else tuned.classes,
            )
            if tuned is None:
                tuned = _from_scratch(model, images, tree, config)
            elif tree is not None:
                _give_tree(tuned, tree)
            tuned.preprocessing = tuned.preprocessing or images.preprocessing
            images = images.with_preprocessing(tuned.preprocessing)
        train_images, val = _split(images, hold_out, config.seed)
        place = own_gpu if own_gpu and not device else device_of(device)
        tuned.to(place)
        tuned.provenance |= {"data": data, "hold_out": hold_out}
        records = fit(
            tuned,
            train_images,
            val,
            config,
            folder=output,
            resume=resume,
            workers=workers,
            tensorboard=tensorboard,
            on_epoch=None if json or quiet else _say_epoch,
        )
        if quiet:
            return
        table = _on_test_images(data, tuned)
    _report(output, records, table, network=network_from, json=json)


def _config(settings: list[str], **options: Any) -> TrainingConfig:
    values: dict[str, Any] = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals or name not in OTHERS:
            raise InputError(
                f"--set takes NAME=VALUE with one of {', '.join(OTHERS)}; got {text!r}."
            )
        values[name] = _value(name, value)
    return TrainingConfig(**values | given(**options))


def _value(name: str, text: str) -> Any:
    """What JSON says, or the text itself: ``adamw`` needs no quotes."""
    try:
        return parsed_json(text)
    except ValueError:
        return _weight(text, f"--set {name}") if name == "network_weight" else text


def _weight(text: str, option: str) -> float | Ramp:
    try:
        numbers = [float(part) for part in text.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2, 3):
        raise InputError(f"{option} is a number, START:END or START:END:POWER; got {text!r:.80}.")
    return numbers[0] if len(numbers) == 1 else Ramp(*numbers)


def _following(config: TrainingConfig) -> TrainingConfig:
    """The config for a network from scratch: its random first weights can't give its tree."""
    if config.supervises_tree or config.retree_every is not None:
        return config
    return config.replace(retree_every=1)


def _split(
    images: LabelledImages, share: float, seed: int
) -> tuple[LabelledImages, LabelledImages | None]:
    if not share:
        return images, None
    try:
        return images.split(share, seed=seed)
    except InputError as error:
        raise InputError(f"{error} --hold-out 0 trains on all images.") from None


def _from_scratch(
    name: str, images: LabelledImages, tree: str | None, config: TrainingConfig
) -> NBDT:
    if is_own(name):
        raise InputError(
            f"{name}: to train your own network, make a folder with nbdt convert first, then run "
            f"nbdt train FOLDER …{as_given(name)}"
        )
    if ":" not in name:
        raise NotFoundError(
            f"{name}: this model folder does not exist; to train from scratch, give "
            "torchvision:NAME, timm:NAME or nbdt:NAME."
        )
    arguments = {"num_classes": len(images.classes)}
    if channels := split_name(name)[0].channels_argument:
        arguments[channels] = images.preprocessing.channels
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)
        builder = Builder(name=name, arguments=arguments)
        network = builder.build()
    if tree is not None:
        hierarchy = read_tree(tree)
        check_classes(images, hierarchy.classes, owner="the tree")
        return NBDT(network, hierarchy, builder=builder)
    if config.supervises_tree and config.retree_every is None:
        raise InputError(
            "the first weights of a network are random, and so would be their tree: give --tree, "
            "train with --loss cross-entropy first, or use --set retree_every=1."
        )
    return NBDT(network, induce(network, images.classes), builder=builder)


def _give_tree(model: NBDT, tree: str) -> None:
    hierarchy = read_tree(tree)
    check_classes(model, hierarchy.classes, owner="the tree")
    model.hierarchy = hierarchy
    model.provenance |= {"tree": tree}


def _say_epoch(record: EpochRecord) -> None:
    say(str(record))


def _on_test_images(data: str, model: NBDT) -> AccuracyTable | None:
    """The model's accuracy on the data set's own test images, if it has any."""
    assert model.preprocessing is not None
    if training_split(data) == "test":
        return None
    try:
        images = load_dataset(data, "test", classes=model.classes)
    except NotFoundError:
        return None
    images = images.with_preprocessing(model.preprocessing)
    with working("Answering the test images …"):
        return accuracy_by_rule(
            answers(model, images, batch_size=256, rows=1).pairs(), model.hierarchy
        )


def _report(
    output: str,
    records: list[EpochRecord],
    table: AccuracyTable | None,
    *,
    network: str | None,
    json: bool,
) -> None:
    last = str(Path(output) / LAST)
    if json:
        epochs = [record.to_dict() for record in records]
        test = None if table is None else table.to_dict()
        say_json({"output": output, "model": last, "epochs": epochs, "test": test})
        return
    if table is None:
        note("this data set has no test images; nbdt evaluate takes a folder of images.")
    else:
        say(f"On the test images:\n{table}")
    say(f"Wrote {last}. Next: nbdt explain {last} IMAGE …{as_given(network)}")
