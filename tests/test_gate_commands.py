"""`ternary-vae gate` and `ternary-vae gates` as they are typed."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

from ternary_vae import cli
from ternary_vae.gates import Gate, find_gate, find_gates, known_properties
from ternary_vae.space import Space

SOURCES = str(Path(cli.__file__).parents[2])


@pytest.fixture
def run(run_command):
    return run_command


class TestCodes:
    def test_a_gate_is_shown_in_both_vaes(self, run):
        code, out, _ = run("gate", "PC0", "--neighbours", "2")
        assert code == 0
        for vae in "AB":
            part = out.split(f"in VAE-{vae}, a code of 16 numbers\n")[1].split("\n\n")[0].splitlines()
            assert [len(line.split()) for line in part[:2]] == [8, 8]
            assert part[2].startswith("  decoded exactly from ")
            assert part[2].split("noise of ")[1].startswith("0.3, half of them under")
            assert part[3] == "  nearest gates: distance, index, heptavintimal, table, names"
            gates = [line.split()[1:4] for line in part[4:]]
            assert gates == [[index, Gate(Space(), int(index)).heptavintimal, text] for index, _, text in gates]
            assert len(gates) == 2

    def test_and_as_json(self, run):
        code, out, _ = run("gate", "PC0", "--format", "json")
        assert code == 0
        codes = json.loads(out)["codes"]
        assert [each["vae"] for each in codes] == ["A", "B"]
        assert [len(each["mean"]) for each in codes] == [16, 16]
        assert [len(each["nearest"]) for each in codes] == [5, 5]
        assert all(0.1 < each["noise_borne"] < 0.5 for each in codes)

    def test_gates_of_other_spaces_have_none(self, run, refused):
        code, out, _ = run("gate", "NTI", "--format", "json")
        assert (code, json.loads(out)["codes"]) == (0, [])
        assert "knows gates of 3 values and 2 inputs" in refused("gate", "NTI", "--model", "resolution")

    def test_near_by_codes(self, run):
        code, out, _ = run("gates", "--near", "SUM", "--distance", "B", "--limit", "3", "--format", "json")
        assert code == 0
        actual = json.loads(out)
        assert actual["near"].endswith("index 5681; distance is Euclidean, between codes of VAE-B")
        assert (actual["gates"][0]["distance"], actual["gates"][0]["index"]) == (0, 5681)

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("gates", "--distance", "A"), "--distance: needs --near"),
            (("gates", "--near", "SUM", "--model", "resolution"), "--model: needs --distance A or B"),
            (
                ("gates", "--near", "NTI", "--distance", "A"),
                "no model comes along that knows gates of 3 values and 1 input",
            ),
            (("gate", "SUM", "--model", "four_inputs"), "'four_inputs': no such model; "),
        ],
    )
    def test_what_is_refused(self, refused, arguments, said):
        assert said in refused(*arguments)


class TestGate:
    @pytest.mark.parametrize("name", ["PC0", "15633", "min", "----00-0+", "name:MIN"])
    def test_is_shown_however_it_is_named(self, run, name):
        code, out, _ = run("gate", name)
        assert code == 0
        assert out.startswith(f"{name}: {find_gate(name)[1]}\nminimum (Kleene and); MIN; AND; TAND\n")
        assert "index          15633" in out

    @pytest.mark.parametrize("name", ["---", "-0+", "--0", "+-0", "--------+"])
    def test_a_table_may_begin_with_a_sign(self, run, name):
        code, out, _ = run("gate", name, "--format", "json")
        assert code == 0
        assert json.loads(out)["text"] == name

    def test_as_json(self, run):
        actual = json.loads(run("gate", "SUM3", "--format", "json")[1])
        assert actual["understood"] == "SUM3: the name SUM3"
        assert actual["heptavintimal"] == "B7P7PBPB7"
        assert actual["properties"]["affine"] is True
        assert actual["classes"]["exchange"] == {"least": actual["index"], "size": 1}

    @pytest.mark.parametrize(("form", "start"), [("csv", "a,b,answer\n-1,-1,1\n"), ("verilog", "// gate_7PB; sum")])
    def test_other_formats_say_on_standard_error_what_was_understood(self, run, form, start):
        code, out, error = run("gate", "sum", "--format", form)
        assert (code, error) == (0, "ternary-vae: sum: the name SUM\n")
        assert out.startswith(start)

    def test_another_space(self, run):
        assert "keeps_0" in run("gate", "index:7", "--values", "2")[1]
        assert "index          7" in run("gate", "7", "--values", "4", "--inputs", "1")[1]

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["MAX"], "(heptavintimal:MAX) or the name MAX, -0+00++++ (name:MAX); write what is in brackets"),
            (["zzz0"], "names no gate"),
            (["+-0+"], "4 values; expected 3, 9, 27"),
            (["?--0?0-0+"], "gates --table"),
            (["99999"], "0 to 19682"),
            (["PC0", "--format", "yaml"], "'yaml' is not one of"),
            (["PC0", "--values", "1"], "a space of 1 values: expected 2 to 36"),
            (["index:7", "--values", "2", "--inputs", "0"], "a space of 0 inputs: expected at least 1"),
            (["5", "--inputs", "7"], "at most 1,024 entries"),
            (["--fromat"], "no such option: --fromat"),
            (["PC0", "--fromat", "csv"], "no such option: --fromat"),
            (["--verilog", "SUM"], "no such option: --verilog"),
            (["SUM", "MIN"], "SUM MIN: one gate at a time"),
            (["SUM", "--model", "resolution", "--format", "verilog"], "--model: needs --format text or json"),
            (["SUM", "--neighbours", "3", "--format", "csv"], "--neighbours: needs --format text or json"),
        ],
    )
    def test_bad_input_is_one_line(self, refused, arguments, says):
        assert says in refused("gate", *arguments)


class TestGates:
    def test_by_properties_the_nearest_first(self, run):
        code, out, _ = run("gates", "--where", "commutative and sheffer", "--near", "SUM", "--limit", "3")
        assert code == 0
        lines = out.splitlines()
        assert lines[0] == "SUM: the name SUM, index 5681; distance is the number of entries that differ"
        assert lines[1].startswith("90 gates, of which the first 3; tables from all inputs -1 to all inputs 1, ")
        assert lines[2].split() == ["distance", "index", "heptavintimal", "table", "names"]
        actual = find_gates(Space(), where="commutative and sheffer", near=find_gate("SUM")[0], limit=3)
        assert [line.split() for line in lines[3:]] == [
            [str(distance), str(gate.index), gate.heptavintimal, gate.text]
            for gate, distance in zip(actual.gates, actual.distances)
        ]

    def test_by_a_table_with_open_entries(self, run):
        out = run("gates", "--table", "?--0?0-0+", "--format", "json")[1]
        actual = json.loads(out)
        assert actual["count"] == 9
        assert all(gate["table"][1:4] == "--0" for gate in actual["gates"])

    def test_in_a_space_that_cannot_be_listed(self, run):
        code, out, _ = run("gates", "--table", "-" + "?" * 26, "--near", "SUM3", "--limit", "2")
        assert code == 0
        assert "2,541,865,828,329 gates, of which the first 2" in out
        assert "4,294,967,296 gates" in run("gates", "--values", "4", "--limit", "1")[1]

    def test_as_csv(self, run):
        _, out, error = run("gates", "--where", "commutative and idempotent and associative", "--format", "csv")
        rows = list(csv.DictReader(io.StringIO(out)))
        assert len(rows) == 9
        assert rows[1]["names"] == "minimum (Kleene and); MIN; AND; TAND"
        assert error.startswith("9 gates;")

    def test_those_that_have_a_name_and_those_of_two_values(self, run):
        named = json.loads(run("gates", "--named", "--limit", "0", "--format", "json")[1])
        assert named["count"] == find_gates(Space(), named=True).count < 100
        alone = json.loads(run("gates", "--values", "2", "--where", "sheffer", "--format", "json")[1])
        assert alone["gates"] == [
            {"index": 1, "table": "1000", "names": "NOR"}, {"index": 7, "table": "1110", "names": "NAND"},
        ]  # fmt: skip

    def test_nothing_found(self, run):
        assert run("gates", "--where", "constant and sheffer")[1].startswith("0 gates;")
        assert json.loads(run("gates", "--where", "constant and sheffer", "--format", "json")[1])["gates"] == []

    def test_properties_are_listed(self, run):
        for arguments, space in (([], Space()), (["--values", "2", "--inputs", "3"], Space(2, 3))):
            out = run("gates", "--properties", *arguments)[1]
            assert [line.split()[0] for line in out.splitlines()] == list(known_properties(space))

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["--where", "comutative"], "did you mean 'commutative'"),
            (
                ["--where", "sheffer", "--inputs", "3"],
                "at most 1,048,576 gates, not of 7,625,597,484,987; give a table",
            ),
            (["--table", "?-"], "2 values; expected 3, 9, 27"),
            (
                ["--table", "?-+", "--near", "SUM"],
                "'SUM' is a gate of 3 values and 2 inputs, not of 3 values and 1 input",
            ),
            (["--near", "MAX"], "write what is in brackets"),
            (["--limit", "-1"], "--limit"),
            (["--format", "verilog"], "'verilog' is not one of"),
        ],
    )
    def test_bad_input_is_one_line(self, refused, arguments, says):
        assert says in refused("gates", *arguments)


def test_without_torch(printed):
    """In a process that cannot import it: the answers are those of this one, which has, of as many threads."""
    commands = [
        ["gate", "PC0"], ["gate", "SUM3", "--format", "json"], ["gates", "--properties"],
        ["gates", "--where", "sheffer", "--near", "sum"], ["gates", "--table", "?" * 27],
    ]  # fmt: skip
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from ternary_vae import cli\n"
        f"for arguments in {commands}:\n"
        "    sys.argv = ['ternary-vae', *arguments]\n"
        "    try:\n        cli.main()\n    except SystemExit as ending:\n        assert not ending.code, arguments\n"
    )
    environment = {**os.environ, "PYTHONPATH": SOURCES, "PYTHONUTF8": "1"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    import torch  # noqa: F401

    with threadpool_limits(1):  # NumPy was imported before conftest.py says so, but in workers of pytest-xdist
        assert done.stdout == "".join(printed(*arguments) for arguments in commands)
    assert "PC0" in done.stdout
