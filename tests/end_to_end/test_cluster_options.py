"""What `dynalab cluster up` and `dynalab serve` may be told of the store: archive, scrubs, limits, where to divide."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from dynalab.drivers.cluster.state import Directory
from tests.end_to_end.clusters import command, quick, up
from tests.end_to_end.serving import serve

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc")

THROTTLES = ("ProvisionedThroughputExceededException", "ThrottlingException")
SMALL = ("--nodes-per-zone", "1", "--routers", "1", "--partitions", "1")


def until(what: Callable[[], bool], seconds_max: float = 30.0) -> None:
    give_up = time.monotonic() + seconds_max
    while not what():
        assert time.monotonic() < give_up, "it did not come true"
        time.sleep(0.05)


def make_table(client: DynamoDBClient) -> None:
    client.create_table(
        TableName="told",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    client.get_waiter("table_exists").wait(TableName="told", WaiterConfig={"Delay": 1, "MaxAttempts": 20})


def error_of(call: Callable[[], object]) -> str:
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def test_a_cluster_archives_scrubs_throttles_and_divides_as_it_was_told(tmp_path: Path) -> None:
    data = tmp_path / "data"
    told = ("--archive", "--scrub", "--split-bytes", "20000", "--admission", "--partition-write", "2")
    with up(data, *SMALL, *told) as cluster:
        client = cluster.client()
        make_table(client)
        codes: list[str] = []

        def throttled() -> bool:
            """At two units a second, once what was saved up is used."""
            item = {"pk": {"S": f"k{len(codes) % 50}"}, "v": {"S": "x" * 900}}
            codes.append(error_of(lambda: client.put_item(TableName="told", Item=item)))
            return codes[-1] in THROTTLES

        until(throttled, 10.0)
        assert codes[0] == ""
        until(lambda: any((data / "objects").rglob("manifest")))
        topology = Directory(data).load().topology
        assert (topology.archive, topology.scrub, topology.split_bytes) == (True, True, 20_000)
    # Without --admission nothing is throttled; the rest stays as the directory was told.
    with up(data) as cluster:
        client = cluster.client(attempts=8)
        for number in range(60):
            client.put_item(TableName="told", Item={"pk": {"S": f"k{number}"}, "v": {"S": "x" * 900}})
        topology = Directory(data).load().topology
        assert (topology.archive, topology.scrub, topology.split_bytes, topology.limits) == (True, True, 20_000, None)


@pytest.mark.claim("S23")
def test_a_cluster_without_fsync_keeps_what_it_acknowledged_through_kills_of_all_its_processes(tmp_path: Path) -> None:
    data = tmp_path / "data"
    marks = [data / "nodes" / name / "unsynced" for name in ("n1", "n2", "n3")]
    with up(data, *SMALL, "--no-fsync") as cluster:
        make_table(cluster.client())
        for number in range(30):
            cluster.client().put_item(TableName="told", Item={"pk": {"S": f"k{number}"}})
        assert all(mark.exists() for mark in marks)
        for name in ("n1", "n2", "n3"):
            assert cluster("kill", name).code == 0
    assert all(mark.exists() for mark in marks), "nobody has synced what they wrote"
    with up(data) as cluster:
        assert not any(mark.exists() for mark in marks)
        pages = cluster.client(attempts=8).get_paginator("scan").paginate(TableName="told", ConsistentRead=True)
        assert {item["pk"]["S"] for page in pages for item in page["Items"]} == {f"k{number}" for number in range(30)}


def test_what_cannot_be_changed_or_goes_with_something_else_is_said(tmp_path: Path) -> None:
    alone = quick("cluster", "up", "--data", str(tmp_path / "a"), "--partition-write", "5")
    assert alone.code == 64 and "go with --admission" in alone.err
    assert not (tmp_path / "a").exists()
    with up(tmp_path / "b", *SMALL):
        pass
    later = command("cluster", "up", "--data", str(tmp_path / "b"), "--archive")
    assert later.code == 64 and "was made without an archive, and stays so" in later.err


def test_an_item_collection_of_an_endpoint_may_grow_as_far_as_it_was_told() -> None:
    with serve("--collection-bytes", "3000") as served:
        client = served.client()
        client.create_table(
            TableName="told",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
                {"AttributeName": "at", "AttributeType": "S"},
            ],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            LocalSecondaryIndexes=[
                {
                    "IndexName": "by-at",
                    "KeySchema": [
                        {"AttributeName": "pk", "KeyType": "HASH"},
                        {"AttributeName": "at", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
        )
        client.get_waiter("table_exists").wait(TableName="told", WaiterConfig={"Delay": 1, "MaxAttempts": 20})

        def put(collection: str, number: int) -> str:
            item = {"pk": {"S": collection}, "sk": {"S": str(number)}, "v": {"S": "x" * 900}}
            return error_of(lambda: client.put_item(TableName="told", Item=item))

        codes = [put("full", number) for number in range(6)]
        assert codes[:2] == ["", ""] and codes[-1] == "ItemCollectionSizeLimitExceededException"
        assert put("another", 0) == ""
