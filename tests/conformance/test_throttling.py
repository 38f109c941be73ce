"""Errors of a service under limits: the only rows that the reference machine, which has none, cannot answer."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_fault_injection.simulator import Format, Simulation
from dynalab_fault_injection.simulator.network import LinkRule
from dynalab_impl import catalog, codec
from dynalab_impl.effects import Limits, RequestToken, Response, layout
from dynalab_impl.service import make_node
from dynalab_impl.storage import wal
from dynalab_model.requests import parse

SECOND_NS = 1_000_000_000
ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/Hot"
KEY = {"pk": {"S": "hot"}}
KEYS: dict[str, Any] = {
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
}
ON_INDEX = {
    "IndexName": "by_g",
    "KeyConditionExpression": "g = :g",
    "ExpressionAttributeValues": {":g": {"S": "hot"}},
}
TABLE = "The level of configured provisioned throughput for the table was exceeded. Consider increasing your "
TABLE += "provisioning level with the UpdateTable API."
INDEX = "The level of configured provisioned throughput for one or more global secondary indexes of the table was "
INDEX += "exceeded. Consider increasing your provisioning level for the under-provisioned global secondary indexes "
INDEX += "with the UpdateTable API."
HOT = "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically scaling your table or "
HOT += "index so please try again shortly. If exceptions persist, check if you have a hot key: "
HOT += "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html."
HOT_INDEX = "Throughput exceeds the current capacity for one or more global secondary indexes. DynamoDB is "
HOT_INDEX += "automatically scaling your index so please try again shortly."


class Limited:
    """The replicated service with partitions that take 30 reads and 10 writes a second, and save up nothing."""

    def __init__(self, units: int | None, ceiling: int | None = None) -> None:
        limits = Limits(partition_read=30, partition_write=10, burst_s=0)
        topology = layout(nodes_per_zone=1, routers=1, partitions=1, limits=limits)
        form = Format(codec.encode, codec.decode, wal.frame, wal.recover)
        self.simulation = Simulation(1, topology, make_node, form)
        self.answers: dict[RequestToken, Response] = {}
        self.simulation.clients.append(self)
        self.simulation.start()
        self.run(2 * SECOND_NS)
        index: dict[str, Any] = {
            "IndexName": "by_g",
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
        throughput = {"ReadCapacityUnits": units, "WriteCapacityUnits": units}
        paid: dict[str, Any] = {"BillingMode": "PAY_PER_REQUEST"}
        if units is not None:
            paid = {"ProvisionedThroughput": throughput}
            index |= paid
        if ceiling is not None:
            most = {"OnDemandThroughput": {"MaxReadRequestUnits": ceiling, "MaxWriteRequestUnits": ceiling}}
            paid, index = paid | most, index | most
        self.ask(
            "CreateTable",
            1,
            TableName="Hot",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "g")],
            GlobalSecondaryIndexes=[index],
            **paid,
        )
        self.run(5 * SECOND_NS)

    def on_wake(self, tag: int) -> None:
        raise AssertionError("nobody asked for a wake-up")

    def on_response(self, token: RequestToken, response: Response) -> None:
        self.answers[token] = response

    def run(self, duration_ns: int) -> None:
        self.simulation.run_until(self.simulation.now + duration_ns)

    def ask(self, operation: str, times: int, **body: Any) -> list[Response]:
        """The answers of so many requests that are sent at once."""
        tokens = [self.simulation.request(0, 0, parse(operation, body)) for _ in range(times)]
        self.run(8 * SECOND_NS)
        return [self.answers[token] for token in tokens]

    def refusal(self, operation: str, **body: Any) -> dict[str, Any]:
        """The one body that all refused requests of a hundred have; some of them go through."""
        answers = self.ask(operation, 100, TableName="Hot", **body)
        refused = [dict(answer.body) for answer in answers if answer.status != 200]
        assert 0 < len(refused) < 100
        assert {answer.status for answer in answers} == {200, 400}
        assert all(body == refused[0] for body in refused)
        return refused[0]


@pytest.fixture(scope="module")
def on_demand() -> Limited:
    return Limited(None)


@pytest.fixture(scope="module")
def provisioned() -> Limited:
    return Limited(2)


@pytest.fixture(scope="module")
def capped() -> Limited:
    return Limited(None, ceiling=2)


def reason(which: str, resource: str = ARN) -> list[dict[str, str]]:
    return [{"reason": which, "resource": resource}]


@pytest.mark.row("error:Throttling-on-demand", "error:throttling-reasons")
def test_a_hot_key_of_an_on_demand_table_is_throttled(on_demand: Limited) -> None:
    assert on_demand.refusal("PutItem", Item=KEY) == {
        "__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException",
        "message": HOT,
        "throttlingReasons": reason("TableWriteKeyRangeThroughputExceeded"),
    }
    read = on_demand.refusal("GetItem", Key=KEY, ConsistentRead=True)
    assert read["throttlingReasons"] == reason("TableReadKeyRangeThroughputExceeded")


@pytest.mark.row("error:Throttling-index")
def test_a_hot_key_of_an_on_demand_index_is_throttled(on_demand: Limited) -> None:
    assert on_demand.refusal("Query", **ON_INDEX) == {
        "__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException",
        "message": HOT_INDEX,
        "throttlingReasons": reason("IndexReadKeyRangeThroughputExceeded", ARN + "/index/by_g"),
    }


@pytest.mark.row("error:ProvisionedThroughputExceeded", "error:throttling-reasons")
def test_a_table_beyond_what_was_bought_is_refused(provisioned: Limited) -> None:
    assert provisioned.refusal("PutItem", Item=KEY) == {
        "__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
        "message": TABLE,
        "ThrottlingReasons": reason("TableWriteProvisionedThroughputExceeded"),
    }
    read = provisioned.refusal("GetItem", Key=KEY, ConsistentRead=True)
    assert read["ThrottlingReasons"] == reason("TableReadProvisionedThroughputExceeded")


@pytest.mark.row("error:ProvisionedThroughputExceeded-index")
def test_an_index_beyond_what_was_bought_is_refused(provisioned: Limited) -> None:
    assert provisioned.refusal("Query", **ON_INDEX) == {
        "__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
        "message": INDEX,
        "ThrottlingReasons": reason("IndexReadProvisionedThroughputExceeded", ARN + "/index/by_g"),
    }


@pytest.mark.row("behaviour:on-demand-ceilings", "error:throttling-reasons")
def test_a_table_and_an_index_beyond_their_ceilings_are_refused(capped: Limited) -> None:
    assert capped.refusal("PutItem", Item=KEY) == {
        "__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException",
        "message": HOT,
        "throttlingReasons": reason("TableWriteMaxOnDemandThroughputExceeded"),
    }
    read = capped.refusal("GetItem", Key=KEY, ConsistentRead=True)
    assert read["throttlingReasons"] == reason("TableReadMaxOnDemandThroughputExceeded")
    assert capped.refusal("Query", **ON_INDEX) == {
        "__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException",
        "message": HOT_INDEX,
        "throttlingReasons": reason("IndexReadMaxOnDemandThroughputExceeded", ARN + "/index/by_g"),
    }


@pytest.mark.row("error:LimitExceeded-operations")
def test_a_table_too_many_that_is_being_changed_at_a_time(on_demand: Limited, monkeypatch: pytest.MonkeyPatch) -> None:
    def send(operation: str, **body: Any) -> Response:
        """The answer, at once: what was asked for may still be under way."""
        token = on_demand.simulation.request(0, 0, parse(operation, body))
        while token not in on_demand.answers:
            on_demand.run(SECOND_NS // 10_000)
        return on_demand.answers[token]

    def create(name: str) -> Response:
        return send("CreateTable", TableName=name, BillingMode="PAY_PER_REQUEST", **KEYS)

    assert catalog.CHANGES_AT_A_TIME_MAX == 500
    monkeypatch.setattr(catalog, "CHANGES_AT_A_TIME_MAX", 1)
    # Nodes are not told to host the new table's partitions: it stays as it is.
    network = on_demand.simulation.network
    everybody = list(range(network.nodes))
    untold = LinkRule("cut", network.links(everybody, everybody), names=("Host",))
    network.add_rule(untold)
    assert create("One").status == 200
    refused = {
        "__type": "com.amazonaws.dynamodb.v20120810#LimitExceededException",
        "message": "Too many operations for a given subscriber.",
    }
    for answer in (create("Two"), send("DeleteTable", TableName="Hot")):
        assert (answer.status, dict(answer.body)) == (400, refused)
    network.remove_rule(untold)
    on_demand.run(8 * SECOND_NS)
    assert create("Two").status == 200, "the other one is ACTIVE now"


@pytest.mark.row("error:LimitExceeded-readers")
def test_a_third_reader_of_a_shard_is_one_too_many(on_demand: Limited) -> None:
    def send(operation: str, **body: Any) -> Response:
        token = on_demand.simulation.request(0, 0, parse(operation, body))
        while token not in on_demand.answers:
            on_demand.run(SECOND_NS // 1_000)
        return on_demand.answers[token]

    stream = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    on_demand.ask("CreateTable", 1, TableName="Read", BillingMode="PAY_PER_REQUEST", StreamSpecification=stream, **KEYS)
    described: Any = send("DescribeTable", TableName="Read").body
    arn = described["Table"]["LatestStreamArn"]
    shards: Any = send("DescribeStream", StreamArn=arn).body
    place = {"StreamArn": arn, "ShardId": shards["StreamDescription"]["Shards"][0]["ShardId"]}
    readers = [send("GetShardIterator", ShardIteratorType="TRIM_HORIZON", **place).body for _ in range(3)]
    answers = [send("GetRecords", ShardIterator=reader["ShardIterator"]) for reader in readers]
    assert [answer.status for answer in answers] == [200, 200, 400]
    assert answers[2].error == "LimitExceededException"
    following: Any = answers[0].body
    assert send("GetRecords", ShardIterator=following["NextShardIterator"]).status == 200, "the first one goes on"
    on_demand.run(2 * SECOND_NS)
    assert send("GetRecords", ShardIterator=readers[2]["ShardIterator"]).status == 200, "the others have gone"
