"""The fuzzing run: one case after the other against a service of its own, everything checked at every case."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from dynalab.differential.chance import seeded
from dynalab.differential.tables import SHAPES, Body, TableShape
from dynalab.fuzz.cases import SPARE_TABLES, Case, Cases
from dynalab.fuzz.script import repeat
from dynalab.fuzz.wire import Line, NoAnswer, Response

START_SECONDS_MAX: Final = 30
READY_POLLS_MAX: Final = 200
FAILURES_MAX: Final = 20
MEMORY_BYTES_MAX: Final = 700_000_000
MEMORY_EVERY: Final = 200
# A table that has grown beyond this is made anew: reading it whole after every case would become the whole run.
ITEMS_MAX: Final = 150
STORE_BYTES_MAX: Final = 1_500_000
# What stops a request before its members are looked at; whatever else is answered came from behind the parser.
BEFORE_THE_PARSER: Final = frozenset(
    {
        "SerializationException",
        "UnknownOperationException",
        "MissingAuthenticationTokenException",
        "IncompleteSignatureException",
        "InvalidSignatureException",
    }
)


@dataclass(slots=True)
class Served:
    """A `dynalab serve` of our own. `complaints` is what it wrote to standard error: it should be silent."""

    url: str
    process: subprocess.Popen[str]
    complaints: list[str] = field(default_factory=list)

    def memory_bytes(self) -> int:
        """Resident memory; 0 where there is no /proc."""
        status = Path(f"/proc/{self.process.pid}/status")
        found = re.search(r"^VmRSS:\s+(\d+) kB", status.read_text(), re.MULTILINE) if status.exists() else None
        return int(found[1]) * 1024 if found else 0


@contextmanager
def served() -> Iterator[Served]:
    """The service in a process of its own, in memory. Raises OSError when it does not start."""
    command = [sys.executable, "-m", "dynalab", "serve", "--port", "0"]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)
    assert process.stdout is not None and process.stderr is not None
    watchdog = threading.Timer(START_SECONDS_MAX, process.kill)
    watchdog.start()
    complaints: list[str] = []
    stderr = process.stderr
    reader = threading.Thread(target=lambda: complaints.extend(stderr), daemon=True)
    reader.start()
    try:
        found = re.fullmatch(r"listening on (http://\S+)\n", process.stdout.readline())
        watchdog.cancel()
        if found is None:
            raise OSError(f"dynalab serve did not start: {''.join(complaints)}")
        yield Served(found[1], process, complaints)
    finally:
        watchdog.cancel()
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        if process.poll() is None:
            process.kill()
            process.wait()
        reader.join(timeout=5)
        process.stdout.close()


@dataclass(slots=True)
class Report:
    """What a run came to. `answers` counts by error name, or "ok"; `failures` are sentences with scripts."""

    cases: int = 0
    requests: int = 0
    past_the_parser: int = 0
    seconds: float = 0.0
    slowest_ms: float = 0.0
    memory_max_bytes: int = 0
    refused_checked: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


class Run:
    """Sends cases to a service and checks what must hold."""

    def __init__(self, served: Served, seed: int) -> None:
        self.served = served
        self.seed = seed
        self.report = Report()
        self.cases = Cases(served.url.rpartition("/")[2])
        self._line = Line(served.url)
        self._watch = Line(served.url)
        self._digest: str | None = None
        for shape in SHAPES:
            self._create(shape)

    def go(self, seconds: float, progress: Callable[[Report], None] = lambda report: None) -> Report:
        """Cases until the time is over, or too much has failed."""
        report, start = self.report, time.monotonic()
        while (elapsed := time.monotonic() - start) < seconds and len(report.failures) < FAILURES_MAX:
            self.case(report.cases)
            report.seconds = elapsed
            if report.cases % MEMORY_EVERY == 0:
                self._check_process()
                progress(report)
        self._check_process()
        report.seconds = time.monotonic() - start
        self._line.close()
        self._watch.close()
        return report

    def case(self, number: int) -> None:
        """One case: what it must not do is looked for at once, so that the culprit is known."""
        report, case = self.report, self.cases.make(seeded(self.seed * 1_000_003 + number))
        report.cases += 1
        report.kinds[case.kind] += 1
        before = self._digest or self._read_digest()
        began = time.monotonic()
        try:
            responses = self._line.send(case.data, case.answers, ends=case.ends)
        except (NoAnswer, OSError) as problem:
            self._fail(case, number, f"{type(problem).__name__}: {problem}")
            self._line.close()
            responses = []
        report.slowest_ms = max(report.slowest_ms, (time.monotonic() - began) * 1000)
        for response in responses:
            self._count(response)
            if response.status >= 500:
                self._fail(case, number, f"answered {response.status}: {response.text[:200]!r}")
        if case.kind == "pipelined" and len(responses) == len(case.requests):
            for request, response in zip(case.requests, responses, strict=True):
                self._remember(request, response)
        elif case.requests and responses:
            self._remember(case.requests[0], responses[0])
        self._check_store(case, number, before, responses)

    def _remember(self, request: tuple[str, Body], response: Response) -> None:
        if response.status == 200 and response.body is not None:
            self.cases.requests.went(request, response.body)

    def _count(self, response: Response) -> None:
        report = self.report
        report.requests += 1
        name = "ok" if response.status == 200 else response.error or f"HTTP {response.status}"
        report.answers[name] += 1
        report.past_the_parser += response.body is not None and name not in BEFORE_THE_PARSER

    def _check_store(self, case: Case, number: int, before: str, responses: list[Response]) -> None:
        """The store is as it was, unless something was accepted. A case that was cut off has no answer: what arrived
        was no whole request.
        """
        self._digest = None
        if any(response.status == 200 for response in responses):
            if any(name == "DeleteTable" for name, _ in case.requests):
                self._restore()
            return
        after = self._read_digest()
        if after != before:
            self._fail(case, number, "everything was refused, and the store has changed")
        self.report.refused_checked += 1
        self._digest = after

    def _check_process(self) -> None:
        served, report = self.served, self.report
        report.memory_max_bytes = max(report.memory_max_bytes, served.memory_bytes())
        if served.process.poll() is not None:
            report.failures.append(f"the service ended with code {served.process.returncode}")
        if report.memory_max_bytes > MEMORY_BYTES_MAX:
            report.failures.append(f"{report.memory_max_bytes:,} bytes of memory")
        if served.complaints:
            report.failures.append(f"the service logged: {''.join(served.complaints)[-2000:]}")
            served.complaints.clear()

    def _fail(self, case: Case, number: int, what: str) -> None:
        told = [f"case {number} of seed {self.seed} ({case.kind}): {what}"]
        told += [f"# {name} {json.dumps(body)[:500]}" for name, body in case.requests]
        self.report.failures.append("\n".join([*told, repeat(case, self.served.url)]))

    # --- the store --------------------------------------------------------------------------------------------------

    def _call(self, name: str, body: Body) -> Response:
        return self._watch.call(self.cases.encode(name, body))

    def _read_digest(self) -> str:
        """All tables and all items, as a hash. Tables that have grown large are made anew before."""
        for _ in range(3):
            listed = cast("list[str]", cast("Body", self._call("ListTables", {}).body)["TableNames"])
            # The spare tables are left out: one that was told to go is gone a while later, whatever came in between.
            content = hashlib.sha256(json.dumps([name for name in listed if name not in SPARE_TABLES]).encode())
            grown = []
            for shape in SHAPES:
                size = items = 0
                for page in self._pages(shape.name):
                    content.update(page.text)
                    size, items = size + len(page.text), items + cast(int, cast("Body", page.body).get("Count", 0))
                if size > STORE_BYTES_MAX or items > ITEMS_MAX:
                    grown.append(shape)
            if not grown:
                break
            for shape in grown:
                self._call("DeleteTable", {"TableName": shape.name})
                self._create(shape)
        return content.hexdigest()

    def _pages(self, table: str) -> Iterator[Response]:
        body: Body = {"TableName": table, "ConsistentRead": True}
        while True:
            page = self._call("Scan", body)
            yield page
            if page.body is None or "LastEvaluatedKey" not in page.body:
                return
            body["ExclusiveStartKey"] = page.body["LastEvaluatedKey"]

    def _restore(self) -> None:
        """Make the tables again that a case deleted: without them everything else would be about nothing."""
        for shape in SHAPES:
            described = (self._call("DescribeTable", {"TableName": shape.name}).body or {}).get("Table")
            if not isinstance(described, dict) or described.get("TableStatus") == "DELETING":
                self._create(shape)

    def _create(self, shape: TableShape) -> None:
        """Make a table, once its name is free, and wait for it."""
        for _ in range(READY_POLLS_MAX):
            if self._call("CreateTable", shape.create()).status == 200:
                break
            time.sleep(0.05)
        for _ in range(READY_POLLS_MAX):
            described = (self._call("DescribeTable", {"TableName": shape.name}).body or {}).get("Table")
            if isinstance(described, dict) and described.get("TableStatus") == "ACTIVE":
                return
            time.sleep(0.02)
        raise OSError(f"{shape.name} never became ACTIVE")
