"""What a storage node does for the catalog: answer about tables while it leads the catalog's group, and register its
own disk.

These functions are methods of `StorageNode`, kept in a room of their own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

from dynalab_impl import messages as m
from dynalab_impl.catalog import CATALOG, Catalog
from dynalab_impl.catalog_changes import UNFIT, as_told, change_of, is_change
from dynalab_impl.effects import NOTHING, Address, Effects
from dynalab_impl.jsons import as_json
from dynalab_impl.ledger import EXPIRY, LEDGER
from dynalab_impl.ledger import SCHEMA as LEDGER_SCHEMA
from dynalab_impl.metadata import Find, Found
from dynalab_impl.replication.leadership import next_entry
from dynalab_impl.replication.leading import Waiter
from dynalab_impl.replication.replica import Replica
from dynalab_model.errors import DynamoError
from dynalab_model.events import Event
from dynalab_model.operations import CreateTable
from dynalab_model.tables import CREATING

SPLITS_AT_ONCE_MAX = 4  # divided partitions whose members do not all host the children yet

if TYPE_CHECKING:
    from dynalab_impl.storage_node import StorageNode


def serving_catalog(node: StorageNode, effects: Effects) -> Replica | None:
    replica = node.replicas.get(CATALOG)
    return replica if replica is not None and replica.may_serve(effects.now_ns) else None


def keep_catalog(node: StorageNode, effects: Effects) -> None:
    if node.keeper is not None:
        replica = serving_catalog(node, effects)
        if replica is not None:
            node.keeper.tick(replica, effects)
    catalog = node.replicas[CATALOG].state if CATALOG in node.replicas else None
    if isinstance(catalog, Catalog) and len(node.directory) > len(catalog.tables):
        node.directory.keep(catalog.tables)


def on_hosted(node: StorageNode, sender: Address, message: m.Hosted, effects: Effects) -> None:
    replica = serving_catalog(node, effects)
    if node.keeper is not None and replica is not None:
        node.keeper.on_hosted(sender, message.group)
        node.keeper.activate(message.group, replica, effects)


def on_dropped(node: StorageNode, sender: Address, message: m.Dropped, effects: Effects) -> None:
    if node.keeper is not None:
        node.keeper.on_dropped(sender, message.group)


def on_register(node: StorageNode, sender: Address, message: m.Register, effects: Effects) -> None:
    replica = serving_catalog(node, effects)
    if replica is None:
        return
    catalog = replica.state
    assert isinstance(catalog, Catalog)
    if catalog.nodes.get(sender) == message.member.incarnation:
        effects.send(sender, m.Registered(message.member.incarnation), NOTHING)
    elif replica.commit_index == len(replica.log):
        change = m.CatalogChange("register", member=message.member)
        replica.propose(change, m.NO_REQUEST, 0, effects)


def on_registered(node: StorageNode, sender: Address, message: m.Registered, effects: Effects) -> None:
    node.registered = node.registered or message.incarnation == node.incarnation


def on_find(node: StorageNode, sender: Address, message: Find, effects: Effects) -> None:
    """Where a key lies, for a router. Only the leader answers: the others may not know a table that is ACTIVE."""
    replica = serving_catalog(node, effects)
    if replica is None:
        hint = node.replicas[CATALOG].leader if CATALOG in node.replicas else None
        effects.send(sender, m.Redirect(0, message.table, hint, CATALOG in node.replicas), NOTHING)
        return
    catalog = replica.state
    assert isinstance(catalog, Catalog)
    table = catalog.tables.get(message.table)
    spec = None
    if message.table == LEDGER and (table is None or table.status == CREATING):
        if table is None and replica.commit_index == len(replica.log):
            # Made when the first transaction asks for it; who asks is told when it serves.
            table_id = str(UUID(int=effects.random_bits(128), version=4))
            replica.propose(
                change_of(CreateTable(LEDGER_SCHEMA, {"TimeToLive": EXPIRY}), table_id), m.NO_REQUEST, 0, effects
            )
        return
    if table is None:
        node.directory.forget(message.table)
    else:
        ranges = node.directory.ranges(message.table, table.groups).get(message.index)
        if ranges is not None and (not message.index or table.schema.index(message.index) is not None):
            spec = ranges.below(message.key) if message.below else ranges.floor(message.key)
        if spec is not None and spec.schema is not table.schema:
            spec = replace(spec, schema=table.schema)  # a partition was made with another one
        if spec is not None and spec.table != message.table:
            spec = replace(spec, table=message.table)  # of a table that has gone
    status = "" if table is None else table.status
    found = Found(message.table, message.index, message.key, message.below, status, spec)
    effects.send(sender, found, NOTHING)


def on_lookup(node: StorageNode, sender: Address, message: m.Lookup, effects: Effects) -> None:
    replica = serving_catalog(node, effects)
    if replica is None:
        hint = node.replicas[CATALOG].leader if CATALOG in node.replicas else None
        effects.send(sender, m.Redirect(0, message.table, hint, CATALOG in node.replicas), NOTHING)
        return
    catalog = replica.state
    assert isinstance(catalog, Catalog)
    effects.send(sender, m.LookupReply(message.table, catalog.map(message.table)), NOTHING)


def on_lookup_reply(node: StorageNode, sender: Address, message: m.LookupReply, effects: Effects) -> None:
    if message.map is not None:
        node.maps[message.table] = message.map


def on_was_split(node: StorageNode, sender: Address, message: m.WasSplit, effects: Effects) -> None:
    """A storage node tells of a split. Children of nothing that the catalog knows are dropped with their parent."""
    replica = serving_catalog(node, effects)
    if replica is None or node.keeper is None or replica.commit_index < len(replica.log):
        return
    if not node.keeper.on_was_split(message, replica, effects):
        for group in (message.group, message.left.group, message.right.group):
            effects.send(sender, m.Drop(group, divided=True), NOTHING)


def on_split_wanted(node: StorageNode, sender: Address, message: m.SplitWanted, effects: Effects) -> None:
    """The catalog's leader runs splits, a few at a time."""
    replica = serving_catalog(node, effects)
    if replica is None:
        return
    catalog = replica.state
    assert isinstance(catalog, Catalog)
    if len(catalog.divided) < SPLITS_AT_ONCE_MAX and catalog.holds_group(message.group):
        effects.send(sender, m.SplitNow(message.group, message.at), NOTHING)


def on_table_request(node: StorageNode, sender: Address, message: m.TableRequest, effects: Effects) -> None:
    replica = node.serving(sender, CATALOG, message.number, effects)
    if replica is None or node.answered_before(replica, sender, message.number, message.request, effects):
        return
    catalog, lead = replica.state, replica.leading
    assert isinstance(catalog, Catalog) and lead is not None
    operation = message.operation
    if not is_change(operation):
        status, error, body = 200, "", {}
        try:
            body = catalog.read(operation, node.counting.told, lead.wall_ns(effects.wall_ns))
        except (DynamoError, *UNFIT) as found:
            refusal = _told(found, effects)
            status, error, body = refusal.status, refusal.code, as_json(refusal.body())
        effects.send(sender, m.Answer(message.number, status, body, error), NOTHING)
        return
    if replica.commit_index < len(replica.log) or node.expired(replica, message.expiry_ns, effects):
        effects.send(sender, m.Redirect(message.number, CATALOG, None), NOTHING)
        return  # one change at a time: each is checked against the state that it will meet
    change: m.Command = change_of(operation, "")
    unfit = catalog.refusal(operation, next_entry(replica, change, message.request, message.expiry_ns, effects))
    if unfit is not None:
        refusal = _told(unfit, effects)
        change = m.Failed(refusal.status, refusal.code, as_json(refusal.body()))
    elif isinstance(operation, CreateTable):
        change = change_of(operation, str(UUID(int=effects.random_bits(128), version=4)))
    slot = replica.propose(change, message.request, message.expiry_ns, effects)
    replica.wait(slot, Waiter(sender, message.number))


def _told(error: Exception, effects: Effects) -> DynamoError:
    """What the client is told. That the catalog's own rules failed is told to whoever watches, too."""
    if not isinstance(error, DynamoError):
        effects.tell(Event("change-unfit", CATALOG, detail=type(error).__name__))
    return as_told(error)
