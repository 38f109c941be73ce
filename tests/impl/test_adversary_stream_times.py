"""Streams against clocks and pauses: shards that were open for long without a record, numbers that meet."""

from __future__ import annotations

import pytest

from dynalab_impl import messages as m
from dynalab_impl.effects import Timing

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
