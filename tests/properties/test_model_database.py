"""The reference state machine against an oracle of plain dictionaries, by random runs of operations.

The oracle knows nothing of the model: it holds Python numbers and strings under tuples, and says in a few lines what
DynamoDB's documents say. Both are given the same commands; every answer must agree.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dynalab_model.database import State, apply
from dynalab_model.errors import DynamoError
from dynalab_model.requests import parse

Row: TypeAlias = dict[str, Any]
Key: TypeAlias = tuple[str, int]

HASHES = st.sampled_from(["a", "b", "é"])
RANGES = st.integers(-3, 3)
COLORS = st.sampled_from(["red", "blue", ""])
COUNTS = st.integers(-(10**6), 10**6)
FAILED = "ConditionalCheckFailedException"

TABLE: dict[str, Any] = {
    "TableName": "Things",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "h", "KeyType": "HASH"}, {"AttributeName": "r", "KeyType": "RANGE"}],
    "AttributeDefinitions": [
        {"AttributeName": "h", "AttributeType": "S"},
        {"AttributeName": "r", "AttributeType": "N"},
        {"AttributeName": "color", "AttributeType": "S"},
        {"AttributeName": "n", "AttributeType": "N"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by_color",
            "KeySchema": [{"AttributeName": "color", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
}


def wire(row: Row) -> dict[str, Any]:
    return {name: {"N": str(value)} if isinstance(value, int) else {"S": value} for name, value in row.items()}


def plain(item: dict[str, Any]) -> Row:
    return {name: int(value["N"]) if "N" in value else value["S"] for name, value in item.items()}


def row_of(key: Key, color: str, n: int | None) -> Row:
    row: Row = {"h": key[0], "r": key[1]}
    if color:
        row["color"] = color
    if n is not None:
        row["n"] = n
    return row


class Things(RuleBasedStateMachine):
    @initialize()
    def create(self) -> None:
        self.state, _ = apply(State(), parse("CreateTable", TABLE), 0)
        self.rows: dict[Key, Row] = {}

    def call(self, operation: str, /, **body: Any) -> dict[str, Any]:
        self.state, answer = apply(self.state, parse(operation, {"TableName": "Things", **body}), 0)
        return {"error": answer.code, "body": answer.body()} if isinstance(answer, DynamoError) else answer

    @rule(h=HASHES, r=RANGES, color=COLORS, n=st.none() | COUNTS)
    def put(self, h: str, r: int, color: str, n: int | None) -> None:
        row = row_of((h, r), color, n)
        answer = self.call("PutItem", Item=wire(row), ReturnValues="ALL_OLD")
        old = self.rows.get((h, r))
        assert answer == ({} if old is None else {"Attributes": wire(old)})
        self.rows[h, r] = row

    @rule(h=HASHES, r=RANGES, color=COLORS)
    def put_if_absent(self, h: str, r: int, color: str) -> None:
        answer = self.call(
            "PutItem",
            Item=wire(row_of((h, r), color, 0)),
            ConditionExpression="attribute_not_exists(h)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
        if (h, r) in self.rows:
            assert answer["error"] == FAILED and answer["body"]["Item"] == wire(self.rows[h, r])
        else:
            assert answer == {}
            self.rows[h, r] = row_of((h, r), color, 0)

    @rule(h=HASHES, r=RANGES, least=COUNTS)
    def delete_if_more_than(self, h: str, r: int, least: int) -> None:
        answer = self.call(
            "DeleteItem",
            Key=wire({"h": h, "r": r}),
            ConditionExpression="n > :least",
            ExpressionAttributeValues=wire({":least": least}),
        )
        row = self.rows.get((h, r), {})
        if "n" in row and row["n"] > least:
            assert answer == {}
            del self.rows[h, r]
        else:
            assert answer["error"] == FAILED

    @rule(h=HASHES, r=RANGES)
    def delete(self, h: str, r: int) -> None:
        answer = self.call("DeleteItem", Key=wire({"h": h, "r": r}), ReturnValues="ALL_OLD")
        old = self.rows.pop((h, r), None)
        assert answer == ({} if old is None else {"Attributes": wire(old)})

    @rule(h=HASHES, r=RANGES, by=COUNTS)
    def count(self, h: str, r: int, by: int) -> None:
        answer = self.call(
            "UpdateItem",
            Key=wire({"h": h, "r": r}),
            UpdateExpression="ADD n :by",
            ExpressionAttributeValues=wire({":by": by}),
            ReturnValues="UPDATED_NEW",
        )
        row = self.rows.setdefault((h, r), {"h": h, "r": r})
        row["n"] = row.get("n", 0) + by
        assert answer == {"Attributes": wire({"n": row["n"]})}

    @rule(h=HASHES, r=RANGES)
    def uncolor(self, h: str, r: int) -> None:
        """Takes the index key away, and remembers it: the right-hand side reads the item of before."""
        answer = self.call(
            "UpdateItem",
            Key=wire({"h": h, "r": r}),
            UpdateExpression="SET former = color REMOVE color",
            ReturnValues="UPDATED_OLD",
        )
        row = self.rows.get((h, r), {})
        if "color" not in row:
            assert answer["error"] == "ValidationException"
            return
        expected: Row = {name: row[name] for name in ("former", "color") if name in row}
        assert answer == {"Attributes": wire(expected)}
        row["former"] = row.pop("color")

    @rule(h=HASHES, r=RANGES, strong=st.booleans())
    def get(self, h: str, r: int, strong: bool) -> None:
        answer = self.call("GetItem", Key=wire({"h": h, "r": r}), ConsistentRead=strong)
        row = self.rows.get((h, r))
        assert answer == ({} if row is None else {"Item": wire(row)})

    def pages(self, operation: str, limit: int, /, **body: Any) -> list[Row]:
        """All pages; each must hold as many evaluated rows as its limit, but the last."""
        rows: list[Row] = []
        start: dict[str, Any] = {}
        while True:
            page = self.call(operation, Limit=limit, **body, **start)
            rows += map(plain, page["Items"])
            if "LastEvaluatedKey" not in page:
                assert page["ScannedCount"] < limit
                return rows
            assert page["ScannedCount"] == limit
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    @rule(h=HASHES, low=RANGES, high=RANGES, forward=st.booleans(), limit=st.integers(1, 5))
    def query(self, h: str, low: int, high: int, forward: bool, limit: int) -> None:
        low, high = min(low, high), max(low, high)
        given = self.pages(
            "Query",
            limit,
            KeyConditionExpression="h = :h AND r BETWEEN :low AND :high",
            ExpressionAttributeValues=wire({":h": h, ":low": low, ":high": high}),
            ScanIndexForward=forward,
        )
        expected = [self.rows[key] for key in sorted(self.rows) if key[0] == h and low <= key[1] <= high]
        assert given == (expected if forward else expected[::-1])

    @rule(color=st.sampled_from(["red", "blue"]), least=COUNTS, limit=st.integers(1, 3))
    def query_index(self, color: str, least: int, limit: int) -> None:
        given = self.pages(
            "Query",
            limit,
            IndexName="by_color",
            KeyConditionExpression="color = :color AND n >= :least",
            ExpressionAttributeValues=wire({":color": color, ":least": least}),
        )
        held = [row for row in self.rows.values() if row.get("color") == color and row.get("n", least - 1) >= least]
        expected = [{name: row[name] for name in ("color", "n", "h", "r")} for row in held]
        assert [row["n"] for row in given] == sorted(row["n"] for row in expected)
        assert sorted(map(sorted_row, given)) == sorted(map(sorted_row, expected))

    @rule(segments=st.integers(1, 4), limit=st.integers(1, 5), least=COUNTS)
    def scan(self, segments: int, limit: int, least: int) -> None:
        given: list[Row] = []
        for segment in range(segments):
            given += self.pages("Scan", limit, Segment=segment, TotalSegments=segments)
        assert sorted(map(sorted_row, given)) == sorted(map(sorted_row, self.rows.values()))
        kept = self.call("Scan", FilterExpression="n > :n", ExpressionAttributeValues=wire({":n": least}))
        assert kept["ScannedCount"] == len(self.rows)
        assert kept["Count"] == sum("n" in row and row["n"] > least for row in self.rows.values())

    @invariant()
    def counts_agree(self) -> None:
        if not hasattr(self, "rows"):
            return
        table = self.call("DescribeTable")["Table"]
        assert table["ItemCount"] == len(self.rows)
        assert table["GlobalSecondaryIndexes"][0]["ItemCount"] == sum(
            "color" in row and "n" in row for row in self.rows.values()
        )


def sorted_row(row: Row) -> str:
    return repr(sorted(row.items()))


TestThings = pytest.mark.claim("S19", "S30")(Things.TestCase)
TestThings.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
