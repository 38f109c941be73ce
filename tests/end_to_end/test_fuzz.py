"""Fuzzing: the endpoint holds under ten seconds of it, cases repeat, and whatever must be caught is caught."""

from __future__ import annotations

import ast
import json
import socket
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from dynalab.differential.chance import seeded
from dynalab.fuzz import page, wire
from dynalab.fuzz.cases import BELOW, SCHEMA_AWARE, Case, Cases
from dynalab.fuzz.run import Report, Run, served
from dynalab.fuzz.script import repeat
from dynalab.fuzz.wire import Line, NoAnswer, Response

SECONDS = 10.0
SHORT_SECONDS = 0.4


@pytest.fixture(scope="module")
def ten_seconds() -> Report:
    with served() as service:
        return Run(service, seed=4).go(SECONDS)


def test_ten_seconds_of_fuzzing_find_no_500_no_hang_and_no_change_by_what_was_refused(ten_seconds: Report) -> None:
    assert ten_seconds.failures == []
    assert ten_seconds.refused_checked > ten_seconds.cases // 3
    assert ten_seconds.answers["ok"] > 50, "good requests are answered in between"


def test_half_of_the_requests_get_past_the_parser_and_every_kind_of_case_is_there(ten_seconds: Report) -> None:
    assert ten_seconds.past_the_parser * 2 >= ten_seconds.requests > 300
    assert len(ten_seconds.kinds) == len(set(SCHEMA_AWARE)) + len(set(BELOW))


def test_a_case_is_a_function_of_its_seed_and_number() -> None:
    def first(seed: int) -> list[bytes]:
        cases = Cases("127.0.0.1:1")
        return [cases.make(seeded(seed + number)).data for number in range(300)]

    assert first(1000) == first(1000)
    assert first(1000) != first(2000)


def test_three_of_four_cases_are_whole_requests_whose_body_is_json() -> None:
    cases, chance = Cases("127.0.0.1:1"), seeded(5)
    kinds: Counter[bool] = Counter()
    for _ in range(600):
        body = cases.make(chance).data.partition(b"\r\n\r\n")[2]
        try:
            kinds[isinstance(json.loads(body), dict)] += 1
        except (ValueError, RecursionError):
            kinds[False] += 1
    assert kinds[True] > 600 * 2 // 3


# --- what must be caught --------------------------------------------------------------------------------------------


@contextmanager
def server(answer: bytes, times: int = 1) -> Iterator[str]:
    """Gives these bytes to each connection, whatever it says, and closes it; nothing at all when they are empty."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()

        def go() -> None:
            for _ in range(times):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)
                    if not answer:
                        over.wait(5)

        thread = threading.Thread(target=go, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            thread.join(timeout=5)


def answer_of(body: bytes, crc: int | None = None) -> bytes:
    checksum = zlib.crc32(body) if crc is None else crc
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nConnection: close\r\n"
    return f"{head}x-amz-crc32: {checksum}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (answer_of(b"{}", crc=1), "the checksum 1 is not that of the body"),
        (answer_of(b"{"), "the body is no JSON"),
        (answer_of(b"[]"), "the body is no object"),
        (answer_of(b'{"a": 1}')[:-3], "in the middle of an answer"),
        (b"HTTP/1.1 200", "without an answer"),
        (b"", "no answer in"),
    ],
)
def test_an_answer_that_is_none_is_no_answer(answer: bytes, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "ANSWER_SECONDS_MAX", SHORT_SECONDS)
    with server(answer) as url, pytest.raises(NoAnswer, match=why):
        Line(url).send(b"x", 1)


def test_a_good_answer_is_read_and_its_error_named() -> None:
    with server(answer_of(b'{"__type":"a#B"}').replace(b"200 OK", b"400 Bad")) as url:
        (response,) = Line(url).send(b"x", 1)
    assert (response.status, response.body, response.error) == (400, {"__type": "a#B"}, "B")


class Stub:
    """A line that answers every case alike."""

    def __init__(self, answer: Callable[[], list[Response]]) -> None:
        self.answer = answer

    def send(self, data: bytes, answers: int, *, ends: bool = False) -> list[Response]:
        return self.answer()

    def close(self) -> None:
        """Nothing is open."""


def failures(answer: Callable[[], list[Response]], digests: Iterator[str]) -> list[str]:
    """What one case comes to when the service answers so, and the store reads so."""
    with served() as service:
        run = Run(service, seed=1)
        run._line = Stub(answer)  # type: ignore[assignment]
        run._read_digest = lambda: next(digests)  # type: ignore[method-assign]
        run.case(0)
        return run.report.failures


REFUSED = Response(400, {"__type": "a#ValidationException"}, b"{}")


def test_a_500_is_caught_with_a_script_that_repeats_it() -> None:
    (failure,) = failures(lambda: [Response(500, {"__type": "a#InternalServerError"}, b"{}")], iter(["a", "a"]))
    assert "answered 500" in failure.splitlines()[0]
    assert "curl -si http://127.0.0.1:" in failure or "socket.create_connection" in failure


def test_a_refused_request_that_changed_the_store_is_caught_and_an_accepted_one_may_change_it() -> None:
    (failure,) = failures(lambda: [REFUSED], iter(["a", "b"]))
    assert "everything was refused, and the store has changed" in failure
    assert failures(lambda: [REFUSED], iter(["a", "a"])) == []
    assert failures(lambda: [Response(200, {}, b"{}")], iter(["a", "b"])) == []


def test_a_missing_answer_is_caught() -> None:
    def silent() -> list[Response]:
        raise NoAnswer("no answer in 5 s")

    (failure,) = failures(silent, iter(["a", "a"]))
    assert "NoAnswer: no answer in 5 s" in failure


def test_a_service_that_dies_grows_or_complains_is_caught() -> None:
    with served() as service:
        run = Run(service, seed=1)
        service.complaints.append("Traceback: something broke\n")
        run._check_process()
        assert "something broke" in run.report.failures.pop()
        run.report.memory_max_bytes = 10**12
        run._check_process()
        assert "bytes of memory" in run.report.failures.pop()
        run.report.memory_max_bytes = 0
        service.process.kill()
        service.process.wait()
        run._check_process()
        assert "the service ended with code -9" in run.report.failures


def test_the_script_of_a_broken_request_holds_the_same_bytes() -> None:
    import base64

    data = b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n\xff\x00"
    script = repeat(Case("broken", data, 1, ends=True), "http://127.0.0.1:8000")
    constants = [node.value for node in ast.walk(ast.parse(script)) if isinstance(node, ast.Constant)]
    packed = max((text for text in constants if isinstance(text, str)), key=len)
    assert zlib.decompress(base64.b64decode(packed)) == data
    assert "SHUT_WR" in script and 8000 in constants


def test_the_page_says_what_the_last_whole_run_found_and_nothing_failed() -> None:
    run: page.Figures = json.loads(page.FIGURES.read_text())
    assert run["failures"] == 0 and run["seconds"] >= 600
    assert run["requests_per_second"] >= 200 and run["past_the_parser"] * 2 >= run["requests"]
    assert page.PAGE.read_text() == page.text(run)
