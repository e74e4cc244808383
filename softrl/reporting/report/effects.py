"""Effect plots: what each hyperparameter did to the return, all others as they came."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from softrl.config import is_number
from softrl.reporting.report import frame, svg
from softrl.reporting.report.data import Axis, Member, digits, value_text
from softrl.reporting.report.svg import tag
from softrl.sweep import statistics

DOTS = 1_500
"""Members that are drawn at most, evenly chosen; the means are of all."""

BINS = 8
"""Bins that the values of a random axis are put into for the line."""


class Place(NamedTuple):
    """Some members and where they stand along x. label: of the tick, empty for a bin."""

    x: float
    label: str
    members: list[Member]

    def dots(self, axis: Axis) -> list[float]:
        """Where its members' dots stand: those of a bin at their own values."""
        if self.label:
            return [self.x] * len(self.members)
        return [float(member.setting[axis.name]) for member in self.members]


def figure(axis: Axis, members: Sequence[Member], *, key: str) -> str:
    """One panel: a dot a member, a line through the interquartile means with 95 % intervals, a cross for each diverged.

    Args: `members`: of one robot; `key`: unique on the page.
    Returns: the drawing, or nothing where no member has a return.
    """
    finals = [member.final for member in members if math.isfinite(member.final)]
    if not finals:
        return ""
    places, log, ordered = _places(axis, members)
    size = frame.PANEL
    x = svg.spanning([at for place in places for at in place.dots(axis)], *size.x, log=log, margin=0.08)
    rows = [statistics.interval([[m.final for m in place.members]], resamples=1_000) for place in places]
    shown, _ = frame.robust(finals, finals)
    y = svg.spanning([*shown, *(row.point for row in rows)], *size.y, margin=0.08)
    dots = _dots(axis, places, x, y)
    kept = dots[:: math.ceil(len(dots) / DOTS)]
    through = svg.line([(x(p.x), y(row.point)) for p, row in zip(places, rows, strict=True)], class_="through")
    ticks = [(place.x, place.label) for place in places if place.label]
    body = [*kept, through if ordered else "", *_means(places, rows, x, y)]
    axes = frame.frame(size, x, y, axis.name, "", ticks)
    means = "; ".join(_sentence(place, row) for place, row in zip(places, rows, strict=True))
    about = f"Return by {axis.name}. {means}."
    return frame.canvas(size, about, axes, frame.clipped(key, size, *body))


def _dots(axis: Axis, places: list[Place], x: svg.Scale, y: svg.Scale) -> list[str]:
    """A dot for every member with a return; a cross at the foot for every one that diverged."""
    drawn = []
    for place in places:
        for i, (at, member) in enumerate(zip(place.dots(axis), place.members, strict=True)):
            # Members at one place stand side by side: the golden ratio spreads any number of them evenly.
            aside = (i * 0.618034 % 1.0 - 0.5) * 22.0 if place.label and len(place.members) > 1 else 0.0
            if math.isfinite(member.final):
                drawn.append(tag("circle", cx=x(at) + aside, cy=y(member.final), r=2.6, class_="dot"))
            if member.status == "diverged":
                corner = f"{x(at) + aside - 3:.1f} {y.start - 9:.1f}"
                drawn.append(tag("path", d=f"M{corner}l6 6m0 -6l-6 6", class_="cross"))
    return drawn


def _places(axis: Axis, members: Sequence[Member]) -> tuple[list[Place], bool, bool]:
    """Members by their value, many different numbers in bins of equal count; whether x is logarithmic; whether the
    values have an order."""
    together: dict[str, list[Member]] = {}
    enough = digits({axis.name: member.setting[axis.name]} for member in members)
    for member in members:
        together.setdefault(value_text(member.setting[axis.name], enough), []).append(member)
    values = {label: some[0].setting[axis.name] for label, some in together.items()}
    if not all(is_number(value) and math.isfinite(value) for value in values.values()):
        return [Place(float(i), label, some) for i, (label, some) in enumerate(together.items())], False, False
    order = sorted(together, key=lambda label: values[label])
    if len(order) <= BINS + 1:
        spaced = axis.log or len(order) > 5
        at = {label: float(values[label]) if spaced else float(i) for i, label in enumerate(order)}
        return [Place(at[label], label, together[label]) for label in order], axis.log, True
    ranked = [member for label in order for member in together[label]]
    edges = [round(i * len(ranked) / BINS) for i in range(BINS + 1)]
    parts = [ranked[low:high] for low, high in itertools.pairwise(edges)]
    return [Place(_middle(axis, part), "", part) for part in parts if part], axis.log, True


def _middle(axis: Axis, members: list[Member]) -> float:
    values = sorted(float(member.setting[axis.name]) for member in members)
    low, high = values[(len(values) - 1) // 2], values[len(values) // 2]
    return math.sqrt(low * high) if axis.log else (low + high) / 2


def _means(places: list[Place], rows: list[statistics.Interval], x: svg.Scale, y: svg.Scale) -> list[str]:
    parts = []
    for row, place in zip(rows, places, strict=True):
        at, middle = x(place.x), y(row.point)
        if math.isfinite(row.low):
            parts.append(tag("path", d=f"M{at:.1f} {y(row.low):.1f}V{y(row.high):.1f}", class_="whisker"))
        if math.isfinite(middle):
            title = tag("title", svg.text(_sentence(place, row)))
            parts.append(tag("circle", title, cx=at, cy=middle, r=4.0, class_="mean"))
    return parts


def _sentence(place: Place, row: statistics.Interval) -> str:
    spread = f", 95 % interval {svg.number(row.low)} to {svg.number(row.high)}" if math.isfinite(row.low) else ""
    return f"{place.label or svg.number(place.x)}: {svg.number(row.point)} of {row.n}{spread}"
