"""Starts, kills, stops and continues the servers of nodes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from harness.agent.linux import inside
from harness.agent.machines import Machine, Process, server

LOG = "log.txt"
_PATIENCE_S = 10.0
_children: list[subprocess.Popen[bytes]] = []


class Stubborn(Exception):
    """A process is not in the state a signal should have brought it to."""


def spawn(machine: Machine, argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Starts a server in the node's network namespace, its output appended to its log.

    Raises:
        OSError: there is no such program, or no such home.
    """
    base = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
    with (machine.home / LOG).open("ab") as log, inside(machine.netns):
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=machine.home,
            env={**base, "HOME": str(machine.home), **env},
            start_new_session=True,
        )
    _children.append(child)
    return child.pid


def reap() -> None:
    """Takes note of every child that has ended, orphans that came to us as init included."""
    _children[:] = [child for child in _children if child.poll() is None]
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


async def kill(machine: Machine) -> None:
    """SIGKILL to all of the server, until none is left."""
    await _signal_until(machine, signal.SIGKILL, lambda left: not left)


async def stop(machine: Machine, timeout_s: float) -> bool:
    """SIGTERM once, time to end in peace, then SIGKILL; did it end in peace?"""
    send(server(machine), signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    while server(machine):
        if time.monotonic() > deadline:
            await kill(machine)
            return False
        await asyncio.sleep(0.005)
    return True


async def pause(machine: Machine) -> None:
    """SIGSTOP to all of the server, until the kernel says that every process stands."""
    await _signal_until(
        machine, signal.SIGSTOP, lambda left: all(process.stopped for process in left)
    )


async def resume(machine: Machine) -> None:
    """SIGCONT."""
    await _signal_until(
        machine, signal.SIGCONT, lambda left: not any(process.stopped for process in left)
    )


def state(machine: Machine) -> tuple[str, int | None]:
    """``running``, ``stopped`` or ``gone``, and the number of the oldest process."""
    processes = server(machine)
    if not processes:
        return "gone", None
    stopped = all(process.stopped for process in processes)
    return "stopped" if stopped else "running", processes[0].pid


def send(processes: Sequence[Process], number: signal.Signals) -> None:
    """A signal to each; those that are gone by now do not mind."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


def end(pid: int | None) -> None:
    """SIGKILL to a process that may be gone."""
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def _signal_until(
    machine: Machine, number: signal.Signals, reached: Callable[[list[Process]], bool]
) -> None:
    # Again and again, as a process may fork between our look and our signal.
    deadline = time.monotonic() + _PATIENCE_S
    while not reached(processes := server(machine)):
        if time.monotonic() > deadline:
            raise Stubborn(
                f"{machine.node}: not done {_PATIENCE_S:.0f} s after {number.name}: process "
                f"{processes[0].pid} is in state {processes[0].state}"
            )
        send(processes, number)
        reap()
        if reached(server(machine)):
            return
        await asyncio.sleep(0.001)
