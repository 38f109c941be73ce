"""Recording one's own clients: threads, tasks, exceptions, and what the history then says."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from dynalab_checkers.history import MISSING, Operation, read_jsonl
from dynalab_checkers.recorder import Recorder
from dynalab_checkers.testing import assert_linearizable

pytest_plugins = ["dynalab_checkers.pytest_fixtures"]


class Refused(Exception):
    pass


class Clock:
    def __init__(self) -> None:
        self.ticks: Iterator[int] = count(1000, 10)

    def __call__(self) -> int:
        return next(self.ticks)


def only(recorder: Recorder) -> Operation:
    (operation,) = recorder.history().operations
    return operation


def test_what_the_client_tells_is_in_the_history() -> None:
    recorder = Recorder(clock=Clock())
    with recorder.operation("anna", "cas", "k", [1, 2], consistency="strong", attempt=3) as operation:
        operation.old = 1
    recorded = only(recorder)
    assert (recorded.f, recorded.value, recorded.old, recorded.outcome) == ("cas", [1, 2], 1, "ok")
    assert (recorded.call, recorded.ret, recorded.session, recorded.consistency) == (1000, 1010, "anna", "strong")
    assert recorded.annotation("attempt") == 3


def test_an_exception_is_unknown_unless_it_is_a_refusal_and_always_goes_on_to_the_caller() -> None:
    recorder = Recorder(refused=(Refused,))
    for error in (Refused("no"), TimeoutError("late"), KeyboardInterrupt()):
        with pytest.raises(type(error)), recorder.operation("anna", "write", "k", 1):
            raise error
    refused, late, interrupted = recorder.history().operations
    assert (refused.outcome, refused.annotation("error")) == ("fail", "Refused: no")
    assert (late.outcome, late.ret, interrupted.outcome) == ("info", None, "info")
    # Nobody knows when it ends, so the client goes on under another id, in the same session.
    assert refused.process == late.process != interrupted.process
    assert late.session == interrupted.session == "anna"


def test_a_condition_that_failed_may_tell_what_it_found() -> None:
    recorder = Recorder(refused=(Refused,))
    with recorder.operation(1, "cas", "k", [1, 2]) as operation:
        operation.refuse(found=9)
    with pytest.raises(Refused), recorder.operation(1, "cas", "k", [1, 2]) as operation:
        operation.refuse(found=None)
        raise Refused
    with recorder.operation(1, "write", "k", 5) as operation:
        operation.unknown()
    one, other, unknown = recorder.history().operations
    assert (one.outcome, one.found, other.outcome, other.found) == ("fail", 9, "fail", None)
    assert (unknown.outcome, unknown.old) == ("info", MISSING)


def test_a_read_that_does_not_say_what_it_returned_is_an_error_and_the_history_stays_whole() -> None:
    recorder = Recorder()
    with pytest.raises(RuntimeError, match="returns"), recorder.operation(1, "read", "k"):
        pass
    assert only(recorder).outcome == "fail"
    with recorder.operation(1, "read", "k") as operation:
        operation.returns(object())  # type: ignore[arg-type]
    assert [o.outcome for o in recorder.history()] == ["fail", "info"]
    with pytest.raises(TypeError):
        recorder.operation(1, "write", "k", object())  # type: ignore[arg-type]
    assert len(recorder.history()) == 2


def test_what_was_recorded_cannot_be_changed_afterwards() -> None:
    recorder = Recorder()
    value = [1, 2]
    with recorder.operation(1, "cas", "k", value):  # type: ignore[arg-type]
        value[0] = 5
        assert only(recorder).value == [1, 2]


def test_threads_are_processes_and_their_lines_stand_in_order(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    with Recorder(path) as recorder:
        put = recorder.records("write", key="k", value=lambda value: value)(lambda value: None)

        def work(first: int) -> None:
            for n in range(50):
                put(first + n)

        threads = [threading.Thread(target=work, args=(1000 * n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert [event["index"] for event in events] == list(range(400))
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)
    history = read_jsonl(path)
    assert len(history) == 200
    assert {o.process for o in history} == {0, 1, 2, 3}
    with pytest.raises(RuntimeError, match="closed"):
        put(1)


def test_every_task_is_a_process_and_a_cancelled_one_leaves_an_operation_of_unknown_outcome() -> None:
    recorder = Recorder()
    store: dict[str, int] = {}

    @recorder.records("write", key=lambda key, value: key, value=lambda key, value: value)
    async def put(key: str, value: int) -> None:
        await asyncio.sleep(0)
        store[key] = value
        if value < 0:
            await asyncio.sleep(60)

    @recorder.records("read", key=lambda key: key)
    async def get(key: str) -> int | None:
        await asyncio.sleep(0)
        return store.get(key)

    async def client(number: int) -> None:
        for n in range(3):
            await put("k", 10 * number + n)
            await get("k")

    async def main() -> None:
        await asyncio.gather(*(client(number) for number in range(5)))
        lost = asyncio.create_task(put("k", -1))
        await asyncio.sleep(0.01)
        lost.cancel()
        await asyncio.gather(lost, return_exceptions=True)

    asyncio.run(main())
    history = recorder.history()
    assert len(history) == 31
    assert len({o.process for o in history}) == 6
    assert history.operations[-1].outcome == "info"
    assert_linearizable(recorder)


def test_one_process_runs_one_operation_at_a_time() -> None:
    recorder = Recorder()
    with recorder.operation(1, "write", "k", 1):
        with pytest.raises(RuntimeError, match="one operation at a time"), recorder.operation(1, "write", "k", 2):
            pass
        with recorder.operation(2, "write", "k", 3):
            pass
    assert len(recorder.history()) == 2


def test_the_assertion_says_what_is_wrong_and_draws_it(history_recorder: Recorder, tmp_path: Path) -> None:
    with history_recorder.operation("anna", "write", "k", 1):
        pass
    with history_recorder.operation("bert", "read", "k") as operation:
        operation.returns(None)
    picture = tmp_path / "wrong.svg"
    for history in (history_recorder, tmp_path / "history.jsonl", history_recorder.history().events()):
        if history is not history_recorder:
            history_recorder.close()
        with pytest.raises(AssertionError) as caught:
            assert_linearizable(history, picture=picture)
        message = str(caught.value)
        assert "returned nothing, which was replaced at" in message
        assert " > process 1: the read" in message
        assert f"picture: {picture}" in message
        assert picture.read_text().startswith("<svg")
        picture.unlink()


def test_unknown_is_not_linearizable(tmp_path: Path) -> None:
    recorder = Recorder()
    with recorder.operation(1, "push", "k", 1):
        pass
    with pytest.raises(AssertionError, match="unknown"):
        assert_linearizable(recorder)


@pytest.mark.claim("S24")
def test_a_race_in_somebody_elses_database_is_found_in_its_recorded_history(tmp_path: Path) -> None:
    path = tmp_path / "bank.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("create table counters (name text primary key, value integer)")
        database.execute("insert into counters values ('visits', 0)")
    recorder, both_have_read = Recorder(), threading.Barrier(2)

    def increment() -> None:
        mine = sqlite3.connect(path, isolation_level=None, timeout=10)
        with recorder.operation(None, "increment", "visits", 1) as operation:
            (value,) = mine.execute("select value from counters").fetchone()
            both_have_read.wait()  # the race: read, then write, without a transaction
            mine.execute("update counters set value = ?", (value + 1,))
            operation.returns(value + 1)
        mine.close()

    threads = [threading.Thread(target=increment) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with pytest.raises(AssertionError, match="no order of the operations explains it"):
        assert_linearizable(recorder, "counter", picture=tmp_path / "lost-update.svg")
