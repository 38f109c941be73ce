"""Attribute values in DynamoDB's own wire form (placeholder header: the helper who owns this file rewrites it whole)."""

from __future__ import annotations

from typing import TypeAlias

AttributeValue: TypeAlias = "dict[str, str | bool | list[str] | list[AttributeValue] | dict[str, AttributeValue]]"
Item: TypeAlias = dict[str, AttributeValue]
