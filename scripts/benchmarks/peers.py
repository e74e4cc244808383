"""`scripts/bench peers`: returns by step and by second on Gymnasium's robots, softrl's presets beside SBX and SB3.

Contestants are softrl's presets for the host and its first one, by the commit that had it, SBX's SAC, TQC, CrossQ and
SAC with its SimBa networks, and Stable-Baselines3's SAC, by its own settings and by those that rl-baselines3-zoo has
for MuJoCo's robots. Each trains in one environment on `--cores` cores until it has made `--steps` environment steps and
has had `--seconds` seconds, both; with `--steps 0` it is a race by the clock. Every `--every` steps it is evaluated:
the mean return of the policy's mode over `--episodes` episodes whose starts are the same for everybody, for every seed
and every time.

The training clock begins with the process, so that imports and compilation are in it (compilation is told apart where
it is known), and stands still while an evaluation runs; how long evaluations took is kept beside it. The peers' worker
times its evaluations by itself; softrl's run from the end of the chunk behind which one comes until its line is
written, by `softrl.train`'s own events, and as many sampled episodes as deterministic ones are in them.

Every finished seed is a file of its own under --results, so that the table grows over days and machines; a seed that is
there is not run again. The contestants of a seed run back to back on one robot.
"""

import argparse
from pathlib import Path
from typing import Any

from benchmarks import curves, protocol, report, seeds, standings
from benchmarks.against import checkout
from benchmarks.contestants import BEST, CONTESTANTS, FIRST, SECONDS, STEPS, TASKS, Task
from benchmarks.cores import THREADS, pinned
from benchmarks.runs import watch

ALIKE = ("cores", "every", "episodes")
"""Options that the numbers of one table must have in common."""

ENDING = ("softrl sample-efficient",)
"""Contestants whose rates fall along the run, which must know its length and ends there."""

RESULTS = Path(__file__).resolve().parents[2] / "experiments" / "peers"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's flags."""
    seeds.arguments(parser, RESULTS)
    parser.add_argument("--steps", type=int, default=STEPS, help="environment steps that each run makes at least")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of the training clock that it has at least")
    parser.add_argument("--every", type=int, default=10_000, help="environment steps between evaluations")
    parser.add_argument("--episodes", type=int, default=10, help="deterministic episodes of an evaluation")
    parser.add_argument("--cores", type=int, default=1, help="that each run is pinned to, with as many threads")
    parser.add_argument("--markdown", action="store_true", help="print the race as docs/benchmarks.md has it")


def run(options: argparse.Namespace) -> dict:
    """Measures what is missing, prints and returns the result."""
    result = report.header("peers", vars(options).copy())
    about = {name: result[name] for name in ("commit", "machine", "started")}
    chosen = seeds.chosen(TASKS, options.only)
    known = _all_known(options)  # what was made otherwise is refused before hours of training
    failed = {}
    if not (options.table or options.markdown):
        failed = _missing(chosen, options, about)
        known = _all_known(options)
    if options.markdown:
        print(standings.markdown(known))
        return result
    standings.tables({task: known[task] for task in chosen}, options.steps or STEPS, options.seconds)
    for name, why in failed.items():
        print(f"failed: {name}: {why}")
    files = {task.name: [run["seed"] for run in runs] for task, runs in known.items()}
    return result | {"seeds": files, "failed": failed, "bars": report.bars(standings.bars(known))}


def starts(episodes: int) -> list[int]:
    """Seeds of the deterministic episodes of an evaluation: those that `softrl.train` gives to its own."""
    from softrl.envs import host
    from softrl.training import hosted

    return host.seeds(hosted.EVALUATION_SEED, 2 * episodes)[:episodes]


def _missing(chosen: list[Task], options: argparse.Namespace, about: dict[str, Any]) -> dict[str, str]:
    """Runs what is not there yet, robot by robot and seed by seed. Returns: what failed, and why."""
    failed, first = {}, starts(options.episodes)
    with pinned(options.cores) as threads:
        for robot, seed in ((robot, seed) for robot in BEST for seed in range(options.seeds)):
            for task in chosen:
                path = seeds.file(options.results, task, seed)
                if task.robot != robot or _finished(path, task, seed, options):
                    continue
                try:
                    seeds.keep(path, _seed(task, seed, options, first, threads) | about)
                except RuntimeError as error:
                    failed[f"{task.name}, seed {seed}"] = str(error)
    return failed


def _all_known(options: argparse.Namespace) -> dict[Task, list[dict[str, Any]]]:
    return {task: _known(task, options) for task in TASKS}


def _finished(path: Path, task: Task, seed: int, options: argparse.Namespace) -> bool:
    if not path.exists():
        return False
    return any(run["seed"] == seed and _enough(task, run["curve"], options) for run in _known(task, options))


def _known(task: Task, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The seeds that are there, however far they went. Raises: RuntimeError where one was made otherwise."""
    runs = seeds.known(options.results, task)
    seeds.require_alike(task, runs, options, ALIKE)
    return runs


def _enough(task: Task, curve: curves.Curve, options: argparse.Namespace) -> bool:
    """Whether a run went as far as is asked for; one that must know its length ends with its steps."""
    return curves.reaches(curve, options.steps, 0.0 if task.contestant in ENDING else options.seconds)


def _seed(
    task: Task, seed: int, options: argparse.Namespace, first: list[int], threads: dict[str, str]
) -> dict[str, Any]:
    print(f"{task.name}, seed {seed}", flush=True)
    _, environment, module, wishes, _ = CONTESTANTS[task.contestant]
    steps = options.steps if task.contestant in ENDING else 10**9  # the others end when they are told to
    changes = {"seed": seed, "steps": steps, "eval_every": options.every, "eval_episodes": options.episodes}
    wishes = wishes | {"env": f"gym/{task.robot}", "changes": changes, "starts": first}
    extra = dict(threads)
    if environment == "peers":
        extra |= dict.fromkeys(THREADS, str(options.cores))
    if task.contestant == f"softrl {FIRST}":
        extra |= protocol.import_from(checkout(FIRST), scripts=protocol.SCRIPTS)
    enough = lambda event: _enough(task, curves.curve([event]), options)
    about, evaluations = watch(module, wishes, options.logs / "peers.log", enough, environment, extra=extra)
    if not evaluations or not enough(evaluations[-1]):
        raise RuntimeError(f"it ended before {options.steps:,} steps and {options.seconds:g} s")
    limits = {name: getattr(options, name) for name in ("steps", "seconds", "every", "episodes", "cores")}
    told = {"contestant": task.contestant, "robot": task.robot, "seed": seed, **limits}
    return told | {"compile_s": evaluations[-1].get("compile_s"), "curve": curves.curve(evaluations), "about": about}
