"""Names against truth tables written out, and against the functions that they stand for."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ternary_vae.errors import UserError
from ternary_vae.gates.names import (
    HARDWARE_NAMES,
    NAMED_GATES,
    OTHER_GATES,
    Gate,
    find_gate,
    from_heptavintimal,
    gate_names,
    named_gate_index,
    parse_table,
    table_text,
)
from ternary_vae.space import Space

VALUES = (-1, 0, 1)

# Truth tables as one reads them: rows a = −1, 0, 1 from top to bottom, columns b = −1, 0, 1.
TRUTH_TABLES = {
    "false": "--- --- ---",
    "unknown": "000 000 000",
    "true": "+++ +++ +++",
    "first": "--- 000 +++",
    "second": "-0+ -0+ -0+",
    "not first": "+++ 000 ---",
    "not second": "+0- +0- +0-",
    "minimum (Kleene and)": "--- -00 -0+",
    "maximum (Kleene or)": "-0+ 00+ +++",
    "not minimum": "+++ +00 +0-",
    "not maximum": "+0- 00- ---",
    "product (exclusive nor)": "+0- 000 -0+",
    "exclusive or": "-0+ 000 +0-",
    "sum modulo 3": "+-0 -0+ 0+-",
    "consensus": "-00 000 00+",
    "any": "--0 -0+ 0++",
    "comparison": "0-- +0- ++0",
    "equality": "+-- -+- --+",
    "Kleene implication": "+++ 00+ -0+",
    "Łukasiewicz implication": "+++ 0++ -0+",
    "Gödel implication": "+++ -++ -0+",
}

PUBLISHED = {  # heptavintimal name: index
    "PC0": 15_633, "ZRP": 19_569, "7PB": 5_681, "RDC": 16_401, "H51": 12_529, "15H": 881, "5DP": 4_017, "PD5": 15_665,
}  # fmt: skip

HARDWARE = {
    "NTI": lambda a: 1 if a == -1 else -1,
    "PTI": lambda a: -1 if a == 1 else 1,
    "MTI": lambda a: 1 if a == 0 else -1,
    "STI": lambda a: -a,
    "negation": lambda a: -a,
    "NOT": lambda a: -a,
    "NEG": lambda a: -a,
    "identity": lambda a: a,
    "INC": lambda a: {-1: 0, 0: 1, 1: -1}[a],
    "INCREMENT": lambda a: {-1: 0, 0: 1, 1: -1}[a],
    "DEC": lambda a: {-1: 1, 0: -1, 1: 0}[a],
    "DECREMENT": lambda a: {-1: 1, 0: -1, 1: 0}[a],
    "NOT_NTI": lambda a: -1 if a == -1 else 1,
    "NOT_PTI": lambda a: 1 if a == 1 else -1,
    "NOT_MTI": lambda a: -1 if a == 0 else 1,
    "CLAMP_DOWN": lambda a: min(a, 0),
    "CLAMP_UP": lambda a: max(a, 0),
    "CONST_LOW": lambda a: -1,
    "CONST_MIDDLE": lambda a: 0,
    "CONST_HIGH": lambda a: 1,
    "MIN": min,
    "AND": min,
    "OR": max,
    "TAND": min,
    "MAX": max,
    "TOR": max,
    "TNAND": lambda a, b: -min(a, b),
    "TNOR": lambda a, b: -max(a, b),
    "XOR": lambda a, b: max(min(a, -b), min(-a, b)),
    "MUL": lambda a, b: a * b,
    "MULTIPLY": lambda a, b: a * b,
    "SUM": lambda a, b: (a + b + 1) % 3 - 1,
    "CONS": lambda a, b: (a + b) // 2 if a == b else 0,
    "CON": lambda a, b: (a + b) // 2 if a == b else 0,
    "NCONS": lambda a, b: -a if a == b else 0,
    "NCON": lambda a, b: -a if a == b else 0,
    "ANY": lambda a, b: (a + b > 0) - (a + b < 0),
    "NANY": lambda a, b: (a + b < 0) - (a + b > 0),
    "MLE": lambda a, b: (a > b) - (a < b),
    "COMPARE": lambda a, b: (a > b) - (a < b),
    "EN": lambda a, b: a if b == 1 else 0,
    "ENABLE": lambda a, b: a if b == 1 else 0,
    "DESEL": lambda a, b: a if b == 0 else b if a == 0 else min(a, b),
    "DESELECT": lambda a, b: a if b == 0 else b if a == 0 else min(a, b),
    "IMPLICATION": lambda a, b: max(-a, b),
    "SUM3": lambda a, b, c: (a + b + c + 1) % 3 - 1,
    "CAR3": lambda a, b, c: (a + b + c - ((a + b + c + 1) % 3 - 1)) // 3,
    "MEDIAN3": lambda a, b, c: sorted((a, b, c))[1],
    "MAJORITY3": lambda a, b, c: a if a in (b, c) else b if b == c else 0,
    "MUX3": lambda a, b, c: {-1: b, 0: 0, 1: c}[a],
    "MIN3": min,
    "MAX3": max,
}


def test_every_named_gate_has_a_table_written_here():
    assert set(TRUTH_TABLES) == set(NAMED_GATES)


@pytest.mark.parametrize("name", TRUTH_TABLES)
def test_named_gate_has_its_truth_table(name):
    rows = TRUTH_TABLES[name].split()
    table = Space().table(named_gate_index(name))
    for a, b in itertools.product(VALUES, VALUES):
        expected = "-0+".index(rows[a + 1][b + 1]) - 1
        assert int(table[3 * (a + 1) + (b + 1)]) == expected, (name, a, b)


def test_gates_are_found_by_index_and_no_two_share_one():
    assert len(gate_names()) == len(NAMED_GATES)
    assert gate_names()[named_gate_index("sum modulo 3")] == "sum modulo 3"
    with pytest.raises(KeyError):
        named_gate_index("no such gate")


@pytest.mark.parametrize(
    ("inputs", "word"), [(3, "0xE8"), (3, "0X0e8"), (2, "0x0"), (4, "0xFFFE"), (5, "index:0xe8000000")]
)
def test_what_a_lookup_table_holds_is_a_boolean_gate(inputs, word):
    """Bit number i is the answer to inputs that read i in binary, the first of them its highest bit."""
    gate, understood = find_gate(word, 2, inputs)
    held = int(word.removeprefix("index:"), 16)
    for number, values in enumerate(itertools.product((0, 1), repeat=inputs)):
        assert gate.table[number] == held >> number & 1, values
    assert understood == f"the index of a gate of {inputs} inputs"


@pytest.mark.parametrize(
    ("values", "word", "message"),
    [
        (2, "0x10", "index '0x10': of 2 inputs there are 0 to 15"),
        (2, "0xG", "'0xG' is no index"),
        (2, "0x", "'0x' is no index"),
        (4, "index:0x10", "'0x10' is no index"),
    ],
)
def test_what_no_lookup_table_holds(values, word, message):
    with pytest.raises(UserError, match=message):
        find_gate(word, values)


def test_every_name_of_hardware_has_a_function_written_here():
    assert set(HARDWARE) == {name for names in HARDWARE_NAMES.values() for name in names}


@pytest.mark.parametrize("name", HARDWARE)
def test_name_of_hardware_is_its_function(name):
    inputs = next(inputs for inputs, names in HARDWARE_NAMES.items() if name in names)
    gate, understood = find_gate(f"name:{name}")
    assert gate.space == Space(3, inputs)
    assert gate.table.tolist() == [HARDWARE[name](*values) for values in itertools.product(VALUES, repeat=inputs)]
    assert name in gate.names
    assert understood == f"the name {name}"


OTHER = {
    Space(2, 1): {"NOT": "10"},
    Space(2, 2): {
        "AND": "0001", "OR": "0111", "NAND": "1110", "NOR": "1000", "XOR": "0110", "XNOR": "1001",
        "IMPLICATION": "1101",
    },
    Space(2, 3): {
        "AND3": "00000001", "OR3": "01111111", "NAND3": "11111110", "NOR3": "10000000", "XOR3": "01101001",
        "XNOR3": "10010110", "MAJORITY3": "00010111", "MUX3": "00110101",
    },
    Space(2, 4): {
        "AND4": "0000000000000001", "OR4": "0111111111111111", "NAND4": "1111111111111110", "NOR4": "1000000000000000",
        "XOR4": "0110100110010110", "XNOR4": "1001011001101001",
    },
    Space(4, 2): {
        "MIN": "0000 0111 0122 0123", "MAX": "0123 1123 2223 3333", "SUM": "0123 1230 2301 3012",
        "MUL": "0000 0123 0202 0321",
    },
}  # fmt: skip


def test_names_of_two_and_four_values():
    assert {space: set(gates) for space, gates in OTHER_GATES.items()} == {
        space: set(gates) for space, gates in OTHER.items()
    }
    for space, gates in OTHER.items():
        for name, table in gates.items():
            gate, _ = find_gate(f"name:{name.lower()}", space.values)
            assert (gate.space, gate.text) == (space, table.replace(" ", "")), name
            assert name in gate.names


class TestHeptavintimal:
    @pytest.mark.parametrize("name", PUBLISHED)
    def test_published(self, name):
        assert from_heptavintimal(name) == Gate(Space(), PUBLISHED[name])
        assert Gate(Space(), PUBLISHED[name]).heptavintimal == name

    def test_every_gate_of_two_inputs_has_one_of_its_own(self):
        names = [Gate(Space(), index).heptavintimal for index in range(19_683)]
        assert len(set(names)) == 19_683
        assert [from_heptavintimal(name).index for name in names] == list(range(19_683))

    @given(st.sampled_from([1, 2, 3, 6]), st.data())
    def test_is_the_inverse_of_the_index(self, inputs, data):
        gate = Gate(Space(3, inputs), data.draw(st.integers(0, Space(3, inputs).operations - 1)))
        assert from_heptavintimal(gate.heptavintimal) == gate
        assert len(gate.heptavintimal) == 3 ** (inputs - 1)

    @pytest.mark.parametrize("name", ["", "PC", "PCI", "P0", "PC0PC0", "²"])
    def test_refused(self, name):
        with pytest.raises(UserError, match="no heptavintimal name"):
            from_heptavintimal(name)

    def test_other_logics_have_none(self):
        assert Gate(Space(2, 2), 7).heptavintimal is None


class TestTables:
    @given(st.sampled_from([(3, 1), (3, 2), (3, 3), (2, 2), (2, 10), (4, 2), (5, 2)]), st.data())
    def test_text_is_read_back(self, size, data):
        space = Space(*size)
        gate = Gate(space, data.draw(st.integers(0, space.operations - 1)))
        assume(set(gate.text) != {"0"} or space.values != 3)  # of zeros alone, see below
        assert parse_table(gate.text, space.values) == (space, gate.table.tolist())
        assert parse_table(",".join(map(str, gate.table)), space.values) == (space, gate.table.tolist())
        assert find_gate(f"table:{gate.text}", space.values)[0] == gate

    @pytest.mark.parametrize(
        "text",
        ["+-0-0+0+-", "+-0 -0+ 0+-", "+−0/−0+/0+−", "201012120", "1,-1,0,-1,0,1,0,1,-1", "+1,-1,0,-1,0,1,0,+1,-1"],
    )
    def test_ways_to_write_one(self, text):
        assert Space().index(parse_table(text)[1]) == PUBLISHED["7PB"]

    def test_open_entries(self):
        assert parse_table("?--0?0-0+") == (Space(), [None, -1, -1, 0, None, 0, -1, 0, 1])
        assert parse_table("???") == (Space(3, 1), [None] * 3)
        assert parse_table("?1", 2) == (Space(2, 1), [None, 1])

    def test_text_of_zeros_is_read_back_where_it_is_of_two_values(self):
        assert parse_table("0000", 2) == (Space(2, 2), [0] * 4)
        assert find_gate("table:0000", 2)[0] == Gate(Space(2, 2), 0)

    def test_zeros_between_commas_are_read_back(self):
        gate = Gate(Space(3, 1), 13)
        assert (gate.text, gate.table.tolist()) == ("000", [0, 0, 0])
        assert parse_table("0,0,0") == (Space(3, 1), [0, 0, 0])
        assert find_gate("table:0,0,0")[0] == gate

    @pytest.mark.parametrize("text", ["000", "0?0", "000000000"])
    def test_zeros_alone_could_be_two_things(self, text):
        with pytest.raises(UserError, match="value 0 or the class 0"):
            parse_table(text)
        assert parse_table(",".join(text))[1][0] == 0

    @pytest.mark.parametrize(
        ("text", "values", "inputs", "message"),
        [
            ("+-0-0+0+", 3, None, "8 values; expected 3, 9, 27 … in logic of 3 values$"),
            ("+-0-0+0+-", 3, 1, "9 values; expected 3$"),
            ("+-0-0+0+3", 3, None, "'3' is no value"),
            ("+-2", 3, None, "'2' is no value; expected -, 0 and \\+ alone, or 0, 1 and 2 alone"),
            ("+-0-0+0+2", 3, None, "'2' is no value"),
            ("0,1,2", 3, None, "'2' is no value; expected -1, 0 and 1 between commas, or"),
            ("0120", 2, None, "'2' is no value; expected 0, 1,"),
            ("", 3, None, "0 values"),
            ("?--", 3, 10_000, "inputs"),
            ("?--", 3, -1, "inputs"),
            ("?--", 3, 0, "inputs"),
        ],
    )
    def test_refused(self, text, values, inputs, message):
        with pytest.raises(UserError, match=message):
            parse_table(text, values, inputs)


class TestFindGate:
    @pytest.mark.parametrize(
        ("text", "name", "understood"),
        [
            ("15633", "PC0", "the index of a gate of 2 inputs"),
            ("15,633", "PC0", "the index of a gate of 2 inputs"),
            ("index:881", "15H", "the index of a gate of 2 inputs"),
            (5, "005", "the index of a gate of 2 inputs"),
            ("PC0", "PC0", "the heptavintimal name of a gate of 2 inputs"),
            ("pc0", "PC0", "the heptavintimal name of a gate of 2 inputs"),
            ("heptavintimal: max", "MAX", "the heptavintimal name of a gate of 2 inputs"),
            ("----00-0+", "PC0", "a truth table of 2 inputs"),
            ("max", "ZRP", "the name MAX"),
            ("Name:MAX", "ZRP", "the name MAX"),
            ("minimum", "PC0", "the name minimum (Kleene and)"),
            ("Minimum (Kleene and)", "PC0", "the name minimum (Kleene and)"),
            ("lukasiewicz_implication", "PXZ", "the name Łukasiewicz implication"),
            ("not ptI", "K", "the name NOT_PTI"),
            ("consensus", "RDC", "the name consensus"),
            ("b7p7pbpb7", "B7P7PBPB7", "the heptavintimal name of a gate of 3 inputs"),
        ],
    )
    def test_what_was_understood(self, text, name, understood):
        gate, how = find_gate(text)
        assert (gate.heptavintimal, how) == (name, understood)

    def test_every_name_is_found(self):
        for names in (NAMED_GATES, HARDWARE):
            for name in names:
                assert name in find_gate(f"name:{name.swapcase()}")[0].names

    def test_another_space(self):
        assert find_gate("7", 2)[0] == Gate(Space(2, 2), 7)
        assert find_gate("table:1110", 2)[0] == Gate(Space(2, 2), 7)
        assert find_gate("7", 4, 1)[0] == Gate(Space(4, 1), 7)
        assert find_gate("SUM", 4)[0] == find_gate("0123123023013012", 4)[0] != find_gate("SUM")[0]

    @pytest.mark.parametrize(
        ("text", "values", "inputs", "says"),
        [
            ("SUM", 2, None, "'SUM' is a gate of 3 values and 2 inputs, not of 2 values"),
            ("PC0", 3, 1, "'PC0' is a gate of 3 values and 2 inputs, not of 3 values and 1 input"),
            ("SUM3", 3, 2, "'SUM3' is a gate of 3 values and 3 inputs, not of 3 values and 2 inputs"),
            ("heptavintimal:K", 2, None, "the heptavintimal name of a gate of 3 values and 1 input"),
            ("xnor", 3, None, "'xnor' names no gate but one of 2 values and 2 inputs; did you mean 'xor'?"),
            ("XOR3", 2, 2, "'XOR3' names no gate but one of 2 values and 3 inputs; did you mean 'xor'?"),
            (
                "zzzzzz",
                3,
                4,
                "'zzzzzz' names no gate; expected an index, a truth table of 81 values; these gates have no",
            ),
            ("zzzzzz", 2, 3, "a truth table of 8 values, or a name such as AND3"),
            ("zzzzzz", 2, 1, "a truth table such as 01 of one input, or a name such as NOT"),
        ],
    )
    def test_a_gate_of_another_space_is_said_to_be_one(self, text, values, inputs, says):
        with pytest.raises(UserError, match=re.escape(says) + "(?!s)"):
            find_gate(text, values, inputs)

    @pytest.mark.parametrize(
        ("values", "table", "name"),
        [
            (2, "01", "AND"),
            (4, "0123", "MAX"),
            (5, "-2,-1,0,1,2", None),
            (36, "0123456789abcdefghijklmnopqrstuvwxyz", None),
        ],
    )
    def test_what_is_expected_is_of_that_space(self, values, table, name):
        assert find_gate(f"table:{table}", values)[0].space == Space(values, 1)
        with pytest.raises(UserError) as refused:
            find_gate("zzzzzz", values)
        assert f"a truth table such as {table} of one input" in str(refused.value)
        assert ("have no names here" if name is None else f"a name such as {name}") in str(refused.value)

    @pytest.mark.parametrize(
        ("text", "ways"),
        [
            ("MAX", ["heptavintimal:MAX", "name:MAX"]),
            ("DEC", ["heptavintimal:DEC", "name:DEC"]),
            ("5", ["index:5", "heptavintimal:5"]),
            ("881", ["index:881", "heptavintimal:881"]),
            ("121", ["index:121", "table:0,1,0", "heptavintimal:121"]),
            ("012012012", ["table:-1,0,1,-1,0,1,-1,0,1", "heptavintimal:012012012"]),
            ("000", ["heptavintimal:000", "table:0,0,0", "table:-1,-1,-1"]),
            ("table:000", ["table:0,0,0", "table:-1,-1,-1"]),
        ],
    )
    def test_what_could_be_two_things_is_one_line_that_says_how_to_choose(self, text, ways):
        with pytest.raises(UserError) as refused:
            find_gate(text)
        assert "could be" in str(refused.value)
        for way in ways:
            assert f"({way})" in str(refused.value)
            find_gate(way)

    def test_the_number_of_inputs_may_decide(self):
        assert (
            find_gate("5", inputs=1)[1]
            == "the index of a gate of 1 input and the heptavintimal name of a gate of 1 input"
        )
        assert find_gate("012012012", inputs=2)[0].text == "-0+-0+-0+"
        assert find_gate("881", inputs=3)[0] == Gate(Space(3, 3), 881)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("summ", "did you mean 'sum'"),
            ("godel", "did you mean 'godel implication'"),
            ("minimum (Kleene or)", "names no gate"),
            ("00012012", "table '00012012': 8 values; expected 3, 9, 27"),
            ("index:007", "is no index: expected a whole number, without zeros before it"),
            ("1,0234", "'0234' is no value"),
            ("NMIN", "did you mean"),
            ("qqq", "expected an index, a truth table"),
            ("99999", "0 to 19682"),
            ("index:1.5", "no index"),
            ("?--0?0-0+", "leaves entries open"),
            ("+-0+", "4 values; expected 3, 9, 27"),
            ("hept:PC0", "no kind of name; known: heptavintimal, index"),
            ("heptavintimal:PCI", "no heptavintimal name"),
            ("index:000-", "is no index"),
            ("heptavintimal:99999", "no heptavintimal name"),
            ("", "'' names no gate; expected an index"),
            ("9" * 5000, "no index"),
        ],
    )
    def test_refused(self, text, message):
        with pytest.raises(UserError, match=message):
            find_gate(text)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("index", [-1, 19_683, 5.0, "SUM", [5, 6]])
def test_there_is_no_gate_of_another_index(index):
    with pytest.raises(UserError, match=re.escape(f"index {index!r}: expected a whole number from 0 to 19682")):
        Gate(Space(), index)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("space", [Space(), Space(5, 2)])
def test_a_gate_can_be_made_of_what_a_space_says_its_index_is(space):
    gate = Gate(space, space.index(space.arguments().min(axis=1)))
    assert type(gate.index) is int
    assert gate in {Gate(space, int(gate.index))}
    assert gate.table.tolist() == [min(inputs) for inputs in space.arguments().tolist()]


def test_text_of_many_values_has_commas():
    assert table_text(Space(5, 1), Space(5, 1).table(7)) == "0,-1,-2,-2,-2"
