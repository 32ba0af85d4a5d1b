"""The process: its command line, its exit codes, its log; a node of its own behind curl's eyes."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.core.operations import Call, Outcome
from target.adapters.http import HttpClient, Response
from target.events import Write
from target.options import OptionError, elections, parse
from target.raft.duties import Save
from target.server import Server
from tests.unit.target.loopback import ROOT, running


def start(*arguments: str, flags: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *flags, "-m", "target.server", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_refuses_to_run_without_assertions() -> None:
    ended = start("--node", "n1", "--home", "/nonexistent", "--peers", "n1=::1", flags=("-O",))
    assert ended.returncode == 2
    assert ended.stderr == "assertions guard the reference cluster: run it without -O\n"


def test_words_for_a_bad_command_line(tmp_path: Path) -> None:
    home = str(tmp_path)
    for arguments, words in [
        (["--peers", "n2=127.0.0.1"], "--node n1 is not among --peers"),
        (["--peers", "n1"], "write NAME=ADDRESS"),
        (["--peers", "n1=127.0.0.1:port"], "write NAME=ADDRESS"),
        (["--peers", "n1=127.0.0.1", "--bug", "none"], "no bug 'none'; there are: 1 early-ack"),
        (["--peers", "n1=127.0.0.1", "--election-timeout", "fast"], "not numbers"),
        (["--peers", "n1=127.0.0.1", "--election-timeout", "300,100"], "is no range"),
        (["--peers", "n1=127.0.0.1", "--election-timeout", "0"], "must be positive"),
        (["--peers", "n1=127.0.0.1", "--heartbeat", "100"], "does not fit"),
    ]:
        with pytest.raises(OptionError, match=words):
            parse(["--node", "n1", "--home", home, *arguments])


def test_election_timeouts_are_a_range_or_one_for_each_node() -> None:
    assert elections((100, 300), 4) == ((100, 300), 100)
    assert [elections((100, 150, 200), place) for place in range(3)] == [
        ((100, 100), 100),
        ((150, 150), 100),
        ((200, 200), 100),
    ]
    with pytest.raises(OptionError, match="3 election time-outs: give two"):
        elections((100, 150, 200), 3)


async def ask(
    http: HttpClient, method: str, path: str, body: object | None = None
) -> tuple[int, dict[str, Any]]:
    answer: Response = await http.request(method, path, body, 5.0)
    return answer.status, answer.body


def test_one_node_alone_over_http(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, 1) as (cluster, _):
            http = HttpClient(cluster, "n1", 8080)
            status, answer = await ask(http, "PUT", "/v1/kv/x", {"value": {"a": [1, None]}})
            assert (status, answer["value"], answer["node"]) == (200, None, "n1")
            # Behind the leader's first entry, and the one that says who it is.
            assert (answer["index"], answer["term"]) == (3, 1)
            status, answer = await ask(http, "GET", "/v1/kv/x")
            assert (status, answer["value"]) == (200, {"a": [1, None]})
            status, answer = await ask(http, "POST", "/v1/kv/x/cas", {"expect": 1, "value": 2})
            assert (status, answer["error"], answer["definite"]) == (409, "mismatch", True)
            status, answer = await ask(http, "POST", "/v1/kv/n/increment", {"delta": "many"})
            assert (status, answer["error"], answer["definite"]) == (400, "bad_argument", True)
            status, answer = await ask(http, "POST", "/v1/transfer", {"to": "n9"})
            assert (status, answer["error"], answer["definite"]) == (503, "not_leader", True)
            status, answer = await ask(http, "GET", "/v1/status")
            assert status == 200
            assert (answer["role"], answer["leader"], answer["bugs"]) == ("leader", "n1", [])
            assert answer["commit"] == answer["applied"] == answer["last"] == 5
            assert (answer["members"], answer["settled"]) == ({"n1": "voter"}, True)
            assert answer["identity"] > 1
            await http.close()

    asyncio.run(scenario())


def test_clean_exit_and_refusal_of_a_damaged_log(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, 1) as (cluster, target):
            client = target.client(cluster, "n1", 1)
            for value in range(5):
                assert (await client.invoke(Call("write", "x", value), 5)).outcome is Outcome.OK
            await client.close()
            await cluster.processes.stop("n1")
            log = cluster.home("n1") / "log.txt"
            assert log.read_text().endswith(" stopped\n")
            (segment,) = (cluster.home("n1") / "data").glob("log-*")
            whole = segment.read_bytes()
            segment.write_bytes(whole[:-3])
            await cluster.processes.start("n1")
            await target.await_ready(cluster, 10)
            assert "bytes of a torn tail off the log" in log.read_text()
            await cluster.processes.kill("n1")
            damaged = bytearray(whole)
            damaged[100] ^= 1
            segment.write_bytes(damaged)
            ended = start(*target.server(cluster.place("n1")).argv[3:])
            assert ended.returncode == 3
            assert "cannot start: " in ended.stdout
            assert f"{segment}: damaged at byte" in ended.stdout
            assert ended.stderr == ""

    asyncio.run(scenario())


def test_nothing_follows_what_the_disk_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the disk may have room again before the process has ended."""
    refused: list[list[Save]] = []
    later: list[list[Save]] = []

    async def scenario() -> None:
        options = parse(["--node", "n1", "--home", str(tmp_path), "--peers", "n1=127.91.0.1"])
        server = Server(options)
        loop, save = asyncio.get_running_loop(), server.storage.save

        def saves(given: list[Save]) -> None:
            if refused:
                later.append(given)
            elif any(one.entries for one in given):
                refused.append(given)
                for _ in range(2):
                    loop.call_soon(server._put, Write(1, b"more"))
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            save(given)

        monkeypatch.setattr(server.storage, "save", saves)
        with pytest.raises(OSError, match="No space left"):
            await server.run()

    asyncio.run(scenario())
    assert refused
    assert later == []


def test_an_address_in_use_is_said(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, 1) as (cluster, target):
            argv = list(target.server(cluster.place("n1")).argv[3:])
            argv[argv.index("--home") + 1] = str(tmp_path / "other")
            ended = start(*argv)
            assert ended.returncode == 4
            assert "gives up: " in ended.stdout
            assert "address already in use" in ended.stdout
            assert ended.stderr == ""

    asyncio.run(scenario())


def test_bugs_are_named_in_log_trace_and_status(tmp_path: Path) -> None:
    from harness.core.protocols import TargetOptions

    async def scenario() -> None:
        options = TargetOptions(bugs=("6", "early-ack"), election_timeout_ms=(50, 90))
        async with running(tmp_path, 1, options) as (cluster, _):
            http = HttpClient(cluster, "n1", 8080)
            _, answer = await ask(http, "GET", "/v1/status")
            assert answer["bugs"] == ["early-ack", "local-read-leader"]
            await http.close()
            log = (cluster.home("n1") / "log.txt").read_text()
            assert "BUG early-ack is on" in log
            assert "BUG local-read-leader is on" in log
            first = (cluster.home("n1") / "trace.jsonl").read_text().splitlines()[0]
            boot = json.loads(first)
            assert (boot["e"], boot["version"]) == ("boot", 2)
            assert boot["bugs"] == ["early-ack", "local-read-leader"]

    asyncio.run(scenario())


def test_a_follower_that_was_away_gets_a_snapshot(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, 3, snapshot_entries=40) as (cluster, target):
            await cluster.processes.kill("n3")
            client = target.client(cluster, "n1", 1)
            for element in range(150):
                done = await client.invoke(Call("append", "l", element), 5)
                assert done.outcome is Outcome.OK
            await client.close()
            await cluster.processes.start("n3")
            await target.await_ready(cluster, 10)
            client = target.client(cluster, "n3", 2)
            assert (await client.invoke(Call("read", "l"), 5)).value == tuple(range(150))
            await client.close()
            trace = (cluster.home("n3") / "trace.jsonl").read_text().splitlines()
            kinds = [json.loads(line)["e"] for line in trace]
            assert "snapshot" in kinds
            await cluster.processes.kill("n3")
            await cluster.processes.start("n3")
            await target.await_ready(cluster, 10)

    asyncio.run(scenario())


def test_steered_clock_shows_in_status(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, 1) as (cluster, target):
            before = (await target.statuses(cluster, 1.0))["n1"].wall_ns
            part = cluster.home("n1") / "clock.part"
            part.write_text('{"offset_ns": 3600000000000}')
            part.rename(cluster.home("n1") / "clock.json")
            for _ in range(100):
                after = (await target.statuses(cluster, 1.0))["n1"].wall_ns
                assert before is not None
                assert after is not None
                if after - before > 3_500_000_000_000:
                    return
                await asyncio.sleep(0.02)
            raise AssertionError("the clock was not steered")

    asyncio.run(scenario())


def test_sigint_ends_it_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, 1) as (cluster, _):
            state = await cluster.processes.state("n1")
            assert state.pid is not None
            os.kill(state.pid, signal.SIGINT)
            for _ in range(200):
                if (await cluster.processes.state("n1")).state == "gone":
                    break
                await asyncio.sleep(0.02)
            assert (cluster.home("n1") / "log.txt").read_text().endswith(" stopped\n")

    asyncio.run(scenario())
