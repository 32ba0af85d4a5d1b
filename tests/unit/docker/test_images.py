"""The nodes' image: its name, what goes in, and on which base it is made."""

from __future__ import annotations

import ast
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.errors import EnvironmentFailure
from harness.core.protocols import Program
from harness.runtime.docker import hostbase, images, programs
from harness.runtime.docker.engine import About, Engine, EngineFailure, Found
from harness.runtime.docker.leftovers import remove_old_images
from harness.runtime.docker.owner import ON

files = st.dictionaries(st.text(max_size=5), st.binary(max_size=5), max_size=4)
kinds = st.text(max_size=5)


@given(files, kinds, files, kinds)
def test_equal_inputs_equal_name(
    one: dict[str, bytes], kind: str, other: dict[str, bytes], other_kind: str
) -> None:
    same = (one, kind) == (other, other_kind)
    assert (images.name(one, kind) == images.name(other, other_kind)) is same
    assert images.name(dict(reversed(one.items())), kind) == images.name(one, kind)


@given(st.lists(st.text(max_size=2), min_size=1, max_size=4), st.data())
def test_where_a_part_ends_matters(parts: list[str], data: st.DataObject) -> None:
    joined = "".join(parts)
    cut = data.draw(st.integers(0, len(joined)))
    one, other = {"": joined.encode()}, {joined[:cut]: joined[cut:].encode()}
    assert (images.name(one, "") == images.name(other, "")) is (one == other)


def test_the_files_stand_alone() -> None:
    """Nothing in the image needs what is not in it: neither the harness nor other packages."""
    chosen = images.project_files()
    assert {"harness/__init__.py", "harness/agent/__main__.py", "target/server.py"} <= set(chosen)
    assert not [path for path in chosen if "adapters" in path]
    for path, content in chosen.items():
        for node in ast.walk(ast.parse(content)):
            match node:
                case ast.Import(names=names):
                    wanted = [alias.name for alias in names]
                case ast.ImportFrom(module=str(module)):
                    wanted = [module]
                case _:
                    continue
            for module in wanted:
                inside = f"{module.replace('.', '/')}.py" in chosen
                inside |= f"{module.replace('.', '/')}/__init__.py" in chosen
                standard = module.split(".")[0] in sys.stdlib_module_names
                assert inside or standard, f"{path} imports {module}"


def test_the_context_is_the_same_each_time() -> None:
    chosen = {"b/two.py": b"2", "a/one.py": b"1"}
    first = images.context(chosen).getvalue()
    assert images.context(dict(reversed(chosen.items()))).getvalue() == first
    with tarfile.open(fileobj=images.context(chosen)) as tar:
        assert sorted(tar.getnames()) == ["Dockerfile", "code/a/one.py", "code/b/two.py"]


@dataclass
class FakeEngine(Engine):
    """An engine of names: which images it has, what can be pulled, on what a build fails."""

    there: set[str] = field(default_factory=set)
    pulls: bool = False
    fails_on: frozenset[str] = frozenset()
    architecture: str = "x86_64"
    done: list[str] = field(default_factory=list)
    contexts: list[IO[bytes]] = field(default_factory=list)
    on: dict[str, str] = field(default_factory=dict)

    def has_image(self, tag: str) -> bool:
        return tag in self.there

    def pull(self, repository: str, tag: str, silence_s: float, limit_s: float) -> None:
        self.done.append(f"pull {repository}:{tag}")
        if not self.pulls:
            raise EngineFailure("no such host", 500)
        self.there.add(f"{repository}:{tag}")

    def about(self) -> About:
        return About("Debian", "linux", self.architecture, False)

    def import_image(self, archive: str, repository: str, tag: str, changes: list[str]) -> None:
        self.done.append("import")
        self.there.add(f"{repository}:{tag}")

    def build(self, context: IO[bytes], tag: str, arguments: Mapping[str, str]) -> None:
        base = arguments["BASE"]
        assert base in self.there
        self.done.append(f"build on {base.partition(':')[0]}")
        if base in self.fails_on:
            raise EngineFailure("apt-get: no network")
        self.contexts.append(context)
        self.there.add(tag)

    def images(self, label: str) -> list[Found]:
        return [
            Found(f"sha256:{tag[-3:]}", tag, {ON: self.on[tag]} if tag in self.on else {})
            for tag in sorted(self.there)
        ]

    def remove_image(self, tag: str) -> None:
        self.done.append(f"remove {tag}")
        self.there.remove(tag)


@pytest.fixture(autouse=True)
def _small_base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostbase, "unavailable", lambda: None)
    monkeypatch.setattr(hostbase, "fingerprint", lambda: "0123456789abcdef")
    monkeypatch.setattr(hostbase, "write", lambda out: out.write(b"tar"))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")


def test_an_image_that_is_there_is_used() -> None:
    engine, said = FakeEngine(pulls=True), list[str]()
    tag = images.ensure(engine, said.append)
    assert engine.done == ["pull python:3-slim", "build on python"]
    assert len(said) == 1
    assert images.ensure(engine, said.append) == tag
    assert len(engine.done) == 2
    assert len(said) == 1


def test_a_base_that_is_there_is_not_pulled() -> None:
    engine = FakeEngine(there={"python:3-slim"})
    images.ensure(engine, lambda _: None)
    assert engine.done == ["build on python"]


def test_without_a_registry_the_host_gives_the_base() -> None:
    engine, said = FakeEngine(), list[str]()
    images.ensure(engine, said.append)
    assert engine.done == ["pull python:3-slim", "import", "build on quorum-harness-base"]
    assert "this host's own files" in said[0]
    assert said[0].endswith("(python:3-slim cannot be had here)")


def test_a_base_without_tools_and_no_network_to_fetch_them() -> None:
    engine = FakeEngine(there={"python:3-slim"}, fails_on=frozenset({"python:3-slim"}))
    images.ensure(engine, lambda _: None)
    assert engine.done == ["build on python", "import", "build on quorum-harness-base"]


def test_an_engine_of_another_kind_of_machine() -> None:
    with pytest.raises(EnvironmentFailure, match=r"no such host.*aarch64.*x86_64"):
        images.ensure(FakeEngine(architecture="aarch64"), lambda _: None)


def test_no_base_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostbase, "unavailable", lambda: "the host is not Linux")
    with pytest.raises(EnvironmentFailure, match="no such host"):
        images.ensure(FakeEngine(), lambda _: None)


def test_old_images_of_ours_go_and_no_others() -> None:
    engine = FakeEngine(pulls=True)
    now = images.ensure(engine, lambda _: None)
    old = {"quorum-harness-node:111111111111", "quorum-harness-base:222222222222", "sha256:333"}
    foreign = {"python:3-slim", "somebody/else:latest"}
    engine.there |= old | foreign
    assert len(remove_old_images(engine)) == 3
    assert engine.there == {now, *foreign}


SHELL = Program("sh", "dash")


def test_a_targets_program_is_this_hosts_on_the_hosts_base() -> None:
    engine, said = FakeEngine(), list[str]()
    node = images.ensure(engine, said.append)
    assert programs.lacking(engine, SHELL) is None
    tag = programs.ensure(engine, node, (SHELL,), said.append)
    assert engine.done[-1] == "build on quorum-harness-node"
    assert said[-1] == f"image {tag} with this host's sh"
    with tarfile.open(fileobj=engine.contexts[-1]) as tar:
        names = set(tar.getnames())
        assert names >= {"Dockerfile", "files/usr/local/bin/sh"}
        assert tar.getmember("files/usr/local/bin/sh").mode & 0o111
        # What Python needs too is in the base: the C library is not replaced under its feet.
        assert not [name for name in names if "libc.so" in name or "ld-linux" in name]
    done = len(engine.done)
    assert programs.ensure(engine, node, (SHELL,), said.append) == tag
    assert len(engine.done) == done


def test_a_targets_program_is_installed_on_an_official_base() -> None:
    engine, said = FakeEngine(pulls=True), list[str]()
    node = images.ensure(engine, said.append)
    unheard_of = Program("nobody-has-this", "nobody-has-this-either")
    assert programs.lacking(engine, unheard_of) is None
    assert programs.version(engine, unheard_of) is None
    programs.ensure(engine, node, (unheard_of,), said.append)
    with tarfile.open(fileobj=engine.contexts[-1]) as tar:
        (entry,) = tar.getmembers()
        text = tar.extractfile(entry)
        assert text is not None
        assert b"install --no-install-recommends -y nobody-has-this-either" in text.read()


def test_a_targets_program_that_can_be_had_nowhere() -> None:
    engine = FakeEngine()
    unheard_of = Program("nobody-has-this", "nobody-has-this-either")
    assert programs.lacking(engine, unheard_of) == (
        "nobody-has-this is not installed here: apt-get install nobody-has-this-either"
    )
    node = images.ensure(engine, lambda _: None)
    with pytest.raises(EnvironmentFailure, match="apt-get install nobody-has-this-either"):
        programs.ensure(engine, node, (unheard_of,), lambda _: None)


def test_a_targets_image_goes_with_the_image_that_it_stands_on() -> None:
    engine = FakeEngine()
    node = images.ensure(engine, lambda _: None)
    now = programs.ensure(engine, node, (SHELL,), lambda _: None)
    old = f"{programs.REPOSITORY}:111111111111"
    engine.there.add(old)
    engine.on = {now: node, old: "quorum-harness-node:111111111111"}
    assert remove_old_images(engine) == [f"image {old[:40]} (not of this version)"]
    assert now in engine.there
