"""Who hurts a cluster during a campaign: kill -9, lost disks, SIGSTOP, cut links, planned stops and splits, one window
after the other.

Rules of this room:

1. A window begins, lasts, and ends with what it broke mended. It *bit* if it has evidence: a process died, a leader
   stood still, a connection was closed. A fault of the list that never bit makes the campaign's verdict `unknown`.
2. One window at a time, a short rest in between: the majority that every group needs is out of reach of it (a second
   fault that falls into a recovery is drawn one time in four: the next window then begins before the rest is over).
3. The words are the catalogue's. What happens is real, so a seed repeats the script and not the run.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from dynalab.drivers.cluster.driver import ClusterDriver
from dynalab.drivers.cluster.state import ClusterError
from dynalab_fault_injection.run import FaultBand

Link: TypeAlias = tuple[str, str]
Undo: TypeAlias = Callable[[], Awaitable[None]]
Strike: TypeAlias = "Callable[[Nemesis, dict[str, int]], Awaitable[Undo | None]]"

WINDOW_SECONDS = (1.0, 5.0)  # a failover takes about two: some windows end before it and some after
REST_SECONDS = (0.5, 2.5)
PARTITIONS_MAX = 40  # as in simulated campaigns: beyond this a run would be about nothing else


@dataclass(slots=True)
class Nemesis:
    """Breaks `driver` until told to stop. `clock` gives the time of the history."""

    driver: ClusterDriver
    faults: tuple[str, ...]
    random: random.Random
    clock: Callable[[], int]
    bands: list[FaultBand] = field(default_factory=list)

    async def run(self, end_ns: int) -> None:
        """Windows until that time; all of them closed when it returns."""
        drawn: list[str] = []
        while self.clock() < end_ns:
            if not drawn:
                # Every fault once before any comes twice.
                drawn = self.random.sample(self.faults, len(self.faults))
            await self._window(drawn.pop())
            if self.random.randrange(4):
                await asyncio.sleep(self.random.uniform(*REST_SECONDS))

    async def _window(self, name: str) -> None:
        band = FaultBand(name, self.clock(), 0, {})
        self.bands.append(band)
        undo = await STRIKES[name](self, band.evidence)
        try:
            await asyncio.sleep(self.random.uniform(*WINDOW_SECONDS))
        finally:
            if undo is not None:
                await undo()
            band.end_ns = self.clock()

    async def leader(self) -> tuple[str, int] | None:
        """A node that leads something, drawn by how much it leads, and how many groups those are."""
        led = await self.driver.leaders()
        names = [name for name, groups in sorted(led.items()) for _ in groups if name in self.driver.storage()]
        if not names:
            return None
        chosen = self.random.choice(names)
        return chosen, len(led[chosen])


async def _kill_leader(nemesis: Nemesis, evidence: dict[str, int]) -> Undo | None:
    found = await nemesis.leader()
    if found is None:
        return None
    name, groups = found
    await nemesis.driver.kill(name)
    evidence.update({"nodes-died": 1, "leaders-died": groups})
    return lambda: nemesis.driver.restart(name)


async def _node_crash(nemesis: Nemesis, evidence: dict[str, int]) -> Undo | None:
    name = nemesis.random.choice(nemesis.driver.storage())
    await nemesis.driver.kill(name)
    evidence["nodes-died"] = 1
    return lambda: nemesis.driver.restart(name)


async def _router_crash(nemesis: Nemesis, evidence: dict[str, int]) -> Undo | None:
    name = nemesis.random.choice(nemesis.driver.routers())
    await nemesis.driver.kill(name)
    evidence["routers-died"] = 1
    return lambda: nemesis.driver.restart(name)


async def _node_crash_wipe(nemesis: Nemesis, evidence: dict[str, int]) -> Undo | None:
    name = nemesis.random.choice(nemesis.driver.storage())
    try:
        await nemesis.driver.wipe(name)
    except ClusterError:
        return None  # the last disk that was lost is not whole again
    evidence.update({"nodes-died": 1, "disks-lost": 1})
    return lambda: nemesis.driver.restart(name)


async def _zone_loss(nemesis: Nemesis, evidence: dict[str, int]) -> Undo | None:
    names = nemesis.random.choice(nemesis.driver.zones())
    evidence["nodes-died"] = await nemesis.driver.kill_all(names)
    return lambda: nemesis.driver.restart_all(names)


async def _deployment(nemesis: Nemesis, evidence: dict[str, int]) -> Undo | None:
    # A planned stop of a leader: others lead at once, and nobody waits for a lease.
    found = await nemesis.leader()
    if found is None:
        return None
    name, groups = found
    await nemesis.driver.stop(name)
    evidence.update({"nodes-stopped": 1, "leaders-stopped": groups})
    return lambda: nemesis.driver.restart(name)


async def _split(nemesis: Nemesis, evidence: dict[str, int]) -> Undo | None:
    """A partition is told to divide. It bit if the halves are led when the window ends: an order may be let pass."""
    driver = nemesis.driver
    partitions = await driver.partitions()
    if not partitions or len(partitions) >= PARTITIONS_MAX:
        return None
    for group in nemesis.random.sample(sorted(partitions), len(partitions)):
        if await driver.split(partitions[group], group):  # else it holds too little

            async def count(half: str = f"{group}.0") -> None:
                evidence["partitions-divided"] = int(half in await driver.partitions())

            return count
    return None


async def _pause(nemesis: Nemesis, evidence: dict[str, int]) -> Undo | None:
    # A paused leader believes to lead when it wakes up: that is what leases are for.
    found = await nemesis.leader()
    if found is None:
        return None
    name, groups = found
    await nemesis.driver.pause(name)
    evidence.update({"nodes-paused": 1, "leaders-paused": groups})
    return lambda: nemesis.driver.resume(name)


async def _cut(nemesis: Nemesis, evidence: dict[str, int], links: list[Link]) -> Undo | None:
    added = await nemesis.driver.cut(links)
    if added:
        evidence["links-cut"] = len(added)
    return lambda: nemesis.driver.mend(added)


async def _partition(nemesis: Nemesis, evidence: dict[str, int]) -> Undo | None:
    """One node, mostly a leader, is cut off from all other storage nodes, half of the time from the routers, too.

    A leader that routers still reach is the dangerous one: only its lease keeps it from answering with what is old.
    """
    draws = nemesis.random
    found = await nemesis.leader() if draws.randrange(4) else None
    name = found[0] if found is not None else draws.choice(nemesis.driver.storage())
    far = [*nemesis.driver.storage(), *(nemesis.driver.routers() if draws.randrange(2) else ())]
    others = [other for other in far if other != name]
    return await _cut(nemesis, evidence, [(name, o) for o in others] + [(o, name) for o in others])


async def _one_way_cut(nemesis: Nemesis, evidence: dict[str, int]) -> Undo | None:
    """A leader hears everybody and is heard by no other storage node: its heartbeats are lost, its reads are not."""
    found = await nemesis.leader()
    if found is None:
        return None
    others = [other for other in nemesis.driver.storage() if other != found[0]]
    return await _cut(nemesis, evidence, [(found[0], other) for other in others])


STRIKES: dict[str, Strike] = {
    "kill-leader": _kill_leader,
    "node-crash": _node_crash,
    "node-crash-wipe": _node_crash_wipe,
    "zone-loss": _zone_loss,
    "router-crash": _router_crash,
    "deployment": _deployment,
    "split": _split,
    "pause": _pause,
    "partition": _partition,
    "one-way-cut": _one_way_cut,
}
