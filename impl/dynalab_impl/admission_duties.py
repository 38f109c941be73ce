"""What a storage node does for admission besides asking its buckets: it learns what tables may use, and how much the
other members of its groups have left.

These functions work on a `StorageNode` whose topology sets limits, kept in a room of their own. Both kinds of news come
once a tick and may be lost: a node goes on with what it knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from dynalab_impl import messages as m
from dynalab_impl.admission import READ, WRITE, Admission
from dynalab_impl.catalog import Catalog
from dynalab_impl.catalog_duties import serving_catalog
from dynalab_impl.effects import NOTHING, Address, Effects
from dynalab_impl.jsons import as_json
from dynalab_impl.metadata import Allowance, Allowances, AskAllowances, Spare
from dynalab_impl.replication.replica import Replica
from dynalab_impl.table_entry import Table
from dynalab_model import throughput
from dynalab_model.events import Event

if TYPE_CHECKING:
    from dynalab_impl.storage_node import StorageNode


def refused(
    node: StorageNode, sender: Address, replica: Replica, number: int, effects: Effects, *, leads: bool = True
) -> bool:
    """Whether a read of this replica is over a limit; the sender is told."""
    admission = node.admission
    if admission is None:
        return False
    error = admission.refusal(replica.spec, READ, leads, [], effects.now_ns)
    if error is None:
        return False
    effects.tell(Event("throttled", replica.spec.group, detail=READ))
    effects.send(sender, m.Answer(number, error.status, as_json(error.body()), error.code), NOTHING)
    return True


def index_limit(node: StorageNode, replica: Replica, effects: Effects) -> str:
    """Which limit an index partition is over, so that it takes no change now; "" for none."""
    admission = node.admission
    if admission is None:
        return ""
    others = [member.address for member in replica.members if member.address != node.address]
    limit = admission.limit(replica.spec, WRITE, True, others, effects.now_ns)
    if limit:
        effects.tell(Event("index-throttled", replica.spec.group))
    return limit


def write_refused(
    node: StorageNode, sender: Address, replica: Replica, message: m.WriteRequest, effects: Effects
) -> bool:
    """Whether a write is over a limit; the sender is told, and no copy of this attempt will be taken."""
    admission = node.admission
    if admission is None:
        return False
    others = [member.address for member in replica.members if member.address != node.address]
    error = admission.refusal(replica.spec, WRITE, True, others, effects.now_ns)
    if error is None:
        return False
    effects.tell(Event("throttled", replica.spec.group, detail=WRITE))
    turn_away(admission, message)
    effects.send(sender, m.Answer(message.number, error.status, as_json(error.body()), error.code), NOTHING)
    return True


def turn_away(admission: Admission, message: m.WriteRequest) -> None:
    """This attempt of a write is not taken, nor will any copy of it be."""
    admission.turned_away[message.request[0], message.number] = message.expiry_ns


def is_late(
    node: StorageNode, sender: Address, admission: Admission, message: m.WriteRequest, effects: Effects
) -> bool:
    """Whether this may be a copy of an attempt that was turned away: one that is remembered, or one from before this
    process began. It is turned away again. A node that cannot remember one more says nothing at all.
    """
    if not admission.can_remember(effects.wall_ns):
        return True
    attempt = (message.request[0], message.number)
    issued_wall_ns = message.expiry_ns - node.topology.timing.dedup_ns
    if not admission.was_turned_away(attempt, issued_wall_ns):
        return False
    effects.send(sender, m.Redirect(message.number, message.group, None), NOTHING)
    return True


def tick(node: StorageNode, effects: Effects) -> None:
    """Once a tick: ask for the allowances of the tables hosted here, and tell the leaders of their groups what is left.

    Catalog members that do not lead say nothing, so the next one is asked the next time.
    """
    admission = node.admission
    if admission is None:
        return
    tables: dict[str, bool] = {}
    leaders: dict[Address, bool] = {}
    for replica in node.replicas.values():
        if replica.spec.table:
            tables[replica.spec.table] = True
            if replica.leader is not None and replica.leader != node.address:
                leaders[replica.leader] = True
    if tables:
        members = node.topology.catalog_members()
        admission.asked += 1
        effects.send(members[admission.asked % len(members)], AskAllowances(tuple(tables)), NOTHING)
    left = admission.left(effects.now_ns)
    for address in leaders:
        effects.send(address, Spare(left), NOTHING)


def on_ask_allowances(node: StorageNode, sender: Address, message: AskAllowances, effects: Effects) -> None:
    replica = serving_catalog(node, effects)
    if replica is None:
        return
    catalog = replica.state
    assert isinstance(catalog, Catalog)
    known: list[Allowance] = []
    for name in message.tables:
        table = catalog.tables.get(name)
        if table is not None:
            known += allowances(name, table)
    effects.send(sender, Allowances(tuple(known)), NOTHING)


def allowances(name: str, table: Table) -> list[Allowance]:
    """What a table and each of its indexes may use, from its settings: what was bought, or ceilings on demand."""
    bought = {"": cast("Mapping[str, int]", table.settings.get("ProvisionedThroughput") or {})}
    by_index = cast("Mapping[str, Mapping[str, int]]", table.settings.get("IndexThroughput") or {})
    bought |= {index.name: by_index.get(index.name, {}) for index in table.schema.indexes}
    out: list[Allowance] = []
    for index, units in bought.items():
        read, write = units.get("ReadCapacityUnits", 0), units.get("WriteCapacityUnits", 0)
        partitions = sum(1 for spec in table.groups if spec.index == index)
        ceilings = throughput.ceilings(table.settings, index)
        read_max, write_max = ceilings.get("MaxReadRequestUnits", 0), ceilings.get("MaxWriteRequestUnits", 0)
        out.append(Allowance(name, index, read, write, partitions, read_max, write_max))
    return out


def on_allowances(node: StorageNode, sender: Address, message: Allowances, effects: Effects) -> None:
    if node.admission is not None:
        node.admission.learn(message.known, effects.now_ns)


def on_spare(node: StorageNode, sender: Address, message: Spare, effects: Effects) -> None:
    if node.admission is not None:
        node.admission.spare[sender] = message.parts
