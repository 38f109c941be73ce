"""Expressions, with the names and values that they use: conditions, projections, updates and key conditions.

An `Expressions` collects what the expressions of one request share, as a request does: `#n` and `:v` placeholders.
"""

from __future__ import annotations

from dynalab.differential.chance import Chance
from dynalab.differential.tables import TYPES, Body, Value
from dynalab.differential.values import key_value, scalar, value

PATHS = ("v", "n", "colour", "tags", "doc", "doc.x", "doc.n", "list", "list[0]", "list[1]", "doc.y.x", "absent")
ADDED = ("n", "doc.n", "v", "tags", "doc.x", "list[0]")
COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")
RESERVED = frozenset(
    {"list", "owner", "when", "at"}
)  # what must be written as a placeholder, among the names used here
SYNTAX = ("a =", "= :v", "SET", "a = b c", "((v = n))", "size(v)", "foo(v)", "v = n AND", "a..b", "list[-1]", "NOT")


class Expressions:
    """The expressions of one request and their placeholders."""

    __slots__ = ("chance", "names", "touched", "values")

    def __init__(self, chance: Chance) -> None:
        self.chance = chance
        self.names: dict[str, str] = {}
        self.values: dict[str, Value] = {}
        self.touched: set[str] = set()  # attributes that an update names already

    def into(self, body: Body) -> Body:
        """The request with its placeholders; now and then one too many or one too few."""
        if self.chance.one_in(60):
            self.values[":unused"] = {"S": "x"}
        if self.chance.one_in(60):
            self.names["#unused"] = "x"
        if self.values and self.chance.one_in(60):
            del self.values[self.chance.pick(sorted(self.values))]
        if self.names:
            body["ExpressionAttributeNames"] = self.names
        if self.values:
            body["ExpressionAttributeValues"] = self.values
        return body

    def path(self, path: str | None = None) -> str:
        """A path, its parts as placeholders where they must be and now and then where they need not be."""
        written = []
        for part in (path or self.chance.pick(PATHS)).split("."):
            name, bracket, index = part.partition("[")
            if name in RESERVED or self.chance.one_in(6):
                placeholder = f"#{name}"
                self.names[placeholder] = name
                name = placeholder
            written.append(name + bracket + index)
        return ".".join(written)

    def put(self, given: Value) -> str:
        """A placeholder for this value."""
        for known, held in self.values.items():
            if held == given:
                return known
        placeholder = f":v{len(self.values)}"
        self.values[placeholder] = given
        return placeholder

    def operand(self) -> str:
        """A path, a value or a size."""
        match self.chance.below(6):
            case 0 | 1 | 2:
                return self.put(value(self.chance, 1))
            case 3 | 4:
                return self.path()
            case _:
                return f"size({self.path()})"

    # --- conditions ---------------------------------------------------------------------------------------------

    def condition(self, depth: int = 2) -> str:
        """A condition or filter."""
        chance = self.chance
        if chance.one_in(60):
            return chance.pick(SYNTAX)
        match chance.below(12 if depth else 8):
            case 0 | 1 | 2:
                right = self.operand() if chance.one_in(3) else self.put(scalar(chance, chance.pick("NSB")))
                return f"{self.path()} {chance.pick(COMPARISONS)} {right}"
            case 3:
                return f"attribute_exists({self.path()})"
            case 4:
                return f"attribute_not_exists({self.path()})"
            case 5:
                return self._function()
            case 6:
                low, high = (self.put(scalar(chance, "N")) for _ in range(2))
                return f"{self.path()} BETWEEN {low} AND {high}"
            case 7:
                return f"{self.path()} IN ({', '.join(self.operand() for _ in range(1 + chance.below(3)))})"
            case 8:
                return f"NOT {self.condition(depth - 1)}"
            case 9:
                return f"({self.condition(depth - 1)})"
            case 10:
                return f"{self.condition(depth - 1)} AND {self.condition(depth - 1)}"
            case _:
                return f"{self.condition(depth - 1)} OR {self.condition(depth - 1)}"

    def _function(self) -> str:
        chance = self.chance
        match chance.below(4):
            case 0:
                return f"begins_with({self.path()}, {self.put(scalar(chance, chance.pick('SSSSBN')))})"
            case 1:
                return f"contains({self.path()}, {self.operand()})"
            case 2:
                return f"size({self.path()}) {chance.pick(COMPARISONS)} {self.put(scalar(chance, 'N'))}"
            case _:
                kind = chance.pick(("N", "S", "SS", "NS", "L", "M", "BOOL", "NULL", "B", "BS", "X"))
                return f"attribute_type({self.path()}, {self.put({'S': kind})})"

    # --- updates ------------------------------------------------------------------------------------------------

    def update(self) -> str:
        """An update expression with one to three clauses."""
        chance = self.chance
        if chance.one_in(60):
            return chance.pick(SYNTAX)
        clauses = []
        for keyword in chance.some(("SET", "REMOVE", "ADD", "DELETE"), 2):
            actions = [self._action(keyword, target) for target in self._targets(keyword)]
            clauses.append(f"{keyword} {', '.join(actions)}")
        return " ".join(clauses)

    def _targets(self, keyword: str) -> list[str]:
        """One or two paths, of different attributes in the whole expression but for a mistake now and then."""
        chance, options = self.chance, {"ADD": ADDED, "DELETE": ADDED[2:]}.get(keyword, (*PATHS, "owner", "when"))
        if chance.one_in(30):
            return [*chance.some(options, 2), chance.pick(("pk", "id", "doc.x", "v"))]
        roots = {path: path.partition(".")[0].partition("[")[0] for path in options}
        free = [path for path in options if roots[path] not in self.touched]
        chosen = chance.some(free, 2) if free else [chance.pick(options)]
        if len(chosen) > 1 and roots[chosen[0]] == roots[chosen[1]]:
            chosen = chosen[:1]
        self.touched |= {roots[path] for path in chosen}
        return chosen

    def _action(self, keyword: str, target: str) -> str:
        chance = self.chance
        if keyword == "REMOVE":
            return self.path(target)
        if keyword == "SET":
            return self._assignment(target)
        if keyword == "ADD" and (target in ("n", "doc.n", "list[0]") or chance.below(3)) and not chance.one_in(8):
            return f"{self.path(target)} {self.put(scalar(chance, 'N'))}"
        kind = chance.pick(("SS", "NS", "BS"))
        members = {"SS": ("a", "b", "red"), "NS": ("1", "2", "3.5"), "BS": ("AA==", "AQI=")}[kind]
        given: Value = {kind: chance.some(members, 2)} if not chance.one_in(8) else value(chance, 1)
        return f"{self.path(target)} {self.put(given)}"

    def _assignment(self, target: str) -> str:
        chance = self.chance
        left = self.path(target)
        if target in TYPES and not chance.one_in(8):
            given = key_value(chance, target)
            return (
                f"{left} = {left} + {self.put(given)}"
                if target == "n" and chance.one_in(2)
                else (f"{left} = {self.put(given)}")
            )
        match chance.below(6):
            case 0 | 1:
                return f"{left} = {self.put(value(chance))}"
            case 2:
                return f"{left} = {self.path()}"
            case 3:
                return f"{left} = {self.path()} {chance.pick('+-')} {self.put(scalar(chance, 'N'))}"
            case 4:
                return f"{left} = if_not_exists({self.path()}, {self.operand_of_set()})"
            case _:
                more = self.put({"L": [value(chance, 1)]})
                held = self.path(chance.pick(("list", "v")))
                return f"{left} = list_append({held}, {more})"

    def operand_of_set(self) -> str:
        """A path or a value."""
        return self.put(value(self.chance, 1)) if self.chance.below(3) else self.path()

    # --- projections and keys -----------------------------------------------------------------------------------

    def projection(self) -> str:
        """One to three paths."""
        return ", ".join(self.path(path) for path in self.chance.some((*PATHS, "pk", "sk", "id"), 3))

    def key_condition(self, keys: tuple[str, ...], hashes: int = 1) -> str:
        """A condition on these keys, of which the first ones are the partition key; now and then one that is no key
        condition.
        """
        chance = self.chance
        if chance.one_in(60):
            return chance.pick((*SYNTAX, "v = n"))
        if hashes > 1 and chance.one_in(20):
            hashes -= 1  # an attribute of the partition key is left out
        ahead = len(keys) - hashes - 1  # of the last attribute, that many are asked for by equality
        equal = hashes + (chance.below(ahead + 1) if ahead > 0 else 0)
        text = " AND ".join(f"{self.path(name)} = {self.put(key_value(chance, name))}" for name in keys[:equal])
        if chance.one_in(60):
            text = text.replace("=", chance.pick(("<", "<>", ">=")), 1)
        if len(keys) == equal or chance.one_in(3):
            return text
        last = keys[equal]
        if len(keys) > equal + 1 and chance.one_in(10):
            last = chance.pick(keys[equal:])  # perhaps behind a gap
        sort, second = self.path(last), self.put(key_value(chance, last))
        match chance.below(8):
            case 0 | 1 | 2 | 3:
                return f"{text} AND {sort} {chance.pick(('=', '<', '<=', '>', '>='))} {second}"
            case 4 | 5:
                return f"{text} AND {sort} BETWEEN {second} AND {self.put(key_value(chance, last))}"
            case 6:
                return f"{text} AND begins_with({sort}, {second})"
            case _:
                return f"{second} <= {sort} AND {text}"
