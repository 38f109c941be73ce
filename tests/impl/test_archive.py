"""The archive: every committed entry of a table is there, in order, without a hole, and a state made from it is the
state of the live replicas.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dynalab_fault_injection.simulator import CERTAIN
from dynalab_impl.archive import FILE_ENTRIES
from dynalab_impl.messages import NO_REQUEST, Entry, Write
from dynalab_impl.objects import (
    ArchiveError,
    Manifest,
    file_name,
    make_file,
    manifest_bytes,
    manifest_name,
    read_file,
    read_manifest,
)
from dynalab_impl.partition import Partition
from dynalab_impl.plain import fingerprint
from dynalab_impl.rebuilding import rebuild

SECOND = 1_000_000_000


def archived_lab(make_lab: Callable[..., Any], **shape: Any) -> Any:
    lab = make_lab(nodes_per_zone=1, routers=1, archive=True, **{"partitions": 2, "log_records_max": 60, **shape})
    lab.create()
    return lab


def fill(lab: Any, count: int, keys: int = 40) -> None:
    for i in range(count):
        lab.put(f"k{i % keys}", i)


def replicas(lab: Any) -> list[tuple[int, Any]]:
    """(machine, replica) of every replica of the table that is there."""
    return [
        (index, replica)
        for index in range(lab.simulation.storage_count)
        for replica in getattr(lab.simulation.hosts[index].node, "replicas", {}).values()
        if replica.spec.table == "things"
    ]


def assert_archive_is_what_the_replicas_hold(lab: Any) -> int:
    """Gives the number of slots that were compared."""
    objects = lab.simulation.objects.objects
    compared = 0
    bases: dict[str, list[int]] = {}
    for _, replica in replicas(lab):
        group = replica.spec.group
        manifest = read_manifest(group, objects[manifest_name(group)])
        state = rebuild(objects.get, replica.spec, lab.topology.timing.dedup_ns)
        assert state.applied == manifest.last <= replica.commit_index
        bases.setdefault(group, []).append(replica.log.base - manifest.last)
        if replica.log.base > manifest.last:
            continue  # it was away, and came back by a snapshot: others have what lies before
        for entry in replica.log.after(manifest.last, replica.commit_index - manifest.last):
            state.apply(entry)
        mine = replica.state
        assert [fingerprint(part, 0) for part in state.view()] == [fingerprint(part, 0) for part in mine.view()]
        compared += manifest.last - manifest.origin
    assert all(min(ahead) <= 0 for ahead in bases.values()), "somebody has everything that is not archived"
    return compared


def test_what_was_written_is_archived_checked_by_all_replicas_and_makes_the_same_state(
    make_lab: Callable[..., Any],
) -> None:
    lab = archived_lab(make_lab)
    for _ in range(20):
        fill(lab, 30)
        lab.run(2 * SECOND)
    lab.run(20 * SECOND)
    assert assert_archive_is_what_the_replicas_hold(lab) >= 3 * 600
    kinds = lab.kinds()
    assert kinds.count("archived") >= 600 // FILE_ENTRIES and kinds.count("archive-checked") >= 2
    assert "archive-damaged" not in kinds
    assert sum(host.dropped for host in lab.simulation.hosts) > 50, "logs are let go of once they are archived"


def test_what_is_not_archived_is_let_go_of_neither_in_memory_nor_on_disk(make_lab: Callable[..., Any]) -> None:
    lab = archived_lab(make_lab)
    lab.simulation.objects.chance = CERTAIN  # the store is away
    fill(lab, 400)
    lab.run(5 * SECOND)
    assert all(replica.log.base == 0 for _, replica in replicas(lab))
    assert lab.put("k1", "goes on").status == 200, "the archive may be away without harm to the data plane"
    for index in range(3):  # every machine loses its memory before anything was archived
        lab.simulation.crash(index)
    for index in range(3):
        lab.simulation.restart(index)
    lab.run(8 * SECOND)
    lab.simulation.objects.chance = 0
    fill(lab, 20)
    lab.run(30 * SECOND)
    assert assert_archive_is_what_the_replicas_hold(lab) >= 3 * 400
    assert any(replica.log.base > 0 for _, replica in replicas(lab))


@pytest.mark.parametrize("seed", range(3))
def test_leaders_that_die_and_a_store_that_fails_leave_no_hole(make_lab: Callable[..., Any], seed: int) -> None:
    lab = archived_lab(make_lab, seed=seed + 1)
    lab.simulation.objects.chance = CERTAIN // 3
    for turn in range(6):
        fill(lab, 60)
        victim, _ = lab.leader(f"k{turn}")
        lab.simulation.crash(victim)
        lab.run(6 * SECOND)
        lab.simulation.restart(victim)
        lab.run(3 * SECOND)
    lab.simulation.objects.chance = 0
    fill(lab, 10)
    lab.run(40 * SECOND)
    assert assert_archive_is_what_the_replicas_hold(lab) > 600
    assert "archive-damaged" not in lab.kinds()


def test_a_replica_that_differs_from_the_archive_says_so_and_archives_nothing_more(
    make_lab: Callable[..., Any],
) -> None:
    lab = archived_lab(make_lab, partitions=1)
    fill(lab, 200)
    objects = lab.simulation.objects.objects
    while "archived" not in lab.kinds():
        lab.run(SECOND // 100)
    (_, replica), *_ = replicas(lab)
    group = replica.spec.group
    manifest = read_manifest(group, objects[manifest_name(group)])
    first = manifest.files[0]
    # Somebody puts another history there, with right checksums.
    entries = list(read_file(group, first, objects[file_name(group, first)]))
    at = next(at for at, entry in enumerate(entries) if isinstance(entry.command, Write))
    old = entries[at]
    entries[at] = Entry(old.ballot, old.slot, old.time_ns, old.request, old.expiry_ns, Write(b"another", None, {}))
    forged, data = make_file(group, tuple(entries))
    objects[file_name(group, forged)] = data
    objects[manifest_name(group)] = manifest_bytes(Manifest(group, 0, (forged, *manifest.files[1:])))
    lab.run(30 * SECOND)
    damaged = [(who, event) for _, who, event in lab.told if event.kind == "archive-damaged"]
    assert damaged and "differs from this replica's" in damaged[0][1].detail
    stopped = read_manifest(group, objects[manifest_name(group)])
    assert stopped.stopped
    fill(lab, 400)
    lab.run(20 * SECOND)
    assert read_manifest(group, objects[manifest_name(group)]) == stopped
    assert len({who for who, _ in damaged} | {who for _, who, e in lab.told if e.kind == "archive-stopped"}) == 3


def test_after_a_split_the_children_are_rebuilt_from_the_archive_of_their_parent_and_their_own(
    make_lab: Callable[..., Any],
) -> None:
    lab = archived_lab(make_lab, partitions=1)
    fill(lab, 200)
    index, group = lab.leader("k0")
    from dynalab_impl.messages import SplitNow

    lab.simulation.network.transmit(index, index, SplitNow(group), lab.simulation.now)
    lab.run(3 * SECOND)
    fill(lab, 100)
    lab.run(60 * SECOND)
    groups = {replica.spec.group for _, replica in replicas(lab)}
    assert {f"{group}.0", f"{group}.1"} <= groups
    objects = lab.simulation.objects.objects
    for _, replica in replicas(lab):
        if replica.spec.origin:
            state = rebuild(objects.get, replica.spec, lab.topology.timing.dedup_ns)
            assert state.applied == replica.commit_index
            assert {k: v.item for k, v in state.items.items()} == {k: v.item for k, v in replica.state.items.items()}


ENTRIES = tuple(
    Entry((1, "n"), slot, 100 + slot, NO_REQUEST, 0, Write(b"k%d" % slot, {"pk": {"S": str(slot)}}, {}))
    for slot in range(1, 31)
)


def test_a_file_or_manifest_with_any_flipped_byte_of_another_group_or_with_a_hole_is_refused() -> None:
    first, data = make_file("t/1.0", ENTRIES[:10])
    second, _ = make_file("t/1.0", ENTRIES[10:20])
    third, _ = make_file("t/1.0", ENTRIES[20:])
    assert read_file("t/1.0", first, data) == ENTRIES[:10]
    for at in range(len(data)):
        with pytest.raises(ArchiveError):
            read_file("t/1.0", first, data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
    with pytest.raises(ArchiveError):
        read_file("t/1.1", first, data)
    with pytest.raises(ArchiveError, match="hole"):
        make_file("t/1.0", (ENTRIES[0], ENTRIES[2]))
    whole = manifest_bytes(Manifest("t/1.0", 0, (first, second, third)))
    assert read_manifest("t/1.0", whole).last == 30
    for at in range(len(whole)):
        with pytest.raises(ArchiveError):
            read_manifest("t/1.0", whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
    with pytest.raises(ArchiveError):
        read_manifest("t/1.1", whole)
    for files in ((first, third), (second, third)):
        with pytest.raises(ArchiveError, match="hole"):
            manifest_bytes(Manifest("t/1.0", 0, files))


def test_a_state_is_rebuilt_up_to_any_slot() -> None:
    objects: dict[str, bytes] = {}
    files = []
    for start in (0, 10, 20):
        file, objects_data = make_file("t/1.0", ENTRIES[start : start + 10])
        files.append(file)
        objects[file_name("t/1.0", file)] = objects_data
    objects[manifest_name("t/1.0")] = manifest_bytes(Manifest("t/1.0", 0, tuple(files)))
    from dynalab_impl.messages import GroupSpec

    spec = GroupSpec("t/1.0", "t", "", b"", b"", (), None)
    for through in (0, 1, 9, 10, 11, 30):
        state: Partition = rebuild(objects.get, spec, SECOND, through)
        assert state.applied == through and len(state.items) == through
    del objects[file_name("t/1.0", files[1])]
    with pytest.raises(ArchiveError, match="slot 11 on is missing"):
        rebuild(objects.get, spec, SECOND)
