"""What the retries of an unmodified boto3 do with throttles, conflicts and 500s: the faults of the laboratory, by
table, operation and count, seen from a client.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.end_to_end.serving import Served, serve

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
        running.make("orders", "others")
        yield running


def put(served: Served, pk: str, table: str = "orders", attempts: int = 6) -> Any:
    return served.client(attempts=attempts).put_item(TableName=table, Item={"pk": {"S": pk}})


@pytest.mark.parametrize("error", ["provisioned", "on-demand", "account"])
def test_throttles_are_tried_again_until_they_are_over(served: Served, error: str) -> None:
    served.fault("throttle", operation="PutItem", table="orders", count=2, error=error)
    assert put(served, "throttled", "others")["ResponseMetadata"]["RetryAttempts"] == 0
    assert put(served, "throttled")["ResponseMetadata"]["RetryAttempts"] == 2
    assert served.hits() == 2


def test_a_client_gives_up_when_its_attempts_are_used_up(served: Served) -> None:
    served.fault("throttle", operation="PutItem", table="orders", count=9)
    with pytest.raises(ClientError) as caught:
        put(served, "given-up", attempts=3)
    served.fault("heal")
    assert caught.value.response["Error"]["Code"] == "ProvisionedThroughputExceededException"
    assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == 2
    assert "Item" not in served.client().get_item(
        TableName="orders", Key={"pk": {"S": "given-up"}}, ConsistentRead=True
    )


@pytest.mark.parametrize(("when", "counted"), [("before", "1"), ("after", "2")])
def test_a_500_is_tried_again_whether_or_not_the_write_was_done(served: Served, when: str, counted: str) -> None:
    client = served.client(attempts=4)
    client.delete_item(TableName="orders", Key={"pk": {"S": "counter"}})
    served.fault("fail", operation="UpdateItem", table="orders", when=when)
    answer = client.update_item(**COUNT_UP)
    assert answer["ResponseMetadata"]["RetryAttempts"] == 1
    assert answer["Attributes"] == {"n": {"N": counted}}, "asked for once"


def test_a_condition_makes_the_second_attempt_of_a_write_that_was_done_fail(served: Served) -> None:
    served.fault("fail", operation="PutItem", table="orders", when="after")
    client = served.client(attempts=4)
    with pytest.raises(ClientError) as caught:
        client.put_item(TableName="orders", Item={"pk": {"S": "once"}}, ConditionExpression="attribute_not_exists(pk)")
    assert caught.value.response["Error"]["Code"] == "ConditionalCheckFailedException"
    assert "Item" in client.get_item(TableName="orders", Key={"pk": {"S": "once"}}, ConsistentRead=True)


def test_a_conflict_is_not_tried_again_by_the_client(served: Served) -> None:
    served.fault("conflict", operation="PutItem", table="orders")
    with pytest.raises(ClientError) as caught:
        put(served, "held")
    assert caught.value.response["Error"]["Code"] == "TransactionConflictException"
    assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == 0
    assert put(served, "held")["ResponseMetadata"]["RetryAttempts"] == 0
