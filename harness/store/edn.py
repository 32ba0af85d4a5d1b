"""EDN, the notation of Clojure's data: as much of it as histories hold.

https://github.com/edn-format/edn: nil, booleans, numbers, strings, characters, keywords, symbols,
vectors, lists, sets, maps, tags, comments and ``#_``. Commas are blanks. Tags are dropped and
their values kept (``#jepsen.history.Op{…}`` is the map).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from harness.core.errors import FormatError
from harness.core.values import Record, Value

MAX_DEPTH = 100
"""Deeper nesting is refused: no history needs it, and recursion over values must stay safe."""


class Keyword(str):
    """``:ok`` is ``Keyword("ok")``: as a value the same as the string, told apart in places."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Map:
    """A map with its place in the text (an offset), keys in order."""

    items: dict[Value, Form]
    at: int

    def get(self, key: str) -> Form:
        """The value under the keyword or string ``key``, None when it is not there."""
        return self.items.get(key)


Form: TypeAlias = "Value | tuple[Form, ...] | Map"


@dataclass(frozen=True, slots=True)
class Text:
    """A text with a name, for complaints with line and column."""

    content: str
    path: str

    def trouble(self, at: int, words: str) -> FormatError:
        """An error at an offset."""
        line = self.content.count("\n", 0, at) + 1
        column = at - (self.content.rfind("\n", 0, at) + 1) + 1
        return FormatError(f"{self.path}:{line}:{column}: {words}")

    def line(self, at: int) -> int:
        """The line of an offset, from 1."""
        return self.content.count("\n", 0, at) + 1


@dataclass(frozen=True, slots=True)
class Forms:
    """The forms at the top of a text with the offsets where they begin.

    ``cut`` is the offset where a last one began that broke off.

    When the whole text is one ``[…]`` or ``(…)``, its forms are the ones in it.
    """

    items: tuple[Form, ...]
    starts: tuple[int, ...]
    cut: int | None = None


_TOKEN = re.compile(
    r"""
    (?:[\s,]+|;[^\n]*)*+
    (?: (?P<atom>[^\s,\[\](){}";\#\\][^\s,\[\](){}";]*)
      | (?P<open>\#?\{|[\[(])
      | (?P<close>[\])}])
      | (?P<string>"(?:[^"\\]|\\.)*+")
      | (?P<discard>\#_)
      | (?P<special>\#\#[^\s,\[\](){}";]*)
      | (?P<tag>\#[^\s,\[\](){}";\#_][^\s,\[\](){}";]*)
      | (?P<char>\\[^\s][^\s,\[\](){}";]*)
      | (?P<end>\Z)
    )
    """,
    re.VERBOSE | re.DOTALL,
)
"""A token with the blanks and comments before it. An atom is a keyword, a number or a symbol."""

_BLANKS = re.compile(r"(?:[\s,]+|;[^\n]*)*+")
_HALF_TOKENS = ("#", ":", "\\", "##", "\\\n")
_CLOSES = {"[": "]", "(": ")", "{": "}", "#{": "}"}
_WORDS: dict[str, Value] = {"nil": None, "true": True, "false": False}
_CHARS = {"newline": "\n", "space": " ", "tab": "\t", "return": "\r"}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_INTEGER = re.compile(r"([+-]?\d+)N?")
_HEX = re.compile(r"[+-]?0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"([+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)M?")
_RATIO = re.compile(r"[+-]?\d+/\d+")


@dataclass(slots=True)
class _Frame:
    """An open bracket and what is in it so far; ``discard`` forms are still to be dropped."""

    bracket: str
    at: int
    items: list[Form] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    discard: int = 0

    def add(self, form: Form, at: int) -> None:
        if self.discard:
            self.discard -= 1
        else:
            self.items.append(form)
            self.starts.append(at)

    def forms(self, cut: int | None = None) -> Forms:
        return Forms(tuple(self.items), tuple(self.starts), cut)


def read(text: Text) -> Forms:
    """All forms of a text. A text that breaks off is read up to there (``Forms.cut``).

    Raises:
        FormatError: what is there is no EDN.
    """
    top = frame = _Frame("", 0)
    stack = [top]
    last: _Frame | None = None
    content, token_at = text.content, _TOKEN.match
    # Histories repeat the same few atoms millions of times.
    atoms: dict[str, Value] = {}
    at = 0
    while (found := token_at(content, at)) is not None:
        kind = found.lastgroup or ""
        token, start, at = found[kind], found.start(kind), found.end()
        if kind == "atom":
            if token not in atoms:
                if token == ":":
                    at = start
                    break
                atoms[token] = _atom(text, token, start)
            frame.add(atoms[token], start)
        elif kind == "open":
            if len(stack) > MAX_DEPTH:
                raise text.trouble(start, f"brackets are nested deeper than {MAX_DEPTH}")
            frame = _Frame(token, start)
            stack.append(frame)
        elif kind == "close":
            if len(stack) == 1 or _CLOSES[frame.bracket] != token:
                wanted = _CLOSES.get(frame.bracket, "a value")
                raise text.trouble(start, f"expected {wanted}, found {token}")
            last = stack.pop()
            frame = stack[-1]
            frame.add(_closed(text, last), last.at)
        elif kind == "end":
            break
        elif kind == "discard":
            frame.discard += 1
        elif kind != "tag":
            frame.add(_literal(kind, token), start)
    if at < len(content):
        return _stuck(text, stack, at)
    if len(stack) > 1:
        return _broken_off(text, stack, len(content))
    if last is not None and len(top.items) == 1 and isinstance(top.items[0], tuple):
        return last.forms()
    return top.forms()


def _stuck(text: Text, stack: list[_Frame], at: int) -> Forms:
    """Behind the blanks at ``at`` there is no token: half of one, or nonsense."""
    blanks = _BLANKS.match(text.content, at)
    at = blanks.end() if blanks else at
    rest = text.content[at:]
    if len(stack) > 1 and (rest[:1] == '"' or rest in _HALF_TOKENS):
        return _broken_off(text, stack, at)
    raise text.trouble(at, f"expected a value, found {rest[:20]!r}")


def _closed(text: Text, frame: _Frame) -> Form:
    if frame.bracket != "{":
        return tuple(frame.items)
    if len(frame.items) % 2:
        raise text.trouble(frame.at, "a map needs a value for each key: one is missing")
    pairs: dict[Value, Form] = {}
    for key, form in zip(frame.items[::2], frame.items[1::2], strict=True):
        name = value_of(key)
        if name in pairs:
            raise text.trouble(frame.at, f"the key {name!r} is in this map twice")
        pairs[name] = form
    return Map(pairs, frame.at)


def _broken_off(text: Text, stack: list[_Frame], at: int) -> Forms:
    """What is whole before the break. A bracket lost *within* the text is an error, not a break.

    The difference: after a lost bracket whole events follow inside the open one.
    """
    outer = stack[1] if stack[1].bracket in "[(" and not stack[0].items else stack[0]
    inner = stack[2:] if outer is stack[1] else stack[1:]
    for frame in inner:
        swallowed = [form for form in frame.items if isinstance(form, Map) and form.get("type")]
        if swallowed:
            raise text.trouble(frame.at, f"this {frame.bracket} is never closed")
    if at < len(text.content) and "\n" in text.content[at:].rstrip():
        raise text.trouble(at, 'this " is never closed')
    return outer.forms(inner[0].at if inner else len(text.content))


def _atom(text: Text, token: str, at: int) -> Value:
    if token[0] == ":":
        return Keyword(token[1:])
    if token[0].isdigit() or (token[0] in "+-" and token[1:2].isdigit()):
        return _number(text, token, at)
    return _WORDS.get(token, token)


def _literal(kind: str, token: str) -> Value:
    match kind:
        case "string":
            return _ESCAPE.sub(_unescape, token[1:-1]) if "\\" in token else token[1:-1]
        case "char":
            return _CHARS.get(token[1:], token[1:])
        case _:
            return token


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    if len(code) == 5:
        return chr(int(code[1:], 16))
    return _ESCAPES.get(code, code)


def _number(text: Text, token: str, at: int) -> Value:
    try:
        if match := _INTEGER.fullmatch(token):
            return int(match[1])
        if match := _FLOAT.fullmatch(token):
            return float(match[1])
    except ValueError:
        raise text.trouble(at, "a number of more digits than anything counts") from None
    if _HEX.fullmatch(token) or _RATIO.fullmatch(token):
        return token
    raise text.trouble(at, f"expected a number, found {token[:40]!r}")


def value_of(form: Form) -> Value:
    """A form as an operation's value: keywords become strings, maps become records."""
    match form:
        case Keyword():
            return str(form)
        case Map(items):
            pairs = ((_key(key), value_of(item)) for key, item in items.items())
            return Record(tuple(sorted(pairs, key=lambda pair: pair[0])))
        case tuple():
            return tuple(value_of(item) for item in form)
        case _:
            return form


def _key(key: Value) -> str:
    return key if isinstance(key, str) else write(key)


def write(value: Value) -> str:
    """A value as EDN."""
    match value:
        case None:
            return "nil"
        case bool():
            return "true" if value else "false"
        case str():
            return '"' + "".join(_escaped(value)) + '"'
        case tuple():
            return "[" + " ".join(write(item) for item in value) + "]"
        case Record(items):
            return "{" + ", ".join(f"{write(key)} {write(item)}" for key, item in items) + "}"
        case _:
            return repr(value)


def _escaped(text: str) -> Iterator[str]:
    known = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    for letter in text:
        yield known.get(letter) or (letter if letter >= " " else f"\\u{ord(letter):04x}")
