"""A comparison as plain grids of text, and the sentences under them, whatever they are written to."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from softrl.reporting.report import svg
from softrl.reporting.report.data import spelled
from softrl.reporting.table.comparison import THRESHOLDS, Cell, Comparison, Panel, column_names
from softrl.sweep.statistics import Interval

NOTHING = "–"


class Entry(NamedTuple):
    """text: what is seen. key: what it is sorted by; NaN comes last."""

    text: str
    key: float | str


class Grid(NamedTuple):
    """title: heading. about: sentences under it. heads: of the columns, the first one's of words, then of numbers."""

    title: str
    about: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]


def grids(comparison: Comparison) -> list[Grid]:
    """All grids, measure by measure: returns by task; scores over tasks; profile; probability of improvement."""
    found = []
    for panel in comparison.panels:
        found.append(_returns(comparison, panel))
        if panel.common and len(panel.summaries) > 1:  # a column alone would be measured by itself
            found += [_scores(panel), _profile(panel)]
        if sum(bool(summary.profile) for summary in panel.summaries.values()) > 1:
            found.append(_improvement(panel))
    return found


def _returns(comparison: Comparison, panel: Panel) -> Grid:
    others = [name for name in comparison.others if any(name == column for _, column in panel.cells)]
    columns = [*comparison.columns, *others]
    rows = tuple(
        (Entry(row.name, row.name), *(_cell(panel.cells.get((row.name, name))) for name in columns))
        for row in comparison.rows
    )
    about = f"{panel.measure.about} Mean ± standard deviation over seeds (number of seeds)."
    marked = (f"{name} †" if name in others and not comparison.others[name].comparable else name for name in columns)
    return Grid(_capital(panel.measure.name), about, ("task", *marked), rows)


def _cell(cell: Cell | None) -> Entry:
    if cell is None:
        return Entry(NOTHING, math.nan)
    count = str(cell.n) if cell.n == cell.runs else f"{cell.n} of {cell.runs}"
    if not cell.n:
        return Entry(f"{NOTHING} ({count})", math.nan)
    decimals = max(0, 2 - math.floor(math.log10(max(abs(cell.mean), 0.01))))
    spread = f" ± {cell.std:,.{decimals}f}" if math.isfinite(cell.std) else ""
    return Entry(f"{cell.mean:,.{decimals}f}{spread} ({count})".replace("-", "−"), cell.mean)


def _scores(panel: Panel) -> Grid:
    rows = tuple(
        (Entry(name, name), _interval(summary.mean), _interval(summary.median), _interval(summary.iqm))
        for name, summary in panel.summaries.items()
    )
    tasks = "1 task" if len(panel.common) == 1 else f"{len(panel.common)} tasks"
    scales = (
        f"{row} {svg.number(panel.scales[row].one)} ({panel.scales[row].by})"
        + (f" with 0 at {svg.number(panel.scales[row].zero)}" if panel.scales[row].zero else "")
        for row in panel.common
    )
    about = (
        f"Over {tasks}, with 95 % intervals of a stratified bootstrap. A score of 1 is: {'; '.join(scales)}. "
        "IQM: the mean of the middle half of all runs."
    )
    return Grid(f"Scores: {panel.measure.name}", about, ("column", "mean", "median", "IQM"), rows)


def _profile(panel: Panel) -> Grid:
    rows = tuple(
        (Entry(name, name), *map(_interval, summary.profile))
        for name, summary in panel.summaries.items()
        if summary.profile
    )
    about = "The share of runs whose score is above a threshold, mean over tasks, with 95 % intervals."
    return Grid(
        f"Performance profile: {panel.measure.name}", about, ("column", *(f"> {at:g}" for at in THRESHOLDS)), rows
    )


def _improvement(panel: Panel) -> Grid:
    rows = tuple(
        (Entry(name, name), _interval(summary.improvement))
        for name, summary in panel.summaries.items()
        if summary.profile and name != panel.best
    )
    about = f"The chance that a run of {panel.best}, the column with the highest IQM, beats one of another on a task."
    return Grid(f"Probability of improvement: {panel.measure.name}", about, ("over", "probability"), rows)


def _interval(one: Interval) -> Entry:
    if not math.isfinite(one.point):
        return Entry(NOTHING, math.nan)
    spread = f" [{_share(one.low)}, {_share(one.high)}]" if math.isfinite(one.low) else ""
    return Entry(f"{_share(one.point)}{spread}", one.point)


def _share(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def notes(comparison: Comparison) -> list[str]:
    """What must be known beside the numbers, in sentences."""
    results, said = comparison.results, []
    if comparison.shared:
        said.append(f"All runs: {spelled(comparison.shared)}.")
    named = zip(column_names(results), results, strict=True)
    open_ = [f"{column} on {r.task}, seed {r.seed}" for column, r in named if not r.finished]
    if open_:
        more = f" and {len(open_) - 5} more" if len(open_) > 5 else ""
        said.append(f"Not at their last step, {len(open_)} of {len(results)} runs: {'; '.join(open_[:5])}{more}.")
    said += [
        f"{row}: runs of {' and of '.join(lengths)} steps stand beside each other; --at-steps compares at one."
        for row, lengths in _unequal(comparison)
    ]
    said += _of_panels(comparison)
    groups: dict[str, list[str]] = {}
    for name, other in comparison.others.items():
        if not other.comparable:
            groups.setdefault(other.reason, []).append(name)
    said += [f"† Not comparable ({reason}): {'; '.join(names)}." for reason, names in groups.items()]
    said += [
        f"{name}: {other.source}; {other.environments}, {other.returns}." for name, other in comparison.others.items()
    ]
    own = dict.fromkeys(str(r.about["note"]) for r in results if r.about.get("note"))
    return [*said, *own]


def _unequal(comparison: Comparison) -> Iterator[tuple[str, list[str]]]:
    """Tasks in which runs were asked for different numbers of steps, and those numbers."""
    for row in comparison.rows:
        steps = {r.steps for r in comparison.results if (r.suite, r.task) == (row.suite, row.task)}
        if len(steps) > 1:
            yield row.name, [f"{one:,}" for one in sorted(steps)]


def _of_panels(comparison: Comparison) -> list[str]:
    said: dict[str, None] = {}
    for panel in comparison.panels:
        name = panel.measure.name
        for column in panel.missing:
            said[f"{_capital(name)}: no run of {column} has one."] = None
        for column in panel.apart:
            tasks = sum(cell.n > 0 for (_, of), cell in panel.cells.items() if of == column)
            said[
                f"{_capital(name)}: {column} is left out of the scores, because it has {tasks} of "
                f"{len(comparison.rows)} tasks."
            ] = None
        left = [row.name for row in comparison.rows if row.name not in panel.common]
        if left:
            said[
                f"{_capital(name)}: left out of the scores, because a column has no number or there is no scale: "
                f"{', '.join(left)}."
            ] = None
        one = [column for column, s in panel.summaries.items() if s.profile and not math.isfinite(s.iqm.low)]
        if one:
            said[f"No interval, because a task has one seed: {', '.join(one)}."] = None
    return list(said)


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
