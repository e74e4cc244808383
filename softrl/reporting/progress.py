"""How a run is getting on: a live bar on a terminal, plain lines anywhere else."""

import contextlib
import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from softrl import units

LINES = 20
"""Lines that a whole run prints where there is no terminal, besides one for each evaluation."""

ECHO = 4
"""Columns at the end of the live display that stay free: `^C` at its edge would break the line, and shift all of it."""

WINDOW = 64
"""Updates over which the time to go is reckoned, so that a run's quicker first steps are soon forgotten."""


@dataclass
class Progress:
    """The display of one run.

    total_steps: environment steps; Python integers, so that nothing overflows. label: what is trained. console: of
    `rich`. bar, line: the live display, None where there is no terminal. shown: the latest values given to
    `update`. printed: environment steps at the last plain line. clock: seconds. past: (seconds, environment steps) of
    late. ahead: seconds of what is still to come beside the steps.
    """

    total_steps: int
    label: str
    console: Any
    bar: Any = None
    line: Any = None
    shown: dict[str, Any] = field(default_factory=dict)
    printed: int = 0
    clock: Callable[[], float] = time.monotonic
    past: deque = field(default_factory=lambda: deque(maxlen=WINDOW))
    ahead: float = 0.0

    @staticmethod
    @contextlib.contextmanager
    def open(total_steps: int, label: str, *, console: Any = None) -> Iterator["Progress"]:
        """Shows progress while the block runs: `with Progress.open(1_000_000, "brax/ant") as progress`.

        Args: `console`: a `rich.console.Console`; by default standard output, live where that is a terminal.
        """
        from rich.console import Console, Group
        from rich.live import Live
        from rich.text import Text

        console = console or Console(file=sys.stdout, highlight=False)
        progress = Progress(int(total_steps), label, console)
        if not console.is_terminal:
            yield progress
            return
        progress.bar, progress.line = _bar(label, progress.total_steps), Text("starting", overflow="ellipsis")
        with Live(Group(progress.bar, progress.line), console=console, refresh_per_second=4):
            yield progress

    def update(
        self, *, env_steps: int | None = None, eval_return: float | None = None, more: bool = False, **values: Any
    ) -> None:
        """Shows what is new; what is left out, or None, keeps its last value.

        Args:
          env_steps: of one member since the run began. eval_return: of the last evaluation. more: whether another
            update of these steps follows, for which a plain line waits.
          values: updates, of one member since the run began; env_steps_per_s, updates_per_s: rates of all members,
            compiling apart; compile_s: seconds spent compiling; members: how those of a sweep fare, in words;
            left_out: steps of non-finite numbers, where there were any.
        """
        values |= {"env_steps": env_steps, "eval_return": eval_return}
        if values.get("updates") and not self.shown.get("updates"):
            self.past.clear()  # steps before the first update say nothing of those to come
        self.shown |= {name: value for name, value in values.items() if value is not None}
        if env_steps is not None and (not self.past or env_steps > self.past[-1][1]):
            self.past.append((self.clock(), int(env_steps)))
        steps, whole = int(self.shown.get("env_steps", 0)), max(self.total_steps, 1)
        another = steps * LINES // whole > self.printed * LINES // whole  # part of the run is done
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=steps, left=self._left())
            self.line.plain = self._values()
            self.line.truncate(max(self.console.width - ECHO, 1), overflow="ellipsis")
        elif eval_return is not None or (another and not more):
            self.printed = steps
            share = f"{100 * steps // whole:3d} %  {steps:,} of {self.total_steps:,} steps"
            self.note(f"{share}  {self._values()}{self._left('  ')}")

    def note(self, text: str) -> None:
        """Prints a line that stays."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _values(self) -> str:
        texts = {
            "members": str,
            "eval_return": lambda value: f"return {number(value)}",
            "env_steps_per_s": lambda value: f"{number(value)} steps/s",
            "updates_per_s": lambda value: f"{number(value)} updates/s",
            "updates": lambda value: f"{int(value):,} updates",
            "compile_s": lambda value: f"compiled in {value:.0f} s",
            "left_out": lambda value: f"{int(value):,} steps left out, of non-finite numbers",
        }
        return "  ".join(text(self.shown[name]) for name, text in texts.items() if name in self.shown)

    def _left(self, before: str = "") -> str:
        """Time to go at the latest rate; nothing where that is not known yet."""
        if len(self.past) < 2 or self.past[-1][1] >= self.total_steps:
            return ""
        (began, first), (ended, last) = self.past[0], self.past[-1]
        seconds = self.ahead + (self.total_steps - last) * (ended - began) / (last - first)
        return f"{before}{units.duration(seconds)} left"


def _bar(label: str, total_steps: int) -> Any:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    left = TextColumn("{task.fields[left]}", markup=False)
    name = TextColumn("{task.description}", markup=False)
    bar = Progress(name, BarColumn(bar_width=None), TaskProgressColumn(), TimeElapsedColumn(), left, expand=True)
    bar.add_task(label, total=max(total_steps, 1), left="")
    return bar


def number(value: float) -> str:
    """A number in the fewest digits that one compares by: 12,345, 123.4, 1.234."""
    if not math.isfinite(value):
        return "not finite"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"
