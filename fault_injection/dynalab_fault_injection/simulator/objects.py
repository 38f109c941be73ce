"""The object store outside the cluster: whole objects under names, some milliseconds away.

What is put takes effect when the store comes to it, whole or not at all, and stays. A store that fails says so; in half
of those cases it has done what it was asked for all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from dynalab_fault_injection.simulator.network import CHANCE_BITS
from dynalab_impl.effects import NO_OBJECT, ObjectDone, object_tag


@dataclass(slots=True)
class ObjectStore:
    """Objects by name. `chance` out of 2²⁰ requests fail while that is set."""

    random: Random
    base_ns: int = 15_000_000
    spread_bits: int = 24  # up to 17 ms more
    chance: int = 0
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: int = 0
    failed: int = 0
    rotten: list[str] = field(default_factory=list)  # objects that were hurt, in order

    def delay_ns(self) -> int:
        """How long the next request takes."""
        return self.base_ns + self.random.getrandbits(self.spread_bits)

    def put(self, name: str, data: bytes, expected: str | None) -> ObjectDone:
        """The request has reached the store."""
        fails = self._fails()
        if fails and self.random.getrandbits(1):
            return ObjectDone(name, "failed")
        if expected is not None and expected != self._tag(name):
            return ObjectDone(name, "failed" if fails else "refused")
        self.objects[name] = data
        return ObjectDone(name, "failed" if fails else "done")

    def get(self, name: str) -> ObjectDone:
        """The request has reached the store."""
        if self._fails():
            return ObjectDone(name, "failed")
        data = self.objects.get(name)
        return ObjectDone(name, "missing") if data is None else ObjectDone(name, "done", data)

    def rot(self, name: str, bit: int) -> None:
        """Flip a bit of an object, counted from its beginning and around its end."""
        data = bytearray(self.objects[name])
        bit %= 8 * len(data)
        data[bit // 8] ^= 1 << bit % 8
        self.objects[name] = bytes(data)
        self.rotten.append(name)

    def _tag(self, name: str) -> str:
        data = self.objects.get(name)
        return NO_OBJECT if data is None else object_tag(data)

    def _fails(self) -> bool:
        self.requests += 1
        fails = self.random.getrandbits(CHANCE_BITS) < self.chance
        self.failed += fails
        return fails
