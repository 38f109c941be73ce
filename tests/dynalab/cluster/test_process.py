"""Signals go to processes that are proven to be ours, and ports lie where no client port can meet them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynalab.drivers.cluster import process
from dynalab.drivers.cluster.process import Identity, identify, is_ours, is_stopped, listen, send_signal, wait_until


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        yield child
    finally:
        child.kill()
        child.wait()


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process with the command line of a node."""
    path = os.path.realpath(tmp_path)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "-m", process.MODULE, path, "n1"])
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def test_a_pid_that_was_given_to_somebody_else_gets_no_signal(
    stranger: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    identity = identify(stranger.pid)
    assert identity is not None
    assert not send_signal(identity, os.path.realpath(tmp_path), "n1", signal.SIGKILL)
    assert stranger.poll() is None


def test_a_node_of_ours_gets_it(ours: subprocess.Popen[bytes], tmp_path: Path) -> None:
    identity = identify(ours.pid)
    assert identity is not None
    path = os.path.realpath(tmp_path)
    assert wait_until(lambda: is_ours(identity, path, "n1"), 5), "its command line shows a moment after it began"
    assert send_signal(identity, path, "n1", signal.SIGSTOP)
    assert wait_until(lambda: is_stopped(ours.pid), 5)
    assert send_signal(identity, path, "n1", signal.SIGKILL)
    assert wait_until(lambda: identify(ours.pid) is None, 5), "what is not reaped yet runs no more"
    assert not send_signal(identity, path, "n1", signal.SIGKILL)


def test_a_node_of_another_directory_or_another_time_is_not_ours(ours: subprocess.Popen[bytes], tmp_path: Path) -> None:
    identity = identify(ours.pid)
    assert identity is not None
    path = os.path.realpath(tmp_path)
    assert not is_ours(identity, path + "-other", "n1")
    assert not is_ours(identity, path, "n2")
    assert not is_ours(Identity(ours.pid, identity.began + "1"), path, "n1"), "the pid came round again"


def test_ports_lie_below_those_that_the_system_gives_to_clients() -> None:
    bound = [listen(None, exact=False) for _ in range(5)]
    try:
        ports = {one.getsockname()[1] for one in bound}
        assert len(ports) == 5 and all(process.PORT_LOW <= port < process.PORT_HIGH for port in ports)
        range_file = Path("/proc/sys/net/ipv4/ip_local_port_range")
        if range_file.exists():
            assert max(ports) < int(range_file.read_text().split()[0])
    finally:
        for one in bound:
            one.close()


def test_a_port_in_use_is_an_error_if_it_must_be_this_one() -> None:
    with listen(None, exact=False) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError):
            listen(port, exact=True)
        with listen(port, exact=False) as other:
            assert other.getsockname()[1] != port
