"""Nodes as containers of a Docker engine. The engine's socket is all that is needed."""

from harness.runtime.docker.runtime import DockerRuntime

__all__ = ["DockerRuntime"]
