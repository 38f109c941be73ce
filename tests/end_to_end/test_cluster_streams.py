"""A stream of a cluster of real processes goes on when the node that leads is killed with kill -9."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import boto3
import pytest

from dynalab.consumers import StreamReader, Trigger, TriggerRunner
from tests.end_to_end.clusters import up

pytestmark = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc")
WRITES = 60


@pytest.mark.claim("S164", "S171")
def test_a_consumer_meets_every_change_once_although_a_node_is_killed(tmp_path: Path) -> None:
    with up(tmp_path / "data", "--nodes-per-zone", "1", "--routers", "1") as cluster:
        client: Any = cluster.client(attempts=10)
        client.create_table(
            TableName="kept",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        client.get_waiter("table_exists").wait(TableName="kept", WaiterConfig={"Delay": 1})
        arn = client.describe_table(TableName="kept")["Table"]["LatestStreamArn"]
        streams: Any = boto3.client(
            "dynamodbstreams",
            endpoint_url=cluster.urls[0],
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
        )
        told: list[Any] = []

        def take(event: Any) -> None:
            told.extend(event["Records"])

        runner = TriggerRunner(StreamReader(streams, arn), Trigger(take))
        for number in range(WRITES):
            client.put_item(TableName="kept", Item={"pk": {"S": f"k{number % 6}"}, "v": {"N": str(number)}})
            if number == WRITES // 2:
                runner.poll()
                os.kill(int(cluster.node("n1")["pid"]), signal.SIGKILL)
        deadline = time.monotonic() + 30
        while len(told) < WRITES and time.monotonic() < deadline:
            runner.poll()
            time.sleep(0.1)
        runner.poll()
        by_item: dict[str, list[Any]] = {}
        for record in told:
            by_item.setdefault(record["dynamodb"]["Keys"]["pk"]["S"], []).append(record["dynamodb"])
        for key, changes in by_item.items():
            values = [int(change["NewImage"]["v"]["N"]) for change in changes]
            assert values == list(range(int(key[1:]), WRITES, 6))
            chained = [change.get("OldImage", {}).get("v", {}).get("N") for change in changes]
            assert chained == [None, *[str(value) for value in values[:-1]]]
        assert len(by_item) == 6
