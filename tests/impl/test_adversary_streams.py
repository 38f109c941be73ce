"""Streams under whatever comes: splits, crashes, lost disks, snapshots, roll-overs, enabling and disabling, at random
places. At the end every replica holds the same, the archive gives the same, and readers met each change once.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from dynalab_checkers.streams import check_stream
from dynalab_impl import messages as m
from dynalab_impl.effects import Timing
from dynalab_impl.objects import manifest_name, read_manifest
from dynalab_impl.partition import Partition
from dynalab_impl.rebuilding import rebuild

from .conftest import SECOND, Lab
from .test_streams import BOTH, Reader, arn_of, contents, enable, shards_by_group, states

KEYS = [f"k{number}" for number in range(9)]


def some_write(lab: Lab, chance: random.Random, number: int) -> None:
    key = chance.choice(KEYS)
    if chance.randrange(4) == 0:
        lab.call("DeleteItem", TableName="things", Key={"pk": {"S": key}})
    elif chance.randrange(4) == 0:
        lab.call(
            "UpdateItem",
            TableName="things",
            Key={"pk": {"S": key}},
            UpdateExpression="SET v = if_not_exists(v, :v) ADD n :n",
            ExpressionAttributeValues={":v": {"S": "u"}, ":n": {"N": str(chance.randrange(2))}},
        )
    else:
        lab.put(key, str(number) if chance.randrange(3) else "the same")


def some_fault(lab: Lab, chance: random.Random, reader: Reader) -> None:
    index, group = lab.leader(chance.choice(KEYS))
    kind = chance.randrange(5)
    if kind == 0:
        lab.simulation.order(index, m.SplitNow(group))
    elif kind == 1:
        lab.simulation.crash(index)
        for number in range(3):
            some_write(lab, chance, 1000 + number)
        reader.step(limit=3)
        lab.simulation.restart(index)
    elif kind == 2:
        other = chance.choice([host for host in lab.members(group) if host != index])
        lab.simulation.crash(other)
        lab.simulation.wipe(other)
        lab.simulation.restart(other)
        lab.run(6 * SECOND)
    elif kind == 3:
        others = [host for host in lab.members(group) if host != index]
        rule = lab.rule("cut", [index], others, both_ways=True)
        lab.send("PutItem", TableName="things", Item={"pk": {"S": "k1"}, "v": {"S": "from a leader that is cut off"}})
        reader.step(limit=2)
        lab.run(3 * SECOND)
        lab.simulation.network.remove_rule(rule)
    else:
        lab.run(20 * SECOND)
    lab.run(SECOND)


@pytest.mark.claim("S148", "S164")
@pytest.mark.parametrize("seed", range(12))
def test_readers_meet_every_change_once_and_replicas_and_archive_agree(seed: int) -> None:
    chance = random.Random(seed)
    timing = Timing(stream_roll_s=chance.choice([30, 100_000]))
    lab = Lab(seed=seed, partitions=2, log_records_max=chance.choice([80, 20_000]), archive=True, timing=timing)
    lab.create()
    enable(lab)
    reader = Reader(lab, arn_of(lab))
    for turn in range(6):
        for number in range(10):
            some_write(lab, chance, 10 * turn + number)
        reader.step(limit=chance.choice([1, 4, 1000]))
        some_fault(lab, chance, reader)
    lab.run(12 * SECOND)
    reader.drain(60)
    reader.judge(contents(lab))
    for copies in shards_by_group(lab).values():
        assert all(copy == copies[0] for copy in copies) and copies[0]
    lab.run(60 * SECOND)
    objects = lab.simulation.objects.objects
    compared = 0
    for state in states(lab):
        group = state.spec.group
        manifest = objects.get(manifest_name(group))
        if manifest is not None and read_manifest(group, manifest).last == state.applied:
            again: Partition = rebuild(objects.get, state.spec, lab.topology.timing.dedup_ns)
            assert again.shards == state.shards
            compared += 1
    assert compared


@pytest.mark.claim("S168")
@pytest.mark.parametrize("seed", range(4))
def test_a_stream_that_comes_and_goes_tells_what_happened_while_it_was_there(seed: int) -> None:
    chance = random.Random(seed)
    lab = Lab(seed=seed, partitions=1)
    lab.create()
    told: dict[str, dict[str, dict[str, Any]]] = {}
    before: dict[str, dict[str, dict[str, Any]]] = {}
    for turn in range(3):
        before_now = contents(lab)
        enable(lab)
        arn = arn_of(lab)
        before[arn] = before_now
        for number in range(12):
            some_write(lab, chance, 100 * turn + number)
            if number == 6:
                index, group = lab.leader("k1")
                if chance.randrange(2):
                    lab.simulation.order(index, m.SplitNow(group))
                    lab.run(2 * SECOND)
                else:
                    lab.simulation.crash(index)
                    lab.run(2 * SECOND)
                    lab.simulation.restart(index)
        enable(lab, None)
        told[arn] = contents(lab)
        for number in range(5):
            some_write(lab, chance, 100 * turn + 50 + number)
    assert len(told) == 3
    for arn, final in told.items():
        reader = Reader(lab, arn)
        reader.drain(20)
        assert all(place is None for place in reader.places.values()), "all shards of a stream that ended are closed"
        parents = {child: parent for child, parent in reader.parents.items() if parent}
        verdict = check_stream(reader.records(), parents=parents, initial=before[arn], final=final)
        assert verdict.verdict == "valid", verdict.why


@pytest.mark.parametrize("seed", range(3))
def test_scrubbing_finds_no_difference_in_streams_and_finds_one_that_is_there(seed: int) -> None:
    lab = Lab(seed=seed, partitions=1, scrub=True)
    lab.create()
    enable(lab)
    chance = random.Random(seed)
    for number in range(30):
        some_write(lab, chance, number)
    lab.run(10 * SECOND)
    assert "scrubbed" in lab.kinds() and "replica-diverged" not in lab.kinds()
    index, group = lab.leader("k1")
    other = next(host for host in lab.members(group) if host != index)
    node: Any = lab.simulation.hosts[other].node
    changes = node.replicas[group].state.shards[-1].changes
    del changes[len(changes) // 2]
    lab.run(15 * SECOND)
    assert "replica-diverged" in lab.kinds() and "replica-rebuilt" in lab.kinds()
    assert all(copies[0] == copy for copies in shards_by_group(lab).values() for copy in copies)


@pytest.mark.parametrize("whole_life", [False, True])
def test_the_archive_knows_the_closed_shards_of_a_stream_that_was_enabled_again_before_a_split(
    whole_life: bool,
) -> None:
    """A child begins as its half of its parent, and that with the stream that its first ancestor was made with."""
    lab = Lab(partitions=1, nodes_per_zone=1, routers=1, archive=True)
    made: dict[str, Any] = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": BOTH}}
    key = {"AttributeName": "pk"}
    answer = lab.call(
        "CreateTable",
        TableName="things",
        KeySchema=[{**key, "KeyType": "HASH"}],
        AttributeDefinitions=[{**key, "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        **(made if whole_life else {}),
    )
    assert answer.status == 200
    lab.run(4 * SECOND)
    enabled = whole_life
    for turn in range(2):  # the second time to a partition that came of a split
        for wanted in (True, False, True):
            if enabled is not wanted:
                enable(lab, BOTH if wanted else None)
            enabled = wanted
            for number in range(4):
                lab.put(f"k{number}", f"{turn} {wanted} {number}")
        index, group = lab.leader("k1")
        lab.simulation.order(index, m.SplitNow(group))
        lab.run(3 * SECOND)
    for number in range(9):
        lab.put(f"k{number}", "last")
    lab.run(60 * SECOND)
    objects, closed = lab.simulation.objects.objects, 0
    for state in states(lab):
        assert read_manifest(state.spec.group, objects[manifest_name(state.spec.group)]).last == state.applied
        again = rebuild(objects.get, state.spec, lab.topology.timing.dedup_ns)
        assert again.shards == state.shards and again.form == state.form
        closed = max(closed, sum(bool(shard.ended) for shard in state.shards))
    assert closed >= 3
