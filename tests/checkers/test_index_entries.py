"""What queries of an index show: each rule has a history that breaks it alone."""

from __future__ import annotations

import pytest

from dynalab_checkers.convergence import check_index
from dynalab_checkers.history import History, Json, Operation
from dynalab_checkers.index_entries import check_index_entries


def history(*operations: Operation) -> History:
    for place, operation in enumerate(operations):
        operation.call_index = place
    return History(operations)


def write(key: str, value: int, owner: str | None, call: int, outcome: str = "ok") -> Operation:
    entry: Json = None if owner is None else [owner, {"v": value}]
    ret = None if outcome == "info" else call + 5
    return Operation(0, "write", key, call, ret, outcome, value, extra={"entries": {"by-owner": entry}})


def query(call: int, *entries: Json, asked: str | None = None, index: str = "by-owner") -> Operation:
    extra: dict[str, Json] = {"index_name": index} if asked is None else {"index_name": index, "asked": asked}
    return Operation(1, "query", "", call, call + 5, "ok", extra=extra, ret_extra={"entries": list(entries)})


ANN: Json = ["k", "ann", {"v": 1}]


def why(*operations: Operation) -> str:
    return check_index_entries(history(*operations)).why


@pytest.mark.claim("S27")
def test_an_entry_may_be_old_as_long_as_it_was_committed() -> None:
    moved = (write("k", 1, "ann", 0), write("k", 2, "bob", 10), query(50, ANN))
    assert check_index_entries(history(*moved)).verdict == "valid"
    both = query(60, ANN, ["k", "bob", {"v": 2}])
    assert check_index_entries(history(*moved, both)).details == {"entries": 3, "wrong": 0}


def test_an_entry_of_an_unknown_outcome_may_be_seen_and_of_a_refused_write_never() -> None:
    assert check_index_entries(history(write("k", 1, "ann", 0, "info"), query(50, ANN))).verdict == "valid"
    assert why(write("k", 1, "ann", 0, "fail"), query(50, ANN)).endswith(
        "which only a write that was refused projects to"
    )


def test_an_entry_is_the_projection_of_one_version_and_not_of_two() -> None:
    torn = query(50, ["k", "ann", {"v": 2}])
    assert why(write("k", 1, "ann", 0), write("k", 2, "bob", 10), torn) == (
        'the query of by-owner at 50 ns showed k under "ann" with {"v": 2}, which no version of k projects to'
    )


def test_an_entry_is_not_seen_before_it_is_written() -> None:
    assert why(query(50, ANN), write("k", 1, "ann", 100)).endswith("which was written only at 100 ns")
    assert check_index_entries(history(query(50, ANN), write("k", 1, "ann", 55))).verdict == "valid"


@pytest.mark.claim("S30")
def test_a_version_that_the_index_leaves_out_is_not_shown() -> None:
    assert why(write("k", 1, None, 0), query(50, ANN)).endswith("which no version of k projects to")


def test_a_query_shows_what_was_asked_for_and_each_entry_once() -> None:
    assert why(write("k", 1, "ann", 0), query(50, ANN, asked="bob")).endswith('not what was asked for ("bob")')
    assert why(write("k", 1, "ann", 0), query(50, ANN, ANN)).endswith("a second time")


def test_indexes_are_told_apart() -> None:
    assert why(write("k", 1, "ann", 0), query(50, ANN, index="by-colour")).endswith("which no version of k projects to")


def test_writes_of_transactions_are_in_the_index_too() -> None:
    entries: Json = {"k": {"by-owner": ["ann", {"v": 1}]}, "j": {"by-owner": None}}
    both = Operation(0, "txn", "", 0, 5, "ok", [["w", "k", 1], ["w", "j", 2]], extra={"entries": entries})
    assert check_index_entries(history(both, query(50, ANN))).verdict == "valid"
    assert why(both, query(50, ["j", "ann", {"v": 2}])).endswith("which no version of j projects to")


def test_nothing_shown_is_nothing_judged() -> None:
    assert check_index_entries(history(write("k", 1, "ann", 0), query(50))).verdict == "unknown"


def test_at_rest_an_entry_of_an_item_that_was_deleted_moved_or_left_is_named_so() -> None:
    def by_owner(key: str, item: object) -> tuple[tuple[str, str], object] | None:
        assert isinstance(item, dict)
        return ((item["owner"], key), item["v"]) if "owner" in item else None

    base: dict[str, object] = {"k": {"owner": "bob", "v": 2}, "j": {"v": 3}}
    right: dict[tuple[str, str], object] = {("bob", "k"): 2}
    for extra, story in (
        (("ann", "gone"), "of gone, which was deleted"),
        (("ann", "k"), "of k, which moved to ('bob', 'k')"),
        (("ann", "j"), "of j, which has left the index"),
    ):
        found = check_index(base, {**right, extra: 1}, by_owner, owner=lambda entry: entry[1])
        assert found.why == f"index differs from its base: 1 extra entry, first {extra!r} {story}"
        assert found.key == extra[1]
    assert check_index(base, right, by_owner, owner=lambda entry: entry[1]).verdict == "valid"
