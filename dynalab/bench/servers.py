"""The servers under load: dynalab's endpoint and dynalite (each in memory and with files), moto's server. Each is a
process of its own.

Only processes that were started here are ended, by their handle. A server that cannot be started is a `Skipped` with
its reason.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DYNALITE_VERSION: Final = "4.0.0"
START_SECONDS_MAX: Final = 30.0
INSTALL_SECONDS_MAX: Final = 300
OPTIONS: Final = {"dynalab": (), "dynalab --data": ("--data",), "dynalab --data --no-fsync": ("--data", "--no-fsync")}
NAMES: Final = (*OPTIONS, "moto", "dynalite", "dynalite --path")


class Skipped(RuntimeError):
    """This server is not measured; the text says why."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that was started: where it listens, and which process it is."""

    url: str
    process: int

    def cpu_seconds(self) -> float | None:
        """Processor time that the process has used so far; None where the system does not tell."""
        try:
            # The name of the program, in brackets, may hold anything: fields are counted from behind it.
            fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port on loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_port(process: subprocess.Popen[str], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Skipped(f"it ended at once with exit code {process.returncode}")
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise Skipped(f"it did not listen within {START_SECONDS_MAX:.0f} s")


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def dynalab(*options: str) -> Iterator[Running]:
    """`dynalab serve` on a free port; with `--data`, on files in a temporary directory."""
    with tempfile.TemporaryDirectory(prefix="dynalab-bench-") as directory:
        command = [str(Path(sys.executable).with_name("dynalab")), "serve", "--port", "0"]
        for option in options:
            command += [option, directory] if option == "--data" else [option]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"listening on (http://\S+)", line)
            if found is None:
                raise Skipped(f"dynalab serve did not start: {line.strip() or 'it said nothing'}")
            yield Running(found[1], process.pid)
        finally:
            _stop(process)


@contextmanager
def moto() -> Iterator[Running]:
    """moto's server (extra `dev`)."""
    try:
        import moto.server  # noqa: F401
    except ImportError as error:
        raise Skipped("moto is not installed (extra dev)") from error
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
    try:
        _wait_for_port(process, port)
        yield Running(f"http://127.0.0.1:{port}", process.pid)
    finally:
        _stop(process)


def install_dynalite(tools: Path) -> Path:
    """dynalite's script below `tools`, installed by npm when it is not there yet."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Skipped("node and npm are not installed (Debian: apt-get install nodejs npm)")
    package = tools / "node_modules" / "dynalite"
    if not package.is_dir():
        tools.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(tools)]
        done = subprocess.run(
            [*command, f"dynalite@{DYNALITE_VERSION}"], capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX
        )
        if done.returncode != 0 or not package.is_dir():
            raise Skipped(f"npm could not install dynalite: {done.stderr.strip()[-200:]}")
    return package / "cli.js"


@contextmanager
def dynalite(tools: Path, data: bool) -> Iterator[Running]:
    """dynalite without its artificial delay of table creation; with `data`, on files in a temporary directory."""
    script = install_dynalite(tools)
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="dynalite-bench-") as directory:
        command = ["node", str(script), "--port", str(port), "--host", "127.0.0.1", "--createTableMs", "0"]
        if data:
            command += ["--path", directory]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
        try:
            _wait_for_port(process, port)
            yield Running(f"http://127.0.0.1:{port}", process.pid)
        finally:
            _stop(process)


@contextmanager
def start(name: str, tools: Path) -> Iterator[Running]:
    """The server of that name (one of NAMES); stopped at the end. Raises Skipped."""
    with ExitStack() as stack:
        if name in OPTIONS:
            yield stack.enter_context(dynalab(*OPTIONS[name]))
        elif name == "moto":
            yield stack.enter_context(moto())
        elif name in ("dynalite", "dynalite --path"):
            yield stack.enter_context(dynalite(tools, data=name.endswith("--path")))
        else:
            raise ValueError(f"no such server: {name}")
