"""Where the nodes of an embedded cluster keep their logs: in memory, or in one directory with a manifest.

Rules of this room:

1. The manifest is the only place that knows which disks there should be. A node whose log is missing or damaged comes
   back under a higher incarnation, on a new and empty log: that is how the others learn that it forgot its promises
   (S23 would break otherwise).
2. A node's directory is named after its incarnation (`z1-n1.1`), so an old directory that is put back is never taken
   for the new one.
3. First the new log exists, synced by name, then the manifest names it, then the node runs. The very first manifest is
   written after all first logs: a crash between leaves a directory without manifest and without records, and the next
   start begins anew.
4. A router has no log worth keeping; it gets a new incarnation at every start, since its request numbers begin again.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Protocol

from dynalab.drivers.disk import FileSystem, write_atomically
from dynalab.drivers.log_files import (
    SEGMENT_BYTES_MAX,
    DamagedLog,
    LogFiles,
    create_log,
    holds_records,
    log_exists,
    make_dir_durably,
    open_log,
)
from dynalab_impl import codec
from dynalab_impl.effects import Address, Position, Record, Timing, Topology

FIRST_INCARNATION = 1
MANIFEST = "manifest.json"
_VERSION = 2  # 1 had logs without a synced mark


class StoreError(Exception):
    """The data directory cannot be used; the text says why and what to do."""


class NodeDisk(Protocol):
    """One node's log while the node runs."""

    @property
    def waits(self) -> bool:
        """Whether `take` gives a call: False where whatever was taken is safe."""

    def append(self, record: Record) -> None:
        """Take a record for the next sync."""

    def take(self) -> Callable[[], None] | None:
        """Close the batch: a call that returns when it is on disk (for a worker thread), or None if it is as safe
        already as this disk makes it. Raises OSError if the disk refuses, as the call does.
        """

    def truncate(self, before: Position) -> None:
        """Records before that position, counted from 1 at the opening, may be dropped: some, all or none, sooner or
        later. They are on disk.
        """

    def close(self) -> None:
        """The node is down; what was not taken is lost."""


class Store(Protocol):
    """All the disks of a cluster."""

    topology: Topology

    def open(self, address: Address) -> tuple[NodeDisk, list[Record], int]:
        """The node's disk, the records that survived on it, and its incarnation."""

    def wipe(self, address: Address) -> None:
        """The disk of a node that is down is lost."""


class MemoryDisk:
    """The record objects themselves: a killed node restarts from them. A record is safe once its batch was taken.

    >>> shared: list[Record] = [Record(), Record(), Record()]
    >>> MemoryDisk(shared).truncate(3)
    >>> len(shared)
    1
    """

    __slots__ = ("_dropped", "_records", "_safe")
    waits = False

    def __init__(self, records: list[Record]) -> None:
        self._records = records  # shared with the store, which keeps it from one life to the next
        self._safe = len(records)
        self._dropped = 0

    def append(self, record: Record) -> None:
        self._records.append(record)

    def take(self) -> None:
        self._safe = len(self._records)

    def truncate(self, before: Position) -> None:
        count = before - 1 - self._dropped
        assert count <= self._safe, "what is not safe cannot be replaced by what is"
        if count > 0:
            del self._records[:count]
            self._dropped += count
            self._safe -= count

    def close(self) -> None:
        del self._records[self._safe :]


class MemoryStore:
    """Disks that live as long as the process.

    >>> from dynalab_impl.effects import layout
    >>> store = MemoryStore(layout(nodes_per_zone=1, routers=1))
    >>> disk, records, incarnation = store.open(store.topology.storage[0])
    >>> records, incarnation
    ([], 1)
    """

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self._records: dict[Address, list[Record]] = {}
        self._incarnations: dict[Address, int] = {}

    def open(self, address: Address) -> tuple[NodeDisk, list[Record], int]:
        if address in self.topology.routers:
            self.wipe(address)
        records = self._records.setdefault(address, [])
        return MemoryDisk(records), list(records), self._incarnations.setdefault(address, FIRST_INCARNATION)

    def wipe(self, address: Address) -> None:
        self._records[address] = []
        self._incarnations[address] = self._incarnations.get(address, FIRST_INCARNATION - 1) + 1


class FileDisk:
    """Records through the codec into a log of files. `memory` is shared by the disks of one store. Where no sync waits,
    `take` writes the batch itself: that takes microseconds.
    """

    __slots__ = ("_log", "_memory", "waits")

    def __init__(self, log: LogFiles, memory: codec.EntryMemory, waits: bool) -> None:
        self._log = log
        self._memory = memory
        self.waits = waits

    def append(self, record: Record) -> None:
        self._log.stage(self._memory.encode(record))

    def take(self) -> Callable[[], None] | None:
        job = self._log.take()
        if self.waits:
            return job
        job()
        return None

    def truncate(self, before: Position) -> None:
        self._log.truncate(before)

    def close(self) -> None:
        self._log.close()


@dataclass(slots=True)
class Manifest:
    """Which machines there are and which disk each of them should have."""

    topology: Topology
    incarnations: dict[Address, int]

    def to_json(self) -> bytes:
        topology = asdict(self.topology)
        del topology["limits"], topology["log_as_state"]  # not of the disks: each process says them anew
        topology["storage"] = [list(address) for address in self.topology.storage]
        topology["routers"] = [list(address) for address in self.topology.routers]
        incarnations = {str(address): number for address, number in self.incarnations.items()}
        body = {"version": _VERSION, "topology": topology, "incarnations": incarnations}
        return json.dumps({**body, "checksum": _checksum(body)}, indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Manifest:
        """Raises StoreError if this is not a manifest."""
        try:
            parts = json.loads(data)
            if parts["version"] != _VERSION:
                raise StoreError(f"{MANIFEST} has version {parts['version']}; this program reads version {_VERSION}")
            if parts.pop("checksum") != _checksum(parts):
                raise StoreError(f"{MANIFEST} is damaged: its checksum does not fit")
            topology = dict(parts["topology"])
            topology["storage"] = tuple(Address(*names) for names in topology["storage"])
            topology["routers"] = tuple(Address(*names) for names in topology["routers"])
            topology["timing"] = Timing(**topology["timing"])
            topology["transaction_rules"] = tuple(topology.get("transaction_rules", ()))
            incarnations = {Address(*name.split("/")): int(number) for name, number in parts["incarnations"].items()}
            return cls(Topology(**topology), incarnations)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"{MANIFEST} cannot be read: {error}") from error


def _checksum(body: dict[str, object]) -> int:
    return zlib.crc32(json.dumps(body, sort_keys=True).encode())


class FileStore:
    """Logs under one directory. `topology` is used when the directory is new; afterwards the manifest says what there
    is.
    """

    def __init__(
        self, fs: FileSystem, root: str, topology: Topology, *, segment_bytes_max: int = SEGMENT_BYTES_MAX
    ) -> None:
        self._fs = fs
        self._root = root
        self._segment_bytes_max = segment_bytes_max
        self._memory = codec.EntryMemory()
        self.lost: list[str] = []  # what was found missing or damaged, in words
        if fs.exists(root + "/" + MANIFEST):
            self._manifest = Manifest.from_json(fs.read(root + "/" + MANIFEST))
            # A process that was killed between renaming and syncing left a name that a power cut could still take back.
            fs.fsync_dir(root)
        else:
            self._manifest = self._begin(topology)
        # What is not of the disks is said anew by each process.
        found = self._manifest.topology
        self.topology = replace(
            found,
            limits=topology.limits,
            log_as_state=topology.log_as_state,
            collection_bytes_max=topology.collection_bytes_max,
            timing=replace(found.timing, accepts_in_flight=topology.timing.accepts_in_flight),
        )

    def _begin(self, topology: Topology) -> Manifest:
        make_dir_durably(self._fs, self._root)
        manifest = Manifest(topology, {})
        for address in topology.storage:
            manifest.incarnations[address] = FIRST_INCARNATION
            directory = self._directory(address, FIRST_INCARNATION)
            if holds_records(self._fs, directory):
                raise StoreError(
                    f"{self._root} holds logs but no {MANIFEST}: it was lost, and without it promises could be broken."
                    " Restore it, or use another directory."
                )
            create_log(self._fs, directory)
        write_atomically(self._fs, self._root + "/" + MANIFEST, manifest.to_json())
        return manifest

    def open(self, address: Address) -> tuple[NodeDisk, list[Record], int]:
        if address in self.topology.routers:
            incarnation = self._raise_incarnation(address)
            return MemoryDisk([]), [], incarnation
        incarnation = self._manifest.incarnations.get(address, FIRST_INCARNATION)
        directory = self._directory(address, incarnation)
        if not log_exists(self._fs, directory):
            self.lost.append(f"{address}: its directory {directory} is gone")
            self.wipe(address)
        else:
            try:
                opened = open_log(self._fs, directory, segment_bytes_max=self._segment_bytes_max)
                return (
                    FileDisk(opened.log, self._memory, self._fs.syncs),
                    [codec.decode(payload) for payload in opened.payloads],
                    incarnation,
                )
            except (DamagedLog, codec.CodecError) as error:
                self.lost.append(f"{address}: {error}")
                self.wipe(address)
        incarnation = self._manifest.incarnations[address]
        fresh = open_log(self._fs, self._directory(address, incarnation), segment_bytes_max=self._segment_bytes_max)
        return FileDisk(fresh.log, self._memory, self._fs.syncs), [], incarnation

    def wipe(self, address: Address) -> None:
        before = self._manifest.incarnations.get(address, FIRST_INCARNATION)
        # A crash may have left the next directories behind, unnamed by the manifest and never run: step over them.
        after = before + 1
        while log_exists(self._fs, self._directory(address, after)):
            after += 1
        create_log(self._fs, self._directory(address, after))
        self._manifest.incarnations[address] = after
        self._save()

    def _raise_incarnation(self, address: Address) -> int:
        number = self._manifest.incarnations.get(address, FIRST_INCARNATION - 1) + 1
        self._manifest.incarnations[address] = number
        self._save()
        return number

    def _save(self) -> None:
        write_atomically(self._fs, self._root + "/" + MANIFEST, self._manifest.to_json())

    def _directory(self, address: Address, incarnation: int) -> str:
        return f"{self._root}/{address.zone}-{address.node}.{incarnation}"


def records_of(store: Store, address: Address) -> Iterator[Record]:
    """What a node would find on its disk if it started now; for tests and for looking. The node must be down."""
    disk, records, _ = store.open(address)
    disk.close()
    return iter(records)
