"""The history format: every sentence of it is accepted or refused, by line."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab_checkers.generate import Recipe, register_history
from dynalab_checkers.history import (
    MISSING,
    NO_FIELDS,
    History,
    Json,
    MalformedHistory,
    parse_jsonl,
    read_jsonl,
    write_jsonl,
)

Event = dict[str, Json]


def invoke(index: int, process: int = 0, f: str = "write", **more: Json) -> Event:
    event: Event = {"index": index, "time": 10 * index, "process": process, "type": "invoke", "f": f, "key": "k"}
    if f == "write":
        event["value"] = 7
    return event | more


def complete(index: int, process: int = 0, f: str = "write", kind: str = "ok", **more: Json) -> Event:
    event: Event = {"index": index, "time": 10 * index, "process": process, "type": kind, "f": f, "key": "k"}
    if f == "write":
        event["value"] = 7
    return event | more


def refused(events: list[Event]) -> MalformedHistory:
    with pytest.raises(MalformedHistory) as caught:
        parse_jsonl([json.dumps(event) for event in events])
    return caught.value


def test_an_operation_knows_what_it_wrote_replaced_and_when() -> None:
    lines = [
        '{"index":0,"time":1200,"process":3,"type":"invoke","f":"write","key":"k1","value":7}',
        '{"index":4,"time":5100,"process":3,"type":"ok","f":"write","key":"k1","value":7,"old":5}',
    ]
    (operation,) = parse_jsonl(lines).operations
    assert (operation.process, operation.key, operation.call, operation.ret) == (3, "k1", 1200, 5100)
    assert (operation.f, operation.outcome, operation.value, operation.old) == ("write", "ok", 7, 5)
    assert (operation.call_index, operation.ret_index, operation.found) == (0, 4, MISSING)


def test_an_old_value_of_null_is_not_an_old_value_that_was_not_told() -> None:
    told = parse_jsonl([json.dumps(e) for e in [invoke(0), complete(1, old=None)]]).operations[0]
    untold = parse_jsonl([json.dumps(e) for e in [invoke(0), complete(1)]]).operations[0]
    assert told.old is None
    assert untold.old is MISSING


def test_an_operation_without_completion_never_returned_and_neither_did_one_of_unknown_outcome() -> None:
    events = [invoke(0, 0), invoke(1, 1), complete(2, 1, kind="info")]
    first, second = parse_jsonl([json.dumps(e) for e in events]).operations
    assert (first.outcome, first.ret, first.ret_index) == ("info", None, None)
    assert (second.outcome, second.ret, second.ret_index, second.info_time) == ("info", None, 2, 20)


def test_a_failed_condition_may_tell_what_it_found() -> None:
    events = [invoke(0, f="cas", value=[1, 2]), complete(1, f="cas", kind="fail", value=[1, 2], found=9)]
    (operation,) = parse_jsonl([json.dumps(e) for e in events]).operations
    assert (operation.outcome, operation.value, operation.found, operation.old) == ("fail", [1, 2], 9, MISSING)


def test_sessions_and_consistency_may_come_from_either_end() -> None:
    events = [
        invoke(0, f="read", session="alice"),
        complete(1, f="read", value=None, consistency="eventual"),
        invoke(2, f="read", consistency="index"),
        complete(3, f="read", value=3, session=12),
    ]
    first, second = parse_jsonl([json.dumps(e) for e in events]).operations
    assert (first.session, first.consistency, first.result) == ("alice", "eventual", None)
    assert (second.session, second.consistency, second.result) == (12, "index", 3)


def test_transactions_are_parsed_and_kept_with_their_old_values() -> None:
    asked: Json = [["append", "x", 1], ["r", "x", None], ["w", "y", 2], ["cas", "z", 1, 2], ["d", "q"]]
    done: Json = [
        ["append", "x", 1, [0]],
        ["r", "x", [0, 1]],
        ["w", "y", 2, 1],
        ["cas", "z", 1, 2, 1],
        ["d", "q", None],
    ]
    events = [invoke(0, f="txn", value=asked), complete(1, f="txn", value=done)]
    for event in events:
        del event["key"]
    history = parse_jsonl([json.dumps(e) for e in events])
    assert history.operations[0].value == done
    assert history.events() == events
    assert history.by_key() == {}


def test_other_functions_may_stand_in_the_same_file() -> None:
    events: list[Event] = [
        {"index": 0, "time": 0, "process": 9, "type": "invoke", "f": "query", "value": {"index": "byColour"}},
        {"index": 1, "time": 5, "process": 9, "type": "ok", "f": "query", "value": [1, 2]},
        invoke(2),
        complete(3),
    ]
    history = History.from_events(events)
    assert [o.f for o in history] == ["query", "write"]
    assert history.operations[0].annotation("value") == [1, 2]
    assert list(history.by_key()) == ["k"]
    assert history.events() == events


def test_unknown_fields_of_both_ends_are_kept_and_written_back() -> None:
    events = [invoke(0, node="n1", trace={"a": [1]}), complete(1, node="n2", attempts=3)]
    history = History.from_events(events)
    (operation,) = history.operations
    assert operation.annotation("node") == "n2"
    assert operation.annotation("trace") == {"a": [1]}
    assert operation.annotation("nothing") is None
    assert history.events() == events


def test_empty_lines_and_a_byte_order_mark_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(invoke(0)).encode() + b"\n\n  \n" + json.dumps(complete(1)).encode())
    assert len(read_jsonl(path)) == 1


@given(
    seed=st.integers(0, 2**32),
    keys=st.integers(1, 4),
    unknown=st.dictionaries(st.sampled_from(["node", "attempt", "x-ray"]), st.integers() | st.none() | st.text()),
)
def test_reading_what_was_written_gives_the_same_history(seed: int, keys: int, unknown: Event) -> None:
    recipe = Recipe(operations=60, keys=keys, processes=4, deletes=30, indeterminate_per_mille=100)
    made = register_history(seed, recipe)
    for operation in made.operations[::7]:
        operation.extra = dict(unknown)
    events = made.events()
    again = parse_jsonl([json.dumps(event) for event in events])
    assert again.operations == made.operations
    assert again.events() == events


def test_a_file_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    events = register_history(3, Recipe(operations=50, deletes=20)).events()
    path = tmp_path / "history.jsonl"
    write_jsonl(path, events)
    assert read_jsonl(path).events() == events
    assert len(path.read_text().splitlines()) == len(events)


MALFORMED: dict[str, tuple[list[Event], int, str]] = {
    "a completion without invocation": ([complete(0)], 1, "never invoked"),
    "a second completion": ([invoke(0), complete(1), complete(2)], 3, "never invoked"),
    "two operations of a process overlap": ([invoke(0), invoke(1)], 2, "still running"),
    "a process is used again after an unknown outcome": (
        [invoke(0), complete(1, kind="info"), invoke(2)],
        3,
        "used again",
    ),
    "time goes backwards within a process": ([invoke(0, time=9), complete(1, time=8)], 2, "backwards"),
    "the index stands still": ([invoke(3), complete(3)], 2, "index 3 follows index 3"),
    "the index goes back": ([invoke(3), complete(2)], 2, "index 2 follows index 3"),
    "no index": ([{k: v for k, v in invoke(0).items() if k != "index"}], 1, "index"),
    "a negative index": ([invoke(-1)], 1, "index"),
    "a time with a fraction": ([invoke(0, time=1.5)], 1, "time"),
    "true as a time": ([invoke(0, time=True)], 1, "time"),
    "no time": ([{k: v for k, v in invoke(0).items() if k != "time"}], 1, "time"),
    "a process with a name": ([invoke(0) | {"process": "p"}], 1, "process"),
    "a type that is not one": ([invoke(0, type="begin")], 1, "type"),
    "no function": ([invoke(0) | {"f": ""}], 1, "f must"),
    "a key that is no string": ([invoke(0, key=5)], 1, "key"),
    "no key": ([{k: v for k, v in invoke(0).items() if k != "key"}], 1, "key"),
    "a write without a value": ([{k: v for k, v in invoke(0).items() if k != "value"}], 1, "value"),
    "a list written": ([invoke(0, value=[1])], 1, "scalar"),
    "a map written": ([invoke(0, value={"a": 1})], 1, "scalar"),
    "a cas without a pair": ([invoke(0, f="cas", value=3)], 1, "from, to"),
    "a cas of three": ([invoke(0, f="cas", value=[1, 2, 3])], 1, "from, to"),
    "a cas from a list": ([invoke(0, f="cas", value=[[1], 2])], 1, "scalar"),
    "a read invoked with a value": ([invoke(0, f="read", value=1)], 1, "without a value"),
    "a read that returned without a value": ([invoke(0, f="read"), complete(1, f="read")], 2, "needs a value"),
    "a read that failed with a value": (
        [invoke(0, f="read"), complete(1, f="read", kind="fail", value=1)],
        2,
        "no value",
    ),
    "a read of a list": ([invoke(0, f="read"), complete(1, f="read", value=[1])], 2, "scalar"),
    "another value completed": ([invoke(0), complete(1, value=8)], 2, "invoked with 7"),
    "true for one completed": ([invoke(0, value=1), complete(1, value=True)], 2, "invoked with 1"),
    "another function completed": ([invoke(0), complete(1, f="read", value=7)], 2, "completes read"),
    "another key completed": ([invoke(0), complete(1, key="j")], 2, "invoked on key"),
    "an invocation that knows the old value": ([invoke(0, old=1)], 1, "cannot know"),
    "an old value after a failure": ([invoke(0), complete(1, kind="fail", old=1)], 2, "`old`"),
    "something found by a success": ([invoke(0), complete(1, found=1)], 2, "`found`"),
    "an old value that is a list": ([invoke(0), complete(1, old=[1])], 2, "scalar"),
    "an unknown consistency": ([invoke(0, consistency="linearizable")], 1, "consistency"),
    "two consistencies": (
        [invoke(0, consistency="strong"), complete(1, consistency="eventual")],
        2,
        "invoked as strong",
    ),
    "a session that is a list": ([invoke(0, session=[1])], 1, "session"),
    "two sessions": ([invoke(0, session=1), complete(1, session=2)], 2, "session"),
    "a transaction that is no list": ([invoke(0, f="txn", value=3)], 1, "list of operations"),
    "a transaction of unknown operations": ([invoke(0, f="txn", value=[["swap", "x", 1]])], 1, "swap"),
    "a transaction with a short cas": ([invoke(0, f="txn", value=[["cas", "x", 1]])], 1, "cas"),
    "a transaction that completes another": (
        [invoke(0, f="txn", value=[["w", "x", 1]]), complete(1, f="txn", value=[["w", "x", 2]])],
        2,
        "other operations",
    ),
    "a transaction that returned without its value": (
        [invoke(0, f="txn", value=[["w", "x", 1]]), complete(1, f="txn")],
        2,
        "needs its value",
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_line_is_an_error_that_names_the_line(name: str) -> None:
    events, line, words = MALFORMED[name]
    error = refused(events)
    assert error.line == line
    assert words in error.reason
    assert str(error).startswith(f"line {line}: ")


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "hello",
        "{} {}",
        "[]",
        "7",
        "null",
        '{"index": NaN}',
        "\x00",
        '{"index": 1' + "0" * 5000 + "}",
        '{"a":' * 100_000,
    ],
    ids=["cut", "word", "two", "list", "number", "null", "NaN", "zero byte", "huge number", "deep"],
)
def test_a_line_that_is_no_json_object_is_refused_by_its_number(line: str) -> None:
    with pytest.raises(MalformedHistory) as caught:
        parse_jsonl([json.dumps(invoke(0)), "", line])
    assert caught.value.line == 3


def test_bytes_that_are_not_utf_8_are_refused_by_their_line() -> None:
    with pytest.raises(MalformedHistory) as caught:
        parse_jsonl([json.dumps(invoke(0)).encode(), b'{"key": "\xff"}'])
    assert caught.value.line == 2


def test_touching_operations_of_one_process_at_one_instant_are_no_overlap() -> None:
    events = [invoke(0, time=5), complete(1, time=5), invoke(2, time=5), complete(3, time=5)]
    assert [o.call_index for o in History.from_events(events)] == [0, 2]


GOOD = [json.dumps(event) for event in (invoke(0), complete(1), invoke(2, f="read"), complete(3, f="read", value=7))]
SEPARATOR = "-738291046527183940"


@pytest.mark.parametrize(
    "wrong",
    [
        # Lines that are only whole together, or hold two events, or the very number that parts them.
        ['{"index":9,"x":[{}', "{}]}"],
        [GOOD[0] + "," + GOOD[1]],
        [GOOD[0][:-1], ',"x":1}'],
        ['{"a":"', '"}'],
        [f"{GOOD[0]},{SEPARATOR},{GOOD[1]}"],
        [f'{{"a":[1,{SEPARATOR}', "1]}"],
        ["7"],
        [SEPARATOR],
        ["null"],
        ["[]"],
        ['{"index":NaN}'],
        [GOOD[0] + " x"],
    ],
)
@pytest.mark.parametrize("before", [0, 2, 4])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_a_line_is_one_event_whatever_stands_in_the_lines_beside_it(
    wrong: list[str], before: int, as_bytes: bool
) -> None:
    lines = [*GOOD[:before], *wrong, *GOOD[before:]]
    with pytest.raises(MalformedHistory) as caught:
        parse_jsonl([line.encode() + b"\n" for line in lines] if as_bytes else lines)
    assert caught.value.line == before + 1


def test_unusual_lines_mean_the_same_as_usual_ones() -> None:
    plain = parse_jsonl(GOOD).operations
    spaced = [" " + GOOD[0] + "  ", "", GOOD[1] + "\r", "\t", *GOOD[2:]]
    assert parse_jsonl(spaced).operations == plain
    assert parse_jsonl([b"\xef\xbb\xbf" + GOOD[0].encode(), *[line.encode() for line in GOOD[1:]]]).operations == plain
    turned = [json.dumps(dict(reversed(json.loads(line).items()))) for line in GOOD]
    assert parse_jsonl(turned).operations == plain
    keyless = [json.loads(line) for line in GOOD]
    for completion in keyless[1::2]:
        del completion["key"]
    assert parse_jsonl(map(json.dumps, keyless)).operations == plain


def test_a_long_file_names_the_right_line() -> None:
    lines = [json.dumps(invoke(n, n)) for n in range(1_000)]
    lines[700] = lines[700].replace('"write"', "5")
    with pytest.raises(MalformedHistory) as caught:
        parse_jsonl(lines)
    assert caught.value.line == 701
    assert len(parse_jsonl(lines[:700])) == 700


def test_the_shared_dictionary_of_operations_without_unknown_fields_cannot_be_changed() -> None:
    (operation, _) = parse_jsonl(GOOD).operations
    assert operation.extra is NO_FIELDS
    with pytest.raises(TypeError, match="assign one of your own"):
        operation.extra["a"] = 1
    with pytest.raises(TypeError, match="assign one of your own"):
        operation.extra.update(a=1)
    with pytest.raises(TypeError, match="assign one of your own"):
        operation.extra.setdefault("a", 1)
    assert NO_FIELDS == {}
    assert copy.deepcopy(operation) == operation
    assert copy.deepcopy(operation).extra is NO_FIELDS
