"""Settings of the whole suite: Hypothesis profiles, and what a missing outside program means.

`ci` draws the same examples in every run, so that a red run is the change's fault and not the draw's; `dev` explores.
A test marked `needs("chromium")` is skipped, with the reason, where that program is missing; where DYNALAB_REQUIRE
names it, it fails instead, so that a build machine that lost a program does not go green. Nothing else belongs here:
fixtures live beside the tests that use them.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("dev", deadline=None, max_examples=50)
settings.register_profile(
    "ci", deadline=None, max_examples=100, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))

# The name that a marker and DYNALAB_REQUIRE use, and the programs that answer to it; a path is that very file.
_CLIENTS = Path(__file__).parents[1] / ".tools" / "clients"  # `make clients`
PROGRAMS: dict[str, tuple[str, ...]] = {
    "dot": ("dot",),
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "node": ("node",),
    "npm": ("npm",),
    "awscli": ("aws",),
    "pynamodb": (str(_CLIENTS / "pynamodb" / "ready"),),
    "aiodynamo": (str(_CLIENTS / "aiodynamo" / "ready"),),
    "javascript-sdk": (str(_CLIENTS / "javascript" / "ready"),),
}


def required_tools() -> frozenset[str]:
    """The tools that must be there, from DYNALAB_REQUIRE (a comma-separated list)."""
    return frozenset(name.strip() for name in os.environ.get("DYNALAB_REQUIRE", "").split(",") if name.strip())


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-transcripts", action="store_true", help="write the golden transcripts anew")


def pytest_configure(config: pytest.Config) -> None:
    unknown = required_tools() - set(PROGRAMS)
    if unknown:
        raise pytest.UsageError(f"DYNALAB_REQUIRE names unknown tools: {', '.join(sorted(unknown))}")


def _is_there(program: str) -> bool:
    return Path(program).exists() if "/" in program else shutil.which(program) is not None


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        for tool in mark.args:
            programs = PROGRAMS.get(tool)
            if programs is None:
                pytest.fail(f"needs({tool!r}): no such tool; known are {', '.join(PROGRAMS)}", pytrace=False)
            if any(_is_there(program) for program in programs):
                continue
            sentence = f"needs {tool}: none of {', '.join(programs)} is on the PATH"
            if "/" in programs[0]:
                sentence = f"needs {tool}: run `make clients` first"
            if tool in required_tools():
                pytest.fail(f"{sentence}, and DYNALAB_REQUIRE asks for it", pytrace=False)
            pytest.skip(sentence)
