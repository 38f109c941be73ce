"""The examples in the docstrings of values, numbers, keys, errors, expressions and in the README run as written."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

MODULES = [
    "values",
    "numbers",
    "keys",
    "errors",
    "expressions",
    "expressions.condition",
    "expressions.grammar",
    "expressions.key_condition",
    "expressions.nodes",
    "expressions.parser",
    "expressions.projection",
    "expressions.reserved",
    "expressions.texts",
    "expressions.update",
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run_as_written(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"dynalab_model.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


def test_the_example_of_the_readme_runs_as_written() -> None:
    readme = Path(__file__).parents[2] / "model" / "README.md"
    result = doctest.testfile(str(readme), module_relative=False)
    assert result.attempted >= 4
    assert result.failed == 0
