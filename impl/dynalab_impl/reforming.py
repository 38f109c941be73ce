"""How the partitions of a table learn that it looks otherwise: a new index, a stream, an attribute that says when items
expire.

Rules:
- *The catalog decides, the log tells.* The catalog's state holds the table's `Form` and raises its version with each
  change. Its leader asks the leaders of the table's own partitions, again and again, until each has answered.
- *One slot.* A leader logs the form (`Reform`), so all replicas of the partition change between the same two writes,
  and a later leader finds it in the log.
- *Versions, not times.* An older form never replaces a newer one, however late it comes.
- *Splits.* The children of a partition begin with the form that it had at its Split, and are asked for themselves.

These functions are methods of `StorageNode` and of the catalog's keeper, kept in a room of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from dynalab_impl import backfilling, feeds, index_steps
from dynalab_impl import messages as m
from dynalab_impl.effects import NOTHING, Address, Effects, Timing
from dynalab_impl.partition import Partition
from dynalab_model import stream_settings
from dynalab_model.events import Event
from dynalab_model.schema import TableSchema

if TYPE_CHECKING:
    from dynalab_impl.storage_node import StorageNode
    from dynalab_impl.table_entry import Table


def stream_form(settings: Mapping[str, object], form: m.Form | None, timing: Timing) -> m.StreamForm | None:
    """The stream that a table with these settings has; `form` is None for a table that is made with it."""
    current = stream_settings.enabled(settings)
    if current is None or (form is not None and form.stream is not None and form.stream.label == current[0]):
        return None if current is None or form is None else form.stream
    return m.StreamForm(*current, timing.stream_roll_s, timing.stream_keep_s, 0 if form is None else form.version + 1)


def reformed(form: m.Form, schema: TableSchema, settings: Mapping[str, object], timing: Timing) -> m.Form:
    """The form of a table whose settings have changed: the next version, or the same if partitions need not know.

    >>> from dynalab_model.schema import KeyAttribute, KeySchema, TableSchema
    >>> form = m.Form(0, TableSchema("T", KeySchema(KeyAttribute("pk", "S"))))
    >>> expiring, classed = {"TimeToLive": "expires"}, {"TableClass": "STANDARD"}
    >>> [reformed(form, form.schema, settings, Timing()).version for settings in (expiring, classed)]
    [1, 0]
    """
    ttl = cast(str, settings.get("TimeToLive") or "")
    stream, feed = stream_form(settings, form, timing), feeds.feed_form(settings, form, timing)
    changed = replace(form, schema=schema, ttl=ttl, stream=stream, feed=feed)
    return form if changed == form else replace(changed, version=form.version + 1)


def ending(form: m.Form) -> m.Form:
    """The form of a table that is being deleted and whose streams stay: no items, and no more changes."""
    return replace(form, version=form.version + 1, stream=None, ttl="", gone=True, feed=None)


def spread(table: Table, altered: dict[str, int], effects: Effects) -> bool:
    """Tell the table's own partitions how it looks; True when all of them have answered. At the catalog's leader, which
    remembers the answers in `altered`: group → version.
    """
    if not table.form.version:
        return True
    done = True
    for spec in table.groups:
        if not spec.index and altered.get(spec.group, 0) < table.form.version:
            done = False
            for member in spec.members:
                effects.send(member.address, m.Alter(spec.group, table.form), NOTHING)
    return done


def on_alter(node: StorageNode, sender: Address, message: m.Alter, effects: Effects) -> None:
    """Who leads the partition logs the form, once; the others have no use for it, and it is asked again."""
    replica = node.replicas.get(message.group)
    if replica is None or not replica.may_serve(effects.now_ns):
        return
    lead, state = replica.leading, replica.state
    assert lead is not None and isinstance(state, Partition) and state.form is not None, "base partitions are told"
    if lead.splitting or state.split is not None:
        return
    if state.form.version >= message.form.version:
        effects.send(sender, m.Altered(message.group, state.form.version, backfilling.built(state)), NOTHING)
    elif lead.form_version < message.form.version:
        lead.form_version, lead.ending = message.form.version, message.form.gone
        slot = replica.propose(m.Reform(message.form), m.NO_REQUEST, 0, effects)
        effects.tell(Event("reformed", message.group, lead.ballot[0], slot))


def on_altered(node: StorageNode, sender: Address, message: m.Altered, effects: Effects) -> None:
    """A partition has the form; only the catalog's leader asked."""
    if node.keeper is not None:
        index_steps.on_altered(node.keeper, message)
