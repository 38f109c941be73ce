"""How much routers ask the metadata service: when cold routers join, and when they restart more often (ATC'22 §4;
S137–S139).

Clients read at a fixed rate, each time another key at a router drawn among those in service. What is counted are the
questions (`Find`) that arrive nowhere else than at the catalog, in windows of virtual time.

- `joining`: first a few routers serve; when their caches are warm, cold ones join, and the same traffic is spread over
  all of them. Without refreshing, the service was idle and is hit by a cliff. With a refresh on every hit its load is
  the rate of the requests, before, during and after.
- `restarting`: one router restarts every so many requests. Half as many requests between two restarts double the load,
  though the hit rate hardly moves.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import click

from dynalab_fault_injection.simulator import Format, LinkRule, Simulation, below, stream
from dynalab_impl import codec
from dynalab_impl.effects import RequestToken, Response, Topology, layout
from dynalab_impl.service import make_node
from dynalab_impl.storage import wal
from dynalab_model.operations import CreateTable, GetItem
from dynalab_model.schema import KeyAttribute, KeySchema, TableSchema
from dynalab_model.values import Item

SECOND_NS = 1_000_000_000
KEYS = 100_000  # drawn among so many, so every partition is in use
TABLE = TableSchema("things", KeySchema(KeyAttribute("pk", "S")))
SETTLE_NS = 3 * SECOND_NS
READY_MAX_NS = 60 * SECOND_NS
WARM_ROUNDS = 8  # before the measurement begins, each warm router gets so many requests a partition


@dataclass(slots=True)
class Load:
    """What one run measured, window by window."""

    window_ms: int
    joined: int  # the window at whose beginning the cold routers joined; 0 if none did
    requests: list[int] = field(default_factory=list)
    questions: list[int] = field(default_factory=list)
    answered: int = 0  # requests that were answered with 200

    def share(self, window: int) -> float:
        """Questions for a hundred requests in a window."""
        return 100 * self.questions[window] / self.requests[window]


class Readers:
    """Clients that read at a fixed rate, whatever comes back."""

    def __init__(self, simulation: Simulation, seed: int) -> None:
        self.simulation = simulation
        self.random = stream(seed, "client", 0)
        self.answered = 0
        self.seen: dict[RequestToken, Response] = {}
        simulation.clients.append(self)

    def on_wake(self, tag: int) -> None:
        raise AssertionError("nobody asked for a wake-up")

    def on_response(self, token: RequestToken, response: Response) -> None:
        self.answered += response.status == 200
        self.seen[token] = response

    def read(self, count: int, gap_ns: int, routers: int) -> None:
        """So many reads at the first so many routers, one every `gap_ns`."""
        for _ in range(count):
            key: Item = {"pk": {"S": f"k{below(self.random, KEYS)}"}}
            self.simulation.request(0, below(self.random, routers), GetItem("things", key))
            self.simulation.run_until(self.simulation.now + gap_ns)


def _cluster(topology: Topology, seed: int) -> tuple[Simulation, Readers, LinkRule]:
    """A cluster with an empty table, and a rule that changes nothing and counts questions."""
    form = Format(codec.encode, codec.decode, wal.frame, wal.recover)
    simulation = Simulation(seed, topology, make_node, form)
    readers = Readers(simulation, seed)
    simulation.start()
    simulation.run_until(SETTLE_NS)
    token = simulation.request(0, 0, CreateTable(TABLE, {"BillingMode": "PAY_PER_REQUEST"}))
    while token not in readers.seen or "leader-serving" not in simulation.told:
        assert simulation.now < READY_MAX_NS, "no table"
        simulation.run_until(simulation.now + SECOND_NS // 10)
    simulation.run_until(simulation.now + 2 * SETTLE_NS)  # every group has its leader
    everybody = list(range(len(simulation.addresses)))
    counter = LinkRule("delay", simulation.network.links(everybody, everybody), names=("Find",))
    simulation.network.add_rule(counter)
    return simulation, readers, counter


def joining(
    *,
    refresh: bool,
    warm: int = 2,
    cold: int = 6,
    partitions: int = 64,
    rate: int = 400,
    window_ms: int = 100,
    windows_before: int = 10,
    windows_after: int = 40,
    seed: int = 1,
) -> Load:
    """The load on the metadata service before and after `cold` routers join `warm` ones; `rate` requests a second.

    With `refresh` routers ask on every hit, without any interval in which they do not.
    """
    topology = layout(3, 3, warm + cold, partitions=partitions, refresh_on_hit=refresh)
    topology = replace(topology, timing=replace(topology.timing, refresh_ns=0))
    simulation, readers, counter = _cluster(topology, seed)
    gap_ns = SECOND_NS // rate
    readers.read(WARM_ROUNDS * warm * partitions, gap_ns, warm)
    readers.answered = 0
    load = Load(window_ms, windows_before)
    count = rate * window_ms // 1000
    for window in range(windows_before + windows_after):
        before = counter.hits
        readers.read(count, gap_ns, warm if window < windows_before else warm + cold)
        load.requests.append(count)
        load.questions.append(counter.hits - before)
    simulation.run_until(simulation.now + SECOND_NS)
    load.answered = readers.answered
    return load


def restarting(*, requests: int, lives: int = 4, partitions: int = 5, rate: int = 1_000, seed: int = 1) -> Load:
    """The load of one router that restarts after every so many requests; a window is one of its lives."""
    simulation, readers, counter = _cluster(layout(3, 1, 1, partitions=partitions), seed)
    router = simulation.storage_count
    readers.answered = 0
    load = Load(1000 * requests // rate, 0)
    for _ in range(lives):
        simulation.crash(router)
        simulation.restart(router)
        simulation.run_until(simulation.now + SECOND_NS)
        before = counter.hits
        readers.read(requests, SECOND_NS // rate, 1)
        simulation.run_until(simulation.now + SECOND_NS)
        load.requests.append(requests)
        load.questions.append(counter.hits - before)
    load.answered = readers.answered
    return load


def table(loads: dict[str, Load]) -> list[str]:
    """The run of `joining` as lines of a Markdown table: questions a second before, at the worst, and at the end."""
    lines = [
        "| Routers | questions/s before | in the worst window | as a share of requests | in the last second |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, load in loads.items():
        per_second = 1000 // load.window_ms
        before = sum(load.questions[: load.joined]) * per_second // load.joined
        after = load.questions[load.joined :]
        worst = max(range(load.joined, len(load.questions)), key=lambda window: load.questions[window])
        last = sum(after[-per_second:])
        share = f"{load.share(worst):.0f} %"
        lines.append(f"| {name} | {before} | {load.questions[worst] * per_second} | {share} | {last} |")
    return lines


def restart_table(loads: list[Load]) -> list[str]:
    """The runs of `restarting` as lines of a Markdown table."""
    lines = ["| Requests between two restarts | hit rate | questions for 1,000 requests |", "|--:|--:|--:|"]
    for load in loads:
        requests, questions = sum(load.requests), sum(load.questions)
        hits = 100 - 100 * questions / requests
        lines.append(f"| {load.requests[0]:,} | {hits:.2f} % | {1000 * questions / requests:.1f} |")
    return lines


def measured(seed: int = 1) -> tuple[dict[str, Load], list[Load]]:
    """Both experiments as the course shows them."""
    loads = {
        "ask on a miss": joining(refresh=False, seed=seed),
        "ask on every hit, too": joining(refresh=True, seed=seed),
    }
    return loads, [restarting(requests=2_500, seed=seed), restarting(requests=1_250, seed=seed)]


@click.command()
@click.option("--seed", default=1, show_default=True, help="Another seed draws other keys, delays and clocks.")
def main(seed: int) -> None:
    """What cold routers cost the metadata service, with and without a refresh on every hit."""
    loads, lives = measured(seed)
    click.echo("\n".join([*table(loads), "", *restart_table(lives)]))


if __name__ == "__main__":
    main()
