"""The rules as modules: what torch users do with any module works with these."""

import copy
import pickle
import shutil
import sys
from functools import partial

import pytest
import torch
from torch import nn

from nbdt.errors import InputError
from nbdt.rules import HardRules, SoftRules, TreeLayout, hard_predict, soft_log_probs
from tests.strategies import caterpillar, random_hierarchy

TREE = random_hierarchy(30, seed=1, branching=4)
EVERY = [(module, score) for module in (SoftRules, HardRules) for score in ("mean", "logsumexp")]


@pytest.fixture(params=EVERY, ids=lambda pair: f"{pair[0].__name__}-{pair[1]}")
def rules(request):
    module, score = request.param
    return module(TREE, score).eval()


@pytest.fixture
def logits():
    return torch.randn(6, 30, generator=torch.Generator().manual_seed(0)) * 3


def test_they_are_the_functions(rules, logits):
    function = soft_log_probs if isinstance(rules, SoftRules) else hard_predict
    assert torch.equal(rules(logits), function(logits, TreeLayout(TREE), rules.score))
    assert rules.hierarchy == TREE


def test_wrapping_leaves_a_state_dict_alone(rules):
    network = nn.Linear(4, 30)
    keys = network.state_dict().keys()
    assert nn.Sequential(network, rules).state_dict().keys() == {f"0.{key}" for key in keys}
    assert not list(rules.parameters())


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_answer_alike(rules, logits, copied):
    assert torch.equal(copied(rules)(logits), rules(logits))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_changing_the_dtype_leaves_the_tree_alone(rules, logits, dtype):
    expected = rules(logits.double())
    moved = copy.deepcopy(rules).to(dtype)
    assert torch.equal(moved(logits.double()), expected)


def test_buffers_move_with_the_module(rules):
    moved = copy.deepcopy(rules).to("meta")
    assert {buffer.device.type for buffer in moved.buffers()} == {"meta"}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("tree", [TREE, caterpillar(40)], ids=["random", "caterpillar"])
@pytest.mark.parametrize(("module", "score"), EVERY)
def test_compiles_whole(module, score, tree):
    rules = module(tree, score)
    logits = torch.randn(5, tree.num_classes)
    compiled = torch.compile(rules, fullgraph=True, backend="aot_eager")
    assert torch.allclose(compiled(logits).double(), rules(logits).double(), atol=1e-5)
    torch.compiler.reset()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not shutil.which("g++"), reason="inductor needs a C++ compiler")
def test_inductor_gives_the_same(logits, request):
    # Inductor raises the limit where it compiles something that it has not cached.
    request.addfinalizer(partial(sys.setrecursionlimit, sys.getrecursionlimit()))
    for module, score in EVERY:
        rules = module(TREE, score)
        compiled = torch.compile(rules, fullgraph=True)
        assert torch.allclose(compiled(logits).double(), rules(logits).double(), atol=1e-5)
    torch.compiler.reset()


def test_exports_with_a_dynamic_batch(rules, logits):
    batch = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(rules, (logits,), dynamic_shapes=batch)
    more = torch.randn(11, 30)
    assert torch.allclose(program.module()(more).double(), rules(more).double(), atol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_onnx_gives_the_same(rules, logits, tmp_path):
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    runtime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    batch = ({0: torch.export.Dim("batch")},)
    program = torch.onnx.export(rules, (logits,), dynamic_shapes=batch, dynamo=True, verbose=False)
    program.save(str(tmp_path / "rules.onnx"))
    session = runtime.InferenceSession(
        str(tmp_path / "rules.onnx"), providers=["CPUExecutionProvider"]
    )
    more = torch.randn(11, 30)
    (found,) = session.run(None, {session.get_inputs()[0].name: more.numpy()})
    assert torch.allclose(torch.from_numpy(found).double(), rules(more).double(), atol=1e-5)


def test_repr_says_what_it_is(rules):
    assert rules.score in repr(rules)
    assert "classes=30" in repr(rules)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("module", [SoftRules, HardRules])
def test_an_unknown_score_is_refused(module):
    with pytest.raises(InputError, match="median"):
        module(TREE, "median")
