"""The benchmark counts what was answered, names what failed, and never shows a rate that errors spoilt."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from rich.console import Console

from dynalab.bench import servers
from dynalab.bench.__main__ import in_turn
from dynalab.bench.load import Connection, LoadError, Measured, Target, load, make_item, make_pool, prepare
from dynalab.bench.report import Figure, Report
from dynalab.bench.store import rebuilding

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def serving(respond: Callable[[bytes, bytes], bytes]) -> Handler:
    """A server that answers each request with respond(operation, body): the bytes of a whole response."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            lines = {k.lower(): v for k, _, v in (line.partition(b": ") for line in head.split(b"\r\n"))}
            body = await reader.readexactly(int(lines[b"content-length"]))
            response = respond(lines[b"x-amz-target"].rpartition(b".")[2], body)
            # In two pieces: a response need not arrive in one.
            writer.write(response[:25])
            await writer.drain()
            writer.write(response[25:])
            if b"connection: close" in response.lower():
                break
        writer.close()

    return handle


def plain(body: bytes, status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), more, body)


async def against(
    respond: Callable[[bytes, bytes], bytes], act: Callable[[str], Awaitable[Measured | None]]
) -> Measured | None:
    server = await asyncio.start_server(serving(respond), "127.0.0.1", 0)
    try:
        return await act(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    finally:
        server.close()


def measure(respond: Callable[[bytes, bytes], bytes], operation: str = "GetItem") -> Measured:
    async def act(url: str) -> Measured:
        return await load(url, operation, "table", connections=4, seconds=0.2, warmup_seconds=0.0)

    measured = asyncio.run(against(respond, act))
    assert measured is not None
    return measured


@pytest.mark.parametrize(
    "respond",
    [
        lambda operation, body: plain(b"{}"),
        lambda operation, body: plain(b"{}", more=b"Connection: close\r\n"),
        lambda operation, body: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
    ],
    ids=["keep-alive", "close", "chunked"],
)
def test_every_answered_request_is_counted_once(respond: Callable[[bytes, bytes], bytes]) -> None:
    seen: list[bytes] = []

    def counting(operation: bytes, body: bytes) -> bytes:
        seen.append(operation)
        return respond(operation, body)

    measured = measure(counting)
    assert measured.errors == []
    assert measured.requests == len(seen) > 10
    assert set(seen) == {b"GetItem"}
    assert 0 < measured.p50_ms <= measured.p99_ms


def shown(report: Report) -> str:
    console = Console(record=True, width=160, file=io.StringIO())
    report.show(console)
    return console.export_text()


def test_an_error_is_reported_and_not_counted() -> None:
    count = iter(range(1_000_000))

    def respond(operation: bytes, body: bytes) -> bytes:
        return plain(b"no", b"500 Oops") if next(count) % 2 else plain(b"{}")

    measured = measure(respond, "PutItem")
    assert len(measured.errors) > 5
    assert measured.errors[0].startswith("500 b'no'")


def test_the_pool_is_the_same_in_every_run_and_an_item_has_about_200_bytes() -> None:
    target = Target("127.0.0.1", 1)
    assert make_pool(target, "PutItem", "t") == make_pool(target, "PutItem", "t")
    assert make_pool(target, "PutItem", "t") != make_pool(target, "PutItem", "t", seed=2)
    sizes = {len(json.dumps(make_item(n), separators=(",", ":"))) for n in (0, 1999)}
    assert all(190 <= size <= 260 for size in sizes)


def test_a_query_of_the_bench_reads_one_collection_of_ten_items() -> None:
    asked = {raw.partition(b"\r\n\r\n")[2] for raw in make_pool(Target("127.0.0.1", 1), "Query", "t")}
    keys = [json.loads(body)["ExpressionAttributeValues"][":pk"] for body in asked]
    items = [make_item(number) for number in range(2_000)]
    assert len(keys) > 100 and all(sum(item["pk"] == key for item in items) == 10 for key in keys)
    with pytest.raises(ValueError, match="no requests of this operation are made here: Scan"):
        make_pool(Target("127.0.0.1", 1), "Scan", "t")


def test_no_two_transactions_of_the_bench_have_an_item_in_common() -> None:
    keys: list[tuple[str, str]] = []
    for raw in make_pool(Target("127.0.0.1", 1), "TransactWriteItems", "t"):
        parts = json.loads(raw.partition(b"\r\n\r\n")[2])["TransactItems"]
        items = [part["Put"]["Item"] for part in parts]
        assert len({item["pk"]["S"] for item in items}) == 2
        keys += [(item["pk"]["S"], item["sk"]["S"]) for item in items]
    assert len(set(keys)) == len(keys)


def test_the_processor_time_of_a_server_is_shared_out_among_the_requests_that_count() -> None:
    readings = iter([5.0, 5.5])

    async def act(url: str) -> Measured:
        cpu_seconds = lambda: next(readings)  # noqa: E731
        return await load(url, "GetItem", "t", cpu_seconds, connections=2, seconds=0.2, warmup_seconds=0.05)

    measured = asyncio.run(against(lambda operation, body: plain(b"{}"), act))
    assert measured is not None and measured.cpu_us == pytest.approx(500_000 / measured.requests)


def test_a_running_process_tells_its_processor_time_and_one_that_is_gone_tells_nothing() -> None:
    here = servers.Running("http://127.0.0.1:1", os.getpid()).cpu_seconds()
    if not Path("/proc/self/stat").exists():
        assert here is None
        return
    assert here is not None and abs(here - time.process_time()) < 0.5
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert servers.Running("http://127.0.0.1:1", gone.pid).cpu_seconds() is None


def test_a_table_that_cannot_be_made_stops_the_measurement_with_its_reason() -> None:
    async def act(url: str) -> None:
        await prepare(Target.of(url), "t")

    with pytest.raises(LoadError, match="CreateTable: 400"):
        asyncio.run(against(lambda operation, body: plain(b'{"message":"no"}', b"400 Bad Request"), act))


def test_a_closed_connection_ends_the_wait_for_its_response() -> None:
    async def act(url: str) -> None:
        connection: Connection = await Target.of(url).connect()
        with pytest.raises(ConnectionError):
            await connection.request(Target.of(url).encode("GetItem", {}))

    asyncio.run(
        against(lambda operation, body: b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\n", act)
    )


def test_a_comparison_that_was_not_made_is_a_row_that_says_why() -> None:
    report = Report([Figure("GetItem", "dynalab", 8000.0, "requests/s", "p50 1 ms")])
    report.add(Figure("GetItem", "dynalite", None, "requests/s", problem="skipped: node and npm are not installed"))
    text = shown(report)
    assert "not measured" in text and "skipped: node and npm are not installed" in text
    assert json.loads(report.to_json())["ratios"] == {"GetItem": {}}


def test_servers_take_turns_and_one_that_failed_once_has_no_median() -> None:
    asked: list[str] = []

    def measure_one(name: str) -> list[Figure]:
        asked.append(name)
        rate = None if name == "b" and len(asked) == 4 else float(len(asked))
        return [Figure("GetItem", name, rate, "requests/s", "", "" if rate else "it stopped")]

    a, b = in_turn(["a", "b"], measure_one, 3)
    assert asked == ["a", "b"] * 3
    assert (a.rate, a.detail) == (3.0, "; median of 1, 3, 5")
    assert (b.rate, b.problem) == (None, "it stopped")


def test_files_are_compared_on_equal_terms_and_the_terms_are_said() -> None:
    report = Report()
    for subject, rate in (("dynalab", 9_000.0), ("dynalab --data", 3_000.0), ("dynalab --data --no-fsync", 8_000.0)):
        report.add(Figure("PutItem", subject, rate, "requests/s"))
    assert "power cut" not in shown(report)
    report.add(Figure("PutItem", "dynalite", 6_000.0, "requests/s"))
    report.add(Figure("PutItem", "dynalite --path", 4_000.0, "requests/s"))
    beside = {"dynalab --data --no-fsync": 2.0, "dynalab --data": 0.75}
    assert report.ratios()["PutItem"] == {"dynalite": {"dynalab": 1.5}, "dynalite --path": beside}
    assert list(report.ratios()["PutItem"]["dynalite --path"]) == list(beside), "equal terms first"
    text = shown(report)
    assert "2.00 times (--data --no-fsync)" in text and "0.75 times (--data)" in text
    assert "a power cut may take any of it" in text and "power cut" in json.loads(report.to_json())["terms"]


def test_a_server_on_files_without_syncs_is_started_with_a_directory_of_its_own(tmp_path: Path) -> None:
    with servers.start("dynalab --data --no-fsync", tmp_path) as server:
        words = Path(f"/proc/{server.process}/cmdline").read_text().split("\0")
        directory = Path(words[words.index("--data") + 1])
        assert "--no-fsync" in words and (directory / "unsynced").exists()
    assert not directory.exists()


def test_without_node_dynalite_is_skipped_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(servers.Skipped, match="node and npm are not installed"), servers.start("dynalite", tmp_path):
        raise AssertionError("nothing to start")


def test_an_unknown_server_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such server: oracle"), servers.start("oracle", tmp_path):
        raise AssertionError("nothing to start")


@pytest.mark.claim("S132")
def test_a_small_partition_is_whole_again_sooner_than_a_large_one() -> None:
    """Many small partitions recover faster than a few large ones. In virtual time, where a piece costs a round trip."""
    small, large = (number / (rebuilding(number).rate or 1) for number in (500, 40_000))
    assert small < 0.4 and large > 1.5 * small
