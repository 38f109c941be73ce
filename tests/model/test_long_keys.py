"""Keys of several attributes: up to four of the partition key and four of the sort key, in global indexes alone.

What is documented is who may have them, how they are asked for and that they are sparse; no wording of a mistake has
been captured, so mistakes are held to their class and to where they are noticed.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynalab_model.database import State, apply
from dynalab_model.errors import DynamoError
from dynalab_model.expressions import parse_key_condition
from dynalab_model.keys import KeyCondition, collection_prefix, index_key, key_range, prefix_end
from dynalab_model.legacy import bind_key_conditions
from dynalab_model.operations import Query, Term
from dynalab_model.partiql.translate import translate
from dynalab_model.requests import parse
from dynalab_model.schema import IndexSchema, KeyAttribute, KeySchema, TableSchema
from dynalab_model.values import AttributeValue, Item

TABLE = KeySchema(KeyAttribute("pk", "S"))
LONG = KeySchema(
    KeyAttribute("a", "S"),
    KeyAttribute("x", "N"),
    (KeyAttribute("b", "S"),),
    (KeyAttribute("y", "S"), KeyAttribute("z", "N")),
)
NAMES = ("a", "b", "x", "y", "z")
VALUES: Item = {
    ":a": {"S": "p"},
    ":b": {"S": "q"},
    ":x": {"N": "7"},
    ":y": {"S": "m"},
    ":z": {"N": "3"},
    ":w": {"N": "5"},
}
BOTH = "a = :a AND b = :b"


def creation(
    index: list[tuple[str, str]], *, local: bool = False, table: Any = (("pk", "HASH"), ("sk", "RANGE"))
) -> Any:
    """A table with one index of this key schema; every attribute is a string."""
    names = dict.fromkeys([name for name, _ in (*table, *index)])
    schema = [{"AttributeName": name, "KeyType": role} for name, role in index]
    member = "LocalSecondaryIndexes" if local else "GlobalSecondaryIndexes"
    return {
        "TableName": "Things",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": name, "KeyType": role} for name, role in table],
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in names],
        member: [{"IndexName": "long", "KeySchema": schema, "Projection": {"ProjectionType": "ALL"}}],
    }


EIGHT = [(f"h{n}", "HASH") for n in range(4)] + [(f"r{n}", "RANGE") for n in range(4)]


def test_a_global_index_may_have_four_attributes_of_each_kind_and_tells_them_in_order() -> None:
    _, answer = apply(State(), parse("CreateTable", creation(EIGHT)), 0)
    assert not isinstance(answer, DynamoError)
    (index,) = answer["TableDescription"]["GlobalSecondaryIndexes"]  # type: ignore[index]
    assert [(e["AttributeName"], e["KeyType"]) for e in index["KeySchema"]] == EIGHT
    defined = answer["TableDescription"]["AttributeDefinitions"]  # type: ignore[index]
    assert [d["AttributeName"] for d in defined] == ["pk", "sk", *(name for name, _ in EIGHT)]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (creation([(f"h{n}", "HASH") for n in range(5)]), "More than 4 HASH key elements"),
        (creation([("h", "HASH"), *((f"r{n}", "RANGE") for n in range(5))]), "More than 4 RANGE key elements"),
        (creation([*EIGHT, ("more", "RANGE")]), "length less than or equal to 8"),
        (creation([("h", "HASH"), ("r", "RANGE"), ("g", "HASH")]), "HASH key elements must come before RANGE"),
        (creation([("r", "RANGE"), ("h", "HASH")]), "The first KeySchemaElement is not a HASH key type"),
        (creation([("h", "HASH"), ("g", "HASH"), ("h", "RANGE")]), "Duplicate KeySchemaElement: h"),
        (creation([("h", "HASH"), ("h", "HASH")]), "Duplicate KeySchemaElement: h"),
        (creation([("pk", "HASH"), ("r", "RANGE"), ("s", "RANGE")], local=True), "length less than or equal to 2"),
        (creation([("pk", "HASH"), ("h", "HASH")], local=True), "The second KeySchemaElement is not a RANGE key type"),
        (
            creation([("h", "HASH")], table=(("pk", "HASH"), ("sk", "HASH"))),
            "The second KeySchemaElement is not a RANGE key type",
        ),
        (
            creation([("h", "HASH")], table=(("pk", "HASH"), ("sk", "RANGE"), ("tk", "RANGE"))),
            "length less than or equal to 2",
        ),
    ],
)
def test_other_key_schemas_are_refused(body: Any, words: str) -> None:
    with pytest.raises(DynamoError) as caught:
        parse("CreateTable", body)
    assert caught.value.code == "ValidationException"
    assert words in caught.value.message


# --- what may be asked ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BOTH, (None, None, ())),
        (f"{BOTH} AND x = :x", ("=", ":x", ())),
        (f"{BOTH} AND x < :x", ("<", ":x", ())),
        (f"y = :y AND {BOTH} AND x = :x", ("=", ":y", (":x",))),
        (f"{BOTH} AND x = :x AND begins_with(y, :y)", ("begins_with", ":y", (":x",))),
        (f"z BETWEEN :z AND :w AND {BOTH} AND x = :x AND y = :y", ("BETWEEN", ":z", (":x", ":y"))),
    ],
)
def test_a_long_key_is_asked_for_from_left_to_right(text: str, expected: tuple[Any, ...]) -> None:
    operator, low, equal = expected
    condition = parse_key_condition(text, {}, VALUES, LONG)
    assert condition.hashes == (VALUES[":a"], VALUES[":b"])
    assert (condition.operator, condition.equal) == (operator, tuple(VALUES[name] for name in equal))
    assert condition.low == (None if low is None else VALUES[low])
    assert condition.high == (VALUES[":w"] if operator == "BETWEEN" else None)


MISTAKES = [
    ("a = :a", "Query condition missed key schema element: b"),
    ("b = :b AND x = :x", "Query condition missed key schema element: a"),
    ("a = :a AND b > :b", "Query key condition not supported"),
    (f"{BOTH} AND y = :y", "Query condition missed key schema element: x"),
    (f"{BOTH} AND x = :x AND z = :z", "Query condition missed key schema element: y"),
    (f"{BOTH} AND x > :x AND y = :y", "Query key condition not supported"),
    (f"{BOTH} AND x = :x AND begins_with(y, :y) AND z = :z", "Query key condition not supported"),
    (f"{BOTH} AND v = :x", "Query condition missed key schema element: x"),
    (
        f"{BOTH} AND x = :y",
        "One or more parameter values were invalid: Condition parameter type does not match schema type",
    ),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_a_gap_a_missing_partition_key_and_a_range_before_the_end_are_refused(text: str, message: str) -> None:
    with pytest.raises(DynamoError) as caught:
        parse_key_condition(text, {}, VALUES, LONG)
    assert (caught.value.code, caught.value.message) == ("ValidationException", message)


def test_key_conditions_of_old_follow_the_same_rules() -> None:
    a, b = Term("a", "EQ", (VALUES[":a"],)), Term("b", "EQ", (VALUES[":b"],))
    x, y = Term("x", "EQ", (VALUES[":x"],)), Term("y", "BEGINS_WITH", (VALUES[":y"],))
    asked = bind_key_conditions([y, x, b, a], LONG)
    assert asked == parse_key_condition(f"{BOTH} AND x = :x AND begins_with(y, :y)", {}, VALUES, LONG)
    with pytest.raises(DynamoError, match="missed key schema element: x"):
        bind_key_conditions([a, b, y], LONG)


# --- where items lie ------------------------------------------------------------------------------------------------

ROWS = st.fixed_dictionaries(
    {
        "a": st.sampled_from("pq"),
        "b": st.sampled_from(["", "q"]),
        "x": st.integers(-2, 2),
        "y": st.sampled_from(["", "m", "mm"]),
    },
    optional={"z": st.integers(-1, 1)},
)


def wire(row: dict[str, Any]) -> Item:
    return {name: {"N": str(value)} if isinstance(value, int) else {"S": value} for name, value in row.items()}


@given(rows=st.lists(ROWS, unique_by=str, max_size=12))
@settings(max_examples=200, deadline=None)
def test_items_of_one_long_partition_key_lie_together_in_the_order_of_the_attributes(
    rows: list[dict[str, Any]],
) -> None:
    items = [wire({"pk": str(number), **row}) for number, row in enumerate(rows)]
    placed = [(index_key(LONG, TABLE, item), row) for item, row in zip(items, rows, strict=True)]
    assert all((place is None) == ("z" not in row) for place, row in placed), "one attribute missing: not in the index"
    for a, b in {(row["a"], row["b"]) for row in rows}:
        prefix = collection_prefix({"S": a}, {"S": b})
        inside = sorted(
            (place, row) for place, row in placed if place is not None and prefix <= place < prefix_end(prefix)
        )
        mine = [row for row in rows if (row["a"], row["b"]) == (a, b) and "z" in row]
        assert [[row[name] for name in "xyz"] for _, row in inside] == sorted(
            [row[name] for name in "xyz"] for row in mine
        )


OPERATORS: dict[str, Any] = {
    "=": lambda value, low, high: value == low,
    "<": lambda value, low, high: value < low,
    "<=": lambda value, low, high: value <= low,
    ">": lambda value, low, high: value > low,
    ">=": lambda value, low, high: value >= low,
    "BETWEEN": lambda value, low, high: low <= value <= high,
}


@given(
    rows=st.lists(ROWS, max_size=12), asked=ROWS, equal=st.integers(0, 2), operator=st.sampled_from(sorted(OPERATORS))
)
@settings(max_examples=300, deadline=None)
def test_a_key_range_holds_exactly_the_items_that_meet_every_term(
    rows: list[dict[str, Any]], asked: dict[str, Any], equal: int, operator: str
) -> None:
    asked = {"z": 0, **asked}
    name = "xyz"[equal]
    high = asked[name] + ("m" if name == "y" else 1)
    condition = KeyCondition(
        {"S": asked["a"]},
        operator,
        wire({name: asked[name]})[name],
        wire({name: high})[name] if operator == "BETWEEN" else None,
        ({"S": asked["b"]},),
        tuple(wire({before: asked[before]})[before] for before in "xyz"[:equal]),
    )
    first, end = key_range(LONG, condition)
    for number, row in enumerate(rows):
        place = index_key(LONG, TABLE, wire({"pk": str(number), **row}))
        if place is None:
            continue
        same = all(row[before] == asked[before] for before in ("a", "b", *"xyz"[:equal]))
        assert (first <= place < end) == (same and OPERATORS[operator](row[name], asked[name], high))


# --- the reference machine ------------------------------------------------------------------------------------------

GAMES: dict[str, Any] = {
    "TableName": "Games",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": "N" if name == "round" else "S"}
        for name in ("id", "cup", "region", "round", "player")
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by_round",
            "KeySchema": [
                {"AttributeName": "cup", "KeyType": "HASH"},
                {"AttributeName": "region", "KeyType": "HASH"},
                {"AttributeName": "round", "KeyType": "RANGE"},
                {"AttributeName": "player", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
}


class Games:
    def __init__(self) -> None:
        self.state, _ = apply(State(), parse("CreateTable", GAMES), 0)
        for number, (region, played, player) in enumerate(
            [("eu", "2", "ann"), ("eu", "2", "bob"), ("eu", "10", "ann"), ("us", "2", "ann"), ("eu", "1", "zoe")]
        ):
            self.put(id=f"g{number}", cup="c", region=region, round=played, player=player)

    def put(self, **game: str) -> Any:
        item = {name: {"N" if name == "round" else "S": value} for name, value in game.items()}
        return self("PutItem", Item=item, ReturnConsumedCapacity="INDEXES")

    def __call__(self, operation: str, /, **body: Any) -> Any:
        self.state, answer = apply(self.state, parse(operation, {"TableName": "Games", **body}), 0)
        if isinstance(answer, DynamoError):
            raise answer
        return answer

    def query(self, condition: str, **body: Any) -> Any:
        given = {":c": {"S": "c"}, ":e": {"S": "eu"}, ":r": {"N": "2"}, ":p": {"S": "b"}}
        values = {name: value for name, value in given.items() if name in condition}
        names = {"#r": "region", "#n": "round"}
        used = {name: value for name, value in names.items() if name in condition}
        return self(
            "Query",
            IndexName="by_round",
            KeyConditionExpression=condition,
            ExpressionAttributeValues=values,
            **({"ExpressionAttributeNames": used} if used else {}),
            **body,
        )

    def ids(self, condition: str, **body: Any) -> list[str]:
        return [item["id"]["S"] for item in self.query(condition, **body)["Items"]]


EUROPE = "cup = :c AND #r = :e"


def test_a_query_reads_in_the_order_of_all_sort_attributes_up_and_down() -> None:
    games = Games()
    assert games.ids(EUROPE) == ["g4", "g0", "g1", "g2"]
    assert games.ids(EUROPE, ScanIndexForward=False) == ["g2", "g1", "g0", "g4"]
    assert games.ids(f"{EUROPE} AND #n = :r") == ["g0", "g1"]
    assert games.ids(f"{EUROPE} AND #n = :r AND begins_with(player, :p)") == ["g1"]
    assert games.ids(f"{EUROPE} AND #n > :r") == ["g2"]


def test_pages_of_a_long_key_go_on_where_they_stopped_and_their_last_key_holds_every_attribute() -> None:
    games = Games()
    for forward in (True, False):
        met: list[str] = []
        start: dict[str, Any] = {}
        for _ in range(9):
            page = games.query(EUROPE, Limit=1, ScanIndexForward=forward, **start)
            met += [item["id"]["S"] for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                break
            assert sorted(page["LastEvaluatedKey"]) == ["cup", "id", "player", "region", "round"]
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
        assert met == (["g4", "g0", "g1", "g2"] if forward else ["g2", "g1", "g0", "g4"])


def test_a_start_key_of_another_long_partition_key_is_outside() -> None:
    games = Games()
    start = games.query(EUROPE, Limit=1)["LastEvaluatedKey"]
    with pytest.raises(DynamoError, match="outside query boundaries"):
        games.query(EUROPE, ExclusiveStartKey={**start, "region": {"S": "us"}})
    with pytest.raises(DynamoError, match="The provided starting key is invalid"):
        games.query(EUROPE, ExclusiveStartKey={name: start[name] for name in start if name != "player"})


def test_an_item_without_one_of_the_attributes_is_not_in_the_index_and_pays_nothing_for_it() -> None:
    games = Games()
    whole = games.put(id="h", cup="c", region="eu", round="3", player="ann")
    sparse = games.put(id="i", cup="c", region="eu", round="3")
    assert whole["ConsumedCapacity"]["GlobalSecondaryIndexes"] == {"by_round": {"CapacityUnits": 1.0}}
    assert "GlobalSecondaryIndexes" not in sparse["ConsumedCapacity"]
    assert "i" not in games.ids(EUROPE)


def test_a_filter_may_not_look_at_any_of_the_key_attributes() -> None:
    games = Games()
    with pytest.raises(DynamoError, match="Primary key attribute: player"):
        games.query(EUROPE, FilterExpression="attribute_exists(player)")


@pytest.mark.parametrize(("name", "kind", "limit"), [("region", "hashkey", 2048), ("player", "range keys", 1024)])
def test_the_limits_of_a_key_hold_for_its_attributes_together(name: str, kind: str, limit: int) -> None:
    games = Games()
    other = len("c") if name == "region" else 2  # a cup's name, or a round of one digit
    games.put(id="j", **{"cup": "c", "region": "eu", "round": "1", "player": "ann", name: "x" * (limit - other)})
    with pytest.raises(DynamoError, match=kind):
        games.put(
            id="k", **{"cup": "c", "region": "eu", "round": "1", "player": "ann", name: "x" * (limit - other + 1)}
        )
    update = {"UpdateExpression": "SET #r = :v", "ExpressionAttributeNames": {"#r": name}}
    with pytest.raises(DynamoError, match="secondary index key beyond allowed size limits"):
        too_long = {":v": {"S": "x" * (limit - other + 1)}}
        games("UpdateItem", Key={"id": {"S": "j"}}, ExpressionAttributeValues=too_long, **update)


def test_a_statement_that_names_all_of_a_long_partition_key_is_a_query_and_any_other_a_scan() -> None:
    schema = TableSchema("T", TABLE, (IndexSchema("long", LONG, "ALL"),))
    p: list[AttributeValue] = [{"S": "p"}, {"S": "q"}, {"N": "7"}, {"S": "m"}]

    def requests(where: str, *parameters: AttributeValue) -> Any:
        text = f'SELECT * FROM "T"."long" WHERE {where}'
        op = parse("ExecuteStatement", {"Statement": text, "Parameters": list(parameters)})
        return translate(schema, op).requests  # type: ignore[arg-type]

    (query,) = requests("b = ? AND x = ? AND begins_with(y, ?) AND a = ?", p[1], p[2], p[3], p[0])
    assert isinstance(query, Query)
    assert query.filter is None
    condition = parse_key_condition(query.key_condition, query.names, query.values, LONG)
    assert condition == KeyCondition(p[0], "begins_with", p[3], None, (p[1],), (p[2],))
    (query,) = requests("a = ? AND b = ? AND y = ?", p[0], p[1], p[3])
    assert isinstance(query, Query)
    assert query.filter is not None, "y stands behind x, which is not named"
    (scan,) = requests("a = ? AND x = ?", p[0], p[2])
    assert not isinstance(scan, Query)


def test_a_long_sort_key_is_read_up_or_down_as_a_whole() -> None:
    schema = TableSchema("T", TABLE, (IndexSchema("long", LONG, "ALL"),))

    def forward(order: str) -> bool:
        text = f"SELECT * FROM \"T\".\"long\" WHERE a = 'p' AND b = 'q' ORDER BY {order}"
        (query,) = translate(schema, parse("ExecuteStatement", {"Statement": text})).requests  # type: ignore[arg-type]
        assert isinstance(query, Query)
        return query.forward

    assert forward("x") and forward("x ASC, y ASC") and forward("a, x")
    assert not forward("x DESC") and not forward("x DESC, y DESC, z DESC")
    for other in ("x DESC, y ASC", "y", "x, z DESC", "x DESC, z DESC"):
        with pytest.raises(DynamoError, match="in ORDER BY clause"):
            forward(other)
