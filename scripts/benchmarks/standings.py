"""What the finished seeds of `scripts/bench peers` say: tables by step and by second, bars, a table for a page."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import curves, report
from benchmarks.contestants import BEST, FIRST, PAIRED, PUBLISHED_PAIR, RACED, RACERS, SBX, SECONDS, STEPS, Task
from benchmarks.report import Bar
from softrl.sweep.statistics import Interval, bootstrap

Known = Mapping[Task, Sequence[Mapping[str, Any]]]
"""Task -> its finished seeds, however far they went."""

Means = Mapping[tuple[str, str], float]
"""(contestant, robot) -> mean return over seeds; what is not there was not measured."""


def _values(runs: Sequence[Mapping[str, Any]], what: str, axis: str, value: float) -> list[float]:
    """Of the runs that went so far."""
    values = [curves.at(run["curve"], what, axis, value) for run in runs]
    return [value for value in values if not math.isnan(value)]


def _means(known: Known, axis: str, value: float) -> Means:
    """Of the tasks that have a run that went so far."""
    values = {task: _values(runs, "return", axis, value) for task, runs in known.items()}
    return {(task.contestant, task.robot): statistics.fmean(each) for task, each in values.items() if each}


def tables(known: Known, until: int, clock: float) -> None:
    """Prints returns after so many environment steps and so many seconds, seeds that went so far, and differences."""
    steps, seconds = f"at {until:,} steps", f"at {clock:g} s"
    least = ["least", "most", "seeds"]
    columns = ["", steps, *least, seconds, *least, f"seconds to {until:,}", "updates/s"]
    rows = [_row(task, runs, until, clock) for task, runs in known.items() if runs]
    report.table("mean return of the policy's mode, over seeds", columns, rows)
    by_steps, by_clock = _means(known, "env_steps", until), _means(known, "clock_s", clock)
    names = dict.fromkeys(task.contestant for task, runs in known.items() if runs)
    rows = [[name, *_share(by_steps, name), *_share(by_clock, name)] for name in names]
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


def _share(means: Means, name: str) -> list[Any]:
    """Mean and least over the robots on which it was measured, and how many these are."""
    robots = [robot for robot in BEST if (name, robot) in means]
    share = shares(means, name, robots)
    return [float(share.mean()), float(share.min()), len(robots)] if robots else ["", "", 0]


def _row(task: Task, runs: Sequence[Mapping[str, Any]], steps: int, seconds: float) -> list[Any]:
    row: list[Any] = [task.name]
    for axis, value in (("env_steps", steps), ("clock_s", seconds)):
        returns = _values(runs, "return", axis, value)
        row += [statistics.fmean(returns), min(returns), max(returns), len(returns)] if returns else ["", "", "", 0]
    clocks = _values(runs, "clock_s", "env_steps", steps)
    rates = [curves.updates_per_s(run["curve"], steps) for run in runs]
    return [*row, statistics.fmean(clocks) if clocks else "", statistics.fmean(rates)]


def differences(known: Known) -> dict[str, Interval]:
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


def bars(known: Known) -> list[Bar]:
    """All bars that the finished seeds are held to."""
    by_steps, by_clock = (_means(known, axis, value) for axis, value in (("env_steps", STEPS), ("clock_s", SECONDS)))
    return claims(by_steps, by_clock) + alike(known)


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


def alike(known: Known) -> list[Bar]:
    """The bars of `differences`: none that is surely negative."""
    apart, (ours, theirs) = differences(known), PUBLISHED_PAIR
    highs = {robot: apart[robot].high if robot in apart else math.nan for robot in PAIRED}
    return [
        Bar(f"{ours} less {theirs}, {robot}, upper end of the 95 % interval", high, 0.0)
        for robot, high in highs.items()
    ]


def markdown(known: Known) -> str:
    """The race as a table: returns after ten minutes, and their mean share of the best published."""
    by_clock = _means(known, "clock_s", SECONDS)
    names = [name for name in RACERS if any((name, robot) in by_clock for robot in RACED)]
    rows = [[robot, *(_cell(known.get(Task(name, robot), [])) for name in names)] for robot in RACED]
    mean = [float(shares(by_clock, name, RACED).mean()) for name in names]
    rows.append(["share of the best published, mean", *("" if math.isnan(share) else share for share in mean)])
    return report.markdown(["", *names], rows)


def _cell(runs: Sequence[Mapping[str, Any]]) -> str:
    returns = _values(runs, "return", "clock_s", SECONDS)
    if not returns:
        return ""
    spread = f" ± {statistics.stdev(returns):,.0f}" if len(returns) > 1 else ""
    return f"{statistics.fmean(returns):,.0f}{spread} ({len(returns)})"
