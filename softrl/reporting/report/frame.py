"""The empty chart: a grid, ticks and the names of its axes."""

from collections.abc import Sequence
from typing import NamedTuple

from softrl.reporting.report import svg
from softrl.reporting.report.svg import Scale, tag


class Size(NamedTuple):
    """Pixels of a chart's drawing; the page scales it, text included, to the width that it has.

    page: `wide` or `narrow` where only such a page shows it.
    """

    width: int
    height: int
    left: int = 52
    right: int = 14
    top: int = 12
    bottom: int = 40
    page: str | None = None

    @property
    def x(self) -> tuple[float, float]:
        """Left and right edge of the plot."""
        return self.left, self.width - self.right

    @property
    def y(self) -> tuple[float, float]:
        """Bottom and top edge of the plot."""
        return self.height - self.bottom, self.top


WIDE, NARROW, PANEL = Size(960, 380, page="wide"), Size(360, 300, page="narrow"), Size(360, 240)


def robust(values: Sequence[float], trusted: Sequence[float]) -> tuple[list[float], bool]:
    """Values to scale an axis by, so that one run far below does not flatten all others.

    Args: `values`: everything drawn; `trusted`: what must be seen, medians or means.
    Returns: the values cut to two interquantile spreads around the trusted ones, and whether any was cut.
    """
    some = sorted(value for value in trusted if value == value)
    if len(some) < 4:
        return list(values), False
    low, high = some[len(some) // 10], some[-1 - len(some) // 10]
    margin = 2.0 * (high - low) or abs(high) or 1.0
    kept = [value for value in values if low - margin <= value <= high + margin]
    return kept, len(kept) < sum(value == value for value in values)


def frame(size: Size, x: Scale, y: Scale, x_name: str, y_name: str, labels: Sequence[tuple[float, str]] = ()) -> str:
    """Grid, ticks and names. `labels`: values and texts in the place of round ticks along x."""
    (left, right), bottom = size.x, size.y[0]
    marks = list(labels) or [(tick, svg.compact(tick)) for tick in x.ticks(max(3, size.width // 120))]
    ticks_y = y.ticks(5)
    grid = "".join(f"M{left} {y(tick):.1f}H{right}" for tick in ticks_y)
    parts = [tag("path", d=grid, class_="grid"), tag("path", d=f"M{left} {bottom}H{right}", class_="axis")]
    for t in ticks_y:
        label = svg.compact(float(f"{t:.10g}"))  # of 0.3, not of 0.30000000000000004
        parts.append(tag("text", label, x=left - 7.0, y=y(t) + 3.5, class_="tick end"))
    below = bottom + 15.0
    parts += [tag("text", svg.text(label), x=x(t), y=below, class_="tick mid") for t, label in _apart(marks, x)]
    parts.append(tag("text", svg.text(x_name), x=right, y=size.height - 6.0, class_="name end"))
    if y_name:
        parts.append(tag("text", svg.text(y_name), x=float(left), y=9.0, class_="name"))
    return "".join(parts)


def _apart(marks: Sequence[tuple[float, str]], x: Scale) -> list[tuple[float, str]]:
    """The labels that do not run into the one before."""
    kept: list[tuple[float, str]] = []
    for value, label in marks:
        if not kept or abs(x(value) - x(kept[-1][0])) > 3.3 * (len(label) + len(kept[-1][1])) + 6:
            kept.append((value, label))
    return kept


def canvas(size: Size, about: str, *children: str) -> str:
    """The picture. `about`: what somebody who does not see it should know."""
    box = f"0 0 {size.width} {size.height}"
    return tag("svg", *children, viewBox=box, role="img", aria_label=about, class_=size.page)


def clipped(name: str, size: Size, *children: str) -> str:
    """Children that end at the edges of the plot. `name`: unique on the page."""
    (left, right), (bottom, top) = size.x, size.y
    area = tag("rect", x=left, y=top, width=right - left, height=bottom - top)
    return tag("clipPath", area, id=name) + tag("g", *children, clip_path=f"url(#{name})")
