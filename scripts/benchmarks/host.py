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
    parser.add_argument("--steps", type=int, default=500, help="environment steps in one call, of everybody")
    parser.add_argument("--rounds", type=int, default=7, help="turns that everybody takes; medians are reported")
    parser.add_argument("--seconds", type=float, default=5.0, help="least length of a turn")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=PEERS, help="whom to measure against")
    parser.add_argument("--calls", type=int, default=2_000, help="calls of Learner.step whose latency is measured")
    parser.add_argument(
        "--learning", action="store_true", help="also learn, seed by seed (9 minutes each on two cores)"
    )
    parser.add_argument("--learning-steps", type=int, default=100_000, help="environment steps of that")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of that")


def run(options: argparse.Namespace) -> dict:
    """Measures, prints and returns the result."""
    result = report.header("host", vars(options).copy())
    wishes = {name: getattr(options, name) for name in ("env", "batch_size", "replay_size", "steps")}
    contestants = [
        Contestant("softrl", "softrl", "softrl_host", wishes),
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
    if options.learning:
        claims.append(_learning(options, result))
    result["bars"] = report.bars(claims)
    return result


def _latency(wishes: dict, options: argparse.Namespace, result: dict) -> Bar:
    events = list(protocol.stream("softrl", "softrl_latency", wishes, options.logs / "softrl_latency.log", {}))
    milliseconds = {name: 1e3 * np.asarray(events[-1][name]) for name in ("add", "step")}
    quantiles = {name: np.quantile(values, [0.5, 0.9, 0.99, 1.0]).tolist() for name, values in milliseconds.items()}
    rows = [[f"Learner.{name}", *values] for name, values in quantiles.items()]
    report.table("a call, milliseconds", ["", "median", "90 %", "99 %", "longest"], rows)
    result["latency_ms"] = quantiles
    return Bar("Learner.step, 99th percentile to median", quantiles["step"][2] / quantiles["step"][0], 1.5, False)


def _learning(options: argparse.Namespace, result: dict) -> Bar:
    runs = []
    for seed in range(options.seeds):
        changes = {"steps": options.learning_steps, "seed": seed}
        wish = {"env": f"gym/{options.env}", "changes": changes}
        log = options.logs / f"softrl_host_{seed}.log"
        done = lambda event: event["env_steps"] >= options.learning_steps
        runs.append(watch("softrl_return", wish, log, done))
    last = [watched.evaluations[-1] for watched in runs]
    rows = [[f"seed {seed}", float(event["return"]), event["seconds"]] for seed, event in enumerate(last)]
    report.table(f"learning {options.env}, {options.learning_steps:,} steps", ["", "return", "seconds"], rows)
    result["learning"] = [watched._asdict() for watched in runs]
    return Bar("mean evaluation return", float(np.mean([event["return"] for event in last])), 5_500.0)
