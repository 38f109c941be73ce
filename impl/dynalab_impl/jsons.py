"""A word between the type checker and plain data."""

from __future__ import annotations

from typing import Any


def as_json(value: object) -> Any:
    """Items and bodies are JSON already; this only says so to the type checker."""
    return value
