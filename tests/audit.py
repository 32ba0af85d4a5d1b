"""What is on this machine that a run could leave behind, as text that can be compared.

Everything is read anew from the kernel and the engine, nothing from what the harness believes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

TOKEN = "QUORUM_AUDIT"
"""In the environment of a run that is watched, and so of all its processes on this host."""

Section = tuple[str, ...]


def audit(token: str) -> Mapping[str, Section]:
    """Sections by name, each as sorted lines. ``processes`` are those of the run with ``token``."""
    return {name: tuple(sorted(read())) for name, read in SECTIONS.items()} | {
        "processes": tuple(sorted(processes(token)))
    }


def differences(before: Mapping[str, Section], after: Mapping[str, Section]) -> list[str]:
    """Lines that came or went, each with its section."""
    found = []
    for name, lines in before.items():
        found += [f"{name}: gone: {line}" for line in lines if line not in after[name]]
        found += [f"{name}: left: {line}" for line in after[name] if line not in lines]
        if not found and lines != after[name]:
            found.append(f"{name}: in other numbers")
    return found


def settled(before: Mapping[str, Section], token: str, limit_s: float = 30.0) -> list[str]:
    """The differences once there are none, or when the time is over.

    Others may use the machine: what they start and end comes and goes, what was left behind stays.
    """
    deadline = time.monotonic() + limit_s
    while (found := differences(before, audit(token))) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def _lines(*command: str) -> list[str]:
    if shutil.which(command[0]) is None:
        return []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if line.strip()]


def _docker(*arguments: str) -> Callable[[], list[str]]:
    return lambda: _lines("docker", *arguments)


def _networks() -> list[str]:
    """The engine's own have another number each time it starts."""
    shown = _lines("docker", "network", "ls", "--no-trunc", "--format", "{{.ID}} {{.Name}}")
    own = re.compile(r"^\w+ (bridge|host|none)$")
    return [own.sub(r"\1", line) for line in shown]


def _images() -> list[str]:
    """Names and unnamed ones, but for the nodes' images, which stay on purpose."""
    shown = _lines("docker", "images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}")
    return [line for line in shown if " quorum-harness-" not in line]


def _rules() -> list[str]:
    """Without counters, and without the comments that say when they were printed."""
    rules = _lines("nft", "-s", "list", "ruleset")
    for command in ("iptables-save", "iptables-legacy-save", "ip6tables-save"):
        rules += [re.sub(r"\[\d+:\d+\]", "", line) for line in _lines(command) if line[0] != "#"]
    return rules


def _links() -> list[str]:
    """Numbers are given anew each time. The engine's own bridge has an address of its link from the
    first container on, and comes and goes as there are some: that is the engine's."""
    shown = _lines("ip", "-o", "link") + _lines("ip", "-o", "address")
    found = [re.sub(r"^\d+: ", "", line).partition(" valid_lft")[0] for line in shown]
    return [line for line in found if not line.startswith("docker0")]


def _mounts() -> list[str]:
    """Point, root, options, kind and source: without the numbers.

    The engine mounts the host's network once for all containers that share it: that stays.
    """
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[4] == "/run/docker/netns/default":
            continue
        found.append(re.sub(r"(shared|master):\d+", r"\1", " ".join(fields[3:])))
    return found


def _loops() -> list[str]:
    """But for those under a disk of nodes that are alive: others' runs have such.

    Where it ended with its run and the device did not, the kernel shows a bare ``/``.
    """
    found = []
    for device in Path("/sys/block").glob("loop*"):
        with suppress(OSError):
            backing = (device / "loop" / "backing_file").read_text().strip()
            if not re.fullmatch(r"/sys/fs/fuse/connections/\w+\.block", backing):
                found.append(f"{device.name} on {backing}")
    return found


def _cgroups() -> list[str]:
    """But for those of containers: the engine's, and other engines' of this kernel. The group that
    holds them all is made with the first one, and stays."""
    found = (folder for folder, _, _ in os.walk("/sys/fs/cgroup"))
    return [path for path in found if not re.search(r"/docker(/[0-9a-f]{64}|$)", path)]


def _stopped() -> list[str]:
    """Processes that stand (SIGSTOP), whoever's."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            name, _, rest = (entry / "stat").read_text().rpartition(")")
            if rest.split()[0] == "T":
                found.append(f"{name})")
    return found


def processes(token: str) -> list[str]:
    """Those that have the token in their environment, but this one."""
    wanted = f"{TOKEN}={token}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            mine = wanted in (entry / "environ").read_bytes().split(b"\0")
            if mine and int(entry.name) != os.getpid():
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                found.append(f"{entry.name} {command.decode(errors='replace')[:200]}")
    return found


SECTIONS: Mapping[str, Callable[[], list[str]]] = {
    "containers": _docker("ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.State}}"),
    "networks": _networks,
    "volumes": _docker("volume", "ls", "--format", "{{.Name}}"),
    "images": _images,
    "firewall": _rules,
    "links": _links,
    "qdiscs": lambda: _lines("tc", "qdisc", "show"),
    "namespaces": lambda: _lines("ip", "netns", "list"),
    "mounts": _mounts,
    "loop devices": _loops,
    "cgroups": _cgroups,
    "stopped processes": _stopped,
}
