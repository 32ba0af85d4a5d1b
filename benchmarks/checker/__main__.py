"""How long the searches take, side by side.

    python -m benchmarks.checker [--quick] [--limit 20] [--engine native --engine wgl]
                                 [--recorded FOLDER] [--only WORD]

One line for each family of histories: what the first engine takes for the search, for all from the
loaded history to the verdict, and the memory beyond the loaded history; and how many times as long
the others take, for the search and for all. ``wgl`` is Porcupine's algorithm, compiled; ``auto`` is
what a user gets. Compiled searches are measured with the model's answers known: asking for them, in
Python, is no part of an algorithm. Ratios carry over from machine to machine, milliseconds do not.
Exit code 1 if two engines disagree.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.checker.families import families
from benchmarks.checker.measure import Measured, measure
from harness.check.engines import ENGINES, present
from harness.core.protocols import Limits

DEFAULT = ("auto", "wgl", "antichain", "python")


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="leave out the long ones")
    parser.add_argument("--limit", type=float, default=20.0, help="seconds for one history")
    parser.add_argument("--engine", action="append", choices=[*ENGINES], default=None)
    parser.add_argument("--recorded", type=Path, help="a folder with EXPECTED.tsv")
    parser.add_argument("--only", default="", help="families whose names contain this")
    options = parser.parse_args(arguments)
    engines = options.engine or [name for name in DEFAULT if name in present()]
    limits = Limits(time_s=options.limit)
    heads = [f"{engines[0]} ms", "all ms", "MiB"]
    heads += [head for name in engines[1:] for head in (f"{name} ×", f"{name}, all ×")]
    print("| family | verdict | " + " | ".join(heads) + " |")
    print("|---" * (len(heads) + 2) + "|")
    agreed = True
    for family in families(options.recorded):
        if (family.long and options.quick) or options.only not in family.name:
            continue
        found = [measure(family, engine, limits) for engine in engines]
        known = [item for item in found if isinstance(item, Measured)]
        agreed &= _agree(known)
        first = found[0]
        cells = [f"{_verdicts(first)}", *_first(first)]
        cells += [cell for other in found[1:] for cell in _ratios(first, other)]
        print(f"| {family.name} | " + " | ".join(cells) + " |", flush=True)
    return 0 if agreed else 1


def _agree(found: Sequence[Measured]) -> bool:
    """No two engines say valid and invalid of one history."""
    columns = zip(*(item.verdicts for item in found), strict=True)
    return all(not {"v", "i"} <= set(column) for column in columns)


def _verdicts(item: Measured | str) -> str:
    if isinstance(item, str):
        return item
    words = {"v": "valid", "i": "invalid", "u": "unknown"}
    counts = {word: item.verdicts.count(letter) for letter, word in words.items()}
    there = {word: count for word, count in counts.items() if count}
    if len(item.verdicts) == 1:
        return next(iter(there))
    return ", ".join(f"{count} {word}" for word, count in there.items())


def _first(item: Measured | str) -> list[str]:
    if isinstance(item, str):
        return ["–", "–", "–"]
    return [f"{item.search_ms:.2f}", f"{item.all_ms:.2f}", f"{item.bytes / (1 << 20):.0f}"]


def _ratios(first: Measured | str, other: Measured | str) -> list[str]:
    """Of the searches, and of all."""
    if isinstance(first, str) or isinstance(other, str):
        return [other if isinstance(other, str) else "–"] * 2
    lost = other.verdicts.count("u")
    pairs = ((other.search_ms, first.search_ms), (other.all_ms, first.all_ms))
    return [_ratio(one / max(another, 1e-6), lost) for one, another in pairs]


def _ratio(ratio: float, lost: int) -> str:
    words = f"{ratio:.2g}" if ratio < 10 else f"{ratio:,.0f}"
    return f"> {words} (unknown{f' {lost}' if lost > 1 else ''})" if lost else words


if __name__ == "__main__":
    sys.exit(main())
