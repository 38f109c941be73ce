"""The object store of the real drivers: in memory, or one directory that all nodes of a cluster share.

Rules of this room:

1. An object is put whole or not at all, and is on disk when `put` returns (`disk.write_atomically`).
2. A conditional put compares and writes under one lock, which also holds between processes.
3. A name is a list of parts between slashes, made by nodes. No part becomes a path by itself: whatever is not a letter,
   a digit, `-` or `_` is spelt out, and what is too long for a file's name is cut and told apart by its hash.
"""

from __future__ import annotations

import threading
from hashlib import blake2b
from typing import Protocol

from dynalab.drivers.disk import FileSystem, parent_of, write_atomically
from dynalab.drivers.log_files import make_dir_durably
from dynalab_impl.effects import NO_OBJECT, ObjectDone, object_tag

PART_CHARACTERS_MAX = 120
LOCK = "lock"
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


class Objects(Protocol):
    """Calls return what is told to the node; they may take long, and come from worker threads."""

    def put(self, name: str, data: bytes, expected: str | None) -> ObjectDone:
        """Put an object; with `expected` only in the place of the one with that tag."""

    def get(self, name: str) -> ObjectDone: ...


class MemoryObjects:
    """Objects that live as long as the process.

    >>> objects = MemoryObjects()
    >>> objects.put("a", b"one", NO_OBJECT).status, objects.put("a", b"two", NO_OBJECT).status
    ('done', 'refused')
    >>> objects.get("a").data, objects.get("b").status
    (b'one', 'missing')
    """

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def put(self, name: str, data: bytes, expected: str | None) -> ObjectDone:
        with self._lock:
            if expected is not None and expected != _tag(self._objects.get(name)):
                return ObjectDone(name, "refused")
            self._objects[name] = data
        return ObjectDone(name, "done")

    def get(self, name: str) -> ObjectDone:
        data = self._objects.get(name)
        return ObjectDone(name, "missing") if data is None else ObjectDone(name, "done", data)


class ObjectDirectory:
    """Objects as files below a directory. Errors of the disk are told as "failed"."""

    def __init__(self, fs: FileSystem, root: str) -> None:
        self._fs = fs
        self._root = root
        self._mutex = threading.Lock()
        self._made: set[str] = set()  # directories whose names are on disk

    def put(self, name: str, data: bytes, expected: str | None) -> ObjectDone:
        path = f"{self._root}/{path_of(name)}"
        try:
            # Other processes are kept out by the file, other threads of this one by the mutex.
            with self._mutex:
                if parent_of(path) not in self._made:
                    make_dir_durably(self._fs, parent_of(path))
                    self._made.add(parent_of(path))
                with self._fs.locked(f"{self._root}/{LOCK}"):
                    if expected is not None and expected != _tag(self._read(path)):
                        return ObjectDone(name, "refused")
                    write_atomically(self._fs, path, data)
        except OSError:
            return ObjectDone(name, "failed")
        return ObjectDone(name, "done")

    def get(self, name: str) -> ObjectDone:
        try:
            data = self._read(f"{self._root}/{path_of(name)}")
        except OSError:
            return ObjectDone(name, "failed")
        return ObjectDone(name, "missing") if data is None else ObjectDone(name, "done", data)

    def _read(self, path: str) -> bytes | None:
        try:
            return self._fs.read(path)
        except FileNotFoundError:
            return None


def path_of(name: str) -> str:
    """A relative path for an object's name.

    >>> path_of("archive/orders/4.1/manifest"), path_of("archive/../x")
    ('archive/orders/4%2e1/manifest', 'archive/%2e%2e/x')
    """
    return "/".join(_part(part) for part in name.split("/"))


def _part(part: str) -> str:
    spelt = "".join(c if c in _PLAIN else f"%{ord(c):02x}" for c in part) or "%"
    if len(spelt) <= PART_CHARACTERS_MAX:
        return spelt
    # "~" stands in no part that was not cut.
    return spelt[:40] + "~" + blake2b(part.encode(), digest_size=16).hexdigest()


def _tag(data: bytes | None) -> str:
    return NO_OBJECT if data is None else object_tag(data)
