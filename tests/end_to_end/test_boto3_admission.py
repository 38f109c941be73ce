"""What a real client sees of admission: the error, and that its own retries get it through."""

from __future__ import annotations

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.end_to_end.serving import serve

KEYS: Any = {
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
}


def test_the_retries_of_a_client_get_every_write_through_a_throttled_table() -> None:
    with serve("--lab", "--partitions", "1") as served:
        once, patient = served.client(), served.client(attempts=10)
        once.create_table(
            TableName="orders", ProvisionedThroughput={"ReadCapacityUnits": 20, "WriteCapacityUnits": 20}, **KEYS
        )
        once.get_waiter("table_exists").wait(TableName="orders", WaiterConfig={"Delay": 1})
        for i in range(60):  # nobody throttles yet
            once.put_item(TableName="orders", Item={"pk": {"S": f"k{i}"}})
        assert served.fault("admission", burst_s=0)["hits"] == 3
        refused: Any = {}
        for _ in range(200):
            try:
                once.put_item(TableName="orders", Item={"pk": {"S": "until it is refused"}})
            except ClientError as error:
                refused = error.response
        assert refused["Error"]["Code"] == "ProvisionedThroughputExceededException"
        assert refused["ResponseMetadata"]["HTTPStatusCode"] == 400
        attempts = 0
        for i in range(30):
            answer = patient.put_item(TableName="orders", Item={"pk": {"S": f"p{i}"}, "v": {"N": str(i)}})
            attempts += 1 + answer["ResponseMetadata"]["RetryAttempts"]
        assert attempts > 30
        items: Any = [{"PutRequest": {"Item": {"pk": {"S": f"b{i}"}}}} for i in range(25)]
        first = once.batch_write_item(RequestItems={"orders": items})
        left = first["UnprocessedItems"]
        assert 0 < len(left["orders"]) < 25
        while left:
            left = patient.batch_write_item(RequestItems=left)["UnprocessedItems"]
        served.fault("heal")
        found = once.scan(TableName="orders", ConsistentRead=True, Select="COUNT")
        assert found["Count"] == 60 + 1 + 30 + 25


@pytest.mark.claim("S38")
def test_an_endpoint_that_admits_refuses_more_than_a_partition_may_take() -> None:
    with serve("--admission", "--partitions", "1") as served:
        client = served.client()
        client.create_table(TableName="big", BillingMode="PAY_PER_REQUEST", **KEYS)
        client.get_waiter("table_exists").wait(TableName="big", WaiterConfig={"Delay": 1})
        # 391 units each: a partition's second is 1,000, so the third leaves a debt.
        with pytest.raises(ClientError) as caught:
            for i in range(20):
                client.put_item(TableName="big", Item={"pk": {"S": f"k{i}"}, "v": {"S": "x" * 400_000}})
        error = caught.value.response
        assert error["Error"]["Code"] == "ThrottlingException"
        reasons: Any = error
        assert reasons["throttlingReasons"][0]["reason"] == "TableWriteKeyRangeThroughputExceeded"
        patient = served.client(attempts=10)
        patient.put_item(TableName="big", Item={"pk": {"S": "small"}})


def test_a_client_meets_the_ceiling_of_an_on_demand_table_and_lifts_it() -> None:
    with serve("--lab", "--partitions", "1") as served:
        client = served.client()
        ceiling: Any = {"MaxReadRequestUnits": 1_000, "MaxWriteRequestUnits": 20}
        client.create_table(TableName="orders", BillingMode="PAY_PER_REQUEST", OnDemandThroughput=ceiling, **KEYS)
        client.get_waiter("table_exists").wait(TableName="orders", WaiterConfig={"Delay": 1})
        assert client.describe_table(TableName="orders")["Table"]["OnDemandThroughput"] == ceiling
        served.fault("admission", burst_s=0)

        def put() -> Any:
            try:
                # Twelve units each: the third of a second is refused.
                client.put_item(TableName="orders", Item={"pk": {"S": "k"}, "v": {"S": "x" * 12_000}})
            except ClientError as error:
                return error.response
            return None

        def reason(refused: Any) -> str:
            assert refused["Error"]["Code"] == "ThrottlingException"
            return str(refused["throttlingReasons"][0]["reason"])

        # Nodes hear of a ceiling within a second or two; until then a quick client meets the partition's own limit.
        deadline = time.monotonic() + 20
        while (refused := put()) is None or reason(refused) != "TableWriteMaxOnDemandThroughputExceeded":
            assert time.monotonic() < deadline, "nobody holds the table to its ceiling"
        refusals = [refused for _ in range(30) if (refused := put()) is not None]
        assert refusals and {reason(each) for each in refusals} == {"TableWriteMaxOnDemandThroughputExceeded"}
        client.update_table(TableName="orders", OnDemandThroughput={"MaxWriteRequestUnits": -1})
        client.get_waiter("table_exists").wait(TableName="orders", WaiterConfig={"Delay": 1})
        deadline = time.monotonic() + 20
        while put() is not None or [put() for _ in range(10)] != [None] * 10:
            assert time.monotonic() < deadline, "nodes hear of it within a second or two"
            time.sleep(0.2)
