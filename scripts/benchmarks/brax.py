"""`scripts/bench brax`: returns by the clock on Brax's robots, softrl's default preset beside Brax's own SAC.

Brax's SAC has the settings that its notebook trains the hopper and the walker with (training.ipynb of google/brax); the
half cheetah, for which the notebook has no SAC, has the walker's. Both have the physics of softrl's preset, and are
evaluated by the mode of their policies over 128 episodes. The training clock begins with the process, so that imports
and compilation are in it, and stands still while an evaluation runs; what compiling Brax's evaluation takes counts as
evaluation.

Every finished seed is a file of its own under --results; a seed that is there is not run again.
"""

import argparse
import statistics
from pathlib import Path
from typing import Any

from benchmarks import curves, report, seeds
from benchmarks.contestants import Task
from benchmarks.cores import pinned
from benchmarks.runs import watch
from softrl.presets import preset

SHARED = {
    "normalize_observations": True,
    "discounting": 0.997,
    "learning_rate": 6e-4,
    "num_envs": 128,
    "max_replay_size": 1_048_576,
    "min_replay_size": 8_192,
}
WALKER = {**SHARED, "reward_scaling": 5, "batch_size": 128, "grad_updates_per_step": 32}
NOTEBOOK = {
    "halfcheetah": WALKER,
    "hopper": {**SHARED, "reward_scaling": 30, "batch_size": 512, "grad_updates_per_step": 64},
    "walker2d": WALKER,
}
"""Robot -> arguments of `brax.training.agents.sac.train`."""

SOFTRL, BRAX = "softrl tuned", "Brax SAC"
RESULTS = Path(__file__).resolve().parents[2] / "experiments" / "brax"

ALIKE = ("seconds", "every", "cores")
"""Options that the numbers of one table must have in common."""

TASKS = tuple(Task(contestant, f"brax/{robot}") for robot in NOTEBOOK for contestant in (SOFTRL, BRAX))


def arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's flags."""
    seeds.arguments(parser, RESULTS)
    parser.add_argument("--seconds", type=float, default=300.0, help="of the training clock that each run has")
    parser.add_argument("--every", type=int, default=8_192, help="environment steps between evaluations")
    parser.add_argument("--cores", type=int, default=2, help="that each run is pinned to, with as many threads")


def run(options: argparse.Namespace) -> dict:
    """Measures what is missing, prints and returns the result."""
    result = report.header("brax", vars(options).copy())
    about = {name: result[name] for name in ("commit", "machine", "started")}
    chosen = seeds.chosen(TASKS, options.only)
    for task in chosen:  # refused before minutes of training
        seeds.require_alike(task, seeds.known(options.results, task), options, ALIKE)
    with pinned(options.cores) as threads:
        for task, seed, path in seeds.missing(chosen, options):
            seeds.keep(path, _seed(task, seed, options, threads) | about)
    known = {task: seeds.known(options.results, task) for task in chosen}
    columns = ["", "seeds", f"at {options.seconds:g} s", "least", "most", "environment steps", "updates/s"]
    rows = [_row(task, runs, options.seconds) for task, runs in known.items() if runs]
    report.table("mean return of the policy's mode, over seeds", columns, rows)
    return result | {"tasks": {task.name: runs for task, runs in known.items()}}


def _row(task: Task, runs: list[dict[str, Any]], seconds: float) -> list[Any]:
    returns, steps = (
        [curves.at(run["curve"], what, "clock_s", seconds) for run in runs] for what in ("return", "env_steps")
    )
    rates = [curves.updates_per_s(run["curve"], max(run["curve"]["env_steps"])) for run in runs]
    means = statistics.fmean(steps), statistics.fmean(rates)
    return [task.name, len(runs), statistics.fmean(returns), min(returns), max(returns), *means]


def _seed(task: Task, seed: int, options: argparse.Namespace, threads: dict[str, str]) -> dict[str, Any]:
    print(f"{task.name}, seed {seed}", flush=True)
    if task.contestant == BRAX:
        robot = task.robot.removeprefix("brax/")
        module, wishes = "brax_return", {"robot": robot, "settings": NOTEBOOK[robot] | {"seed": seed}}
        wishes |= {
            "backend": preset(task.robot, platform="cpu").env.backend,
            "every": options.every,
            "deterministic_eval": True,
        }
    else:
        changes = {"seed": seed, "steps": 10**9, "eval_every": options.every, "eval_episodes": 128}
        module, wishes = "softrl_return", {"env": task.robot, "changes": changes, "in_memory": True}
    over = lambda event: curves.clock(event) >= options.seconds
    about, evaluations = watch(module, wishes, options.logs / "brax.log", over, extra=threads)
    if not evaluations or not over(evaluations[-1]):
        raise RuntimeError(f"{task.name} ended before {options.seconds:g} s")
    limits = {name: getattr(options, name) for name in ALIKE}
    told = {"contestant": task.contestant, "robot": task.robot, "seed": seed, **limits}
    steps = evaluations[-1]["env_steps"]
    return told | {"steps": steps, "curve": curves.curve(evaluations), "about": about}
