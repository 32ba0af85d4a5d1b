"""``harness run``: from what was typed to a verdict."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

import click

from harness.cli import planning
from harness.cli.options import Milliseconds, Time, read_config
from harness.cli.session import run_once
from harness.core.errors import UsageError
from harness.core.plan import RunSpec
from harness.core.verdict import ExitCode, worst_exit
from reports import json_line
from reports.annotations import emit


@click.command("run")
@click.option("--target", default="raft", show_default=True, help="The system under test.")
@click.option("--workload", default="register", show_default=True, help="What clients do.")
@click.option(
    "--nemesis",
    "nemesis",
    default="partition",
    show_default=True,
    help="Faults, joined by commas, all in one run (partition,kill); narrowed (partition:leader); "
    "or none.",
)
@click.option(
    "--runtime", default="auto", show_default=True, help="Where nodes live: auto, docker, netns."
)
@click.option("--nodes", type=click.IntRange(1, 9), default=5, show_default=True)
@click.option("--concurrency", type=click.IntRange(1, 500), default=10, show_default=True)
@click.option(
    "--rate",
    type=click.FloatRange(0),
    default=100,
    show_default=True,
    help="Operations a second over all clients; 0: as fast as they can.",
)
@click.option("--time-limit", type=Time(), default="60", show_default=True, help="Of the load.")
@click.option(
    "--operation-timeout", type=Time(), default="5", show_default=True, help="Of one operation."
)
@click.option(
    "--recovery-timeout",
    type=Time(),
    default="30",
    show_default=True,
    help="After the last heal the cluster must serve again within this.",
)
@click.option("--seed", type=click.IntRange(0), help="Decides every choice. Default: a new one.")
@click.option("--bug", multiple=True, help="Start the reference cluster with a seeded bug.")
@click.option(
    "--election-timeout",
    type=Milliseconds(),
    default="100,300",
    show_default=True,
    help="A range in ms, or one number for each node (100,150,200).",
)
@click.option(
    "--firewall",
    type=click.Choice(["auto", "nft", "iptables"]),
    default="auto",
    show_default=True,
    help="What cuts links.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    is_eager=True,
    callback=read_config,
    expose_value=False,
    help="A TOML file with these options as keys.",
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option("--test-count", type=click.IntRange(1), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The last line is one JSON object.")
def run_command(
    target: str,
    workload: str,
    nemesis: str,
    runtime: str,
    nodes: int,
    concurrency: int,
    rate: float,
    time_limit: float,
    operation_timeout: float,
    recovery_timeout: float,
    seed: int | None,
    bug: tuple[str, ...],
    election_timeout: tuple[int, ...],
    firewall: str,
    out: Path,
    test_count: int,
    as_json: bool,
) -> int:
    """Start a cluster, drive it, hurt it, and judge what it promised."""
    if time_limit <= 0:
        raise UsageError("--time-limit must be more than 0")
    if len(election_timeout) not in (2, nodes):
        raise UsageError(
            f"--election-timeout takes a range (two numbers) or a number for each of {nodes} nodes"
        )
    names = tuple(name.strip() for name in nemesis.split(",") if name.strip())
    first = seed if seed is not None else secrets.randbelow(10**7)
    records = []
    for number in range(test_count):
        spec = RunSpec(
            target=target,
            workload=workload,
            nemeses=() if names == ("none",) else names,
            runtime=runtime,
            nodes=nodes,
            concurrency=concurrency,
            rate=rate,
            time_limit_s=time_limit,
            operation_timeout_s=operation_timeout,
            recovery_timeout_s=recovery_timeout,
            seed=first + number,
            bugs=bug,
            firewall=firewall,
            election_timeout_ms=election_timeout,
        )
        # Whatever was typed is checked before anything is started or written.
        made_target = planning.make_target(spec)
        planning.make_workload(spec)
        nemeses = planning.make_nemeses(spec.nemeses)
        planning.make_schedule(spec, nemeses)
        picked = planning.pick_runtime(spec.runtime)
        plan = planning.make_plan(spec, picked, nemeses)
        parts = planning.make_parts(spec, picked, nemeses, made_target)
        record = run_once(plan, parts, out)
        records.append(record)
        if record.ending.exit_code is ExitCode.INTERRUPTED:
            break
    emit(records, sys.stdout, os.environ)
    if as_json:
        for record in records:
            click.echo(json_line(record))
    codes = [record.ending.exit_code for record in records]
    return codes[-1] if codes[-1] is ExitCode.INTERRUPTED else worst_exit(codes)
