"""The order of a register's versions, as far as the history shows it, and the edges that follow from it.

Rules of this room:
- Sources: the initial version comes first; a transaction's write follows what it read; a returned old value is the
  version just before; and, where the model promises it, the order within each process and real time, per key.
- Versions known to follow each other directly form a *block*, which nothing can come between. An old value says so by
  itself; a read before a write says so only under a model without lost updates (`contiguous`), and the edges that rest
  on it are therefore rw edges of the transaction that read and wrote, never ww.
- Blocks are ordered as zones (checking.md, "The near-linear method" §4): block u comes before block v if something that
  saw u had returned before something that saw v was called. Two chains of virtual nodes in the order of time hold that
  relation in linear size without leading a block to itself: in one chain zones that end before they begin are entered
  at their end, in the other they are left at their beginning.
- An order that needs processes or real time carries their stage, and so does every cycle that uses it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from dynalab_checkers.isolation.graph import ITEM, LINK, PROCESS, REALTIME, RW, WR, WW, Fan
from dynalab_checkers.isolation.register import INITIAL, NO_VERSION, Access, Registers, Versions
from dynalab_checkers.words import show

NEVER = 1 << 200  # later than every time
ALWAYS = -NEVER


@dataclass(frozen=True, slots=True)
class KeyOrder:
    """Which orders of time hold per key, and at which stage. `contiguous`: the model knows no lost update."""

    process: bool = False
    realtime: bool = False
    contiguous: bool = True
    # What the user promised about keys is no part of the model: cycles that need it get no suffix.
    promised: bool = False


@dataclass(slots=True)
class _Layout:
    """The blocks of one key."""

    readers: list[list[int]]
    following: list[list[int]]
    blocks: list[list[int]] = field(default_factory=list)
    derived: list[bool] = field(default_factory=list)
    exits: list[int] = field(default_factory=list)
    writes_key: set[int] = field(default_factory=set)


def add_register_edges(found: Registers, part: Sequence[int], order: KeyOrder) -> None:
    """Edges of all keys. `part`: which transactions take part in process and realtime order."""
    for versions in found.keys.values():
        _key_edges(found, versions, part, order)
    found.dependencies = found.graph.dependencies()


def _key_edges(found: Registers, versions: Versions, part: Sequence[int], order: KeyOrder) -> None:
    graph, writer = found.graph, versions.writer
    count = len(writer)
    layout = _Layout([[] for _ in range(count)], [[] for _ in range(count)])
    versions.before = [NO_VERSION] * count
    observed = [False] * count
    for access in versions.accesses:
        if access.write >= 0:
            layout.writes_key.add(access.transaction)
        if access.read >= 0 and access.read != access.write:
            layout.readers[access.read].append(access.transaction)
            if access.read > INITIAL:
                graph.add(writer[access.read], access.transaction, WR)
        if access.write >= 0:
            before = access.replaced if access.replaced >= 0 else access.read
            if before >= 0 and before != access.write:
                versions.before[access.write] = before
                observed[access.write] = access.replaced >= 0
                layout.following[before].append(access.write)
    _direct_edges(found, versions, layout)
    _repeated_bases(found, versions, layout, observed)
    _make_blocks(found, versions, layout, observed, order.contiguous)
    if len(layout.blocks) > 1:
        _block_edges(found, versions, layout, part, order)


def _direct_edges(found: Registers, versions: Versions, layout: _Layout) -> None:
    """ww and rw edges between a version and those that are known to follow it."""
    for version, following in enumerate(layout.following):
        if not following:
            continue
        fan = Fan(found.graph, [versions.writer[later] for later in following])
        if version > INITIAL:
            fan.reach(versions.writer[version], WW)
        for reader in layout.readers[version]:
            fan.reach(reader, RW)


def _repeated_bases(found: Registers, versions: Versions, layout: _Layout, observed: Sequence[bool]) -> None:
    """Several transactions that changed the same version: an update is lost, or one version was replaced twice."""
    key = versions.key
    for version, following in enumerate(layout.following):
        if len(following) < 2:
            continue
        readers = set(layout.readers[version])
        losers = [versions.writer[later] for later in following if versions.writer[later] in readers]
        if len(losers) > 1:
            found.sightings.add(
                "lost-update",
                key,
                tuple(losers),
                f"{len(losers)} transactions read {show(key)} = {show(versions.value[version])} and then wrote it",
            )
        twice = [versions.writer[later] for later in following if observed[later]]
        if len(twice) > 1:
            found.sightings.add(
                "incompatible-order",
                key,
                tuple(twice),
                f"{len(twice)} transactions replaced the same {show(versions.value[version])} of {show(key)}",
            )


def _make_blocks(
    found: Registers, versions: Versions, layout: _Layout, observed: Sequence[bool], contiguous: bool
) -> None:
    """Chains of versions that follow each other directly. The first block begins with the initial version."""
    count = len(versions.writer)
    after = [NO_VERSION] * count
    root = [True] * count
    for version, following in enumerate(layout.following):
        candidates = [later for later in following if observed[later]] or (following if contiguous else [])
        if candidates and candidates[0] != INITIAL:
            after[version] = candidates[0]
            root[candidates[0]] = False
    versions.block = [NO_VERSION] * count
    versions.place = [0] * count

    def walk(start: int) -> None:
        chain: list[int] = []
        version = start
        while version >= 0 and versions.block[version] < 0:
            versions.block[version] = len(layout.blocks)
            versions.place[version] = len(chain)
            chain.append(version)
            version = after[version]
        layout.blocks.append(chain)
        layout.derived.append(any(not observed[version] for version in chain[1:]))

    committed, writer = found.committed, versions.writer
    for version in range(count):
        if root[version] and (version == INITIAL or committed[writer[version]]):
            walk(version)
    for version in range(1, count):
        if versions.block[version] < 0 and committed[writer[version]]:
            # No beginning: every version here follows another one of them.
            members = [version]
            while (later := after[members[-1]]) != version and later >= 0:
                members.append(later)
            found.sightings.add(
                "cyclic-versions",
                versions.key,
                tuple(writer[member] for member in members),
                f"the versions of {show(versions.key)} follow each other in a circle: "
                + " < ".join(show(versions.value[member]) for member in [*members, version]),
            )
            walk(version)


def _block_edges(found: Registers, versions: Versions, layout: _Layout, part: Sequence[int], order: KeyOrder) -> None:
    """Edges from the end of a block to the beginning of every block that must come after it."""
    graph, writer = found.graph, versions.writer
    heads = [writer[chain[0]] for chain in layout.blocks]  # the first has none: nobody wrote the initial version
    for number, chain in enumerate(layout.blocks):
        last = chain[-1]
        node = graph.virtual()
        layout.exits.append(node)
        if last > INITIAL:
            graph.add(writer[last], node, RW if layout.derived[number] else WW)
        for reader in layout.readers[last]:
            if reader not in layout.writes_key:  # those have their edges already, and must not come to themselves
                graph.add(reader, node, RW)
    for head in heads[1:]:
        graph.add(layout.exits[0], head, LINK)
    if order.process:
        _process_edges(found, versions, layout, heads, part, ITEM if order.promised else PROCESS)
    if order.realtime:
        _zone_edges(found, versions, layout, heads, part, ITEM if order.promised else REALTIME)


def _first(access: Access) -> int:
    return access.read if access.read >= 0 else access.write


def _last(access: Access) -> int:
    return access.write if access.write >= 0 else access.read


def _process_edges(
    found: Registers,
    versions: Versions,
    layout: _Layout,
    heads: Sequence[int],
    part: Sequence[int],
    stage: int,
) -> None:
    """What a process saw of a key earlier comes before what it sees later."""
    operations = found.transactions.operations
    last_block: dict[int, int] = {}
    for access in sorted(versions.accesses, key=lambda access: access.transaction):
        if not part[access.transaction]:
            continue
        process = operations[access.transaction].process
        first, last = _first(access), _last(access)
        if first >= 0:
            block = versions.block[first]
            before = last_block.get(process, block)
            if before != block and block > 0:
                found.graph.add(layout.exits[before], heads[block], LINK, stage)
        if last >= 0:
            last_block[process] = versions.block[last]


def _zone_edges(
    found: Registers,
    versions: Versions,
    layout: _Layout,
    heads: Sequence[int],
    part: Sequence[int],
    stage: int,
) -> None:
    """Real time between blocks, in linear size."""
    operations = found.transactions.operations
    count = len(layout.blocks)
    ends = [NEVER] * count  # the smallest return of what saw the block, or came after it
    begins = [ALWAYS] * count  # the largest call of what saw the block, or came before it
    for access in versions.accesses:
        if not part[access.transaction]:
            continue
        operation = operations[access.transaction]
        first, last = _first(access), _last(access)
        if last >= 0 and operation.ret is not None:
            block = versions.block[last]
            ends[block] = min(ends[block], operation.ret)
        if first >= 0:
            block = versions.block[first]
            begins[block] = max(begins[block], operation.call)
    graph, exits = found.graph, layout.exits
    numbers = range(1, count)  # the initial block comes first anyway
    forward = sorted((block for block in numbers if ends[block] < begins[block]), key=lambda block: ends[block])
    _chain(
        found, [(min(ends[b], begins[b]), b) for b in numbers], [(ends[b], b) for b in numbers], layout, heads, stage
    )
    if not forward:
        return
    _chain(
        found, [(begins[b], b) for b in numbers], [(max(ends[b], begins[b]), b) for b in numbers], layout, heads, stage
    )
    # Two such zones that overlap must each precede the other, which the chains alone can miss.
    widest = forward[0]
    for block in forward[1:]:
        if ends[block] < begins[widest]:
            graph.add(exits[widest], heads[block], LINK, stage)
            graph.add(exits[block], heads[widest], LINK, stage)
        if begins[block] > begins[widest]:
            widest = block


def _chain(
    found: Registers,
    entries: list[tuple[int, int]],
    leaves: Sequence[tuple[int, int]],
    layout: _Layout,
    heads: Sequence[int],
    stage: int,
) -> None:
    """Virtual nodes in the order of entry; whatever left before an entry leads to it and to all later ones."""
    graph = found.graph
    entries = sorted(entry for entry in entries if entry[0] > ALWAYS)
    nodes: list[int] = []
    for _, block in entries:
        node = graph.virtual()
        if nodes:
            graph.add(nodes[-1], node, LINK, stage)
        graph.add(node, heads[block], LINK, stage)
        nodes.append(node)
    times = [time for time, _ in entries]
    for time, block in leaves:
        place = bisect_right(times, time)
        if place < len(nodes):
            graph.add(layout.exits[block], nodes[place], LINK, stage)


def because(found: Registers, source: int, target: int, kind: int, one: str, other: str) -> str:
    """The reason of an edge between two transactions, in words."""
    theirs, mine = found.touched[source], found.touched[target]
    reasons: list[tuple[int, str]] = []
    for key, access in mine.items():
        own = theirs.get(key)
        if own is None:
            continue
        versions = found.keys[key]
        value = versions.value
        if kind == WR:
            if access.read == own.write >= 0:
                reasons.append((0, f"{one} wrote {key} = {show(value[access.read])}, which was read by {other}"))
            continue
        if access.write < 0:
            continue
        base = own.write if kind == WW else own.read
        if kind == RW and base < 0:
            base = own.write
        if base < 0 or base == access.write:
            continue
        verb = "wrote" if base == own.write else "read"
        new = show(value[access.write])
        if versions.before[access.write] == base:
            reasons.append((0, f"{one} {verb} {key} = {show(value[base])}, which {other} replaced by {new}"))
        elif (
            versions.block[base] == versions.block[access.write] and versions.place[base] > versions.place[access.write]
        ):
            continue
        else:
            reasons.append((1, f"{one} {verb} {key} = {show(value[base])}, which came before {other}'s {key} = {new}"))
    return min(reasons)[1] if reasons else f"{one} came before {other} in the order of versions"
