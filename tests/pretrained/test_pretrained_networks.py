"""The networks in numpy, and the frozen encoder, against the model itself."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from ternary_vae import DualVAE, Gate, Space, UserError
from ternary_vae.gates import find_gate
from ternary_vae.model import logits_to_tables
from ternary_vae.operations import all_operations
from ternary_vae.pretrained import FrozenEncoder, Networks, read_model


@pytest.fixture(scope="module", params=[-1, 0, 1])
def model_and_place(request, tmp_path_factory):
    torch.manual_seed(request.param + 10)
    model = DualVAE("translated", middle_value_b=request.param).eval()
    place = tmp_path_factory.mktemp("model")
    model.save_pretrained(place)
    return model, place


@torch.no_grad()
def test_all_gates_have_the_codes_and_decodings_of_the_model(model_and_place):
    model, place = model_and_place
    networks = Networks(read_model(place))
    gates = all_operations()
    posteriors = model.encode(gates)
    for vae, mu, logvar in (("A", *posteriors[:2]), ("B", *posteriors[2:])):
        mean, log_variance = networks.encode(gates.numpy(), vae)
        np.testing.assert_allclose(mean, mu, atol=1e-5)
        np.testing.assert_allclose(log_variance, logvar, atol=1e-5)
        z = torch.randn(len(gates), 16, generator=torch.Generator().manual_seed(0))
        logits = model.decode(z, vae)
        np.testing.assert_allclose(networks.decode(z.numpy(), vae), logits, atol=1e-5)
        agree = (torch.from_numpy(networks.decoded_tables(z.numpy(), vae)) == logits_to_tables(logits)).double().mean()
        assert agree > 0.9999  # a tie within rounding may be decided otherwise


def test_equal_logits_decode_to_the_lowest_value(model_and_place):
    files = read_model(model_and_place[1])
    for name, array in files.arrays.items():
        files.arrays[name] = np.zeros_like(array)
    assert (Networks(files).decoded_tables(np.ones((2, 16)), "B") == -1).all()


@torch.no_grad()
def test_the_frozen_encoder(model_and_place):
    model, place = model_and_place
    table = torch.from_numpy(find_gate("SUM")[0].table)
    expected = model.encode(table[None])
    vector = FrozenEncoder(place).encode("SUM")
    assert vector.shape == (16,)
    np.testing.assert_allclose(vector, expected.mu_a[0], atol=1e-5)
    both = FrozenEncoder(place, vae="both").encode(["SUM", find_gate("MIN")[0], "index:0"])
    assert both.shape == (3, 32)
    np.testing.assert_allclose(both[0], torch.cat([expected.mu_a, expected.mu_b], dim=1)[0], atol=1e-5)
    tensor = FrozenEncoder(place, vae="B").encode(table.double())
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_allclose(tensor, expected.mu_b[0], atol=1e-5)
    assert FrozenEncoder(place).encode(np.stack([table.numpy()] * 6).reshape(2, 3, 9)).shape == (2, 3, 16)
    assert FrozenEncoder(place).encode([table.numpy()] * 2).shape == (2, 16)
    assert FrozenEncoder(place).encode([[-1] * 9]).shape == (1, 16)
    for kind in (object, np.dtypes.StringDType()):
        column = np.array([["SUM"], ["MIN"]], dtype=kind)  # of a data frame
        np.testing.assert_array_equal(FrozenEncoder(place, vae="both").encode(column), both[:2])
    np.testing.assert_array_equal(FrozenEncoder(place).encode(np.array("SUM")), vector)
    constants = [Gate(Space(), index) for index in (0, 9841, 19682, 0, 0)]  # as text the second is zeros alone
    written = [*(gate.text for gate in constants[:3]), "000", "0"]
    np.testing.assert_array_equal(FrozenEncoder(place).encode(written), FrozenEncoder(place).encode(constants))
    unsigned = np.array([0, 1, 1, 0, 1, 1, 0, 0, 1], dtype=np.uint8)
    np.testing.assert_array_equal(
        FrozenEncoder(place).encode(unsigned), FrozenEncoder(place).encode(unsigned.astype(np.int8))
    )


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_the_frozen_encoder_reads_tensors_of_any_number_type_alike(dtype, model_and_place):
    encoder = FrozenEncoder(model_and_place[1])
    table = torch.from_numpy(find_gate("SUM")[0].table)
    np.testing.assert_array_equal(encoder.encode(table.to(dtype)), encoder.encode("SUM"))


@pytest.mark.parametrize(
    ("gates", "message"),
    [
        ("SUMM", "names no gate"),
        ("NTI", "is a gate of 3 values and 1 input, not of 3 values and 2 inputs"),
        ([0, 1, -1], "a truth table has 9 entries"),
        ([[0, 0, 0, 0, 0, 0, 0, 0, 2]], "a truth table's entries are -1 to 1"),
        (np.zeros((0,)), "a truth table has 9 entries"),
        (np.array([["SUM", "MIN"]]), "a truth table has 9 entries"),
        (np.array(["SUM", None], dtype=object), "gate 1: None is no gate; expected a name"),
        (["SUM", "MIN", "SUMM"], "gate 2: 'SUMM' names no gate"),
        ([[0, 0, 0], [0, 0]], "truth tables of different lengths; each has 9 entries"),
    ],
)
def test_what_is_no_gate(gates, message, model_and_place):
    with pytest.raises(UserError, match=message):
        FrozenEncoder(model_and_place[1]).encode(gates)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("gates", "message"),
    [
        (5681, "5681: is a number; write an index as text"),
        ([5681, 0], "a truth table has 9 entries, got 2 numbers; write indices as texts, such as 'index:5681'"),
        ([5681], "a truth table has 9 entries, got 1 number; write"),
        (["SUM", 5681], "gate 1: 5681 is no gate"),
        (None, "None: is no gate; expected names"),
        (5.0, r"5\.0: is no gate; expected names"),
        (iter(["SUM"]), "is no gate; expected names"),
    ],
)
def test_what_is_neither_names_nor_tables(gates, message, model_and_place):
    with pytest.raises(UserError, match=message):
        FrozenEncoder(model_and_place[1]).encode(gates)


@pytest.mark.usefixtures("unchecked")
def test_an_unknown_vae(model_and_place):
    with pytest.raises(UserError, match="vae is 'A', 'B' or 'both', got 'C'"):
        FrozenEncoder(model_and_place[1], vae="C")


def test_weights_of_another_network(model_and_place):
    files = read_model(model_and_place[1])
    del files.arrays["decoder_B.fc_in.bias"]
    with pytest.raises(UserError, match=r"the weights do not fit the model: 'decoder_B\.fc_in\.bias'"):
        Networks(files)
    files = read_model(model_and_place[1])
    for name in [name for name in files.arrays if name.startswith("decoder_B.residual1.")]:
        del files.arrays[name]
    with pytest.raises(UserError, match=r"'decoder_B\.residual1\.block\.0\.weight'"):
        Networks(files)


def test_encoding_a_name_does_not_import_torch():
    program = (
        "import sys; from ternary_vae import FrozenEncoder; FrozenEncoder().encode('SUM'); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
