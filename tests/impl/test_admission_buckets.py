"""Token buckets and a partition's meter, against figures worked out by hand and against a plain reference."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab_impl.admission import READ, WRITE, Admission
from dynalab_impl.buckets import SECOND_NS, Bucket, full_bucket, halved, refill, resized, take, tokens
from dynalab_impl.effects import Address, Limits
from dynalab_impl.messages import GroupSpec
from dynalab_impl.metadata import Allowance

SPEC = GroupSpec("T/1.0", "T", "", b"", b"", (), None)
OTHERS = [Address("r1", "z2", "n2"), Address("r1", "z3", "n3")]
LEAP = 86_400


def node(read: int = 0, write: int = 0, partitions: int = 1, **limits: int) -> Admission:
    """A node that has heard what table T may use (nothing bought: on demand)."""
    admission = Admission(Limits(**limits))
    admission.start(0, 0)
    admission.learn([Allowance("T", "", read, write, partitions)], 0)
    return admission


def write(admission: Admission, seconds: int | Fraction, units: int = 1) -> str:
    """What comes of one write at that second: "" when it is admitted (and paid), else the reason."""
    error = admission.refusal(SPEC, WRITE, True, OTHERS, int(seconds * SECOND_NS))
    if error is None:
        admission.pay_write(SPEC.group, units)
        return ""
    reasons = error.extra.get("ThrottlingReasons") or error.extra["throttlingReasons"]
    return reasons[0]["reason"]  # type: ignore[index, no-any-return]


def read(admission: Admission, seconds: int | Fraction, half_units: int = 2, leads: bool = True) -> str:
    error = admission.refusal(SPEC, READ, leads, [], int(seconds * SECOND_NS))
    if error is None:
        admission.pay_read(SPEC.group, half_units)
        return ""
    reasons = error.extra.get("ThrottlingReasons") or error.extra["throttlingReasons"]
    return reasons[0]["reason"]  # type: ignore[index, no-any-return]


def admitted(admission: Admission, seconds: int, count: int) -> int:
    """How many of so many writes of one unit at that second are admitted."""
    return sum(1 for _ in range(count) if not write(admission, seconds))


# --- one bucket -----------------------------------------------------------------------------------------------------


def test_a_level_follows_the_figures_worked_out_by_hand() -> None:
    bucket = full_bucket(5, SECOND_NS, 1, 0)
    trace = []
    # 5 - 3 = 2; 2 + 10 is more than the capacity, so 5 - 9 = -4; -4 + 5 = 1; 1 - 1 = 0; 0 + 50 is full: 5.
    for second, cost in [(0, 3), (2, 9), (3, 0), (3, 1), (13, 0)]:
        bucket = take(refill(bucket, second * SECOND_NS)[0], cost)
        trace.append(tokens(bucket))
    assert trace == [2, -4, 1, 0, 5]


def test_what_a_full_bucket_gains_spills_over_to_the_last_token() -> None:
    bucket = take(full_bucket(5, SECOND_NS, 1, 0), 4)
    bucket, spilled = refill(bucket, 10 * SECOND_NS)
    assert (tokens(bucket), spilled) == (5, 46 * SECOND_NS)  # it held 1, gained 50 and had room for 4


@given(
    rate=st.integers(1, 10_000),
    per_ns=st.integers(1, 12 * SECOND_NS),
    seconds=st.integers(1, 300),
    steps=st.lists(st.tuples(st.integers(0, 40 * SECOND_NS), st.integers(0, 5_000)), max_size=30),
)
def test_a_bucket_holds_what_exact_fractions_say(
    rate: int, per_ns: int, seconds: int, steps: list[tuple[int, int]]
) -> None:
    bucket, now_ns = full_bucket(rate, per_ns, seconds, 0), 0
    room = Fraction(rate * seconds * SECOND_NS, per_ns)
    level = room
    for elapsed_ns, cost in steps:
        now_ns += elapsed_ns
        gained = level + Fraction(rate * elapsed_ns, per_ns)
        level = min(room, gained)
        bucket, spilled = refill(bucket, now_ns)
        assert Fraction(spilled, per_ns) == gained - level
        bucket, level = take(bucket, cost), level - cost
        assert Fraction(bucket.level, per_ns) == level
        assert (bucket.level > 0) == (level > 0)


@given(parts=st.lists(st.integers(0, SECOND_NS), min_size=1, max_size=20))
def test_looking_often_gains_no_more_than_looking_once(parts: list[int]) -> None:
    start = take(full_bucket(7, 3 * SECOND_NS, 300, 0), 700)
    often, now_ns = start, 0
    for part in parts:
        now_ns += part
        often = refill(often, now_ns)[0]
    assert often == refill(start, now_ns)[0]


def test_halves_and_another_size_keep_the_tokens() -> None:
    bucket = take(full_bucket(10, SECOND_NS, 10, 0), 41)
    assert tokens(halved(bucket)) == 29
    assert tokens(resized(bucket, 1, SECOND_NS, 100)) == 59
    assert tokens(resized(bucket, 1, SECOND_NS, 50)) == 50
    assert tokens(resized(bucket, 20, 4 * SECOND_NS, 60)) == 59
    assert resized(bucket, 10, SECOND_NS, 10) == Bucket(10, SECOND_NS, 100 * SECOND_NS, 59 * SECOND_NS, 0)


# --- a partition ----------------------------------------------------------------------------------------------------


@pytest.mark.claim("S33")
def test_five_hundred_writes_and_fifteen_hundred_reads_fill_a_partition() -> None:
    admission = node()
    assert [write(admission, 0) for _ in range(500)] == [""] * 500
    assert [read(admission, 0) for _ in range(1_500)] == [""] * 1_500
    assert write(admission, 0) == "TableWriteKeyRangeThroughputExceeded"
    assert read(admission, 0) == "TableReadKeyRangeThroughputExceeded"


@pytest.mark.claim("S33")
@pytest.mark.parametrize(("reads", "writes"), [(3_000, 0), (0, 1_000), (1_500, 500), (2_700, 100), (300, 900)])
def test_every_second_a_partition_serves_each_linear_mix_and_nothing_beyond_it(reads: int, writes: int) -> None:
    admission = node()
    for second in range(3):
        assert sum(1 for _ in range(reads) if not read(admission, second)) == reads
        assert admitted(admission, second, writes) == writes
        assert read(admission, second) and write(admission, second)


@pytest.mark.claim("S33")
def test_eventual_reads_cost_half_and_followers_serve_a_third_of_them() -> None:
    leader, follower = node(), node()
    assert sum(1 for _ in range(9_000) if not read(leader, 0, 1)) == 6_000
    assert sum(1 for _ in range(9_000) if not read(follower, 0, 1, leads=False)) == 2_000


# --- a table that bought something -----------------------------------------------------------------------------------


@pytest.mark.claim("S36")
def test_the_table_the_burst_and_the_node_bucket_follow_the_figures_worked_out_by_hand() -> None:
    # 100 writes a second over four partitions: 25 a second here, and 300 seconds of it, 7,500, are saved up.
    admission = node(read=400, write=100, partitions=4)
    # A partition serves 1,000 a second: 25 from the allocated bucket, 975 from the burst bucket.
    assert admitted(admission, 0, 1_200) == 1_000
    # 25 + 975 again in each of the next seconds; after seven of them 25 + 700 are left: 7,500 - 7 * 975 = 675, ...
    assert [admitted(admission, second, 1_200) for second in range(1, 7)] == [1_000] * 6
    # ... and one second's 25 more: 675 + 25 = 700. Then 25 a second are all there is.
    assert [admitted(admission, second, 1_200) for second in range(7, 11)] == [700, 25, 25, 25]
    assert write(admission, 10) == "TableWriteProvisionedThroughputExceeded"
    # A hundred seconds of silence: the first fills the allocated bucket, 99 * 25 = 2,475 go into the burst bucket.
    assert [admitted(admission, second, 1_200) for second in range(110, 114)] == [1_000, 1_000, 550, 25]


@pytest.mark.claim("S36")
def test_a_small_table_has_three_hundred_seconds_of_burst() -> None:
    admission = node(read=5, write=5)
    assert admitted(admission, 0, 1_000) == 1_000
    assert admitted(admission, 1, 1_000) == 510  # 1,500 + 5 + 5 in all
    assert admitted(admission, 2, 1_000) == 5
    later = 2 + 300
    assert admitted(admission, later, 1_000) == 1_000
    assert admitted(admission, later + 1, 1_000) == 505
    assert admitted(admission, later + LEAP, 1_000) + admitted(admission, later + LEAP + 1, 1_000) == 1_510


def test_a_partition_with_less_than_a_token_a_second_still_gets_each_of_them() -> None:
    admission = node(read=1, write=1, partitions=4, burst_s=0)
    outcomes = [write(admission, second) == "" for second in range(41)]
    assert outcomes.count(True) == 11 and outcomes[0]  # it begins with a quarter, goes into debt, and pays a quarter


@pytest.mark.claim("S36")
def test_a_burst_stops_when_a_member_s_node_has_nothing_left() -> None:
    admission = node(read=5, write=5)
    assert admitted(admission, 0, 6) == 6  # one of them from the burst bucket
    admission.spare[OTHERS[1]] = 0
    assert write(admission, 0) == "TableWriteProvisionedThroughputExceeded"
    assert write(admission, 1) == ""  # what the table bought is served all the same
    admission.spare[OTHERS[1]] = 7
    assert admitted(admission, 1, 20) == 20


@pytest.mark.claim("S36")
def test_a_burst_stops_when_the_node_s_own_bucket_is_empty() -> None:
    admission = node(read=1, write=900, node_partitions=1)
    other = GroupSpec("U/1.0", "U", "", b"", b"", (), None)
    for _ in range(1_000):  # another table's partition uses up the node
        assert admission.refusal(other, WRITE, True, [], 0) is None
        admission.pay_write(other.group, 1)
    assert admission.left(0) == 0
    assert admitted(admission, 0, 2_000) == 900  # what was bought is not the node's to refuse; the burst is


def test_a_cost_known_afterwards_may_leave_a_debt_and_the_debt_is_paid() -> None:
    admission = node(read=10, write=10, burst_s=0)
    assert write(admission, 0, units=400) == ""
    refused_until = next(s for s in range(100) if write(admission, s) == "")
    assert refused_until == 40  # 10 - 400 = -390; 390 are paid after 39 seconds, and above zero is after that


def test_more_throughput_keeps_what_was_saved_and_counts_from_now_on() -> None:
    admission = node(read=5, write=5)
    assert admitted(admission, 0, 505) == 505  # 1,000 of the burst are left
    admission.learn([Allowance("T", "", 5, 800, 1)], SECOND_NS)
    # 5 flowed in in the first second, the new rate counts from its end: 1,005 - 1,000 = 5, and 800 a second more.
    assert [admitted(admission, second, 2_000) for second in (1, 2, 3)] == [1_000, 805, 800]


def test_lifted_limits_admit_everything_and_still_remember_what_was_refused() -> None:
    admission = node(read=5, write=5, burst_s=0)
    admission.turned_away["router", 7] = 10
    assert admitted(admission, 0, 100) == 5
    admission.change(None)
    assert admitted(admission, 0, 5_000) == 5_000
    assert admission.was_turned_away(("router", 7), 0)
    admission.change(Limits(burst_s=0))
    assert admitted(admission, 1, 100) == 5


# --- a table on demand ------------------------------------------------------------------------------------------------


@pytest.mark.claim("S38")
def test_on_demand_there_are_only_the_partition_s_and_the_node_s_limit() -> None:
    admission = node(node_partitions=2)
    specs = [GroupSpec(f"T/1.{i}", "T", "", b"", b"", (), None) for i in range(3)]
    served = []
    for spec in specs:
        count = 0
        while admission.refusal(spec, WRITE, True, OTHERS, 0) is None:
            admission.pay_write(spec.group, 1)
            count += 1
        served.append(count)
    assert served == [1_000, 1_000, 0]
    error = admission.refusal(specs[0], WRITE, True, OTHERS, 0)
    assert error is not None and error.code == "ThrottlingException"
    assert error.message.startswith("Throughput exceeds the current capacity of your table or index. DynamoDB is auto")
    assert error.body()["throttlingReasons"] == [
        {
            "reason": "TableWriteKeyRangeThroughputExceeded",
            "resource": "arn:aws:dynamodb:us-east-1:000000000000:table/T",
        }
    ]


def ceilings(admission: Admission, read: int = 0, write: int = 0, now: int = 0) -> None:
    """Table T, on demand, may use so much at most."""
    admission.learn([Allowance("T", "", 0, 0, 1, read, write)], now)


def test_on_demand_a_ceiling_holds_a_table_as_bought_units_would() -> None:
    admission = node(burst_s=0)
    ceilings(admission, read=10, write=5)
    assert [admitted(admission, second, 50) for second in (0, 1, 2)] == [5, 5, 5]
    assert write(admission, 2) == "TableWriteMaxOnDemandThroughputExceeded"
    served = 0
    while (said := read(admission, 2)) == "":
        served += 1
    assert (served, said) == (10, "TableReadMaxOnDemandThroughputExceeded")
    error = admission.refusal(SPEC, WRITE, True, OTHERS, 2 * SECOND_NS)
    assert error is not None and error.code == "ThrottlingException"
    assert error.body()["throttlingReasons"] == [
        {
            "reason": "TableWriteMaxOnDemandThroughputExceeded",
            "resource": "arn:aws:dynamodb:us-east-1:000000000000:table/T",
        }
    ]


def test_a_ceiling_of_writes_is_none_of_reads_and_is_lifted_without_a_trace() -> None:
    admission = node()
    ceilings(admission, write=5)
    assert admitted(admission, 0, 2_000) == 1_000, "what a partition takes: 1,505 are in the burst and in this second"
    assert admitted(admission, 1, 2_000) == 510, "the rest of the burst, and what came in"
    assert [read(admission, 2) for _ in range(1_000)] == [""] * 1_000
    ceilings(admission, now=3 * SECOND_NS)
    assert admitted(admission, 4, 2_000) == 1_000
    assert write(admission, 4) == "TableWriteKeyRangeThroughputExceeded"


def test_a_ceiling_is_divided_over_partitions_and_a_table_below_it_is_not_refused() -> None:
    admission = node(burst_s=0)
    admission.learn([Allowance("T", "", 0, 0, 4, 0, 100)], 0)
    assert [admitted(admission, second, 25) for second in range(5)] == [25] * 5
    assert write(admission, 4) == "TableWriteMaxOnDemandThroughputExceeded"


def test_below_its_ceiling_an_on_demand_table_still_has_no_claim_on_a_node_that_is_full() -> None:
    admission = node(node_partitions=1)
    other = GroupSpec("U/1.0", "U", "", b"", b"", (), None)
    ceilings(admission, write=5)
    while admission.refusal(other, WRITE, True, OTHERS, 0) is None:
        admission.pay_write(other.group, 1)
    assert write(admission, 0) == "TableWriteKeyRangeThroughputExceeded"


def test_a_provisioned_index_is_refused_in_the_index_s_own_words() -> None:
    admission = node()
    admission.learn([Allowance("T", "by-x", 1, 1, 1)], 0)
    spec = GroupSpec("T.by-x/1.0", "T", "by-x", b"", b"", (), None)
    while (error := admission.refusal(spec, READ, True, [], 0)) is None:
        admission.pay_read(spec.group, 100)
    assert error.code == "ProvisionedThroughputExceededException"
    assert error.message.startswith("The level of configured provisioned throughput for one or more global secondary")
    assert error.body()["ThrottlingReasons"] == [
        {
            "reason": "IndexReadProvisionedThroughputExceeded",
            "resource": "arn:aws:dynamodb:us-east-1:000000000000:table/T/index/by-x",
        }
    ]


# --- splits -----------------------------------------------------------------------------------------------------------


@pytest.mark.claim("S136")
def test_a_split_leaves_each_child_half_of_every_bucket_and_a_whole_partition_s_rate() -> None:
    admission = node(read=5, write=5)
    assert admitted(admission, 0, 705) == 705  # 800 of the burst, 295 of the partition's second are left
    children = [GroupSpec(f"T/1.0.{i}", "T", "", b"", b"", (), None) for i in range(2)]
    admission.divide(SPEC.group, [child.group for child in children])
    admission.learn([Allowance("T", "", 5, 5, 2)], 0)
    served = []
    for child in children:
        count = 0
        while admission.refusal(child, WRITE, True, OTHERS, 0) is None:
            admission.pay_write(child.group, 1)
            count += 1
        served.append(count)
    assert served == [148, 148]  # 147.5 a child: the last one is admitted with half a token, and leaves a debt
    for child in children:
        count = 0
        while admission.refusal(child, WRITE, True, OTHERS, 2 * SECOND_NS) is None:
            admission.pay_write(child.group, 1)
            count += 1
        # 400 - 148 = 252 were left of the burst, and two seconds of 2.5 each came in (a token is begun, then owed).
        assert 257 <= count <= 259
