"""Types of options: what a person types, checked where it is typed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from harness.core.errors import UsageError
from harness.core.units import parse_size, parse_time


class Time(click.ParamType[float]):
    """``60``, ``60s``, ``2m``, ``500ms``: seconds as a float."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Seconds."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        try:
            return parse_time(str(value))
        except UsageError as error:
            self.fail(str(error), param, ctx)


class Size(click.ParamType[int]):
    """``512M``, ``2G``: bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes."""
        try:
            return parse_size(str(value))
        except UsageError as error:
            self.fail(str(error), param, ctx)


class Milliseconds(click.ParamType[tuple[int, ...]]):
    """``100,300``: whole milliseconds, at least one of them, all positive."""

    name = "ms[,ms…]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """The numbers in the order given."""
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(int(item) for item in str(value).split(","))
        except ValueError:
            numbers = ()
        if not numbers or min(numbers) <= 0:
            self.fail(f"not milliseconds: {value!r} (write 100,300)", param, ctx)
        return numbers


def read_config(
    context: click.Context, _parameter: click.Parameter, path: Path | None
) -> Path | None:
    """``--config FILE.toml``: its keys are the options' names; flags given by hand win.

    Raises:
        UsageError: no such file, not TOML, or a key that is no option.
    """
    if path is None:
        return None
    try:
        table: Mapping[str, Any] = tomllib.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not TOML: {error}") from error
    known = {
        option.removeprefix("--"): parameter.name
        for parameter in context.command.params
        for option in parameter.opts
        if parameter.name not in ("config", "help")
    }
    defaults: dict[str, Any] = {}
    for key, value in table.items():
        name = known.get(key.replace("_", "-"))
        if name is None:
            raise UsageError(f"{path}: unknown key {key!r} (there are: {', '.join(sorted(known))})")
        if isinstance(value, list) and key not in ("bug", "option"):
            value = ",".join(str(item) for item in value)
        defaults[name] = value
    context.default_map = defaults
    return path


intensity = click.option(
    "--intensity",
    type=click.Choice(["calm", "normal", "brutal"]),
    default="normal",
    show_default=True,
    help="How fast faults follow each other.",
)
