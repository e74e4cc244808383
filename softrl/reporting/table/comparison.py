"""Algorithms beside each other: a cell for every task and column, scores over tasks, and what must be known of them."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from softrl.errors import require_known
from softrl.reporting.report.data import digits, spelled
from softrl.reporting.table import measures, published, scores
from softrl.reporting.table.measures import Measure
from softrl.reporting.table.results import Result
from softrl.sweep.statistics import Interval, bootstrap

THRESHOLDS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2)
"""Where tables show the performance profile, in normalised scores."""


class Row(NamedTuple):
    """A task of a suite. name: as the table has it. steps: environment steps that were asked for, the most of all."""

    name: str
    suite: str
    task: str
    steps: int


class Cell(NamedTuple):
    """mean and sample standard deviation over the n seeds with a finite number, of so many runs; std NaN with one."""

    mean: float
    std: float
    n: int
    runs: int


class Scale(NamedTuple):
    """A task's normalisation, (x − zero) / (one − zero). by: whose number `one` is."""

    zero: float
    one: float
    by: str


class Summary(NamedTuple):
    """A column's normalised scores over the common tasks. profile: at `THRESHOLDS`. improvement: the chance that the
    column with the highest IQM beats this one; NaN for that one itself."""

    mean: Interval
    median: Interval
    iqm: Interval
    profile: tuple[Interval, ...]
    improvement: Interval


class Panel(NamedTuple):
    """One measure.

    values: (row, column) → (seed, number) of every run. cells: (row, column) → cell, published ones too. scales: of
    rows that have one. common: rows that every scored column has, on a scale; the summaries are of these. best: the
    column with the highest IQM. missing: columns without any number; apart: with too few to be scored.
    """

    measure: Measure
    values: dict[tuple[str, str], list[tuple[int, float]]]
    cells: dict[tuple[str, str], Cell]
    scales: dict[str, Scale]
    common: tuple[str, ...]
    summaries: dict[str, Summary]
    best: str
    missing: tuple[str, ...]
    apart: tuple[str, ...]


class Comparison(NamedTuple):
    """rows, columns (measured), others (published) by name; a panel a measure; shared: settings beside presets' that
    all runs have; results: what it is all made of, without those."""

    shared: dict[str, Any]
    rows: tuple[Row, ...]
    columns: tuple[str, ...]
    others: dict[str, published.Column]
    panels: tuple[Panel, ...]
    results: tuple[Result, ...]


def compare(
    results: Sequence[Result],
    others: Sequence[published.Column] = (),
    *,
    at_steps: int | None = None,
    at_seconds: float | None = None,
    reference: str | None = None,
) -> Comparison:
    """The comparison of some results.

    Args:
      others: published columns. at_steps, at_seconds: ask for more measures.
      reference: of this column the score is 1 in every task; by default of the best published number at the same steps,
        where there is none of the best column. 0 is a return of 0, or where that is no less than the reference, the
        mean return before training.
    Raises: ConfigError: there is no column `reference`.
    """
    shared, results = _without_shared(results)
    rows, columns = _rows(results), tuple(dict.fromkeys(column_names(results)))
    by_name = {_other_name(other, columns): other for other in others}
    if reference is not None:
        require_known("column", reference, (*columns, *by_name))
    wanted = measures.wanted(at_steps, at_seconds)
    panels = tuple(_panel(measure, rows, columns, results, by_name, reference) for measure in wanted)
    shown = {name: other for name, other in by_name.items() if any(name == key[1] for p in panels for key in p.cells)}
    return Comparison(shared, rows, columns, shown, panels, tuple(results))


def _without_shared(results: Sequence[Result]) -> tuple[dict[str, Any], list[Result]]:
    first = results[0].setting if results else {}
    shared = {
        name: value
        for name, value in first.items()
        if all(name in result.setting and result.setting[name] == value for result in results)
    }
    bare = [{name: value for name, value in r.setting.items() if name not in shared} for r in results]
    return shared, [result._replace(setting=setting) for result, setting in zip(results, bare, strict=True)]


def column_names(results: Sequence[Result]) -> list[str]:
    """Of each result algorithm, preset and what differs from it: `sac tuned · gamma 0.95`."""
    enough = digits(result.setting for result in results)
    names = (" ".join(filter(None, (result.algorithm, result.preset))) for result in results)
    settings = (spelled(result.setting, "", digits=enough) for result in results)
    return [" · ".join(filter(None, both)) for both in zip(names, settings, strict=True)]


def _other_name(other: published.Column, columns: Sequence[str]) -> str:
    return f"{other.algorithm} (published)" if other.algorithm in columns else other.algorithm


def _rows(results: Sequence[Result]) -> tuple[Row, ...]:
    many = len({result.suite for result in results}) > 1
    steps: dict[tuple[str, str], int] = {}
    for result in results:
        key = result.suite, result.task
        steps[key] = max(steps.get(key, 0), result.steps)
    named = (
        (f"{suite}: {task}" if many and suite else task, suite, task, most) for (suite, task), most in steps.items()
    )
    return tuple(Row(*row) for row in named)


def _panel(
    measure: Measure,
    rows: Sequence[Row],
    columns: Sequence[str],
    results: Sequence[Result],
    others: dict[str, published.Column],
    reference: str | None,
) -> Panel:
    names = {(row.suite, row.task): row.name for row in rows}
    values: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for result, column in zip(results, column_names(results), strict=True):
        key = names[result.suite, result.task], column
        values.setdefault(key, []).append((result.seed, measure.of(result)))
    measured = {key: _cell([number for _, number in some]) for key, some in values.items()}
    published_ = _published(measure, rows, others)
    scales = _scales(rows, measured, published_, results, reference)
    there = [name for name in columns if any(cell.n for (_, column), cell in measured.items() if column == name)]
    scaled = [row.name for row in rows if row.name in scales]
    scored, common = _most(scaled, there, lambda row, name: _n(measured, row, name) > 0, 1 if published_ else 2)
    normal = {name: [_normal(values[row, name], scales[row]) for row in common] for name in scored if common}
    best = max(normal, key=lambda name: float(scores.interquartile_mean(normal[name])), default="")
    summaries = {name: _summary(mine, normal[best], alone=name == best) for name, mine in normal.items()}
    for name in others:
        if common and all((row, name) in published_ for row in common):
            mine = [_normal([(0, published_[row, name].mean)], scales[row]) for row in common]
            summaries[name] = _of_means(mine)
    missing, apart = (tuple(x for x in some if x not in less) for some, less in ((columns, there), (there, scored)))
    return Panel(measure, values, {**measured, **published_}, scales, common, summaries, best, missing, apart)


def _most(
    rows: Sequence[str], columns: Sequence[str], has: Callable[[str, str], bool], least: int
) -> tuple[list[str], tuple[str, ...]]:
    """The columns to score and the rows that all of them have: as many numbers as can be, so that one column that was
    only begun takes no task from the others. Whoever has the fewest rows is left out first, down to `least` columns."""
    kept, found = list(columns), []
    while True:
        common = tuple(row for row in rows if all(has(row, name) for name in kept))
        found.append((len(kept) * len(common), kept, common))
        if len(kept) <= least:
            return max(found, key=lambda one: one[0])[1:]  # of equals the one with the most columns
        fewest = min(kept, key=lambda name: sum(has(row, name) for row in rows))
        kept = [name for name in kept if name != fewest]


def _n(cells: dict[tuple[str, str], Cell], row: str, column: str) -> int:
    return cells[row, column].n if (row, column) in cells else 0


def _cell(numbers: Sequence[float]) -> Cell:
    some = np.array([number for number in numbers if math.isfinite(number)])
    mean = float(np.mean(some)) if len(some) else math.nan
    return Cell(mean, float(np.std(some, ddof=1)) if len(some) > 1 else math.nan, len(some), len(numbers))


def _published(
    measure: Measure, rows: Sequence[Row], others: dict[str, published.Column]
) -> dict[tuple[str, str], Cell]:
    found = {}
    for row in rows:
        for name, other in others.items():
            number = other.at(row.task, row.steps if measure.steps is None else measure.steps)
            if number is not None:
                spread = math.nan if number.spread is None else float(number.spread)
                found[row.name, name] = Cell(float(number.mean), spread, other.seeds, other.seeds)
    return found


def _scales(
    rows: Sequence[Row],
    measured: dict[tuple[str, str], Cell],
    others: dict[tuple[str, str], Cell],
    results: Sequence[Result],
    reference: str | None,
) -> dict[str, Scale]:
    found = {}
    for row in rows:
        for cells in ({**measured, **others},) if reference else (others, measured):
            mine = {column: cell.mean for (name, column), cell in cells.items() if name == row.name and cell.n}
            if reference:
                mine = {column: mean for column, mean in mine.items() if column == reference}
            if mine:
                by = max(mine, key=lambda column: mine[column])
                zero = 0.0 if mine[by] > 0 else _untrained(row, results)
                if zero < mine[by]:
                    found[row.name] = Scale(zero, mine[by], by)
                break
    return found


def _untrained(row: Row, results: Sequence[Result]) -> float:
    starts = [measures.start(result) for result in results if (result.suite, result.task) == (row.suite, row.task)]
    return _cell(starts).mean


def _normal(values: Sequence[tuple[int, float]], scale: Scale) -> np.ndarray:
    some = np.array([number for _, number in values if math.isfinite(number)])
    return (some - scale.zero) / (scale.one - scale.zero)


def _summary(mine: scores.Scores, best: scores.Scores, *, alone: bool) -> Summary:
    nothing = Interval(math.nan, math.nan, math.nan, 0)
    return Summary(
        *(bootstrap(of, mine) for of in (scores.mean, scores.median, scores.interquartile_mean)),
        profile=tuple(bootstrap(lambda some, at=at: scores.above(some, at), mine) for at in THRESHOLDS),
        improvement=nothing if alone else bootstrap(scores.improvement, best, mine),
    )


def _of_means(mine: scores.Scores) -> Summary:
    """Of published means there are a mean and a median over tasks; what needs single seeds is not to be had."""
    nothing = Interval(math.nan, math.nan, math.nan, 0)
    return Summary(bootstrap(scores.mean, mine), bootstrap(scores.median, mine), nothing, (), nothing)


def matrices(panel: Panel) -> dict[str, list[list[float]]]:
    """Column → normalised scores [seeds, common tasks], as rliable reads them: of seeds that every common task has."""
    found = {}
    for column in (name for name, summary in panel.summaries.items() if summary.profile):
        rows = [_by_seed(panel.values[row, column], panel.scales[row]) for row in panel.common]
        shared = [seed for seed in rows[0] if all(seed in row for row in rows)]
        found[column] = [[row[seed] for row in rows] for seed in shared]
    return found


def _by_seed(values: Sequence[tuple[int, float]], scale: Scale) -> dict[tuple[int, int], float]:
    """(seed, how many of it came before) → score; a search may have several members of one seed."""
    before: Counter[int] = Counter()
    found = {}
    for seed, number in values:
        if math.isfinite(number):
            found[seed, before[seed]] = (number - scale.zero) / (scale.one - scale.zero)
        before[seed] += 1
    return found
