"""Learning curves: the interquartile mean of each setting over environment steps, with its interval."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from softrl.reporting.report import frame, svg
from softrl.reporting.report.data import Group, Member
from softrl.reporting.report.svg import tag
from softrl.sweep import statistics

COLOURED = 8
"""Settings that get a colour and a band, the best ones; further ones are grey lines."""

GREY = 60
"""Grey lines at most."""


class Curve(NamedTuple):
    """A line with a band: `[E]` each. What was measured nowhere, or once only, is NaN."""

    name: str
    steps: np.ndarray
    middle: np.ndarray
    low: np.ndarray
    high: np.ndarray


def over_members(group: Group, series: str, *, resamples: int = 500) -> Curve:
    """Interquartile mean and 95 % interval over the members that were evaluated at each step.

    A diverged member's policy no longer changes, so its last number goes on counting; leaving it out would praise the
    setting for losing it.
    """
    members = [member for member in group.members if series in member.series]
    steps = np.unique(np.concatenate([member.steps for member in members])) if members else np.zeros(0)
    tables = [dict(zip(member.steps, member.series[series], strict=True)) for member in members]
    for member, table in zip(members, tables, strict=True):
        if member.status == "diverged" and len(member.steps):
            table |= dict.fromkeys(steps[steps > member.steps[-1]], member.series[series][-1])
    scores = ([table.get(step, math.nan) for table in tables] for step in steps)
    rows = [statistics.interval([some], resamples=resamples)[:3] for some in scores]
    return Curve(group.name, steps, *np.array(rows, float).reshape(-1, 3).T)


def of_one(name: str, member: Member, series: str) -> Curve:
    """One member's own numbers; its return has a band of ± one standard deviation over an evaluation's episodes."""
    values, unknown = member.series[series], np.full(len(member.steps), np.nan)
    spread = member.series.get("return_std", unknown) if series == "return_mean" else unknown
    return Curve(name, member.steps, values, values - spread, values + spread)


def figure(groups: Sequence[Group], series: str, *, y_name: str, key: str, panel: bool = False) -> tuple[str, bool]:
    """One chart of one series for one robot, best settings in colour.

    Args: `groups`: best first. key: unique on the page. panel: small, for a grid of several.
    Returns: the drawing, for a wide and a narrow page unless it is a panel, and whether some of it lies outside.
    """
    coloured = [over_members(group, series) for group in groups[:COLOURED]]
    if len(groups) == 1 and len(groups[0].members) == 1:
        coloured, grey = [of_one(groups[0].name, groups[0].members[0], series)], []
    elif len(groups) == 1:
        grey = [of_one("", member, series) for member in groups[0].members[:GREY]]
    else:
        grey = [over_members(group, series, resamples=1) for group in groups[COLOURED : COLOURED + GREY]]
    if not any(np.isfinite(curve.middle).any() for curve in coloured):
        return "", False
    many = f"{len(coloured)} settings" if len(coloured) > 1 else "one setting"
    about = f"{y_name} over environment steps of {many}. Best: {_last(coloured[0])}."
    if panel:
        return _drawn(frame.PANEL, coloured, grey, "", key, about)
    wide, cut = _drawn(frame.WIDE, coloured, grey, y_name, key + "w", about)
    narrow, _ = _drawn(frame.NARROW, coloured, grey, y_name, key + "n", about)
    return wide + narrow, cut


def _drawn(
    size: frame.Size, coloured: list[Curve], grey: list[Curve], y_name: str, key: str, about: str
) -> tuple[str, bool]:
    middles = [float(v) for curve in coloured for v in curve.middle]
    edges = [float(v) for curve in coloured for side in (curve.low, curve.high) for v in side]
    rest = [float(v) for curve in grey for v in curve.middle]
    shown, cut = frame.robust(middles + edges + rest, middles + edges)
    x = svg.spanning([float(s) for curve in coloured + grey for s in curve.steps], *size.x, margin=0.01)
    y = svg.spanning(shown, *size.y)
    lines = [_line(curve, x, y, "grey") for curve in grey]
    # The best on top of all others, so it comes last.
    for index, curve in reversed(list(enumerate(coloured))):
        drawn = [svg.band(_points(curve.steps, curve.low, x, y), _points(curve.steps, curve.high, x, y), class_="band")]
        drawn.append(_line(curve, x, y, "line"))
        title = tag("title", svg.text(_last(curve)))
        lines.append(tag("g", title, *drawn, class_=f"series c{index}", data_series=index))
    axes = frame.frame(size, x, y, "environment steps", y_name)
    return frame.canvas(size, about, axes, frame.clipped(key, size, *lines)), cut


def _line(curve: Curve, x: svg.Scale, y: svg.Scale, class_: str) -> str:
    return svg.line(_points(curve.steps, curve.middle, x, y), class_=class_)


def _points(steps: np.ndarray, values: np.ndarray, x: svg.Scale, y: svg.Scale) -> list[tuple[float, float]]:
    return [(x(float(step)), y(float(value))) for step, value in zip(steps, values, strict=True)]


def _last(curve: Curve) -> str:
    known = np.flatnonzero(np.isfinite(curve.middle))
    if not len(known):
        return f"{curve.name}: no number"
    at = known[-1]
    low, high = svg.number(curve.low[at]), svg.number(curve.high[at])
    spread = f" ({low} to {high})" if math.isfinite(curve.low[at]) else ""
    return f"{curve.name}: {svg.number(curve.middle[at])}{spread} after {int(curve.steps[at]):,} steps"
