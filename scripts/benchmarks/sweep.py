"""`scripts/bench sweep`: many members against one and against rejax, the time to plan them, the driver's memory."""

import argparse
import statistics
import subprocess
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks import protocol, report
from benchmarks.report import Bar
from benchmarks.sizes import Sizes
from benchmarks.turns import Contestant, take

PLAN = """\
seeds = 100
[base]
env = "{env}"
[axes]
critic_lr = {{ log_uniform = [1e-5, 1e-2], n = 25 }}
policy_lr = {{ log_uniform = [1e-5, 1e-2], n = 25 }}
width = [64, 128, 256, 512]
"""
"""10,000 members in four groups."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's flags."""
    parser.add_argument("--members", type=int, default=16, help="in one program")
    parser.add_argument("--rounds", type=int, default=5, help="turns that everybody takes; medians are reported")
    parser.add_argument("--seconds", type=float, default=5.0, help="least length of a turn")
    parser.add_argument("--replay-size", type=int, default=131_072, help="transitions in each member's replay")
    parser.add_argument("--no-rejax", action="store_true", help="leave rejax out")
    parser.add_argument("--env", default="probe/bounded-lq", help="of the plan")
    parser.add_argument("--chunks", type=int, default=1_200, help="that the driver's memory is watched over")


def run(options: argparse.Namespace) -> dict:
    """Measures, prints and returns the result."""
    result = report.header("sweep", vars(options).copy())
    sizes = Sizes(replay_size=options.replay_size)
    rates = _rates(options, asdict(sizes))
    plan = _plan_seconds(options.env)
    memory = _memory(options)
    rows = [[name, statistics.median(values), min(values), max(values)] for name, values in rates.items()]
    report.table("gradient updates a second, all members", ["", "median", "least", "most"], rows)
    report.table("seconds to print a plan of 10,000 members", ["", ""], [[name, value] for name, value in plan.items()])
    early, late = memory["early"], memory["late"]
    report.table(
        "driver's memory, MiB", ["", ""], [[f"after chunk {chunk:,}", size] for chunk, size in memory["samples"]]
    )
    result |= {"updates_per_s": rates, "plan_s": plan, "memory": memory}
    result["bars"] = report.bars(_claims(rates, plan, early, late, options.members))
    return result


def _claims(rates: dict[str, list[float]], plan: dict[str, float], early: float, late: float, members: int):
    many, solo = f"sequential {members}", "sequential 1"
    if many not in rates:
        many, solo = f"vmap {members}", "vmap 1"
    claims = [Bar(f"updates/s, {members} members to one", report.ratio(rates, many, solo), 0.95)]
    theirs = f"rejax vmap {members}"
    if theirs in rates:
        claims.append(Bar(f"updates/s, {members} members to {theirs}", report.ratio(rates, many, theirs), 1.5))
    claims.append(Bar("seconds to print a plan of 10,000 members", plan["in all"], 2.0, at_least=False))
    claims.append(Bar("driver's memory, last quarter to second", late / early, 1.02, at_least=False))
    return claims


def _rates(options: argparse.Namespace, wishes: dict) -> dict[str, list[float]]:
    """Updates a second of one member and of many, softrl's and rejax's, everybody alive and taking turns."""
    many = wishes | {"members": [1, options.members], "updates_per_call": 64}
    contestants = [Contestant("members", "softrl", "softrl_members", many)]
    if not options.no_rejax:
        contestants.append(Contestant("rejax", "peers", "rejax_members", many))
    rates, _ = take(contestants, rounds=options.rounds, seconds=options.seconds, logs=options.logs)
    return {variant: values for variants in rates.values() for variant, values in variants.items()}


def _plan_seconds(env: str, runs: int = 3) -> dict[str, float]:
    """Wall clock of `softrl sweep SPEC --plan --no-calibrate`, the median of some runs, imports included and apart."""
    python = protocol.PYTHON["softrl"]
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "plan.toml"
        spec.write_text(PLAN.format(env=env))
        whole = [_clocked([python.parent / "softrl", "sweep", spec, "--plan", "--no-calibrate"]) for _ in range(runs)]
    imports = [_clocked([python, "-c", "import softrl.sweep.plan, jax; jax.local_devices()"]) for _ in range(runs)]
    return {"in all": statistics.median(whole), "of that Python, JAX and imports": statistics.median(imports)}


def _clocked(command: list) -> float:
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr[-500:]}")
    return time.perf_counter() - started


def _memory(options: argparse.Namespace) -> dict:
    """Resident memory of a driver over its chunks; the first quarter, in which it compiles, does not count."""
    with tempfile.TemporaryDirectory() as folder:
        wishes = {"out": folder, "chunks": options.chunks}
        log = options.logs / "sweep_memory.log"
        events = list(protocol.stream("softrl", "softrl_sweep", wishes, log, protocol.AS_TRAINED))
    samples = [(event["chunk"], event["rss_mib"]) for event in events]
    last = samples[-1][0]
    early = [size for chunk, size in samples if last / 4 <= chunk < last / 2]
    late = [size for chunk, size in samples if chunk >= 3 * last / 4]
    shown = samples[:: max(len(samples) // 8, 1)]
    return {"early": statistics.median(early), "late": statistics.median(late), "samples": shown}
