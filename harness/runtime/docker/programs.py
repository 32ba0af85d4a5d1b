"""The image of a target's nodes: the nodes' image with programs of other packages in it.

On a base of this host's own files they are this host's, with the libraries that they need; on an
official image they are installed from Debian's packages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness.core.errors import EnvironmentFailure
from harness.core.protocols import Program
from harness.runtime import programs as host
from harness.runtime.docker import hostbase, images
from harness.runtime.docker.engine import Engine, EngineFailure
from harness.runtime.docker.owner import IMAGE, ON

REPOSITORY = "quorum-harness-target"
_FILES = "files"

_COPIED = f"COPY {_FILES} /\n"
_INSTALLED = """\
RUN timeout 60 apt-get -qq update && \
timeout 300 apt-get -qq install --no-install-recommends -y {packages} && \
rm -rf /var/lib/apt/lists/*
"""


def lacking(engine: Engine, program: Program) -> str | None:
    """Why no image can have a program, and what to do; None when one can."""
    if _official(engine):
        return None
    return host.missing(program)


def version(engine: Engine, program: Program) -> str | None:
    """Of the program that nodes would run; None where only the image could tell."""
    return None if _official(engine) else host.version(program)


def ensure(
    engine: Engine, node: str, programs: Sequence[Program], say: Callable[[str], None]
) -> str:
    """The name of the image ``node`` with ``programs`` in it; makes it if it is not there.

    Raises:
        EnvironmentFailure: it cannot be made; the message says why.
    """
    files: dict[str, bytes] = {}
    if images.is_on_host_base(node):
        step = _COPIED
        files = {f"{_FILES}{path}": content for path, content in _host_files(programs).items()}
        origin = "this host's"
    else:
        step = _INSTALLED.format(packages=" ".join(sorted(item.package for item in programs)))
        origin = "Debian's"
    text = f"ARG BASE\nFROM ${{BASE}}\nLABEL {IMAGE}=target {ON}={node}\n{step}"
    files["Dockerfile"] = text.encode()
    tag = name(files)
    names = ", ".join(item.name for item in programs)
    if not engine.has_image(tag):
        try:
            engine.build(images.archive(files, 0o755), tag, {"BASE": node})
        except EngineFailure as error:
            raise EnvironmentFailure(f"no image with {names} could be made: {error}") from error
    say(f"image {tag} with {origin} {names}")
    return tag


def name(files: Mapping[str, bytes]) -> str:
    """The image's name: equal files, the Dockerfile among them, equal name."""
    return f"{REPOSITORY}:{images.mark([], files)}"


def _host_files(programs: Sequence[Program]) -> dict[str, bytes]:
    """Path in the image → content. What Python needs as well is in the base already.

    Libraries go where they really are: a COPY does not follow a folder's link.
    """
    found: dict[str, bytes] = {}
    for program in programs:
        path = host.find(program)
        if path is None:
            raise EnvironmentFailure(str(host.missing(program)))
        found[f"/usr/local/bin/{program.name}"] = path.read_bytes()
        there = set(hostbase.libraries([hostbase.interpreter()]))
        for library in set(hostbase.libraries([path.resolve()])) - there:
            place = Path(library).parent.resolve() / Path(library).name
            found[str(place)] = place.read_bytes()
    return found


def _official(engine: Engine) -> bool:
    """Whether nodes would stand on an official image, which has a package manager."""
    return engine.has_image(":".join(images.SLIM))
