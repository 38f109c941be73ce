"""PartiQL against what a person would write by hand.

Random conditions are written twice, by two small writers that share nothing with the translation: once as PartiQL with
literals and parameters, once as an expression with placeholders. A statement must be the hand-made request, once both
have their placeholders filled in; and what a SELECT gives must be what an evaluator of four lines a rule says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dynalab_model.database import State, apply
from dynalab_model.errors import DynamoError
from dynalab_model.operations import DeleteItem, ExecuteStatement, GetItem, PutItem, Query, Scan, UpdateItem
from dynalab_model.partiql import translate
from dynalab_model.requests import parse
from dynalab_model.schema import KeyAttribute, KeySchema, TableSchema
from dynalab_model.values import Item

SCHEMA = TableSchema("Ttt", KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "N")))
NAMES = ("a", "b", "order", "my.size")  # a reserved word, and a name that needs quotes
SCALARS = st.one_of(
    st.integers(0, 3).map(lambda n: {"N": str(n)}),
    st.sampled_from(["", "x", "xy", "it's"]).map(lambda text: {"S": text}),
    st.booleans().map(lambda truth: {"BOOL": truth}),
    st.just({"NULL": True}),
)
ORDERED = st.one_of(
    st.integers(0, 3).map(lambda n: {"N": str(n)}), st.sampled_from(["", "x", "xy"]).map(lambda text: {"S": text})
)
SETS = st.lists(st.sampled_from(["x", "xy", "z"]), min_size=1, max_size=2, unique=True).map(lambda texts: {"SS": texts})
Value = dict[str, Any]


@dataclass(frozen=True)
class Cond:
    """`kind` is an operator; leaves have a `name` and `values`, the others `parts`."""

    kind: str
    name: str = ""
    values: tuple[Value, ...] = ()
    parts: tuple[Cond, ...] = ()

    def __hash__(self) -> int:
        return hash(repr(self))


def leaves(names: tuple[str, ...] = NAMES) -> st.SearchStrategy[Cond]:
    name = st.sampled_from(names)
    pair = st.tuples(st.integers(0, 3), st.integers(0, 3)).map(lambda two: ({"N": str(min(two))}, {"N": str(max(two))}))
    return st.one_of(
        st.builds(Cond, st.sampled_from(["=", "<>"]), name, st.tuples(st.one_of(SCALARS, SETS))),
        st.builds(Cond, st.sampled_from(["<", "<=", ">", ">="]), name, st.tuples(ORDERED)),
        st.builds(Cond, st.just("BETWEEN"), name, pair),
        st.builds(Cond, st.just("IN"), name, st.lists(SCALARS, min_size=1, max_size=3).map(tuple)),
        st.builds(Cond, st.sampled_from(["IS MISSING", "IS NOT MISSING"]), name),
        st.builds(Cond, st.sampled_from(["begins_with", "contains"]), name, st.tuples(st.just({"S": "x"}))),
        st.builds(Cond, st.sampled_from(["size =", "size <>", "size <"]), name, st.tuples(st.just({"N": "2"}))),
    )


CONDITIONS = st.recursive(
    leaves(),
    lambda inner: st.one_of(
        st.builds(lambda part: Cond("NOT", parts=(part,)), inner),
        st.builds(
            lambda kind, parts: Cond(kind, parts=tuple(parts)),
            st.sampled_from(["AND", "OR"]),
            st.lists(inner, min_size=2, max_size=3),
        ),
    ),
    max_leaves=6,
)
ITEMS = st.lists(
    st.dictionaries(st.sampled_from(NAMES), st.one_of(SCALARS, SETS), max_size=3), min_size=1, max_size=5
).map(lambda rows: [{"pk": {"S": "p"}, "sk": {"N": str(n)}, **row} for n, row in enumerate(rows)])


class Spoken:
    """Writes PartiQL: every other value is a parameter."""

    def __init__(self) -> None:
        self.parameters: list[Value] = []
        self.count = 0

    def value(self, value: Value) -> str:
        self.count += 1
        if self.count % 2:
            self.parameters.append(value)
            return "?"
        ((kind, content),) = value.items()
        if kind == "S":
            return "'" + str(content).replace("'", "''") + "'"
        if kind == "SS":
            return "<<" + ", ".join(f"'{member}'" for member in content) + ">>"
        return str(content).upper() if kind in ("N", "BOOL") else "NULL"

    def condition(self, cond: Cond) -> str:
        name = f'"{cond.name}"'
        if cond.kind in ("AND", "OR"):
            return f" {cond.kind.lower()} ".join(f"({self.condition(part)})" for part in cond.parts)
        if cond.kind == "NOT":
            return f"NOT ({self.condition(cond.parts[0])})"
        values = [self.value(value) for value in cond.values]
        if cond.kind == "BETWEEN":
            return f"{name} BETWEEN {values[0]} AND {values[1]}"
        if cond.kind == "IN":
            return f"{name} IN [{', '.join(values)}]"
        if cond.kind.startswith("IS"):
            return f"{name} {cond.kind}"
        if cond.kind.startswith("size"):
            return f"size({name}) {cond.kind[5:]} {values[0]}"
        if cond.kind in ("begins_with", "contains"):
            return f"{cond.kind}({name}, {values[0]})"
        return f"{name} {cond.kind} {values[0]}"


def by_hand(cond: Cond, inside: bool = False) -> str:
    """The expression that a person writes for this condition, names and values in full."""
    name = f"<{cond.name}>"
    values = [repr(value) for value in cond.values]
    if cond.kind in ("AND", "OR"):
        text = f" {cond.kind} ".join(by_hand(part, True) for part in cond.parts)
        return f"({text})" if inside else text
    if cond.kind == "NOT":
        text = f"NOT {by_hand(cond.parts[0], True)}"
        return f"({text})" if inside else text
    if cond.kind == "<>":
        text = f"attribute_exists({name}) AND {name} <> {values[0]}"
        return f"({text})" if inside else text
    if cond.kind == "size <>":
        text = f"size({name}) >= {{'N': '0'}} AND size({name}) <> {values[0]}"
        return f"({text})" if inside else text
    return {
        "BETWEEN": lambda: f"{name} BETWEEN {values[0]} AND {values[1]}",
        "IN": lambda: f"{name} IN ({', '.join(values)})",
        "IS MISSING": lambda: f"attribute_not_exists({name})",
        "IS NOT MISSING": lambda: f"attribute_exists({name})",
        "begins_with": lambda: f"begins_with({name}, {values[0]})",
        "contains": lambda: f"contains({name}, {values[0]})",
        "size =": lambda: f"size({name}) = {values[0]}",
        "size <": lambda: f"size({name}) < {values[0]}",
    }.get(cond.kind, lambda: f"{name} {cond.kind} {values[0]}")()


def holds(cond: Cond, item: dict[str, Value]) -> bool:
    """PartiQL's meaning: what is missing compares to nothing; NOT turns false into true."""
    if cond.kind == "AND":
        return all(holds(part, item) for part in cond.parts)
    if cond.kind == "OR":
        return any(holds(part, item) for part in cond.parts)
    if cond.kind == "NOT":
        return not holds(cond.parts[0], item)
    found = item.get(cond.name)
    if cond.kind.startswith("IS"):
        return (found is None) == (cond.kind == "IS MISSING")
    if found is None:
        return False
    ((kind, content),) = found.items()
    if cond.kind in ("begins_with", "contains"):
        whole = content if kind in ("S", "SS") else ""
        if cond.kind == "contains":
            return "x" in whole
        return kind == "S" and str(whole).startswith("x")
    if cond.kind.startswith("size"):
        size = len(content) if kind in ("S", "SS") else None
        return size is not None and {"=": size == 2, "<>": size != 2, "<": size < 2}[cond.kind[5:]]
    same = [
        other.keys() == found.keys()
        and (sorted(other["SS"]) == sorted(content) if kind == "SS" else other[kind] == content)
        for other in cond.values
    ]
    if cond.kind in ("=", "IN"):
        return any(same)
    if cond.kind == "<>":
        return not same[0]
    bounds: list[Any] = [int(other["N"]) if kind == "N" else other.get("S") for other in cond.values if kind in other]
    if len(bounds) != len(cond.values) or kind not in ("N", "S"):
        return False
    here: Any = int(content) if kind == "N" else content
    if cond.kind == "BETWEEN":
        return bool(bounds[0] <= here <= bounds[1])
    return bool(
        {"<": here < bounds[0], "<=": here <= bounds[0], ">": here > bounds[0], ">=": here >= bounds[0]}[cond.kind]
    )


def in_full(operation: Any) -> dict[str, Any]:
    """An operation with names and values in the place of its placeholders."""
    members = {one.name: getattr(operation, one.name) for one in fields(operation)}
    names, values = members.pop("names", {}), members.pop("values", {})
    for member, text in members.items():
        if isinstance(text, str) and member in ("filter", "condition", "key_condition", "update", "projection"):
            text = re.sub(r"#[a-z0-9]+", lambda found: f"<{names[found.group()]}>", text)
            members[member] = re.sub(r":[a-z0-9]+", lambda found: repr(values[found.group()]), text)
    return members


def table(items: list[dict[str, Value]]) -> State:
    create: dict[str, object] = {
        "TableName": "Ttt",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
        ],
    }
    state, _ = apply(State(), parse("CreateTable", create), 0)
    for item in items:
        state, _ = apply(state, PutItem("Ttt", item), 0)
    return state


def statement(text: str, parameters: list[Value]) -> ExecuteStatement:
    body: dict[str, object] = {"Statement": text, **({"Parameters": parameters} if parameters else {})}
    operation = parse("ExecuteStatement", body)
    assert isinstance(operation, ExecuteStatement)
    return operation


KEY: Item = {"pk": {"S": "p"}, "sk": {"N": "1"}}


def terms(cond: Cond) -> list[Cond]:
    """What must hold, taken apart as far as AND goes."""
    return [term for part in cond.parts for term in terms(part)] if cond.kind == "AND" else [cond]


@settings(max_examples=150, deadline=None)
@given(CONDITIONS)
def test_a_translated_statement_is_the_request_that_a_person_writes(cond: Cond) -> None:
    spoken = Spoken()
    said = spoken.condition(cond)
    # Beside conditions on the key, a conjunction is taken apart into its terms.
    beside = Cond("AND", parts=tuple(terms(cond))) if cond.kind == "AND" else cond
    inside = by_hand(beside, inside=True)
    pairs: list[tuple[str, Any]] = [
        (f"SELECT * FROM Ttt WHERE {said}", Scan("Ttt", filter=by_hand(cond))),
        (
            f"SELECT a FROM Ttt WHERE pk = 'p' AND sk > 0 AND ({said})",
            Query(
                "Ttt",
                "<pk> = {'S': 'p'} AND <sk> > {'N': '0'}",
                filter=by_hand(beside),
                projection="<a>",
                filters_keys=True,
            ),
        ),
        (
            f"UPDATE Ttt SET sort = 1 WHERE pk = 'p' AND sk = 1 AND ({said})",
            UpdateItem("Ttt", KEY, "SET <sort> = {'N': '1'}", f"attribute_exists(<pk>) AND {inside}"),
        ),
        (
            f"DELETE FROM Ttt WHERE ({said}) AND sk = 1 AND pk = 'p'",
            DeleteItem("Ttt", KEY, f"attribute_not_exists(<pk>) OR {inside}"),
        ),
    ]
    for text, expected in pairs:
        (request,) = translate(SCHEMA, statement(text, spoken.parameters)).requests
        assert in_full(request) == in_full(expected)


@settings(max_examples=300, deadline=None)
@given(CONDITIONS, ITEMS)
def test_a_select_gives_the_items_that_the_condition_means(cond: Cond, items: list[dict[str, Value]]) -> None:
    state = table(items)
    expected = [item for item in items if holds(cond, item)]
    for prefix in ("", "pk = 'p' AND ", "pk IN ['p', 'q'] AND ", "pk = 'p' AND sk >= 0 AND sk < 9 AND "):
        spoken = Spoken()
        text = f"SELECT * FROM Ttt WHERE {prefix}({spoken.condition(cond)})"
        _, answer = apply(state, statement(text, spoken.parameters), 0)
        assert isinstance(answer, dict), answer
        assert answer["Items"] == expected


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), st.one_of(SCALARS, SETS)), ITEMS)
def test_an_insert_is_a_conditional_put_and_a_point_select_a_get(row: dict[str, Value], items: Any) -> None:
    state, spoken = table(items), Spoken()
    members = ", ".join(f"'{name}': {spoken.value(value)}" for name, value in row.items())
    text = f"INSERT INTO Ttt VALUE {{'pk': 'q', 'sk': 1{', ' + members if members else ''}}}"
    item = {"pk": {"S": "q"}, "sk": {"N": "1"}, **row}
    by_statement, answer = apply(state, statement(text, spoken.parameters), 0)
    assert answer == {"Items": []}
    by_put, _ = apply(state, PutItem("Ttt", item), 0)
    assert by_statement == by_put
    key: Item = {"pk": {"S": "q"}, "sk": {"N": "1"}}
    _, found = apply(by_statement, statement("SELECT * FROM Ttt WHERE sk = 1 AND pk = 'q'", []), 0)
    _, got = apply(by_put, GetItem("Ttt", key), 0)
    assert isinstance(found, dict) and isinstance(got, dict)
    assert found["Items"] == [got["Item"]]


WELL_FORMED = [
    "SELECT a , b . c [ 0 ] FROM \"Ttt\" WHERE pk = 'p' AND ( sk > 1 OR size ( a ) <> 2 ) ORDER BY sk DESC",
    "SELECT * FROM Ttt WHERE pk IN [ 'p' , ? ] AND sk BETWEEN 1 AND 2 AND NOT a IS NOT MISSING",
    "INSERT INTO Ttt VALUE { 'pk' : 'z' , 'sk' : - 1e3 , 's' : << 'a' >> , 'l' : [ TRUE , NULL , ? ] }",
    "UPDATE Ttt SET a = a + 1 , b = list_append ( b , [ 1 ] ) SET s = set_add ( s , << 1 >> ) REMOVE c "
    "WHERE pk = 'p' AND sk = 1 AND contains ( a , ? ) RETURNING ALL NEW *",
    "DELETE FROM Ttt WHERE pk = 'p' AND sk = 1 AND begins_with ( a , 'x' ) RETURNING ALL OLD *",
    "EXISTS ( SELECT * FROM Ttt WHERE pk = 'p' )",
]
TOKENS = sorted({token for text in WELL_FORMED for token in text.split()} | {"'", '"', ";", "--", "9e999", "\ud800"})


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_whatever_is_said_is_answered_or_refused_with_a_name_and_a_text(data: st.DataObject) -> None:
    tokens = data.draw(st.sampled_from(WELL_FORMED)).split()
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.integers(0, len(tokens) - 1))
        tokens[place : place + data.draw(st.integers(0, 1))] = data.draw(st.lists(st.sampled_from(TOKENS), max_size=2))
        tokens = tokens or ["?"]
    text = " ".join(tokens)
    parameters = data.draw(st.lists(SCALARS, min_size=text.count("?"), max_size=text.count("?")))
    state = table([{"pk": {"S": "p"}, "sk": {"N": "1"}, "a": {"S": "x"}, "b": {"L": []}}])
    try:
        state, answer = apply(state, statement(text, parameters), 0)
    except DynamoError as error:
        answer = error
    if isinstance(answer, DynamoError):
        assert answer.message and answer.code in (
            "ValidationException",
            "ResourceNotFoundException",
            "ConditionalCheckFailedException",
            "DuplicateItemException",
        )
    else:
        assert isinstance(answer["Items"], list)
