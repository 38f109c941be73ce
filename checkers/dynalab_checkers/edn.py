"""EDN, Clojure's notation, as far as histories use it: a stream of forms, each with the line at which it began.

Rules of this room:
1. Values become plain ones: vectors, lists and sets are lists, maps are dictionaries, tagged literals are what they tag
   (`#inst "..."` a string, `#jepsen.history.Op{...}` a map). Keywords and symbols stay known as such.
2. Nothing is held but the form being read. A file that is one large vector is read element by element.
3. No recursion: a form may be nested as deeply as memory allows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from dynalab_checkers.operation import MalformedHistory

Edn: TypeAlias = "str | int | float | bool | list[Edn] | dict[Edn, Edn] | None"


class Keyword(str):
    """A keyword, without its colon."""

    __slots__ = ()


class Symbol(str):
    """A symbol: a name that stands for something else."""

    __slots__ = ()


_TOKEN: Final = re.compile(
    r"""(?:[\s,]+|;[^\n]*)
    |(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<open>\#\{|[\[({])
    |(?P<close>[\])}])
    |(?P<discard>\#_)
    |(?P<tag>\#[A-Za-z][^\s,"\[\](){};\\]*)
    |(?P<character>\\(?:u[0-9a-fA-F]{4}|[a-z]{2,}|[^\s]))
    |(?P<atom>[^\s,"\[\](){};\\]+)""",
    re.VERBOSE | re.DOTALL,
)
_CLOSES: Final = {"[": "]", "(": ")", "{": "}", "#{": "}"}
_CONSTANTS: Final[dict[str, Edn]] = {"nil": None, "true": True, "false": False}
_INTEGER: Final = re.compile(r"[+-]?(?:0|[1-9][0-9]*)N?")
_FLOAT: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?M?")
_CHARACTERS: Final = {"newline": "\n", "space": " ", "tab": "\t", "return": "\r"}
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
# A string may go on over lines; without a bound a missing quote would read the rest of the file into memory.
STRING_MAX: Final = 1 << 20


@dataclass(slots=True)
class _Frame:
    """A collection being read. `prefixes`: what stands before the next value, tags and `#_`."""

    opened: str
    line: int
    items: list[Edn] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)


def forms(lines: Iterable[str | bytes]) -> Iterator[tuple[int, Edn]]:
    """The forms of a file, or the elements of the one vector or list that it consists of, with the lines they begin at.

    Raises MalformedHistory, which names the line.

    >>> list(forms(['{:f :read, :value #{1 "two"}} ; a comment', '#inst "2024" #_ [no] \\\\a']))
    [(1, {'f': 'read', 'value': [1, 'two']}), (2, '2024'), (2, 'a')]
    >>> list(forms(["[{:f :write", " :value [1 -2.5]}", "nil]"]))
    [(1, {'f': 'write', 'value': [1, -2.5]}), (3, None)]
    """
    top = _Frame("", 0)
    stack = [top]
    document: _Frame | None = None  # the vector that the file consists of
    began = 0
    for number, text in _texts(lines):
        position = 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise MalformedHistory(
                    number, f"not EDN from character {position} on: {text[position : position + 20]!r}"
                )
            position = match.end()
            kind = match.lastgroup
            if kind is None:
                continue
            token = match[kind]
            frame = stack[-1]
            base = 1 if document is None else 2
            if len(stack) == base and not frame.prefixes:
                began = number
            if kind == "open":
                opened = _Frame(token, number)
                if len(stack) == 1 and token in "[(" and not frame.prefixes:
                    if document is not None:
                        raise MalformedHistory(number, "a second vector follows the one that holds the history")
                    document = opened
                stack.append(opened)
                continue
            if kind == "discard" or kind == "tag":
                frame.prefixes.append(token)
                continue
            if kind == "close":
                if len(stack) == 1 or _CLOSES[frame.opened] != token:
                    raise MalformedHistory(number, f"{token} closes nothing")
                if frame.prefixes:
                    raise MalformedHistory(number, f"nothing follows {frame.prefixes[-1]}")
                stack.pop()
                if frame is document:
                    continue
                value = _collection(number, frame)
                frame = stack[-1]
            else:
                value = _scalar(number, kind, token)
            while frame.prefixes and frame.prefixes[-1] != "#_":
                frame.prefixes.pop()
            if frame.prefixes:
                frame.prefixes.pop()
            elif frame is top or frame is document:
                yield began, value
            else:
                frame.items.append(value)
    if len(stack) > 1:
        raise MalformedHistory(stack[-1].line, f"the {stack[-1].opened} that begins here is never closed")
    if top.prefixes:
        raise MalformedHistory(began, f"nothing follows {top.prefixes[-1]}")


def _texts(lines: Iterable[str | bytes]) -> Iterator[tuple[int, str]]:
    """Lines with their numbers; those over which a string goes on are joined."""
    held = ""
    first = 0
    for number, line in enumerate(lines, 1):
        try:
            text = line if isinstance(line, str) else line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise MalformedHistory(number, "not UTF-8") from None
        if held:
            text = held + text
            held = ""
        else:
            first = number
        if '"' in text and _is_open(text):
            if len(text) > STRING_MAX:
                raise MalformedHistory(first, "a string that begins here does not end")
            held = text
            continue
        yield first, text
    if held:
        raise MalformedHistory(first, "a string that begins here is never closed")


def _is_open(text: str) -> bool:
    """Whether the text ends within a string."""
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            return text[position] == '"'
        position = match.end()
    return False


def _scalar(number: int, kind: str, token: str) -> Edn:
    if kind == "string":
        return _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else _ESCAPES.get(m[2], m[2]), token[1:-1])
    if kind == "character":
        name = token[1:]
        if len(name) == 1:
            return name
        if name[0] == "u" and len(name) == 5:
            return chr(int(name[1:], 16))
        if name in _CHARACTERS:
            return _CHARACTERS[name]
        raise MalformedHistory(number, f"no such character: {token}")
    if token in _CONSTANTS:
        return _CONSTANTS[token]
    if token[0] == ":":
        if len(token) == 1:
            raise MalformedHistory(number, "a keyword without a name")
        return Keyword(token[1:])
    try:
        if _INTEGER.fullmatch(token):
            return int(token.rstrip("N"))
        if _FLOAT.fullmatch(token):
            return float(token.rstrip("M"))
    except ValueError:
        raise MalformedHistory(number, f"a number of absurd length: {token[:30]}...") from None
    if token[0] == "#" or token[0].isdigit():
        raise MalformedHistory(number, f"not EDN: {token[:60]}")
    return Symbol(token)


def _collection(number: int, frame: _Frame) -> Edn:
    if frame.opened != "{":
        return frame.items
    if len(frame.items) % 2:
        raise MalformedHistory(number, "a map with a key that has no value")
    result: dict[Edn, Edn] = {}
    for key, value in zip(frame.items[::2], frame.items[1::2], strict=True):
        name = _as_key(key)
        if name in result:
            raise MalformedHistory(number, f"a map with the key {key!r} twice")
        result[name] = value
    return result


def _as_key(key: Edn) -> str | int | float | bool | None:
    # Collections as keys do not occur in histories; written out they are at least told apart.
    return repr(key) if isinstance(key, (list, dict)) else key
