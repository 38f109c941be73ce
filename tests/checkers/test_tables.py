"""CSV with columns of any name: a row an event, or a row an operation."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynalab_checkers.formats import Reading, parse_csv, read_history
from dynalab_checkers.generate import Recipe, register_history
from dynalab_checkers.history import History, MalformedHistory, Operation, write_jsonl
from dynalab_checkers.linearizability import check_register

WHOLE = Reading(
    columns={"call": "start", "ret": "end", "f": "op", "process": "client", "result": "got", "key": "row"},
    renames={"put": "write", "get": "read"},
    time_unit="ms",
)


def test_rows_of_whole_operations_may_stand_in_any_order() -> None:
    table = [
        "client,op,row,value,got,start,end,remark",
        "2,get,x,,,6.5,7,too late",
        "1,put,x,7,,0,5.25,",
        '1,put,x,"8",,5.25,5.25,',
        "3,put,x,9,,6,,lost",
    ]
    history = parse_csv(table, WHOLE)
    first, second, lost, read = history.operations
    assert (first.process, first.f, first.key, first.value, first.call, first.ret) == (1, "write", "x", 7, 0, 5_250_000)
    assert (second.call, second.ret, second.call_index < (second.ret_index or 0)) == (5_250_000, 5_250_000, True)
    assert (lost.outcome, lost.ret) == ("info", None)
    assert (read.outcome, read.result, read.ret) == ("ok", None, 7_000_000)
    assert check_register(history).verdict == "invalid"


def test_rows_of_events_may_use_our_own_names() -> None:
    table = ["index,time,process,type,f,key,value,old", "0,5,1,invoke,write,k,true,", "3,9,1,ok,write,k,true,word"]
    (operation,) = parse_csv(table).operations
    assert (operation.value, operation.old, operation.call_index, operation.ret_index) == (True, "word", 0, 3)


@pytest.mark.parametrize(
    ("table", "line"),
    [
        (["process,type,f,key", "1,invoke,read,k", "1,ok"], 3),
        (["process,type,f", "x,invoke,read"], 2),
        (["process,kind,f"], 1),
        (["process,type,f,time", "1,invoke,read,", "", "1,ok,read,later"], 4),
        (["process,type,f", '1,invoke,"read'], 2),
        (["call,ret,f", "5,4,read"], 2),
        (["call,ret,f", ",4,read"], 2),
        (["process,type,f", "1,invoke,read", "1,invoke,read"], 3),
    ],
)
def test_a_row_that_breaks_the_format_is_named(table: list[str], line: int) -> None:
    with pytest.raises(MalformedHistory) as caught:
        parse_csv(row + "\n" for row in table)
    assert caught.value.line == line


def test_a_column_that_is_not_there_and_a_field_that_does_not_exist_are_errors() -> None:
    with pytest.raises(MalformedHistory, match="no column 'start'"):
        parse_csv(["client,op"], WHOLE)
    with pytest.raises(MalformedHistory, match="no such field: colour"):
        parse_csv(["process,type,f"], Reading(columns={"colour": "f"}))
    with pytest.raises(MalformedHistory, match="unit of time"):
        parse_csv(["process,type,f"], Reading(time_unit="h"))


def test_reading_tells_how_far_it_is_and_may_hand_the_operations_on_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    history = register_history(3, Recipe(operations=9_000, keys=4))
    write_jsonl(path, history.events())
    told: list[int] = []
    pieces: list[list[Operation]] = []
    rest = read_history(path, progress=told.append, drain=lambda piece: pieces.append(piece))
    assert told == sorted(told)
    assert len(told) >= 3
    assert told[-1] == path.stat().st_size
    assert len(rest) == 0 and len(pieces) >= 3
    assert History(operation for piece in pieces for operation in piece).operations == history.operations
