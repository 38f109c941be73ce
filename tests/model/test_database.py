"""The reference state machine through its front door: JSON in, JSON out (api.md §6, §7)."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, Key
from botocore.awsrequest import AWSResponse, HTTPHeaders

from dynalab_model.database import State, apply
from dynalab_model.errors import DynamoError
from dynalab_model.requests import parse
from dynalab_model.values import Item

SECOND = 1_000_000_000


class Database:
    """A state that is replaced by each operation, and a clock that a test moves by hand."""

    def __init__(self, state: State | None = None) -> None:
        self.state = state or State()
        self.now_ns = 0

    def __call__(self, operation: str, /, **body: Any) -> dict[str, Any]:
        self.state, answer = apply(self.state, parse(operation, body), self.now_ns)
        if isinstance(answer, DynamoError):
            raise answer
        return answer

    def error(self, operation: str, /, **body: Any) -> tuple[str, str]:
        self("ListTables")  # tables whose time to go has come are forgotten by whichever operation is next
        before = self.state
        with pytest.raises(DynamoError) as caught:
            self(operation, **body)
        assert self.state == before, "a refused operation changes nothing"
        return caught.value.code, caught.value.message


def key(pk: str, at: int) -> Item:
    return {"pk": {"S": pk}, "at": {"N": str(at)}}


ORDERS: dict[str, Any] = {
    "TableName": "Orders",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "at", "AttributeType": "N"},
        {"AttributeName": "state", "AttributeType": "S"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by_state",
            "KeySchema": [{"AttributeName": "state", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
}


@pytest.fixture
def database() -> Database:
    made = Database()
    made("CreateTable", **ORDERS)
    return made


def all_pages(database: Database, operation: str, /, **body: Any) -> list[Item]:
    items: list[Item] = []
    start: dict[str, Any] = {}
    while True:
        page = database(operation, **body, **start)
        items += page["Items"]
        if "LastEvaluatedKey" not in page:
            return items
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


# --- tables -------------------------------------------------------------------------------------------------------


def test_a_table_is_created_described_listed_and_deleted() -> None:
    database = Database()
    assert database("CreateTable", **ORDERS)["TableDescription"]["TableStatus"] == "CREATING"
    assert database("DescribeTable", TableName="Orders")["Table"]["TableStatus"] == "ACTIVE"
    assert database("ListTables") == {"TableNames": ["Orders"]}
    assert database.error("CreateTable", **ORDERS) == ("ResourceInUseException", "Table already exists: Orders")
    assert database("DeleteTable", TableName="Orders")["TableDescription"]["TableStatus"] == "DELETING"
    assert database("ListTables") == {"TableNames": []}
    gone = ("ResourceNotFoundException", "Requested resource not found: Table: Orders not found")
    assert database.error("DescribeTable", TableName="Orders") == gone
    assert database.error("DeleteTable", TableName="Orders") == gone


def test_a_slow_table_is_not_found_while_it_is_created_and_serves_while_it_is_deleted() -> None:
    database = Database(State(create_ns=5 * SECOND, delete_ns=3 * SECOND))
    database("CreateTable", **ORDERS)
    get: dict[str, Any] = {"TableName": "Orders", "Key": key("a", 1)}
    assert database.error("GetItem", **get) == ("ResourceNotFoundException", "Requested resource not found")
    assert database.error("DeleteTable", TableName="Orders")[1] == (
        "Attempt to change a resource which is still in use: Table is being created: Orders"
    )
    database.now_ns = 5 * SECOND
    assert database("GetItem", **get) == {}
    database("DeleteTable", TableName="Orders")
    database.now_ns = 7 * SECOND
    assert database("DeleteTable", TableName="Orders")["TableDescription"]["TableStatus"] == "DELETING"
    assert database("GetItem", **get) == {}
    assert database.error("CreateTable", **ORDERS)[1] == (
        "Attempt to change a resource which is still in use: Table is being deleted: Orders"
    )
    database.now_ns = 8 * SECOND
    assert database.error("GetItem", **get) == ("ResourceNotFoundException", "Requested resource not found")
    database("CreateTable", **ORDERS)
    assert database.error("GetItem", **get)[0] == "ResourceNotFoundException"


def test_a_table_made_again_is_empty() -> None:
    database = Database()
    database("CreateTable", **ORDERS)
    database("PutItem", TableName="Orders", Item=key("a", 1))
    database("DeleteTable", TableName="Orders")
    database("CreateTable", **ORDERS)
    assert database("Scan", TableName="Orders")["Count"] == 0


def test_a_protected_table_stays(database: Database) -> None:
    database("CreateTable", **(ORDERS | {"TableName": "Safe", "DeletionProtectionEnabled": True}))
    code, text = database.error("DeleteTable", TableName="Safe")
    assert code == "ValidationException" and "protected against deletion" in text
    assert database("ListTables", Limit=1) == {"TableNames": ["Orders"], "LastEvaluatedTableName": "Orders"}
    assert database("ListTables", ExclusiveStartTableName="Orders") == {"TableNames": ["Safe"]}


@pytest.mark.parametrize("operation", ["GetItem", "PutItem", "UpdateItem", "DeleteItem", "Scan"])
def test_a_table_that_is_not_there_is_told_before_keys_are_looked_at(operation: str) -> None:
    body: dict[str, Any] = {"TableName": "Nothing", "Key": {"wrong": {"S": "a"}}, "Item": {"wrong": {"S": "a"}}}
    assert Database().error(operation, **body) == ("ResourceNotFoundException", "Requested resource not found")


# --- items --------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read_replaced_and_deleted(database: Database) -> None:
    item = key("a", 1) | {"v": {"N": "1"}}
    assert database("PutItem", TableName="Orders", Item=item) == {}
    assert database("GetItem", TableName="Orders", Key=key("a", 1)) == {"Item": item}
    replaced = database("PutItem", TableName="Orders", Item=key("a", 1), ReturnValues="ALL_OLD")
    assert replaced == {"Attributes": item}
    assert database("GetItem", TableName="Orders", Key=key("a", 1)) == {"Item": key("a", 1)}
    assert database("DeleteItem", TableName="Orders", Key=key("a", 1), ReturnValues="ALL_OLD") == {
        "Attributes": key("a", 1)
    }
    assert database("GetItem", TableName="Orders", Key=key("a", 1)) == {}
    assert database("DeleteItem", TableName="Orders", Key=key("a", 1), ReturnValues="ALL_OLD") == {}


def test_numbers_that_are_equal_are_one_key(database: Database) -> None:
    database("PutItem", TableName="Orders", Item={"pk": {"S": "a"}, "at": {"N": "1.00"}})
    assert database("GetItem", TableName="Orders", Key={"pk": {"S": "a"}, "at": {"N": "1E0"}})["Item"] == key("a", 1)


def test_an_optimistic_lock_lets_one_of_two_writers_through(database: Database) -> None:
    database("PutItem", TableName="Orders", Item=key("a", 1) | {"v": {"N": "1"}})
    change: dict[str, Any] = {
        "TableName": "Orders",
        "Key": key("a", 1),
        "UpdateExpression": "SET v = v + :one",
        "ConditionExpression": "v = :seen",
        "ExpressionAttributeValues": {":one": {"N": "1"}, ":seen": {"N": "1"}},
        "ReturnValues": "UPDATED_NEW",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    assert database("UpdateItem", **change) == {"Attributes": {"v": {"N": "2"}}}
    with pytest.raises(DynamoError) as caught:
        database("UpdateItem", **change)
    assert caught.value.body() == {
        "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
        "message": "The conditional request failed",
        "Item": key("a", 1) | {"v": {"N": "2"}},
    }


def test_a_counter_that_is_not_there_starts_at_zero(database: Database) -> None:
    for expected in ("1", "2", "3"):
        answer = database(
            "UpdateItem",
            TableName="Orders",
            Key=key("a", 1),
            UpdateExpression="ADD n :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
            ReturnValues="ALL_NEW",
        )
        assert answer == {"Attributes": key("a", 1) | {"n": {"N": expected}}}


# --- pages --------------------------------------------------------------------------------------------------------


def test_a_query_gives_its_item_collection_in_sort_order_both_ways_and_page_by_page(database: Database) -> None:
    numbers = [30, -5, 0, 2, 10]
    for number in numbers:
        database("PutItem", TableName="Orders", Item=key("a", number))
        database("PutItem", TableName="Orders", Item=key("b", number))
    of_a = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "a"}}, "TableName": "Orders"}
    ascending = [key("a", number) for number in sorted(numbers)]
    assert database("Query", **of_a) == {"Items": ascending, "Count": 5, "ScannedCount": 5}
    assert database("Query", **of_a, ScanIndexForward=False)["Items"] == ascending[::-1]
    for limit in (1, 2, 3, 5, 9):
        assert all_pages(database, "Query", **of_a, Limit=limit) == ascending
        assert all_pages(database, "Query", **of_a, Limit=limit, ScanIndexForward=False) == ascending[::-1]


def test_a_scan_by_pages_and_the_union_of_its_segments_give_every_item_once(database: Database) -> None:
    keys = [key(pk, number) for pk in "abcdefgh" for number in (1, 2, 3)]
    for each in keys:
        database("PutItem", TableName="Orders", Item=each)

    def in_order(items: list[Item]) -> list[str]:
        return sorted(map(str, items))

    assert in_order(all_pages(database, "Scan", TableName="Orders", Limit=5)) == in_order(keys)
    parts = [
        all_pages(database, "Scan", TableName="Orders", Segment=segment, TotalSegments=3, Limit=2)
        for segment in range(3)
    ]
    assert in_order([item for part in parts for item in part]) == in_order(keys)


@pytest.mark.claim("S27", "S29", "S30")
def test_an_index_holds_the_projection_of_what_has_its_key_and_follows_every_write(database: Database) -> None:
    def in_state(state: str) -> list[Item]:
        return all_pages(
            database,
            "Query",
            TableName="Orders",
            IndexName="by_state",
            Limit=1,
            KeyConditionExpression="#s = :s",
            ExpressionAttributeNames={"#s": "state"},
            ExpressionAttributeValues={":s": {"S": state}},
        )

    new: Item = {"state": {"S": "new"}}
    database("PutItem", TableName="Orders", Item=key("a", 1) | new | {"unseen": {"S": "x"}})
    database("PutItem", TableName="Orders", Item=key("b", 1) | new)
    database("PutItem", TableName="Orders", Item=key("c", 1))
    entries = in_state("new")
    assert len(entries) == 2 and all(entry in entries for entry in (key("a", 1) | new, key("b", 1) | new))
    database(
        "UpdateItem",
        TableName="Orders",
        Key=key("a", 1),
        UpdateExpression="SET #s = :s",
        ExpressionAttributeNames={"#s": "state"},
        ExpressionAttributeValues={":s": {"S": "paid"}},
    )
    assert in_state("new") == [key("b", 1) | new]
    assert in_state("paid") == [key("a", 1) | {"state": {"S": "paid"}}]
    database("DeleteItem", TableName="Orders", Key=key("b", 1))
    assert in_state("new") == []
    assert database("Scan", TableName="Orders", IndexName="by_state", Select="COUNT") == {"Count": 1, "ScannedCount": 1}


def test_an_older_state_is_still_what_it_was(database: Database) -> None:
    before = database.state
    database("PutItem", TableName="Orders", Item=key("a", 1))
    assert len(before.tables["Orders"].items) == 0
    assert len(database.state.tables["Orders"].items) == 1
    with pytest.raises(TypeError):
        database.state.tables["Orders"].items[b"x"] = {}  # type: ignore[index]


def test_item_count_and_size_of_a_table_and_its_index_are_exact_in_the_model(database: Database) -> None:
    database("PutItem", TableName="Orders", Item=key("a", 1) | {"state": {"S": "new"}, "unseen": {"S": "1234"}})
    table = database("DescribeTable", TableName="Orders")["Table"]
    # pk a (3) + at 1 (4) + state new (8) + unseen 1234 (10)
    assert (table["ItemCount"], table["TableSizeBytes"]) == (1, 25)
    (index,) = table["GlobalSecondaryIndexes"]
    assert (index["ItemCount"], index["IndexSizeBytes"]) == (1, 15)


# --- an unmodified client -----------------------------------------------------------------------------------------


class Raw(BytesIO):
    """A response's body as botocore reads it."""

    def stream(self) -> list[bytes]:
        return [self.read()]


@pytest.fixture
def table() -> Any:
    """A boto3 Table whose requests are answered by the model, in this process, before they would be sent."""
    database = Database()

    def answer(request: Any, **_: Any) -> Any:
        _, _, operation = request.headers["X-Amz-Target"].decode().partition(".")
        status = 200
        try:
            body: dict[str, Any] = database(operation, **json.loads(request.body))
        except DynamoError as error:
            status, body = error.status, error.body()
        return AWSResponse(request.url, status, HTTPHeaders(), Raw(json.dumps(body).encode()))

    session = boto3.Session("dummy", "dummy", region_name="us-east-1")
    resource = session.resource("dynamodb", endpoint_url="http://127.0.0.1:1")
    resource.meta.client.meta.events.register("before-send.dynamodb", answer)
    made = resource.create_table(**ORDERS)
    made.wait_until_exists()
    return made


def test_boto3_writes_and_reads_every_type_and_pages_through_what_it_wrote(table: Any) -> None:
    rows: list[dict[str, Any]] = [
        {"pk": "a", "at": at, "state": "odd" if at % 2 else "even", "b": b"\x00\xff", "s": {1, 2}, "l": [1, None, {}]}
        for at in range(20)
    ]
    for item in rows:
        table.put_item(Item=item, ConditionExpression=Attr("pk").not_exists())
    assert table.get_item(Key={"pk": "a", "at": 3}, ConsistentRead=True)["Item"] == rows[3]

    page = table.query(
        KeyConditionExpression=Key("pk").eq("a") & Key("at").between(3, 9),
        FilterExpression=Attr("state").eq("odd") & (Attr("s").contains(2) | Attr("l[0]").gt(1)),
        Limit=5,
        ReturnConsumedCapacity="INDEXES",
    )
    assert [item["at"] for item in page["Items"]] == [3, 5, 7]
    assert (page["ScannedCount"], page["LastEvaluatedKey"]) == (5, {"pk": "a", "at": 7})
    assert page["ConsumedCapacity"]["Table"] == {"CapacityUnits": 0.5}

    paginator = table.meta.client.get_paginator("scan")
    pages = list(paginator.paginate(TableName="Orders", IndexName="by_state", PaginationConfig={"PageSize": 3}))
    assert [len(page["Items"]) for page in pages] == [3, 3, 3, 3, 3, 3, 2]


def test_boto3_knows_the_models_errors_by_class(table: Any) -> None:
    table.put_item(Item={"pk": "a", "at": 1, "n": 5})
    errors = table.meta.client.exceptions
    with pytest.raises(errors.ConditionalCheckFailedException) as caught:
        table.update_item(
            Key={"pk": "a", "at": 1},
            UpdateExpression="SET n = n + :one",
            ConditionExpression=Attr("n").lt(5),
            ExpressionAttributeValues={":one": 1},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert caught.value.response["Item"] == {"pk": {"S": "a"}, "at": {"N": "1"}, "n": {"N": "5"}}
    with pytest.raises(errors.ResourceInUseException):
        table.meta.client.create_table(**ORDERS)
    table.delete()
    table.wait_until_not_exists()
    with pytest.raises(errors.ResourceNotFoundException):
        table.get_item(Key={"pk": "a", "at": 1})
