"""Transactions that meet: rows that need two requests at the same time, or limits, and so the service alone."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_fault_injection.simulator import Format, Simulation
from dynalab_impl import codec
from dynalab_impl.effects import Limits, RequestToken, Response, layout
from dynalab_impl.partition import Partition
from dynalab_impl.service import make_node
from dynalab_impl.storage import wal
from dynalab_impl.storage_node import StorageNode
from dynalab_model.requests import parse

SECOND_NS = 1_000_000_000
STEP_NS = 20_000
SERVICE = "com.amazonaws.dynamodb.v20120810#"
NONE = {"Code": "None"}
PROVISIONED = "The level of configured provisioned throughput for the table was exceeded. Consider increasing your "
PROVISIONED += "provisioning level with the UpdateTable API."
HOT = "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically scaling your table or "
HOT += "index so please try again shortly. If exceptions persist, check if you have a hot key: "
HOT += "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html."


def put(pk: str) -> dict[str, Any]:
    return {"Put": {"TableName": "Hot", "Item": {"pk": {"S": pk}}}}


def get(pk: str) -> dict[str, Any]:
    return {"Get": {"TableName": "Hot", "Key": {"pk": {"S": pk}}}}


class Service:
    """The replicated service with one table, `Hot`, asked without waiting."""

    def __init__(self, limits: Limits | None = None, **billing: Any) -> None:
        topology = layout(nodes_per_zone=1, routers=2, partitions=1, limits=limits)
        form = Format(codec.encode, codec.decode, wal.frame, wal.recover)
        self.simulation = Simulation(1, topology, make_node, form)
        self.answers: dict[RequestToken, Response] = {}
        self.simulation.clients.append(self)
        self.simulation.start()
        self.run(2 * SECOND_NS)
        keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
        types = [{"AttributeName": "pk", "AttributeType": "S"}]
        self.ask("CreateTable", TableName="Hot", KeySchema=keys, AttributeDefinitions=types, **billing)
        self.run(5 * SECOND_NS)
        # The ledger is made when the first transaction asks for it.
        self.answer(self.ask("TransactWriteItems", TransactItems=[put("first")]))
        self.run(5 * SECOND_NS)

    def on_wake(self, tag: int) -> None:
        raise AssertionError("nobody asked for a wake-up")

    def on_response(self, token: RequestToken, response: Response) -> None:
        self.answers[token] = response

    def run(self, duration_ns: int) -> None:
        self.simulation.run_until(self.simulation.now + duration_ns)

    def ask(self, operation: str, router: int = 0, **body: Any) -> RequestToken:
        return self.simulation.request(0, router, parse(operation, body))

    def answer(self, token: RequestToken) -> tuple[int, dict[str, Any]]:
        for _ in range(1_000):
            if token in self.answers:
                return self.answers[token].status, dict(self.answers[token].body)
            self.run(SECOND_NS // 100)
        raise AssertionError("no answer")

    def until_held(self) -> None:
        """Run until a transaction holds an item."""
        for _ in range(10_000):
            states = [
                replica.state
                for host in self.simulation.hosts
                if isinstance(host.node, StorageNode)
                for replica in host.node.replicas.values()
            ]
            if any(isinstance(state, Partition) and state.held for state in states):
                return
            self.run(STEP_NS)
        raise AssertionError("no transaction holds an item")


@pytest.fixture(scope="module")
def service() -> Service:
    return Service(BillingMode="PAY_PER_REQUEST")


@pytest.mark.row("error:TransactionConflict")
def test_a_single_write_to_an_item_of_a_running_transaction_is_a_conflict(service: Service) -> None:
    running = service.ask("TransactWriteItems", TransactItems=[put("conflict"), put("other")])
    service.until_held()
    single = service.ask("PutItem", 1, TableName="Hot", Item={"pk": {"S": "conflict"}})
    read = service.ask("GetItem", 1, TableName="Hot", Key={"pk": {"S": "conflict"}}, ConsistentRead=True)
    assert service.answer(single) == (
        400,
        {
            "__type": SERVICE + "TransactionConflictException",
            "message": "Transaction is ongoing for the item",
        },
    )
    assert service.answer(read)[0] == 200, "a read of one item never waits for a transaction"
    assert service.answer(running) == (200, {})


@pytest.mark.row("error:cancelled-TransactionConflict")
@pytest.mark.parametrize("operation", ["TransactWriteItems", "TransactGetItems"])
def test_a_transaction_that_meets_another_is_cancelled_at_that_item(service: Service, operation: str) -> None:
    action = put if operation == "TransactWriteItems" else get
    running = service.ask("TransactWriteItems", TransactItems=[put("met")])
    service.until_held()
    second = service.ask(operation, 1, TransactItems=[action("free"), action("met")])
    assert service.answer(second) == (
        400,
        {
            "__type": SERVICE + "TransactionCanceledException",
            "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons "
            "[None, TransactionConflict]",
            "CancellationReasons": [
                NONE,
                {"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"},
            ],
        },
    )
    assert service.answer(running) == (200, {})


@pytest.mark.row("error:TransactionInProgress")
def test_the_same_token_while_it_is_at_work_is_in_progress(service: Service) -> None:
    asked: dict[str, Any] = {"TransactItems": [put("progress")], "ClientRequestToken": "at work"}
    both = [
        service.ask("TransactWriteItems", router, **asked) for router in (0, 1)
    ]  # which comes first is their affair
    answers = sorted((service.answer(token) for token in both), key=lambda answer: answer[0])
    assert answers == [
        (200, {}),
        (
            400,
            {
                "__type": SERVICE + "TransactionInProgressException",
                "Message": "The transaction with the given request token is already in progress.",
            },
        ),
    ]
    assert service.answer(service.ask("TransactWriteItems", 1, **asked)) == (200, {})


@pytest.mark.parametrize(
    ("billing", "code", "words"),
    [
        pytest.param(
            {"BillingMode": "PAY_PER_REQUEST"},
            "ThrottlingError",
            HOT,
            marks=pytest.mark.row("error:cancelled-ThrottlingError"),
        ),
        pytest.param(
            {"ProvisionedThroughput": {"ReadCapacityUnits": 2, "WriteCapacityUnits": 2}},
            "ProvisionedThroughputExceeded",
            PROVISIONED,
            marks=pytest.mark.row("error:cancelled-ProvisionedThroughputExceeded"),
        ),
    ],
)
def test_throughput_that_runs_out_is_a_reason(billing: dict[str, Any], code: str, words: str) -> None:
    service = Service(Limits(partition_read=30, partition_write=10, burst_s=0), **billing)
    asked = [service.ask("TransactWriteItems", TransactItems=[put(f"p{number}")]) for number in range(60)]
    answers = [service.answer(token) for token in asked]
    refused = [body for status, body in answers if status != 200]
    assert 0 < len(refused) < len(answers)
    for body in refused:
        assert body["__type"] == SERVICE + "TransactionCanceledException"
        assert body["CancellationReasons"] == [{"Code": code, "Message": words}]
