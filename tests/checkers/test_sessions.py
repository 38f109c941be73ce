"""Session guarantees: literal histories, and an oracle that tries every order of the writes of small random ones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, permutations, product
from random import Random
from time import process_time

import pytest

from dynalab_checkers.committed import written
from dynalab_checkers.history import MISSING, History, Missing, Operation, Scalar
from dynalab_checkers.key_order import KeyOrder
from dynalab_checkers.sessions import MONOTONIC_READS, READ_YOUR_WRITES, check_sessions
from dynalab_checkers.verdict import Verdict


def op(
    f: str,
    process: int,
    call: int,
    ret: int | None,
    value: Scalar | tuple[Scalar, Scalar] = None,
    *,
    old: Scalar | Missing = MISSING,
    found: Scalar | Missing = MISSING,
    outcome: str = "ok",
    consistency: str | None = None,
    session: str | None = None,
) -> Operation:
    reads = f == "read"
    return Operation(
        process,
        f,
        "k",
        call,
        ret,
        outcome,
        None if reads else list(value) if isinstance(value, tuple) else value,
        value if reads and not isinstance(value, tuple) else None,
        old,
        found,
        consistency,
        session,
        call_index=2 * call + 1,
        ret_index=None if ret is None else 2 * ret,
    )


def judged(*operations: Operation, **options: object) -> Verdict:
    return check_sessions(History(operations), **options)  # type: ignore[arg-type]


def test_a_session_that_reads_what_it_wrote_is_valid() -> None:
    assert judged(op("write", 0, 0, 10, 1, old=None), op("read", 0, 20, 30, 1)).verdict == "valid"


def test_a_session_that_reads_a_newer_value_than_its_own_is_valid() -> None:
    history = [op("write", 0, 0, 10, 1), op("write", 1, 20, 30, 2, old=1), op("read", 0, 40, 50, 2)]
    assert judged(*history).verdict == "valid"


def test_a_session_that_reads_older_than_its_own_write_is_named() -> None:
    first, second = op("write", 1, 0, 10, 1, old=None), op("write", 0, 20, 30, 2, old=1)
    stale = op("read", 0, 40, 50, 1)
    verdict = judged(first, second, stale)
    assert verdict.verdict == "invalid"
    assert verdict.details == {"guarantee": READ_YOUR_WRITES}
    assert (
        verdict.why == "read-your-writes: process 0 read 1 from k after its write of 2, but the write of 2 replaced 1"
    )
    assert verdict.operations == [first, second, stale]
    assert verdict.highlight == [stale]


def test_another_sessions_write_promises_nothing_to_a_reader_of_it() -> None:
    history = [op("write", 0, 0, 10, 1), op("write", 0, 20, 30, 2, old=1), op("read", 7, 40, 50, 1)]
    assert judged(*history).verdict == "valid"


def test_reads_that_go_back_are_not_monotonic() -> None:
    history = [
        op("write", 0, 0, 10, 1),
        op("write", 0, 20, 30, 2, old=1),
        op("write", 0, 32, 35, 3, old=2),
        op("read", 7, 40, 50, 3),
        op("read", 7, 60, 70, 1),
    ]
    verdict = judged(*history)
    assert verdict.details == {"guarantee": MONOTONIC_READS}
    assert verdict.why == (
        "monotonic-reads: process 7 read 1 from k after it had read 3, "
        "but the write of 3 came 2 versions later, each replacing the last"
    )
    assert judged(*history[:-1]).verdict == "valid"


def test_one_guarantee_can_be_asked_for_alone() -> None:
    back = [
        op("write", 0, 0, 10, 1),
        op("write", 0, 20, 30, 2, old=1),
        op("read", 7, 40, 50, 2),
        op("read", 7, 60, 70, 1),
    ]
    assert judged(*back, guarantees=(READ_YOUR_WRITES,)).verdict == "valid"
    assert judged(*back, guarantees=(MONOTONIC_READS,)).verdict == "invalid"


@pytest.mark.claim("S24")
def test_strong_reads_are_judged_and_eventual_and_index_reads_only_on_demand() -> None:
    for flavour, default in (("strong", "invalid"), (None, "invalid"), ("eventual", "valid"), ("index", "valid")):
        history = [op("write", 0, 0, 10, 1, old=None), op("read", 0, 20, 30, None, consistency=flavour)]
        assert judged(*history).verdict == default
        assert judged(*history, flavours=(flavour,)).verdict == "invalid"


def test_real_time_orders_blind_writes_unless_it_is_not_promised() -> None:
    history = [op("write", 1, 0, 10, 1), op("write", 0, 20, 30, 2), op("read", 0, 40, 50, 1)]
    verdict = judged(*history)
    assert verdict.verdict == "invalid"
    assert verdict.why.endswith("but the write of 1 was over when the write of 2 began")
    assert judged(*history, real_time=False).verdict == "valid"


def test_concurrent_blind_writes_accuse_nobody() -> None:
    assert judged(op("write", 0, 0, 30, 1), op("write", 1, 5, 25, 2), op("read", 0, 40, 50, 2)).verdict == "valid"


def test_two_sessions_that_saw_concurrent_writes_in_opposite_orders_cannot_both_be_monotonic() -> None:
    history = [
        op("write", 0, 0, 100, 1),
        op("write", 1, 5, 100, 2),
        op("read", 2, 10, 20, 1),
        op("read", 3, 10, 20, 2),
        op("read", 2, 30, 40, 2),
        op("read", 3, 30, 40, 1),
    ]
    verdict = judged(*history)
    assert verdict.verdict == "invalid"
    assert "process 2 read 2 from k after it had read 1" in verdict.why
    assert "process 3 read 1 from k after it had read 2" in verdict.why
    assert len(verdict.highlight) == 2
    assert judged(*history[:-1]).verdict == "valid"


def test_a_write_of_unknown_outcome_promises_nothing_to_its_writer() -> None:
    lost = [op("write", 0, 0, 10, 1, session="s"), op("write", 0, 20, None, 2, outcome="info", session="s")]
    assert judged(*lost, op("read", 1, 40, 50, 1, session="s")).verdict == "valid"


def test_a_session_links_processes() -> None:
    written_by_0 = [op("write", 0, 0, 10, 1, session="s"), op("write", 0, 20, 30, 2, old=1, session="s")]
    verdict = judged(*written_by_0, op("read", 1, 40, 50, 1, session="s"))
    assert verdict.why.startswith("read-your-writes: session s read 1 from k after its write of 2")
    assert judged(*written_by_0, op("read", 1, 40, 50, 1)).verdict == "valid"


def test_an_overlapping_operation_of_the_same_session_is_no_floor() -> None:
    history = [
        op("write", 0, 0, 10, 1),
        op("write", 0, 20, 60, 2, old=1, session="s"),
        op("read", 1, 40, 50, 1, session="s"),
    ]
    assert judged(*history).verdict == "valid"


def test_processes_of_a_session_that_touch_at_one_instant_are_concurrent() -> None:
    history = [op("write", 0, 0, 10, 1), op("write", 0, 20, 40, 2, old=1, session="s")]
    assert judged(*history, op("read", 1, 40, 50, 1, session="s")).verdict == "valid"
    assert judged(*history, op("read", 1, 41, 50, 1, session="s")).verdict == "invalid"
    assert judged(*history, op("read", 0, 40, 50, 1, session="s")).verdict == "invalid"


def test_what_a_failed_condition_found_is_a_strong_read() -> None:
    history = [
        op("write", 0, 0, 10, 1),
        op("write", 0, 20, 30, 2, old=1),
        op("cas", 0, 40, 50, (7, 8), outcome="fail", found=1),
    ]
    assert judged(*history).verdict == "invalid"
    assert judged(*history, flavours=("eventual",)).verdict == "valid"


def test_absence_after_a_write_needs_a_delete_that_had_begun() -> None:
    history = [op("write", 0, 0, 10, 1, old=None), op("read", 0, 20, 30, None)]
    assert judged(*history).why == (
        "read-your-writes: process 0 read absent from k after its write of 1, but absent is what the key began with"
    )
    assert judged(*history, op("delete", 1, 25, 40, old=1)).verdict == "valid"
    assert judged(*history, op("delete", 1, 31, 40, old=1)).verdict == "invalid"
    assert judged(*history, op("delete", 1, 5, None, outcome="info")).verdict == "valid"
    assert judged(*history, op("delete", 1, 5, 8, outcome="fail")).verdict == "invalid"


def test_a_deleted_value_that_comes_back_is_found() -> None:
    history = [
        op("write", 0, 0, 10, 1, old=None),
        op("delete", 0, 20, 30, old=1),
        op("read", 7, 40, 50, None),
        op("read", 7, 60, 70, 1),
    ]
    assert judged(*history[:-1], op("read", 0, 60, 70, None)).verdict == "valid"
    assert judged(*history, op("read", 0, 80, 90, 1), guarantees=(READ_YOUR_WRITES,)).verdict == "invalid"
    # Process 7 may have read the initial absence first, as far as its own session tells, unless it had seen 1 before.
    assert judged(*history).verdict == "valid"
    assert judged(op("read", 7, 11, 12, 1), *history).verdict == "invalid"


def test_an_initial_value_counts_as_the_oldest() -> None:
    history = History([op("write", 0, 0, 10, 1), op("read", 0, 20, 30, 9)])
    assert check_sessions(history, initial={"k": 9}).verdict == "invalid"
    assert check_sessions(history).verdict == "valid"  # a value that nobody wrote: `committed` judges that


@pytest.mark.parametrize(
    ("history", "reason"),
    [
        ([op("write", 0, 0, 10, 1), op("write", 1, 20, 30, 1)], "written twice"),
        (
            [op("write", 0, 0, 10, 1), op("write", 1, 20, 30, 2, old=1), op("write", 1, 40, 50, 3, old=1)],
            "replaced twice",
        ),
        ([op("write", 0, 0, 10, 1, old=2), op("write", 1, 0, 10, 2, old=1)], "in a circle"),
        ([op("write", 0, 0, 10, 1, old=7)], "nobody wrote it"),
        ([op("write", 0, 0, 10, 1, old=2), op("write", 1, 20, 30, 2)], "before what it replaced was written"),
        (
            [op("write", 0, 0, 10, 1), op("write", 1, 20, 30, 2), op("write", 2, 40, 50, 3, old=1)],
            "contradict each other in real time",
        ),
    ],
)
def test_contradicting_writes_give_no_order_and_so_no_verdict(history: list[Operation], reason: str) -> None:
    verdict = judged(*history, op("read", 9, 90, 95, 1))
    assert verdict.verdict == "unknown"
    assert reason in verdict.why


def test_operations_that_may_write_anything_make_it_unknown() -> None:
    assert judged(Operation(0, "txn", "", 0, 10, "ok", [["w", "k", 5]])).verdict == "unknown"


def test_a_long_chain_of_deletes_stays_decidable() -> None:
    """Far more deletes than the checker would list as candidates: the old ones are known to be too old."""
    history: list[Operation] = []
    for number in range(300):
        history.append(op("write", 0, 40 * number, 40 * number + 10, number + 1, old=None))
        history.append(op("delete", 0, 40 * number + 20, 40 * number + 30, old=number + 1))
    last = [op("write", 0, 20_000, 20_010, 1_000, old=None), op("read", 0, 20_020, 20_030, None)]
    assert judged(*history, op("read", 0, 19_000, 19_010, None)).verdict == "valid"
    assert judged(*history, *last).verdict == "invalid"


def test_a_hundred_thousand_operations_take_seconds() -> None:
    random, history, clock = Random(7), [], 0
    value = None
    for number in range(100_000):
        clock += 20
        process = random.getrandbits(4)
        if random.getrandbits(1):
            history.append(op("read", process, clock, clock + 30, value))
        else:
            history.append(op("write", process, clock, clock + 10, number, old=value))
            value = number
    start = process_time()
    assert judged(*history).verdict == "valid"
    assert process_time() - start < 10, "measured: about 1 s; a quadratic step would take minutes"


# The oracle: every subset of the unsure writes, every order of the writes, every position that a read can have seen.


def fits(order: tuple[int, ...], history: list[Operation]) -> bool:
    """Whether an order of (positions of) writes keeps chains, real time and what was observed."""
    rank = {position: place for place, position in enumerate(order)}
    state: Scalar = None
    for position in order:
        operation = history[position]
        needs = operation.value[0] if operation.f == "cas" and isinstance(operation.value, list) else operation.old
        if not isinstance(needs, Missing) and needs != state:
            return False
        state = written(operation)
    for one, other in product(order, order):
        first, second = history[one], history[other]
        done = [first.ret] if first.ret is not None else []
        for reader in history:
            values = [reader.result] if reader.f == "read" else [reader.old, reader.found]
            if reader.f == "cas" and reader.outcome == "ok" and isinstance(reader.value, list):
                values.append(reader.value[0])  # type: ignore[arg-type]
            if written(first) is not None and written(first) in values and reader.ret is not None:
                done += [reader.ret] if reader.ret >= first.call else []
        late = bool(done) and min(done) < second.call
        late = late or (first.ret == second.call and first.process == second.process and one != other)
        if late and rank[one] > rank[other]:
            return False
    return True


def orders(history: list[Operation]) -> Iterator[tuple[int, ...]]:
    writes = [number for number, it in enumerate(history) if it.f != "read" and it.outcome != "fail"]
    seen = [value for it in history for value in (it.result, it.old) if not isinstance(value, Missing) and value]
    sure = [number for number in writes if history[number].outcome == "ok" or written(history[number]) in seen]
    unsure = [number for number in writes if number not in sure]
    for size in range(len(unsure) + 1):
        for chosen in combinations(unsure, size):
            yield from (order for order in permutations(sure + list(chosen)) if fits(order, history))


def keeps(order: tuple[int, ...], history: list[Operation], guarantees: tuple[str, ...]) -> bool:
    """Whether the reads can be placed in this order so that every session keeps its guarantees."""
    states: list[Scalar] = [None, *(written(history[number]) for number in order)]
    floors: dict[int, int] = {}
    for number, operation in enumerate(history):
        floor = floors.get(operation.process, 0)
        if operation.f != "read" and operation.outcome == "ok":
            if READ_YOUR_WRITES in guarantees:
                floors[operation.process] = max(floor, order.index(number) + 1)
            continue
        value = operation.result if operation.f == "read" else operation.found
        if isinstance(value, Missing) or operation.outcome == "info":
            continue
        places = [place for place, state in enumerate(states) if state == value]
        if value is None:  # an absence that began after the read is not what it saw
            places = [place for place in places if place == 0 or history[order[place - 1]].call <= (operation.ret or 0)]
        elif not places:
            continue
        places = [place for place in places if place >= floor]
        if not places:
            return False
        if MONOTONIC_READS in guarantees:
            floors[operation.process] = places[0]
    return True


def random_history(random: Random, deletes: bool) -> list[Operation]:
    """Two or three sessions and at most five writes; the old values are true to some order, reads are what they are."""
    clock = [0, 0, 0]
    operations: list[Operation] = []
    writes = 0
    made: list[Scalar] = []
    for value in range(1, 8):
        process = random.randrange(3)
        call = clock[process] + random.randrange(4)
        ret = call + random.randrange(1, 12)
        clock[process] = ret
        if random.randrange(2) or writes == 5:
            operations.append(op("read", process, call, ret, random.choice([None, *made])))
            continue
        writes += 1
        f = random.choice(["write", "write", "delete"] if deletes else ["write"])
        made += [value] if f == "write" else []
        if random.randrange(8) == 0:
            operations.append(op(f, process, call, None, value if f == "write" else None, outcome="info"))
            clock[process] = 1_000  # nothing more from this process that others could meet
        else:
            operations.append(op(f, process, call, ret, value if f == "write" else None))
    operations = [operation for operation in operations if operation.call < 1_000]
    operations.sort(key=lambda operation: (operation.call, operation.process))
    for order in orders(operations):
        state: Scalar = None
        for number in order:
            if operations[number].outcome == "ok" and random.randrange(3):
                operations[number].old = state
            state = written(operations[number])
        break
    for number, operation in enumerate(operations):
        operation.call_index = number
        if operation.f != "read" and operation.outcome == "ok" and random.randrange(40) == 0:
            operation.old = random.choice([None, *made])  # a lie, now and then
    return operations


@pytest.mark.parametrize("guarantees", [(READ_YOUR_WRITES,), (MONOTONIC_READS,), (READ_YOUR_WRITES, MONOTONIC_READS)])
@pytest.mark.parametrize("deletes", [False, True])
def test_the_verdict_agrees_with_trying_every_order(deletes: bool, guarantees: tuple[str, ...]) -> None:
    """Without deletes the checker is exact. With them *absent* has many makers: it may miss a fault, never make one."""
    random = Random(f"{deletes} {guarantees}")
    counts = {"valid": 0, "invalid": 0, "unknown": 0, "missed": 0}
    for _ in range(1_000):
        history = random_history(random, deletes)
        legal = list(orders(history))
        right = any(keeps(order, history, guarantees) for order in legal)
        verdict = check_sessions(History(history), guarantees=guarantees).verdict
        counts[verdict] += 1
        if verdict == "unknown":
            assert not legal, history
        elif verdict == "invalid":
            assert not right, history
        elif not deletes:
            assert right, history
        elif legal and not right:
            counts["missed"] += 1
    assert counts["valid"] > 100, counts
    assert counts["invalid"] > 50, counts
    assert counts["missed"] <= counts["invalid"] // 10, counts


def test_before_holds_in_every_order_that_fits() -> None:
    random = Random(3)
    compared = 0
    for _ in range(500):
        history = random_history(random, deletes=True)
        known, legal = KeyOrder(history), list(orders(history))
        if known.problem or not legal:
            continue
        for (one, version), (other, later) in product(known.of_write.items(), known.of_write.items()):
            if known.before(version, later):
                compared += 1
                for order in legal:
                    if one in order and other in order:
                        assert order.index(one) < order.index(other), (history, one, other)
    assert compared > 300
