"""Processes of a cluster: started, recognised, signalled. Nothing here knows what they do.

Rules of this room:

1. A pid alone proves nothing: the system may have given it to somebody else. A process is ours if it is alive, began
   when we say it began, and was started as a node of this directory. Only then does it get a signal.
2. On Linux the signal goes through a file descriptor of that very process, so that it cannot be given to a successor in
   between. Elsewhere `ps` is asked just before.
3. Only loopback ports below the range from which the system picks client ports are listened on. From within it, a node
   that tries again and again to reach a dead peer would one day be given the peer's own port and connect to itself.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MODULE = "dynalab.drivers.cluster.node"
LOOPBACK = "127.0.0.1"
PORT_LOW, PORT_HIGH = 10_240, 32_000
PORT_TRIES_MAX = 200


@dataclass(frozen=True, slots=True)
class Identity:
    """A pid and when its process began, in the system's own words."""

    pid: int
    began: str


def identify(pid: int) -> Identity | None:
    """Who has this pid now; None if nobody, or only what is left of a process that ended (a zombie)."""
    if Path("/proc/self/stat").exists():
        try:
            # The name stands in brackets and may hold anything, so fields are counted from the last bracket.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else Identity(pid, fields[19])
    found = _ps(pid, "stat=,lstart=").split(maxsplit=1)
    return None if len(found) < 2 or found[0].startswith("Z") else Identity(pid, found[1])


def is_stopped(pid: int) -> bool:
    """Whether the process is held by SIGSTOP."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"
    except OSError:
        return _ps(pid, "stat=").startswith("T")


def _ps(pid: int, columns: str) -> str:
    command = ["ps", "-ww", "-p", str(pid), "-o", columns]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def is_ours(identity: Identity, directory: str, name: str) -> bool:
    """Whether that process still runs and is the node `name` of the cluster in `directory`."""
    if identify(identity.pid) != identity:
        return False
    try:
        words = Path(f"/proc/{identity.pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        words = _ps(identity.pid, "command=").split()
    return MODULE in words and name in words and any(os.path.realpath(word) == directory for word in words)


def send_signal(identity: Identity, directory: str, name: str, number: int) -> bool:
    """Signal that process if it is ours; False if it is gone. Never signals anybody else."""
    if hasattr(os, "pidfd_open") and hasattr(signal, "pidfd_send_signal"):
        try:
            handle = os.pidfd_open(identity.pid)
        except OSError:
            return False
        try:
            # Looked at after it is in hand: from here on the pid cannot change its owner unnoticed.
            if not is_ours(identity, directory, name):
                return False
            signal.pidfd_send_signal(handle, number)
            return True
        except OSError:
            return False
        finally:
            os.close(handle)
    if not is_ours(identity, directory, name):
        return False
    try:
        os.kill(identity.pid, number)
    except ProcessLookupError:
        return False
    return True


def wait_until(done: Callable[[], bool], seconds_max: float) -> bool:
    """Whether it came true in time; asked every few milliseconds."""
    give_up = time.monotonic() + seconds_max
    while not done():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.005)
    return True


def start(directory: str, name: str, *options: str, log: Path) -> subprocess.Popen[str]:
    """Start the process of a node. It reads from its standard input whether it may begin, and says on its standard
    output what it opened.
    """
    with open(log, "w") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", MODULE, directory, name, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,  # a Ctrl-C at the terminal that started the cluster is not meant for its nodes
        )


def listen(port: int | None, *, host: str = LOOPBACK, exact: bool) -> socket.socket:
    """A bound socket: on `port` if it is free, else (not `exact`) on one drawn at random. Raises OSError."""
    if port is not None:
        try:
            return _bind(host, port)
        except OSError:
            if exact:
                raise
    draws = random.SystemRandom()
    for _ in range(PORT_TRIES_MAX):
        try:
            return _bind(host, draws.randrange(PORT_LOW, PORT_HIGH))
        except OSError:
            continue
    raise OSError(f"no free port between {PORT_LOW} and {PORT_HIGH} on {host}")


def _bind(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        # A restarted node takes its port back although connections of its former life are still fading away.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(1024)
    except BaseException:
        bound.close()
        raise
    bound.setblocking(False)
    return bound
