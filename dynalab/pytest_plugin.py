"""The pytest fixture `dynalab_endpoint`: a DynamoDB for tests, in a process of its own, with fresh tables for every
test.

It loads with every pytest run where dynalab is installed, so importing this file imports pytest and the standard
library and nothing else; `dynalab` proper runs in the endpoint's process, and boto3 is imported only by `client()` and
`resource()`.

Each pytest process starts one endpoint when a test first asks for one, on a port that the system chooses: workers of
pytest-xdist cannot meet. Before each test the endpoint is healed and emptied.

The marker `dynalab_fault` puts a fault on for one test. A fault that hit nothing has shown nothing: then the test ends
in an error, however it went.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient, DynamoDBServiceResource

START_SECONDS_MAX = 30
CALL_SECONDS_MAX = 30
HIT_SECONDS_MAX = 2.0
REGION = "us-east-1"
ACCESS_KEY, SECRET_KEY = "dynalab", "dynalab"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A running endpoint. `url` is what clients take as endpoint URL; any credentials will do."""

    url: str
    region: str = REGION
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY

    def client(self) -> DynamoDBClient:
        """A boto3 client, with dummy credentials and without retries: a test should see what the service said."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "dynamodb",
            endpoint_url=self.url,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(retries={"total_max_attempts": 1}),
        )

    def resource(self) -> DynamoDBServiceResource:
        """A boto3 resource, made like `client`."""
        import boto3
        from botocore.config import Config

        return boto3.resource(
            "dynamodb",
            endpoint_url=self.url,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(retries={"total_max_attempts": 1}),
        )

    def fault(self, name: str, **parameters: str | int) -> dict[str, object]:
        """Break the service: `dynalab_endpoint.fault("kill-leader", table="orders")`. It is healed before the next
        test.
        """
        return self._lab("POST", "faults", {"fault": name, **parameters})

    def faults(self) -> list[dict[str, object]]:
        """What was put on since the last reset, as `dynalab fault --json` shows it; `hits` says how often it struck."""
        found = json.loads(self._ask("GET", "faults", None))["faults"]
        assert isinstance(found, list)
        return found

    def heal(self) -> None:
        """Take every fault off."""
        self._lab("POST", "faults", {"fault": "heal"})

    def reset(self) -> None:
        """Heal, delete every table, forget the history."""
        self._lab("POST", "reset", {})

    def history(self) -> str:
        """What the clients saw since the last reset, as JSON lines for `dynalab check`."""
        return self._ask("GET", "history", None)

    def _lab(self, method: str, path: str, body: dict[str, object] | None) -> dict[str, object]:
        answer = json.loads(self._ask(method, path, body))
        assert isinstance(answer, dict)
        return answer

    def _ask(self, method: str, path: str, body: dict[str, object] | None) -> str:
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=CALL_SECONDS_MAX)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, f"/_dynalab/{path}", data, {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(f"/_dynalab/{path} answered {response.status}: {text.strip()}")
        return text


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        "dynalab_fault(name, **parameters): dynalab_endpoint suffers this fault during the test, as"
        " `dynalab fault name key=value` would put it on; an error if it hit nothing",
    )


@pytest.fixture(scope="session")
def dynalab_endpoint_process() -> Iterator[Endpoint]:
    """One endpoint for this pytest process. Tests want `dynalab_endpoint`, which empties it first."""
    command = [sys.executable, "-m", "dynalab", "serve", "--port", "0", "--lab"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    errors: list[str] = []
    # Somebody has to read standard error, or a talkative process would stop at a full pipe.
    reader = threading.Thread(target=lambda: errors.extend(process.stderr or ()), daemon=True)
    reader.start()
    watchdog = threading.Timer(START_SECONDS_MAX, process.kill)
    watchdog.start()
    try:
        line = process.stdout.readline()
        watchdog.cancel()
        found = re.fullmatch(r"listening on (http://\S+)\n", line)
        if found is None:
            process.wait()
            reader.join(timeout=5)
            pytest.fail(f"dynalab serve did not start: {''.join(errors).strip() or line}", pytrace=False)
        yield Endpoint(found[1])
    finally:
        watchdog.cancel()
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()


@pytest.fixture
def dynalab_endpoint(dynalab_endpoint_process: Endpoint, request: pytest.FixtureRequest) -> Iterator[Endpoint]:
    """A DynamoDB endpoint without tables: `.url`, `.client()`, `.resource()`, `.fault(name, …)`, `.history()`; with the
    faults of the marker.
    """
    endpoint = dynalab_endpoint_process
    endpoint.reset()
    # The marker next to the test comes last: a module may set the scene for all of its tests.
    marks = list(request.node.iter_markers("dynalab_fault"))[::-1]
    numbers = [endpoint.fault(*mark.args, **mark.kwargs)["id"] for mark in marks]
    yield endpoint
    idle = _idle(endpoint, numbers)
    if idle:
        pytest.fail(f"dynalab_fault: {', '.join(idle)} hit nothing, so this test shows nothing", pytrace=False)


def _idle(endpoint: Endpoint, numbers: list[object]) -> list[str]:
    """Those of these faults that hit nothing. A quick test may be over before the service does what a fault is for."""
    give_up = time.monotonic() + HIT_SECONDS_MAX
    while numbers:
        idle = [str(fault["fault"]) for fault in endpoint.faults() if fault["id"] in numbers and not fault["hits"]]
        if not idle or time.monotonic() > give_up:
            return idle
        time.sleep(0.02)
    return []
