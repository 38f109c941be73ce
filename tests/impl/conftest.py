"""A small simulated cluster of the real handlers, driven call by call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dynalab_fault_injection.simulator import CERTAIN, Format, LinkRule, NodeFactory, Simulation
from dynalab_impl import codec
from dynalab_impl.effects import Address, RequestToken, Response, layout
from dynalab_impl.service import make_node
from dynalab_impl.storage import wal
from dynalab_model.events import Event
from dynalab_model.requests import parse

SECOND = 1_000_000_000
FORMAT = Format(codec.encode, codec.decode, wal.frame, wal.recover)


class Lab:
    """One client of a simulated cluster. `call` waits for the answer in virtual time."""

    def __init__(self, seed: int = 1, make: NodeFactory = make_node, **shape: Any) -> None:
        self.topology = layout(**shape)
        self.simulation = Simulation(seed, self.topology, make, FORMAT)
        self.answers: dict[RequestToken, Response] = {}
        self.told: list[tuple[int, Address, Event]] = []
        self.simulation.listeners.append(lambda at, who, event: self.told.append((at, who, event)))
        self.simulation.clients.append(self)
        self.simulation.start()
        self.run(2 * SECOND)

    def on_wake(self, tag: int) -> None:
        raise AssertionError("nobody asked for a wake-up")

    def on_response(self, token: RequestToken, response: Response) -> None:
        self.answers[token] = response

    def run(self, duration_ns: int) -> None:
        self.simulation.run_until(self.simulation.now + duration_ns)

    def send(self, name: str, router: int = 0, **body: Any) -> RequestToken:
        return self.simulation.request(0, router, parse(name, body))

    def call(self, name: str, router: int = 0, wait_ns: int = 8 * SECOND, **body: Any) -> Response:
        token = self.send(name, router, **body)
        end = self.simulation.now + wait_ns
        while token not in self.answers:
            assert self.simulation.now < end, f"{name} got no answer"
            self.run(1_000_000)
        return self.answers[token]

    def create(self, table: str = "things", *, sort_key: bool = False, index: bool = False) -> None:
        keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
        attributes = [{"AttributeName": "pk", "AttributeType": "S"}]
        extra: dict[str, Any] = {}
        if sort_key:
            keys.append({"AttributeName": "sk", "KeyType": "RANGE"})
            attributes.append({"AttributeName": "sk", "AttributeType": "N"})
        if index:
            attributes.append({"AttributeName": "colour", "AttributeType": "S"})
            extra["GlobalSecondaryIndexes"] = [
                {
                    "IndexName": "by-colour",
                    "KeySchema": [{"AttributeName": "colour", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ]
        answer = self.call(
            "CreateTable",
            TableName=table,
            KeySchema=keys,
            AttributeDefinitions=attributes,
            BillingMode="PAY_PER_REQUEST",
            **extra,
        )
        assert answer.status == 200, answer
        for _ in range(50):
            described = self.call("DescribeTable", TableName=table)
            if described.body["Table"]["TableStatus"] == "ACTIVE":  # type: ignore[call-overload, index]
                break
            self.run(SECOND // 10)
        else:
            raise AssertionError("the table never became active")
        self.run(2 * SECOND)

    def put(self, key: str, value: int | str, **more: Any) -> Response:
        item = {"pk": {"S": key}, "v": {"S": str(value)}, **more.pop("attributes", {})}
        return self.call("PutItem", TableName=more.pop("table", "things"), Item=item, **more)

    def get(self, key: str, *, consistent: bool = True, table: str = "things") -> str | None:
        answer = self.call("GetItem", TableName=table, Key={"pk": {"S": key}}, ConsistentRead=consistent)
        assert answer.status == 200, answer
        item = answer.body.get("Item")
        return None if item is None else item["v"]["S"]  # type: ignore[call-overload, index, return-value]

    def leader(self, key: str, table: str = "things") -> tuple[int, str]:
        """The machine that leads this key's group, and the group."""
        from dynalab_model.keys import item_key
        from dynalab_model.schema import KeyAttribute, KeySchema

        place = item_key(KeySchema(KeyAttribute("pk", "S")), {"pk": {"S": key}})
        for index in range(self.simulation.storage_count):
            node: Any = self.simulation.hosts[index].node
            for group, replica in ({} if node is None else node.replicas).items():
                spec = replica.spec
                divided = getattr(replica.state, "split", None) is not None
                if spec.table == table and not spec.index and spec.holds(place) and replica.is_leader and not divided:
                    return index, group
        raise AssertionError(f"nobody leads {key}")

    def rule(self, effect: str, sources: list[int], targets: list[int], **more: Any) -> LinkRule:
        """Lay a fault over links; it hits every message that it looks at."""
        network = self.simulation.network
        links = network.links(sources, targets, both_ways=more.pop("both_ways", False))
        rule = LinkRule(effect, links, CERTAIN, **more)
        network.add_rule(rule)
        return rule

    def members(self, group: str) -> list[int]:
        """The machines that host this group."""
        hosts = range(self.simulation.storage_count)
        return [i for i in hosts if group in getattr(self.simulation.hosts[i].node, "replicas", {})]

    def kinds(self) -> list[str]:
        return [event.kind for _, _, event in self.told]


@pytest.fixture
def make_lab() -> Callable[..., Lab]:
    return Lab


@pytest.fixture
def lab() -> Lab:
    lab = Lab()
    lab.create()
    return lab
