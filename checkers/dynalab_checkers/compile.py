"""An optional compiled path: copies of the hot modules, compiled by mypyc, beside the package and never in it.

    python -m dynalab_checkers.compile          prints the directory; then set DYNALAB_COMPILED to it

Rules of this room:
1. It is never needed: the same verdicts, the same counts of steps, in one half to three quarters of the time.
2. The copies are the sources themselves. What was compiled from other sources than those at hand is not used.
3. Nothing is fetched: mypyc (part of mypy) and a C compiler are there, or this says in a sentence that they are not.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

MODULES: Final = (
    "general",
    "linearizability",
    "models",
    "operation",
    "register_facts",
    "register_fast",
    "register_refusals",
    "register_search",
    "words",
)
PACKAGE: Final = Path(__file__).parent
# A compiled class has its attributes in place anyway, and mypyc makes no slots for it.
_SLOTS: Final = ("@dataclass(slots=True)\nclass Operation:", "@dataclass\nclass Operation:")
_SETUP: Final = """
from mypyc.build import mypycify
from setuptools import setup

options = ["--strict", "--follow-imports=silent", "--explicit-package-bases", "--ignore-missing-imports"]
setup(name="compiled", packages=[], ext_modules=mypycify([*options, *{files!r}], opt_level="3"))
"""


class CannotCompile(RuntimeError):
    """What is missing, in a sentence."""


def digest() -> str:
    """Of the sources that would be compiled, and of the Python that would use them."""
    result = hashlib.sha256(sysconfig.get_config_var("EXT_SUFFIX").encode())
    for name in MODULES:
        result.update((PACKAGE / f"{name}.py").read_bytes())
    return result.hexdigest()[:16]


def default_cache() -> Path:
    """Where compiled modules are kept: in the user's cache, a directory for each state of the sources."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "dynalab" / f"compiled-{digest()}"


def compile_modules(cache: Path) -> Path:
    """Compile into `cache` unless that is done already, and return it. Raises CannotCompile."""
    if is_current(cache):
        return cache
    if find_spec("mypyc") is None or find_spec("setuptools") is None:
        raise CannotCompile("compiling needs mypyc and setuptools: pip install mypy setuptools")
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        raise CannotCompile(f"compiling needs the C compiler {compiler}, which is not here")
    with tempfile.TemporaryDirectory(prefix="dynalab-compile-") as folder:
        build = Path(folder)
        package = build / PACKAGE.name
        package.mkdir()
        files: list[str] = []
        for name in MODULES:
            text = (PACKAGE / f"{name}.py").read_text(encoding="utf-8")
            (package / f"{name}.py").write_text(text.replace(*_SLOTS), encoding="utf-8")
            files.append(f"{PACKAGE.name}/{name}.py")
        (build / "setup.py").write_text(_SETUP.format(files=files), encoding="utf-8")
        # The modules that are not compiled are still looked at, for their types.
        environment = os.environ | {"MYPYPATH": str(PACKAGE.parent)}
        command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
        done = subprocess.run(command, cwd=build, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CannotCompile(f"mypyc or the C compiler failed:\n{(done.stdout + done.stderr)[-2000:]}")
        for source, target in ((package, cache / "modules"), (build, cache / "shared")):
            target.mkdir(parents=True, exist_ok=True)
            for path in source.glob(f"*{sysconfig.get_config_var('EXT_SUFFIX')}"):
                shutil.copy2(path, target / path.name)
    # Written last: without it nothing of the directory is used.
    (cache / "digest").write_text(digest(), encoding="utf-8")
    return cache


def is_current(cache: Path) -> bool:
    """Whether the directory holds what these sources compile to."""
    try:
        return (cache / "digest").read_text(encoding="utf-8") == digest()
    except OSError:
        return False


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: prints the directory, or why there is none."""
    parser = argparse.ArgumentParser(prog="python -m dynalab_checkers.compile", description=__doc__.split("\n")[0])
    parser.add_argument("--cache", type=Path, default=None, help="the directory to compile into")
    chosen = parser.parse_args(arguments)
    try:
        cache = compile_modules(chosen.cache or default_cache())
    except CannotCompile as error:
        print(error, file=sys.stderr)
        return 1
    print(cache)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
