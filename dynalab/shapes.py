"""`python -m dynalab.shapes`: the shapes of every request, from the installed botocore into the model's own table.

Rules: the table is written here and nowhere else; it holds what a request can reach and no documentation, and the
model reads it without botocore. A shape that says nothing beyond its type stands in the place where it is used.
`--check` compares instead of writing: 1 when a shape differs; another version of botocore with the same shapes is
told and is no failure.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias, cast

from dynalab_model import shape_table

ServiceModel: TypeAlias = "Mapping[str, Mapping[str, Mapping[str, object]]]"

SERVICES = ("dynamodb", "dynamodbstreams")
TABLE = Path(shape_table.__file__)

_HEAD = '''"""What a request may hold, from the service's own model. Written by `make shapes`, never by hand.

One line for each shape: its type, then what it is made of, then its bounds (length of a text, a list or a map; value
of a number), then its pattern. In a structure `!` marks what is required. A shape without any of this is named by its
type. `shapes` compiles it and says where the service itself differs.
"""

# fmt: off
# ruff: noqa: E501

from __future__ import annotations

'''


def shapes_of(model: ServiceModel) -> tuple[dict[str, str], dict[str, str]]:
    """(operation → shape of its request, shape → its line) of one service model.

    >>> shapes_of({
    ...     "operations": {"Get": {"input": {"shape": "GetInput"}}},
    ...     "shapes": {
    ...         "GetInput": {"type": "structure", "required": ["Name"],
    ...                      "members": {"Name": {"shape": "Text"}, "Most": {"shape": "Count"}}},
    ...         "Text": {"type": "string"}, "Count": {"type": "integer", "min": 1}}})
    ({'Get': 'GetInput'}, {'Count': 'integer 1..', 'GetInput': 'structure !Name:string Most:Count'})
    """
    operations = {
        name: cast("Mapping[str, str]", operation["input"])["shape"] for name, operation in model["operations"].items()
    }
    lines: dict[str, str] = {}

    def name_of(reference: object) -> str:
        name = cast("Mapping[str, str]", reference)["shape"]
        shape = model["shapes"][name]
        line = _bare(shape)
        if line is None:
            write(name, shape)
            return name
        return line

    def write(name: str, shape: Mapping[str, object]) -> None:
        if name in lines:
            return
        lines[name] = ""  # the place is taken: an AttributeValue holds AttributeValues
        kind = cast(str, shape["type"])
        if kind == "structure":
            required = cast("Sequence[str]", shape.get("required", ()))
            members = cast("Mapping[str, object]", shape["members"])
            parts = [f"{'!' * (member in required)}{member}:{name_of(at)}" for member, at in members.items()]
        elif kind == "map":
            parts = [name_of(shape["key"]), name_of(shape["value"])]
        elif kind == "list":
            parts = [name_of(shape["member"])]
        else:
            parts = []
        lines[name] = " ".join([kind, *parts, *_constraints(shape)])
        if "enum" in shape:
            lines[name] = "enum " + " ".join(cast("Sequence[str]", shape["enum"]))

    for name in operations.values():
        write(name, model["shapes"][name])
    return dict(sorted(operations.items())), dict(sorted(lines.items()))


def _bare(shape: Mapping[str, object]) -> str | None:
    kind = cast(str, shape["type"])
    parts = {"structure": "members", "map": "value", "list": "member"}
    return None if kind in parts or "enum" in shape or list(_constraints(shape)) else kind


def _constraints(shape: Mapping[str, object]) -> list[str]:
    bounds = [f"{shape.get('min', '')}..{shape.get('max', '')}"] if "min" in shape or "max" in shape else []
    return bounds + ([f"~ {shape['pattern']}"] if "pattern" in shape else [])


def installed() -> tuple[str, dict[str, str], dict[str, str]]:
    """(version, operations, shapes) of the installed botocore, both services together."""
    import botocore
    from botocore.loaders import Loader

    operations: dict[str, str] = {}
    shapes: dict[str, str] = {}
    for service in SERVICES:
        more_operations, more_shapes = shapes_of(cast(ServiceModel, Loader().load_service_model(service, "service-2")))
        assert operations.keys().isdisjoint(more_operations), "one name, one operation"
        assert all(shapes.get(name, line) == line for name, line in more_shapes.items()), "one name, one shape"
        operations |= more_operations
        shapes |= more_shapes
    return botocore.__version__, dict(sorted(operations.items())), dict(sorted(shapes.items()))


def written(version: str, operations: Mapping[str, str], shapes: Mapping[str, str]) -> str:
    """The text of `dynalab_model/shape_table.py`."""
    lines = [f'VERSION = "botocore {version}"', "", "OPERATIONS: dict[str, str] = {"]
    lines += [f'    "{name}": "{shape}",' for name, shape in operations.items()]
    lines += ["}", "", "SHAPES: dict[str, str] = {"]
    for name, line in shapes.items():
        quoted = '"' + line.replace("\\", "\\\\").replace('"', '\\"') + '"'
        lines.append(f'    "{name}": {quoted},')
    return _HEAD + "\n".join([*lines, "}", ""])


def differences(operations: Mapping[str, str], shapes: Mapping[str, str]) -> list[str]:
    """A line for each shape and operation that the committed table has otherwise.

    >>> differences(shape_table.OPERATIONS, shape_table.SHAPES)
    []
    >>> differences(shape_table.OPERATIONS, shape_table.SHAPES | {"TableName": "string 3..1000"})
    ['TableName: string 3..255 ~ [a-zA-Z0-9_.-]+ is now string 3..1000']
    """
    found: list[str] = []
    for old, new in ((shape_table.OPERATIONS, operations), (shape_table.SHAPES, shapes)):
        for name in sorted({*old, *new}):
            if old.get(name) != new.get(name):
                found.append(f"{name}: {old.get(name, 'nothing')} is now {new.get(name, 'nothing')}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table, or compare it."""
    parser = argparse.ArgumentParser(prog="python -m dynalab.shapes", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare the committed table with botocore, write nothing")
    check = parser.parse_args(arguments).check
    try:
        version, operations, shapes = installed()
    except ModuleNotFoundError:
        print("botocore is not installed: pip install 'dynalab[dev]'", file=sys.stderr)
        return 64
    if not check:
        TABLE.write_text(written(version, operations, shapes), encoding="utf-8")
        print(f"{TABLE.name}: {len(operations)} operations, {len(shapes)} shapes of botocore {version}")
        return 0
    found = differences(operations, shapes)
    for line in found:
        print(line)
    if f"botocore {version}" != shape_table.VERSION:
        print(f"the table was written from {shape_table.VERSION}, installed is botocore {version}")
    print("the table has other shapes: run `make shapes`" if found else f"{len(shapes)} shapes agree")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
