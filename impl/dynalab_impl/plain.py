"""Copies and fingerprints of node state. State is plain data: no closure, coroutine, future or open iterator lives in
it.

The explorer branches over copies and recognises states by fingerprints, in which times count relative to now: two
states that differ only in when they are reached are one. Fields in a class's `REMEMBERED` only save the work of finding
out again what the others say.
"""

from __future__ import annotations

import copy
import hashlib
from collections import deque
from typing import Any, TypeVar

Plain = TypeVar("Plain")

_SCALARS = (str, bytes, bool, type(None), float)


def copy_plain(value: Plain) -> Plain:
    """A deep copy: changing it leaves the original alone."""
    return copy.deepcopy(value)


def fingerprint(value: object, now_ns: int) -> str:
    """A digest of a state. Fields named `…_ns` are taken relative to `now_ns`; dictionaries in key order."""
    digest = hashlib.blake2b(digest_size=16)
    for part in _parts(value, now_ns, relative=False):
        digest.update(part.encode())
        digest.update(b"\x00")
    return digest.hexdigest()


def _parts(value: Any, now_ns: int, relative: bool) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        yield str(value - now_ns if relative and value > 0 else value)
    elif isinstance(value, _SCALARS):
        yield repr(value)
    elif isinstance(value, dict):
        yield "{"
        for key in sorted(value, key=repr):
            yield repr(key)
            yield from _parts(value[key], now_ns, relative)
        yield "}"
    elif isinstance(value, list | tuple | deque):
        yield "["
        for item in value:
            yield from _parts(item, now_ns, relative)
        yield "]"
    else:
        yield type(value).__name__
        for name in _fields(type(value)):
            yield name
            yield from _parts(getattr(value, name), now_ns, name.endswith("_ns"))


def _fields(cls: type) -> list[str]:
    names: list[str] = []
    for base in cls.__mro__:
        slots = base.__dict__.get("__slots__", ())
        names.extend([slots] if isinstance(slots, str) else slots)
    assert names, f"{cls.__name__} is no plain state: it has no slots"
    remembered = getattr(cls, "REMEMBERED", ())
    return sorted(name for name in names if name not in remembered)
