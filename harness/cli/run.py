"""``harness run``: from what was typed to a verdict."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from harness.cli.many import run_many
from harness.cli.options import Milliseconds, Time, intensity, read_config
from harness.cli.planning import with_all
from harness.cli.session import run_once
from harness.cli.swarm import swarm
from harness.cli.trial import is_simulated, prepare
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
    "all: whatever works here; or none.",
)
@click.option(
    "--runtime",
    default="auto",
    show_default=True,
    help="Where nodes live: auto, docker, netns, sim.",
)
@intensity
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
@click.option(
    "--min-operations",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="With fewer that succeed, a run is inadequate.",
)
@click.option(
    "--min-ok-during",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="The same during each fault (an operation counts where it is called).",
)
@click.option(
    "--min-ok-after",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="The same after the last heal.",
)
@click.option("--seed", type=click.IntRange(0), help="Decides every choice. Default: a new one.")
@click.option("--bug", multiple=True, help="Start the reference cluster with a seeded bug.")
@click.option(
    "--election-timeout",
    type=Milliseconds(),
    default=(),
    help="A range in ms, or one number for each node (100,150,200). Default: the target's own.",
)
@click.option(
    "--option",
    "options",
    metavar="NAME=VALUE",
    multiple=True,
    help="One of the target's own options (harness list targets).",
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
@click.option(
    "--keep-going",
    is_flag=True,
    help="A violation that is seen while a run goes on ends neither it nor further runs.",
)
@click.option(
    "--test-count",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="So many seeds, one after the other; in simulation over all cores.",
)
@click.option(
    "--swarm",
    "swarming",
    is_flag=True,
    help="Each seed draws its own part of the nemeses, cluster size, rate, time-outs, workload.",
)
@click.option("--json", "as_json", is_flag=True, help="The last line is one JSON object.")
def run_command(
    target: str,
    workload: str,
    nemesis: str,
    runtime: str,
    intensity: str,
    nodes: int,
    concurrency: int,
    rate: float,
    time_limit: float,
    operation_timeout: float,
    recovery_timeout: float,
    min_operations: int,
    min_ok_during: int,
    min_ok_after: int,
    seed: int | None,
    bug: tuple[str, ...],
    election_timeout: tuple[int, ...],
    options: tuple[str, ...],
    firewall: str,
    out: Path,
    keep_going: bool,
    test_count: int,
    swarming: bool,
    as_json: bool,
) -> int:
    """Start a cluster, drive it, hurt it, and judge what it promised."""
    if time_limit <= 0:
        raise UsageError("--time-limit must be more than 0")
    if election_timeout and len(election_timeout) not in (2, nodes):
        raise UsageError(
            f"--election-timeout takes a range (two numbers) or a number for each of {nodes} nodes"
        )
    names = tuple(name.strip() for name in nemesis.split(",") if name.strip())
    spec = RunSpec(
        target=target,
        workload=workload,
        nemeses=() if names == ("none",) else names,
        runtime=runtime,
        nodes=nodes,
        intensity=intensity,
        concurrency=concurrency,
        rate=rate,
        time_limit_s=time_limit,
        operation_timeout_s=operation_timeout,
        recovery_timeout_s=recovery_timeout,
        min_operations=min_operations,
        min_ok_during=min_ok_during,
        min_ok_after=min_ok_after,
        seed=seed if seed is not None else secrets.randbelow(10**7),
        bugs=bug,
        firewall=firewall,
        election_timeout_ms=election_timeout,
        keep_going=keep_going,
        options=options,
    )
    # Whatever was typed is checked before anything is started or written.
    spec = with_all(spec)
    _, parts = prepare(spec)
    specs = [replace(spec, seed=spec.seed + number) for number in range(test_count)]
    if swarming:
        specs = [swarm(item) for item in specs]
    if len(specs) > 1 and is_simulated(parts):
        return run_many(specs, out, keep_going=keep_going, as_json=as_json)
    return _one_after_the_other(specs, out, keep_going=keep_going, as_json=as_json)


def _one_after_the_other(
    specs: Sequence[RunSpec], out: Path, *, keep_going: bool, as_json: bool
) -> ExitCode:
    records = []
    for spec in specs:
        records.append(run_once(*prepare(spec), out))
        if records[-1].ending.exit_code is ExitCode.INTERRUPTED:
            break
        if records[-1].ending.exit_code is ExitCode.VIOLATION and not keep_going:
            break
    emit(records, sys.stdout, os.environ)
    if as_json:
        for record in records:
            click.echo(json_line(record))
    codes = [record.ending.exit_code for record in records]
    return codes[-1] if codes[-1] is ExitCode.INTERRUPTED else worst_exit(codes)
