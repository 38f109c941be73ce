"""The examples in the docstrings run and print what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "dynalab_model": "model",
    "dynalab_impl": "impl",
    "dynalab_checkers": "checkers",
    "dynalab_fault_injection": "fault_injection",
    "dynalab": ".",
}


def module_names() -> list[str]:
    """Every module of the five packages whose source holds an example."""
    names: list[str] = []
    for package, room in PACKAGES.items():
        folder = ROOT / room / package
        for path in sorted(folder.rglob("*.py")):
            if ">>> " not in path.read_text(encoding="utf-8"):
                continue
            parts = path.relative_to(folder.parent).with_suffix("").parts
            names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


@pytest.mark.parametrize("name", module_names())
def test_the_examples_of(name: str) -> None:
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    assert result.failed == 0
    assert result.attempted > 0


def test_every_package_is_found() -> None:
    found = {name.split(".")[0] for name in module_names()}
    assert found == set(PACKAGES)
