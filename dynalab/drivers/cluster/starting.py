"""Starting processes of a cluster, all or none, and waiting until clients are served.

Every process first opens what it needs and says so; only then is the cluster file written and each of them told to go
(`node`). If one of them cannot, or whoever starts them is killed meanwhile, none has sent or promised anything.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import subprocess
import time

from dynalab.drivers.cluster import process
from dynalab.drivers.cluster.state import Body, ClusterError, Directory, Place, State
from dynalab.drivers.cluster.status import led, look

OPEN_SECONDS_MAX = 30.0  # for all processes together to open what they need
READY_SECONDS_MAX = 30.0
END_SECONDS_MAX = 5.0
POLL_SECONDS = 0.03

_started: list[subprocess.Popen[str]] = []  # children of this process, kept to be reaped


def is_up(directory: Directory, place: Place) -> bool:
    """Whether the process of that machine is alive, perhaps paused."""
    _reap()
    return place.process is not None and process.is_ours(place.process, directory.path, place.name)


def _reap() -> None:
    # Only a starter that lives on has children of the cluster; for others the system takes what is left of them.
    _started[:] = [child for child in _started if child.poll() is None]


def start(directory: Directory, state: State, names: list[str], *, exact_ports: bool) -> None:
    """Start these processes: all, or none. The state is saved before the first of them may run."""
    children: dict[str, subprocess.Popen[str]] = {}
    options = ("--exact-ports",) if exact_ports else ()
    try:
        for name in names:
            os.makedirs(directory.node(name), mode=0o700, exist_ok=True)
            log = directory.node(name) / "node.log"
            children[name] = process.start(directory.path, name, *options, log=log)
        give_up = time.monotonic() + OPEN_SECONDS_MAX
        for name, child in children.items():
            _record(state.places[name], state, child, _hello(directory, name, child, give_up))
        directory.save(state)
        for name, child in children.items():
            assert child.stdin is not None
            try:
                child.stdin.write("go\n")
                child.stdin.flush()
            except OSError as error:
                raise ClusterError(f"{name} ended at once: {_last_words(directory, name)}") from error
    except BaseException:
        for child in children.values():
            child.kill()  # our own child, not reaped yet: its pid cannot be anybody else's
        for child in children.values():
            child.wait(END_SECONDS_MAX)
        raise
    finally:
        for child in children.values():
            for stream in (child.stdin, child.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
    _started.extend(children.values())


def _hello(directory: Directory, name: str, child: subprocess.Popen[str], give_up: float) -> Body:
    """What a process says once it has opened everything. Raises ClusterError."""
    assert child.stdout is not None
    readable, _, _ = select.select([child.stdout], [], [], max(0.0, give_up - time.monotonic()))
    line = child.stdout.readline() if readable else ""
    if not line:
        how = _last_words(directory, name) if readable else "it said nothing"
        raise ClusterError(f"{name} could not start: {how}", malformed=True)
    said: Body = json.loads(line)
    if "error" in said:
        raise ClusterError(f"{said['error']}", malformed=True)
    return said


def _record(place: Place, state: State, child: subprocess.Popen[str], said: Body) -> None:
    def port(name: str) -> int | None:
        value = said[name]
        assert value is None or isinstance(value, int)
        return value

    incarnation = said["incarnation"]
    assert isinstance(incarnation, int)
    state.machines.incarnations[place.address] = incarnation
    place.peer_port, place.control_port, place.http_port = port("peer_port"), port("control_port"), port("http_port")
    place.process = process.identify(child.pid)


def _last_words(directory: Directory, name: str) -> str:
    try:
        lines = (directory.node(name) / "node.log").read_text(errors="replace").strip().splitlines()
    except OSError:
        return "it said nothing"
    return lines[-1] if lines else "it said nothing"


def wait_until_served(directory: Directory, state: State) -> None:
    """Until each router answers for the catalog, and every group has a leader."""
    give_up = time.monotonic() + READY_SECONDS_MAX
    waiting = [place.http_port or 0 for place in state.routers()]
    while True:
        for place in state.places.values():
            if not is_up(directory, place):
                raise ClusterError(f"{place.name} died while starting: {_last_words(directory, place.name)}")
        waiting = [port for port in waiting if not _serves(state.host, port)]
        if not waiting:
            status = look(directory)
            if all(leader is not None for leader in led(status).values()):
                return
        if time.monotonic() > give_up:
            raise ClusterError(f"not every partition had a leader within {READY_SECONDS_MAX:.0f} s")
        time.sleep(POLL_SECONDS)


def _serves(host: str, port: int) -> bool:
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": "DynamoDB_20120810.ListTables",
        "X-Amz-Date": "20260101T000000Z",
        "Authorization": "AWS4-HMAC-SHA256 Credential=operator/20260101/us-east-1/dynamodb/aws4_request, "
        "SignedHeaders=host;x-amz-date, Signature=" + "0" * 64,
    }
    connection = http.client.HTTPConnection(process.LOOPBACK if host == "0.0.0.0" else host, port, timeout=2.0)
    try:
        connection.request("POST", "/", "{}", headers)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
