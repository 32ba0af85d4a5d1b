"""Errors a user can cause. Each is one or two lines: what was wrong, where, what to do."""

from __future__ import annotations

from harness.core.verdict import ExitCode


class HarnessError(Exception):
    """Base of every error that is shown without a traceback; ``exit_code`` ends the process."""

    exit_code = ExitCode.INTERNAL


class UsageError(HarnessError):
    """The command line, a configuration file or an input file is not what it should be."""

    exit_code = ExitCode.USAGE


class FormatError(UsageError):
    """A history file is damaged: the message names path, line and column, and what was expected."""


class EnvironmentFailure(HarnessError):
    """This machine cannot do what was asked, or the system under test did not come up."""

    exit_code = ExitCode.ENVIRONMENT


class NodeFailure(EnvironmentFailure):
    """A node did not start or died by itself; the message ends with the tail of its log."""
