"""The Docker engine, as far as this runtime uses it. The only file that imports its SDK, late.

Every method blocks and may be called from any thread. Errors of the engine, of the connection to
it and of the SDK become :class:`EngineFailure`, one line each.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from harness.core.errors import EnvironmentFailure

if TYPE_CHECKING:
    from docker import DockerClient

_PATIENCE_S = 30
"""How long a single call may take. A loaded engine starts a container in a few seconds."""


class EngineFailure(EnvironmentFailure):
    """The engine refused (``status`` is the HTTP status), or does not answer (0)."""

    def __init__(self, words: str, status: int = 0) -> None:
        super().__init__(words)
        self.status = status


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """What a container is made from. ``mounts`` are (path on the engine's host, path inside)."""

    name: str
    image: str
    command: tuple[str, ...]
    labels: Mapping[str, str]
    hostname: str | None = None
    user: str = ""
    mounts: tuple[tuple[str, str], ...] = ()
    network: str | None = None
    address: str | None = None
    publish: tuple[int, ...] = ()
    capabilities: tuple[str, ...] = ()
    security: tuple[str, ...] = ()
    of_host: bool = False
    """In the host's own network and process namespaces."""
    stdin: bool = False
    """With a standard input that ends when who attached first goes away."""
    devices: tuple[str, ...] = ()
    """Which it may make and use, as rules of the devices' cgroup."""


@dataclass(frozen=True, slots=True)
class Found:
    """Something of ours that the engine has; ``state`` is a container's (``running``, …)."""

    id: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    state: str = ""


@dataclass(frozen=True, slots=True)
class About:
    """What the engine says of itself. ``system`` names Docker Desktop when it is that."""

    system: str
    kind: str
    architecture: str
    rootless: bool


class Engine:
    """A connection to the engine that the environment names (``DOCKER_HOST``, contexts)."""

    def __init__(self, client: DockerClient) -> None:
        self._client = client
        # Any: the SDK has no types of its own, and those made for it know a part.
        self._api: Any = client.api

    @classmethod
    def connect(cls, timeout_s: int = _PATIENCE_S) -> Engine:
        """Raises:
        EngineFailure: no SDK, or no engine answers; the message says what to do.
        """
        try:
            import docker
        except ImportError:
            raise EngineFailure(
                "the docker package for Python is not installed: pip install docker"
            ) from None
        try:
            return cls(docker.from_env(timeout=timeout_s, max_pool_size=32))
        except (docker.errors.DockerException, OSError) as error:
            raise EngineFailure(_no_engine(error)) from None

    def close(self) -> None:
        """Gives the connections back."""
        self._client.close()

    @property
    def where(self) -> str:
        """The engine's address."""
        return str(self._api.base_url)

    @property
    def is_here(self) -> bool:
        """Does the engine share a file system with us, as far as its address tells?"""
        local = ("http+docker://localhost", "http+docker://localunixsocket", "unix://", "npipe:")
        loopback = ("http://127.", "http://localhost", "http://[::1]")
        return self.where.startswith((*local, *loopback))

    def about(self) -> About:
        """A look at the engine's own description."""
        with _speaking("asking the engine what it is"):
            info: Mapping[str, Any] = self._api.info()
        options = info.get("SecurityOptions") or []
        return About(
            system=str(info.get("OperatingSystem", "")),
            kind=str(info.get("OSType", "linux")),
            architecture=str(info.get("Architecture", "")),
            rootless=any("rootless" in option for option in options),
        )

    # -- images ----------------------------------------------------------------------------------

    def has_image(self, tag: str) -> bool:
        """Is there such an image?"""
        try:
            with _speaking(f"looking for image {tag}"):
                self._api.inspect_image(tag)
        except EngineFailure as error:
            if error.status == 404:
                return False
            raise
        return True

    def images(self, label: str) -> list[Found]:
        """Images that carry ``label``, once for each of their tags, by id those without."""
        with _speaking("listing images"):
            answer = self._api.images(filters={"label": label})
        return [
            Found(
                image["Id"],
                tag if tag != "<none>:<none>" else image["Id"],
                image.get("Labels") or {},
            )
            for image in answer
            for tag in image.get("RepoTags") or ["<none>:<none>"]
        ]

    def pull(self, repository: str, tag: str, silence_s: float, limit_s: float) -> None:
        """Pulls an image; gives up when nothing is heard for ``silence_s``, or after ``limit_s``.

        A network that swallows packets makes a pull hang for minutes: hence the limits, and hence
        a request of our own (Docker Engine API, "Create an image"): the SDK's has no time-out.

        Raises:
            EngineFailure: not pulled.
        """
        doing = f"pulling {repository}:{tag}"
        deadline = time.monotonic() + limit_s
        with (
            _speaking(doing),
            self._api.post(
                f"{self.where}/v{self._api.api_version}/images/create",
                params={"fromImage": repository, "tag": tag},
                stream=True,
                timeout=silence_s,
            ) as response,
        ):
            for line in response.iter_lines():
                said = json.loads(line)
                # While it works, every line tells how far it is.
                refused = said.get("error") or said.get("message")
                if refused:
                    raise EngineFailure(f"{doing}: {refused}", response.status_code)
                if time.monotonic() > deadline:
                    raise EngineFailure(f"{doing} took more than {limit_s:.0f} s")

    def import_image(self, archive: str, repository: str, tag: str, changes: list[str]) -> None:
        """Makes an image of the tar archive at the path ``archive``."""
        with _speaking(f"importing {repository}:{tag}"):
            self._api.import_image_from_file(archive, repository, tag, changes)

    def build(self, context: IO[bytes], tag: str, arguments: Mapping[str, str]) -> None:
        """Builds from a tar archive that holds the Dockerfile.

        Raises:
            EngineFailure: a step failed; the message ends with what it said last.
        """
        said: list[str] = []
        with _speaking(f"building image {tag}"):
            events = self._api.build(
                fileobj=context,
                custom_context=True,
                tag=tag,
                buildargs=dict(arguments),
                rm=True,
                forcerm=True,
                decode=True,
                timeout=300,
            )
            for event in events:
                if "error" in event:
                    last = [*said[-1:], str(event["error"]).strip()]
                    raise EngineFailure(f"building image {tag}: {': '.join(last)}")
                if line := str(event.get("stream", "")).strip():
                    said.append(line)

    def remove_image(self, tag: str) -> None:
        """Removes a tag, and the image when it was the last."""
        with _speaking(f"removing image {tag}"):
            self._api.remove_image(tag)

    # -- networks --------------------------------------------------------------------------------

    def subnets(self) -> list[str]:
        """Of all networks there are."""
        with _speaking("listing networks"):
            networks = self._api.networks()
        return [
            pool["Subnet"]
            for network in networks
            for pool in (network.get("IPAM") or {}).get("Config") or []
            if pool.get("Subnet")
        ]

    def networks(self, label: str) -> list[Found]:
        """Networks that carry ``label``."""
        with _speaking("listing networks"):
            networks = self._api.networks(filters={"label": label})
        return [Found(item["Id"], item["Name"], item.get("Labels") or {}) for item in networks]

    def create_network(
        self, name: str, subnet: str, gateway: str, bridge: str, labels: Mapping[str, str]
    ) -> str:
        """A bridge network; returns its id.

        Raises:
            EngineFailure: with ``status`` 403 when the subnet overlaps another network's.
        """
        from docker.types import IPAMConfig, IPAMPool

        with _speaking(f"creating network {name}"):
            answer = self._api.create_network(
                name,
                driver="bridge",
                ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=subnet, gateway=gateway)]),
                options={"com.docker.network.bridge.name": bridge},
                labels=dict(labels),
            )
        return str(answer["Id"])

    def remove_network(self, network: str) -> None:
        """By name or id."""
        with _speaking(f"removing network {network}"):
            self._api.remove_network(network)

    # -- containers ------------------------------------------------------------------------------

    def containers(self, label: str) -> list[Found]:
        """Containers that carry ``label``, stopped ones too."""
        with _speaking("listing containers"):
            answer = self._api.containers(all=True, filters={"label": label})
        return [
            Found(
                item["Id"],
                (item.get("Names") or [item["Id"]])[0].lstrip("/"),
                item.get("Labels") or {},
                item.get("State", ""),
            )
            for item in answer
        ]

    def create(self, spec: ContainerSpec) -> str:
        """A container that is removed by the engine as soon as it ends; returns its id."""
        from docker.types import Mount

        api = self._api
        network = None
        if spec.network is not None:
            endpoint = api.create_endpoint_config(ipv4_address=spec.address)
            network = api.create_networking_config({spec.network: endpoint})
        with _speaking(f"creating container {spec.name}"):
            host = api.create_host_config(
                auto_remove=True,
                mounts=[Mount(inside, outside, "bind") for outside, inside in spec.mounts],
                cap_drop=["ALL"],
                cap_add=list(spec.capabilities) or None,
                security_opt=list(spec.security) or None,
                device_cgroup_rules=list(spec.devices) or None,
                network_mode="host" if spec.of_host else spec.network,
                pid_mode="host" if spec.of_host else None,
                # Where the engine maps users: homes belong to users of the host.
                userns_mode="host",
                port_bindings=dict.fromkeys(spec.publish, ("127.0.0.1", None)) or None,
            )
            answer = api.create_container(
                spec.image,
                list(spec.command),
                name=spec.name,
                hostname=spec.hostname,
                user=spec.user,
                labels=dict(spec.labels),
                host_config=host,
                networking_config=network,
                ports=list(spec.publish) or None,
                stdin_open=spec.stdin,
                detach=not spec.stdin,
            )
        return str(answer["Id"])

    def start(self, container: str) -> None:
        """Starts a created container."""
        with _speaking("starting a container"):
            self._api.start(container)

    def pid(self, container: str) -> int:
        """The container's first process, by its number on the engine's host."""
        with _speaking("looking at a container"):
            return int(self._api.inspect_container(container)["State"]["Pid"])

    def published(self, container: str, port: int) -> int:
        """The host's port that leads to a running container's published one."""
        with _speaking("looking at a container's ports"):
            return int(self._api.port(container, port)[0]["HostPort"])

    def attach(self, container: str) -> socket.socket:
        """Standard input and outputs of a container (:mod:`harness.runtime.docker.frames`).

        To be called before it starts, or its first words are lost.
        """
        with _speaking("attaching to a container"):
            params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            raw = self._api.attach_socket(container, params=params)
            # The SDK hands out a file on a socket that its pool of connections still holds, and
            # never closes. We go on with a descriptor of our own, and close both of theirs: the
            # connection must end when we say so, as containers end with it.
            try:
                return socket.socket(fileno=os.dup(raw.fileno()))
            finally:
                raw._sock.close()
                raw.close()

    def execute(
        self,
        container: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        user: str,
        workdir: str,
    ) -> int:
        """Starts a process in a container and does not wait for it; its number on the host.

        0 when it has ended already.
        """
        with _speaking(f"starting {argv[0]} in a container"):
            made = self._api.exec_create(
                container, list(argv), environment=dict(env), user=user, workdir=workdir
            )
            self._api.exec_start(made["Id"], detach=True)
            return int(self._api.exec_inspect(made["Id"])["Pid"] or 0)

    def remove(self, container: str) -> None:
        """Ends a container and waits until the engine has forgotten it; gone already is fine."""
        try:
            with _speaking("removing a container"):
                self._api.remove_container(container, v=True, force=True)
        except EngineFailure as error:
            # 409: it ended by itself, and the engine is about to remove it.
            if error.status not in (404, 409):
                raise
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                with _speaking("waiting for a container's end"):
                    self._api.inspect_container(container)
            except EngineFailure as error:
                if error.status == 404:
                    return
                raise
            if time.monotonic() > deadline:
                raise EngineFailure(f"container {container[:12]} does not go away")
            time.sleep(0.01)


@contextmanager
def _speaking(doing: str) -> Iterator[None]:
    """Errors of the SDK and below it become one line that says what was being done."""
    import requests
    from docker.errors import APIError, DockerException

    try:
        yield
    except EngineFailure:
        raise
    except APIError as error:
        words = (error.explanation or str(error)).strip().replace("\n", " ")
        raise EngineFailure(f"{doing}: {words}", error.status_code or 0) from None
    except (DockerException, requests.RequestException, OSError) as error:
        raise EngineFailure(f"{doing}: the engine does not answer ({_cause(error)})") from None


def _no_engine(error: Exception) -> str:
    cause = _cause(error)
    if "Permission denied" in cause:
        return (
            "the Docker engine's socket may not be opened by this user: "
            "join the group docker, or use --runtime netns"
        )
    return f"no Docker engine answers ({cause}): start it, or use --runtime netns"


def _cause(error: BaseException) -> str:
    """What lies at the bottom of nested connection errors, in words."""
    seen = set()
    deepest: BaseException = error
    queue: list[BaseException] = [error]
    while queue:
        item = queue.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, OSError) and item.strerror:
            return item.strerror
        deepest = item
        nested = [item.__cause__, item.__context__, *item.args]
        queue += [it for it in nested if isinstance(it, BaseException)]
    return str(deepest).splitlines()[0][:200] if str(deepest) else type(deepest).__name__
