"""The linear layer beside PyTorch's own and beside a second, slow implementation."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from ternary_vae.model import DualVAE
from ternary_vae.model import linear as own
from ternary_vae.model.linear import Linear, answering, as_factor, linear
from ternary_vae.operations import all_operations
from ternary_vae.training.precision import matrix_products


@pytest.fixture
def bfloat16(monkeypatch):
    """As on a processor that multiplies bfloat16, whether this one does or not."""
    monkeypatch.setattr(own, "_multiplies_bfloat16", lambda: True)
    with matrix_products("medium"):
        yield


def tensors(*shapes, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes]


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=2),
    st.integers(1, 6), st.integers(1, 6), st.booleans(), st.integers(0, 2**32),
)  # fmt: skip
def test_it_is_pytorchs_own_with_its_gradients(rows, inputs, outputs, biased, seed):
    x, weight, bias, slope = tensors((*rows, inputs), (outputs, inputs), (outputs,), (*rows, outputs), seed=seed)
    leaves = [x, weight, bias] if biased else [x, weight]
    answers = linear(*leaves[:2], bias if biased else None), F.linear(*leaves[:2], bias if biased else None)
    assert torch.allclose(*answers)
    for found, expected in zip(*(torch.autograd.grad((answer * slope).sum(), leaves) for answer in answers)):
        assert torch.allclose(found, expected)


@pytest.mark.parametrize("biased", [True, False])
def test_gradients_of_gradients(biased):
    """As of any operation of PyTorch's."""
    leaves = tensors((4, 3), (2, 3), (2,)) if biased else tensors((4, 3), (2, 3))
    assert torch.autograd.gradgradcheck(lambda x, w, b=None: linear(x, w, b).sin(), leaves)


@pytest.mark.parametrize("biased", [True, False])
def test_several_runs_are_each_by_its_own_weights(biased):
    x, weight, bias, slope = tensors((3, 4, 5), (3, 2, 5), (3, 2), (3, 4, 2))
    leaves = [x, weight, bias] if biased else [x, weight]
    together = linear(x, weight, bias if biased else None)
    alone = torch.stack([F.linear(x[run], weight[run], bias[run] if biased else None) for run in range(3)])
    assert torch.allclose(together, alone)
    for found, expected in zip(*(torch.autograd.grad((each * slope).sum(), leaves) for each in (together, alone))):
        assert torch.allclose(found, expected)


@pytest.mark.parametrize("runs", [(), (3,)])
def test_gradients_lie_row_by_row(runs):
    leaves = tensors((*runs, 8, 4), (*runs, 6, 4))
    for found in torch.autograd.grad(linear(*leaves, None).sum(), leaves):
        assert found.is_contiguous()


def test_nothing_is_kept_where_no_gradient_is_wanted():
    layer = Linear(4, 6)
    with torch.no_grad():
        answer = layer(torch.randn(2, 4))
    assert answer.grad_fn is None
    assert layer(torch.randn(2, 4)).grad_fn is not None


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # PyTorch's own
@pytest.mark.parametrize("vae", ["A", "B"])
def test_out_of_training_a_model_goes_through_the_transforms_of_torch_func(vae):
    """The Jacobian of every code's own logits, in both directions, beside that of all logits by all codes, which
    autograd takes through the layers as they train."""
    torch.manual_seed(0)
    model, tables = DualVAE("translated").double(), all_operations()[::5000]
    codes = torch.randn(len(tables), 16, dtype=torch.float64)
    wanted = torch.autograd.functional.jacobian(lambda z: model.decode(z, vae), codes)
    assert model.training
    model.eval()
    every = torch.arange(len(codes))
    for transform in (torch.func.jacrev, torch.func.jacfwd):
        one = torch.func.vmap(transform(lambda z: model.decode(z[None], vae)[0]))
        assert torch.allclose(one(codes), wanted[every, :, :, every])
    encoded = torch.func.jacrev(lambda rows: model.encode(rows).mu_a)(tables.double())
    assert encoded.shape == (len(tables), 16, *tables.shape)


def test_bfloat16_factors_are_rounded_once_each(bfloat16):
    """Beside double precision of the rounded factors: sums are of float32, answers and the gradient of the input are
    rounded to bfloat16, whose steps are 2⁻⁸ of a number; those of the weights are float32 again."""
    x, weight, bias = tensors((64, 9), (7, 9), (7,), dtype=torch.float32)
    factor = as_factor(x.detach()).requires_grad_()
    assert factor.dtype == torch.bfloat16
    answer = linear(factor, weight, bias)
    rounded = [each.detach().bfloat16().double().requires_grad_() for each in (x, weight, bias)]
    expected = F.linear(*rounded)
    assert answer.dtype == torch.bfloat16
    assert torch.allclose(answer.double(), expected, rtol=2**-8, atol=1e-6)
    gradients = torch.autograd.grad(answer.sum(), [factor, weight, bias])
    assert [each.dtype for each in gradients] == [torch.bfloat16, torch.float32, torch.float32]
    for found, wanted in zip(gradients, torch.autograd.grad(expected.sum(), rounded)):
        assert torch.allclose(found.double(), wanted, rtol=2**-8, atol=1e-2)


@pytest.mark.parametrize("precision", ["highest", "high"])
def test_factors_stay_where_rounding_is_not_allowed(monkeypatch, precision):
    monkeypatch.setattr(own, "_multiplies_bfloat16", lambda: True)
    x = torch.randn(2, 9)
    with matrix_products(precision):
        assert as_factor(x) is x


def test_factors_stay_where_the_processor_gains_nothing(monkeypatch):
    monkeypatch.setattr(own, "_multiplies_bfloat16", lambda: False)
    x = torch.randn(2, 9)
    with matrix_products("medium"):
        assert as_factor(x) is x


def test_processors_that_multiply_bfloat16_are_known_by_pytorchs_names(monkeypatch):
    """Which versions before 2.10 do not tell."""
    told = getattr(torch.cpu, "get_capabilities", dict)()
    assert told.get("architecture") != "x86_64" or {"avx512_bf16", "amx_bf16"} <= told.keys()
    for name in ("avx512_bf16", "amx_bf16", "avx512_fp16"):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda name=name: {name: True}, raising=False)
        assert own._multiplies_bfloat16.__wrapped__() == name.endswith("bf16")
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not own._multiplies_bfloat16.__wrapped__()


def test_double_precision_stays(bfloat16):
    x = torch.randn(2, 9, dtype=torch.float64)
    assert as_factor(x) is x


def test_networks_answer_in_float32_close_to_exact(bfloat16):
    """Weights as they begin; a step of bfloat16 is 2⁻⁸ of a number, and the answers are below 1."""

    torch.manual_seed(0)
    model, tables = DualVAE(), all_operations()[::50]
    outputs = model(tables)
    with matrix_products("highest"):
        exact = model.double()(tables)
    for name, value in outputs.items():
        assert value.dtype == torch.float32
        if name.startswith(("mu", "logvar")):
            assert (value.double() - exact[name]).abs().max() < 0.02


def test_answering_rounds_weights_once_to_the_same_bits(bfloat16):
    torch.manual_seed(1)
    model, z = DualVAE().requires_grad_(False), torch.randn(40, 16)
    expected = model.decode(z, "A"), model.decode(z, "B")
    with answering(model), torch.no_grad():
        for _ in range(2):
            with answering(model):  # is part of the block around it
                assert torch.equal(model.decode(z, "A"), expected[0])
            assert torch.equal(model.decode(z, "B"), expected[1])
        formats = set(model.decoder_B.fc_in._rounded)
    assert formats == {torch.bfloat16}
    model.decoder_B.fc_in.weight.zero_()
    with torch.no_grad():
        changed = model.decode(z, "B")
    assert torch.equal(changed, changed[:1].expand_as(changed))


@pytest.mark.parametrize("vae", ["A", "B"])
def test_answering_in_float32_goes_through_onednn(monkeypatch, vae):
    """Beside double precision; single latents and none do not."""
    torch.manual_seed(1)
    model, z = DualVAE().requires_grad_(False), torch.randn(40, 16)
    exact = DualVAE().double()
    exact.load_state_dict(model.state_dict())
    wanted, seen, product = exact.decode(z.double(), vae), [], F.linear
    monkeypatch.setattr(F, "linear", lambda x, *weights: seen.append(x.is_mkldnn) or product(x, *weights))
    with answering(model), torch.no_grad():
        answers = [model.decode(each, vae) for each in (z, z[:0], z[0])]
    layers = len(seen) // 3
    assert seen == [torch.backends.mkldnn.is_available()] * layers + [False] * 2 * layers
    for found, expected in zip(answers, (wanted, wanted[:0], wanted[0]), strict=True):
        assert not found.is_mkldnn
        assert torch.allclose(found.double(), expected, atol=1e-5)


@pytest.mark.parametrize("precision", ["highest", "medium"])
def test_answering_leaves_gradients(bfloat16, precision):
    layer, x = Linear(9, 4), torch.randn(3, 9)
    with answering(layer), matrix_products(precision):
        assert not as_factor(x, layer).is_mkldnn
        (found,) = torch.autograd.grad(layer(x).sum(), layer.bias)
    assert torch.equal(found, torch.full((4,), 3.0))
