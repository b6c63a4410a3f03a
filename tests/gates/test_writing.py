"""What is written of a gate against the gate, and its Verilog in a simulator where one is installed."""

from __future__ import annotations

import csv
import io
import itertools
import re
import shutil
import subprocess

import pytest

from ternary_vae.gates.equivalence import classes
from ternary_vae.gates.names import Gate, find_gate
from ternary_vae.gates.properties import properties_of
from ternary_vae.gates.writing import csv_table, described, text_card, verilog_module
from ternary_vae.space import Space

GATES = [
    *(find_gate(f"name:{name}")[0] for name in ("STI", "NTI", "MLE", "SUM", "EN", "MAX", "SUM3", "CAR3")),
    Gate(Space(2, 2), 7), Gate(Space(4, 2), 1_234_567_890), Gate(Space(5, 1), 1_000),
]  # fmt: skip


def test_all_that_is_known():
    actual = described(find_gate("sum")[0])
    assert (actual["index"], actual["values"], actual["inputs"]) == (5_681, [-1, 0, 1], ["a", "b"])
    assert actual["names"] == ["sum modulo 3", "SUM"]
    assert actual["table"] == [1, -1, 0, -1, 0, 1, 0, 1, -1]
    assert actual["arguments"][1] == [-1, 0]
    assert actual["properties"] == properties_of(Space(), 5_681)
    for kind, members in actual["classes"].items():
        least, size = classes(Space(), kind)
        assert members == {"least": least[5_681], "size": size[5_681]}


def test_a_group_that_is_too_large():
    gate = Gate(Space(5, 2), 5)
    assert described(gate)["classes"]["permutation"] is None
    assert "too large  permutation" in text_card(gate)


def test_the_card_says_how_to_read_the_table():
    card = text_card(find_gate("mle")[0])
    assert "entries from a b = -1 -1 to 1 1, b changes fastest" in card
    rows = [line.split() for line in card.splitlines() if re.fullmatch(r" +(-?\d) \| +.*", line)]
    assert rows == [["-1", "|", "0", "-1", "-1"], ["0", "|", "1", "0", "-1"], ["1", "|", "1", "1", "0"]]
    assert "\nis      surjective, balanced, " in card
    assert "\nis not  idempotent, constant, " in card
    assert "\nvalues_taken = 3\ninputs_used = 2\n" in card
    assert f"{19_682 - 12_529:>14} {2:>7}  exchange (" in card  # with its inputs exchanged it is its negation
    assert max(map(len, card.splitlines())) <= 120


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.text[:9])
def test_cards_and_csv_of_any_space(gate):
    assert text_card(gate).count("|") == gate.space.entries // gate.space.values + 1
    header, *rows = csv.reader(io.StringIO(csv_table(gate)))
    assert header == [*"abc"[: gate.space.inputs], "answer"]
    lowest = gate.space.lowest
    inputs = itertools.product(range(lowest, lowest + gate.space.values), repeat=gate.space.inputs)
    assert rows == [[*map(str, place), str(value)] for place, value in zip(inputs, gate.table)]


def test_verilog_has_two_bits_a_trit():
    text = verilog_module(find_gate("negation")[0])
    assert "// 00 is -1, 01 is 0, 10 is 1" in text
    assert "module gate_5 (input wire [1:0] a, output reg [1:0] y);" in text
    assert "2'b00: y = 2'b10;" in text


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")
@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.text[:9])
def test_verilog_simulated(gate, tmp_path):
    module = verilog_module(gate)
    name = re.search(r"module (\w+)", module)[1]
    bits = (gate.space.values - 1).bit_length()
    letters = "abc"[: gate.space.inputs]
    steps = [
        "".join(f"{letter} = {value}; " for letter, value in zip(letters, place)) + '#1 $display("%0d", y);'
        for place in itertools.product(range(gate.space.values), repeat=gate.space.inputs)
    ]
    bench = "\n".join(
        [
            "module bench;",
            f"reg [{bits - 1}:0] {', '.join(letters)}; wire [{bits - 1}:0] y;",
            f"{name} gate ({', '.join(f'.{letter}({letter})' for letter in letters)}, .y(y));",
            "initial begin",
            *steps,
            # What is no value gives an undefined answer; two values leave no such code.
            *([f'a = {2**bits - 1}; #1 $display("%b", y);'] if gate.space.values < 2**bits else []),
            "end",
            "endmodule",
        ]
    )
    (tmp_path / "gate.v").write_text(module)
    (tmp_path / "bench.v").write_text(bench)
    program = tmp_path / "program"
    files = [tmp_path / "gate.v", tmp_path / "bench.v"]
    done = subprocess.run(["iverilog", "-Wall", "-o", program, *files], capture_output=True, text=True, check=True)
    assert not [line for line in done.stderr.splitlines() if "timescale" not in line]
    answers = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
    assert answers[: gate.space.entries] == [str(value - gate.space.lowest) for value in gate.table]
    assert answers[gate.space.entries :] in ([], ["x" * bits])
