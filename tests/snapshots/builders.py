"""What users see of fixed inputs: each builder gives a JSON value that is kept in golden/.

Only what DESIGN calls the interface is used here: public names, commands, addresses. So these
builders ran on version 0.1.0, from which the golden files come, and run on every later one.
"""

import hashlib
import inspect
import io
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import TensorDataset
from typer.testing import CliRunner

import nbdt
from nbdt.cli import app
from nbdt.hierarchy import convert, edit
from tests.snapshots.facts import facts, joined, of_html, of_svg, plain


@dataclass(frozen=True)
class Builder:
    """One golden file: what makes its value, and how far numbers may be apart."""

    build: Callable[[Path], Any]
    rtol: float
    atol: float


BUILDERS: dict[str, Builder] = {}


def snapshot(rtol: float = 1e-9, atol: float = 1e-12) -> Callable[..., Any]:
    """Keeps a function of an empty folder as the builder of the golden file of its name."""

    def keep(build: Callable[[Path], Any]) -> Callable[[Path], Any]:
        BUILDERS[build.__name__] = Builder(build, rtol, atol)
        return build

    return keep


# ── fixed inputs ──────────────────────────────────────────────────────────────────────────────

ANIMALS = nbdt.Hierarchy(
    [5, 5, 6, 7, 7, 6, 8, 8, -1],
    ["cat", "dog", "horse", "truck", "boat", "pet", "mammal", "vehicle", "thing"],
    merge_heights=[0, 0, 0, 0, 0, 0.5, 0.75, 1.0, 2.0],
    attributes={0: {"wnid": "n02121620"}, 5: {"note": "an animal at home"}},
)
TREES = {
    "animals": ANIMALS,
    "two": nbdt.Hierarchy([2, 2, -1], ["yes", "no"]),
    "flat": nbdt.Hierarchy([4, 4, 4, 4, -1], ["north", "east", "south", "west"]),
    "digits": nbdt.load_hierarchy("digits/shape"),
    "clothes": nbdt.load_hierarchy("fashion_mnist/taxonomy"),
}
TREE_NAMES = [
    "cifar10/resnet20", "cifar10/wordnet", "cifar100/wordnet", "digits/shape",
    "fashion_mnist/taxonomy", "imagenet1k/mobilenet_v2", "imagenet1k/wordnet",
    "tiny_imagenet/wordnet",
]  # fmt: skip
CHOICES = [(score, rule) for score in ("mean", "logsumexp") for rule in ("soft", "hard")]


def names_of(*trees: nbdt.Hierarchy) -> list[str]:
    """The names to look for in prose; "one" and "two" are words of ordinary sentences too."""
    return sorted({name for tree in trees for name in tree.names if name}
                  - {"one", "two", "digit", "thing", "top", "no", "yes"})  # fmt: skip


def logits_of(tree: nbdt.Hierarchy, count: int, seed: int = 0, scale: float = 2.5) -> torch.Tensor:
    """Normal logits in float64: numpy keeps this stream of numbers for good."""
    values = np.random.RandomState(seed).standard_normal((count, tree.num_classes))
    return torch.from_numpy(scale * values)


def labelled(tree: nbdt.Hierarchy, count: int, seed: int = 0) -> TensorDataset:
    """Logits that mostly favour their label."""
    labels = np.random.RandomState(seed + 1).randint(tree.num_classes, size=count)
    logits = logits_of(tree, count, seed)
    logits[torch.arange(count), torch.from_numpy(labels)] += 3.0
    return TensorDataset(logits, torch.from_numpy(labels).long())


def over_logits(tree: nbdt.Hierarchy, score: str = "logsumexp", rule: str = "soft") -> nbdt.NBDT:
    """A model whose input is logits."""
    return nbdt.NBDT(nn.Identity(), tree, score=score, rule=rule)


def digit_weights() -> dict[str, torch.Tensor]:
    """A state dict of nbdt:digits-cnn: fixed random features, and a last layer by ridge regression.

    No training, so that it hardly depends on the machine.
    """
    random = np.random.RandomState(0)
    state, layers, before = {}, [], 1
    for stage, width in enumerate((32, 64)):
        kernel = random.standard_normal((width, before, 3, 3)) * math.sqrt(2 / (9 * before))
        conv, norm = nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        conv.weight.data = torch.from_numpy(kernel).float()
        layers += [conv, norm, nn.ReLU(), nn.MaxPool2d(2)]
        state[f"features.{4 * stage}.weight"] = conv.weight.data
        for key, value in norm.state_dict().items():
            state[f"features.{4 * stage + 1}.{key}"] = value
        before = width
    data = load_digits()
    images = torch.from_numpy(np.floor(data.images * 15).astype(np.float32) / 255)[:, None]
    network = nn.Sequential(*layers[:-1]).eval()
    with torch.no_grad():
        x = network(images[:1200]).mean(dim=(2, 3)).double().numpy()
    x = np.hstack([x, np.ones((len(x), 1))])
    y = 10 * np.eye(10)[data.target[:1200]] - 1
    found = np.linalg.solve(x.T @ x + 1e-3 * np.eye(x.shape[1]), x.T @ y).T
    state["linear.weight"] = torch.from_numpy(found[:, :-1]).float().contiguous()
    state["linear.bias"] = torch.from_numpy(found[:, -1]).float().contiguous()
    return state


PREPROCESSING = {"mode": "L", "resize": [8, 8], "interpolation": "nearest", "antialias": False}


@contextmanager
def working_in(folder: Path) -> Any:
    """Runs a block in a folder, so that paths in what it prints are the same everywhere."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def prepare(folder: Path) -> None:
    """The files that commands are run on: weights, images, small tables."""
    save_file(digit_weights(), folder / "digits.safetensors")
    random, data = np.random.RandomState(2), load_digits()
    images = folder / "images"
    for name in ANIMALS.classes:  # a folder whose subfolders are no digits
        (folder / "wrong" / name).mkdir(parents=True)
    for digit, name in enumerate(nbdt.load_hierarchy("digits/shape").classes):
        (images / name).mkdir(parents=True)
        for number, index in enumerate(np.flatnonzero(data.target == digit)[-4:]):
            pixels = (data.images[index] * 15).astype(np.uint8)
            Image.fromarray(pixels).save(images / name / f"{number}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (folder / "rows.csv").write_text("cat,1.0,0.1\ndog,0.9,0.2\ncar,0.1,1.0\nbus,0.0,0.9\n")
    (folder / "kinds.csv").write_text(
        "child,parent\ncat,animal\ndog,animal\ncar,vehicle\nbus,vehicle\n"
        "animal,thing\nvehicle,thing\n"
    )
    (folder / "bad.json").write_text('{"schema": "nbdt.hierarchy/1", "parents": [1, 0]}')
    np.save(folder / "rows.npy", random.standard_normal((6, 4)))
    nbdt.hierarchy.save_hierarchy(ANIMALS, folder / "animals.json")
    (folder / "noise").mkdir()
    for number in range(30):
        noise = random.randint(0, 256, (8, 8)).astype(np.uint8)
        Image.fromarray(noise).save(folder / "noise" / f"{number}.png")


def prepare_eight(folder: Path) -> None:
    """Weights, names and images of a network that knows eight of the ten digits."""
    classes = TREES["digits"].classes
    kept = [index for index in range(10) if classes[index] not in {"six", "seven"}]
    state = digit_weights()
    for key in ("linear.weight", "linear.bias"):
        state[key] = state[key][kept].contiguous()
    save_file(state, folder / "eight.safetensors")
    names = [classes[index] for index in kept]
    (folder / "eight.txt").write_text("\n".join(names))
    nbdt.hierarchy.save_hierarchy(edit.restrict(TREES["digits"], names), folder / "eight.json")
    for name in names:
        shutil.copytree(folder / "images" / name, folder / "eight-digits" / name)


CONVERT = (
    "convert", "nbdt:digits-cnn", "--weights", "digits.safetensors", "--classes", "digits",
    "--preprocessing", json.dumps(PREPROCESSING), "--json",
)  # fmt: skip


def run(*arguments: str) -> dict[str, Any]:
    """One command line: the exit code, what it prints as JSON or as facts, and how it complains."""
    result = CliRunner().invoke(app, list(arguments))
    names = names_of(*TREES.values(), *map(nbdt.load_hierarchy, TREE_NAMES[:2]))
    hide = [(str(Path.cwd()), "HERE")]
    answer: dict[str, Any] = {"exit": result.exit_code}
    if "--json" in arguments and result.stdout.strip():
        answer["json"] = [plain(json.loads(line), hide) for line in _documents(result.stdout)]
    else:
        answer["facts"] = joined(facts(result.stdout, names))
    answer["complaints"] = sum(line.startswith("nbdt:") for line in result.stderr.splitlines())
    return answer


def _documents(text: str) -> list[str]:
    """One document, or one a line."""
    try:
        json.loads(text)
    except ValueError:
        return text.splitlines()
    return [text]


# ── names and signatures ──────────────────────────────────────────────────────────────────────


@snapshot()
def interface(folder: Path) -> Any:
    """The names that stay, each with its parameters: what kind, and which default."""
    from nbdt import data, evaluation, selective, training, view

    objects = {
        "induce": nbdt.induce, "Hierarchy": nbdt.Hierarchy, "NBDT": nbdt.NBDT,
        "Explanation": nbdt.Explanation, "Decision": nbdt.Decision,
        "TreeSupervisionLoss": nbdt.TreeSupervisionLoss, "find_head": nbdt.find_head,
        "load_hierarchy": nbdt.load_hierarchy, "list_hierarchies": nbdt.list_hierarchies,
        "Constant": nbdt.Constant, "Ramp": nbdt.Ramp, "HardRules": nbdt.HardRules,
        "SoftRules": nbdt.SoftRules, "training.fit": training.fit,
        "training.TrainingConfig": training.TrainingConfig,
        "selective.SelectiveNBDT": selective.SelectiveNBDT,
        "data.load_dataset": data.load_dataset, "evaluation.evaluate": evaluation.evaluate,
        "hierarchy.convert.from_2020": convert.from_2020, "view.to_html": view.to_html,
        "view.to_svg": view.to_svg, "view.to_text": view.to_text,
        **{f"Hierarchy.{name}": getattr(nbdt.Hierarchy, name)
           for name in ("leaves", "children", "path", "lca", "name", "find", "to_text")},
        **{f"NBDT.{name}": getattr(nbdt.NBDT, name)
           for name in ("predict", "predict_proba", "decision_path", "explain", "logits",
                        "save_pretrained", "from_pretrained")},
        **{f"SelectiveNBDT.{name}": getattr(selective.SelectiveNBDT, name)
           for name in ("calibrate", "predict", "explain", "save_pretrained", "from_pretrained")},
    }  # fmt: skip
    explanation = over_logits(ANIMALS).explain(logits_of(ANIMALS, 1))[0]
    attributes = {
        "Explanation": [name for name in (
            "prediction", "probability", "network_prediction", "agrees", "path", "runner_up",
        ) if hasattr(explanation, name)],
        "Decision": [name for name in (
            "node", "child", "probability", "children", "probabilities", "margin", "entropy",
        ) if hasattr(explanation.path[0], name)],
        "Hierarchy": [name for name in ("parents", "root", "inner", "classes", "__len__")
                      if hasattr(ANIMALS, name)],
        "mimebundle": sorted(ANIMALS._repr_mimebundle_()),
        "explanation's mimebundle": sorted(explanation._repr_mimebundle_()),
    }  # fmt: skip
    return {
        "parameters": {name: parameters_of(one) for name, one in objects.items()},
        "attributes": attributes,
        "trees": nbdt.list_hierarchies(),
    }


def parameters_of(one: Callable[..., Any]) -> list[str]:
    """Each parameter as "kind name=default"; what a type is called may change."""
    found = []
    for parameter in inspect.signature(one).parameters.values():
        if parameter.name == "self" or parameter.name.startswith("_"):
            continue
        name = {"retree_every": "rebuild_every", "parts_at": "diverges_at"}.get(
            parameter.name, parameter.name
        )
        default = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
        if " at 0x" in default or "factory" in default:
            default = "=…"
        found.append(f"{parameter.kind.description}: {name}{default}")
    return found


# ── trees ─────────────────────────────────────────────────────────────────────────────────────


@snapshot()
def trees(folder: Path) -> Any:
    """Trees as every format writes them, and as they are read back."""
    found = {}
    for name, tree in TREES.items():
        graph = convert.to_networkx(tree)
        document = convert.to_dict(tree)
        newick = convert.to_newick(tree)
        assert convert.from_dict(document) == tree
        found[name] = {
            "dict": plain(document),
            "newick": newick,
            "newick_read": plain(convert.to_dict(convert.from_newick(newick))),
            "networkx": {
                "nodes": [[node, plain(dict(values))] for node, values in graph.nodes(data=True)],
                "edges": sorted(map(list, graph.edges)),
            },
            "text": tree.to_text(),
            "depths": [tree.depth(node) for node in range(len(tree))],
            "heights": [tree.height(node) for node in range(len(tree))],
            "leaf_order": [int(leaf) for leaf in tree.leaf_order],
            "lca": [[tree.lca(a, b) for b in range(tree.num_classes)]
                    for a in range(tree.num_classes)],
        }  # fmt: skip
    binary = nbdt.induce(np.random.RandomState(3).standard_normal((6, 5)))
    linkage = convert.to_linkage(binary)
    found["binary"] = {
        "linkage": linkage.tolist(),
        "sklearn": [np.asarray(part).tolist() for part in convert.to_sklearn_children(binary)],
        "read": plain(convert.to_dict(convert.from_linkage(linkage))),
    }
    for name in TREE_NAMES:
        tree = nbdt.load_hierarchy(name)
        found[name] = {
            "nodes": len(tree), "classes": tree.num_classes, "depth": tree.height(tree.root),
            "first": tree.names[:3], "root": tree.name(tree.root),
            "parents": hashlib.sha256(np.asarray(tree.parents, "<i8").tobytes()).hexdigest()[:16],
            "names": hashlib.sha256("\n".join(tree.names).encode()).hexdigest()[:16],
        }  # fmt: skip
    return found


@snapshot()
def release_2020(folder: Path) -> Any:
    """A graph of the 2020 release."""
    graph = {
        "directed": True, "multigraph": False, "graph": {},
        "nodes": [
            {"id": "n1", "label": "cat"}, {"id": "n2", "label": "dog"},
            {"id": "n3", "label": "car"}, {"id": "f1", "label": "pet"},
            {"id": "f2", "label": ""}, {"id": "f3", "label": "one child"},
        ],
        "links": [
            {"source": "f2", "target": "f1"}, {"source": "f1", "target": "n1"},
            {"source": "f1", "target": "n2"}, {"source": "f2", "target": "f3"},
            {"source": "f3", "target": "n3"},
        ],
    }  # fmt: skip
    tree = convert.from_2020(graph, ["n3", "n1", "n2"])
    return plain(convert.to_dict(tree))


@snapshot()
def induced(folder: Path) -> Any:
    """Trees of fixed rows under every linkage and metric."""
    rows = np.random.RandomState(4).standard_normal((9, 6))
    names = [f"class {letter}" for letter in "abcdefghi"]
    confusion = np.random.RandomState(5).randint(0, 20, (9, 9)) + 200 * np.eye(9, dtype=int)
    found = {}
    for linkage in ("ward", "average", "complete", "single", "weighted"):
        for options in ({}, {"normalize": False}, {"branching": 3}, {"branching": 5}):
            tree = nbdt.induce(rows, names, linkage=linkage, **options)
            found[f"{linkage} {options}"] = {
                "parents": tree.parents.tolist(),
                "heights": np.asarray(tree.merge_heights).tolist(),
            }
    for linkage in ("average", "complete"):
        found[f"{linkage} cosine"] = nbdt.induce(
            rows, names, linkage=linkage, metric="cosine"
        ).parents.tolist()
        found[f"{linkage} confusion"] = nbdt.induce(
            confusion, names, linkage=linkage, metric="confusion"
        ).parents.tolist()
    tree = nbdt.induce(rows, names)
    found["names"] = {
        "induced": list(tree.names),
        "by leaves": list(nbdt.hierarchy.name_by_leaves(tree).names),
        "by taxonomy": list(nbdt.hierarchy.name_by_taxonomy(
            nbdt.induce(rows[:5], ANIMALS.classes), ANIMALS).names),
        "linear": nbdt.induce(linear(), names[:4]).parents.tolist(),
        "head": nbdt.find_head(nn.Sequential(nn.Flatten(), linear())).path,
    }  # fmt: skip
    return found


def linear() -> nn.Linear:
    layer = nn.Linear(3, 4)
    layer.weight.data = torch.tensor([[1.0, 0, 0], [0.9, 0.1, 0], [0, 1, 0], [0, 0.8, 0.3]])
    return layer


@snapshot()
def edits(folder: Path) -> Any:
    """Edited trees, and what edits do to accuracy before they are made."""
    from nbdt.evaluation import EditSession, suggest_moves

    tree = TREES["digits"]
    regrafted = edit.regraft(ANIMALS, "horse", beside="truck")
    found = {
        "regraft": plain(convert.to_dict(regrafted)),
        "move": plain(convert.to_dict(edit.regraft(ANIMALS, "cat", "vehicle"))),
        "subtree": plain(convert.to_dict(ANIMALS.subtree(ANIMALS.find("mammal")))),
        "restrict": plain(convert.to_dict(edit.restrict(ANIMALS, ["dog", "truck", "cat"]))),
        "dissolve": plain(convert.to_dict(edit.dissolve(ANIMALS, "pet"))),
    }
    for score in ("logsumexp", "mean"):
        session = EditSession(over_logits(tree, score), labelled(tree, 400))
        trial = session.try_edit(edit.regraft, "three", beside="five")
        found[score] = {"trial": plain(trial.to_dict()), "text": joined(facts(str(trial)))}
        session.accept(trial)
        found[score]["accepted"] = plain(convert.to_dict(session.tree))
        model = session.commit()
        found[score]["provenance"] = plain(model.provenance)
    session = EditSession(over_logits(tree, "mean"), labelled(tree, 400))
    moves = suggest_moves(session, tries=30)
    found["suggested"] = {
        "moves": [plain(one.edit.to_dict()) for one in moves.moves],
        "gained": [[one.counts.gained, one.counts.lost] for one in moves.moves],
        "tried": [moves.tried, moves.promising, moves.raising],
    }
    return found


# ── rules, losses, explanations ───────────────────────────────────────────────────────────────


@snapshot(rtol=1e-9, atol=1e-9)
def answers(folder: Path) -> Any:
    """Probabilities, predictions and paths of fixed logits, by every score and rule."""
    found: dict[str, Any] = {}
    for name, tree in TREES.items():
        logits = logits_of(tree, 6)
        masked = logits.clone()
        masked[:, 0] = -torch.inf
        for score, rule in CHOICES:
            model = over_logits(tree, score, rule)
            found[f"{name} {score} {rule}"] = {
                "probabilities": model.predict_proba(logits[:2]).tolist(),
                "masked": model.predict_proba(masked[:1]).tolist(),
                "log_probs": model(logits[:1]).tolist(),
                "predictions": model.predict(logits).tolist(),
                "masked_predictions": model.predict(masked).tolist(),
                "path": model.decision_path(logits).toarray().astype(int).tolist(),
            }
    return found


@snapshot(rtol=1e-9, atol=1e-9)
def losses(folder: Path) -> Any:
    """The loss and its gradient on fixed logits and targets."""
    found = {}
    targets = {
        "animals": torch.tensor([0, 1, 2, 3, 4, 0]), "digits": torch.tensor([9, 1, 2, 3, 8, 0])
    }  # fmt: skip
    options: list[dict[str, Any]] = [
        {}, {"label_smoothing": 0.1}, {"tree_weight": 3.0, "network_weight": 0.5},
        {"reduction": "none"}, {"reduction": "sum"}, {"ignore_index": 0},
        {"tree_weight": nbdt.Ramp(0.5, 3)},
    ]  # fmt: skip
    for name, labels in targets.items():
        tree = TREES[name]
        for score, rule in CHOICES:
            for given in options:
                if (score, rule) == ("logsumexp", "soft"):  # that is cross-entropy, and refused
                    given = {**given, "network_weight": 0.0}
                logits = logits_of(tree, 6).requires_grad_()
                loss = nbdt.TreeSupervisionLoss(tree, rule=rule, score=score, **given)
                value = loss(logits, labels, 0.25) if "Ramp" in str(given) else loss(logits, labels)
                value.sum().backward()
                assert logits.grad is not None
                shown = {key: str(one) for key, one in given.items()}
                found[f"{name} {score} {rule} {shown}"] = {
                    "value": value.detach().tolist(),
                    "gradient": logits.grad.abs().sum(dim=1).tolist(),
                }
        soft = logits_of(tree, 6, seed=9).softmax(dim=1)
        found[f"{name} soft targets"] = nbdt.TreeSupervisionLoss(tree)(
            logits_of(tree, 6), soft
        ).item()
    tree = TREES["animals"]
    weight = torch.tensor([1.0, 2, 3, 4, 5], dtype=torch.float64)
    found["weights"] = nbdt.TreeSupervisionLoss(tree, weight=weight)(
        logits_of(tree, 6), targets["animals"]
    ).item()
    found["2020"] = nbdt.TreeSupervisionLoss(TREES["digits"], rule="hard", compat="2020")(
        logits_of(TREES["digits"], 6), targets["digits"]
    ).item()
    return found


@snapshot(rtol=1e-9, atol=1e-9)
def explanations(folder: Path) -> Any:
    """Explanations as documents, and the facts of their sentences."""
    found = {}
    for name, tree in TREES.items():
        for score, rule in CHOICES:
            model = over_logits(tree, score, rule)
            explained = model.explain(logits_of(tree, 4, seed=7))
            found[f"{name} {score} {rule}"] = [plain(one.to_dict()) for one in explained[:2]]
            found[f"{name} {score} {rule} text"] = [
                joined(facts(str(one), names_of(tree))) for one in explained
            ]
            again = nbdt.Explanation.from_dict(explained[0].to_dict())
            assert again == explained[0]
    return found


# ── pictures and pages ────────────────────────────────────────────────────────────────────────


@snapshot(rtol=1e-6, atol=1e-6)
def pictures(folder: Path) -> Any:
    """Drawings of trees and explanations: lettering, sizes and titles; DOT; text."""
    from nbdt import view

    found: dict[str, Any] = {}
    for name in ("animals", "two", "digits", "clothes"):
        tree = TREES[name]
        names = names_of(tree)
        explanation = over_logits(tree).explain(logits_of(tree, 1, seed=8))[0]
        for title, subject in {
            "tree": (tree,), "explained": (tree, explanation), "path": (explanation,),
        }.items():  # fmt: skip
            graph = view.to_graphviz(*subject)
            found[f"{name} {title}"] = {
                "svg": of_svg(view.to_svg(*subject), names),
                "dot": [sum("->" in line for line in graph.body), joined(facts(
                    "\n".join(line for line in graph.body if "label" in line), names))],
                "text": text_of(view.to_text(*subject, width=100), names),
            }  # fmt: skip
            if title != "tree":  # the sentence above it may be as wide as it likes
                found[f"{name} {title}"]["svg"].pop("width")
        found[f"{name} vertical"] = of_svg(view.to_svg(tree, orientation="vertical"), names)
    binary = nbdt.induce(np.random.RandomState(3).standard_normal((6, 5)), list("uvwxyz"))
    found["heights"] = of_svg(view.to_svg(binary, heights=True), binary.names)
    big = nbdt.load_hierarchy("cifar100/wordnet")
    found["folded"] = {
        "text": text_of(view.to_text(big, width=100), names_of(big)),
        "svg": of_svg(view.to_svg(big), big.classes),
    }
    return found


def text_of(text: str, names: list[str]) -> dict[str, Any]:
    return {"lines": text.count("\n"), "facts": joined(facts(text, names))}


@snapshot(rtol=1e-6, atol=1e-6)
def pages(folder: Path) -> Any:
    """Pages of trees with explanations."""
    from nbdt import view

    found = {}
    picture = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    for name in ("animals", "digits"):
        tree = TREES[name]
        explained = over_logits(tree).explain(logits_of(tree, 2, seed=8))
        names = names_of(tree)
        found[f"{name} tree"] = page_of(view.to_html(tree), names)
        found[f"{name} explained"] = page_of(
            view.to_html(tree, explained, images=[picture, None], captions=["first", "second"]),
            names,
        )
    return found


def page_of(source: str, names: list[str]) -> Any:
    """Facts of a page; its data by keys and values, whatever they stand in."""
    found = of_html(source, names)
    found["data"] = sorted(leaf for one in found["data"] for leaf in leaves_of(one, set(names)))
    found["data"] = joined(found["data"])
    return found


def leaves_of(value: Any, names: set[str]) -> list[str]:
    """The names and the numbers with a fraction that stand anywhere in a page's data."""
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in leaves_of(inner, names)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves_of(inner, names)]
    if isinstance(value, float) and not value.is_integer():
        return [f"{value:.4g}"]
    return [value] if isinstance(value, str) and value in names else []


# ── evaluation and stopping ───────────────────────────────────────────────────────────────────


@snapshot(rtol=1e-9, atol=1e-12)
def evaluations(folder: Path) -> Any:
    """All that is measured of fixed logits and labels, exactly."""
    from nbdt import evaluation

    found = {}
    for name, choices in {"animals": CHOICES, "digits": CHOICES[1:3]}.items():
        tree = TREES[name]
        data = labelled(tree, 300)
        for score, rule in choices:
            measured = evaluation.evaluate(over_logits(tree, score, rule), data, bins=5, examples=2)
            found[f"{name} {score} {rule}"] = plain(measured.to_dict())
            found[f"{name} {score} {rule} text"] = joined(facts(
                measured.to_text(rows=3, full=True), names_of(tree)))  # fmt: skip
    return found


@snapshot(rtol=1e-5, atol=1e-7)
def temperatures(folder: Path) -> Any:
    """Temperatures fitted to fixed logits."""
    from nbdt import evaluation

    found = {}
    tree = TREES["digits"]
    for score in ("logsumexp", "mean"):
        for per_node in (False, True):
            fit = evaluation.fit_temperature(
                over_logits(tree, score), labelled(tree, 600), per_node=per_node, min_samples=40
            )
            found[f"{score} per_node={per_node}"] = {
                "temperature": plain(fit.temperature.to_dict()), "samples": fit.samples,
                "losses": [fit.loss_before, fit.loss_after],
            }  # fmt: skip
    return found


@snapshot(rtol=1e-9, atol=1e-12)
def stopping(folder: Path) -> Any:
    """Calibrations, and what is answered under a guarantee."""
    from nbdt.selective import SelectiveNBDT

    found = {}
    for name in ("animals", "digits"):
        tree = TREES[name]
        for score in ("logsumexp", "mean"):
            model = over_logits(tree, score)
            for guarantee in (0.8, 0.95):
                for per_superclass in (False, True):
                    selective = SelectiveNBDT(
                        model, guarantee=guarantee, per_superclass=per_superclass
                    ).calibrate(labelled(tree, 600, seed=20))
                    logits = logits_of(tree, 40, seed=30)
                    explained = selective.explain(logits[:2])
                    found[f"{name} {score} {guarantee} {per_superclass}"] = {
                        "answers": selective.predict(logits).tolist(),
                        "explanations": [plain(one.to_dict()) for one in explained][:1],
                        "text": [joined(facts(str(one), names_of(tree))) for one in explained],
                    }
    return found


# ── the command line ──────────────────────────────────────────────────────────────────────────


@snapshot(rtol=1e-6, atol=1e-9)
def tree_commands(folder: Path) -> Any:
    """`nbdt tree …` on bundled trees and small files, wrong usage among it."""
    prepare(folder)
    both = [
        ("show", "digits/shape"), ("show", "animals.json", "--ids"),
        ("show", "cifar10/wordnet", "--node", "vertebrate"),
        ("show", "cifar100/wordnet", "--max-lines", "20"),
        ("compare", "cifar10/resnet20", "cifar10/wordnet"),
        ("support", "cifar10/resnet20", "cifar10/wordnet"),
        ("build", "rows", "rows.csv"), ("build", "rows", "rows.csv", "--support", "20"),
        ("build", "rows", "rows.npy", "--linkage", "average", "--branching", "3"),
        ("build", "parents", "kinds.csv"),
        ("build", "parents", "kinds.csv", "--output", "kinds.json"),
    ]  # fmt: skip
    once = [
        ("list",), ("list", "--json"), ("draw", "digits/shape", "-o", "digits.svg", "--json"),
        ("draw", "animals.json", "-o", "animals.html"), ("draw", "animals.json", "-o", "a.dot"),
        ("draw", "animals.json", "-o", "animals.xyz"),
        ("compare", "cifar10/resnet20", "cifar10/wordnet", "-o", "both.svg"),
        ("compare", "cifar10/resnet20", "digits/shape"),
        ("convert", "animals.json", "animals.nwk", "--json"),
        ("convert", "animals.nwk", "again.json", "--json"),
        ("convert", "animals.json", "linked.json", "--to", "node-link", "--json"),
        ("convert", "linked.json", "third.json"),
        ("name", "animals.json", "--by-leaves", "-o", "named.json", "--json"),
        ("name", "animals.json", "--node", "pet", "--to", "house animal", "-o", "n.json"),
        ("name", "animals.json"), ("show", "digits/shpe"), ("show", "bad.json"),
        ("show", "missing.json"), ("show",), ("show", "digits/shape", "--max-lines", "-1"),
        ("sow", "digits/shape"), ("build", "rows", "missing.csv"),
        ("build", "rows", "rows.csv", "--linkage", "warm"), ("show", "digits/shape", "--colour"),
    ]  # fmt: skip
    with working_in(folder):
        found = {" ".join(one): run("tree", *one) for one in once}
        for one in both:
            found[" ".join(one)] = run("tree", *one)
            found[" ".join([*one, "--json"])] = run("tree", *one, "--json")
        files = ("kinds.json", "again.json", "linked.json", "third.json", "named.json", "n.json")
        found["files"] = {name: plain(json.loads(Path(name).read_text())) for name in files}
        found["newick"] = Path("animals.nwk").read_text()
        both_trees = map(nbdt.load_hierarchy, TREE_NAMES[:2])
        found["svg"] = of_svg(Path("both.svg").read_text(), names_of(*both_trees))
    return found


@snapshot(rtol=1e-4, atol=1e-6)
def model_commands(folder: Path) -> Any:
    """What is done with a model from its weights on, over all commands, as in the documentation."""
    prepare(folder)
    prepare_eight(folder)
    image = "images/three/0.png"
    steps = [
        (*CONVERT, "--tree", "digits/shape", "-o", "model"),
        (*CONVERT, "--name-by", "digits/shape", "-o", "induced"),
        (*CONVERT, "-o", "model", "--score", "median"),
        ("tree", "show", "induced", "--json"),
        ("explain", "model", image, "images/nine/1.png", "--json", "--top", "3"),
        ("explain", "model", image, "--top", "3"),
        ("explain", "model", image, "--draw"), ("explain", "model", image, "--rule", "hard"),
        ("explain", "model", image, "broken.png", "gone.png", "--json"),
        ("explain", "model", image, "gone.png"),
        ("explain", "model"), ("explain", "nowhere", image), ("explain", "model", "gone.png"),
        ("explain", "model", image, "--guarantee", "0.9", "--json"),
        ("explain", "model", image, "--rule", "medium"),
        ("evaluate", "model", "digits", "--json", "--full"),
        ("evaluate", "model", "digits", "--full", "--rows", "3"),
        ("evaluate", "model", "digits", "--rule", "hard", "--json"),
        ("evaluate", "model", "digits", "--part", "1/3", "--json"),
        ("evaluate", "model", "digits", "--part", "4/3"),
        ("evaluate", "model", "images", "--json"), ("evaluate", "model", "wrong"),
        ("evaluate", "induced", "digits", "--faithfulness", "--json"),
        ("evaluate", "model", "nodata"),
        ("evaluate", "model", "images", "--unseen", "digits", "--taxonomy", "digits/shape"),
        ("calibrate", "model", "digits", "--part", "2/3", "--guarantee", "0.9", "--json"),
        ("calibrate", "model", "digits", "--part", "2/3", "--guarantee", "0.9"),
        ("calibrate", "model", "digits", "--guarantee", "1.5"),
        ("explain", "model", image, "images/nine/1.png", "--guarantee", "0.9", "--json"),
        ("explain", "model", image, "images/nine/1.png", "--guarantee", "0.99"),
        ("tree", "try", "model", "digits", "--beside", "three=five", "--json"),
        ("tree", "try", "model", "digits", "--beside", "three=five"),
        ("tree", "try", "model", "digits", "--dissolve", "nothing"),
        ("tree", "support", "induced", "--count", "10", "--json"),
        ("report", "model", "digits", "--part", "3/3", "-o", "report.html", "--json"),
        ("report", "model", "images", "-o", "small.html"),
        ("explain", "model", image, "--html", "page.html"),
        ("evaluate", "induced", "digits", "--part", "1/2", "--fit-temperature", "--json"),
        ("convert", "nbdt:digits-cnn", "--weights", "eight.safetensors", "--classes", "eight.txt",
         "--tree", "eight.json", "--preprocessing", json.dumps(PREPROCESSING), "-o", "eight"),
        ("evaluate", "eight", "eight-digits", "--unseen", "digits", "--taxonomy", "digits/shape",
         "--unknown", "noise", "--json"),
        ("evaluate", "eight", "eight-digits", "--unseen", "digits", "--taxonomy", "digits/shape",
         "--unknown", "noise", "--rows", "2"),
        ("evaluate", "eight", "digits"),
        ("train", "model", "nodata", "-o", "tuned"), ("train", "model", "digits"),
        ("serve", "--port", "99999"), ("nothing",), ("explain", "--help"),
    ]  # fmt: skip
    found: dict[str, Any] = {}
    names = names_of(TREES["digits"])
    with working_in(folder):
        for step in steps:
            shown = " ".join("…" if one.startswith("{") else one for one in step)
            found[shown] = run(*step)
            if step[0] == "evaluate" and "--full" not in step:  # `evaluations` has the rest
                for document in found[shown].get("json", ()):
                    for key in ("by_class", "calibration", "prototypes", "uncertainty"):
                        document.pop(key, None)
            if "--help" in step or "serve" in step:
                found[shown].pop("facts")
        for path in ("model/config.json", "model/calibration.json", "induced/config.json"):
            document = plain(json.loads(Path(path).read_text()))
            for key in ("provenance", "versions"):
                if isinstance(document.get(key), dict):
                    document[key] = sorted(document[key])
            found[path] = document
        found["files"] = sorted(path.name for path in Path("model").iterdir())
        for page in ("report.html", "small.html", "page.html"):
            found[page] = page_of(Path(page).read_text(), names)
    return found


# ── the service ───────────────────────────────────────────────────────────────────────────────


@snapshot(rtol=1e-4, atol=1e-6)
def service(folder: Path) -> Any:
    """The OpenAPI document as what programs rely on, and answers over every protocol."""
    import base64

    from starlette.testclient import TestClient

    from nbdt.server.app import create_app
    from nbdt.server.settings import Settings

    prepare(folder)
    with working_in(folder):
        assert run(*CONVERT, "--tree", "digits/shape", "-o", "model")["exit"] == 0
    picture = (folder / "images/three/0.png").read_bytes()
    coded = base64.b64encode(picture).decode()
    row = (np.asarray(Image.open(io.BytesIO(picture)), np.float32)[None] / 255).round(6)
    values = row.ravel().tolist()
    tensor = {"name": "input", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": values}
    requests: list[tuple[str, str, Any]] = [
        ("GET", "/healthz", None), ("GET", "/readyz", None), ("GET", "/ping", None),
        ("GET", "/api/v1/models", None), ("GET", "/api/v1/models/model", None),
        ("GET", "/api/v1/models/model/tree", None), ("GET", "/api/v1/models/none", None),
        ("POST", "/api/v1/models/model/explain", {"instances": [{"b64": coded}]}),
        ("POST", "/api/v1/models/model/explain?rule=hard", {"instances": [{"b64": coded}]}),
        ("POST", "/api/v1/models/model/predict?top=2", {"instances": [{"b64": coded}]}),
        ("POST", "/api/v1/models/model/predict?rule=medium", {"instances": [{"b64": coded}]}),
        ("POST", "/api/v1/models/model/predict", {"instances": [{"b64": coded}]}),
        ("POST", "/api/v1/models/model/predict", {"instances": [row[None].tolist()[0]]}),
        ("POST", "/api/v1/models/model/predict", {"instances": []}),
        ("POST", "/api/v1/models/model/predict", {"instances": [{"b64": "?"}]}),
        ("POST", "/api/v1/models/model/predict", {"instances": "images/three/0.png"}),
        ("POST", "/api/v1/models/model/predict", {"wrong": 1}),
        ("GET", "/v1/models", None), ("GET", "/v1/models/model", None),
        ("POST", "/v1/models/model:predict", {"instances": [{"b64": coded}]}),
        ("POST", "/v1/models/model:explain", {"instances": [{"b64": coded}]}),
        ("GET", "/v2", None), ("GET", "/v2/health/live", None), ("GET", "/v2/health/ready", None),
        ("GET", "/v2/models/model", None), ("GET", "/v2/models/model/ready", None),
        ("POST", "/v2/models/model/infer", {"inputs": [tensor]}),
        ("POST", "/v2/models/model/infer", {"inputs": [{**tensor, "shape": [1, 1, 8, 9]}]}),
        ("POST", "/invocations", {"inputs": [row[None].tolist()[0]]}),
        ("POST", "/invocations", {"instances": [{"b64": coded}]}),
        ("POST", "/invocations", {}), ("GET", "/version", None), ("GET", "/nothing", None),
        ("PUT", "/api/v1/models", None), ("GET", "/metrics", None), ("GET", "/", None),
    ]  # fmt: skip
    found: dict[str, Any] = {}
    with TestClient(create_app(Settings(models=(folder / "model",)))) as client:
        while client.get("/readyz").status_code != 200:
            pass
        for number, (method, path, body) in enumerate(requests):
            answer = client.request(method, path, json=body)
            kind = answer.headers.get("content-type", "").partition(";")[0]
            entry: dict[str, Any] = {"status": answer.status_code, "type": kind}
            if kind.endswith("json"):
                entry["body"] = served(answer.json())
            found[f"{number} {method} {path}"] = entry
        found["metrics"] = sorted({
            line.split()[2] for line in client.get("/metrics").text.splitlines()
            if line.startswith("# TYPE nbdt")
        })  # fmt: skip
        found["page"] = client.get("/", headers={"Accept": "text/html"}).headers["content-type"]
        document = client.get("/openapi.json").json()
    found["openapi"] = plain({
        f"{method.upper()} {path}": operation_of(operation, document)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in {"get", "post", "put", "delete", "head"}
    })  # fmt: skip
    return found


def served(value: Any) -> Any:
    """An answer without what is prose, or belongs to one request."""
    value = plain(value)
    if isinstance(value, dict):
        return {
            key: "…" if key in {"detail", "title", "error", "id", "message", "version", "versions",
                                "model_version", "instance", "request_id", "type", "summary",
                                "name" if "extensions" in value else ""}
            and isinstance(inner, str) else served(inner)
            for key, inner in value.items()
        }  # fmt: skip
    return [served(inner) for inner in value] if isinstance(value, list) else value


def operation_of(operation: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """What a program must send, and what it gets, without names of schemas and prose."""

    def contents(of: dict[str, Any]) -> Any:
        return {
            kind: shape_of(media.get("schema", {}), document)
            for kind, media in sorted(of.get("content", {}).items())
        }

    return {
        "parameters": sorted(
            f"{one['in']} {one['name']}{' required' if one.get('required') else ''}"
            for one in operation.get("parameters", ())
        ),
        "request": contents(operation.get("requestBody", {})),
        "responses": {
            status: contents(resolved(answer, document))
            for status, answer in sorted(operation["responses"].items())
        },
    }


def resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        target: Any = document
        for key in schema["$ref"].removeprefix("#/").split("/"):
            target = target[key]
        schema = target
    return schema


def shape_of(schema: Any, document: dict[str, Any], depth: int = 0) -> Any:
    """The names of properties, nested; "*" marks required ones."""
    if not isinstance(schema, dict) or depth > 5:
        return "…"
    schema = resolved(schema, document)
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            options = [shape_of(one, document, depth) for one in schema[key]]
            kept = [one for one in options if one != "null"]
            return kept[0] if len(kept) == 1 else sorted(kept, key=str)
    if "properties" in schema:
        required = schema.get("required", ())
        return {
            name + ("*" if name in required else ""): shape_of(one, document, depth + 1)
            for name, one in sorted(schema["properties"].items())
        }
    if schema.get("type") == "array":
        return ["array of", shape_of(schema.get("items", {}), document, depth + 1)]
    return schema.get("type", "any")


# ── training ──────────────────────────────────────────────────────────────────────────────────

TRAINING = """
import hashlib, json, sys
import torch
from torch import nn
torch.set_num_threads(1)
torch.manual_seed(0)
def network():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10)
    )
net = network()
with torch.random.fork_rng():
    x = torch.randn(64, 1, 8, 8)
net(x).logsumexp(1).sum().backward()
machine = hashlib.sha256(b"".join(p.grad.numpy().tobytes() for p in net.parameters())).hexdigest()
import nbdt
from nbdt.training import TrainingConfig, fit
from sklearn.datasets import load_digits
from torch.utils.data import TensorDataset
digits = load_digits()
x = torch.from_numpy(digits.images / 16).float()[:, None]
y = torch.from_numpy(digits.target).long()
train, val = TensorDataset(x[:600], y[:600]), TensorDataset(x[1000:1400], y[1000:1400])
found = {}
for loss in ("cross_entropy", "soft", "hard"):
    torch.manual_seed(1)
    model = nbdt.NBDT(network(), nbdt.load_hierarchy("digits/shape"))
    config = TrainingConfig(epochs=2, loss=loss, batch_size=64, learning_rate=0.05, average=0.9,
                            label_smoothing=0.1, seed=3)
    records = fit(model, train, val, config, progress=False)
    found[loss] = {
        "correct": {key: round(400 * value) for key, value in records[-1].accuracy.items()},
        "losses": [record.loss for record in records],
        "rates": [record.learning_rate for record in records],
        "weights": {name: value.double().flatten()[:: max(1, value.numel() // 6)].tolist()
                    for name, value in model.network.state_dict().items()},
    }
print(json.dumps({"machine": machine, "found": found}))
"""


@snapshot(rtol=1e-5, atol=1e-5)
def training(folder: Path) -> Any:
    """Three short trainings in a process with one thread, and what the machine computes."""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TRAINING],
        env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False, cwd=folder, timeout=200,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)
