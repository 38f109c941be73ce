"""Power cuts and kills at every call of a scripted history: what was acknowledged is there, and every sync is
needed.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TypeAlias

import pytest

from dynalab.drivers.disk import FileSystem
from dynalab.drivers.log_files import FIRST_SEGMENT, DamagedLog, open_log, segment_name
from dynalab.drivers.power_loss import PowerCut, PowerLossFileSystem
from dynalab.drivers.store import FileStore, NodeDisk, StoreError
from dynalab.drivers.synced_mark import MARK
from dynalab_impl.effects import Address, Record, layout
from dynalab_impl.records import Promised

TOPOLOGY = layout(nodes_per_zone=1, routers=1)
FIRST, SECOND, THIRD = TOPOLOGY.storage
(ROUTER,) = TOPOLOGY.routers
SEGMENT_BYTES = 120  # two or three batches


@dataclass(slots=True)
class Told:
    """What the outside world was promised so far, and what it may find besides."""

    safe: dict[Address, list[Record]] = field(default_factory=dict)  # synced: must be found
    staged: dict[Address, list[Record]] = field(default_factory=dict)  # may be found, in order, behind the safe ones
    let_go: dict[Address, int] = field(default_factory=dict)  # so many of the safe ones need not be found
    incarnations: dict[Address, int] = field(default_factory=dict)
    wiping: Address | None = None


def boot(fs: FileSystem, told: Told, *, router: bool = True) -> tuple[FileStore, dict[Address, NodeDisk]]:
    """Start every node and check what it finds against what was told; from then on what it found counts as told."""
    store = FileStore(fs, "lab/data", TOPOLOGY, segment_bytes_max=SEGMENT_BYTES)
    disks: dict[Address, NodeDisk] = {}
    for address in TOPOLOGY.storage:
        disk, found, incarnation = store.open(address)
        before = told.incarnations.get(address, incarnation)
        if told.wiping == address and incarnation == before + 1:
            told.safe[address], told.staged[address], told.let_go[address] = [], [], 0
        else:
            assert incarnation == before, f"{address} took its disk for a new one"
        safe, staged = told.safe.get(address, []), told.staged.get(address, [])
        dropped = safe.index(found[0]) if found and found[0] in safe else 0
        assert dropped <= told.let_go.get(address, 0), f"{address} lost the beginning of what was acknowledged"
        safe = safe[dropped:]
        assert found[: len(safe)] == safe, f"{address} lost what was acknowledged"
        assert found == [*safe, *staged][: len(found)], f"{address} found what was never written"
        disks[address] = disk
        told.safe[address], told.staged[address], told.let_go[address] = found, [], 0
        told.incarnations[address] = incarnation
    told.wiping = None
    if not router:
        return store, disks
    _, _, incarnation = store.open(ROUTER)
    assert incarnation > told.incarnations.get(ROUTER, 0), "a router came back under an old incarnation"
    told.incarnations[ROUTER] = incarnation
    return store, disks


def append(disk: NodeDisk, address: Address, told: Told, number: int) -> None:
    for part in range(2):
        record = Promised("g", (number * 10 + part, address.node))
        disk.append(record)
        told.staged[address].append(record)
    job = disk.take()
    assert (job is not None) == disk.waits
    if job is not None:
        job()
    told.safe[address] = told.safe[address] + told.staged[address]
    told.staged[address] = []


def let_go(disk: NodeDisk, address: Address, told: Told, kept: int) -> None:
    """Allow the disk to drop all but the last few records."""
    told.let_go[address] = len(told.safe[address]) - kept
    disk.truncate(told.let_go[address] + 1)


def history(fs: FileSystem, told: Told) -> None:
    """Two lives of a cluster, with several segments, truncations, a clean stop between them, and a lost disk."""
    store, disks = boot(fs, told)
    for number in range(5):
        append(disks[FIRST], FIRST, told, number)
    let_go(disks[FIRST], FIRST, told, kept=3)
    append(disks[FIRST], FIRST, told, 9)
    append(disks[SECOND], SECOND, told, 5)
    for disk in disks.values():
        disk.close()
    store, disks = boot(fs, told)
    let_go(disks[FIRST], FIRST, told, kept=1)
    append(disks[FIRST], FIRST, told, 6)
    disks[THIRD].close()
    told.wiping = THIRD
    store.wipe(THIRD)
    store, disks = boot(fs, told)
    append(disks[THIRD], THIRD, told, 7)


def second_life(fs: FileSystem, told: Told) -> None:
    # Without a router, whose start would sync the manifest's directory by the way.
    _, disks = boot(fs, told, router=False)
    for address in TOPOLOGY.storage:
        append(disks[address], address, told, 8)


def calls_of_history(deaf_to: tuple[str, ...] = ()) -> PowerLossFileSystem:
    fs = PowerLossFileSystem(deaf_to=deaf_to)
    history(fs, Told())
    return fs


def after_power_loss(fs: PowerLossFileSystem) -> PowerLossFileSystem:
    return fs.lose_power()


def after_power_loss_with_renames(fs: PowerLossFileSystem) -> PowerLossFileSystem:
    return fs.lose_power(renames_kept=True)


def after_power_loss_with_removals(fs: PowerLossFileSystem) -> PowerLossFileSystem:
    return fs.lose_power(removals_kept=True)


def after_power_loss_with_both(fs: PowerLossFileSystem) -> PowerLossFileSystem:
    return fs.lose_power(renames_kept=True, removals_kept=True)


def after_a_kill(fs: PowerLossFileSystem) -> PowerLossFileSystem:
    return fs.kill_process()


Ending: TypeAlias = Callable[[PowerLossFileSystem], PowerLossFileSystem]
POWER_LOSSES: list[Ending] = [
    after_power_loss_with_both,
    after_power_loss_with_renames,
    after_power_loss_with_removals,
    after_power_loss,
]
ENDINGS: list[Ending] = [after_a_kill, *POWER_LOSSES]


def cut_everywhere(ending: Ending, deaf_to: tuple[str, ...] = ()) -> int:
    """End the history at each call in turn; then live on, lose power for good, and look once more. Gives the number of
    cuts.
    """
    calls = calls_of_history().calls
    for cut in range(1, calls + 2):
        told = Told()
        fs = PowerLossFileSystem(cut_at=cut, deaf_to=deaf_to)
        try:
            history(fs, told)
            assert cut == calls + 1
        except PowerCut:
            assert cut <= calls
        fs = ending(fs).rig(deaf_to=deaf_to)
        second_life(fs, told)
        for last in (after_power_loss, after_power_loss_with_removals):
            boot(last(fs), deepcopy(told))
    return calls


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.__name__)
def test_what_was_acknowledged_survives_an_end_at_any_call(ending: Ending) -> None:
    assert cut_everywhere(ending) > 100


class Watched(PowerLossFileSystem):
    """Writes down what is put in place and what is removed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def rename(self, source: str, target: str) -> None:
        super().rename(source, target)
        self.seen.append(target.removeprefix("lab/data/"))

    def remove(self, path: str) -> None:
        super().remove(path)
        self.seen.append("no " + path.removeprefix("lab/data/"))


def test_the_history_truncates_twice_and_a_node_that_never_asks_keeps_everything() -> None:
    fs = Watched()
    history(fs, Told())
    assert [name for name in fs.seen if "manifest" not in name] == [
        f"z1-n1.1/{FIRST_SEGMENT}",
        f"no z1-n1.1/{segment_name(1)}",
        f"z1-n1.1/{FIRST_SEGMENT}",
        f"no z1-n1.1/{segment_name(2)}",
    ]
    assert fs.list_dir("lab/data/z2-n2.1") == [segment_name(1), MARK]


def sync_sites() -> list[str]:
    return sorted(calls_of_history().sync_sites)


def test_the_history_reaches_every_sync_of_the_drivers() -> None:
    from pathlib import Path

    import dynalab.drivers

    found = set()
    for file in Path(dynalab.drivers.__path__[0]).glob("*.py"):
        if file.name in ("disk.py", "log_files.py", "store.py", "synced_mark.py"):
            for number, line in enumerate(file.read_text().splitlines(), 1):
                code = line.partition("#")[0].strip()
                if (".fsync(" in code and not code.startswith("os.")) or ".fsync_dir(" in code:
                    found.add(f"{file.name}:{number}")
    assert set(sync_sites()) == found
    assert len(found) == 11


@pytest.mark.parametrize("site", sync_sites())
def test_without_this_sync_something_acknowledged_is_lost(site: str) -> None:
    with pytest.raises((AssertionError, StoreError, DamagedLog, FileNotFoundError, FileExistsError)):
        for ending in ENDINGS:
            cut_everywhere(ending, deaf_to=(site,))


def test_rot_inside_a_log_makes_the_node_a_learner_under_a_new_incarnation() -> None:
    fs, told = PowerLossFileSystem(), Told()
    _, disks = boot(fs, told)
    for number in range(5):
        append(disks[FIRST], FIRST, told, number)
    directory = "lab/data/z1-n1.1"
    assert len(fs.list_dir(directory)) > 1
    fs.damage(f"{directory}/segment-00000001.log", 20)
    with pytest.raises(DamagedLog, match="cannot be read"):
        open_log(fs, directory)
    store = FileStore(fs, "lab/data", TOPOLOGY)
    _, found, incarnation = store.open(FIRST)
    assert (found, incarnation) == ([], 2)
    assert "cannot be read" in store.lost[0]
    assert store.open(SECOND)[2] == 1


def test_a_torn_tail_is_cut_and_what_is_appended_behind_it_is_found() -> None:
    fs, told = PowerLossFileSystem(), Told()
    _, disks = boot(fs, told)
    append(disks[SECOND], SECOND, told, 1)
    torn = fs.open_append("lab/data/z2-n2.1/segment-00000001.log", create=False)
    torn.append(b"\x40\x00\x00\x00half a batch")
    torn.fsync()
    _, disks = boot(fs.lose_power(), told)
    append(disks[SECOND], SECOND, told, 2)
    assert len(told.safe[SECOND]) == 4
    opened = open_log(fs, "lab/data/z2-n2.1")
    assert opened.torn_bytes == 16


def test_a_lost_segment_in_the_middle_is_damage_and_not_a_shorter_log() -> None:
    fs, told = PowerLossFileSystem(), Told()
    _, disks = boot(fs, told)
    for number in range(8):
        append(disks[FIRST], FIRST, told, number)
    fs.remove("lab/data/z1-n1.1/segment-00000002.log")
    with pytest.raises(DamagedLog, match="one is missing"):
        open_log(fs, "lab/data/z1-n1.1")


def test_a_wiped_directory_comes_back_under_a_higher_incarnation_and_an_old_copy_is_not_believed() -> None:
    fs, told = PowerLossFileSystem(), Told()
    _, disks = boot(fs, told)
    append(disks[FIRST], FIRST, told, 1)
    old = fs.read("lab/data/z1-n1.1/segment-00000001.log")
    fs.lose_tree("lab/data/z1-n1.1")
    store = FileStore(fs, "lab/data", TOPOLOGY)
    assert store.open(FIRST)[1:] == ([], 2)
    # Somebody restores the directory of the first incarnation: it holds promises that the second one knows nothing of.
    fs.make_dir("lab/data/z1-n1.1")
    copy = fs.open_append("lab/data/z1-n1.1/segment-00000001.log", create=True)
    copy.append(old)
    assert FileStore(fs, "lab/data", TOPOLOGY).open(FIRST)[1:] == ([], 2)


def test_a_lost_manifest_is_not_replaced_while_logs_hold_promises() -> None:
    fs, told = PowerLossFileSystem(), Told()
    _, disks = boot(fs, told)
    append(disks[FIRST], FIRST, told, 1)
    fs.remove("lab/data/manifest.json")
    with pytest.raises(StoreError, match=r"manifest\.json"):
        FileStore(fs, "lab/data", TOPOLOGY)
