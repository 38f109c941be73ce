"""`python -m dynalab.determinism`: one seed, one run, under every Python at hand.

The same seeds run under each CPython from 3.11 on that is found, and under Pyodide in Node, each with several values of
PYTHONHASHSEED. All trace hashes of a seed must be equal. The number of hashes that were compared is printed: a check
that compared nothing is not a pass.

Every Python gets the same bundle: the rooms and their pure dependencies, copied out of this environment. So no
compiled extension can be what makes two runs equal, or different.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click

BUNDLE: Final = (
    "dynalab_model",
    "dynalab_impl",
    "dynalab_checkers",
    "dynalab_fault_injection",
    "lark",
    "sortedcontainers",
    "networkx",
)
PYODIDE_VERSION: Final = "314.0.7"
HASH_SEEDS: Final = ("0", "1", "4242")
OLDEST: Final = (3, 11)
INSTALL_SECONDS_MAX: Final = 300
EXIT_DIFFERS: Final = 3
EXIT_INTERNAL: Final = 70
_HERE: Final = Path(__file__).parent


class CannotRun(RuntimeError):
    """A Python that was asked for cannot run the seeds; the text says why."""


@dataclass(frozen=True, slots=True)
class Python:
    """A Python that can make runs: its name in reports, and the command that runs the worker with one argument."""

    name: str
    command: tuple[str, ...]


@dataclass(slots=True)
class Comparison:
    """All hashes: seed → hash → the Pythons that got it. `compared` counts hashes, not seeds."""

    hashes: dict[int, dict[str, list[str]]] = field(default_factory=dict)

    def add(self, seed: int, trace_hash: str, name: str) -> None:
        self.hashes.setdefault(seed, {}).setdefault(trace_hash, []).append(name)

    @property
    def compared(self) -> int:
        """
        >>> c = Comparison(); c.add(1, "ab", "CPython 3.11"); c.add(1, "ab", "Pyodide"); c.compared, c.differing
        (2, [])
        """
        return sum(len(names) for by_hash in self.hashes.values() for names in by_hash.values())

    @property
    def differing(self) -> list[int]:
        """The seeds that got more than one hash.

        >>> c = Comparison(); c.add(1, "ab", "CPython 3.11"); c.add(1, "cd", "Pyodide"); c.differing
        [1]
        """
        return [seed for seed, by_hash in self.hashes.items() if len(by_hash) > 1]


def find_cpythons(directories: Iterable[Path] | None = None) -> dict[tuple[int, int], Path]:
    """One interpreter for each CPython from 3.11 on, this one first; looks on the PATH and where pyenv keeps them."""
    found: dict[tuple[int, int], Path] = {(sys.version_info[0], sys.version_info[1]): Path(sys.executable)}
    if directories is None:
        pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
        on_path = [Path(part) for part in os.environ.get("PATH", "").split(os.pathsep) if part]
        directories = [*sorted(pyenv.glob("*/bin")), *on_path]
    for directory in directories:
        for path in sorted(directory.glob("python3.*")) if directory.is_dir() else ():
            match = re.fullmatch(r"python3\.(\d+)", path.name)
            if match is None or (3, int(match[1])) < OLDEST or (3, int(match[1])) in found:
                continue
            probe = "import sys, platform; print(platform.python_implementation(), *sys.version_info[:2])"
            done = subprocess.run([str(path), "-I", "-c", probe], capture_output=True, text=True)
            if done.returncode == 0 and done.stdout.split() == ["CPython", "3", match[1]]:
                found[3, int(match[1])] = path
    return dict(sorted(found.items()))


def make_bundle(directory: Path) -> Path:
    """Copy the packages of BUNDLE below `directory`, sources only; returns the folder that holds them."""
    bundle = directory / "bundle"
    for name in BUNDLE:
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            raise CannotRun(f"the package {name} is not installed")
        ignore = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd", "tests")
        shutil.copytree(spec.submodule_search_locations[0], bundle / name, ignore=ignore)
    return bundle


def install_pyodide(tools: Path) -> Path:
    """pyodide.mjs below `tools`, installed by npm when it is not there yet. Raises CannotRun."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise CannotRun("node and npm are not installed (Debian: apt-get install nodejs npm)")
    module = tools / "node_modules" / "pyodide" / "pyodide.mjs"
    if not module.is_file():
        tools.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(tools)]
        done = subprocess.run(
            [*command, f"pyodide@{PYODIDE_VERSION}"], capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX
        )
        if done.returncode != 0 or not module.is_file():
            raise CannotRun(f"npm could not install pyodide: {done.stderr.strip()[-200:]}")
    return module.resolve()


def run_seeds(
    python: Python, hash_seed: str, bundle: Path, seeds: list[int], workload: str, faults: list[str]
) -> list[tuple[int, str]]:
    """(seed, trace hash) of each seed under that Python. Raises CannotRun when it did not answer for every seed."""
    request = json.dumps({"seeds": seeds, "workload": workload, "faults": faults})
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(bundle)}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    done = subprocess.run([*python.command, request], capture_output=True, text=True, env=environment)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    if done.returncode != 0 or [line[0] for line in lines] != seeds:
        raise CannotRun(f"{python.name} ended with code {done.returncode}: {done.stderr.strip()[-600:]}")
    return [(line[0], line[1]) for line in lines]


def parse_seeds(text: str) -> list[int]:
    """A:B as the seeds from A up to and without B.

    >>> parse_seeds("3:6")
    [3, 4, 5]
    """
    low, _, high = text.partition(":")
    seeds = list(range(int(low), int(high)))
    if not seeds:
        raise ValueError(f"no seeds in {text!r}")
    return seeds


@click.command()
@click.option("--seeds", default="0:50", show_default=True, metavar="A:B", help="Seeds from A up to and without B.")
@click.option("--workload", default="register", show_default=True)
@click.option("--faults", multiple=True, default=("node-crash", "zone-loss", "index-lag"), show_default=True)
@click.option("--pyodide/--no-pyodide", default=True, show_default=True, help="Also run under Pyodide in Node.")
@click.option("--tools", default=".tools/npm", show_default=True, help="Where npm installs pyodide.")
@click.option("--jobs", default=2, show_default=True)
def main(seeds: str, workload: str, faults: tuple[str, ...], pyodide: bool, tools: str, jobs: int) -> None:
    """Compare the trace hashes of the same seeds under every Python at hand. Exit code 0: equal; 3: not."""
    try:
        numbers = parse_seeds(seeds)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--seeds") from error
    with tempfile.TemporaryDirectory(prefix="dynalab-determinism-") as directory:
        try:
            bundle = make_bundle(Path(directory))
            worker = str(_HERE / "_determinism_worker.py")
            pythons = [
                # -s and no site-packages: what is not in the bundle cannot be imported.
                Python(f"CPython {version[0]}.{version[1]}", (str(path), "-s", "-S", worker))
                for version, path in find_cpythons().items()
            ]
            if pyodide:
                module = install_pyodide(Path(tools))
                archive = shutil.make_archive(str(Path(directory) / "bundle"), "zip", bundle)
                runner = str(_HERE / "_pyodide_runs.mjs")
                pythons.append(Python(f"Pyodide {PYODIDE_VERSION}", ("node", runner, str(module), archive, worker)))
            comparison = Comparison()
            jobs_to_do = [(python, hash_seed) for python in pythons for hash_seed in HASH_SEEDS]
            with ThreadPoolExecutor(jobs) as pool:
                results = pool.map(
                    lambda job: (job, run_seeds(job[0], job[1], bundle, numbers, workload, list(faults))), jobs_to_do
                )
                for (python, hash_seed), hashes in results:
                    name = f"{python.name}, PYTHONHASHSEED={hash_seed}"
                    for seed, trace_hash in hashes:
                        comparison.add(seed, trace_hash, name)
                    click.echo(f"{name}: {len(hashes)} runs")
        except CannotRun as error:
            click.echo(f"dynalab.determinism: {error}", err=True)
            sys.exit(EXIT_INTERNAL)
    for seed in comparison.differing:
        for trace_hash, names in comparison.hashes[seed].items():
            click.echo(f"seed {seed}: {trace_hash} under {'; '.join(names)}")
    equal = len(comparison.hashes) - len(comparison.differing)
    click.echo(
        f"{comparison.compared} hashes compared, {equal} of {len(comparison.hashes)} seeds have one hash everywhere"
    )
    sys.exit(EXIT_DIFFERS if comparison.differing else 0)


if __name__ == "__main__":
    main()
