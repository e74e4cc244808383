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
import math
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import curves, protocol, report, seeds
from benchmarks.against import checkout
from benchmarks.cores import THREADS, pinned
from benchmarks.report import Bar
from benchmarks.runs import watch
from benchmarks.turns import Contestant
from softrl.reporting.table import published
from softrl.sweep.statistics import Interval, bootstrap

STEPS, SECONDS = 100_000, 600.0
"""Where the bars are stated."""

ROBOTS = ("HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Ant-v5", "Humanoid-v5")
PUBLISHED = published.read(Path(__file__).resolve().parents[2] / "experiments" / "locomotion" / "published.toml")
BEST = {
    robot: max(number.mean for column in PUBLISHED if (number := column.at(f"gym/{robot}", STEPS))) for robot in ROBOTS
}
"""Robot -> the best mean return at 100,000 environment steps that we know of as published, all of them on version 4."""

ALIKE = ("cores", "every", "episodes")
"""Options that the numbers of one table must have in common."""

ENDING = ("softrl sample-efficient",)
"""Contestants whose rates fall along the run, which must know its length and ends there."""

FIRST = "b203bf6"
"""The commit whose only preset for the host was the published algorithm with layer norm and faster rates."""

PUBLISHED_PAIR = ("softrl classic", "rl-baselines3-zoo SAC")
"""The published algorithm twice, with one warm-up and one set of rates."""

PAIRED = ("HalfCheetah-v5", "Hopper-v5", "Walker2d-v5")
"""Robots on which softrl's must not be behind."""

RACED = ("HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Ant-v5")
"""Robots of the bar at the clock."""

SIMBA = {"policy": "SimbaPolicy", "normalize_obs": True, "policy_kwargs": {"net_arch": {"pi": [128], "qf": [256, 256]}}}
"""As its paper has it (Lee et al. 2024, arXiv:2410.09754), observations normalised, but for critics of 256, not 512."""


def _softrl(preset: str) -> Contestant:
    return Contestant(f"softrl {preset}", "softrl", "softrl_return", {"preset": preset, "in_memory": True})


def _peer(name: str, library: str, algorithm: str, **more: Any) -> Contestant:
    return Contestant(name, "peers", "peers_return", {"library": library, "algorithm": algorithm, **more})


_ALL = (
    _softrl("tuned"),
    _softrl("sample-efficient"),
    _softrl("classic"),
    Contestant(f"softrl {FIRST}", "softrl", "softrl_return", {"in_memory": True}),
    _peer("SBX SAC", "sbx", "SAC"),
    _peer("SBX TQC", "sbx", "TQC"),
    _peer("SBX CrossQ", "sbx", "CrossQ"),
    _peer("SBX SimBa", "sbx", "SAC", **SIMBA),
    _peer("Stable-Baselines3 SAC", "stable_baselines3", "SAC"),
    _peer("rl-baselines3-zoo SAC", "stable_baselines3", "SAC", learning_starts=10_000),
)
CONTESTANTS = {contestant.name: contestant for contestant in _ALL}
SBX = tuple(name for name in CONTESTANTS if name.startswith("SBX"))


class Task(NamedTuple):
    """One contestant on one robot."""

    contestant: str
    robot: str

    @property
    def name(self) -> str:
        """For files and tables."""
        return f"{self.contestant} {self.robot}"


TASKS = tuple(Task(contestant, robot) for robot in BEST for contestant in CONTESTANTS)
RESULTS = Path(__file__).resolve().parents[2] / "experiments" / "peers"

Means = Mapping[tuple[str, str], float]
"""(contestant, robot) -> mean return over seeds; what is not there was not measured."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's flags."""
    seeds.arguments(parser, RESULTS)
    parser.add_argument("--steps", type=int, default=STEPS, help="environment steps that each run makes at least")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of the training clock that it has at least")
    parser.add_argument("--every", type=int, default=10_000, help="environment steps between evaluations")
    parser.add_argument("--episodes", type=int, default=10, help="deterministic episodes of an evaluation")
    parser.add_argument("--cores", type=int, default=1, help="that each run is pinned to, with as many threads")


def run(options: argparse.Namespace) -> dict:
    """Measures what is missing, prints and returns the result."""
    result = report.header("peers", vars(options).copy())
    about = {name: result[name] for name in ("commit", "machine", "started")}
    chosen = seeds.chosen(TASKS, options.only)
    known = _all_known(options)  # what was made otherwise is refused before hours of training
    failed = {} if options.table else _missing(chosen, options, about)
    known = known if options.table else _all_known(options)
    _tables({task: known[task] for task in chosen}, options)
    for name, why in failed.items():
        print(f"failed: {name}: {why}")
    by_steps, by_clock = (_means(known, axis, value) for axis, value in (("env_steps", STEPS), ("clock_s", SECONDS)))
    files = {task.name: [run["seed"] for run in runs] for task, runs in known.items()}
    bars = report.bars(claims(by_steps, by_clock) + alike(known))
    return result | {"seeds": files, "failed": failed, "bars": bars}


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


def _values(runs: list[dict[str, Any]], what: str, axis: str, value: float) -> list[float]:
    """Of the runs that went so far."""
    values = [curves.at(run["curve"], what, axis, value) for run in runs]
    return [value for value in values if not math.isnan(value)]


def _means(known: Mapping[Task, list[dict[str, Any]]], axis: str, value: float) -> Means:
    """Of the tasks that have a run that went so far."""
    values = {task: _values(runs, "return", axis, value) for task, runs in known.items()}
    return {(task.contestant, task.robot): statistics.fmean(each) for task, each in values.items() if each}


def _tables(known: Mapping[Task, list[dict[str, Any]]], options: argparse.Namespace) -> None:
    until = options.steps or STEPS
    steps, seconds = f"at {until:,} steps", f"at {options.seconds:g} s"
    least = ["least", "most", "seeds"]
    columns = ["", steps, *least, seconds, *least, f"seconds to {until:,}", "updates/s"]
    rows = [_row(task, runs, until, options.seconds) for task, runs in known.items() if runs]
    report.table("mean return of the policy's mode, over seeds", columns, rows)
    by_steps, by_clock = _means(known, "env_steps", until), _means(known, "clock_s", options.seconds)
    names = dict.fromkeys(task.contestant for task, runs in known.items() if runs)
    rows = []
    for name in names:
        row = [name]
        for means in (by_steps, by_clock):
            robots = [robot for robot in BEST if (name, robot) in means]
            share = shares(means, name, robots)
            row += [float(share.mean()), float(share.min()), len(robots)] if robots else ["", "", 0]
        rows.append(row)
    least = ["least robot", "robots"]
    report.table(
        f"return as a share of the best published at {STEPS:,} steps, over robots",
        ["", steps, *least, seconds, *least],
        rows,
    )
    rows = [[robot, one.point, one.low, one.high] for robot, one in differences(known).items()]
    report.table(f"{' less '.join(PUBLISHED_PAIR)}, {STEPS:,} steps", ["", "mean", "95 % from", "to"], rows)
    absent = [task.name for task, runs in known.items() if not runs]
    if absent:
        print(f"\nnot measured yet: {', '.join(absent)}")


def _row(task: Task, runs: list[dict[str, Any]], steps: int, seconds: float) -> list[Any]:
    row: list[Any] = [task.name]
    for axis, value in (("env_steps", steps), ("clock_s", seconds)):
        returns = _values(runs, "return", axis, value)
        row += [statistics.fmean(returns), min(returns), max(returns), len(returns)] if returns else ["", "", "", 0]
    clocks = _values(runs, "clock_s", "env_steps", steps)
    rates = [curves.updates_per_s(run["curve"], steps) for run in runs]
    return [*row, statistics.fmean(clocks) if clocks else "", statistics.fmean(rates)]


def differences(known: Mapping[Task, list[dict[str, Any]]]) -> dict[str, Interval]:
    """Robot -> mean return after 100,000 steps of softrl's `classic` less that of Stable-Baselines3's SAC by the same
    settings, with its bootstrap interval; where both were run."""
    found = {}
    for robot in PAIRED:
        ours, theirs = (
            np.asarray(_values(known.get(Task(name, robot), []), "return", "env_steps", STEPS))
            for name in PUBLISHED_PAIR
        )
        if len(ours) and len(theirs):
            apart = lambda a, b: a[0].mean(-1) - b[0].mean(-1)
            found[robot] = bootstrap(apart, [ours], [theirs])
    return found


def shares(means: Means, contestant: str, robots: list[str] | tuple[str, ...] = tuple(BEST)) -> np.ndarray:
    """A contestant's mean return as a share of the best published one, by robot; NaN where it was not measured."""
    return np.asarray([means.get((contestant, robot), math.nan) / BEST[robot] for robot in robots])


def claims(by_steps: Means, by_clock: Means) -> list[Bar]:
    """The bars, of returns at 100,000 steps and at 600 s; one that needs a row that is missing was not measured."""
    name = "softrl sample-efficient"
    efficient, tuned = shares(by_steps, name), shares(by_clock, "softrl tuned", RACED).mean()
    # NumPy's maximum, unlike Python's, is NaN where one is: a peer that did not run is not beaten.
    best = np.max([shares(by_clock, peer, RACED).mean() for peer in SBX])
    first = shares(by_clock, f"softrl {FIRST}", RACED).mean()
    return [
        Bar(f"{name} at {STEPS:,} steps, share of the best published, mean", float(efficient.mean()), 0.85),
        Bar(f"{name} at {STEPS:,} steps, share of the best published, least", float(efficient.min()), 0.5),
        Bar(f"{name} at {STEPS:,} steps, HalfCheetah-v5", by_steps.get((name, "HalfCheetah-v5"), math.nan), 8_500.0),
        Bar(f"softrl tuned at {SECONDS:g} s, times the best of SBX, mean of four robots", float(tuned / best), 2.0),
        Bar(f"softrl tuned at {SECONDS:g} s, times softrl {FIRST}, mean of four robots", float(tuned / first), 1.5),
    ]


def alike(known: Mapping[Task, list[dict[str, Any]]]) -> list[Bar]:
    """The bars of `differences`: none that is surely negative."""
    apart, (ours, theirs) = differences(known), PUBLISHED_PAIR
    highs = {robot: apart[robot].high if robot in apart else math.nan for robot in PAIRED}
    return [
        Bar(f"{ours} less {theirs}, {robot}, upper end of the 95 % interval", high, 0.0)
        for robot, high in highs.items()
    ]
