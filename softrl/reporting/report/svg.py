"""Markup as text, escaped; the few shapes that charts are made of; scales with round ticks."""

import html
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from softrl.reporting import progress

Points = Sequence[tuple[float, float]]


def text(value: Any) -> str:
    """A value as it may stand between tags or in an attribute, whoever wrote it."""
    return html.escape(str(value), quote=True)


def tag(name: str, *children: str, **attributes: Any) -> str:
    """`<name attribute="…">children</name>`. Children are markup already; attributes are escaped.

    `class_` is class, an underscore a hyphen; None leaves an attribute out, True writes it bare; floats are rounded to
    tenths of a pixel.
    """
    spelled = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in ("path", "line", "circle", "rect", "input", "meta") and not children:
        return f"<{name}{spelled}/>"
    return f"<{name}{spelled}>{''.join(children)}</{name}>"


def _attribute(key: str, value: Any) -> str:
    key = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {key}"
    return f' {key}="{_rounded(value) if isinstance(value, float) else text(value)}"'


def _rounded(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def line(points: Points, **attributes: Any) -> str:
    """An open path; a point that is not finite breaks it, and one alone between breaks is a dot."""
    # With round caps a line of no length is a dot.
    pieces = (_path(piece) + ("h0" if len(piece) == 1 else "") for piece in _unbroken(points))
    return tag("path", d="".join(pieces), **attributes)


def band(lower: Points, upper: Points, **attributes: Any) -> str:
    """The area between two lines over the same x; it breaks where one of them is not finite."""
    outlines = []
    for piece in _unbroken((x, low, high) for (x, low), (_, high) in zip(lower, upper, strict=True)):
        if len(piece) > 1:
            around = [(x, high) for x, _, high in piece] + [(x, low) for x, low, _ in reversed(piece)]
            outlines.append(_path(around) + "Z")
    return tag("path", d="".join(outlines), **attributes) if outlines else ""


def _unbroken(rows: Iterable[tuple[float, ...]]) -> list[list[tuple[float, ...]]]:
    """The stretches of rows in which every number is finite."""
    stretches = itertools.groupby(rows, key=lambda row: all(map(math.isfinite, row)))
    return [list(stretch) for finite, stretch in stretches if finite]


def _path(points: Points) -> str:
    return "M" + "L".join(f"{_rounded(x)} {_rounded(y)}" for x, y in points)


class Scale(NamedTuple):
    """Numbers from `low` to `high` as pixels from `start` to `end`, by their logarithms where `log`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        if not math.isfinite(value) or (self.log and value <= 0):
            return math.nan
        low, high, at = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self, about: int = 5) -> list[float]:
        """Round numbers inside, about so many."""
        return _log_ticks(self.low, self.high, about) if self.log else _even_ticks(self.low, self.high, about)


def spanning(values: Sequence[float], start: float, end: float, *, log: bool = False, margin: float = 0.05) -> Scale:
    """A scale that holds all finite values with a share of space at either end."""
    some = [v for v in values if math.isfinite(v) and (v > 0 or not log)] or [1.0 if log else 0.0]
    low, high = min(some), max(some)
    if log:
        extra = max((high / low) ** margin, 1.1)
        return Scale(low / extra, high * extra, start, end, True)
    extra = (high - low) * margin or max(abs(high), 1.0) * margin
    return Scale(low - extra, high + extra, start, end)


def _even_ticks(low: float, high: float, about: int) -> list[float]:
    raw = (high - low) / max(about, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float, about: int) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1,), (1, 3), (1, 2, 5)):
        ticks = [digit * 10.0**decade for decade in decades for digit in digits]
        ticks = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
        if len(ticks) >= min(about, 3):
            return ticks[:: math.ceil(len(ticks) / (about + 2))]
    return ticks if len(ticks) > 1 else _even_ticks(low, high, about)


def number(value: float | None) -> str:
    """A number in the fewest digits that one compares by: 12,345 · 123.4 · 1.23 · 3e-4; a dash for what is missing."""
    if value is None or not math.isfinite(value):
        return "–"
    if abs(value) >= 1e6:
        return compact(value)
    return _minus(_power(value, 2) if 0 < abs(value) < 1e-3 else progress.number(value))


def _power(value: float, digits: int) -> str:
    mantissa, power = f"{value:.{digits}e}".split("e")
    return f"{float(mantissa):g}e{int(power)}"


def _minus(spelled: str) -> str:
    return spelled.replace("-", "−", 1) if spelled.startswith("-") else spelled


def compact(value: float) -> str:
    """A tick's label: 1.5M · 20k · 0.3 · 1e-4."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return _minus(f"{value / size:.4g}{letter}")
    if value != 0 and abs(value) < 1e-3:
        return _minus(_power(value, 1))
    return _minus(f"{value:.4g}")
