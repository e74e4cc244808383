"""`scripts/bench host`: Gymnasium on the host, one update a step, against SBX and SB3; the learner's latency."""

import argparse

import numpy as np

from benchmarks import protocol, report
from benchmarks.report import Bar
from benchmarks.runs import watch
from benchmarks.turns import Contestant, take

PEERS = {"sbx": "sbx_host", "sb3": "sb3_host"}
WANTED = {"SBX": 1.5, "Stable-Baselines3": 2.0}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's flags."""
    parser.add_argument("--env", default="HalfCheetah-v5", help="Gymnasium environment, of everybody")
    parser.add_argument("--batch-size", type=int, default=256, help="transitions an update, of everybody")
    parser.add_argument("--replay-size", type=int, default=1_000_000, help="transitions in replay, of everybody")
    parser.add_argument("--steps", type=int, default=480, help="environment steps in one call, of everybody")
    parser.add_argument("--rounds", type=int, default=7, help="turns that everybody takes; medians are reported")
    parser.add_argument("--seconds", type=float, default=5.0, help="least length of a turn")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=PEERS, help="whom to measure against")
    parser.add_argument("--calls", type=int, default=2_000, help="calls of Learner.step whose latency is measured")
    parser.add_argument("--learning", action="store_true", help="train instead, seed by seed, and tell the returns")
    parser.add_argument("--learning-steps", type=int, default=100_000, help="environment steps of that")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds of that")
    parser.add_argument("--first-seed", type=int, default=0, help="the first of them")


def run(options: argparse.Namespace) -> dict:
    """Measures, prints and returns the result."""
    if options.learning:
        return _learning(options)
    result = report.header("host", vars(options).copy())
    wishes = {name: getattr(options, name) for name in ("env", "batch_size", "replay_size", "steps")}
    contestants = [
        Contestant("softrl", "softrl", "softrl_host", wishes, protocol.AS_TRAINED),
        *[Contestant(name, "peers", PEERS[name], wishes) for name in options.peers],
    ]
    rates, about = take(contestants, rounds=options.rounds, seconds=options.seconds, logs=options.logs)
    steps = {variant: values for variants in rates.values() for variant, values in variants.items()}
    medians, ratios = report.medians(steps), {name: report.ratio(steps, "softrl", name) for name in steps}
    rows = [[name, medians[name], min(values), max(values), ratios[name]] for name, values in steps.items()]
    report.table("environment steps a second", ["", "median", "least", "most", "softrl is x times that"], rows)
    result |= {"about": about, "env_steps_per_s": steps, "ratios": ratios}
    claims = [Bar(f"steps/s, softrl to {name}", ratios[name], bar) for name, bar in WANTED.items() if name in ratios]
    claims.append(_latency(wishes | {"calls": options.calls}, options, result))
    result["bars"] = report.bars(claims)
    return result


def _latency(wishes: dict, options: argparse.Namespace, result: dict) -> Bar:
    events = list(protocol.stream("softrl", "softrl_latency", wishes, options.logs / "softrl_latency.log", {}))
    calls = {"add": "add, one row", "step": "step(1)", "many": "step(50), an update"}
    milliseconds = {name: 1e3 * np.asarray(events[-1][name]) for name in calls}
    quantiles = {name: np.quantile(values, [0.5, 0.9, 0.99, 1.0]).tolist() for name, values in milliseconds.items()}
    rows = [[f"Learner.{calls[name]}", *values] for name, values in quantiles.items()]
    report.table("a call, milliseconds", ["", "median", "90 %", "99 %", "longest"], rows)
    result["latency_ms"] = quantiles
    return Bar("Learner.step, 99th percentile to median", quantiles["step"][2] / quantiles["step"][0], 1.5, False)


def _learning(options: argparse.Namespace) -> dict:
    result = report.header("host_learning", vars(options).copy())
    runs, seeds = [], range(options.first_seed, options.first_seed + options.seeds)
    for seed in seeds:
        wish = {"env": f"gym/{options.env}", "changes": {"steps": options.learning_steps, "seed": seed}}
        log = options.logs / f"softrl_host_{seed}.log"
        runs.append(watch("softrl_return", wish, log, lambda event: event["env_steps"] >= options.learning_steps))
    last = [watched.evaluations[-1] for watched in runs]
    rows = [[f"seed {seed}", event["return"], event["seconds"]] for seed, event in zip(seeds, last, strict=True)]
    report.table(f"learning {options.env}, {options.learning_steps:,} steps", ["", "return", "seconds"], rows)
    mean = float(np.mean([event["return"] for event in last]))
    bars = report.bars([Bar(f"mean evaluation return, seeds {[*seeds]}", mean, 5_500.0)])
    return result | {"learning": [watched._asdict() for watched in runs], "mean": mean, "bars": bars}
