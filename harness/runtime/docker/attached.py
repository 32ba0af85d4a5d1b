"""An agent in a container: spoken to over the streams that the engine attaches us to.

This is the lifeline. The container's standard input is this connection and no other: when the
harness dies, however it dies, the kernel closes its sockets, the engine closes the agent's
standard input, and the agent undoes what it did and ends.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from harness.runtime.docker.engine import ContainerSpec, Engine
from harness.runtime.docker.frames import STDERR, STDOUT, Demultiplexer
from harness.runtime.docker.hostbase import PYTHON
from harness.runtime.docker.images import CODE
from harness.runtime.wire import agent_command

HOMES = "/homes"
"""Where the agent sees the nodes' homes."""

_CAPABILITIES = ("NET_ADMIN", "NET_RAW", "SYS_ADMIN", "SYS_PTRACE", "KILL", "DAC_OVERRIDE")
_DISK_CAPABILITIES = ("MKNOD", "SYS_CHROOT")
_DISK_DEVICES = ("b 7:* rwm", "c 10:237 rwm", "c 10:229 rwm")
"""Loop devices, their control, FUSE."""
_SECURITY = ("seccomp=unconfined", "apparmor=unconfined", "label=disable")
_CHUNK = 1 << 16
LEAVE_S = 5.0
"""How long an agent may take to undo everything and end."""

_LAST_LINES = 5


def agent_container(
    name: str,
    image: str,
    labels: dict[str, str],
    command: Sequence[str] | None = None,
    homes: str | None = None,
    *,
    disks: bool = False,
) -> ContainerSpec:
    """The agent's container; with ``command`` something else that needs the same hands.

    What each capability is for: NET_ADMIN rules, shaping, interfaces; NET_RAW iptables' socket;
    SYS_ADMIN setns into a node's network, and the namespaces in which means are tried;
    SYS_PTRACE to open those of processes of other users; KILL to signal them; DAC_OVERRIDE to
    write the clock's file into a home that is another user's. With ``disks`` also MKNOD and
    SYS_CHROOT: loop and FUSE devices, which are allowed to it then, and setns into a node's mounts.
    Docker's seccomp profile forbids
    setns and unshare, its AppArmor profile signals to other containers. Never SYS_TIME: ``date``
    here would set the host's clock.
    """
    return ContainerSpec(
        name=name,
        image=image,
        command=tuple(command or agent_command(PYTHON, CODE)),
        labels=labels,
        mounts=((homes, HOMES),) if homes else (),
        capabilities=(*_CAPABILITIES, *_DISK_CAPABILITIES) if disks else _CAPABILITIES,
        devices=_DISK_DEVICES if disks else (),
        security=_SECURITY,
        of_host=True,
        stdin=True,
    )


class AttachedWire:
    """See :class:`~harness.runtime.wire.Wire`. Owns the socket that the engine attached us to."""

    def __init__(self, attached: socket.socket) -> None:
        attached.setblocking(False)
        self._socket = attached
        self._sending = asyncio.Lock()
        self._frames = Demultiplexer()
        self._lines: deque[bytes] = deque()
        self._partial = b""
        self._errors = b""
        self._said: deque[str] = deque(maxlen=_LAST_LINES)
        self._listened = False
        self._ended = asyncio.Event()

    async def send(self, line: bytes) -> None:
        """See the protocol."""
        # A long line goes out in parts: nobody else's may come between them.
        async with self._sending:
            await asyncio.get_running_loop().sock_sendall(self._socket, line)

    async def receive(self) -> bytes:
        """See the protocol."""
        self._listened = True
        while not self._lines:
            data = await self._read()
            if not data:
                self._ended.set()
                return b""
            for stream, payload in self._frames.feed(data):
                if stream == STDOUT:
                    *lines, self._partial = (self._partial + payload).split(b"\n")
                    self._lines += [line + b"\n" for line in lines]
                elif stream == STDERR:
                    *lines, self._errors = (self._errors + payload).split(b"\n")
                    self._said += [line.decode(errors="replace").strip() for line in lines]
        return self._lines.popleft()

    async def close(self) -> None:
        """See the protocol. An agent that does not leave loses its connection."""
        self._shut(socket.SHUT_WR)
        if self._listened:
            await self._await_end()
            # Who still listens hears the end now, so that the socket is not closed under it.
            self._shut(socket.SHUT_RDWR)
            await self._await_end()
        self._socket.close()

    def last_words(self) -> str:
        """See the protocol."""
        return "; ".join(self._said)

    async def _await_end(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), LEAVE_S)

    def _shut(self, how: int) -> None:
        # The other side may have gone, or this was closed before.
        with suppress(OSError):
            self._socket.shutdown(how)

    async def _read(self) -> bytes:
        try:
            return await asyncio.get_running_loop().sock_recv(self._socket, _CHUNK)
        except OSError:
            return b""


def ask(engine: Engine, spec: ContainerSpec, line: bytes, timeout_s: float) -> tuple[bytes, str]:
    """Runs a throw-away container: one line in, one line out (or all it says until it ends).

    Returns the line and what it wrote to its standard error. Blocks.

    Raises:
        EngineFailure: it could not be run.
        TimeoutError: nothing came.
    """
    container = engine.create(spec)
    try:
        frames, out, errors = Demultiplexer(), b"", b""
        with engine.attach(container) as attached:
            attached.settimeout(timeout_s)
            engine.start(container)
            attached.sendall(line)
            while b"\n" not in out and (data := attached.recv(_CHUNK)):
                for stream, payload in frames.feed(data):
                    out += payload if stream == STDOUT else b""
                    errors += payload if stream == STDERR else b""
    finally:
        engine.remove(container)
    return out, errors.decode(errors="replace").strip()
