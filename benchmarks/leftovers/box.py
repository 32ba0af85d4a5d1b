"""A Docker engine of its own, in namespaces of its own: nothing outside sees it or is seen.

    python -m benchmarks.leftovers.box [--data DIR] COMMAND …

Runs the command with that engine, as root. Network, mounts and processes are the box's alone; what
the kernel has but once (loop devices, cgroups) is not. Images stay in DIR for the next time;
without it they go with the box.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

INSIDE = "QUORUM_BOX"
"""In the environment of what runs inside."""
SOCKET = "/run/docker.sock"
START_S = 30.0
UNSHARE = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


def enter(command: list[str], data: Path) -> int:
    """Runs a command in a new box; its exit status."""
    module = [sys.executable, "-m", "benchmarks.leftovers.box", "--data", str(data.resolve())]
    inside = {**os.environ, INSIDE: "1"}
    return subprocess.run([*UNSHARE, *module, *command], check=False, env=inside).returncode


def start_engine(data: Path) -> subprocess.Popen[bytes]:
    """The engine, when it answers.

    Raises:
        RuntimeError: it does not.
    """
    theirs = Path("/etc/docker/daemon.json")
    settings = json.loads(theirs.read_text()) if theirs.is_file() else {}
    ours = Path("/run/daemon.json")
    ours.write_text(json.dumps(settings | {"data-root": str(data / "data")}))
    command = ["dockerd", "--config-file", str(ours), "--exec-root", "/run/docker"]
    command += ["--pidfile", "/run/docker.pid", "--host", f"unix://{SOCKET}"]
    with (data / "dockerd.log").open("ab") as log:
        engine = subprocess.Popen(command, stdout=log, stderr=log)
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        asked = subprocess.run(["docker", "version"], capture_output=True, check=False)
        if asked.returncode == 0:
            return engine
        time.sleep(0.1)
    raise RuntimeError(f"the engine does not start: see {log.name}")


def restart_engine(data: Path) -> None:
    """Ends the box's engine and starts it again. Only inside a box."""
    assert os.environ.get(INSIDE), "the machine's own engine is left alone"
    pid = int(Path("/run/docker.pid").read_text())
    os.kill(pid, signal.SIGTERM)
    while Path("/run/docker.pid").exists() or _state(pid) not in "ZX":
        time.sleep(0.02)
    start_engine(data)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def _leave_theirs() -> None:
    """Takes the mounts of the machine's engine out of our view; they are private copies here."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in reversed(points):
        if point.startswith(("/var/lib/docker", "/run/docker")):
            subprocess.run(["umount", "--lazy", point], check=False)


def _inside(command: list[str], data: Path) -> int:
    _leave_theirs()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    os.environ["DOCKER_HOST"] = f"unix://{SOCKET}"
    data.mkdir(parents=True, exist_ok=True)
    start_engine(data)
    done = subprocess.run(command, check=False).returncode
    with_pid = Path("/run/docker.pid")
    if with_pid.exists():
        os.kill(int(with_pid.read_text()), signal.SIGTERM)
        while with_pid.exists():
            time.sleep(0.05)
    return done


def main(arguments: list[str]) -> int:
    """Outside: makes the box. Inside: starts the engine and the command."""
    data: Path | None = None
    if arguments[:1] == ["--data"]:
        data, arguments = Path(arguments[1]), arguments[2:]
    if not arguments:
        print(__doc__)
        return 2
    if os.environ.get(INSIDE):
        assert data is not None
        return _inside(arguments, data)
    if data is not None:
        return enter(arguments, data)
    with TemporaryDirectory() as folder:
        return enter(arguments, Path(folder))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
