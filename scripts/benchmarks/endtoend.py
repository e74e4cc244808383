"""`scripts/bench endtoend`: Brax's half cheetah against Brax's own SAC, steps a second and time to a return."""

import argparse
import statistics
from typing import Any

from benchmarks import report
from benchmarks.report import Bar
from benchmarks.runs import Watched, watch
from benchmarks.turns import Contestant, take


def arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's flags."""
    parser.add_argument("--num-envs", type=int, default=64, help="environments, of both")
    parser.add_argument("--updates-per-step", type=int, default=32, help="updates a vector step, of both")
    parser.add_argument("--batch-size", type=int, default=256, help="transitions an update, of both")
    parser.add_argument("--vector-steps", type=int, default=64, help="vector steps in one turn")
    parser.add_argument("--replay-size", type=int, default=131_072, help="transitions in replay, of both")
    parser.add_argument("--rounds", type=int, default=5, help="turns that both take")
    parser.add_argument("--target", type=float, default=1632.0, help="evaluation return to reach")
    parser.add_argument("--steps", type=int, default=131_072, help="environment steps that Brax trains")
    parser.add_argument("--evaluations", type=int, default=4, help="evaluations of Brax on the way")
    parser.add_argument("--seeds", type=int, default=3, help="runs of softrl, by its own preset")
    parser.add_argument("--eval-every", type=int, default=16_384, help="environment steps between softrl's evaluations")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds after which a run of softrl is given up")
    parser.add_argument("--quick", action="store_true", help="the steps a second alone, in three turns")


def run(options: argparse.Namespace) -> dict:
    """Measures, prints and returns the result."""
    result = report.header("endtoend", vars(options).copy())
    names = ("num_envs", "updates_per_step", "batch_size", "vector_steps", "replay_size")
    wishes = {name: getattr(options, name) for name in names}
    claims = [_speed(wishes, options, result)]
    if not options.quick:
        claims += _time_to_return(options, result)
    result["bars"] = report.bars(claims)
    return result


def _speed(wishes: dict[str, Any], options: argparse.Namespace, result: dict) -> Bar:
    theirs = _theirs(options, max_replay_size=options.replay_size, seed=0) | {"vector_steps": options.vector_steps}
    contestants = [
        Contestant("softrl", "softrl", "softrl_chunk", wishes),
        Contestant("brax", "softrl", "brax_chunk", theirs),
    ]
    rounds = min(options.rounds, 3) if options.quick else options.rounds
    rates, about = take(contestants, rounds=rounds, seconds=0.0, logs=options.logs)
    steps = rates["softrl"] | rates["brax"]
    medians, ratio = report.medians(steps), report.ratio(steps, "softrl", "Brax")
    updates = options.updates_per_step / options.num_envs
    rows = [[name, value, updates * value] for name, value in medians.items()]
    report.table("after compilation, a second", ["", "environment steps", "updates"], rows)
    result |= {"about": about, "env_steps_per_s": steps, "ratio": ratio}
    return Bar("environment steps/s, softrl to Brax", ratio, 1.5)


def _theirs(options: argparse.Namespace, **more: Any) -> dict[str, Any]:
    """Brax's half cheetah at the same sizes, everything else as its function has it by default."""
    sizes = {"num_envs": options.num_envs, "batch_size": options.batch_size, **more}
    learning = {"grad_updates_per_step": options.updates_per_step, "normalize_observations": True}
    return {"robot": "halfcheetah", "backend": "spring", "settings": sizes | learning}


def _time_to_return(options: argparse.Namespace, result: dict) -> list[Bar]:
    """Wall clocks from the start of each process to the first evaluation at the target, compilation included.

    Brax's clock leaves its own evaluations out; softrl's has its own in. Where Brax does not reach the target in its
    steps, the time that these took stands for it, which is less than it would need.
    """
    print("\n  runs to the target, one after the other: softrl and Brax in turns")
    changes = {"backend": "spring", "eval_every": options.eval_every, "steps": 100_000_000}
    softrl, brax = [], None
    for seed in range(options.seeds):
        wish = {"env": "brax/halfcheetah", "changes": changes | {"seed": seed}}
        done = lambda event: event["return"] >= options.target or event["seconds"] > options.limit
        softrl.append(watch("softrl_return", wish, options.logs / f"softrl_return_{seed}.log", done))
        if brax is None:
            wish = _theirs(options, max_replay_size=options.steps, seed=0)
            wish |= {"every": options.steps // options.evaluations, "deterministic_eval": False}
            reached = lambda event: event["return"] >= options.target or event["env_steps"] >= options.steps
            brax = watch("brax_return", wish, options.logs / "brax_return.log", reached)
    last = brax.evaluations[-1]
    brax_seconds = last["seconds"] - last["evaluated_s"]
    seconds = [_reached(watched, options.target) for watched in softrl]
    _show(softrl, brax, seconds, brax_seconds)
    mean = statistics.fmean(seconds)
    result["time_to_return"] = {
        "target": options.target,
        "brax": brax._asdict() | {"seconds_without_evaluations": brax_seconds},
        "softrl": [watched._asdict() for watched in softrl],
        "softrl_seconds": seconds,
        "ratio": mean / brax_seconds,
    }
    return [Bar(f"time to a return of {options.target:g}, softrl to Brax", mean / brax_seconds, 1 / 3, at_least=False)]


def _reached(watched: Watched, target: float) -> float:
    """Seconds to the first evaluation at the target; infinite where there is none."""
    return next((event["seconds"] for event in watched.evaluations if event["return"] >= target), float("inf"))


def _show(softrl: list[Watched], brax: Watched, seconds: list[float], brax_seconds: float) -> None:
    last = brax.evaluations[-1]
    rows = [[f"softrl, seed {seed}", *_last(watched), seconds[seed]] for seed, watched in enumerate(softrl)]
    rows += [
        ["Brax, evaluations left out", *_last(brax), brax_seconds],
        ["Brax, as it ran", *_last(brax), last["seconds"]],
    ]
    report.table("to the target", ["", "environment steps", "return", "seconds"], rows)


def _last(watched: Watched) -> list[Any]:
    event = watched.evaluations[-1]
    return [f"{event['env_steps']:,}", float(event["return"])]
