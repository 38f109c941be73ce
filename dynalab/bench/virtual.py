"""Figures in virtual time: latency against the number of partitions, and fail-over against the length of the lease.

The simulator gives nodes, disks and links their service times and queues, so these figures say how the protocol
behaves, not how fast Python is. They are the same on every machine.
"""

from __future__ import annotations

import time
from dataclasses import replace

from dynalab.bench.report import Figure
from dynalab_fault_injection.experiments import indexes
from dynalab_fault_injection.experiments import transactions as experiment
from dynalab_fault_injection.implementation import implementation_format
from dynalab_fault_injection.simulator import Simulation
from dynalab_impl.effects import RequestToken, Response, Timing, Topology, layout
from dynalab_impl.service import make_node
from dynalab_model.requests import parse

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
TABLE = "bench"


class Bench:
    """A simulated cluster with one client that sends when it is told, and notes how long each answer took."""

    def __init__(self, topology: Topology, seed: int = 1) -> None:
        self.simulation = Simulation(seed, topology, make_node, implementation_format())
        self.simulation.clients.append(self)
        self.sent_ns: dict[RequestToken, int] = {}
        self.took_ns: dict[RequestToken, int] = {}
        self.status: dict[RequestToken, int] = {}
        self.simulation.start()
        self.run(3 * SECOND)
        self.wait(
            self.send(
                "CreateTable",
                TableName=TABLE,
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
        )
        self.run(8 * SECOND)

    def on_wake(self, tag: int) -> None:
        raise AssertionError("nobody asked for a wake-up")

    def on_response(self, token: RequestToken, response: Response) -> None:
        self.took_ns[token] = self.simulation.now - self.sent_ns[token]
        self.status[token] = response.status

    def run(self, duration_ns: int) -> None:
        self.simulation.run_until(self.simulation.now + duration_ns)

    def send(self, name: str, **body: object) -> RequestToken:
        token = self.simulation.request(0, len(self.sent_ns) % 2, parse(name, body))
        self.sent_ns[token] = self.simulation.now
        return token

    def put(self, key: str) -> RequestToken:
        return self.send("PutItem", TableName=TABLE, Item={"pk": {"S": key}, "v": {"S": "x" * 880}})

    def wait(self, token: RequestToken, most_ns: int = 30 * SECOND) -> int:
        """The status of the answer."""
        end_ns = self.simulation.now + most_ns
        while token not in self.status:
            assert self.simulation.now < end_ns, "no answer"
            self.run(MILLISECOND)
        return self.status[token]


def latency(partitions: tuple[int, ...] = (1, 10, 100, 1_000), rate: int = 400, seconds: int = 4) -> list[Figure]:
    """Latency of writes at the same offered load, however many partitions the table has (S141: flat is the claim)."""
    figures: list[Figure] = []
    for count in partitions:
        bench = Bench(layout(partitions=count))
        for number in range(2 * count):  # routers learn where the partitions lie
            bench.put(f"w{number}")
            bench.run(SECOND // 2_000)
        bench.run(2 * SECOND)
        tokens: list[RequestToken] = []
        for number in range(rate * seconds):
            tokens.append(bench.put(f"k{number}"))
            bench.run(SECOND // rate)
        bench.run(2 * SECOND)
        took = sorted(bench.took_ns[token] for token in tokens if bench.status.get(token) == 200)
        subject = f"{count:,} partition{'s' if count > 1 else ''}"
        if len(took) < len(tokens):
            missing = f"{len(tokens) - len(took)} of {len(tokens)} writes failed"
            figures.append(Figure("writes, virtual time", subject, None, "writes/s", "", missing))
            continue
        p50, p99 = took[len(took) // 2] / MILLISECOND, took[len(took) * 99 // 100] / MILLISECOND
        figures.append(
            Figure("writes, virtual time", subject, float(rate), "writes/s", f"p50 {p50:.2f} ms, p99 {p99:.2f} ms")
        )
    return figures


def failover(leases_ms: tuple[int, ...] = (750, 1_500, 3_000), rounds: int = 5) -> list[Figure]:
    """How long no write goes through after the leader's machine died, against the length of its lease (S22)."""
    figures: list[Figure] = []
    for lease_ms in leases_ms:
        gaps: list[int] = []
        for number in range(rounds):
            timing = replace(Timing(), lease_ns=lease_ms * MILLISECOND, request_ns=20 * SECOND)
            bench = Bench(layout(partitions=1, timing=timing), seed=1 + number)
            assert bench.wait(bench.put("k")) == 200
            bench.run(number * 137 * MILLISECOND)
            leader = next(i for i in range(9) if _leads(bench, i))
            died_ns = bench.simulation.now
            bench.simulation.crash(leader)
            assert bench.wait(bench.put("k"), 60 * SECOND) == 200
            gaps.append(bench.simulation.now - died_ns)
        gaps.sort()
        detail = f"{gaps[0] / SECOND:.2f} to {gaps[-1] / SECOND:.2f} s in {rounds} runs"
        median_s = gaps[len(gaps) // 2] / SECOND
        figures.append(Figure("fail-over, virtual time", f"lease of {lease_ms / 1000} s", median_s, "s", detail))
    return figures


def _leads(bench: Bench, index: int) -> bool:
    node = bench.simulation.hosts[index].node
    replicas = getattr(node, "replicas", {})
    return any(replica.is_leader for group, replica in replicas.items() if group.startswith(TABLE))


def idle(seconds: int = 60) -> list[Figure]:
    """Virtual seconds of a cluster at rest, nine nodes and thirty groups, for each second of the processor."""
    bench = Bench(layout(partitions=29))
    started = time.process_time()
    bench.run(seconds * SECOND)
    spent = time.process_time() - started
    return [
        Figure("idle cluster", "9 nodes, 30 groups", seconds / spent, "virtual s/s", f"{seconds} s in {spent:.2f} s")
    ]


def transactions() -> list[Figure]:
    """What transactions take beside single requests, by their number of items (ATC'23: writes about four times, reads a
    bit less than twice).
    """
    found = experiment.latencies()
    single = {took.name: took.ms(50) for took in found if took.items == 1}
    figures: list[Figure] = []
    for took in found:
        beside = single["GetItem" if took.name in ("GetItem", experiment.READ) else "PutItem"]
        detail = f"p99 {took.ms(99):.2f} ms, {took.ms(50) / beside:.1f} times a single one"
        subject = f"{took.name}, {took.items} item{'s' if took.items > 1 else ''}"
        figures.append(Figure("transactions, virtual time", subject, took.ms(50), "ms p50", detail))
    return figures


def index_lag(rates: tuple[int, ...] = (100, 400)) -> list[Figure]:
    """How long after its acknowledgement a write is read in a global index that has enough capacity, under load."""
    figures: list[Figure] = []
    for rate in rates:
        took_ns = indexes.arrival_lags(rate)
        p50, p99 = (took_ns[len(took_ns) * share // 100] / MILLISECOND for share in (50, 99))
        figures.append(
            Figure("index lag, virtual time", f"{rate} writes/s", p50, "ms p50", f"p50 {p50:.1f} ms, p99 {p99:.1f} ms")
        )
    return figures
