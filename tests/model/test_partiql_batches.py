"""BatchExecuteStatement: each statement has its own outcome (expressions.md §10)."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_model.errors import DynamoError
from dynalab_model.requests import parse
from tests.model.songs import Machine, some_songs

MALFORMED = "Statement wasn't well formed, can't be processed: "


@pytest.fixture
def machine() -> Machine:
    return some_songs()


def test_a_batch_of_reads_answers_each_in_its_place(machine: Machine) -> None:
    answer = machine.batch(
        "SELECT stars FROM Songs WHERE artist = 'abba' AND year = 1974",
        "SELECT * FROM Songs WHERE artist = 'abba' AND year = 1",
        "SELECT stars FROM Songs WHERE artist = 'blur' AND year = 1994 AND genre = 'pop'",
        "SELECT * FROM Songs WHERE artist = 'abba'",
        "SELECT * FROM Songs",
        "SELECT * FROM Nowhere WHERE pk = 1",
        "SELECT",
        ReturnConsumedCapacity="TOTAL",
    )
    whole_key = "Select statements within BatchExecuteStatement must specify the primary key in the where clause."
    assert answer == {
        "Responses": [
            {"TableName": "Songs", "Item": {"stars": {"N": "5"}}},
            {"TableName": "Songs"},
            {"TableName": "Songs", "Item": {"stars": {"NULL": True}}},
            {"Error": {"Code": "ValidationError", "Message": whole_key}},
            {"Error": {"Code": "ValidationError", "Message": whole_key}},
            {"Error": {"Code": "ResourceNotFound", "Message": "Requested resource not found"}},
            {"Error": {"Code": "ValidationError", "Message": MALFORMED + "Unexpected end of statement"}},
        ],
        "ConsumedCapacity": [{"TableName": "Songs", "CapacityUnits": 1.5}],
    }


def test_an_index_is_not_read_in_a_batch(machine: Machine) -> None:
    (answer,) = machine.batch('SELECT * FROM "Songs"."by-genre" WHERE genre = \'pop\' AND year = 1974')["Responses"]
    assert answer["Error"]["Code"] == "ValidationError"


def test_the_writes_of_a_batch_are_not_atomic(machine: Machine) -> None:
    answer = machine("BatchExecuteStatement", Statements=[
        {"Statement": "INSERT INTO Songs VALUE {'artist': 'c', 'year': ?}", "Parameters": [{"N": "1"}]},
        {"Statement": "INSERT INTO Songs VALUE {'artist': 'abba', 'year': 1974}"},
        {
            "Statement": "UPDATE Songs SET stars = 9 WHERE artist = 'abba' AND year = 1976 AND stars = 0",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        },
        {"Statement": "UPDATE Songs SET stars = 9 WHERE artist = 'abba' AND year = 1980 RETURNING MODIFIED NEW *"},
        {"Statement": "DELETE FROM Songs WHERE artist = 'blur' AND year = 1994"},
    ])  # fmt: skip
    failed = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
    assert answer == {
        "Responses": [
            {"TableName": "Songs"},
            {
                "Error": {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"},
                "TableName": "Songs",
            },
            {"Error": failed, "TableName": "Songs"},
            {"TableName": "Songs", "Item": {"stars": {"N": "9"}}},
            {"TableName": "Songs"},
        ]
    }
    assert machine.get("c", 1) is not None and machine.get("blur", 1994) is None


def test_a_batch_with_reads_and_writes_is_refused_and_does_nothing(machine: Machine) -> None:
    with pytest.raises(DynamoError) as caught:
        machine.batch(
            "INSERT INTO Songs VALUE {'artist': 'c', 'year': 1}", "SELECT * FROM Songs WHERE artist = 'a' AND year = 1"
        )
    assert caught.value.message == "Read and write requests together in the same batch is not supported."
    assert machine.get("c", 1) is None


@pytest.mark.parametrize(
    "statements",
    [
        ("INSERT INTO Songs VALUE {'artist': 'c', 'year': 1}", "DELETE FROM Songs WHERE artist = 'c' AND year = 1.0"),
        ("SELECT a FROM Songs WHERE artist = 'c' AND year = 1", "SELECT b FROM Songs WHERE year = 1 AND artist = 'c'"),
    ],
)
def test_a_batch_that_names_an_item_twice_is_refused_and_does_nothing(machine: Machine, statements: Any) -> None:
    with pytest.raises(DynamoError) as caught:
        machine.batch(*statements)
    assert str(caught.value) == "ValidationException: Provided list of item keys contains duplicates"
    assert machine.get("c", 1) is None


@pytest.mark.parametrize(("count", "rule"), [(0, "greater than or equal to 1"), (26, "less than or equal to 25")])
def test_a_batch_has_one_to_twenty_five_statements(count: int, rule: str) -> None:
    with pytest.raises(
        DynamoError, match=f"at 'statements' failed to satisfy constraint: Member must have length {rule}"
    ):
        parse("BatchExecuteStatement", {"Statements": [{"Statement": "SELECT * FROM T"}] * count})
