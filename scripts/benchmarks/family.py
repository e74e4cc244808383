"""`scripts/bench family`: what every algorithm learns, seed by seed, beside Stable-Baselines3's PPO and DQN.

Every finished seed is a file of its own under --results, so that the table grows over days and machines; a seed that is
there is not run again. A limit is in steps or in seconds; what counts is the last evaluation within it.
"""

import argparse
import math
import statistics
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import report, seeds
from benchmarks.report import Bar
from benchmarks.runs import watch


class Task(NamedTuple):
    """wanted: mean return over seeds, NaN where nothing is. steps, seconds: the limit, one of the two."""

    algorithm: str
    env: str
    wanted: float
    steps: int = 0
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """For files and tables."""
        return f"{self.algorithm} {self.env}"

    @property
    def limit(self) -> str:
        """In words."""
        return f"{self.steps:,} steps" if self.steps else f"{self.seconds:g} s"


TASKS = (
    Task("sac", "gym/CartPole-v1", 475.0, steps=50_000),
    Task("sac", "gym/Acrobot-v1", -100.0, steps=50_000),
    Task("policy-gradient", "gym/CartPole-v1", 475.0, steps=100_000),
    Task("policy-gradient", "brax/inverted_pendulum", 950.0, seconds=180.0),
    Task("policy-gradient", "brax/halfcheetah", 2_000.0, seconds=360.0),
    Task("soft-q", "gym/Pendulum-v1", -250.0, steps=30_000),
    Task("mpo", "gym/Pendulum-v1", -200.0, steps=30_000),
    Task("mpo", "brax/halfcheetah", 1_000.0, seconds=480.0),
    Task("Stable-Baselines3 PPO", "gym/CartPole-v1", math.nan, steps=100_000),
    Task("Stable-Baselines3 DQN", "gym/CartPole-v1", math.nan, steps=50_000),
)
"""What is measured, with the bars of each."""

PEER = "Stable-Baselines3 "
RESULTS = Path(__file__).resolve().parents[2] / "experiments" / "family"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's flags."""
    seeds.arguments(parser, RESULTS)


def run(options: argparse.Namespace) -> dict:
    """Measures what is missing, prints and returns the result."""
    result = report.header("family", vars(options).copy())
    chosen = seeds.chosen(TASKS, options.only)
    about = {name: result[name] for name in ("commit", "machine", "started")}
    for task, seed, path in seeds.missing(chosen, options):
        seeds.keep(path, _seed(task, seed, options.logs) | about)
    known = {task: seeds.known(options.results, task) for task in chosen}
    rows = [_row(task, runs) for task, runs in known.items() if runs]
    columns = ["", "limit", "seeds", "mean", "least", "most", "seconds"]
    report.table("deterministic return, last evaluation within the limit", columns, rows)
    means = {task: statistics.fmean(run["return"] for run in runs) for task, runs in known.items() if runs}
    claims = [Bar(f"{t.name}, {t.limit}", mean, t.wanted) for t, mean in means.items() if not math.isnan(t.wanted)]
    return result | {"tasks": {task.name: runs for task, runs in known.items()}, "bars": report.bars(claims)}


def _row(task: Task, runs: list[dict[str, Any]]) -> list[Any]:
    returns, seconds = ([run[name] for run in runs] for name in ("return", "seconds"))
    mean = statistics.fmean(returns)
    return [task.name, task.limit, len(runs), mean, min(returns), max(returns), statistics.fmean(seconds)]


def _seed(task: Task, seed: int, logs: Path) -> dict[str, Any]:
    """One run. Its clock starts with its process: imports, compilation and evaluations are in it."""
    print(f"{task.name}, seed {seed}", flush=True)
    changes = {"seed": seed, "steps": task.steps or 10**9}
    wishes = {"env": task.env, "changes": changes, "algorithm": task.algorithm.removeprefix(PEER)}
    peer = task.algorithm.startswith(PEER)
    worker, home = ("sb3_return", "peers") if peer else ("softrl_return", "softrl")
    over = lambda event: event["seconds"] > task.seconds if task.seconds else event["env_steps"] >= task.steps
    watched = watch(worker, wishes, logs / f"family_{seed}.log", over, home)
    inside = [event for event in watched.evaluations if not task.seconds or event["seconds"] <= task.seconds]
    if not inside:
        raise RuntimeError(f"{task.name}: no evaluation within {task.limit}")
    last = {name: inside[-1][name] for name in ("env_steps", "return", "seconds")}
    return {"algorithm": task.algorithm, "env": task.env, "seed": seed, **last, **watched._asdict()}
