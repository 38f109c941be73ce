"""`dynalab serve` as a process, for tests that need the whole thing."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@dataclass(slots=True)
class Served:
    """A running endpoint and its process."""

    url: str
    process: subprocess.Popen[str]

    def client(self, *, attempts: int = 1) -> DynamoDBClient:
        import boto3
        from botocore.config import Config

        return boto3.client(
            "dynamodb",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
            config=Config(retries={"total_max_attempts": attempts}, read_timeout=20),
        )

    def fault(self, name: str, **parameters: object) -> dict[str, Any]:
        """Ask the lab to break something, or to heal it; gives its answer."""
        body = json.dumps({"fault": name, **parameters}).encode()
        request = urllib.request.Request(f"{self.url}/_dynalab/faults", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            content: dict[str, Any] = json.load(answer)
        return content

    def hits(self) -> int:
        """How many requests met the last fault."""
        with urllib.request.urlopen(f"{self.url}/_dynalab/faults", timeout=10) as answer:
            return int(json.load(answer)["faults"][-1]["hits"])

    def make(self, *tables: str) -> None:
        """Tables with a key `pk`, once they are ACTIVE."""
        client = self.client()
        for table in tables:
            client.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            )
        for table in tables:
            client.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1})

    def kill(self) -> None:
        """kill -9"""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=10)

    def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


@contextmanager
def serve(*options: str) -> Iterator[Served]:
    """Run `dynalab serve` on a free port; ended when the block ends, if it has not ended by itself."""
    command = [sys.executable, "-m", "dynalab", "serve", "--port", "0", *options]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"listening on (http://127\.0\.0\.1:\d+)\n", line)
        assert found is not None, f"dynalab serve said {line!r}"
        yield Served(found[1], process)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(timeout=10)
        assert process.stdout is not None
        process.stdout.close()
