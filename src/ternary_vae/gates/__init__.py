"""Gates of many-valued logic: their names, properties and classes, and finding them. Nothing here needs torch."""

from ternary_vae.gates.equivalence import EQUIVALENCES, classes, orbit
from ternary_vae.gates.frame import data_frame
from ternary_vae.gates.names import Gate, find_gate, from_heptavintimal, parse_table
from ternary_vae.gates.properties import Properties, all_properties, known_properties, properties_of
from ternary_vae.gates.search import Found, find_gates

__all__ = [
    "EQUIVALENCES",
    "Found",
    "Gate",
    "Properties",
    "all_properties",
    "classes",
    "data_frame",
    "find_gate",
    "find_gates",
    "from_heptavintimal",
    "known_properties",
    "orbit",
    "parse_table",
    "properties_of",
]
