"""A run's learning curve as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from softrl.errors import ConfigError
from softrl.reporting import media
from softrl.training.records import finite_mean

COLOUR, GREY = "#1b6ca8", "#8a8f98"


def curve(records: Sequence[Mapping[str, Any]], path: str | Path, *, title: str = "") -> Path:
    """Draws deterministic evaluation returns over environment steps, with minutes of wall clock above.

    One member: its mean over episodes and a band of ± one standard deviation over episodes. Several: a thin line each,
    the mean over members and a band from the worst to the best. What is not finite leaves a gap in its member's line
    and does not count in mean and band; returns by sampling, where they were measured, are a dashed line.

    Args:
      records: lines of metrics.jsonl, see `softrl.training.records`; at least one.
      path: `.png`, `.svg` or `.pdf`. It appears whole or not at all.
      title: robot, physics, seeds.
    Raises:
      ConfigError: no records or another suffix. RenderError: the file cannot be written.
    """
    path = Path(path)
    if not records:
        raise ConfigError("a learning curve needs at least one evaluation, got none")
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise ConfigError(f"a curve is a .png, .svg or .pdf, got {path.name!r}")
    import matplotlib.style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # A figure of its own, without pyplot: no global state, no display, whatever the user's settings are.
    with matplotlib.style.context("default"):
        figure = Figure(figsize=(7.2, 4.2), dpi=150, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        _lines(axes, records)
        _decorate(axes, records, title)
        with media.whole(path) as part:
            figure.savefig(part)
    return path


def _lines(axes: Any, records: Sequence[Mapping[str, Any]]) -> None:
    steps = np.array([record["env_steps"] for record in records], float)
    returns = _table(records, "return_mean")
    marker = {"marker": "o", "markersize": 4 if len(steps) <= 20 else 0}
    if returns.shape[1] == 1:
        mean, spread = returns[:, 0], np.nan_to_num(_table(records, "return_std")[:, 0])
        low, high = mean - spread, mean + spread
        label, band = "deterministic policy", "± one standard deviation over episodes"
    else:
        axes.plot(steps, returns, color=COLOUR, linewidth=0.8, alpha=0.35)
        mean, low, high = finite_mean(returns.T), np.fmin.reduce(returns, axis=1), np.fmax.reduce(returns, axis=1)
        label, band = f"deterministic policy, mean of {returns.shape[1]} members", "worst to best member"
    axes.fill_between(steps, low, high, color=COLOUR, alpha=0.15, linewidth=0, label=band)
    if len(steps) == 1:
        axes.vlines(steps, low, high, color=COLOUR, alpha=0.3, linewidth=3)
        axes.set_xticks(steps)
    axes.plot(steps, mean, color=COLOUR, linewidth=2, label=label, **marker)
    sampled = finite_mean(_table(records, "stochastic_return_mean").T)
    if np.isfinite(sampled).any():
        axes.plot(steps, sampled, color=GREY, linewidth=1.2, linestyle="--", label="sampling policy", **marker)


def _table(records: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    """`[records, members]` of one quantity; NaN where it is missing or not finite."""
    rows = [np.ravel(np.array(record["eval"].get(name, np.nan), float)) for record in records]
    table = np.full((len(rows), max(map(len, rows))), np.nan)
    for row, values in zip(table, rows, strict=True):
        row[: len(values)] = values
    return np.where(np.isfinite(table), table, np.nan)


def _decorate(axes: Any, records: Sequence[Mapping[str, Any]], title: str) -> None:
    from matplotlib.ticker import EngFormatter

    axes.set_xlabel("environment steps")
    axes.set_ylabel("evaluation return")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.02)
    axes.legend(frameon=False, fontsize=8, loc="best")
    if title:
        axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.set_title(_summary(records), loc="right", fontsize=8, color="#555555")
    _minutes(axes, records)


def _summary(records: Sequence[Mapping[str, Any]]) -> str:
    """The last return and how long it took."""
    last = finite_mean(_table(records[-1:], "return_mean").T)[0]
    seconds = _seconds(records)[-1]
    took = f" after {seconds / 60:.1f} min" if np.isfinite(seconds) else ""
    return f"{last:,.0f}{took}" if np.isfinite(last) else f"not finite{took}"


def _seconds(records: Sequence[Mapping[str, Any]]) -> np.ndarray:
    return np.array([record.get("timing", {}).get("wall_s", np.nan) for record in records], float)


def _minutes(axes: Any, records: Sequence[Mapping[str, Any]]) -> None:
    """A second axis above: at each of a few evaluations, the wall clock in minutes."""
    steps, seconds = np.array([record["env_steps"] for record in records], float), _seconds(records)
    known = np.flatnonzero(np.isfinite(seconds))
    if len(known) < 2:
        return
    shown = known[np.unique(np.linspace(0, len(known) - 1, min(len(known), 6)).round().astype(int))]
    above = axes.secondary_xaxis("top")
    above.set_xticks(steps[shown], [f"{value / 60:.1f}" for value in seconds[shown]])
    above.tick_params(labelsize=7, colors="#555555", length=2)
    above.spines["top"].set_visible(False)
    above.set_xlabel("minutes", fontsize=7, color="#555555", loc="right")
