"""Any history file, recognised by what is in it."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from pathlib import Path

from harness.core.columns import kept
from harness.core.errors import FormatError, UsageError
from harness.core.operations import History
from harness.native import COMPILED
from harness.store.edn import Text
from harness.store.foreign import LOGGED, read_edn, read_jepsen_log
from harness.store.jsonl import Header, read_columns, read_jsonl

FORMATS = ("auto", "jsonl", "edn", "jepsen-log", "porcupine-kv")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A history with the format it was in; ``header`` is empty for formats that have none."""

    format: str
    header: Header
    history: History


def read_history(path: Path, format: str = "auto") -> Recorded:
    """Reads a history file; a format other than ``auto`` insists.

    Raises:
        UsageError: no such file, or no such format.
        FormatError: damaged; the message has path, line and column.
    """
    if format not in FORMATS:
        raise UsageError(f"unknown format {format!r} (there are: {', '.join(FORMATS)})")
    if format in ("auto", "jsonl"):
        columns = read_columns(path)
        if columns is not None:
            return Recorded("jsonl", *columns)
    try:
        raw = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    known = recognise(raw, str(path)) if format == "auto" else format
    if known == "jsonl":
        header, history = read_jsonl(raw, str(path))
        return Recorded(known, header, history)
    text = Text(_decoded(raw, str(path)), str(path))
    if known == "jepsen-log":
        history = read_jepsen_log(text)
    else:
        history = read_edn(text, porcupine=known == "porcupine-kv")
    if COMPILED is not None:
        history = kept(history, COMPILED.Table)
    return Recorded(known, Header(), history)


_BLANK = re.compile(rb"(?:[\s,]+|;[^\n]*)*")
_PORCUPINE = re.compile(rb"\{[^{}]*:f\s+:(?:get|put|append)\b[^{}]*:key\b")


def recognise(raw: bytes, path: str) -> str:
    """The format of a file, from its first event. An empty file is an empty log.

    Raises:
        FormatError: it begins like none of them.
    """
    blank = _BLANK.match(raw)
    start = blank.end() if blank else 0
    first = raw[start:].partition(b"\n")[0].strip()
    if not first:
        return "jepsen-log" if not raw.strip() else "edn"
    if LOGGED.match(first):
        return "jepsen-log"
    if re.match(rb"\{\s*\"", first):
        return "jsonl"
    if first[:1] in (b"{", b"[", b"(", b"#"):
        return "porcupine-kv" if _PORCUPINE.match(first) else "edn"
    text = Text(raw.decode(errors="replace"), path)
    at = len(raw[:start].decode(errors="replace"))
    words = "expected a history (own JSON lines, EDN, or a log of Jepsen or Porcupine)"
    raise text.trouble(at, f"{words}, found {first[:20].decode(errors='replace')!r}")


def _decoded(raw: bytes, path: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - (raw.rfind(b"\n", 0, error.start) + 1) + 1
        found = f"0x{raw[error.start]:02x}"
        raise FormatError(f"{path}:{line}:{column}: expected UTF-8 text, found {found}") from None
