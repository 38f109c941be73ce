"""Local indexes of a partition: what they hold is a function of its items, whatever happened to it; and on the
simulator: read strongly behind every write, through splits, crashes and snapshots.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynalab_impl.effects import Timing, layout
from dynalab_impl.local_indexes import LocalIndexes, whole_collections
from dynalab_impl.messages import NO_REQUEST, Command, Entry, GroupSpec, Split, SplitNow, Write
from dynalab_impl.partition import Partition
from dynalab_impl.snapshot import SnapshotHeader
from dynalab_model.items import index_entry, stored_bytes
from dynalab_model.keys import collection_of, collection_prefix, index_key, item_key, prefix_end
from dynalab_model.schema import IndexSchema, KeyAttribute, KeySchema, TableSchema
from dynalab_model.values import AttributeValue, Item
from tests.impl.conftest import SECOND, Lab

MakeLab = Callable[..., Lab]

PK, SK, N = KeyAttribute("pk", "S"), KeyAttribute("sk", "N"), KeyAttribute("n", "N")
SCHEMA = TableSchema(
    "things",
    KeySchema(PK, SK),
    local_indexes=(
        IndexSchema("by_n", KeySchema(PK, N), "ALL"),
        IndexSchema("bare", KeySchema(PK, KeyAttribute("t", "S")), "KEYS_ONLY"),
    ),
)
SPEC = GroupSpec("things/0", "things", "", b"", b"", (), SCHEMA)
DAY_NS = 86_400 * SECOND


def thing(pk: str, sk: int, **more: AttributeValue) -> Item:
    return {"pk": {"S": pk}, "sk": {"N": str(sk)}, **more}


def partition() -> Partition:
    return Partition(SPEC, DAY_NS)


def write(state: Partition, key: bytes, item: Item | None) -> None:
    log(state, Write(key, item, {}))


def log(state: Partition, command: Command) -> None:
    state.apply(Entry((1, "n1"), state.applied + 1, state.log_time_ns + 1, NO_REQUEST, 0, command))


def assert_derived(state: Partition) -> None:
    """The index is what its items say, entry by entry, and so are the sizes of the collections."""
    local = state.local
    assert local is not None
    sizes: dict[bytes, int] = {}
    for key, stored in state.items.items():
        sizes[collection_of(key)] = sizes.get(collection_of(key), 0) + stored_bytes(SCHEMA, stored.item)
    assert local.bytes_of == sizes
    for index in SCHEMA.local_indexes:
        wanted = {
            index_key(index.key, SCHEMA.key, stored.item): key
            for key, stored in state.items.items()
            if index_entry(SCHEMA, index, stored.item) is not None
        }
        assert dict(local.entries[index.name]) == wanted


attributes: st.SearchStrategy[Item] = st.fixed_dictionaries(
    {},
    optional={
        "n": st.integers(-2, 2).map(lambda n: {"N": str(n)}),
        "t": st.sampled_from("ab").map(lambda t: {"S": t}),
        "v": st.text(max_size=3).map(lambda v: {"S": v}),
    },
)
steps = st.lists(st.tuples(st.sampled_from("pqr"), st.integers(0, 3), st.none() | attributes), max_size=30)


def after(changes: list[tuple[str, int, Item | None]]) -> Partition:
    state = partition()
    for pk, sk, more in changes:
        item = thing(pk, sk)
        write(state, item_key(SCHEMA.key, item), None if more is None else item | more)
    return state


@settings(max_examples=150, deadline=None)
@given(steps)
def test_whatever_is_written_an_index_holds_what_its_items_say(changes: list[tuple[str, int, Item | None]]) -> None:
    assert_derived(after(changes))


@settings(max_examples=80, deadline=None)
@given(steps, st.sampled_from("pqr"))
def test_a_snapshot_and_a_split_bring_the_same_index_without_carrying_it(
    changes: list[tuple[str, int, Item | None]], pk: str
) -> None:
    state = after(changes)
    assert state.local is not None
    header = SnapshotHeader(SPEC, state.applied, state.log_time_ns, (), (1, "n1"), state.counter)
    loaded = partition()
    if state.applied:
        loaded.load(header, [state.image(part) for part in state.view()])
    assert_derived(loaded)
    assert loaded.local is not None
    assert loaded.local.entries == state.local.entries
    at = collection_prefix({"S": pk})
    left = GroupSpec("things/0.0", "things", "", b"", at, (), SCHEMA)
    right = GroupSpec("things/0.1", "things", "", at, b"", (), SCHEMA)
    log(state, Split(left, right))
    assert state.halves is not None
    halves = state.halves
    for half in halves:
        assert_derived(half)
    assert sum(len(half.items) for half in halves) == len(loaded.items)
    assert state.local is None, "the parent serves nothing any more"


# --- where a partition may be divided -------------------------------------------------------------------------------


def filled(*collections: tuple[str, int]) -> Partition:
    state = partition()
    for pk, count in collections:
        for sk in range(count):
            write(state, item_key(SCHEMA.key, thing(pk, sk)), thing(pk, sk, v={"S": "x" * 50}))
    return state


@pytest.mark.claim("S34")
def test_the_middle_of_a_partition_is_moved_to_the_end_of_a_collection() -> None:
    first, second = sorted("pq", key=lambda pk: collection_prefix({"S": pk}))
    for state, wanted in (
        (filled((first, 3), (second, 20)), collection_prefix({"S": second})),
        (filled((first, 20), (second, 3)), prefix_end(collection_prefix({"S": first}))),
        (filled((first, 20)), b""),
    ):
        assert state.divisible(state.middle()) == wanted
    assert filled((first, 20)).is_one_collection
    assert not filled((first, 20), (second, 1)).is_one_collection
    assert partition().divisible(state.middle()) == state.middle()


@settings(deadline=None)
@given(steps, st.sampled_from("pqr"), st.integers(0, 3))
def test_no_division_parts_a_collection(changes: list[tuple[str, int, Item | None]], pk: str, sk: int) -> None:
    state = after(changes)
    at = state.divisible(item_key(SCHEMA.key, thing(pk, sk)))
    if at and state.items:
        sides: dict[bytes, set[bool]] = {}
        for key in state.items:
            sides.setdefault(collection_of(key), set()).add(key < at)
        assert all(len(found) == 1 for found in sides.values())


def test_a_point_between_collections_stays_where_it_is() -> None:
    for point in (b"", b"\x80", collection_prefix({"S": "p"}), collection_prefix({"S": "p"})[:8] + b"Sp"):
        assert whole_collections(point, b"\x00" * 9, b"\xff" * 9) == point


# --- reads ----------------------------------------------------------------------------------------------------------


def test_pages_of_a_local_index_end_by_rows_and_by_bytes_and_hold_entries_or_items() -> None:
    state = partition()
    for sk in range(5):
        item = thing("p", sk, n={"N": str(-sk)}, t={"S": "t"}, v={"S": "x" * 100})
        write(state, item_key(SCHEMA.key, item), item)
    low = collection_prefix({"S": "p"})
    keys, items, more = state.rows(low, prefix_end(low), b"", True, 2, 10**6, "by_n")
    assert ([item["sk"]["N"] for item in items], more) == (["4", "3"], True)
    _, rest, more = state.rows(low, prefix_end(low), keys[-1], True, 9, 10**6, "by_n")
    assert ([item["sk"]["N"] for item in rest], more) == (["2", "1", "0"], False)
    _, entries, _ = state.rows(low, b"", b"", False, 9, 10**6, "bare")
    assert entries[0] == {"pk": {"S": "p"}, "sk": {"N": "4"}, "t": {"S": "t"}}
    assert len(entries) == 5
    _, whole, more = state.rows(low, b"", b"", True, 9, 150, "bare", True)
    assert [item["v"] for item in whole] == [{"S": "x" * 100}] * 2
    assert more, "two items reach 150 bytes"


def test_what_is_appended_and_not_applied_counts_towards_a_collection() -> None:
    state = filled(("p", 2))
    assert isinstance(state.local, LocalIndexes)
    held = state.local.held_bytes(item_key(SCHEMA.key, thing("p", 9)), {}, state.get)
    more, gone = thing("p", 9), item_key(SCHEMA.key, thing("p", 0))
    other = thing("q", 9)
    pending: dict[bytes, tuple[int, Item | None]] = {
        item_key(SCHEMA.key, more): (3, more),
        item_key(SCHEMA.key, other): (4, other),
        gone: (5, None),
    }
    after_them = state.local.held_bytes(item_key(SCHEMA.key, more), pending, state.get)
    assert held == 57 + 58  # pk 3, v 51, and sk 3 or 4: a zero is smaller by one
    assert after_them == held + 7 - 57


# --- the service ----------------------------------------------------------------------------------------------------


def create(lab: Lab, table: str = "things") -> None:
    answer = lab.call(
        "CreateTable",
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": kind} for name, kind in (("pk", "S"), ("sk", "N"), ("n", "N"))
        ],
        LocalSecondaryIndexes=[
            {
                "IndexName": "by_n",
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )
    assert answer.status == 200, answer
    lab.run(4 * SECOND)


def put(lab: Lab, pk: str, sk: int, n: int) -> None:
    answer = lab.call("PutItem", TableName="things", Item=thing(pk, sk, n={"N": str(n)}))
    assert answer.status == 200, answer


def by_n(lab: Lab, pk: str, **more: Any) -> list[int]:
    answer = lab.call(
        "Query",
        router=1,
        TableName="things",
        IndexName="by_n",
        KeyConditionExpression="pk = :p",
        ExpressionAttributeValues={":p": {"S": pk}},
        **{"ConsistentRead": True, **more},
    )
    assert answer.status == 200, answer
    items: Any = answer.body["Items"]
    return [int(item["sk"]["N"]) for item in items]


@pytest.mark.claim("S90")
def test_a_strong_query_of_a_local_index_shows_every_write_that_was_acknowledged_before_it(make_lab: MakeLab) -> None:
    lab = make_lab(nodes_per_zone=1)
    create(lab)
    random = Random(7)
    held: dict[int, int] = {}
    for number in range(40):
        sk, n = number % 6, random.randrange(100)
        held[sk] = n
        put(lab, "p", sk, n)
        assert by_n(lab, "p") == sorted(held, key=lambda sk: (held[sk], sk))


def test_a_local_index_is_whole_after_its_leader_dies_and_a_replica_comes_back(make_lab: MakeLab) -> None:
    lab = make_lab(nodes_per_zone=1, log_records_max=60)
    create(lab)
    for sk in range(30):
        put(lab, "p", sk, -sk)
    wanted = sorted(range(30), reverse=True)
    for _ in range(2):  # once by its log, once by a snapshot
        leader, group = lab.leader("p")
        lab.simulation.crash(leader)
        lab.run(12 * SECOND)
        assert by_n(lab, "p") == wanted
        lab.simulation.restart(leader)
        lab.run(12 * SECOND)
        for sk in range(30):
            put(lab, "p", sk, -sk)
        for index in lab.members(group):
            state = lab.simulation.hosts[index].node.replicas[group].state  # type: ignore[union-attr]
            assert isinstance(state, Partition)
            assert state.local is not None
            assert len(state.local.entries["by_n"]) == 30
    assert "snapshot-written" in lab.kinds()


@pytest.mark.claim("S34")
def test_a_table_with_local_indexes_is_split_between_collections_and_one_alone_never(make_lab: MakeLab) -> None:
    lab = make_lab(nodes_per_zone=1, partitions=1)
    create(lab)
    for pk in "pqr":
        for sk in range(6):
            put(lab, pk, sk, -sk)
    for _ in range(6):
        for index in range(lab.simulation.storage_count):
            node: Any = lab.simulation.hosts[index].node
            for group, replica in list(node.replicas.items()):
                if replica.is_leader and replica.spec.table == "things":
                    lab.simulation.order(index, SplitNow(group))
        lab.run(2 * SECOND)
    assert lab.kinds().count("split-logged") == 2, "three collections make three partitions, and no more"
    for pk in "pqr":
        assert by_n(lab, pk) == [5, 4, 3, 2, 1, 0]
        assert by_n(lab, pk, ConsistentRead=False, ScanIndexForward=False) == [0, 1, 2, 3, 4, 5]
    pages: list[Any] = []
    start: dict[str, Any] = {}
    while not pages or start:
        page: Any = lab.call("Scan", TableName="things", IndexName="by_n", ConsistentRead=True, Limit=4, **start).body
        pages += page["Items"]
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]} if "LastEvaluatedKey" in page else {}
    assert sorted((item["pk"]["S"], int(item["sk"]["N"])) for item in pages) == [
        (pk, sk) for pk in "pqr" for sk in range(6)
    ]


@pytest.mark.claim("S34")
def test_a_partition_that_is_one_collection_is_not_divided_however_large_and_is_once_there_are_two(
    make_lab: MakeLab,
) -> None:
    lab = make_lab(nodes_per_zone=1, partitions=1, log_records_max=100, split_bytes=6_000)
    create(lab)

    def fill(pk: str) -> None:
        for number in range(160):  # enough records for a snapshot, which tells the partition's size
            item = thing(pk, number % 40, n={"N": "1"}, v={"S": "x" * 300})
            assert lab.call("PutItem", TableName="things", Item=item).status == 200
        lab.run(15 * SECOND)

    fill("p")
    assert "snapshot-written" in lab.kinds(), "its size is known"
    assert "split-logged" not in lab.kinds()
    fill("q")
    assert lab.kinds().count("split-logged") == 1
    assert by_n(lab, "p") == by_n(lab, "q") == list(range(40))


def test_a_collection_that_would_grow_beyond_its_limit_refuses_the_write_also_when_writes_are_pipelined(
    make_lab: MakeLab,
) -> None:
    lab = make_lab(nodes_per_zone=1, collection_bytes_max=200)
    assert lab.topology == layout(nodes_per_zone=1, collection_bytes_max=200)
    create(lab)
    # 10 bytes and 10 more of the entry: ten items fit, all twenty are on their way together.
    items = [thing("p", sk, n={"N": "1"}) for sk in range(11, 31)]
    tokens = [lab.send("PutItem", TableName="things", Item=item) for item in items]
    lab.run(5 * SECOND)
    statuses = [lab.answers[token].status for token in tokens]
    assert (statuses.count(200), statuses.count(400)) == (10, 10)
    refused = {lab.answers[token].error for token in tokens if lab.answers[token].status == 400}
    assert refused == {"ItemCollectionSizeLimitExceededException"}
    assert len(by_n(lab, "p")) == 10, "nothing that was refused happened"


def test_the_figures_of_a_local_index_are_renewed_with_its_tables(make_lab: MakeLab) -> None:
    lab = make_lab(nodes_per_zone=1, timing=Timing(counts_ns=2 * SECOND))
    create(lab)

    def figures() -> tuple[int, int]:
        body: Any = lab.call("DescribeTable", TableName="things").body
        (index,) = body["Table"]["LocalSecondaryIndexes"]
        return index["ItemCount"], index["IndexSizeBytes"]

    for sk in range(1, 4):
        put(lab, "p", sk, 5)
    put(lab, "q", 1, 5)
    assert lab.call("PutItem", TableName="things", Item=thing("q", 2, v={"S": "not in the index"})).status == 200
    lab.run(6 * SECOND)
    assert figures() == (4, 4 * 10)  # pk 2 + 1, sk 2 + 2, n 1 + 2
    for pk, sk in (("p", 1), ("p", 2), ("p", 3), ("q", 1)):
        lab.call("DeleteItem", TableName="things", Key=thing(pk, sk))
    lab.run(6 * SECOND)
    assert figures() == (0, 0)
