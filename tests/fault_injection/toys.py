"""Small nodes that implement the contract of `dynalab_impl.effects`: they show what a driver owes to its nodes.

A `Ledger` adds up what its clients put and asks its two neighbours to do the same; it answers once its own log has
the record. An `Echo` sends what it is told, from memory. Neither knows anything of DynamoDB.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from dynalab_fault_injection.simulator import Delays, Format, Parameters, Simulation
from dynalab_impl.effects import (
    NOTHING,
    Address,
    Effects,
    Message,
    Node,
    Record,
    RequestToken,
    Response,
    TimerName,
    Topology,
    layout,
)
from dynalab_impl.storage.wal import frame, recover
from dynalab_model.events import Event
from dynalab_model.operations import GetItem, Operation, PutItem


@dataclass(slots=True)
class Added(Record):
    amount: int


@dataclass(slots=True)
class Add(Message):
    amount: int
    hops: int


@dataclass(slots=True)
class IndexRequest(Message):
    number: int


@dataclass(slots=True)
class Pulse(Message):
    number: int


TYPES: dict[str, type[Message] | type[Record]] = {cls.__name__: cls for cls in (Added, Add, IndexRequest, Pulse)}


def encode(value: Message | Record) -> bytes:
    fields = [getattr(value, field.name) for field in dataclasses.fields(value)]
    return json.dumps([type(value).__name__, *fields]).encode()


def decode(data: bytes) -> Message | Record:
    name, *fields = json.loads(data)
    return TYPES[name](*fields)


TOY_FORMAT = Format(encode, decode, frame, recover)


@dataclass(slots=True)
class Seen:
    """What happened to the nodes, written down by themselves; shared by all incarnations of all nodes of a test."""

    received: list[tuple[str, int, int]] = field(default_factory=list)  # (node, local time, number)
    timers: list[tuple[str, int, TimerName]] = field(default_factory=list)
    durable: list[tuple[str, int]] = field(default_factory=list)
    recovered: list[tuple[str, int, list[int]]] = field(default_factory=list)  # (node, incarnation, amounts)


@dataclass(slots=True)
class Ledger:
    """Storage node: adds, logs, forwards to the next node while hops are left. Router: passes requests on and answers
    at once.
    """

    address: Address
    topology: Topology
    incarnation: int
    seen: Seen
    total: int = 0

    def on_start(self, effects: Effects) -> None:
        amounts = [record.amount for record in effects.read_log() if isinstance(record, Added)]
        self.total = sum(amounts)
        self.seen.recovered.append((self.address.node, self.incarnation, amounts))
        effects.set_timer(("tick",), 100_000_000)

    def on_message(self, sender: Address, message: Message, effects: Effects) -> None:
        assert isinstance(message, Add)
        self.total += message.amount
        effects.append(Added(message.amount))
        self.seen.received.append((self.address.node, effects.now_ns, message.amount))
        effects.tell(Event("accepted", "toy", message.hops, self.total))
        if message.hops:
            storage = self.topology.storage
            following = storage[(storage.index(self.address) + 1) % len(storage)]
            effects.send(following, Add(message.amount, message.hops - 1))

    def on_timer(self, name: TimerName, effects: Effects) -> None:
        self.seen.timers.append((self.address.node, effects.now_ns, name))
        effects.set_timer(name, 100_000_000 + effects.random_bits(20))

    def on_stop(self, effects: Effects) -> None:
        """It leads nothing."""

    def may_stop(self) -> bool:
        return True

    def on_durable(self, position: int, effects: Effects) -> None:
        self.seen.durable.append((self.address.node, position))

    def on_request(self, token: RequestToken, operation: Operation, effects: Effects) -> None:
        assert isinstance(operation, PutItem)
        amount = int(str(operation.item["n"]["N"]))
        storage = self.topology.storage
        effects.send(storage[amount % len(storage)], Add(amount, 2), NOTHING)
        effects.reply(token, Response(200, {}), NOTHING)


@dataclass(slots=True)
class Scripted:
    """A node whose reactions a test hands in."""

    address: Address
    start: Callable[[Effects], None] = lambda effects: None
    message: Callable[[Address, Message, Effects], None] = lambda sender, message, effects: None
    timer: Callable[[TimerName, Effects], None] = lambda name, effects: None
    durable: Callable[[int, Effects], None] = lambda position, effects: None
    request: Callable[[RequestToken, Operation, Effects], None] = lambda token, operation, effects: None

    def on_start(self, effects: Effects) -> None:
        self.start(effects)

    def on_message(self, sender: Address, message: Message, effects: Effects) -> None:
        self.message(sender, message, effects)

    def on_timer(self, name: TimerName, effects: Effects) -> None:
        self.timer(name, effects)

    def on_stop(self, effects: Effects) -> None:
        """It leads nothing."""

    def may_stop(self) -> bool:
        return True

    def on_durable(self, position: int, effects: Effects) -> None:
        self.durable(position, effects)

    def on_request(self, token: RequestToken, operation: Operation, effects: Effects) -> None:
        self.request(token, operation, effects)


@dataclass(slots=True)
class Asker:
    """A client that puts 1, 2, 3, … at random moments and writes down what it hears."""

    simulation: Simulation
    index: int
    requests: int
    answers: list[tuple[int, int]] = field(default_factory=list)  # (virtual time, status)
    asked: int = 0

    def on_wake(self, tag: int) -> None:
        self.asked += 1
        put = PutItem("toy", {"n": {"N": str(self.asked)}})
        self.simulation.request(self.index, self.asked % len(self.simulation.topology.routers), put)
        if self.asked < self.requests:
            self.simulation.wake(self.index, 1_000_000, tag)

    def on_response(self, token: RequestToken, response: Response) -> None:
        self.answers.append((self.simulation.now, response.status))


def ledgers(
    seed: int, *, parameters: Parameters | None = None, through_codec: bool = False, requests: int = 200
) -> tuple[Simulation, Seen, Asker]:
    """Nine ledgers, two routers and a client, started."""
    seen = Seen()

    def make(address: Address, topology: Topology, incarnation: int) -> Node:
        return Ledger(address, topology, incarnation, seen)

    simulation = Simulation(seed, layout(), make, TOY_FORMAT, parameters, through_codec=through_codec)
    asker = Asker(simulation, 0, requests)
    simulation.clients.append(asker)
    simulation.start()
    simulation.wake(0, 50_000_000, 0)
    return simulation, seen, asker


def scripted(seed: int, nodes: dict[str, Scripted], *, parameters: Parameters | None = None) -> Simulation:
    """Three storage nodes n1 n2 n3 in three zones and a router; the ones not named do nothing."""

    def make(address: Address, topology: Topology, incarnation: int) -> Node:
        node = nodes.get(address.node, Scripted(address))
        node.address = address
        return node

    simulation = Simulation(seed, layout(nodes_per_zone=1, routers=1), make, TOY_FORMAT, parameters)
    simulation.start()
    return simulation


READ = GetItem("toy", {"pk": {"S": "k"}})
HERE = Address("", "", "")
EXACT = Parameters(delays=Delays(spread_bits=1))
