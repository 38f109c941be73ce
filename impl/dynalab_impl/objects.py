"""What lies in the object store: the entries of a group's log in files, and a manifest that says which files there are.

A file is one frame of the log's own format (`storage.wal`): its checksum knows the group, its number is its first slot.
So a file of another group, or of another place in this one, is none, though every byte of it is right. The manifest
names the files in slot order without a gap, and holds the tag of each. Everything is checked when it is read and, by
the same functions, before it is put.
"""

from __future__ import annotations

from dataclasses import dataclass

from dynalab_impl.codec import CodecError, decode, encode, register
from dynalab_impl.effects import Nanoseconds, Record, object_tag
from dynalab_impl.messages import NO_BALLOT, Entry
from dynalab_impl.records import AcceptedEntries
from dynalab_impl.storage import wal


class ArchiveError(Exception):
    """An object is not what it should be; the text says how."""


@dataclass(slots=True)
class ArchivedFile:
    """A file of the archive: the slots and log times in it, and the tag of its bytes."""

    first: int
    last: int
    first_time_ns: Nanoseconds
    last_time_ns: Nanoseconds
    size_bytes: int
    tag: str


@dataclass(slots=True)
class Manifest(Record):
    """The archive of a group, behind the slot `origin` where its parent (or, without one, nothing) ended."""

    group: str
    origin: int
    files: tuple[ArchivedFile, ...]
    stopped: bool = False  # a replica found that its own log differs: nothing is added until somebody has looked

    @property
    def last(self) -> int:
        """The last slot that is archived."""
        return self.files[-1].last if self.files else self.origin


register(ArchivedFile, Manifest)


def manifest_name(group: str) -> str:
    return f"archive/{group}/manifest"


def file_name(group: str, file: ArchivedFile) -> str:
    """Named after its content, too: of two replicas that cut their files differently neither overwrites the other's."""
    return f"archive/{group}/{file.first:012d}-{file.tag}"


def parent_of(group: str) -> str:
    """The group that was split into this one and another.

    >>> parent_of("orders/4.1.0")
    'orders/4.1'
    """
    return group.rpartition(".")[0]


def make_file(group: str, entries: tuple[Entry, ...]) -> tuple[ArchivedFile, bytes]:
    """Entries in slot order as a file, checked as if it had been read."""
    first, last = entries[0], entries[-1]
    data = wal.frame(encode(AcceptedEntries(group, NO_BALLOT, first.slot, entries)), first.slot, group)
    file = ArchivedFile(first.slot, last.slot, first.time_ns, last.time_ns, len(data), object_tag(data))
    read_file(group, file, data)
    return file, data


def read_file(group: str, file: ArchivedFile, data: bytes) -> tuple[Entry, ...]:
    """The entries of a file. Raises ArchiveError unless they are those that the manifest speaks of."""
    if len(data) != file.size_bytes or object_tag(data) != file.tag:
        raise ArchiveError(f"{group}: the file from slot {file.first} on is not the one of the manifest")
    found = wal.recover(data, group, file.first, file.first)
    if found.damaged or found.torn or len(found.payloads) != 1:
        raise ArchiveError(f"{group}: the file from slot {file.first} on cannot be read")
    record = _decoded(group, found.payloads[0])
    if not isinstance(record, AcceptedEntries) or record.group != group:
        raise ArchiveError(f"{group}: the file from slot {file.first} on holds something else")
    slots = [entry.slot for entry in record.entries]
    if slots != list(range(file.first, file.last + 1)):
        raise ArchiveError(f"{group}: the file from slot {file.first} on has a hole")
    times = [entry.time_ns for entry in record.entries]
    if times != sorted(times) or (times[0], times[-1]) != (file.first_time_ns, file.last_time_ns):
        raise ArchiveError(f"{group}: the times in the file from slot {file.first} on are not those of a log")
    return record.entries


def manifest_bytes(manifest: Manifest) -> bytes:
    """The manifest as an object, checked as if it had been read."""
    data = wal.frame(encode(manifest), 1, manifest.group)
    read_manifest(manifest.group, data)
    return data


def read_manifest(group: str, data: bytes) -> Manifest:
    """Raises ArchiveError unless this is a manifest of the group whose files follow each other without a hole."""
    found = wal.recover(data, group, synced=1)
    manifest = None if found.damaged or found.torn else _decoded(group, found.payloads[0])
    if not isinstance(manifest, Manifest) or manifest.group != group:
        raise ArchiveError(f"{group}: the manifest cannot be read")
    last = manifest.origin
    for file in manifest.files:
        if file.first != last + 1 or file.last < file.first:
            raise ArchiveError(f"{group}: the archive has a hole behind slot {last}")
        last = file.last
    return manifest


def same(mine: Entry, other: Entry) -> bool:
    """Whether two replicas hold the same entry. A later leader proposes an entry again under its own ballot: that part
    of the header may differ.
    """
    return (mine.slot, mine.time_ns, mine.request, mine.expiry_ns, mine.command) == (
        other.slot,
        other.time_ns,
        other.request,
        other.expiry_ns,
        other.command,
    )


def _decoded(group: str, payload: bytes) -> object:
    try:
        value: object = decode(payload)
    except CodecError as error:
        raise ArchiveError(f"{group}: {error}") from error
    return value
