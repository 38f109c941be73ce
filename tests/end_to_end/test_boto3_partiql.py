"""An unmodified boto3 speaks PartiQL: statements, parameters, pages, batches, and the service's own exceptions."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from tests.end_to_end.serving import serve

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_wire = TypeSerializer().serialize
_python = TypeDeserializer().deserialize


@pytest.fixture(scope="module")
def client() -> Iterator[DynamoDBClient]:
    with serve() as running:
        client = running.client()
        client.create_table(
            TableName="orders",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "customer", "AttributeType": "S"},
                {"AttributeName": "number", "AttributeType": "N"},
                {"AttributeName": "state", "AttributeType": "S"},
            ],
            KeySchema=[
                {"AttributeName": "customer", "KeyType": "HASH"},
                {"AttributeName": "number", "KeyType": "RANGE"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "by-state",
                    "KeySchema": [{"AttributeName": "state", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
        client.get_waiter("table_exists").wait(TableName="orders", WaiterConfig={"Delay": 1, "MaxAttempts": 20})
        yield client


def run(client: DynamoDBClient, statement: str, *parameters: Any, **more: Any) -> list[dict[str, Any]]:
    """The rows of all pages, as Python values."""
    rows: list[dict[str, Any]] = []
    if parameters:
        more["Parameters"] = [_wire(parameter) for parameter in parameters]
    while True:
        answer = client.execute_statement(Statement=statement, **more)
        rows += [{name: _python(value) for name, value in item.items()} for item in answer["Items"]]
        if "NextToken" not in answer:
            return rows
        more["NextToken"] = answer["NextToken"]


def test_a_tour_of_the_four_statements(client: DynamoDBClient) -> None:
    order = {"customer": "ann", "number": 1, "state": "open", "price": Decimal("12.50"), "tags": {"new", "gift"}}
    insert = "INSERT INTO orders VALUE {'customer': ?, 'number': ?, 'state': ?, 'price': ?, 'tags': ?}"
    assert run(client, insert, *order.values()) == []
    with pytest.raises(client.exceptions.DuplicateItemException) as duplicate:
        run(client, insert, *order.values())
    assert duplicate.value.response["Error"]["Message"] == "Duplicate primary key exists in table"
    select = "SELECT * FROM orders WHERE customer = ? AND number = ?"
    assert run(client, select, "ann", 1, ConsistentRead=True) == [order]
    update = (
        "UPDATE orders SET price = price - ? SET tags = set_delete(tags, <<'new'>>) REMOVE state "
        "WHERE customer = ? AND number = ? AND price > 10 RETURNING ALL NEW *"
    )
    after = {"customer": "ann", "number": 1, "price": Decimal("2.5"), "tags": {"gift"}}
    assert run(client, update, 10, "ann", 1) == [after]
    with pytest.raises(client.exceptions.ConditionalCheckFailedException) as failed:
        run(client, update, 10, "ann", 1, ReturnValuesOnConditionCheckFailure="ALL_OLD")
    assert failed.value.response["Item"]["price"] == {"N": "2.5"}  # type: ignore[typeddict-item]
    assert run(client, "DELETE FROM orders WHERE customer = ? AND number = ? RETURNING ALL OLD *", "ann", 1) == [after]
    assert run(client, select, "ann", 1, ConsistentRead=True) == []


def test_pages_by_limit_and_token_give_every_row_once_and_in_order(client: DynamoDBClient) -> None:
    for number in range(0, 50, 25):
        answer = client.batch_execute_statement(
            Statements=[
                {
                    "Statement": "INSERT INTO orders VALUE {'customer': 'bob', 'number': ?, 'state': 'sent'}",
                    "Parameters": [{"N": str(n)}],
                }
                for n in range(number, number + 25)
            ]
        )
        assert answer["Responses"] == [{"TableName": "orders"}] * 25
    statement = "SELECT number FROM orders WHERE customer = 'bob' AND number >= 10 ORDER BY number DESC"
    rows = run(client, statement, Limit=7, ConsistentRead=True)
    assert [int(row["number"]) for row in rows] == list(range(49, 9, -1))
    everything = run(client, "SELECT customer, number FROM orders", Limit=9, ConsistentRead=True)
    assert len(everything) == len({(row["customer"], row["number"]) for row in everything}) >= 50


def test_a_batch_of_reads_answers_in_order_and_tells_each_error_in_its_place(client: DynamoDBClient) -> None:
    run(client, "INSERT INTO orders VALUE {'customer': 'cid', 'number': 1, 'state': 'open'}")
    point = "SELECT state FROM orders WHERE customer = ? AND number = ?"
    answer = client.batch_execute_statement(
        Statements=[
            {"Statement": point, "Parameters": [{"S": "cid"}, {"N": "1"}], "ConsistentRead": True},
            {"Statement": point, "Parameters": [{"S": "cid"}, {"N": "2"}]},
            {"Statement": "SELECT * FROM orders WHERE customer = 'cid'"},
        ],
        ReturnConsumedCapacity="TOTAL",
    )
    found, absent, wrong = answer["Responses"]
    assert found == {"TableName": "orders", "Item": {"state": {"S": "open"}}}
    assert absent == {"TableName": "orders"}
    assert wrong["Error"]["Code"] == "ValidationError"
    assert answer["ConsumedCapacity"] == [{"TableName": "orders", "CapacityUnits": 1.5}]


def test_an_index_is_read_by_its_name(client: DynamoDBClient) -> None:
    run(client, "INSERT INTO orders VALUE {'customer': 'dan', 'number': 1, 'state': 'late'}")
    statement = 'SELECT customer FROM "orders"."by-state" WHERE state = \'late\''
    for _ in range(100):
        rows = run(client, statement)
        if rows:
            break
    assert rows == [{"customer": "dan"}]


def test_a_statement_that_is_none_is_a_validation_exception(client: DynamoDBClient) -> None:
    with pytest.raises(ClientError) as caught:
        client.execute_statement(Statement="SELECT COUNT(*) FROM orders")
    assert caught.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "Unexpected path component at 1:8:5",
    }
