"""Pictures of two megabytes (S151): the bytes in an object store, a pointer in the item, and what a crash leaves.

The object store is a dictionary here: all that matters is that it and the table are two systems, so that no
transaction holds them together. The order of the two writes decides what a crash between them leaves behind.
"""

from __future__ import annotations

from collections.abc import Iterator

from meter import KB, Database, Refused, item, run, table

PICTURE_BYTES = 2 * 1024 * KB
GRACE_S = 3_600


class Objects:
    """An object store: bytes by name, and when they came."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[bytes, int]] = {}

    def put(self, name: str, content: bytes, now_s: int) -> None:
        """Keep these bytes."""
        self.held[name] = content, now_s

    def get(self, name: str) -> bytes | None:
        """The bytes, if they are there."""
        found = self.held.get(name)
        return None if found is None else found[0]


def in_the_item(db: Database) -> str:
    """The picture itself as an attribute."""
    try:
        db.put("Pictures", name="cat", content="x" * PICTURE_BYTES)
    except Refused as refused:
        return str(refused)
    raise AssertionError("an item above 400 KB was taken")


def upload(db: Database, objects: Objects, name: str, now_s: int, *, pointer_first: bool, dies: bool) -> None:
    """Two writes; with `dies` the client stops after the first."""
    place = f"objects/{name}/{now_s}"

    def store() -> None:
        objects.put(place, b"x" * PICTURE_BYTES, now_s)

    def point() -> None:
        db.put("Pictures", name=name, place=place, size=PICTURE_BYTES)

    first, second = (point, store) if pointer_first else (store, point)
    first()
    if not dies:
        second()


def look(db: Database, objects: Objects, name: str) -> str:
    """What a reader gets."""
    found = db.get("Pictures", {"name": name})
    if found is None:
        return "not there"
    content = objects.get(str(found["place"]))
    return "a pointer to nothing" if content is None else f"{len(content):,} bytes"


def sweep(db: Database, objects: Objects, now_s: int) -> int:
    """Remove objects that no item points to. Young ones are left alone: their pointer may be on its way."""
    wanted = {str(each["place"]) for each in db.scan("Pictures", ConsistentRead=True)}
    gone = [name for name, (_, came_s) in objects.held.items() if name not in wanted and came_s + GRACE_S <= now_s]
    for name in gone:
        del objects.held[name]
    return len(gone)


def puzzler(db: Database) -> Iterator[str]:
    """What the chapter shows."""
    db.create("Pictures", "name")
    objects = Objects()
    yield f"in the item: {in_the_item(db)}"
    upload(db, objects, "whole", 0, pointer_first=False, dies=False)
    upload(db, objects, "pointed", 0, pointer_first=True, dies=True)
    upload(db, objects, "stored", 0, pointer_first=False, dies=True)
    yield from table(
        ("the client dies", "a reader gets"),
        ("not at all", look(db, objects, "whole")),
        ("behind the pointer", look(db, objects, "pointed")),
        ("behind the object", look(db, objects, "stored")),
    )
    upload(db, objects, "stored", GRACE_S - 1, pointer_first=False, dies=False)
    held, swept = len(objects.held), sweep(db, objects, GRACE_S)
    yield f"objects {held}, swept after an hour {swept}, left {len(objects.held)}"
    yield f"uploaded again meanwhile: {look(db, objects, 'stored')}"
    db.call("DeleteItem", TableName="Pictures", Key=item({"name": "whole"}))
    yield f"deleted, pointer first: {look(db, objects, 'whole')}; swept {sweep(db, objects, 3 * GRACE_S)}"


if __name__ == "__main__":
    run(puzzler)
