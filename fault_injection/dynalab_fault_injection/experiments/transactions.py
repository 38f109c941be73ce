"""What a transaction costs in time, and how often it is cancelled: the evaluation of the paper, on this machine's scale
(ATC'23 §6).

All of it is virtual time: nodes, disks and links have their service times and queues, so the figures say how the
protocol behaves, and are the same on every machine. The paper says of its own: a write transaction takes about four
times as long as a PutItem, a read transaction a bit less than twice as long as a GetItem, both take longer with more
items, and transactions are cancelled where they meet, while a GetItem never is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import click

from dynalab_fault_injection.implementation import implementation_format
from dynalab_fault_injection.simulator import Simulation, below, stream
from dynalab_impl.effects import RequestToken, Response, layout
from dynalab_impl.service import make_node
from dynalab_model.operations import (
    CreateTable,
    GetItem,
    Operation,
    PutItem,
    TransactGetItems,
    TransactWriteItems,
    UpdateItem,
)
from dynalab_model.schema import KeyAttribute, KeySchema, TableSchema
from dynalab_model.transactions import ACTIONS_MAX
from dynalab_model.values import Item

SECOND_NS = 1_000_000_000
MILLISECOND_NS = 1_000_000
TABLE = TableSchema("things", KeySchema(KeyAttribute("pk", "S")))
PAD = "x" * 880  # with keys and names about 900 bytes, as in the paper
ROUTERS = 3
SINGLE, WRITE, READ = ("GetItem", "PutItem"), "TransactWriteItems", "TransactGetItems"
KINDS = (WRITE, READ, "UpdateItem", "GetItem")


@dataclass(slots=True)
class Took:
    """How long requests of one kind took."""

    name: str
    items: int
    took_ns: list[int] = field(default_factory=list)

    def ms(self, percent: int) -> float:
        """A percentile."""
        return sorted(self.took_ns)[(len(self.took_ns) - 1) * percent // 100] / MILLISECOND_NS


@dataclass(slots=True)
class Met:
    """How many requests of each kind were sent, and how many met another one: by name."""

    keys: int
    sent: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)

    def share(self, name: str) -> float:
        """Refused of a hundred."""
        return 100 * self.refused.get(name, 0) / self.sent[name]


class Client:
    """A cluster with an empty table, and what its answers took."""

    def __init__(self, seed: int, partitions: int = 8) -> None:
        self.simulation = Simulation(
            seed, layout(3, 3, ROUTERS, partitions=partitions), make_node, implementation_format()
        )
        self.simulation.clients.append(self)
        self.sent_ns: dict[RequestToken, int] = {}
        self.took_ns: dict[RequestToken, int] = {}
        self.answers: dict[RequestToken, Response] = {}
        self.simulation.start()
        self.run(3 * SECOND_NS)
        self.wait(self.send(CreateTable(TABLE, {"BillingMode": "PAY_PER_REQUEST"}), 0))
        self.run(6 * SECOND_NS)
        for router in range(ROUTERS):  # the ledger comes with the first transaction, and every router learns its place
            self.wait(self.send(transaction([f"warm{n}" for n in range(20)]), router))
        self.run(3 * SECOND_NS)

    def on_wake(self, tag: int) -> None:
        raise AssertionError("nobody asked for a wake-up")

    def on_response(self, token: RequestToken, response: Response) -> None:
        self.took_ns[token] = self.simulation.now - self.sent_ns[token]
        self.answers[token] = response

    def run(self, duration_ns: int) -> None:
        """Let time pass."""
        self.simulation.run_until(self.simulation.now + duration_ns)

    def send(self, operation: Operation, router: int) -> RequestToken:
        """One request."""
        token = self.simulation.request(0, router, operation)
        self.sent_ns[token] = self.simulation.now
        return token

    def wait(self, token: RequestToken) -> int:
        """Until it is answered; how long that took."""
        while token not in self.took_ns:
            self.run(MILLISECOND_NS)
        assert self.answers[token].status == 200, self.answers[token]
        return self.took_ns[token]


def item(key: str) -> Item:
    """An item of about 900 bytes."""
    return {"pk": {"S": key}, "v": {"S": PAD}}


def get(key: str) -> GetItem:
    """A strong read."""
    return GetItem("things", {"pk": {"S": key}}, consistent=True)


def transaction(keys: list[str]) -> TransactWriteItems:
    """Put all of these."""
    return TransactWriteItems(tuple(PutItem("things", item(key)) for key in keys))


def latencies(sizes: tuple[int, ...] = (3, 10, 30, ACTIONS_MAX), requests: int = 60, seed: int = 1) -> list[Took]:
    """One request after the other, so nobody waits for anybody: singles, then transactions of these sizes."""
    client, random = Client(seed), stream(seed, "client", 0)

    def asked(name: str, items: int) -> Took:
        took = Took(name, items)
        for _ in range(requests):
            keys = [f"k{number}" for number in sorted({below(random, 100_000) for _ in range(2 * items)})][:items]
            operation: Operation
            if name == "PutItem":
                operation = PutItem("things", item(keys[0]))
            elif name == "GetItem":
                operation = get(keys[0])
            else:
                operation = transaction(keys) if name == WRITE else TransactGetItems(tuple(map(get, keys)))
            took.took_ns.append(client.wait(client.send(operation, below(random, ROUTERS))))
            client.run(20 * MILLISECOND_NS)  # what is done behind an answer disturbs nobody
        return took

    found = [asked(name, 1) for name in SINGLE]
    return found + [asked(name, size) for name in (READ, WRITE) for size in sizes]


def contention(
    keys: tuple[int, ...] = (1_000_000, 1_000, 200), rate: int = 200, seconds: int = 3, seed: int = 1
) -> list[Met]:
    """Requests over so many keys, `rate` a second: transactions of ten items, and single updates and reads."""
    return [_met(count, rate, seconds, seed) for count in keys]


def _met(keys: int, rate: int, seconds: int, seed: int) -> Met:
    client, random, met = Client(seed), stream(seed, "client", 0), Met(keys)
    tokens: list[tuple[str, RequestToken]] = []
    for number in range(rate * seconds):
        name = KINDS[below(random, len(KINDS))]
        some = [f"k{key}" for key in sorted({below(random, keys) for _ in range(20)})][:10]
        operation: Operation
        if name == WRITE:
            operation = transaction(some)
        elif name == READ:
            operation = TransactGetItems(tuple(map(get, some)))
        elif name == "UpdateItem":
            key: Item = {"pk": {"S": some[0]}}
            operation = UpdateItem("things", key, update="SET n = :n", values={":n": {"N": str(number)}})
        else:
            operation = get(some[0])
        tokens.append((name, client.send(operation, below(random, ROUTERS))))
        client.run(below(random, 2 * SECOND_NS // rate))
    client.run(10 * SECOND_NS)
    for name, token in tokens:
        met.sent[name] = met.sent.get(name, 0) + 1
        met.refused[name] = met.refused.get(name, 0) + (client.answers[token].status != 200)
    return met


def latency_table(found: list[Took]) -> list[str]:
    """Lines of a Markdown table: each beside the single operation that it is compared with."""
    single = {took.name: took.ms(50) for took in found if took.items == 1}
    lines = ["| Request | items | p50 | p99 | times a single one |", "|---|--:|--:|--:|--:|"]
    for took in found:
        beside = single["GetItem" if took.name in ("GetItem", READ) else "PutItem"]
        lines.append(
            f"| {took.name} | {took.items} | {took.ms(50):.1f} ms | {took.ms(99):.1f} ms | {took.ms(50) / beside:.1f} |"
        )
    return lines


def contention_table(found: list[Met]) -> list[str]:
    """Lines of a Markdown table: what was refused of each kind, in a hundred."""
    lines = [f"| Keys | {' | '.join(KINDS)} |", "|--:|" + "--:|" * len(KINDS)]
    for met in found:
        lines.append(f"| {met.keys:,} | " + " | ".join(f"{met.share(name):.1f} %" for name in KINDS) + " |")
    return lines


@click.command()
@click.option("--seed", default=1, show_default=True, help="Another seed draws other keys and delays.")
def main(seed: int) -> None:
    """What transactions take beside single requests, and how often they are refused where they meet."""
    click.echo("\n".join([*latency_table(latencies(seed=seed)), "", *contention_table(contention(seed=seed))]))


if __name__ == "__main__":
    main()
