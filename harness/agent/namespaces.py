"""Goes where the machine is not touched: namespaces of our own, which end with this process.

After :func:`enter` the caller is the init of a pid namespace, with a network, a mount table and
a ``/proc`` of its own. When it ends, however it ends, the kernel kills every process in the pid
namespace, and with the last of them the networks vanish: there is nothing to clean up.
"""

from __future__ import annotations

import os
from pathlib import Path

from harness.agent import linux

_OWN = linux.CLONE_NEWPID | linux.CLONE_NEWNET | linux.CLONE_NEWNS


class CannotIsolate(Exception):
    """The kernel or its policy refused; the message says what and what to do."""


def enter() -> None:
    """Returns in a child that is the init of new namespaces; the caller waits and ends with it.

    Root uses its privilege; anybody else enters a user namespace first.

    Raises:
        CannotIsolate: one line.
    """
    try:
        _unshare()
    except OSError as error:
        raise CannotIsolate(
            f"{error.strerror}: namespaces of one's own need root, or user namespaces "
            "(sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces > 0, "
            "kernel.apparmor_restrict_unprivileged_userns=0)"
        ) from error
    linux.die_with_parent()
    child = os.fork()
    if child:
        # Only the child may hold the harness' pipes, so that their ends mean its end.
        os.closerange(0, 3)
        os.closerange(3, 256)
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    linux.die_with_parent()
    try:
        linux.mount("none", "/", "none", linux.MS_REC | linux.MS_PRIVATE)
        linux.mount("proc", "/proc", "proc", linux.MS_NOSUID_NODEV_NOEXEC)
    except OSError as error:
        raise CannotIsolate(
            f"{error.strerror}: this process is confined (a container without --privileged?)"
        ) from error


def _unshare() -> None:
    try:
        linux.unshare(_OWN)
    except PermissionError:
        user, group = os.geteuid(), os.getegid()
        linux.unshare(linux.CLONE_NEWUSER)
        # A group map of our own is only allowed after giving up setgroups (user_namespaces(7)).
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
        linux.unshare(_OWN)
