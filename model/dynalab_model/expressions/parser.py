"""From the text of an expression to its nodes, or to the syntax error that DynamoDB would tell.

Also checked here, since it comes before everything else: that there is a text, at most 4 KB of it, and no more than
300 operators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedToken, v_args
from lark.lexer import Lexer

from dynalab_model.errors import DynamoError
from dynalab_model.expressions import grammar
from dynalab_model.expressions.nodes import Action, Node, Operation, Parentheses, Path, Value, bare, walk
from dynalab_model.expressions.texts import PROJECTION, UPDATE, refused

EXPRESSION_BYTES_MAX = 4_096
OPERATORS_MAX = 300

_COUNTED = frozenset({"ORDER", "_AND", "_OR", "NOT", "_BETWEEN", "_IN", "PLUS", "MINUS"})


class _ConditionLexer(Lexer):
    keywords = grammar.CONDITION_KEYWORDS

    def __init__(self, lexer_conf: object) -> None:
        pass

    def lex(self, data: str) -> Iterator[Token]:  # type: ignore[override]
        for kind, text, start, end in grammar.lexemes(data, self.keywords):
            yield Token(kind, text, start_pos=start, end_pos=end)


class _UpdateLexer(_ConditionLexer):
    keywords = grammar.UPDATE_KEYWORDS


class _ProjectionLexer(_ConditionLexer):
    keywords: dict[str, str] = {}  # noqa: RUF012 (a table, never changed)


def _end(token: Token) -> int:
    assert token.end_pos is not None
    return token.end_pos


@v_args(inline=True)
class _Builder(Transformer[Token, Node]):
    """Called by the parser at each reduction, so no tree of the parser's own is ever built."""

    def path(self, *tokens: Token) -> Path:
        parts = [int(token) if token.type == "INDEX" else str(token) for token in tokens if token.type != "RBRACKET"]
        return Path(tuple(parts), _end(tokens[-1]))

    def value(self, token: Token) -> Value:
        return Value(str(token), _end(token))

    def call(self, name: Token, *rest: Node | Token) -> Operation:
        *operands, closing = rest
        assert isinstance(closing, Token)
        return Operation(str(name), _nodes(operands), _end(closing), call=True)

    def parentheses(self, inner: Node, closing: Token) -> Parentheses:
        # Pairs around pairs are folded into one node, so that a thousand of them do not nest a thousand deep.
        if isinstance(inner, Parentheses):
            return Parentheses(inner.inner, True, _end(closing))
        return Parentheses(inner, False, _end(closing))

    def disjunction(self, *operands: Node) -> Operation:
        return Operation("OR", operands, operands[-1].end)

    def conjunction(self, *operands: Node) -> Operation:
        return Operation("AND", operands, operands[-1].end)

    def negation(self, _not: Token, operand: Node) -> Operation:
        return Operation("NOT", (operand,), operand.end)

    def comparison(self, left: Node, operator: Token, right: Node) -> Operation:
        return Operation(str(operator), (left, right), right.end)

    def between(self, tested: Node, low: Node, high: Node) -> Operation:
        return Operation("BETWEEN", (tested, low, high), high.end)

    def membership(self, *rest: Node | Token) -> Operation:
        *operands, closing = rest
        assert isinstance(closing, Token)
        return Operation("IN", _nodes(operands), _end(closing))


@v_args(inline=True)
class _UpdateBuilder(_Builder):
    def arithmetic(self, left: Node, operator: Token, right: Node) -> Operation:
        return Operation(str(operator), (left, right), right.end)

    def assignment(self, path: Path, _equals: Token, operand: Node) -> tuple[Path, Node | None]:
        return path, operand

    def removal(self, path: Path) -> tuple[Path, Node | None]:
        return path, None

    def pair(self, path: Path, value: Value) -> tuple[Path, Node | None]:
        return path, value

    def section(self, keyword: Token, *pairs: tuple[Path, Node | None]) -> tuple[str, list[Action]]:
        name = keyword.upper()
        return name, [Action(name, path, operand) for path, operand in pairs]

    def start(self, *sections: tuple[str, list[Action]]) -> list[tuple[str, list[Action]]]:
        return list(sections)


@v_args(inline=True)
class _ProjectionBuilder(_Builder):
    def start(self, *paths: Path) -> list[Path]:
        return list(paths)


def parse_condition(kind: str, text: str) -> Node:
    """A condition, filter or key condition.

    >>> parse_condition("ConditionExpression", "a = :v").operands[1].name
    ':v'
    """
    node: Node = _parse(kind, text, _condition_parser, grammar.CONDITION_KEYWORDS)
    _check_shape(kind, text, node)
    return node


def parse_update(text: str) -> list[tuple[str, list[Action]]]:
    """The sections of an update expression in the order of the text, each with its actions."""
    sections: list[tuple[str, list[Action]]] = _parse(UPDATE, text, _update_parser, grammar.UPDATE_KEYWORDS)
    for _, actions in sections:
        for action in actions:
            if action.operand is not None:
                _check_operand(text, action.operand)
    return sections


def parse_projection(text: str) -> list[Path]:
    """The paths of a projection.

    >>> [path.parts for path in parse_projection("a, b[0].c")]
    [('a',), ('b', 0, 'c')]
    """
    paths: list[Path] = _parse(PROJECTION, text, _projection_parser, {})
    return paths


def syntax_error(kind: str, text: str, keywords: dict[str, str], start: int) -> DynamoError:
    """Names the token that begins at or behind `start`, and shows it with its two neighbours as they stand in the
    text.
    """
    tokens = list(grammar.lexemes(text, keywords))
    place = next((number for number, token in enumerate(tokens) if token.start >= start), len(tokens))
    before = tokens[place - 1] if place else None
    if place == len(tokens):
        return refused(kind, "syntax", token="<EOF>", near=before.text if before else "")
    near_start = before.start if before else tokens[place].start
    near_end = tokens[place + 1].end if place + 1 < len(tokens) else tokens[place].end
    return refused(kind, "syntax", token=tokens[place].text, near=text[near_start:near_end])


@lru_cache(maxsize=1)
def _condition_parser() -> Lark:
    return Lark(grammar.CONDITION_GRAMMAR, parser="lalr", lexer=_ConditionLexer, transformer=_Builder())


@lru_cache(maxsize=1)
def _update_parser() -> Lark:
    return Lark(grammar.UPDATE_GRAMMAR, parser="lalr", lexer=_UpdateLexer, transformer=_UpdateBuilder())


@lru_cache(maxsize=1)
def _projection_parser() -> Lark:
    return Lark(grammar.PROJECTION_GRAMMAR, parser="lalr", lexer=_ProjectionLexer, transformer=_ProjectionBuilder())


def _parse(kind: str, text: str, parser: Callable[[], Lark], keywords: dict[str, str]) -> Any:
    if not text:
        raise refused(kind, "empty")
    if len(text.encode("utf-8", "surrogatepass")) > EXPRESSION_BYTES_MAX:
        raise refused(kind, "long")
    tokens = list(grammar.lexemes(text, keywords))
    # Counted on the tokens: what lies deeper than this is never parsed, so no later step can run out of stack.
    counted = sum(token.kind in _COUNTED or (token.kind == "EQUALS" and kind != UPDATE) for token in tokens)
    calls = sum(one.kind == "NAME" and two.kind == "_LPAREN" for one, two in pairwise(tokens))
    betweens = sum(token.kind == "_BETWEEN" for token in tokens)  # each brings an AND that is no operator
    if counted + calls - betweens > OPERATORS_MAX:
        raise refused(kind, "operators", limit=OPERATORS_MAX)
    try:
        return parser().parse(text)
    except UnexpectedToken as error:
        start = len(text) if error.token.type == "$END" else error.token.start_pos
        assert start is not None
        raise syntax_error(kind, text, keywords, start) from None


def _nodes(children: list[Node | Token]) -> tuple[Node, ...]:
    return tuple(child for child in children if not isinstance(child, Token))


_LOGICAL = frozenset({"AND", "OR", "NOT"})


def _check_shape(kind: str, text: str, root: Node) -> None:
    """The grammar takes conditions and operands for one thing, as both may stand in parentheses; here they are told
    apart.
    """
    stack = [(root, True)]
    while stack:
        node, is_condition = stack.pop()
        inner = bare(node)
        fits = isinstance(inner, Operation) if is_condition else not isinstance(inner, Operation) or inner.call
        if not fits:
            raise syntax_error(kind, text, grammar.CONDITION_KEYWORDS, node.end)
        if isinstance(inner, Operation):
            stack.extend((operand, inner.name in _LOGICAL and not inner.call) for operand in reversed(inner.operands))


def _check_operand(text: str, root: Node) -> None:
    """A sum stands at the top of an assignment only, not inside a function or another sum."""
    top = bare(root)
    for node in walk(*top.operands) if isinstance(top, Operation) else ():
        if isinstance(node, Operation) and not node.call:
            raise syntax_error(UPDATE, text, grammar.UPDATE_KEYWORDS, bare(node.operands[0]).end)
