"""Snapshots: states taken apart and put together, in pieces that stay small, over logs that were let go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dynalab_impl.catalog import Catalog, catalog_spec
from dynalab_impl.codec import encode
from dynalab_impl.effects import layout
from dynalab_impl.messages import (
    NO_REQUEST,
    CatalogChange,
    Command,
    Entry,
    Failed,
    GroupSpec,
    IndexWrite,
    Member,
    RequestId,
    Write,
)
from dynalab_impl.partition import Partition
from dynalab_impl.plain import fingerprint
from dynalab_impl.records import SnapshotPiece
from dynalab_impl.snapshot import PIECE_BYTES, Image, Outgoing, SnapshotHeader
from dynalab_model.requests import parse
from dynalab_model.schema import IndexSchema, KeyAttribute, KeySchema, TableSchema

from .conftest import Lab

SECOND = 1_000_000_000
SCHEMA = TableSchema(
    "t", KeySchema(KeyAttribute("pk", "S")), (IndexSchema("i", KeySchema(KeyAttribute("c", "S")), "ALL"),)
)


def fill(state: Any, commands: list[tuple[Command, RequestId]]) -> None:
    for command, request in commands:
        state.apply(Entry((1, "n"), state.applied + 1, state.applied * 10, request, 10**12, command))


def pieces(state: Any, spec: GroupSpec) -> tuple[SnapshotHeader, list[tuple[Image, ...]]]:
    header = SnapshotHeader(spec, state.applied, state.log_time_ns, (), (0, ""), state.counter)
    outgoing = Outgoing(header, state.view())
    out = []
    while outgoing.at < len(outgoing.parts):
        images = outgoing.piece(state)
        outgoing.at += len(images)
        out.append(images)
    return header, out


def assert_comes_back(state: Any, spec: GroupSpec) -> None:
    header, parts = pieces(state, spec)
    copy = state.fresh()
    copy.load(header, [image for images in parts for image in images])
    assert fingerprint(copy, 0) == fingerprint(state, 0)


@pytest.mark.parametrize("index", ["", "i"])
def test_a_partition_comes_back_whole_from_its_pieces(index: str) -> None:
    spec = GroupSpec("g", "t", index, b"", b"", (), SCHEMA)
    state = Partition(spec, 10**10)
    commands: list[tuple[Command, RequestId]] = []
    for i in range(600):
        key = b"%03d" % (i % 400)
        item = {"pk": {"S": str(i % 400)}, "c": {"S": str(i % 7)}}
        if index:
            commands.append((IndexWrite(key, item if i % 3 else None, i), NO_REQUEST))
        else:
            gone = i % 5 == 0
            commands.append((Write(key, None if gone else item, {"Attributes": item} if gone else {}), ("r", i + 1)))
    commands.append((Failed(400, "ConditionalCheckFailedException", {"Item": {"pk": {"S": "x"}}}), ("r", 9999)))
    fill(state, commands)
    assert (state.tombstones if index else state.owed) and state.items
    assert_comes_back(state, spec)


def test_the_catalog_comes_back_whole_from_its_pieces() -> None:
    topology = layout()
    state = Catalog(topology)
    create = parse(
        "CreateTable",
        {
            "TableName": "orders",
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        },
    )
    change: Any = create
    fill(
        state,
        [
            (CatalogChange("register", member=Member(topology.storage[0], 2)), NO_REQUEST),
            (CatalogChange("create", "orders", change, "id-1"), ("r", 1)),
            (CatalogChange("activate", "orders", table_id="id-1"), NO_REQUEST),
        ],
    )
    assert_comes_back(state, catalog_spec(topology))


def test_a_piece_of_large_items_stays_small_enough_for_a_record_and_a_message() -> None:
    spec = GroupSpec("g", "t", "", b"", b"", (), TableSchema("t", KeySchema(KeyAttribute("pk", "S"))))
    state = Partition(spec, 10**10)
    large = "x" * 400_000
    fill(state, [(Write(b"%d" % i, {"pk": {"S": large}}, {}), NO_REQUEST) for i in range(20)])
    _, parts = pieces(state, spec)
    assert sum(len(images) for images in parts) == 20
    assert max(len(encode(SnapshotPiece("g", 20, images))) for images in parts) < PIECE_BYTES + 500_000


def test_a_node_restarts_from_what_was_not_let_go_of_its_log(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(nodes_per_zone=1, routers=1, partitions=2, log_records_max=60)
    lab.create(index=True)
    for i in range(300):
        lab.put(f"k{i % 40}", i, attributes={"colour": {"S": f"c{i % 3}"}})
    lab.run(5 * SECOND)
    before = lab.simulation.hosts[1].node.table_items("things")
    assert sum(host.dropped for host in lab.simulation.hosts) > 300
    for _ in range(3):
        lab.simulation.crash(1)
        lab.simulation.restart(1)
        lab.run(3 * SECOND)
        assert lab.simulation.hosts[1].node.table_items("things") == before


def test_a_wiped_replica_is_rebuilt_from_a_snapshot_and_votes_again(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(nodes_per_zone=1, routers=1, partitions=1, log_records_max=60)
    lab.create()
    for i in range(300):
        lab.put(f"k{i % 40}", i)
    lab.run(5 * SECOND)
    leader, group = lab.leader("k0")
    follower, third = (i for i in lab.members(group) if i != leader)
    lab.simulation.crash(follower)
    lab.simulation.wipe(follower)
    lab.simulation.restart(follower)
    lab.run(4 * SECOND)
    assert "snapshot-installed" in lab.kinds()
    lab.simulation.crash(third)
    assert lab.put("k0", "two of three").status == 200
    assert lab.get("k39") == "279"


def test_a_log_may_grow_as_long_as_what_takes_its_place_where_that_was_asked_for(make_lab: Callable[..., Lab]) -> None:
    """Else a busy node would write all that it remembers again and again, for a log that is shorter."""
    for as_state in (False, True):
        lab = make_lab(partitions=1, nodes_per_zone=1, log_records_max=40, log_as_state=as_state)
        lab.create()
        lab.run(2 * SECOND)
        for number in range(200):
            assert lab.put(f"k{number}", number).status == 200
        groups = [event.group for _, _, event in lab.told if event.kind == "snapshot-written"]
        things = [group for group in groups if group.startswith("things")]
        # Two hundred items, and as many answers that are remembered: more parts than there are records.
        assert bool(things) is not as_state
        lab.run(25 * SECOND)  # the answers are forgotten with the next write
        assert lab.put("k0", "again").status == 200
        lab.run(3 * SECOND)
        kept = [
            len(replica.log) - replica.log.base
            for host in lab.simulation.hosts
            for replica in getattr(host.node, "replicas", {}).values()
            if replica.spec.table == "things"
        ]
        assert len(kept) == 3 and max(kept) <= 130 + 40, "the log was cut"
