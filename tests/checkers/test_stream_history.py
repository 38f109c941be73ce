"""A stream against what its writers know: each rule has a stream that breaks it alone."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from dynalab_checkers.history import MISSING, History, Json, Missing, Operation, Scalar
from dynalab_checkers.stream_history import check_records
from dynalab_checkers.streams import INSERT, MODIFY, REMOVE, Record


def history(*operations: Operation) -> History:
    for place, operation in enumerate(operations):
        operation.call_index = place
    return History(operations)


def write(value: int, call: int, old: Scalar | Missing = MISSING, outcome: str = "ok") -> Operation:
    return Operation(0, "write", "k", call, None if outcome == "info" else call + 5, outcome, value, old=old)


def cas(expected: int | None, value: int | None, call: int, outcome: str = "ok") -> Operation:
    return Operation(0, "cas", "k", call, None if outcome == "info" else call + 5, outcome, [expected, value])


def record(sequence: int, old: int | None, new: int | None, identity: str = "") -> Record:
    event = INSERT if old is None else REMOVE if new is None else MODIFY
    return Record(
        "s", sequence, "k", event, MISSING if old is None else old, MISSING if new is None else new, identity=identity
    )


WRITERS = (write(1, 0, None), cas(1, 2, 10), cas(2, None, 20), write(3, 30, None))
STREAM = [record(1, None, 1), record(2, 1, 2), record(3, 2, None), record(4, None, 3)]


def rule(records: list[Record], *operations: Operation, at_rest: bool = True) -> str:
    return check_records(records, history(*(operations or WRITERS)), at_rest=at_rest).why.partition(":")[0]


def test_every_change_has_one_record() -> None:
    found = check_records(STREAM, history(*WRITERS))
    assert (found.verdict, found.details) == ("valid", {"changes": 4, "records": 4})
    for place, missing in enumerate(STREAM):
        assert rule([one for one in STREAM if one is not missing]) == "missing", place
        assert rule([one for one in STREAM if one is not missing], at_rest=False) == "", place
        assert rule([*STREAM, replace(missing, sequence=9)]) == "twice", place


def test_a_record_of_what_nobody_did_or_what_was_refused_is_named() -> None:
    assert rule([*STREAM, record(9, 3, 7)]) == "nobody"
    refused = (*WRITERS, cas(3, 7, 40, "fail"))
    found = check_records([*STREAM, record(9, 3, 7)], history(*refused))
    assert found.why == "nobody: MODIFY of k at 9 in shard s says 7, which was refused"
    assert rule([*STREAM, record(9, 3, None)]) == "nobody"
    assert rule([*STREAM, record(9, 3, None)], *WRITERS, cas(3, None, 40, "fail")) == "nobody"


def test_a_write_of_unknown_outcome_has_one_record_or_none() -> None:
    unsure = (*WRITERS, cas(3, 7, 40, "info"))
    assert rule(STREAM, *unsure) == rule([*STREAM, record(9, 3, 7)], *unsure) == ""
    assert rule([*STREAM, record(9, 3, 7), record(10, 3, 7)], *unsure) == "twice"


def test_an_old_image_is_what_the_write_replaced() -> None:
    assert rule([STREAM[0], record(2, 9, 2), *STREAM[2:]]) == "old"
    assert rule([*STREAM[:3], record(4, 2, 3)]) == "old"
    assert rule([STREAM[0], record(2, None, 2), *STREAM[2:]]) == "old"


def test_records_of_one_key_stand_in_the_order_of_writes_that_did_not_overlap() -> None:
    blind = (write(1, 0), write(2, 10))
    assert rule([record(1, None, 1), record(2, 1, 2)], *blind) == ""
    assert rule([record(1, None, 2), record(2, 2, 1)], *blind) == "order"
    together = (write(1, 0), write(2, 3))
    assert rule([record(1, None, 2), record(2, 2, 1)], *together) == ""


def test_a_removal_that_found_nothing_has_no_record_and_one_that_does_not_tell_may_have_none() -> None:
    def delete(old: Scalar | Missing) -> Operation:
        return Operation(0, "delete", "k", 50, 55, "ok", old=old)

    assert rule(STREAM, *WRITERS, delete(None)) == ""
    assert rule(STREAM, *WRITERS, delete(MISSING)) == ""
    assert rule([*STREAM, record(9, 3, None)], *WRITERS, delete(MISSING)) == ""
    assert rule(STREAM, *WRITERS, delete(3)) == "missing"


def test_what_a_service_removed_is_no_clients() -> None:
    assert rule([*STREAM, record(9, 3, None, identity="service")]) == ""
    assert rule([*STREAM, record(9, 3, None)]) == "nobody"


def test_transactions_have_a_record_for_each_item_that_they_changed() -> None:
    both = Operation(0, "txn", "", 0, 5, "ok", [["w", "k", 1], ["cas", "j", None, 2], ["r", "i", None]])
    of_j = Record("s", 2, "j", INSERT, new=2)
    assert rule([record(1, None, 1), of_j], both) == rule([of_j, record(1, None, 1)], both) == ""
    assert rule([record(1, None, 1)], both) == "missing"


def test_values_that_repeat_cannot_be_told_apart() -> None:
    assert check_records([], history(write(1, 0), write(1, 10))).verdict == "unknown"


def test_streams_of_a_toy_table_are_right_and_every_mutation_is_seen() -> None:
    seen = 0
    for seed in range(60):
        draw = Random(seed).randrange
        held: int | None = None
        operations: list[Operation] = []
        records: list[Record] = []
        for number in range(1, 15):
            wanted = None if held is not None and not draw(4) else number
            outcome = ("ok", "info", "fail")[draw(3)]
            operation = (
                cas(held, wanted, 20 * number, outcome) if draw(2) or wanted is None else write(number, 20 * number)
            )
            operations.append(operation)
            if operation.outcome == "ok" or (operation.outcome == "info" and draw(2)):
                records.append(record(number, held, wanted))
                held = wanted
        assert rule(records, *operations) == ""
        changed: list[Json | Missing] = [one.new for one in records if one.event != REMOVE]
        acknowledged = [operation.value for operation in operations if operation.outcome == "ok"]
        victim = next(one for one in records if one.new in changed and one.new in acknowledged)
        seen += rule([one for one in records if one is not victim], *operations) == "missing"
        assert rule([*records, replace(records[draw(len(records))], sequence=99)], *operations) == "twice"
    assert seen == 60
