"""Hot keys: two clients write two items without pause, the others read them, strongly and as fast as they can.

What two leaders of one group do at the same time lasts for tenths of a second. The mixed load of `register` has a
read on every item only now and then, and a client that waits for a write at a leader that is cut off reads nothing;
here readers only read, so an answer that is too old does not go unseen.

A few cold items are written once in a while, and read at the end. What a replica has lost of hot ones comes again with
the next write; what it has lost of these is missed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from dynalab_fault_injection.simulator import below
from dynalab_fault_injection.workloads.actor import Call
from dynalab_fault_injection.workloads.items import put, put_if
from dynalab_fault_injection.workloads.register import UNKNOWN, Register

WRITERS = (1, 2)  # these clients write, the others read; client 0 is the operator
THINK_BITS = 25  # up to 34 ms
EVENTUAL_OF_16 = 2  # reads out of sixteen
HOT_KEYS = 2
STAYS_NS = 5_000_000_000  # a reader reads one of them for so long: it must not wait for the other one's leader
COLD_OF_64 = 2  # writes out of sixty-four


@dataclass(slots=True)
class HotKey(Register):
    """The workload `hot-key`."""

    name: str = field(default="hot-key")
    table: str = field(default="hot")
    key_count: int = field(default=6)

    def next(self, client: int, random: Random, now_ns: int) -> tuple[Call, int]:
        think_ns = random.getrandbits(THINK_BITS)
        if client in WRITERS:
            cold = below(random, 64) < COLD_OF_64
            key = f"k{HOT_KEYS + below(random, self.key_count - HOT_KEYS) if cold else below(random, HOT_KEYS)}"
            value = self._fresh()
            known = self._known.get((client, key), UNKNOWN)
            if known == UNKNOWN:
                return Call(put(self.table, key, value), "write", key, {"value": value}), think_ns
            return Call(put_if(self.table, key, known, value), "cas", key, {"value": [known, value]}), think_ns
        key = f"k{(client + now_ns // STAYS_NS) % HOT_KEYS}"
        return self._read(key, consistent=below(random, 16) >= EVENTUAL_OF_16), think_ns
