"""Attribute values, keys and items: mostly good ones, now and then what the service must refuse.

Refused things are generated one at a time inside something good: a request with two faults says only which is told
first, and that belongs to few tests.
"""

from __future__ import annotations

import base64

from dynalab.differential.chance import Chance
from dynalab.differential.tables import TYPES, TableShape, Value

NAMES = ("v", "n", "colour", "owner", "tags", "doc", "list", "when")
WORDS = ("red", "blue", "a", "b", "", "é", "z" * 20, "𝄞x")
NUMBERS = (
    "0",
    "1",
    "2",
    "-1",
    "1.5",
    "10",
    "100",
    "-0.001",
    "1E2",
    "12345678901234567890123456789012345678",
    "0.1",
    "9.9999999999999999999999999999999999999E+125",
    "1E-130",
)
BYTES = ("", "AA==", "AQI=", "/w==", base64.b64encode(b"blob" * 8).decode())
BAD_VALUES: tuple[Value, ...] = (
    {"N": "one"},
    {"N": "1E126"},
    {"N": "1E-131"},
    {"N": "123456789012345678901234567890123456789"},
    {"N": ""},
    {"SS": []},
    {"NS": []},
    {"BS": []},
    {"SS": ["a", "a"]},
    {"NS": ["1", "1.0"]},
    {"BS": ["AQI=", "AQI="]},
    {"NULL": False},
    {},
    {"S": "a", "N": "1"},
    {"L": [{"N": "x"}]},
    {"M": {"a": {}}},
)


def scalar(chance: Chance, kind: str) -> Value:
    """A value of type S, N or B."""
    return {kind: chance.pick({"S": WORDS, "N": NUMBERS, "B": BYTES}[kind])}


def value(chance: Chance, depth: int = 2) -> Value:
    """A good value of any type, nested at most so deep."""
    kind = chance.pick(("N", "S", "N", "S", "SS", "NS", "BOOL", "NULL", "B", "BS", *(("L", "M") * bool(depth))))
    match kind:
        case "S" | "N" | "B":
            return scalar(chance, kind)
        case "BOOL":
            return {"BOOL": bool(chance.below(2))}
        case "NULL":
            return {"NULL": True}
        case "SS":
            return {"SS": chance.some(("a", "b", "c", "red"), 3)}
        case "NS":
            return {"NS": chance.some(("1", "2", "3.5", "-1"), 3)}
        case "BS":
            return {"BS": chance.some(("AA==", "AQI=", "/w=="), 2)}
        case "L":
            return {"L": [value(chance, depth - 1) for _ in range(chance.below(4))]}
        case _:
            return {"M": {name: value(chance, depth - 1) for name in chance.some(("x", "y", "n"), 2)}}


def key_value(chance: Chance, name: str) -> Value:
    """One of few good values of a key attribute."""
    kind = TYPES[name]
    options = {"S": ("a", "b", "é"), "N": ("0", "1", "2", "-1", "1.5"), "B": ("AA==", "AQI=", "/w==")}[kind]
    if name in ("colour", "owner", "when"):
        options = ("red", "blue", "z")
    return {kind: chance.pick(options)}


def key(chance: Chance, shape: TableShape, bad_one_in: int = 0) -> dict[str, Value]:
    """A key of that table; with `bad_one_in`, now and then one that the service must refuse."""
    made = {name: key_value(chance, name) for name in shape.keys}
    if bad_one_in and chance.one_in(bad_one_in):
        name = chance.pick(shape.keys)
        match chance.below(5):
            case 0:
                made[name] = {"BOOL": True}
            case 1:
                del made[name]
            case 2:
                made["extra"] = {"S": "x"}
            case 3:
                made[name] = {TYPES[name]: ""}
            case _:
                made[name] = chance.pick(BAD_VALUES)
    return made


def item(chance: Chance, shape: TableShape, bad_one_in: int = 0) -> dict[str, Value]:
    """An item of that table; with `bad_one_in`, now and then one that the service must refuse."""
    made = key(chance, shape, bad_one_in * 2)
    for name in chance.some(NAMES, 4):
        made[name] = key_value(chance, name) if name in TYPES else value(chance)
    if chance.one_in(12):
        made["pad"] = {"S": "p" * (300 * (1 + chance.below(20)))}
    if bad_one_in and chance.one_in(bad_one_in):
        name = chance.pick(("v", "colour", "n", "when"))
        made[name] = chance.pick((*BAD_VALUES, {"S": ""}, {"BOOL": True}, {"L": []}))
    return made
