"""Tables that sort by a click on a column's name, and turn into cards where the page is narrow."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from softrl.config import is_number
from softrl.reporting.report import frame, svg
from softrl.reporting.report.data import Axis, Group, Member, spelled, value_text
from softrl.reporting.report.svg import tag

STATUS = {"done": "finished", "stopped": "stopped early"}
"""Words for a status that does not speak for itself."""


class Column(NamedTuple):
    """name: heading. numeric: right-aligned and sorted as numbers. about: what it is, shown where one points at it."""

    name: str
    numeric: bool = True
    about: str = ""


class Entry(NamedTuple):
    """One place in a table. markup: what is seen; key: what it is sorted by, a number or a text."""

    markup: str
    key: Any


def table(columns: Sequence[Column], rows: Sequence[Sequence[Entry]], *, caption: str, limit: int, by: str = "") -> str:
    """A sortable table. `limit`: rows shown until one asks for all; `by`: the column that they come sorted by, the
    largest first."""
    head = tag("tr", *(_heading(column, column.name == by) for column in columns))
    body = [tag("tr", *(_cell(c, e) for c, e in zip(columns, row, strict=True))) for row in rows]
    parts = [tag("caption", svg.text(caption)), tag("thead", head), tag("tbody", "\n".join(body))]
    if len(rows) <= limit:
        return tag("div", tag("table", *parts), class_="table")
    more = tag("button", f"Show all {len(rows):,}", type="button", class_="more", hidden=True)
    return tag("div", tag("table", *parts, data_limit=limit), more, class_="table")


def _heading(column: Column, first: bool) -> str:
    button = tag("button", svg.text(column.name), type="button", title=column.about or None)
    sort = "descending" if first else "none"
    return tag("th", button, scope="col", class_="number" if column.numeric else None, aria_sort=sort)


def _cell(column: Column, entry: Entry) -> str:
    key = "" if isinstance(entry.key, float) and math.isnan(entry.key) else str(entry.key)
    return tag("td", entry.markup, class_="number" if column.numeric else None, data_key=key, data_label=column.name)


def number(value: float) -> Entry:
    """A number, sorted as one; what is not finite comes last."""
    return Entry(svg.number(value), float(value) if math.isfinite(value) else math.nan)


def count(value: int) -> Entry:
    """A whole number."""
    return Entry(f"{value:,}", value)


def words(value: Any) -> Entry:
    """Text; a number keeps its order."""
    return Entry(svg.text(value_text(value)), float(value) if is_number(value) else value_text(value))


def settings(groups: Sequence[Group], axes: Sequence[Axis]) -> str:
    """A row for every setting of one robot."""
    columns = [Column("rank"), *(_axis_column(axis, [group.members[0] for group in groups]) for axis in axes)]
    columns += [
        Column("return", about="interquartile mean of the members' last evaluation"),
        Column("95 % interval", about="stratified bootstrap interval of the interquartile mean"),
        Column("mean", about="mean of the members' last evaluation"),
        Column("median", about="median of the members' last evaluation"),
        Column("best", about="highest last evaluation of a member"),
        Column("n", about="members with a finite return"),
        Column("diverged", about="members that stopped learning because their numbers became non-finite"),
    ]
    cells = [group.cell for group in groups]
    drawn = [value for cell in cells for value in (cell.iqm, cell.low, cell.high)]
    scale = svg.spanning(frame.robust(drawn, drawn)[0], 3.0, 97.0, margin=0.02)
    rows = [
        [
            Entry(tag("span", _swatch(rank - 1), str(rank), class_="nowrap"), rank),
            *(words(cell.setting[axis.name]) for axis in axes),
            Entry(tag("strong", svg.number(cell.iqm)), cell.iqm),
            Entry(_whisker(cell, scale), cell.low),
            number(cell.mean),
            number(cell.median),
            number(cell.best),
            count(cell.n),
            Entry(tag("span", str(cell.diverged), class_="bad" if cell.diverged else None), cell.diverged),
        ]
        for rank, cell in enumerate(cells, start=1)
    ]
    caption = "Settings, by the interquartile mean of the last evaluation"
    return table(columns, rows, caption=caption, limit=40, by="return")


def _axis_column(axis: Axis, some: Sequence[Member]) -> Column:
    return Column(axis.name, numeric=all(is_number(member.setting[axis.name]) for member in some))


def _swatch(index: int) -> str:
    return tag("i", class_=f"swatch c{index}", aria_hidden="true") if index < 8 else ""


def _whisker(cell: Any, scale: svg.Scale) -> str:
    """The interval as numbers and as a small picture on a scale that all rows share."""
    if not math.isfinite(cell.low):
        return tag("span", "one run" if cell.n == 1 else "–", class_="faint")
    low, high, middle = (min(max(scale(value), 0.0), 100.0) for value in (cell.low, cell.high, cell.iqm))
    line = tag("path", d=f"M{low:.1f} 6H{high:.1f}", class_="whisker")
    dot = tag("circle", cx=middle, cy=6, r=3, class_="mean")
    picture = tag("svg", line, dot, viewBox="0 0 100 12", class_="spark", aria_hidden="true")
    return picture + tag("span", f"{svg.number(cell.low)} to {svg.number(cell.high)}", class_="nowrap")


def members(all_members: Sequence[Member], axes: Sequence[Axis], *, tasks: bool) -> str:
    """A row for every member. `tasks`: whether there is more than one robot."""
    columns = [Column("member", numeric=False)]
    columns += [Column("env", numeric=False)] if tasks else []
    columns += [_axis_column(axis, all_members) for axis in axes]
    columns += [
        Column("seed"),
        Column("return", about="deterministic policy, last evaluation"),
        Column("± std", about="over the episodes of that evaluation"),
        Column("best", about="highest of all its evaluations"),
        Column("steps", about="environment steps at the last evaluation"),
        Column("status", numeric=False),
    ]
    ordered = sorted(all_members, key=lambda m: -m.final if math.isfinite(m.final) else math.inf)
    rows = [
        [
            Entry(svg.text(member.id), member.id if not member.id.isdigit() else int(member.id)),
            *([words(member.task)] if tasks else []),
            *(words(member.setting[axis.name]) for axis in axes),
            count(member.seed),
            Entry(tag("strong", svg.number(member.final)), member.final),
            number(_last(member, "return_std")),
            number(member.peak),
            count(int(member.steps[-1]) if len(member.steps) else 0),
            _status(member),
        ]
        for member in ordered
    ]
    return table(columns, rows, caption="Members, by their last evaluation", limit=25, by="return")


def _last(member: Member, series: str) -> float:
    values = member.series.get(series)
    return float(values[-1]) if values is not None and len(values) else math.nan


def _status(member: Member) -> Entry:
    word = STATUS.get(member.status, member.status)
    return Entry(tag("span", svg.text(word), class_=f"badge {member.status}"), word)


def failures(some: Sequence[Member]) -> str:
    """A row for every member that diverged, with its cause."""
    columns = [Column("member", numeric=False), Column("setting", numeric=False), Column("seed"), Column("at step")]
    columns += [Column("cause", numeric=False), Column("last return")]
    rows = [
        [
            words(member.id),
            words(spelled(member.setting, member.task)),
            count(member.seed),
            count(member.at) if member.at is not None else number(math.nan),
            words(member.cause),
            number(member.final),
        ]
        for member in some
    ]
    return table(columns, rows, caption="Members that stopped learning", limit=25)


def pairs(values: Mapping[str, Any], caption: str, *, marked: Sequence[str] = ()) -> str:
    """Names and values, two columns, not sortable. `marked`: names that a sweep varies."""
    rows = []
    for name, value in values.items():
        said = tag("em", "varied") if name.split(".")[-1] in marked else svg.text(value_text(value))
        rows.append(tag("tr", tag("th", svg.text(name), scope="row"), tag("td", said)))
    return tag("table", tag("caption", svg.text(caption)), tag("tbody", *rows), class_="pairs")


def evaluations(member: Member, training: Sequence[str]) -> str:
    """A row for every evaluation of a single run, newest first. `training`: more of its series to show."""
    columns = [Column("steps"), Column("return"), Column("± std"), Column("sampling policy"), *map(Column, training)]
    names = ("return_mean", "return_std", "stochastic_return_mean", *training)
    rows = [
        [count(int(step)), *(number(float(member.series[name][i])) for name in names)]
        for i, step in reversed(list(enumerate(member.steps)))
    ]
    return table(columns, rows, caption="Evaluations", limit=25, by="steps")
