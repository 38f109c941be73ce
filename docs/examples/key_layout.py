"""Draws the bytes of a few keys, from `dynalab_model.keys`: `python docs/examples/key_layout.py` writes
docs/assets/key-layout.svg, and a test compares the file with what is drawn now.

One row a key, in the order of their bytes; one cell a byte: as hexadecimal digits in the hash, as a character elsewhere
(a dot is the zero that ends a part).
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import cast

from dynalab_model.keys import encode_component, hash_bytes
from dynalab_model.values import AttributeValue

PICTURE = Path(__file__).resolve().parents[1] / "assets" / "key-layout.svg"
KEYS = (("bob", "Cart#001"), ("ann", "Order#7"), ("ann", "Cart#002"), ("ann", "Cart#001"), ("bob", "Address#home"))
CELL, ROW, TOP, LEFT = 24, 34, 30, 4
FILLS = ("var(--band, #ef6c0024)", "var(--read, #1e6fd028)", "var(--write, #2e8b3a28)")
TITLES = ("hash", "partition key", "sort key")


def parts(partition_key: str, sort_key: str) -> tuple[bytes, bytes, bytes]:
    """The three parts of a key of two texts.

    >>> [part.hex() for part in parts("ann", "Cart#001")]
    ['6c2988d5509ea180', '53616e6e00', '53436172742330303100']
    """
    first, second = (cast("AttributeValue", {"S": text}) for text in (partition_key, sort_key))
    return hash_bytes(first), encode_component(first), encode_component(second)


def picture() -> str:
    """The picture of all keys, as SVG that takes its colours from the page."""
    rows = sorted((parts(*key) for key in KEYS), key=lambda row: b"".join(row))
    width = 2 * LEFT + CELL * max(sum(len(part) for part in row) for row in rows)
    height = TOP + ROW * len(rows)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="dl" viewBox="0 0 {width} {height}" '
        f'style="max-width:{width}px" width="100%" font-family="monospace" font-size="13" fill="currentColor">',
        "<title>The bytes of five keys, in their order</title>",
    ]
    offset = 0
    for title, part in zip(TITLES, rows[0], strict=True):
        lines.append(f'<text x="{LEFT + offset * CELL}" y="18">{title}</text>')
        offset += len(part)
    for number, row in enumerate(rows):
        place = 0
        for kind, part in enumerate(row):
            for byte in part:
                x, y = LEFT + place * CELL, TOP + number * ROW
                text = f"{byte:02x}" if kind == 0 else chr(byte) if byte else "·"
                lines.append(
                    f'<rect x="{x}" y="{y}" width="{CELL - 2}" height="{ROW - 8}" style="fill:{FILLS[kind]}"/>'
                    f'<text x="{x + CELL // 2 - 1}" y="{y + 17}" text-anchor="middle">{escape(text)}</text>'
                )
                place += 1
    return "\n".join([*lines, "</svg>"]) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
