"""The README's first screen runs as it stands: the blocks are taken out of the file and given to bash."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"<!-- run: (\w+) -->\n```bash\n(.*?)```", README, flags=re.DOTALL))


def run(name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """One block, in a folder of its own, on a free port, with this environment's commands first on the PATH."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DYNALAB_URL": f"http://127.0.0.1:{port}",
    }
    script = "set -eu\n" + BLOCKS[name].replace("8000", str(port))
    bash = shutil.which("bash")
    assert bash is not None
    return subprocess.run(
        [bash, "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


def test_the_first_screen_has_three_blocks() -> None:
    assert list(BLOCKS) == ["violation", "serve", "check"]


@pytest.mark.claim("S22", "S23", "S24")
def test_serve_use_and_break_prints_the_item_after_the_leader_died(tmp_path: Path) -> None:
    done = run("serve", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "{'id': {'S': '1'}, 'state': {'S': 'paid'}}" in done.stdout
    assert "fault=kill-leader" in done.stdout


def test_the_own_history_is_judged_invalid_with_a_sentence(tmp_path: Path) -> None:
    done = run("check", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "exit code 1" in done.stdout
    assert "invalid" in done.stdout
    assert "the read at" in done.stdout


def test_the_hunt_finds_the_violation_and_prints_how_to_see_it_again(tmp_path: Path) -> None:
    done = run("violation", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "acknowledge-before-quorum" in done.stdout
    assert "linearizability" in done.stdout
    assert "dynalab replay" in done.stdout


def test_every_file_that_the_readme_links_to_is_there() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert len(links) >= 6
    assert [link for link in links if not (ROOT / link).is_file()] == []
