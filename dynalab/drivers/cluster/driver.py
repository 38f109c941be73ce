"""A cluster of processes as a campaign sees it: clients, victims, and every way to hurt it.

Rules of this room: whatever blocks runs in a thread, so that clients go on while a process dies. A driver that made its
own directory removes it; one that was given a directory leaves it as `down` does.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import cast

from dynalab.drivers.cluster import operations
from dynalab.drivers.cluster.client import Client
from dynalab.drivers.cluster.control import Silent, ask
from dynalab.drivers.cluster.operations import Shape
from dynalab.drivers.cluster.state import Body, Directory, State
from dynalab.drivers.cluster.status import Status, led, look

LOOK_SECONDS_MAX = 0.5


@dataclass(frozen=True, slots=True)
class Digest:
    """What one node holds of one group."""

    items: int
    digest: str


class ClusterDriver:
    """Real processes. Use it as an asynchronous context: up at the beginning, down at the end, whatever happens."""

    def __init__(self, data: str | None = None, shape: Shape | None = None, *, lab: bool = False) -> None:
        self._owned = tempfile.mkdtemp(prefix="dynalab-cluster-") if data is None else None
        self.directory = Directory(data or cast(str, self._owned))
        self._shape = shape
        self._lab = lab
        self.state: State | None = None

    async def __aenter__(self) -> ClusterDriver:
        try:
            start = partial(operations.up, self.directory, self._shape, lab=self._lab)
            self.state = await asyncio.to_thread(start)
        except BaseException:
            self._remove()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(operations.down, self.directory)
        self._remove()

    def _remove(self) -> None:
        if self._owned is not None:
            shutil.rmtree(self._owned, ignore_errors=True)

    # --- clients ------------------------------------------------------------------------------------------------------

    @property
    def urls(self) -> list[str]:
        """Where the routers serve; the same as long as the cluster is up."""
        assert self.state is not None, "the cluster is up"
        return self.state.urls()

    def client(self, router: int) -> Client:
        """A new client of one router."""
        return Client(self.urls[router % len(self.urls)])

    # --- looking ------------------------------------------------------------------------------------------------------

    def storage(self) -> list[str]:
        """Names of the storage nodes."""
        assert self.state is not None
        return [place.name for place in self.state.storage()]

    def zones(self) -> list[list[str]]:
        """The storage nodes of each zone."""
        assert self.state is not None
        zones: dict[str, list[str]] = {}
        for place in self.state.storage():
            zones.setdefault(place.address.zone, []).append(place.name)
        return list(zones.values())

    def routers(self) -> list[str]:
        """Names of the routers."""
        assert self.state is not None
        return [place.name for place in self.state.routers()]

    async def look(self) -> Status:
        """What there is now."""
        return await asyncio.to_thread(partial(look, self.directory, seconds_max=LOOK_SECONDS_MAX))

    async def leaders(self) -> dict[str, list[str]]:
        """Which groups each node leads; nodes that lead nothing are left out."""
        found: dict[str, list[str]] = {}
        for group, leader in led(await self.look()).items():
            if leader is not None:
                found.setdefault(leader, []).append(group)
        return found

    async def partitions(self) -> dict[str, str]:
        """Group → table, of the partitions of tables that have a leader."""
        status = await self.look()
        groups, leaders = status.groups(), led(status)
        some = {group: next(iter(groups[group].values())) for group, leader in leaders.items() if leader is not None}
        return {group: str(one["table"]) for group, one in some.items() if one["table"] and not one["index"]}

    async def digests(self, table: str) -> dict[str, dict[str, Digest]]:
        """Group → node → what it holds, of the nodes that answer."""
        return await asyncio.to_thread(self._digests, table)

    def _digests(self, table: str) -> dict[str, dict[str, Digest]]:
        found: dict[str, dict[str, Digest]] = {}
        token = self.directory.token()
        for place in self.directory.load().storage():
            try:
                answer = ask(place.control_port or 0, token, "digest", table=table)
            except Silent:
                continue
            for group, held in cast("dict[str, Body]", answer["groups"]).items():
                digest = Digest(int(cast(int, held["items"])), str(held["digest"]))
                found.setdefault(group, {})[place.name] = digest
        return found

    # --- hurting ------------------------------------------------------------------------------------------------------

    async def kill(self, name: str) -> None:
        """kill -9."""
        await asyncio.to_thread(operations.kill, self.directory, name)

    async def restart(self, name: str) -> None:
        """Start what was killed."""
        await asyncio.to_thread(operations.restart, self.directory, name)

    async def stop(self, name: str) -> None:
        """A planned stop: SIGTERM, and what it leads is handed over."""
        await asyncio.to_thread(operations.stop, self.directory, name)

    async def split(self, table: str, group: str) -> bool:
        """Tell a partition's leader to divide it; whether it was told."""
        return bool(await asyncio.to_thread(operations.order_splits, self.directory, table, group))

    async def kill_all(self, names: list[str]) -> int:
        """kill -9 of several at once; gives the number of those that ran."""
        return await asyncio.to_thread(operations.kill_all, self.directory, names)

    async def restart_all(self, names: list[str]) -> None:
        """Start those of them that are down."""
        await asyncio.to_thread(operations.restart_all, self.directory, names)

    async def pause(self, name: str) -> None:
        """SIGSTOP."""
        await asyncio.to_thread(operations.pause, self.directory, name)

    async def resume(self, name: str) -> None:
        """SIGCONT."""
        await asyncio.to_thread(operations.resume, self.directory, name)

    async def wipe(self, name: str) -> None:
        """Kill it and lose its disk; refused while another disk is not whole again."""
        await asyncio.to_thread(operations.wipe, self.directory, name)

    async def cut(self, links: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Cut directed links; gives those that were not cut before."""
        return await asyncio.to_thread(operations.cut_links, self.directory, links)

    async def mend(self, links: list[tuple[str, str]]) -> None:
        """Take these cuts back."""
        await asyncio.to_thread(operations.mend, self.directory, links)

    async def heal(self) -> None:
        """Everything back."""
        await asyncio.to_thread(operations.heal, self.directory)
