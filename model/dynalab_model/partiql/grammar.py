"""The grammar of DynamoDB's PartiQL (expressions.md §10) and its tokens.

Keywords are taken in any case, and only where the grammar knows them: `ALL`, `OLD`, `ASC` and their like are names
elsewhere. A name in double quotes is never a keyword. As in `expressions`, the lexer is our own, so that an error can
say where in the text it is; the parser is LALR, built once, when first needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

GRAMMAR = r"""
?start: select | insert | update | delete | exists

select: _SELECT projection _FROM source where? order?
projection: STAR | path (_COMMA path)*
source: identifier (_DOT identifier)?
where: _WHERE disjunction
order: _ORDER _BY ordering (_COMMA ordering)*
ordering: path NAME?

insert: _INSERT _INTO identifier _VALUE (map | parameter)
update: _UPDATE identifier (set_clause | remove_clause)+ where? returning?
set_clause: _SET assignment (_COMMA assignment)*
assignment: path EQUALS sum
remove_clause: _REMOVE removal (_COMMA removal)*
removal: path
delete: _DELETE _FROM identifier where? returning?
returning: _RETURNING NAME NAME STAR
exists: _EXISTS _LPAREN select _RPAREN

?disjunction: conjunction (_OR conjunction)*
?conjunction: negation (_AND negation)*
?negation: _NOT negation                                 -> negation
    | predicate
?predicate: operand (EQUALS | COMPARE) operand           -> comparison
    | operand _BETWEEN operand _AND operand              -> between
    | operand _NOT _BETWEEN operand _AND operand         -> not_between
    | operand _IN choices                                -> membership
    | operand _NOT _IN choices                           -> no_membership
    | operand _IS _MISSING                               -> absent
    | operand _IS _NOT _MISSING                          -> present
    | operand
choices: _LBRACKET operand (_COMMA operand)* _RBRACKET
    | _LPAREN operand (_COMMA operand)* _RPAREN
?operand: path | value | call
    | _LPAREN disjunction _RPAREN

?sum: term (PLUS | MINUS) term                           -> arithmetic
    | term
?term: path | value | call
    | _LPAREN sum _RPAREN
call: NAME _LPAREN operand (_COMMA operand)* _RPAREN

path: identifier (_DOT identifier | step)*
step: _LBRACKET (NUMBER | STRING) _RBRACKET
identifier: NAME | QUOTED

?value: STRING                                           -> string
    | (PLUS | MINUS)? NUMBER                             -> number
    | _TRUE                                              -> true
    | _FALSE                                             -> false
    | _NULL                                              -> null
    | _MISSING                                           -> missing
    | parameter
    | list | map | bag
parameter: PARAMETER
list: _LBRACKET (value (_COMMA value)*)? _RBRACKET
map: _LBRACE (member (_COMMA member)*)? _RBRACE
member: STRING _COLON value
bag: _LBAG (value (_COMMA value)*)? _RBAG

%declare NAME QUOTED STRING NUMBER PARAMETER EQUALS COMPARE PLUS MINUS STAR BAD
%declare _LPAREN _RPAREN _LBRACKET _RBRACKET _LBRACE _RBRACE _LBAG _RBAG _DOT _COMMA _COLON
%declare _SELECT _FROM _WHERE _ORDER _BY _INSERT _INTO _VALUE _UPDATE _SET _REMOVE _DELETE _RETURNING _EXISTS
%declare _AND _OR _NOT _BETWEEN _IN _IS _MISSING _NULL _TRUE _FALSE
"""

_KEYWORDS = frozenset(
    [
        "SELECT",
        "FROM",
        "WHERE",
        "ORDER",
        "BY",
        "INSERT",
        "INTO",
        "VALUE",
        "UPDATE",
        "SET",
        "REMOVE",
        "DELETE",
        "RETURNING",
        "EXISTS",
        "AND",
        "OR",
        "NOT",
        "BETWEEN",
        "IN",
        "IS",
        "MISSING",
        "NULL",
        "TRUE",
        "FALSE",
    ]
)

_LEXEME = re.compile(
    r"[ \t\r\n]+|--[^\n]*|/\*.*?(?:\*/|\Z)"
    r"|(?P<STRING>'(?:[^']|'')*')|(?P<QUOTED>\"(?:[^\"]|\"\")+\")|(?P<PARAMETER>\?)"
    r"|(?P<NUMBER>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<NAME>[A-Za-z_$][A-Za-z0-9_$]*)"
    r"|(?P<BAG><<|>>)|(?P<COMPARE><>|!=|<=|>=|<|>)|(?P<MARK>[=()\[\]{}.,:*+-])|(?P<BAD>.)",
    re.DOTALL,
)

_MARKS = {
    "=": "EQUALS",
    "(": "_LPAREN",
    ")": "_RPAREN",
    "[": "_LBRACKET",
    "]": "_RBRACKET",
    "{": "_LBRACE",
    "}": "_RBRACE",
    "<<": "_LBAG",
    ">>": "_RBAG",
    ".": "_DOT",
    ",": "_COMMA",
    ":": "_COLON",
    "*": "STAR",
    "+": "PLUS",
    "-": "MINUS",
}


class Lexeme(NamedTuple):
    """A token with its place in the text. A parameter's text is its number."""

    kind: str
    text: str
    start: int
    end: int


def lexemes(text: str) -> Iterator[Lexeme]:
    """The tokens of a statement; a character that fits nowhere is a token of kind BAD.

    >>> [lexeme.kind for lexeme in lexemes("select a FROM \\"T\\" WHERE a = ?")]
    ['_SELECT', 'NAME', '_FROM', 'QUOTED', '_WHERE', 'NAME', 'EQUALS', 'PARAMETER']
    """
    parameters = 0
    after_dot = False
    for match in _LEXEME.finditer(text):
        kind = match.lastgroup
        if kind is None:
            continue
        word = match.group()
        if kind in ("MARK", "BAG"):
            kind = _MARKS[word]
        elif kind == "NAME" and not after_dot and word.upper() in _KEYWORDS:
            kind = "_" + word.upper()
        elif kind == "PARAMETER":
            word = str(parameters)
            parameters += 1
        after_dot = kind == "_DOT"
        yield Lexeme(kind, word, match.start(), match.end())
