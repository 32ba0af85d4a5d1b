"""The nodes' image, which is the agent's too: named by a hash of all that goes into it.

An image that is there is used. Else one is made: on ``python:3-slim`` where that can be had, else
on a base of this host's own files (:mod:`harness.runtime.docker.hostbase`).
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import platform
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import EnvironmentFailure
from harness.runtime.docker import gate, hostbase
from harness.runtime.docker.engine import Engine, EngineFailure
from harness.runtime.docker.owner import IMAGE

NODE_REPOSITORY = "quorum-harness-node"
BASE_REPOSITORY = "quorum-harness-base"
SLIM = ("python", "3-slim")
CODE = "/opt/harness"
"""Where the project's packages are in the image."""
GATE = "gate.py"

PULL_SILENCE_S = 8.0
PULL_LIMIT_S = 120.0

# For the legacy builder: no mounts, heredocs or COPY --chmod. What a base has is not installed;
# apt itself may hang where packets are swallowed, hence the time-outs. Compiling and importing
# while building spares every start of a server from doing it again.
DOCKERFILE = f"""\
ARG BASE
FROM ${{BASE}}
LABEL {IMAGE}=node
RUN if ! (command -v nft && command -v iptables && command -v ip && command -v tc) \
>/dev/null; then \
timeout 60 apt-get -qq update && \
timeout 120 apt-get -qq install --no-install-recommends -y nftables iptables iproute2 && \
rm -rf /var/lib/apt/lists/*; fi
COPY code {CODE}
RUN python3 -m compileall -q {CODE} && \
cd {CODE} && python3 -c "import harness.agent.server, runpy, target.server"
"""

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Base:
    """What a node's image can stand on. ``kind`` goes into the image's name."""

    kind: str
    reference: str
    words: str


def bases() -> list[Base]:
    """The better one first."""
    slim = Base(":".join(SLIM), ":".join(SLIM), ":".join(SLIM))
    if hostbase.unavailable():
        return [slim]
    mark = hostbase.fingerprint()
    reference = f"{BASE_REPOSITORY}:{mark[:12]}"
    return [slim, Base(f"host:{mark}", reference, "a base made from this host's own files")]


def project_files() -> dict[str, bytes]:
    """The files that nodes and agent need: path below :data:`CODE` → content.

    The reference target without its adapters (those belong to the harness), the agent, the gate.
    """
    harness, target = _folder("harness"), _folder("target")
    chosen = {
        "harness": [harness / "__init__.py", *sorted((harness / "agent").rglob("*.py"))],
        "target": [path for path in sorted(target.rglob("*.py")) if path.parts[-2] != "adapters"],
    }
    roots = {"harness": harness, "target": target}
    files = {
        f"{package}/{path.relative_to(roots[package]).as_posix()}": path.read_bytes()
        for package, paths in chosen.items()
        for path in paths
    }
    return files | {GATE: Path(gate.__file__).read_bytes()}


def name(files: Mapping[str, bytes], kind: str) -> str:
    """The image's name: equal inputs, equal name; whatever the order of ``files``."""
    return f"{NODE_REPOSITORY}:{mark([DOCKERFILE, kind], files)}"


def mark(words: Sequence[str], files: Mapping[str, bytes]) -> str:
    """A tag for an image that is made of these, whatever the order of ``files``."""
    digest = hashlib.sha256()
    parts = [word.encode() for word in words]
    for path, content in sorted(files.items()):
        parts += [path.encode(), content]
    for part in parts:
        # Lengths, so that no two different lists of parts look the same when joined.
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:12]


def context(files: Mapping[str, bytes]) -> io.BytesIO:
    """The build's context as a tar archive; the same bytes for the same files."""
    code = {f"code/{path}": content for path, content in files.items()}
    return archive({"Dockerfile": DOCKERFILE.encode()} | code, 0o644)


def archive(files: Mapping[str, bytes], mode: int) -> io.BytesIO:
    """Files as a tar archive; the same bytes for the same files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    buffer.seek(0)
    return buffer


def existing(engine: Engine) -> str | None:
    """The image for the present files, if it is there on any base."""
    files = project_files()
    names = (name(files, base.kind) for base in bases())
    return next((tag for tag in names if engine.has_image(tag)), None)


def is_on_host_base(tag: str) -> bool:
    """Whether a present image of the nodes stands on this host's own files."""
    files = project_files()
    return any(name(files, base.kind) == tag for base in bases() if base.kind.startswith("host:"))


def ensure(engine: Engine, say: Callable[[str], None]) -> str:
    """The image's name; makes the image if it is not there. ``say`` is told what was picked.

    Raises:
        EnvironmentFailure: none can be made; the message says what was tried on each base.
    """
    tag = existing(engine)
    if tag is not None:
        return tag
    files = project_files()
    reasons: list[str] = []
    for base in bases():
        try:
            _have_base(engine, base)
            tag = name(files, base.kind)
            engine.build(context(files), tag, {"BASE": base.reference})
        except EngineFailure as error:
            if not _answers(engine):
                raise
            reasons.append(f"{base.words}: {error}")
            continue
        # Why the earlier ones were not to be had is a matter of this machine's network, and long.
        because = f" ({':'.join(SLIM)} cannot be had here)" if reasons else ""
        say(f"image {tag} on {base.words}{because}")
        return tag
    raise EnvironmentFailure(f"no image for the nodes could be made: {'; '.join(reasons)}")


def _have_base(engine: Engine, base: Base) -> None:
    if engine.has_image(base.reference):
        return
    if base.reference == ":".join(SLIM):
        engine.pull(*SLIM, silence_s=PULL_SILENCE_S, limit_s=PULL_LIMIT_S)
        return
    theirs = engine.about().architecture
    if _MACHINES.get(theirs, theirs) != _MACHINES.get(platform.machine(), platform.machine()):
        raise EngineFailure(f"the engine runs {theirs} programs, this host {platform.machine()}")
    repository, _, tag = base.reference.partition(":")
    with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
        hostbase.write(archive)
        archive.flush()
        settings = [f"ENV PATH={hostbase.PATH}", f"LABEL {IMAGE}=base"]
        engine.import_image(archive.name, repository, tag, settings)


def _answers(engine: Engine) -> bool:
    try:
        engine.about()
    except EngineFailure:
        return False
    return True


def _folder(package: str) -> Path:
    # Found, not imported: the harness does not know what it tests.
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise EnvironmentFailure(f"the package {package!r} is not installed")
    return Path(found.origin).parent
