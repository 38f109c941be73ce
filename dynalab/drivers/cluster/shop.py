"""An ordinary boto3 program beside a campaign: `python -m dynalab.drivers.cluster.shop URL`, and the handle to it.

Rules of this room:

1. The program is what a user would write: one client, one endpoint (`balancer`), boto3's own retries, no word about
   faults. It makes its table, then puts, reads, queries and batches until its standard input ends, asks everything
   back, and prints what it met. Its calls may all be repeated, as its client does of itself.
2. It judges what it sees: what was acknowledged is read by every later strong read, and is there at the end. An error
   that boto3 hands on, after its retries, is a failure of the service.
3. It is a process of its own, and ends when whoever started it is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from dynalab_fault_injection.judges import Judgement

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE = "shop"
BATCH = 5
BASKET_MAX = 40  # orders of one customer: then comes the next one
THINK_SECONDS = 0.02  # between two calls: a campaign has other clients, too
READY_SECONDS_MAX = 60.0
REPORT_SECONDS_MAX = 120.0  # it may be in the middle of its retries, and has everything to ask back
ERRORS_SHOWN = 5
CALLS_MIN = 20  # fewer say nothing


@dataclass(slots=True)
class Report:
    """What the program met. Times in milliseconds; `longest` is the call that took longest, its retries included."""

    calls: int = 0
    retried: int = 0  # calls that boto3 repeated at least once
    retries: int = 0
    retries_max: int = 0  # of one call
    longest_ms: int = 0
    longest: str = ""
    median_ms: float = 0.0
    acknowledged: int = 0  # items written
    failed: list[str] = field(default_factory=list)  # calls that ended in an error
    wrong: list[str] = field(default_factory=list)  # answers that did not show what was acknowledged
    lost: list[str] = field(default_factory=list)  # acknowledged, and not there at the end

    def judgement(self) -> Judgement:
        """Valid if every call succeeded, at the latest in a retry, and nothing was lost."""
        for what, found in (("lost", self.lost), ("read wrong", self.wrong), ("failed", self.failed)):
            if found:
                return Judgement("boto3", "invalid", f"{len(found)} {what}: {'; '.join(found[:ERRORS_SHOWN])}")
        if self.calls < CALLS_MIN:
            return Judgement("boto3", "unknown", f"only {self.calls} calls: too few to say anything")
        return Judgement("boto3", "valid")

    def figures(self) -> dict[str, int]:
        """For the list of what happened inside."""
        return {
            "boto3-calls": self.calls,
            "boto3-calls-that-were-retried": self.retried,
            "boto3-retries": self.retries,
            "boto3-retries-of-one-call": self.retries_max,
            "boto3-longest-call-ms": self.longest_ms,
            "boto3-items-acknowledged": self.acknowledged,
        }


# --- the handle -------------------------------------------------------------------------------------------------------


class Shop:
    """The running program. Use `open`, then `close`; `kill` if there is no time for its report."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def open(cls, url: str) -> Shop:
        """Start it; returns once its table is there. Raises RuntimeError if it does not come so far."""
        command, pipe = (sys.executable, "-m", __name__, url), asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        shop = cls(process)
        try:
            async with asyncio.timeout(READY_SECONDS_MAX):
                line = await shop._line()
        except TimeoutError:
            line = ""
        if line != "open\n":
            await shop.kill()
            raise RuntimeError(f"the boto3 program did not start: it said {line!r}")
        return shop

    async def close(self) -> Report:
        """Let it ask everything back, and hear what it met."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(REPORT_SECONDS_MAX):
                line = await self._line()
                await self._process.wait()
        except TimeoutError:
            line = ""
        await self.kill()
        if not line:
            return Report(failed=["the program ended without a report"])
        return Report(**json.loads(line))

    async def kill(self) -> None:
        """End it now; nothing happens if it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def _line(self) -> str:
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode()


# --- the program ------------------------------------------------------------------------------------------------------


class Calls:
    """boto3's answers, and what they cost."""

    def __init__(self) -> None:
        self.report = Report()
        self._took_ms: list[float] = []

    def ask(self, call: Callable[..., Any], **parameters: object) -> dict[str, Any] | None:
        """One call with the client's own retries; None if it ended in an error all the same."""
        from botocore.exceptions import BotoCoreError, ClientError

        name, report, began = call.__name__, self.report, time.monotonic()
        retries, answer = 0, None
        try:
            answer = call(**parameters)
            retries = answer["ResponseMetadata"]["RetryAttempts"]
        except ClientError as error:
            retries = error.response["ResponseMetadata"].get("RetryAttempts", 0)
            report.failed.append(f"{name}: {error}")
        except BotoCoreError as error:
            report.failed.append(f"{name}: {error}")
        took_ms = (time.monotonic() - began) * 1_000
        self._took_ms.append(took_ms)
        report.calls += 1
        report.retries += retries
        report.retried += retries > 0
        report.retries_max = max(report.retries_max, retries)
        if took_ms > report.longest_ms:
            report.longest_ms, report.longest = int(took_ms), name
        time.sleep(THINK_SECONDS)
        return answer

    def finish(self) -> Report:
        """The report, with what is known only at the end."""
        took = sorted(self._took_ms)
        self.report.median_ms = round(took[len(took) // 2], 1) if took else 0.0
        return self.report


def _key(customer: str, number: int) -> dict[str, Any]:
    return {"customer": {"S": customer}, "number": {"N": str(number)}}


def _order(customer: str, number: int) -> dict[str, Any]:
    return {**_key(customer, number), "text": {"S": f"{customer} orders {number}"}}


def _numbers(items: list[dict[str, Any]]) -> set[int]:
    return {int(item["number"]["N"]) for item in items}


def shop(client: DynamoDBClient, calls: Calls, ended: threading.Event) -> dict[str, set[int]]:
    """Order after order until told to end; gives what was acknowledged, by customer."""
    acknowledged: dict[str, set[int]] = {}
    turn, wrong = 0, calls.report.wrong
    while not ended.is_set():
        customer = f"c{turn * (1 + BATCH) // BASKET_MAX}"
        mine = acknowledged.setdefault(customer, set())
        first = turn * (1 + BATCH)
        turn += 1
        order = _order(customer, first)
        if calls.ask(client.put_item, TableName=TABLE, Item=order) is not None:
            mine.add(first)
            found = calls.ask(client.get_item, TableName=TABLE, Key=_key(customer, first), ConsistentRead=True)
            if found is not None and found.get("Item") != order:
                wrong.append(f"get_item of {customer} {first}")
        numbers = range(first + 1, first + 1 + BATCH)
        wanted: dict[str, Any] = {TABLE: [{"PutRequest": {"Item": _order(customer, number)}} for number in numbers]}
        while wanted:
            done = calls.ask(client.batch_write_item, RequestItems=wanted)
            if done is None:
                break
            wanted = done["UnprocessedItems"]
        else:
            mine.update(numbers)
        keys: dict[str, Any] = {TABLE: {"Keys": [_key(customer, n) for n in numbers], "ConsistentRead": True}}
        read: set[int] = set()
        while keys:
            done = calls.ask(client.batch_get_item, RequestItems=keys)
            if done is None:
                break
            read |= _numbers(done["Responses"].get(TABLE, []))
            keys = done["UnprocessedKeys"]
        else:
            wrong += [f"batch_get_item of {customer} {n}" for n in sorted((mine & set(numbers)) - read)]
        found = calls.ask(client.query, **_query(customer))
        if found is not None:
            wrong += [f"query of {customer} {n}" for n in sorted(mine - _numbers(found["Items"]))]
    calls.report.acknowledged = sum(map(len, acknowledged.values()))
    return acknowledged


def _query(customer: str) -> dict[str, Any]:
    condition = {"KeyConditionExpression": "customer = :c", "ExpressionAttributeValues": {":c": {"S": customer}}}
    return {"TableName": TABLE, "ConsistentRead": True, **condition}


def ask_back(client: DynamoDBClient, calls: Calls, acknowledged: dict[str, set[int]]) -> None:
    """Everything that was acknowledged is there."""
    for customer, mine in acknowledged.items():
        found = calls.ask(client.query, **_query(customer))
        if found is not None:
            calls.report.lost += [f"{customer} {n}" for n in sorted(mine - _numbers(found["Items"]))]


def main(url: str) -> None:
    """The whole program."""
    import boto3

    # No configuration but where and who: the retries are what boto3 does of itself.
    client = boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )
    client.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "customer", "AttributeType": "S"},
            {"AttributeName": "number", "AttributeType": "N"},
        ],
        KeySchema=[
            {"AttributeName": "customer", "KeyType": "HASH"},
            {"AttributeName": "number", "KeyType": "RANGE"},
        ],
    )
    client.get_waiter("table_exists").wait(TableName=TABLE, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    print("open", flush=True)
    ended = threading.Event()

    def listen() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=listen, daemon=True).start()
    calls = Calls()
    ask_back(client, calls, shop(client, calls, ended))
    print(json.dumps(asdict(calls.finish())), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
