"""Registers: puts, conditional puts, conditional deletes, strong and eventual reads of a few keys.

Conditional writes name what they replace, so even one of unknown outcome has a known place in the order; blind puts
are the minority, and deletes are always conditional (a blind delete of unknown outcome makes checking exponential).
After half of the acknowledged writes the client reads the same key at once, eventually consistent: DeBrie's
experiment (S92).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from dynalab_checkers.history import Json
from dynalab_fault_injection.simulator import below
from dynalab_fault_injection.workloads.actor import Call
from dynalab_fault_injection.workloads.items import delete_if, get, put, put_if, value_of
from dynalab_impl.effects import Response
from dynalab_model.operations import GetItem
from dynalab_model.schema import KeyAttribute, KeySchema, TableSchema

HOT_NS = 3_000_000_000  # the key that half of all operations go to changes this often
THINK_BITS = 28  # up to 0.27 s
UNKNOWN = -1  # a client that does not know a key's value; written values are positive

# Of a hundred operations; the rest are blind puts.
STRONG_READS, EVENTUAL_READS, SWAPS, DELETES = 28, 20, 28, 10


@dataclass(slots=True)
class Register:
    """The workload `register`."""

    name: str = "register"
    table: str = "registers"
    key_count: int = 6
    _value: int = 0
    _known: dict[tuple[int, str], int | None] = field(default_factory=dict)
    _read_next: dict[int, str] = field(default_factory=dict)

    def schema(self) -> TableSchema:
        return TableSchema(self.table, KeySchema(KeyAttribute("pk", "S")))

    def key_names(self) -> list[str]:
        return [f"k{number}" for number in range(self.key_count)]

    def next(self, client: int, random: Random, now_ns: int) -> tuple[Call, int]:
        think_ns = 0 if below(random, 4) == 0 else random.getrandbits(THINK_BITS)
        again = self._read_next.pop(client, None)
        if again is not None:
            return self._read(again, consistent=False), think_ns
        hot = (now_ns // HOT_NS) % self.key_count
        key = f"k{hot if below(random, 2) else below(random, self.key_count)}"
        known = self._known.get((client, key), UNKNOWN)
        draw = below(random, 100)
        if draw < STRONG_READS or (known == UNKNOWN and draw < 100 - STRONG_READS):
            return self._read(key, consistent=True), think_ns
        draw -= STRONG_READS
        if draw < EVENTUAL_READS:
            return self._read(key, consistent=False), think_ns
        draw -= EVENTUAL_READS
        if draw < SWAPS or (draw < SWAPS + DELETES and known is None):
            value = self._fresh()
            return Call(put_if(self.table, key, known, value), "cas", key, {"value": [known, value]}), think_ns
        if draw < SWAPS + DELETES:
            assert known is not None
            return Call(delete_if(self.table, key, known), "cas", key, {"value": [known, None]}), think_ns
        value = self._fresh()
        return Call(put(self.table, key, value), "write", key, {"value": value}), think_ns

    def learn(self, client: int, call: Call, response: Response) -> tuple[str, dict[str, Json]]:
        place = (client, call.key)
        if call.f == "read":
            assert isinstance(call.operation, GetItem)
            found = value_of(response.body.get("Item"))
            if call.operation.consistent:
                self._known[place] = found
            return "ok", {"value": found}
        if response.status != 200:
            found = value_of(response.body.get("Item"))
            self._known[place] = found
            return "fail", {"value": call.fields["value"], "found": found}
        value = call.fields["value"]
        written = value[1] if isinstance(value, list) else value
        assert written is None or isinstance(written, int)
        self._known[place] = written
        if self._value % 2:
            self._read_next[client] = call.key
        return "ok", {"value": value, "old": value_of(response.body.get("Attributes"))}

    def final_read(self, key: str) -> Call:
        return self._read(key, consistent=True)

    def _read(self, key: str, *, consistent: bool) -> Call:
        flavour = "strong" if consistent else "eventual"
        return Call(get(self.table, key, consistent=consistent), "read", key, {"consistency": flavour})

    def _fresh(self) -> int:
        self._value += 1
        return self._value
