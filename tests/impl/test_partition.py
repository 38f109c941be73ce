"""What a partition applies: a function of state and entry, answers that are remembered, versions guarding an index."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab_impl.messages import NO_REQUEST, Command, Entry, Failed, GroupSpec, IndexWrite, RequestId, Write
from dynalab_impl.partition import Partition
from dynalab_model.schema import KeyAttribute, KeySchema, TableSchema

SECOND = 1_000_000_000
KEEP_NS = 20 * SECOND
SCHEMA = TableSchema("t", KeySchema(KeyAttribute("pk", "S")))


def partition(index: str = "") -> Partition:
    return Partition(GroupSpec("g", "t", index, b"", b"", (), SCHEMA), KEEP_NS)


def apply(
    state: Partition, command: Command, request: RequestId = NO_REQUEST, at: int = 0, expiry: int | None = None
) -> None:
    expiry_ns = at + KEEP_NS if expiry is None else expiry
    state.apply(Entry((1, "n"), state.applied + 1, at, request, expiry_ns, command))


def item(value: int) -> dict[str, dict[str, str]]:
    return {"v": {"N": str(value)}}


@pytest.mark.claim("retries")
def test_a_second_entry_of_one_request_changes_nothing() -> None:
    state = partition()
    apply(state, Write(b"k", item(1), {"Attributes": {}}), ("r", 1))
    apply(state, Write(b"k", item(2), {}), ("r", 2))
    apply(state, Write(b"k", item(1), {}), ("r", 1))
    assert state.get(b"k") == item(2)
    assert state.dedup[("r", 1)].body == {"Attributes": {}}


@pytest.mark.claim("retries")
def test_an_answer_is_forgotten_only_when_log_time_has_passed_its_expiry() -> None:
    state = partition()
    apply(state, Failed(400, "ConditionalCheckFailedException", {}), ("r", 1), at=0)
    apply(state, Write(b"k", item(1), {}), ("r", 2), at=KEEP_NS)
    assert ("r", 1) in state.dedup
    apply(state, Write(b"k", item(1), {}), ("r", 3), at=KEEP_NS + 1)
    assert ("r", 1) not in state.dedup and ("r", 2) in state.dedup


def test_log_time_never_goes_back() -> None:
    state = partition()
    apply(state, Write(b"k", item(1), {}), at=5)
    with pytest.raises(AssertionError):
        apply(state, Write(b"k", item(1), {}), at=4)


changes = st.lists(st.tuples(st.integers(1, 30), st.booleans()), max_size=30, unique_by=lambda c: c[0])


@pytest.mark.claim("S27", "index-order")
@given(changes, st.randoms(use_true_random=False))
def test_index_changes_in_any_order_and_doubled_end_where_their_versions_say(
    versions: list[tuple[int, bool]], random: object
) -> None:
    state = partition("by-colour")
    arriving = [IndexWrite(b"k", None if gone else item(v), v) for v, gone in versions] * 2
    random.shuffle(arriving)  # type: ignore[attr-defined]
    for change in arriving:
        apply(state, change)
    last = max(versions, default=(0, True))
    assert state.get(b"k") == (None if last[1] else item(last[0]))


@pytest.mark.claim("S27", "index-order")
def test_a_delete_that_is_told_again_keeps_out_a_put_that_was_sent_again_before_it() -> None:
    state = partition("by-colour")
    apply(state, IndexWrite(b"k", None, 6), at=0)
    # The base group was away; its next leader sends put 5 and delete 6 again, and the put is late once more.
    apply(state, IndexWrite(b"k", None, 6), at=30 * SECOND)
    apply(state, IndexWrite(b"other", item(1), 1), at=2 * KEEP_NS + SECOND)
    apply(state, IndexWrite(b"k", item(5), 5), at=45 * SECOND)
    assert state.get(b"k") is None


@given(
    st.lists(st.binary(min_size=1, max_size=2), unique=True, max_size=20),
    st.binary(max_size=2),
    st.binary(max_size=2),
    st.booleans(),
    st.integers(1, 5),
)
def test_pages_of_a_range_neither_skip_nor_repeat(
    keys: list[bytes], low: bytes, high: bytes, forward: bool, rows_max: int
) -> None:
    state = partition()
    for key in keys:
        apply(state, Write(key, item(len(key)), {}))
    seen: list[bytes] = []
    after, bound = b"", high
    more = True
    while more:
        page, _, more = state.rows(low, bound, after, forward, rows_max, 10**9)
        seen += page
        if page and forward:
            after = page[-1]
        elif page:
            bound = page[-1]
        else:
            assert not more
    wanted = [k for k in sorted(keys) if low <= k and (not high or k < high)]
    assert seen == (wanted if forward else wanted[::-1])
