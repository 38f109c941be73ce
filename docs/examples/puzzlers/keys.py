"""What a key is made of, and how keys lie (S17, S19, S144).

The bytes are those of `dynalab_model.keys`: they sort as the service sorts. The hash is MD5, cut to eight bytes; which
one the service uses is not published.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from meter import Database, Plain, item, row, run, table, wire

from dynalab_model.keys import encode_component, hash_bytes, item_key
from dynalab_model.schema import KeyAttribute, KeySchema
from dynalab_model.values import AttributeValue, Item

SCHEMA = KeySchema(KeyAttribute("shopper", "S"), KeyAttribute("what", "S"))
ROWS = (("bob", "Cart#001"), ("ann", "Order#7"), ("ann", "Cart#002"), ("ann", "Cart#001"), ("bob", "Address#home"))


def value(plain: Plain) -> AttributeValue:
    """A plain value as the model has it."""
    return cast("AttributeValue", wire(plain))


def layout() -> Iterator[str]:
    """Keys in the order in which they lie on disk, cut into their three parts."""
    items = [cast("Item", item({"shopper": shopper, "what": what})) for shopper, what in ROWS]
    lines = []
    for found in sorted(items, key=lambda each: item_key(SCHEMA, each)):
        parts = hash_bytes(found["shopper"]), encode_component(found["shopper"]), encode_component(found["what"])
        assert b"".join(parts) == item_key(SCHEMA, found)
        lines.append((" ".join(str(part) for part in row(found).values()), *(part.hex() for part in parts)))
    yield from table(("key", "hash", "partition key", "sort key"), *lines)


def sorted_values() -> Iterator[str]:
    """Sort keys of one collection in their order: numbers by value, texts byte by byte."""
    numbers: tuple[Plain, ...] = (10, 9, -5, 200, 0)
    texts: tuple[Plain, ...] = ("10", "9", "-5", "200", "0", "é", "z", "Z")
    for name, values in (("numbers", numbers), ("texts", texts)):
        ordered = sorted(values, key=lambda each: encode_component(value(each)))
        yield f"{name}: {' '.join(str(each) for each in ordered)}"


def puzzler(db: Database) -> Iterator[str]:
    """What the chapter shows."""
    yield from layout()
    yield from sorted_values()
    db.create("Alone", "shopper")
    db.create("Together", "shopper", "what")
    for shopper, what in ROWS:
        db.put("Alone", shopper=shopper, what=what)
        db.put("Together", shopper=shopper, what=what)
    kept = [len(db.scan(name)) for name in ("Alone", "Together")]
    yield f"{len(ROWS)} puts: {kept[0]} items where the partition key is the whole key, {kept[1]} with a sort key"


if __name__ == "__main__":
    run(puzzler)
