"""From the text of a statement to its nodes, or to the error that DynamoDB would tell.

What can be said without the parameters and without the table is said here. Conditions and literals have a named depth,
so that no later step can run out of stack.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from lark import Lark, Token, Transformer, UnexpectedToken, v_args
from lark.lexer import Lexer

from dynalab_model.errors import DynamoError, invalid
from dynalab_model.partiql.grammar import GRAMMAR, Lexeme, lexemes
from dynalab_model.partiql.nodes import (
    Action,
    Collection,
    Constant,
    Delete,
    Exists,
    Insert,
    Literal,
    Missing,
    Node,
    Operation,
    Ordering,
    Parameter,
    Parsed,
    Path,
    Select,
    Statement,
    Update,
)
from dynalab_model.partiql.texts import malformed, refused
from dynalab_model.values import NESTING_MAX

STATEMENTS_MAX = 512  # parsed ones that are kept
SHORT_MAX = 1_024  # characters of those
LONG_STATEMENTS_MAX = 32  # the others hold their values in the text, and few are said twice; but they are asked twice
CONDITION_DEPTH_MAX = 100
INDEX_DIGITS_MAX = 9

CONDITION_FUNCTIONS = frozenset({"attribute_type", "begins_with", "contains", "size"})
SET_FUNCTIONS = frozenset({"list_append", "set_add", "set_delete"})
_OPERANDS = frozenset({"size", *SET_FUNCTIONS, "+", "-"})
_RETURNING = {
    ("ALL", "OLD"): "ALL_OLD",
    ("MODIFIED", "OLD"): "UPDATED_OLD",
    ("ALL", "NEW"): "ALL_NEW",
    ("MODIFIED", "NEW"): "UPDATED_NEW",
}


class _Lexer(Lexer):
    def __init__(self, lexer_conf: object) -> None:
        pass

    def lex(self, data: str) -> Iterator[Token]:  # type: ignore[override]
        for kind, text, start, end in lexemes(data):
            yield Token(kind, text, start_pos=start, end_pos=end)


def is_condition(node: Node) -> bool:
    """Whether a node is true or false of an item, rather than a value."""
    return isinstance(node, Operation) and node.name not in _OPERANDS


def _operation(name: str, *operands: Node, call: bool = False) -> Operation:
    depth = 1 + max(operand.depth if isinstance(operand, Operation) else 0 for operand in operands)
    if depth > CONDITION_DEPTH_MAX:
        raise refused("deep")
    return Operation(name, operands, call, depth)


def _of_conditions(name: str, *operands: Node) -> Operation:
    if not all(map(is_condition, operands)):
        raise malformed(f"Expected a condition beside {name}")
    return _operation(name, *operands)


def _of_values(name: str, *operands: Node, call: bool = False) -> Operation:
    if any(map(is_condition, operands)):
        raise malformed(f"Expected a value beside {name}")
    return _operation(name, *operands, call=call)


def _collection(kind: str, members: tuple[Literal, ...], names: tuple[str, ...] = ()) -> Collection:
    depth = 1 + max([member.depth for member in members if isinstance(member, Collection)], default=0)
    if depth > NESTING_MAX + 1:
        raise invalid("nesting")
    return Collection(kind, members, names, depth)


def _unquoted(token: Token) -> str:
    mark = token[0]
    return str(token)[1:-1].replace(mark * 2, mark)


@v_args(inline=True)
class _Builder(Transformer[Token, Statement]):
    """Called by the parser at each reduction, so no tree of the parser's own is ever built."""

    # --- statements ---

    def select(
        self, paths: tuple[Path, ...], source: tuple[str, str | None], *rest: Node | tuple[Ordering, ...]
    ) -> Select:
        where = next((part for part in rest if not isinstance(part, tuple)), None)
        order = next((part for part in rest if isinstance(part, tuple)), ())
        return Select(source[0], source[1], paths, where, order)

    def projection(self, *paths: Path | Token) -> tuple[Path, ...]:
        return tuple(path for path in paths if isinstance(path, Path))

    def source(self, table: Token, index: Token | None = None) -> tuple[str, str | None]:
        if index is None:
            return _name(table), None
        if table.type != "QUOTED" or index.type != "QUOTED":
            raise malformed("A table and its index must both stand in double quotes")
        return _name(table), _name(index)

    def where(self, condition: Node) -> Node:
        if not is_condition(condition):
            raise malformed("Expected a condition behind WHERE")
        return condition

    def order(self, *terms: Ordering) -> tuple[Ordering, ...]:
        return terms

    def ordering(self, path: Path, direction: Token | None = None) -> Ordering:
        word = "ASC" if direction is None else direction.upper()
        if word not in ("ASC", "DESC"):
            raise malformed(f"Unexpected term {direction} in ORDER BY")
        return Ordering(path, word == "ASC")

    def insert(self, table: Token, item: Literal) -> Insert:
        return Insert(_name(table), item)

    def update(self, table: Token, *rest: tuple[Action, ...] | Node | str) -> Update:
        actions = tuple(action for part in rest if isinstance(part, tuple) for action in part)
        where, returning = _tail(rest)
        return Update(_name(table), actions, where, returning)

    def set_clause(self, *actions: Action) -> tuple[Action, ...]:
        return actions

    def remove_clause(self, *actions: Action) -> tuple[Action, ...]:
        return actions

    def assignment(self, path: Path, _equals: Token, operand: Node) -> Action:
        if isinstance(operand, Missing):
            raise refused("missing-value")
        if isinstance(operand, Operation) and operand.call and operand.name not in SET_FUNCTIONS:
            raise refused("function", name=operand.name)
        return Action(path, operand)

    def removal(self, path: Path) -> Action:
        return Action(path, None)

    def delete(self, table: Token, *rest: Node | str) -> Delete:
        where, returning = _tail(rest)
        if returning not in ("NONE", "ALL_OLD"):
            raise refused("returning-delete")
        return Delete(_name(table), where, returning)

    def returning(self, extent: Token, image: Token, _star: Token) -> str:
        mode = _RETURNING.get((extent.upper(), image.upper()))
        if mode is None:
            raise malformed(f"Unexpected term {extent} in RETURNING")
        return mode

    def exists(self, select: Select) -> Exists:
        return Exists(select)

    # --- conditions ---

    def disjunction(self, *operands: Node) -> Operation:
        return _of_conditions("OR", *operands)

    def conjunction(self, *operands: Node) -> Operation:
        return _of_conditions("AND", *operands)

    def negation(self, operand: Node) -> Operation:
        return _of_conditions("NOT", operand)

    def comparison(self, left: Node, operator: Token, right: Node) -> Operation:
        return _of_values("<>" if operator == "!=" else str(operator), left, right)

    def between(self, tested: Node, low: Node, high: Node) -> Operation:
        return _of_values("BETWEEN", tested, low, high)

    def not_between(self, tested: Node, low: Node, high: Node) -> Operation:
        return _operation("NOT", self.between(tested, low, high))

    def choices(self, *operands: Node) -> tuple[Node, ...]:
        return operands

    def membership(self, tested: Node, choices: tuple[Node, ...]) -> Operation:
        return _of_values("IN", tested, *choices)

    def no_membership(self, tested: Node, choices: tuple[Node, ...]) -> Operation:
        return _operation("NOT", self.membership(tested, choices))

    def absent(self, tested: Node) -> Operation:
        return _existence("IS MISSING", tested)

    def present(self, tested: Node) -> Operation:
        return _existence("IS NOT MISSING", tested)

    def call(self, name: Token, *operands: Node) -> Operation:
        function = name.lower()
        if function not in CONDITION_FUNCTIONS | SET_FUNCTIONS:
            raise refused("function", name=name)
        return _of_values(function, *operands, call=True)

    def arithmetic(self, left: Node, operator: Token, right: Node) -> Operation:
        for operand in (left, right):
            if isinstance(operand, Operation):
                raise malformed(f"Unexpected term beside {operator}")
        return _of_values(str(operator), left, right)

    # --- paths and literals ---

    def identifier(self, token: Token) -> Token:
        return token

    def step(self, token: Token) -> Token:
        if token.type == "NUMBER" and not (token.isdecimal() and len(token) <= INDEX_DIGITS_MAX):
            raise malformed(f"Expected an index instead of {token}")
        return token

    def path(self, *tokens: Token) -> Path:
        return Path(tuple(int(token) if token.type == "NUMBER" else _name(token) for token in tokens))

    def string(self, token: Token) -> Constant:
        return Constant({"S": _unquoted(token)})

    def number(self, *tokens: Token) -> Constant:
        return Constant({"N": "".join(tokens)})

    def true(self) -> Constant:
        return Constant({"BOOL": True})

    def false(self) -> Constant:
        return Constant({"BOOL": False})

    def null(self) -> Constant:
        return Constant({"NULL": True})

    def missing(self) -> Missing:
        return Missing()

    def parameter(self, token: Token) -> Parameter:
        return Parameter(int(token))

    def list(self, *members: Literal) -> Collection:
        return _collection("L", members)

    def map(self, *members: tuple[str, Literal]) -> Collection:
        names = tuple(name for name, _ in members)
        for number, name in enumerate(names):
            if name in names[:number]:
                raise refused("name-twice", name=name)
        return _collection("M", tuple(value for _, value in members), names)

    def member(self, name: Token, value: Literal) -> tuple[str, Literal]:
        return _unquoted(name), value

    def bag(self, *members: Literal) -> Collection:
        return _collection("SET", members)


def _name(token: Token) -> str:
    return str(token) if token.type == "NAME" else _unquoted(token)


def _existence(name: str, tested: Node) -> Operation:
    if not isinstance(tested, Path):
        raise malformed(f"Expected an attribute before {name}")
    return _operation(name, tested)


def _tail(parts: tuple[object, ...]) -> tuple[Node | None, str]:
    """The condition and the ReturnValues behind a write."""
    where = next((part for part in parts if isinstance(part, Operation)), None)
    return where, next((part for part in parts if isinstance(part, str)), "NONE")


@lru_cache(maxsize=1)
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", lexer=_Lexer, transformer=_Builder())


def parse_statement(text: str) -> Parsed:
    """The statement that a text says, a short one from a bounded cache; raises ValidationException.

    >>> parse_statement("DELETE FROM T WHERE pk = ?").statement.table
    'T'
    >>> parse_statement("SELECT COUNT(*) FROM T")
    Traceback (most recent call last):
    ...
    dynalab_model.errors.DynamoError: ValidationException: Unexpected path component at 1:8:5
    """
    return (_short if len(text) <= SHORT_MAX else _long)(text)


def _parsed(text: str) -> Parsed:
    try:
        statement: Statement = _parser().parse(text)  # type: ignore[assignment]
    except UnexpectedToken as error:
        start = len(text) if error.token.type == "$END" else error.token.start_pos
        assert start is not None
        raise _syntax_error(text, start) from None
    parameters = sum(token.kind == "PARAMETER" for token in lexemes(text)) if "?" in text else 0
    return Parsed(statement, parameters)


_short = lru_cache(maxsize=STATEMENTS_MAX)(_parsed)
_long = lru_cache(maxsize=LONG_STATEMENTS_MAX)(_parsed)


def _syntax_error(text: str, start: int) -> DynamoError:
    tokens = list(lexemes(text))
    place = next((number for number, token in enumerate(tokens) if token.start >= start), len(tokens))
    if place == len(tokens):
        return malformed("Unexpected end of statement")
    called = tokens[place].kind == "_LPAREN" and place > 0 and tokens[place - 1].kind == "NAME"
    if called and tokens[0].kind == "_SELECT":
        return refused("path-component", where=_where(text, tokens[place - 1]))
    return malformed(f"Unexpected term at {_where(text, tokens[place])}")


def _where(text: str, token: Lexeme) -> str:
    """Line, column and length of a token, as the service writes them."""
    before = text[: token.start]
    line = before.count("\n") + 1
    column = token.start - (before.rfind("\n") + 1) + 1
    return f"{line}:{column}:{token.end - token.start}"
