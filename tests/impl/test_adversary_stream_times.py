"""Streams against clocks and pauses: shards that were open for long without a record, numbers that meet."""

from __future__ import annotations

import pytest

from dynalab_impl import messages as m
from dynalab_impl.effects import Timing
from dynalab_impl.partition import Partition
from dynalab_impl.reforming import ending
from dynalab_model.schema import KeyAttribute, KeySchema, TableSchema
from dynalab_model.values import Item

from .conftest import SECOND, Lab
from .test_streams import Reader, arn_of, enable, states


@pytest.mark.claim("S147")
@pytest.mark.parametrize("split", [False, True])
def test_a_shard_that_nothing_was_written_to_for_its_whole_time_has_one_name(split: bool) -> None:
    """Its successor begins with the first entry behind it: in the slot that it began in itself."""
    lab = Lab(partitions=1, timing=Timing(stream_roll_s=30))
    lab.create()
    for key in ("k1", "k2", "k3"):
        lab.put(key, "first")
    enable(lab)
    if split:
        index, group = lab.leader("k1")
        lab.simulation.order(index, m.SplitNow(group))
        lab.run(2 * SECOND)
    reader = Reader(lab, arn_of(lab))
    lab.run(60 * SECOND)
    for key in ("k1", "k2", "k3"):
        lab.put(key, "late")
    lab.run(2 * SECOND)
    for state in states(lab):
        names = [shard.id for shard in state.shards]
        assert len(names) == len(set(names)), names
    reader.drain(20)
    assert len(reader.records()) == 3


def test_what_is_logged_just_behind_the_end_of_a_table_leaves_nothing_in_what_stays_of_it() -> None:
    """Its leader has logged the form of a deleted table, and goes on as before until that is committed."""
    schema = TableSchema("things", KeySchema(KeyAttribute("pk", "S")))
    stream = m.StreamForm("label", "NEW_IMAGE")
    partition = Partition(m.GroupSpec("things/3.0", "things", "", b"", b"", (), schema, stream=stream), SECOND)
    item: Item = {"pk": {"S": "a"}}
    form = ending(m.Form(0, schema, stream))
    held = m.Held("x", "id/x", 1, 5, 0, item)
    commands: list[m.Command] = [
        m.Write(b"before", item, {}),
        m.Reform(form),
        m.Write(b"behind", item, {}),
        m.TransactPrepare(b"held", held, {"Vote": "yes"}),
        m.TransactCommit(b"held", "x"),
        m.TransactPrepare(b"for ever", held, {"Vote": "yes"}),
    ]
    for slot, command in enumerate(commands, start=1):
        partition.apply(m.Entry((1, "n"), slot, slot * SECOND, ("r", slot), 0, command))
    assert not partition.items and not partition.held and not partition.owed
    assert [change.keys for shard in partition.shards for change in shard.changes] == [item]
