"""The compiled searches; see native/."""

from collections.abc import Callable

from harness.check.problem import Problem

INTERFACE: int

class Core:
    def __init__(self, problem: Problem) -> None: ...
    def search(self, look: Callable[[], None]) -> tuple[list[int] | None, int | None, int, int]: ...
    def walk(
        self, look: Callable[[], None], patience: int | None = None
    ) -> tuple[list[int] | None, bool, int, int]: ...
