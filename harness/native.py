"""The compiled part, where it was installed: who needs it asks here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from harness._native import Core, Plan, Table

INTERFACE = 9
"""What this side expects the compiled side to be; both count up together."""


class Compiled(Protocol):
    """The module ``harness._native``."""

    INTERFACE: int
    Core: type[Core]
    Plan: type[Plan]
    Table: type[Table]


def _load() -> tuple[Compiled | None, str | None]:
    """The compiled side, or why there is none."""
    try:
        import harness._native as compiled
    except ModuleNotFoundError:
        return None, "left out at installation (`make native` puts it in, with a Rust toolchain)"
    except ImportError as error:
        return None, f"cannot be loaded: {error}"
    if compiled.INTERFACE != INTERFACE:
        return None, "older or newer than the rest: install again"
    return compiled, None


COMPILED, MISSING = _load()
"""The module, and None; or None, and why it is missing."""
