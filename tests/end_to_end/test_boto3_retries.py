"""What the retries of an unmodified boto3 do with throttles, conflicts and 500s: the faults of the laboratory, by
table, operation and count, seen from a client.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.end_to_end.serving import Served, serve

KEYS: Any = {
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
}
COUNT_UP: Any = {
    "TableName": "orders",
    "Key": {"pk": {"S": "counter"}},
    "UpdateExpression": "ADD n :one",
    "ExpressionAttributeValues": {":one": {"N": "1"}},
    "ReturnValues": "UPDATED_NEW",
}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve("--lab") as running:
        client = running.client()
        for table in ("orders", "others"):
            client.create_table(TableName=table, BillingMode="PAY_PER_REQUEST", **KEYS)
        for table in ("orders", "others"):
            client.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1})
        yield running


def lab(served: Served, fault: str, **parameters: int | str) -> dict[str, Any]:
    body = json.dumps({"fault": fault, **parameters}).encode()
    request = urllib.request.Request(f"{served.url}/_dynalab/faults", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        content: dict[str, Any] = json.load(answer)
    return content


def hits(served: Served) -> int:
    with urllib.request.urlopen(f"{served.url}/_dynalab/faults", timeout=10) as answer:
        return int(json.load(answer)["faults"][-1]["hits"])


def put(served: Served, pk: str, table: str = "orders", attempts: int = 6) -> Any:
    return served.client(attempts=attempts).put_item(TableName=table, Item={"pk": {"S": pk}})


@pytest.mark.parametrize("error", ["provisioned", "on-demand", "account"])
def test_throttles_are_tried_again_until_they_are_over(served: Served, error: str) -> None:
    lab(served, "throttle", operation="PutItem", table="orders", count=2, error=error)
    assert put(served, "throttled", "others")["ResponseMetadata"]["RetryAttempts"] == 0
    assert put(served, "throttled")["ResponseMetadata"]["RetryAttempts"] == 2
    assert hits(served) == 2


def test_a_client_gives_up_when_its_attempts_are_used_up(served: Served) -> None:
    lab(served, "throttle", operation="PutItem", table="orders", count=9)
    with pytest.raises(ClientError) as caught:
        put(served, "given-up", attempts=3)
    lab(served, "heal")
    assert caught.value.response["Error"]["Code"] == "ProvisionedThroughputExceededException"
    assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == 2
    assert "Item" not in served.client().get_item(
        TableName="orders", Key={"pk": {"S": "given-up"}}, ConsistentRead=True
    )


@pytest.mark.parametrize(("when", "counted"), [("before", "1"), ("after", "2")])
def test_a_500_is_tried_again_whether_or_not_the_write_was_done(served: Served, when: str, counted: str) -> None:
    client = served.client(attempts=4)
    client.delete_item(TableName="orders", Key={"pk": {"S": "counter"}})
    lab(served, "fail", operation="UpdateItem", table="orders", when=when)
    answer = client.update_item(**COUNT_UP)
    assert answer["ResponseMetadata"]["RetryAttempts"] == 1
    assert answer["Attributes"] == {"n": {"N": counted}}, "asked for once"


def test_a_condition_makes_the_second_attempt_of_a_write_that_was_done_fail(served: Served) -> None:
    lab(served, "fail", operation="PutItem", table="orders", when="after")
    client = served.client(attempts=4)
    with pytest.raises(ClientError) as caught:
        client.put_item(TableName="orders", Item={"pk": {"S": "once"}}, ConditionExpression="attribute_not_exists(pk)")
    assert caught.value.response["Error"]["Code"] == "ConditionalCheckFailedException"
    assert "Item" in client.get_item(TableName="orders", Key={"pk": {"S": "once"}}, ConsistentRead=True)


def test_a_conflict_is_not_tried_again_by_the_client(served: Served) -> None:
    lab(served, "conflict", operation="PutItem", table="orders")
    with pytest.raises(ClientError) as caught:
        put(served, "held")
    assert caught.value.response["Error"]["Code"] == "TransactionConflictException"
    assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == 0
    assert put(served, "held")["ResponseMetadata"]["RetryAttempts"] == 0
