"""`scripts/bench ablations`: the preset sample-efficient without one of its ingredients at a time.

Every finished seed is a file of its own under --results. What counts is the last evaluation within the steps.
"""

import argparse
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import report, seeds
from benchmarks.runs import watch

PRESET = "sample-efficient"
ROBOTS = ("gym/HalfCheetah-v5", "brax/halfcheetah")
RESULTS = Path(__file__).resolve().parents[2] / "experiments" / "ablations"

WITHOUT: Mapping[str, Mapping[str, Any]] = {
    "nothing": {},
    "distributions": {"critic": "scalar", "reward_scaling": "fixed", "temperature": 0.1},
    "batch norm": {"norm": "layer"},
    "unit weights": {"unit_weights": False},
    "falling rates": {"rate_end": 1.0},
    "second update": {"updates_per_step": 1, "policy_delay": 2},
    "wide critics": {"critic_widths": "256,256"},
}
"""Ingredient -> the settings that leave it out. Scaled rewards go with distributions, which need returns of a known
size."""


class Task(NamedTuple):
    """One ingredient less, on one robot."""

    without: str
    env: str

    @property
    def name(self) -> str:
        """For files and tables."""
        return f"without {self.without} {self.env}"


TASKS = tuple(Task(without, env) for env in ROBOTS for without in WITHOUT)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's flags."""
    seeds.arguments(parser, RESULTS)
    parser.set_defaults(seeds=2)
    parser.add_argument("--steps", type=int, default=50_000, help="environment steps of each run")


def run(options: argparse.Namespace) -> dict:
    """Measures what is missing, prints and returns the result."""
    result = report.header("ablations", vars(options).copy())
    about = {name: result[name] for name in ("commit", "machine", "started")}
    chosen = seeds.chosen(TASKS, options.only)
    for task, seed, path in seeds.missing(chosen, options):
        seeds.keep(path, _seed(task, seed, options) | about)
    known = {task: seeds.known(options.results, task) for task in chosen}
    rows = [_row(task, runs, known.get(Task("nothing", task.env), [])) for task, runs in known.items() if runs]
    columns = ["", "seeds", "mean", "least", "most", "of the whole preset", "seconds"]
    report.table(f"{PRESET}, deterministic return at {options.steps:,} steps", columns, rows)
    return result | {"tasks": {task.name: runs for task, runs in known.items()}}


def _row(task: Task, runs: list[dict[str, Any]], whole: list[dict[str, Any]]) -> list[Any]:
    returns, seconds = ([run[name] for run in runs] for name in ("return", "seconds"))
    mean = statistics.fmean(returns)
    share = mean / statistics.fmean(run["return"] for run in whole) if whole else ""
    return [task.name, len(runs), mean, min(returns), max(returns), share, statistics.fmean(seconds)]


def _seed(task: Task, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    print(f"{task.name}, seed {seed}", flush=True)
    changes = {"seed": seed, "steps": options.steps, "eval_every": 10_000, **WITHOUT[task.without]}
    wishes = {"env": task.env, "preset": PRESET, "changes": changes}
    watched = watch("softrl_return", wishes, options.logs / f"ablations_{seed}.log", lambda event: False)
    last = {name: watched.evaluations[-1][name] for name in ("env_steps", "return", "seconds")}
    return {"without": task.without, "env": task.env, "seed": seed, **last, **watched._asdict()}
