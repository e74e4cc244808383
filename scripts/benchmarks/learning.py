"""`scripts/bench learning`: deterministic returns of the default training within a time limit, seed by seed."""

import argparse
import json
import statistics
from typing import Any

from benchmarks import report
from benchmarks.report import Bar
from benchmarks.runs import watch

BARS = {"brax/halfcheetah": (240.0, 3000.0), "brax/inverted_pendulum": (180.0, 950.0)}
"""Seconds, and the mean return that is wanted of them on two quiet cores."""

ELSEWHERE = 120.0
"""Seconds for a robot without a bar: it has to train without an error."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's flags."""
    parser.add_argument("env", nargs="?", default="brax/halfcheetah", help="as listed by `softrl envs`")
    parser.add_argument("--seeds", type=int, default=3, help="runs, one after the other")
    parser.add_argument("--seconds", type=float, help="time limit of a run; None: that of the robot's bar")
    parser.add_argument("--eval-every", type=int, help="environment steps between evaluations; None: the preset's")
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="other than the preset's; JSON"
    )


def run(options: argparse.Namespace) -> dict:
    """Measures, prints and returns the result.

    A run's clock starts with its process: imports, compilation, evaluations and checkpoints are in it. Its return is
    that of the last evaluation before the limit, which no luck with one evaluation can raise; the best one is told too.
    """
    limit, wanted = BARS.get(options.env, (ELSEWHERE, None))
    limit = options.seconds or limit
    result = report.header("learning", vars(options).copy())
    changes = {} if options.eval_every is None else {"eval_every": options.eval_every}
    changes |= {name: json.loads(value) for name, value in (word.split("=", 1) for word in options.set)}
    seeds = [_seed(options, changes | {"seed": seed}, limit) for seed in range(options.seeds)]
    rows = [
        [str(i), *(seed[name] for name in ("env_steps", "seconds", "last", "best"))] for i, seed in enumerate(seeds)
    ]
    mean = statistics.fmean(seed["last"] for seed in seeds)
    rows.append(["mean", "", "", mean, statistics.fmean(seed["best"] for seed in seeds)])
    columns = ["seed", "environment steps", "seconds", "return", "best return"]
    report.table(f"{options.env}: deterministic return within {limit:g} s", columns, rows)
    result |= {"limit_s": limit, "seeds": seeds, "mean": mean}
    if wanted is not None:
        result["bars"] = report.bars([Bar(f"mean return within {limit:g} s", mean, wanted)])
    return result


def _seed(options: argparse.Namespace, changes: dict[str, Any], limit: float) -> dict[str, Any]:
    log = options.logs / f"learning_{changes['seed']}.log"
    wishes = {"env": options.env, "changes": changes}
    watched = watch("softrl_return", wishes, log, lambda event: event["seconds"] > limit, limit=limit)
    inside = [event for event in watched.evaluations if event["seconds"] <= limit]
    if not inside:
        raise RuntimeError(f"no evaluation within {limit:g} s; see {log}")
    last = inside[-1]
    print(f"  seed {changes['seed']}: {last['return']:.0f} after {last['seconds']:.0f} s", flush=True)
    return {
        "seed": changes["seed"],
        "env_steps": last["env_steps"],
        "seconds": last["seconds"],
        "last": last["return"],
        "best": max(event["return"] for event in inside),
        **watched._asdict(),
    }
