"""`dynalab cluster` as a user types it, for tests that need real processes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@dataclass(frozen=True, slots=True)
class Command:
    """What a command gave back."""

    code: int
    out: str
    err: str


def command(*words: str) -> Command:
    """Run `dynalab …` as a process of its own."""
    done = subprocess.run([sys.executable, "-m", "dynalab", *words], capture_output=True, text=True, timeout=60)
    return Command(done.returncode, done.stdout, done.stderr)


def quick(*words: str) -> Command:
    """The same inside this process: a third of a second sooner."""
    from dynalab.cli import run

    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run(list(words))
    return Command(code, out.getvalue(), err.getvalue())


def processes_of(directory: str | os.PathLike[str]) -> list[int]:
    """The pids of all living processes that were started with this directory in their command line."""
    path, found = os.path.realpath(directory), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if path.encode() in words and b"dynalab.drivers.cluster.node" in words:
                found.append(int(entry.name))
    return sorted(found)


@dataclass(frozen=True, slots=True)
class Up:
    """A cluster that is up."""

    data: str
    urls: list[str]

    def __call__(self, *words: str) -> Command:
        """`dynalab cluster …` on it."""
        return quick("cluster", *words, "--data", self.data)

    def status(self) -> dict[str, Any]:
        """`dynalab cluster status --json`."""
        found: dict[str, Any] = json.loads(self("status", "--json").out)
        return found

    def node(self, name: str) -> dict[str, Any]:
        """One node of the status."""
        found: dict[str, Any] = next(node for node in self.status()["nodes"] if node["node"] == name)
        return found

    def client(self, router: int = 0, *, attempts: int = 1) -> DynamoDBClient:
        """A real client of one router."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "dynamodb",
            endpoint_url=self.urls[router],
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
            config=Config(retries={"total_max_attempts": attempts}, read_timeout=10, connect_timeout=2),
        )


@contextmanager
def up(data: Path, *options: str) -> Iterator[Up]:
    """A cluster, down again when the block ends."""
    started = command("cluster", "up", "--data", str(data), *options)
    assert started.code == 0, started.err
    urls = [line.removeprefix("listening on ") for line in started.out.splitlines()]
    try:
        yield Up(str(data), urls)
    finally:
        ended = command("cluster", "down", "--data", str(data))
        assert ended.code == 0, ended.err
        assert processes_of(data) == []
