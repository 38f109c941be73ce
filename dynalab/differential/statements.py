"""PartiQL statements on the tables of `tables`: what the native operations do, said in the other language.

Values stand in the text or as parameters; keys are whole more often than not, because without them a statement is a
scan, or refused.
"""

from __future__ import annotations

from dynalab.differential.chance import Chance
from dynalab.differential.requests import Request
from dynalab.differential.tables import Body, TableShape, Value
from dynalab.differential.values import item, key, scalar, value

COMPARISONS = ("=", "<>", "<", "<=", ">", ">=", "!=")
PATHS = ("v", "n", "colour", "tags", "doc.x", "doc.n", '"list"[0]', "absent")


class Statement:
    """A statement that is being written, and its parameters."""

    __slots__ = ("chance", "parameters")

    def __init__(self, chance: Chance) -> None:
        self.chance = chance
        self.parameters: list[Value] = []

    def put(self, given: Value) -> str:
        """The value in the text where it can stand there, or a parameter."""
        chance = self.chance
        if "S" in given and chance.below(2):
            return "'" + str(given["S"]).replace("'", "''") + "'"
        if "N" in given and "E" not in str(given["N"]) and chance.below(2):
            return str(given["N"])
        if "BOOL" in given and chance.below(2):
            return str(given["BOOL"]).upper()
        self.parameters.append(given)
        return "?"

    def name(self, name: str) -> str:
        """Quoted where it must be, and now and then where it need not."""
        return f'"{name}"' if name in ("owner", "when", "list", "at") or self.chance.one_in(3) else name

    def keys(self, shape: TableShape) -> str:
        """The whole key; now and then a part of it."""
        made = key(self.chance, shape)
        names = shape.keys[:1] if self.chance.one_in(8) else shape.keys
        return " AND ".join(f"{self.name(name)} = {self.put(made[name])}" for name in names)

    def condition(self) -> str:
        """One condition on what is no key."""
        chance, path = self.chance, self.chance.pick(PATHS)
        match chance.below(8):
            case 0 | 1 | 2:
                return f"{path} {chance.pick(COMPARISONS)} {self.put(scalar(chance, chance.pick('NS')))}"
            case 3:
                return f"{path} IS {'NOT ' * chance.below(2)}MISSING"
            case 4:
                return f"{path} BETWEEN {self.put(scalar(chance, 'N'))} AND {self.put(scalar(chance, 'N'))}"
            case 5:
                return f"begins_with({path}, {self.put(scalar(chance, 'S'))})"
            case 6:
                return f"{path} IN [{self.put(scalar(chance, 'N'))}, {self.put(scalar(chance, 'S'))}]"
            case _:
                return f"NOT {path} = {self.put(scalar(chance, 'N'))}"


def select(s: Statement, shape: TableShape) -> str:
    """A point, a collection, an index or a whole table."""
    chance = s.chance
    what = chance.pick(("*", "v, n", "colour, doc.x", "tags"))
    indexes = [index for index in shape.indexes if index.projection == "ALL"]
    if indexes and chance.one_in(4):
        index = chance.pick(indexes)
        named = index.keys[: index.hashes] if index.hashes == 1 or chance.below(4) else index.keys[:1]
        terms = [f"{s.name(name)} = {s.put({'S': chance.pick(('red', 'blue', 'z'))})}" for name in named]
        return f'SELECT * FROM "{shape.name}"."{index.name}" WHERE {" AND ".join(terms)}'
    where = [s.keys(shape)] if chance.below(4) else []
    if chance.one_in(3):
        where.append(s.condition())
    return f'SELECT {what} FROM "{shape.name}"' + (f" WHERE {' AND '.join(where)}" if where else "")


def insert(s: Statement, shape: TableShape) -> str:
    """One item; refused when its key is there."""
    made = item(s.chance, shape)
    members = ", ".join(f"'{name}': {s.put(each)}" for name, each in made.items())
    return f'INSERT INTO "{shape.name}" VALUE {{{members}}}'


def update(s: Statement, shape: TableShape) -> str:
    """One item that must be there."""
    chance = s.chance
    changes = []
    for name in chance.some(("v", "n", "tags", "doc"), 2):
        if chance.one_in(4):
            changes.append(f"REMOVE {name}")
        elif name == "n":
            changes.append(f"SET n = {'n + ' * chance.below(2)}{s.put(scalar(chance, 'N'))}")
        else:
            changes.append(f"SET {name} = {s.put(value(chance, 1))}")
    text = f'UPDATE "{shape.name}" {" ".join(changes)} WHERE {s.keys(shape)}'
    if chance.one_in(3):
        text += f" AND {s.condition()}"
    if chance.below(2):
        text += f" RETURNING {chance.pick(('ALL', 'MODIFIED'))} {chance.pick(('OLD', 'NEW'))} *"
    return text


def delete(s: Statement, shape: TableShape) -> str:
    """One item; nothing happens when it is not there."""
    chance = s.chance
    text = f'DELETE FROM "{shape.name}" WHERE {s.keys(shape)}'
    if chance.one_in(3):
        text += f" AND {s.condition()}"
    return text + " RETURNING ALL OLD *" * chance.below(2)


def statement(chance: Chance, shapes: tuple[TableShape, ...], *, reads: bool | None = None) -> Body:
    """One statement with its parameters; `reads` None: any."""
    makers = {None: (select, insert, update, update, delete), True: (select,), False: (insert, update, delete)}[reads]
    s = Statement(chance)
    text = chance.pick(makers)(s, chance.pick(shapes))
    body: Body = {"Statement": text}
    if s.parameters:
        body["Parameters"] = s.parameters[1:] if chance.one_in(60) else s.parameters
    return body


def execute(chance: Chance, shapes: tuple[TableShape, ...]) -> Request:
    """ExecuteStatement with strong reads, or BatchExecuteStatement; both pay."""
    capacity = chance.pick(("TOTAL", "INDEXES"))
    if chance.one_in(4):
        reads = bool(chance.below(2))
        members = [statement(chance, shapes, reads=reads) for _ in range(1 + chance.below(4))]
        asked: list[Body] = [{**each, "ConsistentRead": True} if reads else each for each in members]
        return "BatchExecuteStatement", {"Statements": asked, "ReturnConsumedCapacity": capacity}
    body = statement(chance, shapes) | {"ReturnConsumedCapacity": capacity}
    if str(body["Statement"]).startswith("SELECT") and '"."' not in str(body["Statement"]):
        body["ConsistentRead"] = True
        if chance.one_in(3):
            body["Limit"] = 1 + chance.below(3)
    return "ExecuteStatement", body
