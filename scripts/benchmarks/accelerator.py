"""`scripts/bench accelerator`: a GPU or TPU within ten minutes: many members, both precisions, time to a return.

Rates are those of the whole training chunk, physics and updates, of 1 to 128 members of one program. Their share of the
device is that of the updates alone: what one update of one member costs times updates a second, against what the
device can do at most. Its operations are those of its matrix products, or XLA's own count where that is more; its bytes
are XLA's count. The maximum is the maker's (`benchmarks.peaks`), on a CPU what matrix products and a copy measure.

Time to a return is that of one run by a preset, its process's start, compilation and evaluations included.

Every part has a share of the time. One that fails or finds no time left is a row that says so.
"""

import argparse
import math
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import protocol, report
from benchmarks.peaks import PEAKS, Peak
from benchmarks.runs import watch

RATES_SHARE = 0.45
"""Of the time, for rates; the rest is for returns, in equal parts."""

MARGIN = 15.0
"""Seconds left for the start and the end."""

SUITES = {
    "brax": {"brax/halfcheetah": 6_000.0, "brax/ant": 6_000.0, "brax/humanoid": 6_000.0},
    "playground": {
        "playground/CheetahRun": 905.0,  # Playground's soft actor-critic after 10 million steps
        "playground/T1JoystickFlatTerrain": 38.5,  # FlashSAC after 50 million (arXiv:2604.04539)
        "playground/G1JoystickFlatTerrain": 39.9,  # the same
        "playground/Go1JoystickFlatTerrain": math.nan,  # nobody has published an off-policy return
    },
}
"""Robots by suite -> the return at which a run stops, a published one where it is Playground's; NaN runs on."""

RUN = {"seed": 0, "eval_every": 262_144, "eval_episodes": 64}
"""What a run to a return has other than its preset."""

CHUNK = {"chunk_steps": 16, "learning_starts": 0, "eval_episodes": 1}
"""What a chunk that is timed has other than its preset: it is short, and learns from its first step on."""

SMALL = {
    "num_envs": 8,
    "width": 16,
    "depth": 1,
    "policy_widths": "",
    "critic_widths": "",
    "atoms": 11,
    "episode_length": 16,
    "batch_size": 32,
    "updates_per_step": 2,
    "chunk_steps": 8,
    "replay_size": 1024,
}
"""`--tiny`, of every preset."""


class Plan(NamedTuple):
    """env: of the rates. members: of each program. seconds: least length of a measurement. chunk, run: changes of the
    preset, for rates and for runs. robots: robot -> the return at which its run stops."""

    env: str
    members: list[int]
    seconds: float
    chunk: dict[str, Any]
    run: dict[str, Any]
    robots: dict[str, float]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's flags."""
    parser.add_argument("--minutes", type=float, default=10.0, help="that it takes at most")
    parser.add_argument("--parts", nargs="*", default=["rates", "returns"], choices=["rates", "returns"], help="of it")
    parser.add_argument("--env", default="brax/halfcheetah", help="of the rates")
    parser.add_argument("--suite", default="brax", choices=SUITES, help="whose robots are trained to a return")
    parser.add_argument("--members", nargs="*", type=int, default=[1, 8, 32, 128], help="in one program")
    parser.add_argument("--precisions", nargs="*", default=["float32", "bfloat16"], help="of the networks' products")
    parser.add_argument("--preset", default="parallel", help="of soft actor-critic")
    parser.add_argument(
        "--replay-size", type=int, default=262_144, help="transitions in each member's replay, of rates"
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="least length of a measurement")
    parser.add_argument("--tiny", action="store_true", help="a probe and small networks, to see that all of it runs")


def run(options: argparse.Namespace) -> dict:
    """Measures, prints and returns the result."""
    result = report.header("accelerator", vars(options).copy())
    began, plan = time.perf_counter(), _plan(options)
    whole = 60.0 * options.minutes - MARGIN
    if "rates" in options.parts:
        share = RATES_SHARE if "returns" in options.parts else 1.0
        result |= rates(plan, options, began + share * whole)
        _show_rates(result)
    if "returns" in options.parts:
        result["returns"] = returns(plan, options, began + whole)
        _show_returns(result["returns"])
    return result


def _plan(options: argparse.Namespace) -> Plan:
    if options.tiny:
        run = SMALL | {"seed": 0, "steps": 512, "learning_starts": 64, "eval_every": 256, "eval_episodes": 2}
        return Plan("probe/bounded-lq", [2], 0.05, SMALL | CHUNK, run, {"probe/bounded-lq": -1_000.0})
    chunk = CHUNK | {"replay_size": options.replay_size}
    return Plan(options.env, options.members, options.seconds, chunk, RUN, SUITES[options.suite])


def rates(plan: Plan, options: argparse.Namespace, until: float) -> dict[str, Any]:
    """`device`, `measured`, `costs` by precision and `rates`, measured until a time of `time.perf_counter`."""
    parts: list[dict[str, Any]] = [{"kind": "machine"}]
    parts += [{"kind": "cost", "precision": precision} for precision in options.precisions]
    for members in plan.members:
        parts += [{"kind": "rate", "precision": precision, "members": members} for precision in options.precisions]
    wishes = {"env": plan.env, "preset": options.preset, "changes": plan.chunk, "seconds": plan.seconds}
    about, done = _measured(parts, wishes | {"tiny": options.tiny}, options.logs / "accelerator_rates.log", until)
    machine, costs, rows = ([part for part in done if part["kind"] == kind] for kind in ("machine", "cost", "rate"))
    peak = _peak(about, machine[0])
    by_precision = {cost["precision"]: cost for cost in costs}
    for row in rows:
        row |= shares(row, by_precision[row["precision"]], peak)
    return {"device": about, "peak": peak and peak._asdict(), "measured": machine[0], "costs": costs, "rates": rows}


def _measured(parts: list[dict], wishes: dict, log: Path, until: float) -> tuple[dict, list[dict]]:
    """What the worker says of itself and of each part; where it dies, a new one goes on behind the part it died of."""
    about, done = {}, []
    while len(done) < len(parts) and (left := until - time.perf_counter()) > 0.0:
        rest = wishes | {"parts": parts[len(done) :]}
        try:
            for event in protocol.stream("softrl", "softrl_rates", rest, log, protocol.AS_TRAINED, left):
                if event.pop("kind") == "about":
                    about = event
                    continue
                done.append(parts[len(done)] | event)
                print(f"  {_words(done[-1])}", flush=True)
        except RuntimeError as error:
            done.append(parts[len(done)] | {"failed": protocol.in_a_line(error)})
    return about, done + [part | {"failed": "no time was left"} for part in parts[len(done) :]]


def _peak(about: dict[str, Any], machine: dict[str, Any]) -> Peak | None:
    """The device's, None where it is unknown."""
    if about.get("platform") == "cpu" and "failed" not in machine:
        return Peak(machine["float32"], machine["bfloat16"], machine["bytes"], "measured here")
    return PEAKS.get(about.get("device", ""))


def shares(row: dict[str, Any], cost: dict[str, Any], peak: Peak | None) -> dict[str, float]:
    """The shares of a device's operations and bytes a second that a row's updates take up; NaN where unknown."""
    if peak is None or "failed" in row or "failed" in cost:
        return {"flops_share": math.nan, "bytes_share": math.nan}
    each = row["updates_per_s"] / row["devices"]
    flops = max(cost["products"], cost["flops"] or 0.0)
    return {
        "flops_share": each * flops / getattr(peak, row["precision"]),
        "bytes_share": each * (cost["bytes"] or math.nan) / peak.bytes,
    }


def returns(plan: Plan, options: argparse.Namespace, until: float) -> list[dict[str, Any]]:
    """A run a robot until its return or until its share of the time is over."""
    rows: list[dict[str, Any]] = []
    for env, wanted in plan.robots.items():
        limit = (until - time.perf_counter()) / (len(plan.robots) - len(rows))
        rows.append({"env": env, "wanted": wanted, "limit_s": limit} | _return(plan, options, env, wanted, limit))
    return rows


def _return(plan: Plan, options: argparse.Namespace, env: str, wanted: float, limit: float) -> dict[str, Any]:
    print(f"{env} {'' if math.isnan(wanted) else f'to a return of {wanted:g}, '}{limit:.0f} s", flush=True)
    if limit <= 0.0:
        return {"failed": "no time was left"}
    wishes = {"env": env, "preset": options.preset, "changes": plan.run, "in_memory": True}
    log = options.logs / f"accelerator_{env.replace('/', '_')}.log"
    try:
        watched = watch("softrl_return", wishes, log, lambda event: event["return"] >= wanted, limit=limit)
    except RuntimeError as error:
        return {"failed": protocol.in_a_line(error)}
    if not watched.evaluations:
        return {"failed": "no evaluation within its time"}
    reached = [event["seconds"] for event in watched.evaluations if event["return"] >= wanted]
    best = max(event["return"] for event in watched.evaluations)
    return {"reached_s": reached[0] if reached else math.inf, "best": best, **watched._asdict()}


def _show_rates(result: dict[str, Any]) -> None:
    about, peak, machine = result["device"], result["peak"], result["measured"]
    said = f"{about.get('count', 0)} × {about.get('device', 'no device')}"
    at_most = [peak[name] / 1e12 for name in Peak._fields[:3]] if peak else ["unknown device"] * 3
    measured = [machine[name] / 1e12 if name in machine else machine["failed"] for name in Peak._fields[:3]]
    columns = ["", "float32", "bfloat16", "bytes"]
    rows = [[f"at most ({peak['source']})" if peak else "at most", *at_most], ["measured", *measured]]
    report.table(f"{said}: 10¹² a second", columns, rows)
    names = ("products", "flops", "bytes")
    rows = [
        [cost["precision"], *(cost.get(name) or "" for name in names), cost.get("failed", "")]
        for cost in result["costs"]
    ]
    report.table("an update of one member", ["", "products, FLOP", "XLA's count", "XLA's bytes", ""], rows)
    names = ("env_steps_per_s", "updates_per_s", "compile_s", "flops_share", "bytes_share")
    rows = [
        [_words(row), *(_cell(row, name, peak) for name in names), row.get("failed", "")] for row in result["rates"]
    ]
    columns = [
        "",
        "env steps/s",
        "updates/s",
        "compile beside all others, s",
        "share of FLOP/s",
        "share of bytes/s",
        "",
    ]
    report.table(f"{result['settings']['preset']}: whole chunks, all members", columns, rows)


def _show_returns(rows: list[dict[str, Any]]) -> None:
    cells = []
    for row in rows:
        last = row["evaluations"][-1] if "evaluations" in row else {}
        reached = row.get("reached_s", math.inf)
        said = row.get("failed", "" if math.isfinite(reached) or math.isnan(row["wanted"]) else "not reached")
        numbers = [last.get("env_steps", ""), last.get("seconds", ""), row.get("best", "")]
        wanted = "" if math.isnan(row["wanted"]) else row["wanted"]
        cells.append([row["env"], wanted, reached if math.isfinite(reached) else "", *numbers, said])
    report.table("time to a return", ["", "return", "seconds to it", "steps", "seconds", "best return", ""], cells)


def _cell(row: dict[str, Any], name: str, peak: dict | None) -> Any:
    if "failed" in row:
        return ""
    if name.endswith("share") and peak is None:
        return "unknown device"
    return row[name]


def _words(part: dict[str, Any]) -> str:
    if part["kind"] != "rate":
        return " ".join(filter(None, (part["kind"], part.get("precision"))))
    return f"{part['members']} member{'s' if part['members'] > 1 else ''}, {part['precision']}"
