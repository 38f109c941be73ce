"""The grammars of DynamoDB's expressions (expressions.md §3, §5, §6) and the tokens that they share.

The lexer is our own, for two reasons: a syntax error must show the token before and the token behind the bad one, and
`remove` is a keyword in an update but a plain name in a condition. The parsers are LALR, built once, when first needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

COMMON = r"""
_first: NAME | ALIAS
_step: _DOT (NAME | ALIAS) | _LBRACKET INDEX RBRACKET
path: _first _step*
value: VALUE
call: NAME _LPAREN operand (_COMMA operand)* RPAREN

%declare NAME ALIAS VALUE INDEX EQUALS ORDER PLUS MINUS RPAREN RBRACKET _LPAREN _LBRACKET _DOT _COMMA
%declare _AND _OR NOT _BETWEEN _IN SET REMOVE ADD DELETE BAD
"""

CONDITION_GRAMMAR = (
    r"""
?start: disjunction
?disjunction: conjunction (_OR conjunction)*
?conjunction: negation (_AND negation)*
?negation: NOT negation                              -> negation
    | predicate
?predicate: operand (EQUALS | ORDER) operand         -> comparison
    | operand _BETWEEN operand _AND operand          -> between
    | operand _IN _LPAREN operand (_COMMA operand)* RPAREN -> membership
    | operand
?operand: path | value | call
    | _LPAREN disjunction RPAREN                     -> parentheses
"""
    + COMMON
)

UPDATE_GRAMMAR = (
    r"""
start: section+
section: SET _assignment (_COMMA _assignment)*
    | REMOVE removal (_COMMA removal)*
    | (ADD | DELETE) pair (_COMMA pair)*
_assignment: assignment
assignment: path EQUALS sum
removal: path
pair: path value
?sum: operand (PLUS | MINUS) operand                 -> arithmetic
    | operand
?operand: path | value | call
    | _LPAREN sum RPAREN                             -> parentheses
"""
    + COMMON
)

# A projection has no calls, but the shared rules want to know what an operand is.
PROJECTION_GRAMMAR = (
    r"""
start: path (_COMMA path)*
operand: path
"""
    + COMMON
)

CONDITION_KEYWORDS = {"AND": "_AND", "OR": "_OR", "NOT": "NOT", "BETWEEN": "_BETWEEN", "IN": "_IN"}
UPDATE_KEYWORDS = {"SET": "SET", "REMOVE": "REMOVE", "ADD": "ADD", "DELETE": "DELETE"}


class Lexeme(NamedTuple):
    """A token with its place in the text."""

    kind: str
    text: str
    start: int
    end: int


_LEXEME = re.compile(
    r"[ \t\r\n]+|(?P<NAME>[A-Za-z][A-Za-z0-9_]*)|(?P<ALIAS>\#[A-Za-z0-9_]+)|(?P<VALUE>:[A-Za-z0-9_]+)|(?P<INDEX>[0-9]+)"
    r"|(?P<ORDER><>|<=|>=|<|>)|(?P<MARK>[=()\[\].,+-])|(?P<BAD>.)",
    re.DOTALL,
)

_MARKS = {
    "=": "EQUALS",
    "(": "_LPAREN",
    ")": "RPAREN",
    "[": "_LBRACKET",
    "]": "RBRACKET",
    ".": "_DOT",
    ",": "_COMMA",
    "+": "PLUS",
    "-": "MINUS",
}


def lexemes(text: str, keywords: dict[str, str]) -> Iterator[Lexeme]:
    """The tokens of an expression; a character that fits nowhere is a token of kind BAD.

    >>> [lexeme.kind for lexeme in lexemes("a[0] = :v", {})]
    ['NAME', '_LBRACKET', 'INDEX', 'RBRACKET', 'EQUALS', 'VALUE']
    """
    after_dot = False
    for match in _LEXEME.finditer(text):
        kind = match.lastgroup
        if kind is None:
            continue
        word = match.group()
        if kind == "MARK":
            kind = _MARKS[word]
        elif kind == "NAME" and not after_dot:  # behind a dot a keyword is a name (and reserved, as a rule)
            kind = keywords.get(word.upper(), kind)
        after_dot = kind == "_DOT"
        yield Lexeme(kind, word, match.start(), match.end())
